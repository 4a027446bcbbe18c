//! Taking over what exists: a group or a target group gets the stack's tags, and from then on it is the stack's own.
//!
//! Nothing else is changed. What `up` would then change is planned before anything is tagged, as if the tags were there
//! already. What `up` would have to create again is refused: it would not be kept.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Plan, no_such_cluster, stopped};
use crate::cloud::address::Address;
use crate::cloud::snapshot::listing::Depth;
use crate::problem::{Problem, Problems};
use crate::resource::change::Action;
use crate::resource::provider::{Adoptee, Existing};
use crate::stack::model::Capacity;

/// What exists, and what `up` would make of it.
pub struct Adoption {
    pub plan: Plan,
    cluster: String,
    existing: Vec<Existing>,
    /// (address, name) of what is taken over; what is the stack's already is not among them.
    pub taken: Vec<(Address, String)>,
    found: Vec<Arc<dyn Adoptee>>,
}

impl Engine {
    /// Finds what is to be taken over for a cluster, and plans as if it were. Reads only.
    ///
    /// # Errors
    /// What stands in the way, all at once; a call that fails.
    pub async fn adoption(&self, cluster: &str, existing: &[Existing]) -> Result<Adoption, Problems> {
        self.check_cluster(cluster, existing)?;
        self.run.unless_interrupted(self.examine(cluster, existing)).await
    }

    async fn examine(&self, cluster: &str, existing: &[Existing]) -> Result<Adoption, Problems> {
        let mut cloud = self.look(Depth::Existence).await?;
        let provider = &self.run.provider;
        if provider.is_stopped(&cloud) {
            return Err(stopped(&self.stack.name).into());
        }
        let found = provider.find_existing(&self.run, &self.stack, cluster, existing).await?;
        let found: Vec<Arc<dyn Adoptee>> =
            found.into_iter().filter(|found| !found.is_adopted(&cloud.stack)).map(Arc::from).collect();
        let mut problems: Vec<_> = found.iter().filter_map(|found| found.obstacle(&cloud)).collect();
        for found in &found {
            problems.extend(found.conflict(&self.run, &self.stack, &cloud, existing).await?);
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        for found in &found {
            found.join(&mut cloud);
        }
        provider.complete(&mut cloud, &self.stack).await?;
        let plan = self.compare_with(cloud).await?;
        let problems: Vec<_> = found.iter().filter_map(|found| not_kept(&**found, &plan)).collect();
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let taken = found.iter().map(|found| (found.address().clone(), found.name().to_owned())).collect();
        Ok(Adoption { plan, cluster: cluster.to_owned(), existing: existing.to_vec(), taken, found })
    }

    /// Writes the stack's tags, under its lock.
    ///
    /// # Errors
    /// The run that holds the lock for longer than `patience`; where the cloud has changed since; a call that fails.
    pub async fn adopt(&self, adoption: &Adoption, patience: Duration) -> Result<(), Problems> {
        let lock = self.lock("adopt", patience).await?;
        let work = async {
            let now = self.adoption(&adoption.cluster, &adoption.existing).await?;
            if now.taken != adoption.taken || now.plan.report.changes != adoption.plan.report.changes {
                let detail = format!("{} has changed since the plan was shown", self.stack.name);
                return Err(Problem::new("The cloud has changed", detail)
                    .hint("nothing was tagged; run the same `cloudscale adopt` again and look at its plan")
                    .into());
            }
            for found in &adoption.found {
                found.tag(&lock.run, &self.stack.name).await?;
            }
            Ok(())
        };
        lock.during(work).await
    }

    fn check_cluster(&self, cluster: &str, existing: &[Existing]) -> Result<(), Problem> {
        let Some(declared) = self.stack.clusters.iter().find(|declared| declared.name == cluster) else {
            return Err(no_such_cluster(&self.stack, cluster));
        };
        let has_group = matches!(declared.capacity, Capacity::Group(_));
        if !has_group && existing.iter().any(|existing| matches!(existing, Existing::Group(_))) {
            let detail = format!("{cluster} has fixed instances and no Auto Scaling group");
            return Err(Problem::usage("The cluster has no group", detail)
                .hint(format!("give {cluster} `autoscaling:` instead of `instances:`")));
        }
        Ok(())
    }
}

/// What the stack wants that this cannot become.
fn not_kept(found: &dyn Adoptee, plan: &Plan) -> Option<Problem> {
    let change = plan.report.changes.iter().find(|change| change.address == *found.address())?;
    if change.action != Action::Replace {
        return None;
    }
    let fields = change.fields.iter().filter(|field| field.forces_replacement).map(|field| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        format!("\n  {}: observed {}, desired {}", field.path, text(&field.observed), text(&field.desired))
    });
    let detail = format!("`up` would have to replace {}:{}", found.name(), fields.collect::<String>());
    Some(Problem::new("Adoption would replace it", detail).hint("change the stack to what is there, or do without it"))
}
