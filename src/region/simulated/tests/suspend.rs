//! A machine that sleeps for hours, and a clock that is set back: what was due meanwhile happens once, and nothing is made up
//! of the time that nobody measured.

use jiff::SignedDuration;

use crate::region::simulated::Simulated;

const SIZES: &str = "&MinSize=1&MaxSize=10&DesiredCapacity=2&DefaultInstanceWarmup=60";
const CPU: &str = "PredefinedMetricSpecification.PredefinedMetricType=ASGAverageCPUUtilization";

/// The whole machine stands still, clocks apart.
fn sleep(cloud: &mut Simulated, hours: i64) {
    cloud.now += SignedDuration::from_hours(hours);
    // No request is served meanwhile, and nobody gets those of the whole night at once.
    cloud.accounted = cloud.now;
    cloud.run(0);
}

#[test]
fn a_night_in_which_nobody_measured_scales_nothing_and_a_rush_in_the_morning_does() {
    let mut cloud = Simulated::with_group(SIZES);
    cloud.track("cpu", "50", CPU);
    cloud.load_now(90.0);
    cloud.run(3600);
    let before = cloud.desired();
    let members = cloud.in_service();
    sleep(&mut cloud, 8);
    cloud.run(1200);
    assert_eq!((cloud.desired(), cloud.in_service()), (before, members), "the load is what it was");
    cloud.load_now(400.0);
    cloud.run(600);
    assert!(cloud.desired() > before, "{} of {before}", cloud.desired());
}

#[test]
fn an_alarm_that_sleeps_says_what_it_missed_not_what_it_did_not_see() {
    let mut cloud = Simulated::with_group(SIZES);
    let out = cloud.step("out", "ChangeInCapacity", &[(Some(0), None, 1)], "");
    cloud.cpu_alarm("busy", "GreaterThanThreshold", 50, 1, &out);
    cloud.load_now(60.0);
    cloud.run(600);
    let before = cloud.alarm_history("busy").len();
    sleep(&mut cloud, 8);
    cloud.run(600);
    let entries = cloud.alarm_history("busy").len() - before;
    assert!(entries <= 4, "{entries}: no entry for each minute of the night");
    assert_eq!(cloud.desired(), 2);
}

#[test]
fn what_was_scheduled_for_the_night_runs_once_in_the_morning_in_its_order() {
    let mut cloud = Simulated::with_group(SIZES);
    let form = "AutoScalingGroupName=web&ScheduledActionName";
    let at = |hours: i64| (cloud.now + SignedDuration::from_hours(hours)).to_string();
    let (two, four) = (at(2), at(4));
    cloud.asg("PutScheduledUpdateGroupAction", &format!("{form}=down&StartTime={two}&DesiredCapacity=1"));
    cloud.asg("PutScheduledUpdateGroupAction", &format!("{form}=up&StartTime={four}&DesiredCapacity=4"));
    cloud.asg("PutScheduledUpdateGroupAction", &format!("{form}=hourly&Recurrence=30+*+*+*+*&MaxSize=9"));
    sleep(&mut cloud, 8);
    cloud.run(600);
    assert_eq!(cloud.desired(), 4, "the later one counts");
    let left = cloud.asg("DescribeScheduledActions", "AutoScalingGroupName=web").maps("ScheduledUpdateGroupActions");
    let names: Vec<&str> = left.iter().filter_map(|action| action.text("ScheduledActionName")).collect();
    assert_eq!(names, ["hourly"], "what happens once has happened");
    assert!(cloud.group().schedule["hourly"].next.is_some_and(|next| next > cloud.now));
    let ended = cloud.activities().iter().filter(|(description, ..)| description.contains("Terminating")).count();
    assert_eq!(ended, 0, "one that came and went in the night has ended nobody");
}

#[test]
fn a_clock_that_is_set_back_undoes_nothing_and_stops_nothing() {
    let mut cloud = Simulated::with_group(SIZES);
    cloud.track("cpu", "50", CPU);
    cloud.load_now(90.0);
    cloud.run(3600);
    let (desired, members) = (cloud.desired(), cloud.in_service());
    // The shells ask `clock::now`, which never goes back; a model that is told an earlier time all the same stays whole.
    for minutes in [1, 30, 600] {
        let earlier = cloud.now - SignedDuration::from_mins(minutes);
        let outward = cloud.world.advance(earlier);
        assert!(outward.is_empty(), "{outward:?}");
    }
    cloud.run(600);
    assert_eq!((cloud.desired(), cloud.in_service()), (desired, members));
}
