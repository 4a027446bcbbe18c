//! How scheduled actions are listed. A group reads them, too: its bounds may be theirs.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::ScheduledUpdateGroupAction;

use super::DescribeAutoScalingGroups;
use crate::aws::error::CallError;
use crate::cloud::discover::AUTOSCALING_PAGE;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedCollection, Listing, Query};
use crate::problem::Problem;

/// The scheduled actions of our groups; nothing is asked where the stack has none.
#[derive(Debug)]
pub struct DescribeScheduledActions;

impl Collection for DescribeScheduledActions {
    type Item = ScheduledUpdateGroupAction;

    const OURS_ONLY: bool = false;
}

impl Listing for DescribeScheduledActions {
    const ROUND: u8 = 1;
    const DEPTHS: &'static [Depth] = &[Depth::Plan];
    const BELOW: Option<&'static dyn ErasedCollection> = Some(&Bulk::<DescribeAutoScalingGroups>::NEW);

    async fn list(query: &Query<'_>) -> Result<Option<Vec<ScheduledUpdateGroupAction>>, Problem> {
        let groups: BTreeSet<_> = super::all(query.cloud).filter_map(|group| group.auto_scaling_group_name()).collect();
        let request = query.clients.autoscaling.describe_scheduled_actions().max_records(AUTOSCALING_PAGE);
        let pages = request.into_paginator().items().send().try_collect().await;
        let call = "autoscaling:DescribeScheduledActions";
        let mut found = pages.map_err(|error| error.problem(call, &query.cloud.stack))?;
        found.retain(|item| item.auto_scaling_group_name().is_some_and(|name| groups.contains(name)));
        Ok(Some(found))
    }
}
