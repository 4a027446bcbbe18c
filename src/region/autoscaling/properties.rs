//! Whatever happens to a group: its desired capacity stays within its bounds, it launches no more than it may, it knows
//! every instance that lives, and left in peace it comes to rest with exactly what it desires.

use proptest::prelude::*;

use super::member::Lifecycle;
use super::scripted::{Scripted, params, template};
use crate::region::signal::InstanceState;
use crate::region::wire::Value;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
enum Step {
    Desire(i64),
    Bound { min: i64, max: i64 },
    Kill(usize),
    MarkUnhealthy(usize),
    Mark(usize),
    End { index: usize, decrement: bool },
    Park { index: usize, decrement: bool },
    Unpark(usize),
    Protect { index: usize, protect: bool },
    Suspend(&'static str),
    Resume,
    Refuse(bool),
    Alarm { outward: bool, value: f64 },
    Refresh { min_healthy: i64, max_healthy: i64 },
    CancelRefresh,
    Pool { prepared: i64, min: i64, running: bool, reuse: bool },
    DropPool(bool),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let index = 0..8_usize;
    prop_oneof![
        4 => (0..10_i64).prop_map(Step::Desire),
        2 => (0..5_i64, 0..6_i64).prop_map(|(min, more)| Step::Bound { min, max: min + more }),
        3 => index.clone().prop_map(Step::Kill),
        3 => index.clone().prop_map(Step::MarkUnhealthy),
        1 => index.clone().prop_map(Step::Mark),
        2 => (index.clone(), any::<bool>()).prop_map(|(index, decrement)| Step::End { index, decrement }),
        1 => (index.clone(), any::<bool>()).prop_map(|(index, decrement)| Step::Park { index, decrement }),
        1 => index.clone().prop_map(Step::Unpark),
        1 => (index, any::<bool>()).prop_map(|(index, protect)| Step::Protect { index, protect }),
        1 => prop::sample::select(vec!["Launch", "Terminate", "ReplaceUnhealthy", "HealthCheck"]).prop_map(Step::Suspend),
        1 => Just(Step::Resume),
        1 => any::<bool>().prop_map(Step::Refuse),
        3 => (any::<bool>(), 0.0..200.0).prop_map(|(outward, value)| Step::Alarm { outward, value }),
        1 => (0..=10_i64, 10..=11_i64)
            .prop_map(|(min, max)| Step::Refresh { min_healthy: min * 10, max_healthy: max * 10 }),
        1 => Just(Step::CancelRefresh),
        2 => (-1..8_i64, 0..3_i64, any::<bool>(), any::<bool>())
            .prop_map(|(prepared, min, running, reuse)| Step::Pool { prepared, min, running, reuse }),
        1 => any::<bool>().prop_map(Step::DropPool),
        6 => (1..120_i64).prop_map(Step::Wait),
    ]
}

fn nth(world: &Scripted, index: usize) -> Option<String> {
    let members = &world.group().members;
    (!members.is_empty()).then(|| members[index % members.len()].id.clone())
}

/// Does the step; AWS may refuse it, which changes nothing.
fn perform(world: &mut Scripted, step: &Step) {
    let one = |world: &Scripted, index: usize, more: &[(&str, &str)]| {
        let mut fields = params(&[("AutoScalingGroupName", "web")]);
        fields.0.push(("InstanceIds".to_owned(), Value::list(nth(world, index).map(Value::from))));
        fields.0.extend(params(more).0);
        fields
    };
    let yes = |value: bool| if value { "true" } else { "false" };
    let answer = match step {
        Step::Desire(desired) => world.call("SetDesiredCapacity", &[("DesiredCapacity", &desired.to_string())]),
        Step::Bound { min, max } => {
            world.call("UpdateAutoScalingGroup", &[("MinSize", &min.to_string()), ("MaxSize", &max.to_string())])
        }
        Step::Kill(index) => {
            nth(world, *index).iter().for_each(|id| world.kill(id));
            return;
        }
        Step::MarkUnhealthy(index) => {
            if let Some(id) = nth(world, *index) {
                world.bench.break_application(&id);
            }
            return;
        }
        Step::Mark(index) => {
            let Some(id) = nth(world, *index) else { return };
            world.call_with("SetInstanceHealth", params(&[("InstanceId", &id), ("HealthStatus", "Unhealthy")]))
        }
        Step::End { index, decrement } => {
            let Some(id) = nth(world, *index) else { return };
            let fields = [("InstanceId", id.as_str()), ("ShouldDecrementDesiredCapacity", yes(*decrement))];
            world.call_with("TerminateInstanceInAutoScalingGroup", params(&fields))
        }
        Step::Park { index, decrement } => {
            let fields = one(world, *index, &[("ShouldDecrementDesiredCapacity", yes(*decrement))]);
            world.call_with("EnterStandby", fields)
        }
        Step::Unpark(index) => world.call_with("ExitStandby", one(world, *index, &[])),
        Step::Protect { index, protect } => {
            let fields = one(world, *index, &[("ProtectedFromScaleIn", yes(*protect))]);
            world.call_with("SetInstanceProtection", fields)
        }
        Step::Suspend(process) => {
            let mut fields = params(&[("AutoScalingGroupName", "web")]);
            fields.0.push(("ScalingProcesses".to_owned(), Value::list([Value::from(*process)])));
            world.call_with("SuspendProcesses", fields)
        }
        Step::Resume => world.call("ResumeProcesses", &[]),
        Step::Refuse(refuse) => {
            world.refuses(*refuse);
            return;
        }
        Step::Alarm { outward, value } => {
            let kind = if *outward { "AlarmHigh" } else { "AlarmLow" };
            let name = world.alarms().into_keys().find(|name| name.contains(kind)).unwrap();
            return world.alarm("cpu", &name, 50.0, *value);
        }
        Step::Refresh { min_healthy, max_healthy } => {
            let mut fields = params(&[("AutoScalingGroupName", "web")]);
            let preferences = Value::map()
                .with("MinHealthyPercentage", Value::from(*min_healthy))
                .with("MaxHealthyPercentage", Value::from(*max_healthy))
                .with("ScaleInProtectedInstances", Value::from("Refresh"));
            fields.0.push(("Preferences".to_owned(), preferences));
            let wanted = Value::map().with("LaunchTemplate", template("2"));
            fields.0.push(("DesiredConfiguration".to_owned(), wanted));
            world.call_with("StartInstanceRefresh", fields)
        }
        Step::CancelRefresh => world.call("CancelInstanceRefresh", &[]),
        Step::Pool { prepared, min, running, reuse } => {
            let (prepared, min) = (prepared.to_string(), min.to_string());
            let state = if *running { "Running" } else { "Stopped" };
            let sizes = [("MaxGroupPreparedCapacity", prepared.as_str()), ("MinSize", &min), ("PoolState", state)];
            let mut fields = params(&[("AutoScalingGroupName", "web")]);
            fields.0.extend(params(&sizes).0);
            let policy = Value::map().with("ReuseOnScaleIn", Value::from(yes(*reuse)));
            fields.0.push(("InstanceReusePolicy".to_owned(), policy));
            world.call_with("PutWarmPool", fields)
        }
        Step::DropPool(force) => world.call("DeleteWarmPool", &[("ForceDelete", yes(*force))]),
        Step::Wait(seconds) => return world.run(*seconds),
    };
    if let Err(error) = answer {
        let codes = [
            "ValidationError",
            "ScalingActivityInProgress",
            "InstanceRefreshInProgress",
            "ActiveInstanceRefreshNotFound",
        ];
        assert!(codes.contains(&error.code.as_str()), "{step:?}: {error:?}");
    }
}

/// Instances that EC2 keeps running although the group does not know them.
fn lost(world: &Scripted) -> Vec<String> {
    let lives = |state| matches!(state, InstanceState::Pending | InstanceState::Running);
    let living = world.instances().into_iter().filter(|facts| lives(facts.state)).map(|facts| facts.id);
    living.filter(|id| world.group().member(id).is_none()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_group_keeps_its_bounds_loses_nothing_and_comes_to_rest(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = Scripted::with_group(&[
            ("MinSize", "1"), ("MaxSize", "5"), ("DesiredCapacity", "2"),
            ("HealthCheckType", "ELB"), ("HealthCheckGracePeriod", "30"), ("DefaultInstanceWarmup", "20"),
        ]);
        let cpu = Value::map().with("PredefinedMetricType", Value::from("ASGAverageCPUUtilization"));
        let configuration =
            Value::map().with("TargetValue", Value::from("50")).with("PredefinedMetricSpecification", cpu);
        let mut fields =
            params(&[("AutoScalingGroupName", "web"), ("PolicyName", "cpu"), ("PolicyType", "TargetTrackingScaling")]);
        fields.0.push(("TargetTrackingConfiguration".to_owned(), configuration));
        world.call_with("PutScalingPolicy", fields).unwrap();

        for step in &steps {
            let (active, launched) = (world.group().active(), world.bench.booted.len());
            perform(&mut world, step);
            let group = world.group();
            prop_assert!((group.settings.min..=group.settings.max).contains(&group.desired()), "{step:?}");
            prop_assert_eq!(lost(&world), Vec::<String>::new(), "{:?}", step);
            if world.bench.booted.len() > launched {
                // An instance refresh may go above the maximum by what MaxHealthyPercentage allows: a tenth, at least one.
                prop_assert!(group.active() <= active.max(group.settings.max + 1), "{step:?}: {}", group.active());
            }
        }

        world.refuses(false);
        world.call("ResumeProcesses", &[]).unwrap();
        // Protected instances stay for good, so the protection goes.
        let members = world.group().members.iter().filter(|member| !member.lifecycle.is_warmed());
        let ids: Vec<Value> = members.map(|member| Value::from(member.id.as_str())).collect();
        let mut fields = params(&[("AutoScalingGroupName", "web"), ("ProtectedFromScaleIn", "false")]);
        fields.0.push(("InstanceIds".to_owned(), Value::List(ids)));
        world.call_with("SetInstanceProtection", fields).unwrap();
        world.run(3 * 3600);

        let group = world.group();
        prop_assert_eq!(i64::try_from(world.in_service().len()).unwrap(), group.desired());
        let rests = |it: Lifecycle| matches!(it, Lifecycle::InService | Lifecycle::Standby) || it.is_ready();
        prop_assert!(group.members.iter().all(|member| rests(member.lifecycle)), "{:?}", group.members);
        prop_assert_eq!(i64::try_from(group.pooled().count()).unwrap(), group.pool_size_wanted());
        prop_assert!(world.in_service().iter().all(|member| member.unhealthy_cause.is_none()));
        prop_assert!(group.active_refresh().is_none(), "{:?}", group.refreshes);
        prop_assert_eq!(lost(&world), Vec::<String>::new());
        prop_assert!(group.history.in_progress().is_none(), "{:?}", group.history.in_progress());
        let targets = world.targets();
        prop_assert_eq!(targets.len(), world.in_service().len(), "targets: {:?}", targets);
    }
}
