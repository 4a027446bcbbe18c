//! AWS's clients of a provider, and what every type of AWS does with them: it finds and tags what an action has made.

use aws_sdk_ec2::types::{Filter, Tag};

use crate::aws::clients::Clients;
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::context::ActionContext;
use crate::resource::provider::Provider;

/// What AWS's resource types act through.
///
/// # Panics
/// Where the provider is not AWS: its types are asked by their own provider only.
pub fn clients_of(provider: &dyn Provider) -> &Clients {
    provider.connection().downcast_ref().expect("AWS's types are asked by their own provider")
}

impl ActionContext<'_> {
    /// AWS's clients, for AWS's resource types.
    ///
    /// # Panics
    /// As [`Operation::connection`]: where a type acts through a provider that does not list it.
    pub fn clients(&self) -> &Clients {
        self.run.connection()
    }

    /// What this action has made, among EC2's resources.
    pub fn filters(&self) -> Vec<Filter> {
        let filter = |key: &str, value: &str| Filter::builder().name(format!("tag:{key}")).values(value).build();
        vec![filter(tags::STACK, &self.run.stack), filter(tags::ADDRESS, self.address.as_str())]
    }

    /// Writes tags onto resources of EC2 that exist.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn write_ec2_tags(&self, ids: Vec<String>, tags: &Tags) -> Result<(), Problem> {
        let request = self.clients().ec2.create_tags().set_resources(Some(ids)).set_tags(Some(tags::to_ec2(tags)));
        let ids = request.get_resources().clone();
        self.fresh("ec2:CreateTags", || request.clone().send()).await?;
        if self.tags_to_drop.is_empty() {
            return Ok(());
        }
        let gone = self.tags_to_drop.iter().map(|key| Tag::builder().key(key).build()).collect();
        let request = self.clients().ec2.delete_tags().set_resources(ids).set_tags(Some(gone));
        self.fresh("ec2:DeleteTags", || request.clone().send()).await.map(drop)
    }

    /// Writes this action's tags onto a resource of Elastic Load Balancing that exists.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn write_elb_tags(&self, arn: &str) -> Result<(), Problem> {
        tags::write_elb(self.clients(), self.address, arn, &self.tags()).await?;
        match self.tags_to_drop {
            [] => Ok(()),
            gone => tags::drop_elb(self.clients(), self.address, arn, gone).await,
        }
    }

    /// Writes tags onto an Auto Scaling group that exists.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn write_group_tags(&self, name: &str, tags: &Tags) -> Result<(), Problem> {
        tags::write_group(self.clients(), self.address, name, tags).await?;
        match self.tags_to_drop {
            [] => Ok(()),
            gone => tags::drop_group(self.clients(), self.address, name, gone).await,
        }
    }
}
