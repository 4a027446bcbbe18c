//! What counts as drift of a group, and which bounds are written.

use super::*;

#[test]
fn a_bound_that_the_schedule_has_set_is_no_drift() {
    let morning = ScheduledUpdateGroupAction::builder().auto_scaling_group_name("web").min_size(4);
    let foreign = morning.clone().scheduled_action_name("foreign").min_size(5).build();
    let morning = morning.scheduled_action_name("web--morning").build();
    let cloud = Snapshot::default().with::<DescribeScheduledActions>(vec![morning, foreign]);
    let bounds = |name: &str, min: i32, max: i32| {
        let group = AutoScalingGroup::builder().auto_scaling_group_name(name).min_size(min).max_size(max).build();
        let fields = ScalingGroup::observed_fields(
            &Observed { group, tags: Tags::new(), current: true, instances: Vec::new() },
            &cloud,
        );
        ["min", "max"].map(|path| fields.get(path).map(ToString::to_string))
    };
    let told = |text: &str| Some(text.to_owned());
    assert_eq!(bounds("web", 4, 8), [None, told("8")]);
    assert_eq!(bounds("web", 5, 8), [told("5"), told("8")], "a schedule made by hand");
    assert_eq!(bounds("jobs", 4, 4), [told("4"), told("4")], "another group's schedule");
}

#[test]
fn a_bound_that_the_schedule_has_set_does_not_hide_what_the_stack_gave() {
    let sale = ScheduledUpdateGroupAction::builder().auto_scaling_group_name("web").max_size(9);
    let sale = sale.scheduled_action_name("web--sale").build();
    let end = ScheduledUpdateGroupAction::builder().auto_scaling_group_name("web").min_size(0);
    let end = end.scheduled_action_name("web--cloudscale-down-after").build();
    let cloud = Snapshot::default().with::<DescribeScheduledActions>(vec![sale, end]);
    let group = AutoScalingGroup::builder().auto_scaling_group_name("web").min_size(0).max_size(9).build();
    let tags = Tags::from([(tags::BOUNDS.to_owned(), "2-8".to_owned())]);
    let fields = ScalingGroup::observed_fields(&Observed { group, tags, current: true, instances: Vec::new() }, &cloud);
    let told = ["min", "max"].map(|path| fields.get(path).map(ToString::to_string));
    assert_eq!(told, [Some("0".to_owned()), Some("8".to_owned())], "an expiry is no part of the stack");
}

#[test]
fn a_bound_of_the_schedule_gives_way_where_it_would_contradict_the_stack() {
    let observed = AutoScalingGroup::builder().min_size(2).max_size(4).build();
    let smaller = |path: &str| {
        let (path, observed, desired) = (path.to_owned(), None, None);
        [FieldChange { path, observed, desired, forces_replacement: false }]
    };
    assert_eq!(settings::bounds((1, 3), &observed, &smaller("max")), (None, Some(3)));
    assert_eq!(settings::bounds((1, 1), &observed, &smaller("max")), (Some(1), Some(1)));
    assert_eq!(settings::bounds((5, 6), &observed, &smaller("min")), (Some(5), Some(6)));
}
