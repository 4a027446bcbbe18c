//! Whole plans, as they stand on a terminal of 80 columns.

use super::*;
use crate::engine::diff::gentlest_tests::{BASE, report};

fn view(details: bool, color: bool) -> View {
    View { details, width: 80, paint: Paint { color } }
}

/// The plan for a change of the text, over a cloud that is as the text wants it.
fn plan(from: &str, to: &str) -> String {
    assert!(BASE.contains(from), "{from}");
    shown(&report(Some(BASE), Some(&BASE.replace(from, to)), |_| {}))
}

fn shown(report: &Report) -> String {
    let text = render(report, view(false, false));
    let wide = text.lines().filter(|line| line.chars().count() > 80).collect::<Vec<_>>();
    assert!(wide.is_empty(), "wider than 80 columns: {wide:#?}");
    text
}

/// BASE without a cluster.
fn without(cluster: &str, next: &str) -> String {
    let start = BASE.find(&format!("  {cluster}:\n")).expect("the cluster");
    let end = if next.is_empty() { BASE.len() } else { BASE.find(&format!("  {next}:\n")).expect("the next") };
    format!("{}{}", &BASE[..start], &BASE[end..])
}

#[test]
fn a_new_laboratory_is_a_line_for_each_cluster() {
    insta::assert_snapshot!(shown(&report(None, Some(BASE), |_| {})), @"");
}

#[test]
fn details_name_every_resource_and_field() {
    let text = render(&report(None, Some(BASE), |_| {}), view(true, false));
    insta::assert_snapshot!(text.lines().take(9).collect::<Vec<_>>().join("\n"), @"");
}

#[test]
fn a_changed_user_data_tells_how_instances_are_replaced() {
    insta::assert_snapshot!(plan("one.sh", "two.sh"), @"");
}

#[test]
fn a_changed_instance_type_costs_something_else() {
    insta::assert_snapshot!(plan("t2.large", "t2.xlarge"), @"");
}

#[test]
fn a_type_without_a_price_is_named() {
    insta::assert_snapshot!(plan("t2.large", "x9.mega"), @"");
}

#[test]
fn a_removed_cluster_says_what_ends() {
    insta::assert_snapshot!(shown(&report(Some(BASE), Some(&without("fleet", "group")), |_| {})), @"");
}

#[test]
fn drift_is_called_drift() {
    let drifted = report(Some(BASE), Some(&BASE.replace("path: /health", "path: /other")), |change| {
        if change.action == Action::Update {
            "drift: changed outside cloudscale".clone_into(&mut change.reason);
        }
    });
    insta::assert_snapshot!(shown(&drifted), @"");
}

#[test]
fn a_group_is_refreshed_within_its_bounds() {
    insta::assert_snapshot!(plan("m4.large", "m4.xlarge"), @"");
}

#[test]
fn a_group_of_another_range_keeps_or_moves_its_capacity() {
    insta::assert_snapshot!(plan("max: 8\n      desired: 3", "max: 2\n      desired: 2"), @"");
}

#[test]
fn one_cluster_alone_is_scaled() {
    insta::assert_snapshot!(plan("instances: 4", "instances: 6"), @"");
}

#[test]
fn another_port_forces_replacement() {
    insta::assert_snapshot!(plan("port: 8080", "port: 9090"), @"");
}

#[test]
fn down_tells_what_ends_and_what_is_saved() {
    insta::assert_snapshot!(shown(&report(Some(BASE), None, |_| {})), @"");
}

#[test]
fn an_unchanged_stack_has_its_price_and_what_the_scaler_did() {
    let unchanged = report(Some(BASE), Some(BASE), |change| {
        if change.kind == "scaling_group" {
            "live 6, range 2–8, desired capacity not touched".clone_into(&mut change.reason);
        }
    });
    insta::assert_snapshot!(shown(&unchanged), @"");
}

#[test]
fn colour_adds_no_words() {
    let report = report(Some(BASE), Some(&BASE.replace("port: 8080", "port: 9090")), |_| {});
    let colored = render(&report, view(true, true));
    assert_ne!(colored, render(&report, view(true, false)));
    assert_eq!(console::strip_ansi_codes(&colored), render(&report, view(true, false)));
}

#[test]
fn a_long_value_is_cut_to_the_width_and_without_a_terminal_nothing_is() {
    let field = crate::resource::change::FieldChange {
        path: "not_serving".into(),
        live: Some("i-0: ".to_owned() + &"unhealthy ".repeat(20)),
        wanted: None,
        forces_replacement: true,
    };
    let line = field::render(&field, view(false, false));
    assert!(line.trim_end().chars().count() <= 80, "{line}");
    assert!(line.contains('…') && line.ends_with("→ (none)  forces replacement\n"), "{line}");
    let words = "live 6, range 2–8, ".repeat(20);
    let unbound = View { width: u16::MAX, ..view(false, false) };
    assert_eq!(row(1, (Action::Update, "cluster.heavy", &words), 13, unbound).lines().count(), 1);
}

#[test]
fn nothing_of_a_plan_plays_with_the_terminal() {
    let field = |path: &str, live: &str, wanted: &str| crate::resource::change::FieldChange {
        path: path.into(),
        live: Some(live.into()),
        wanted: Some(wanted.into()),
        forces_replacement: false,
    };
    let hostile = report(Some(BASE), Some(&BASE.replace("path: /health", "path: /other")), |change| {
        if change.action == Action::Update {
            change.address.push_str("\u{1b}[2K");
            change.reason = "changed\u{9b}".into();
            change.fields.push(field("tags.owner", "x\u{202e}y", "\u{1b}]0;title\u{7}"));
            change.fields.push(field("user_data", "#!/bin/sh\n\u{1b}[31m\n", "#!/bin/sh\r\n"));
        }
    });
    let text = render(&hostile, view(true, false));
    assert!(text.contains("tags.owner") && text.contains("user_data"), "{text}");
    let plays = |character: &char| character.is_control() && *character != '\n' || *character == '\u{202e}';
    assert_eq!(text.chars().find(plays), None, "{text:?}");
}
