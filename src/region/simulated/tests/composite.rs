//! Composite alarms: their state follows that of others.

use crate::region::simulated::Simulated;
use crate::region::wire::{Params, Service};

fn put(cloud: &mut Simulated, name: &str, rule: &str) {
    let rule = rule.replace(' ', "%20").replace('"', "%22");
    cloud.cloudwatch("PutCompositeAlarm", &format!("AlarmName={name}&AlarmRule={rule}"));
}

fn set(cloud: &mut Simulated, name: &str, state: &str) {
    cloud.cloudwatch("SetAlarmState", &format!("AlarmName={name}&StateValue={state}&StateReason=test"));
}

fn composites(cloud: &mut Simulated, more: &str) -> Vec<Params> {
    let form = format!("AlarmTypes.member.1=CompositeAlarm{more}");
    cloud.cloudwatch("DescribeAlarms", &form).maps("CompositeAlarms")
}

fn state(cloud: &mut Simulated, name: &str) -> String {
    composites(cloud, &format!("&AlarmNames.member.1={name}"))[0].text("StateValue").unwrap().to_owned()
}

fn with_alarms() -> Simulated {
    let mut cloud = Simulated::empty(7);
    for name in ["cpu", "errors"] {
        cloud.cloudwatch(
            "PutMetricAlarm",
            &format!(
                "AlarmName={name}&Namespace=Lab&MetricName={name}&Statistic=Sum&Period=60&EvaluationPeriods=1\
                 &ComparisonOperator=GreaterThanThreshold&Threshold=10&TreatMissingData=ignore"
            ),
        );
        set(&mut cloud, name, "OK");
    }
    cloud
}

#[test]
fn a_composite_alarm_follows_the_alarms_that_its_rule_names_at_once() {
    let mut cloud = with_alarms();
    put(&mut cloud, "both", "ALARM(cpu) AND ALARM(errors)");
    put(&mut cloud, "page", "ALARM(\"both\") AND NOT ALARM(quiet)".replace(" AND NOT ALARM(quiet)", "").as_str());
    assert_eq!(state(&mut cloud, "both"), "OK");
    set(&mut cloud, "cpu", "ALARM");
    assert_eq!((state(&mut cloud, "both"), state(&mut cloud, "page")), ("OK".to_owned(), "OK".to_owned()));
    set(&mut cloud, "errors", "ALARM");
    assert_eq!((state(&mut cloud, "both"), state(&mut cloud, "page")), ("ALARM".to_owned(), "ALARM".to_owned()));
    let shown = composites(&mut cloud, "&AlarmNames.member.1=both")[0].clone();
    let reason = shown.text("StateReason").unwrap();
    assert!(reason.starts_with("arn:aws:cloudwatch:us-east-1:000000000000:alarm:"), "{reason}");
    assert!(reason.ends_with("transitioned to ALARM at Thursday 01 January, 2026 00:00:00 UTC"), "{reason}");
    assert!(shown.text("StateReasonData").unwrap().contains("triggeringAlarms"));
    set(&mut cloud, "cpu", "INSUFFICIENT_DATA");
    assert_eq!(state(&mut cloud, "page"), "OK");

    let history = cloud.cloudwatch("DescribeAlarmHistory", "AlarmName=both&AlarmTypes.member.1=CompositeAlarm");
    assert_eq!(history.maps("AlarmHistoryItems").len(), 4, "created, OK, ALARM, OK");
    assert_eq!(cloud.cloudwatch("DescribeAlarms", "").maps("MetricAlarms").len(), 2);
    assert_eq!(cloud.cloudwatch("DescribeAlarms", "").maps("CompositeAlarms").len(), 0, "unless they are asked for");
    let children = cloud.cloudwatch("DescribeAlarms", "ChildrenOfAlarmName=both").maps("MetricAlarms");
    assert_eq!(children.len(), 2);
    let parents = cloud.cloudwatch("DescribeAlarms", "ParentsOfAlarmName=both").maps("CompositeAlarms");
    assert_eq!(parents[0].text("AlarmName"), Some("page"));
}

/// A metric alarm that changes by its own evaluation is followed, too.
#[test]
fn a_composite_alarm_follows_an_evaluation() {
    let mut cloud = with_alarms();
    put(&mut cloud, "any", "ALARM(cpu) OR ALARM(errors)");
    cloud.cloudwatch(
        "PutMetricData",
        "Namespace=Lab&MetricData.member.1.MetricName=errors&MetricData.member.1.Value=11",
    );
    assert_eq!(state(&mut cloud, "any"), "OK");
    cloud.run(120);
    assert_eq!(state(&mut cloud, "any"), "ALARM");
}

#[test]
fn rules_that_cannot_be_followed_are_refused_and_actions_recorded() {
    let mut cloud = with_alarms();
    put(&mut cloud, "any", "ALARM(cpu)");
    let refused = |cloud: &mut Simulated, form: &str| {
        cloud.try_call(Service::Cloudwatch, "PutCompositeAlarm", form).unwrap_err().code
    };
    for form in [
        "AlarmName=x&AlarmRule=ALARM(gone)",
        "AlarmName=x&AlarmRule=ALARM(x)",
        "AlarmName=cpu&AlarmRule=TRUE",
        "AlarmName=x&AlarmRule=ALARM(",
        "AlarmName=x&AlarmRule=TRUE&AlarmActions.member.1=arn%3Aaws%3Aautoscaling%3Aus-east-1%3A0%3AscalingPolicy%3Ax",
    ] {
        assert_eq!(refused(&mut cloud, form), "ValidationError", "{form}");
    }
    put(&mut cloud, "over", "ALARM(any)");
    assert_eq!(refused(&mut cloud, "AlarmName=any&AlarmRule=ALARM(over)"), "ValidationError", "a circle");
    let topic = "arn%3Aaws%3Asns%3Aus-east-1%3A000000000000%3Aops";
    cloud
        .cloudwatch("PutCompositeAlarm", &format!("AlarmName=told&AlarmRule=ALARM(cpu)&AlarmActions.member.1={topic}"));
    set(&mut cloud, "cpu", "ALARM");
    let form = "AlarmName=told&AlarmTypes.member.1=CompositeAlarm&HistoryItemType=Action";
    let actions = cloud.cloudwatch("DescribeAlarmHistory", form).maps("AlarmHistoryItems");
    assert!(actions[0].text("HistorySummary").unwrap().starts_with("Successfully executed action arn:aws:sns:"));
    let both = "AlarmNames.member.1=told&AlarmNames.member.2=cpu";
    assert_eq!(cloud.try_call(Service::Cloudwatch, "DeleteAlarms", both).unwrap_err().code, "ValidationError");
    cloud.cloudwatch("DeleteAlarms", "AlarmNames.member.1=told");
    assert_eq!(composites(&mut cloud, "").len(), 2);
}
