//! A run as CSV files: the latency distributions, the load by the second, capacity and events as they came.

use super::record::RunResult;

/// The files of a run, by name.
pub fn files(run: &RunResult) -> Vec<(&'static str, String)> {
    let mut files = vec![("latency.csv", latency(run)), ("load.csv", load(run))];
    if run.cloud.is_some() {
        files.extend([("capacity.csv", capacity(run)), ("events.csv", events(run))]);
    }
    files
}

/// What each holds, for the report.
pub fn about(name: &str) -> &'static str {
    match name {
        "latency.csv" => "the latency distributions",
        "load.csv" => "requests, errors and latency by the second",
        "capacity.csv" => "desired, running and healthy instances, a line for each change",
        _ => "what the groups, their alarms and instance refreshes did, and why",
    }
}

/// One line for each point of the distributions.
fn latency(run: &RunResult) -> String {
    let mut csv = "target,quantile,latency_ms\n".to_owned();
    for target in &run.targets {
        for (quantile, latency) in &target.distribution {
            csv += &format!("{},{quantile},{latency}\n", field(&target.name));
        }
    }
    csv
}

fn load(run: &RunResult) -> String {
    let mut csv = "target,at_seconds,requests,errors,p50_ms,p99_ms\n".to_owned();
    let shown = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for target in &run.targets {
        let name = field(&target.name);
        for row in &target.timeline {
            let (p50, p99) = (shown(row.p50_ms), shown(row.p99_ms));
            csv += &format!("{name},{},{},{},{p50},{p99}\n", row.at, row.requests, row.errors);
        }
    }
    csv
}

fn capacity(run: &RunResult) -> String {
    let mut csv = "cluster,at_seconds,desired,running,healthy\n".to_owned();
    for point in run.cloud.iter().flat_map(|cloud| &cloud.capacity) {
        csv +=
            &format!("{},{},{},{},{}\n", field(&point.cluster), point.at, point.desired, point.running, point.healthy);
    }
    csv
}

fn events(run: &RunResult) -> String {
    let mut csv = "cluster,at_seconds,what,status,cause\n".to_owned();
    let Some(cloud) = &run.cloud else { return csv };
    let mut rows: Vec<(f64, String)> = Vec::new();
    let mut row = |at: f64, cluster: &str, what: &str, status: &str, cause: &str| {
        let [cluster, what, status, cause] = [cluster, what, status, cause].map(field);
        rows.push((at, format!("{cluster},{at},{what},{status},{cause}\n")));
    };
    for event in &cloud.events {
        row(event.at, &event.cluster, &event.what, &event.status, &event.cause);
    }
    for alarm in &cloud.alarms {
        row(alarm.at, &alarm.cluster, &format!("Alarm {}", alarm.alarm), alarm.to.as_str(), &alarm.reason);
    }
    for refresh in &cloud.refreshes {
        let reason = refresh.reason.as_deref().unwrap_or_default();
        row(
            refresh.from,
            &refresh.cluster,
            &format!("Instance refresh {}", refresh.id),
            refresh.status.as_str(),
            reason,
        );
    }
    rows.sort_by(|one, other| one.0.total_cmp(&other.0));
    rows.into_iter().for_each(|(_, row)| csv += &row);
    csv
}

/// A field that cannot break out of its place (RFC 4180), nor be taken for a formula by a spreadsheet.
pub fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::{AlarmChange, Cloud, CloudEvent, Refresh, Second, TargetResult};

    #[test]
    fn names_cannot_break_out_of_the_csv() {
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(field("=1+1"), "'=1+1");
    }

    #[test]
    fn what_was_not_measured_is_an_empty_field() {
        let mut run = RunResult::empty("web", jiff::Timestamp::UNIX_EPOCH);
        let second = Second { at: 1, requests: 3, errors: 3, p50_ms: None, p99_ms: None };
        run.targets.push(TargetResult { name: "light".into(), timeline: vec![second], ..TargetResult::default() });
        assert_eq!(files(&run).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["latency.csv", "load.csv"]);
        assert_eq!(load(&run).lines().last(), Some("light,1,3,3,,"));
        let event = CloudEvent {
            at: 2.5,
            cluster: "web".into(),
            what: "Launching".into(),
            cause: "alarm, high".into(),
            status: "Successful".into(),
        };
        let alarm = AlarmChange {
            at: 1.5,
            cluster: "web".into(),
            policy: "cpu".into(),
            alarm: "busy".into(),
            label: "busy".into(),
            from: "OK".into(),
            to: "ALARM".into(),
            values: vec![80.0],
            comparison: Some(">".into()),
            threshold: Some(50.0),
            reason: "80 > 50".into(),
        };
        let refresh = Refresh {
            from: 9.0,
            until: None,
            cluster: "web".into(),
            id: "r-1".into(),
            status: "InProgress".into(),
            percent: None,
            reason: None,
        };
        run.cloud =
            Some(Cloud { events: vec![event], alarms: vec![alarm], refreshes: vec![refresh], ..Cloud::default() });
        assert_eq!(
            files(&run)[3].1.lines().skip(1).collect::<Vec<_>>(),
            [
                "web,1.5,Alarm busy,ALARM,80 > 50",
                "web,2.5,Launching,Successful,\"alarm, high\"",
                "web,9,Instance refresh r-1,InProgress,"
            ]
        );
    }
}
