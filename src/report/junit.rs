//! A run as JUnit XML, which CI systems show: a test suite for each target, a test case for each threshold.
//!
//! The form is that of the JUnit Ant task, which Jenkins, GitLab and GitHub's actions read. A run that its client limited is
//! an error rather than a failure: nothing was found out.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::words;
use crate::result::figures;
use crate::result::record::{RunResult, ThresholdResult, Verdict};

pub fn junit(run: &RunResult) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing into memory cannot fail.
    let _ = write(run, &mut writer);
    String::from_utf8(writer.into_inner()).unwrap_or_default()
}

fn write(run: &RunResult, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let seconds = format!("{:.3}", run.elapsed_seconds());
    let name = format!("{} under {}", run.stack, run.scenario);
    let mut all = BytesStart::new("testsuites");
    all.push_attribute(("name", visible(&name).as_str()));
    all.push_attribute(("time", seconds.as_str()));
    writer.write_event(Event::Start(all))?;
    for target in &run.targets {
        let own: Vec<_> = run.thresholds.iter().filter(|threshold| threshold.target == target.name).collect();
        let failures = own.iter().filter(|threshold| !threshold.held).count();
        let stopped = stopped(run);
        let mut suite = BytesStart::new("testsuite");
        suite.push_attribute(("name", visible(&target.name).as_str()));
        suite.push_attribute(("tests", (own.len() + 1).to_string().as_str()));
        suite.push_attribute(("failures", failures.to_string().as_str()));
        suite.push_attribute(("errors", if stopped.is_some() { "1" } else { "0" }));
        suite.push_attribute(("timestamp", run.started.to_string().as_str()));
        suite.push_attribute(("time", seconds.as_str()));
        writer.write_event(Event::Start(suite))?;
        case(writer, &target.name, "the load generator was not its own limit", stopped.map(|why| ("error", why)))?;
        for threshold in own {
            let failure = (!threshold.held).then(|| ("failure", measured(threshold)));
            case(writer, &target.name, &threshold.threshold, failure)?;
        }
        writer.write_event(Event::End(BytesEnd::new("testsuite")))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))
}

fn stopped(run: &RunResult) -> Option<String> {
    match run.verdict {
        Verdict::Limited => Some(run.client.limits.join("; ")),
        Verdict::Interrupted => Some(words::verdict(run.verdict).to_owned()),
        Verdict::Passed | Verdict::Missed => None,
    }
}

fn measured(threshold: &ThresholdResult) -> String {
    format!("measured {}{}", threshold.shown(), figures::minutes(&threshold.lost_minutes))
}

fn case(writer: &mut Writer<Vec<u8>>, class: &str, name: &str, wrong: Option<(&str, String)>) -> std::io::Result<()> {
    let mut case = BytesStart::new("testcase");
    case.push_attribute(("classname", visible(class).as_str()));
    case.push_attribute(("name", visible(name).as_str()));
    let Some((kind, why)) = wrong else { return writer.write_event(Event::Empty(case)) };
    writer.write_event(Event::Start(case))?;
    let mut element = BytesStart::new(kind);
    element.push_attribute(("message", visible(&why).as_str()));
    writer.write_event(Event::Start(element))?;
    writer.write_event(Event::Text(BytesText::new(&visible(&why))))?;
    writer.write_event(Event::End(BytesEnd::new(kind)))?;
    writer.write_event(Event::End(BytesEnd::new("testcase")))
}

/// Without control characters, which XML 1.0 cannot hold even escaped.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::TargetResult;

    #[test]
    fn a_missed_threshold_is_a_failure_and_a_limited_client_an_error() {
        let started = "2026-11-21T21:45:12Z".parse().expect("a timestamp");
        let mut run = RunResult::empty("a<b>\u{1b}", started);
        run.verdict = Verdict::Limited;
        run.client.limits = vec!["its busiest worker used 97 %".into()];
        run.targets.push(TargetResult { name: "light".into(), ..TargetResult::default() });
        run.thresholds.push(ThresholdResult {
            threshold: "p99 < 500ms".into(),
            target: "light".into(),
            measured: Some(612.5),
            unit: "ms".into(),
            held: false,
            lost_minutes: vec![2],
        });
        insta::assert_snapshot!(junit(&run), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="a&lt;b&gt;� under " time="0.000">
          <testsuite name="light" tests="2" failures="1" errors="1" timestamp="2026-11-21T21:45:12Z" time="0.000">
            <testcase classname="light" name="the load generator was not its own limit">
              <error message="its busiest worker used 97 %">its busiest worker used 97 %</error>
            </testcase>
            <testcase classname="light" name="p99 &lt; 500ms">
              <failure message="measured 612.5 ms, lost in minute 2">measured 612.5 ms, lost in minute 2</failure>
            </testcase>
          </testsuite>
        </testsuites>
        "#);
    }
}
