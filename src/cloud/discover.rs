//! Discovery: a fixed handful of paged calls, in parallel, for a stack of any size.
//!
//! EC2 filters by tag. Elastic Load Balancing cannot: its listings are narrowed to what may be ours and then to our
//! tags, twenty resources a call. What hangs below something else follows in a later round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};

use aws_sdk_ec2::types::Filter;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use super::snapshot::Snapshot;
use super::tags::{self, Tags};
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::aws::quirks;
use crate::clock;
use crate::cloud::snapshot::listing::{Depth, ErasedListing, Query};
use crate::problem::Problem;
use crate::stack::model::Stack;

/// How many ARNs DescribeTags takes (ELBv2 API).
const ARNS_PER_CALL: usize = 20;
/// How long, and how often, the tags of something listed are asked for while AWS does not know it.
const UNKNOWN_LIMIT: Duration = Duration::from_secs(5);
const UNKNOWN_PAUSE: Duration = Duration::from_millis(200);
/// The largest pages that AWS gives; some endpoints give small ones unasked.
pub const EC2_PAGE: i32 = 1000;
pub const ELB_PAGE: i32 = 400;
pub const AUTOSCALING_PAGE: i32 = 100;

/// Lists everything that carries the tag of the stack.
///
/// # Errors
/// The first call that fails.
pub async fn discover(
    clients: &Clients,
    listings: &[&'static dyn ErasedListing],
    mut cloud: Snapshot,
    declared: Option<&Stack>,
    depth: Depth,
) -> Result<Snapshot, Problem> {
    follow(clients, listings, &mut cloud, declared, depth, 0).await?;
    Ok(cloud)
}

/// Asks, of what is known to be ours, all that only later rounds report.
///
/// # Errors
/// The first call that fails.
pub async fn complete(
    clients: &Clients,
    listings: &[&'static dyn ErasedListing],
    cloud: &mut Snapshot,
    declared: Option<&Stack>,
) -> Result<(), Problem> {
    follow(clients, listings, cloud, declared, Depth::Plan, 1).await
}

/// The rounds from `first` on.
async fn follow(
    clients: &Clients,
    listings: &[&'static dyn ErasedListing],
    cloud: &mut Snapshot,
    declared: Option<&Stack>,
    depth: Depth,
    first: u8,
) -> Result<(), Problem> {
    let listings: Vec<_> = listings.iter().copied().filter(|listing| listing.depths().contains(&depth)).collect();
    listings.iter().for_each(|listing| cloud.holds(*listing));
    let rounds: BTreeSet<u8> = listings.iter().map(|listing| listing.round()).filter(|round| *round >= first).collect();
    for round in rounds {
        let listings: Vec<_> = listings.iter().copied().filter(|listing| listing.round() == round).collect();
        let query = Query { clients, cloud, declared, depth };
        let found = try_join_all(listings.iter().map(|listing| listing.list(&query))).await?;
        for (rows, listing) in found.into_iter().zip(&listings) {
            let is_missed = rows.items().is_none();
            cloud.notes.extend(is_missed.then(|| listing.missed_by(declared)).flatten());
            cloud.store(rows);
        }
        listings.iter().for_each(|listing| listing.narrow(cloud));
        let untagged = listings.iter().flat_map(|listing| listing.untagged(cloud)).collect();
        cloud.all_tags.extend(elb_tags(clients, untagged, &listings).await?);
        listings.iter().for_each(|listing| listing.settle(cloud));
    }
    Ok(())
}

/// The answer of a listing: nothing where the endpoint does not have the service, unless the stack needs it.
///
/// # Errors
/// When the call failed otherwise.
pub fn found<T, E>(
    query: &Query<'_>,
    answer: Result<Vec<T>, SdkError<E, HttpResponse>>,
    needs: impl Fn(&Stack) -> bool,
    call: &str,
) -> Result<Option<Vec<T>>, Problem>
where
    SdkError<E, HttpResponse>: CallError,
{
    match answer {
        Ok(items) => Ok(Some(items)),
        Err(error) if quirks::lacks(&error) && !query.declared.is_some_and(needs) => Ok(None),
        Err(error) => Err(error.problem(call, "the region")),
    }
}

/// By the value of our tag, or by its being there at all.
pub fn filter(stack: Option<&str>) -> Filter {
    match stack {
        Some(stack) => Filter::builder().name(format!("tag:{}", tags::STACK)).values(stack).build(),
        None => Filter::builder().name("tag-key").values(tags::STACK).build(),
    }
}

/// One resource that is not known makes AWS refuse the whole call: what is new may be listed before its tags are known,
/// and what is being deleted may be listed after. So these are asked for one by one, and given up after
/// [`UNKNOWN_LIMIT`].
async fn elb_tags(
    clients: &Clients,
    arns: Vec<String>,
    listings: &[&'static dyn ErasedListing],
) -> Result<BTreeMap<String, Tags>, Problem> {
    let deadline = clock::instant() + UNKNOWN_LIMIT;
    let mut found = Vec::new();
    let mut asked: Vec<Vec<String>> = arns.chunks(ARNS_PER_CALL).map(<[String]>::to_vec).collect();
    while !asked.is_empty() {
        let calls = asked.iter().map(|arns| clients.elb.describe_tags().set_resource_arns(Some(arns.clone())).send());
        let answers = join_all(calls).await;
        let mut unknown = Vec::new();
        for (answer, arns) in answers.into_iter().zip(asked) {
            match answer {
                Ok(answer) => found.extend(answer.tag_descriptions.unwrap_or_default()),
                Err(error) if listings.iter().any(|listing| error.is(listing.not_found())) => unknown.push(arns),
                Err(error) => {
                    return Err(error.problem("elasticloadbalancing:DescribeTags", "the stack's load balancer"));
                }
            }
        }
        if unknown.iter().all(|arns| arns.len() == 1) && !unknown.is_empty() {
            if clock::instant() >= deadline {
                break;
            }
            clock::sleep(UNKNOWN_PAUSE).await;
        }
        asked = unknown.into_iter().flatten().map(|arn| vec![arn]).collect();
    }
    Ok(found.into_iter().filter_map(|row| Some((row.resource_arn()?.to_owned(), tags::from_elb(row.tags())))).collect())
}
