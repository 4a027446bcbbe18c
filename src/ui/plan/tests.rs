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
    insta::assert_snapshot!(shown(&report(None, Some(BASE), |_| {})), @r"
    web on aws

       + cluster.fleet  4 × t2.large behind /fleet, health check GET /health
       + cluster.group  2–8 × m4.large (3 at first) behind /group, health check GET
                        /health
       + load_balancer  HTTP on port 80, other paths answer 404
       + network        a security group for the instances, in the default VPC

    17 to create

    AN HOUR ON AWS            PRICE
    cluster.fleet           $0.3712
    cluster.group   $0.2000–$0.8000
    load_balancer           $0.0225
    total           $0.5937–$1.1937
    $433 to $871 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

#[test]
fn a_cluster_under_another_name_is_one_move() {
    let plan = plan("  fleet:\n", "  crew:\n");
    let told = "cluster.crew  takes over from cluster.fleet: 4 × t2.large instead of 4 ×";
    assert!(plan.contains(&format!("-/+ {told}")), "{plan}");
    assert!(!plan.lines().any(|line| line.trim_start().starts_with("- cluster.fleet ")), "{plan}");
    let rule = plan.lines().find(|line| line.trim_start().starts_with("~ rule")).expect("the rule is in the plan");
    assert!(plan.contains("cluster.fleet.rule → cluster.crew.rule"), "{rule}: {plan}");
}

#[test]
fn details_name_every_resource_and_field() {
    let text = render(&report(None, Some(BASE), |_| {}), view(true, false));
    insta::assert_snapshot!(text.lines().take(9).collect::<Vec<_>>().join("\n"), @r"
    web on aws

       + cluster.fleet  4 × t2.large behind /fleet, health check GET /health
           + instances          does not exist yet
               instances: 4
               template: c6c0b43fedfd
               vpc: vpc-1
               security_group: instances.security_group
               monitoring: true
    ");
}

#[test]
fn a_changed_user_data_tells_how_instances_are_replaced() {
    insta::assert_snapshot!(plan("one.sh", "two.sh"), @r"
    web on aws

     -/+ cluster.fleet  replaces 4 instances, 1 at a time, the old go when the new
                        are healthy
         -/+ instances          changed in the stack
               template: c6c0b43fedfd → 67546d9741fd
           ~ launch_template    changed in the stack
               user_data
                 #!/bin/bash
               - echo one.sh
               + echo two.sh
           ~ target_attachment  follows cluster.fleet.instances

    2 to update, 1 to replace, 14 unchanged; replaces 4 instances

    AN HOUR ON AWS      NOW            AFTER
    cluster.fleet   $0.3712          $0.3712
    cluster.group   $0.3000  $0.2000–$0.8000
    load_balancer   $0.0225          $0.0225
    total           $0.6937  $0.5937–$1.1937
    $433 to $871 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

#[test]
fn a_changed_instance_type_costs_something_else() {
    insta::assert_snapshot!(plan("t2.large", "t2.xlarge"), @r"
    web on aws

     -/+ cluster.fleet  replaces 4 instances (t2.large → t2.xlarge), 1 at a time,
                        the old go when the new are healthy
         -/+ instances          changed in the stack
               template: c6c0b43fedfd → d6aa787baeb1
           ~ launch_template    changed in the stack
               instance_type: t2.large → t2.xlarge
           ~ target_attachment  follows cluster.fleet.instances

    2 to update, 1 to replace, 14 unchanged; replaces 4 instances

    AN HOUR ON AWS      NOW            AFTER
    cluster.fleet   $0.3712          $0.7424
    cluster.group   $0.3000  $0.2000–$0.8000
    load_balancer   $0.0225          $0.0225
    total           $0.6937  $0.9649–$1.5649
    $704 to $1142 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

#[test]
fn a_type_without_a_price_is_named() {
    insta::assert_snapshot!(plan("t2.large", "x8g.large"), @r"
    web on aws

     -/+ cluster.fleet  replaces 4 instances (t2.large → x8g.large), 1 at a time,
                        the old go when the new are healthy
         -/+ instances          changed in the stack
               template: c6c0b43fedfd → fb52e36f2fad
           ~ launch_template    changed in the stack
               instance_type: t2.large → x8g.large
           ~ target_attachment  follows cluster.fleet.instances

    2 to update, 1 to replace, 14 unchanged; replaces 4 instances

    AN HOUR ON AWS               NOW                     AFTER
    cluster.fleet   at least $0.3712                 not known
    cluster.group            $0.3000           $0.2000–$0.8000
    load_balancer            $0.0225                   $0.0225
    total           at least $0.6937  at least $0.2225–$0.8225
    no known price for x8g.large
    $162 to $600 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

#[test]
fn a_removed_cluster_says_what_ends() {
    insta::assert_snapshot!(shown(&report(Some(BASE), Some(&without("fleet", "group")), |_| {})), @r"
    web on aws

       ~ cluster.group  changes rule in place; no instance is replaced
           ~ rule  changed in the stack
               priority: 20 → 10
       - cluster.fleet  4 × t2.large are terminated, 4 resources deleted
       ~ network        changes instances.security_group in place
           ~ instances.security_group  changed in the stack
               ingress.tcp.8080: load_balancer.security_group → (none)

    2 to update, 5 to delete, 10 unchanged

    AN HOUR ON AWS      NOW            AFTER
    cluster.group   $0.3000  $0.2000–$0.8000
    cluster.fleet   $0.3712          $0.0000
    load_balancer   $0.0225          $0.0225
    total           $0.6937  $0.2225–$0.8225
    $162 to $600 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

#[test]
fn drift_is_called_drift() {
    let drifted = report(Some(BASE), Some(&BASE.replace("path: /health", "path: /other")), |change| {
        if change.action == Action::Update {
            "drift: changed outside cloudscale".clone_into(&mut change.reason);
        }
    });
    insta::assert_snapshot!(shown(&drifted), @r"
    web on aws

       ~ cluster.fleet  drift: target_group changed outside cloudscale, set back
           ~ target_group  drift: changed outside cloudscale
               health_check.path: /health → /other

    1 to update, 16 unchanged

    AN HOUR ON AWS      NOW            AFTER
    cluster.fleet   $0.3712          $0.3712
    cluster.group   $0.3000  $0.2000–$0.8000
    load_balancer   $0.0225          $0.0225
    total           $0.6937  $0.5937–$1.1937
    $433 to $871 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

#[test]
fn a_group_is_refreshed_within_its_bounds() {
    insta::assert_snapshot!(plan("m4.large", "m4.xlarge"), @r"
    web on aws

     -/+ cluster.group  an instance refresh replaces 3 instances (m4.large →
                        m4.xlarge), 90–110 % healthy, warm-up 60 s; desired capacity
                        stays 3
           ~ launch_template  changed in the stack
               instance_type: m4.large → m4.xlarge
           ~ scaling_group    follows cluster.group.launch_template

    2 to update, 15 unchanged; replaces 3 instances

    AN HOUR ON AWS      NOW            AFTER
    cluster.fleet   $0.3712          $0.3712
    cluster.group   $0.3000  $0.4000–$1.6000
    load_balancer   $0.0225          $0.0225
    total           $0.6937  $0.7937–$1.9937
    $579 to $1455 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

#[test]
fn a_group_of_another_range_keeps_or_moves_its_capacity() {
    insta::assert_snapshot!(plan("max: 8\n      desired: 3", "max: 2\n      desired: 2"), @r"
    web on aws

       ~ cluster.group  range 2–8 → 2–2; desired capacity 3 → 2
           ~ scaling_group  changed in the stack
               max: 8 → 2

    1 to update, 16 unchanged

    AN HOUR ON AWS      NOW    AFTER
    cluster.fleet   $0.3712  $0.3712
    cluster.group   $0.3000  $0.2000
    load_balancer   $0.0225  $0.0225
    total           $0.6937  $0.5937
    $433 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

#[test]
fn one_cluster_alone_is_scaled() {
    insta::assert_snapshot!(plan("instances: 4", "instances: 6"), @r"
    web on aws

       ~ cluster.fleet  launches 2 instances: 4 → 6
           ~ instances          changed in the stack
               instances: 4 → 6
           ~ target_attachment  follows cluster.fleet.instances

    2 to update, 15 unchanged

    AN HOUR ON AWS      NOW            AFTER
    cluster.fleet   $0.3712          $0.5568
    cluster.group   $0.3000  $0.2000–$0.8000
    load_balancer   $0.0225          $0.0225
    total           $0.6937  $0.7793–$1.3793
    $569 to $1007 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

/// The plan without what it costs.
fn changes_alone(from: &[(&str, &str)]) -> String {
    let changed = from.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let text = shown(&report(Some(BASE), Some(&changed), |_| {}));
    text.split("\n\nAN HOUR").next().unwrap_or_default().to_owned()
}

#[test]
fn more_instances_of_another_type_are_replaced_and_launched() {
    insta::assert_snapshot!(changes_alone(&[("instances: 4", "instances: 6"), ("t2.large", "t2.xlarge")]), @r"
    web on aws

     -/+ cluster.fleet  replaces 4 instances (t2.large → t2.xlarge), 2 at a time,
                        the old go when the new are healthy; launches 2 more: 4 → 6
         -/+ instances          changed in the stack
               instances: 4 → 6
               template: c6c0b43fedfd → d6aa787baeb1
           ~ launch_template    changed in the stack
               instance_type: t2.large → t2.xlarge
           ~ target_attachment  follows cluster.fleet.instances

    2 to update, 1 to replace, 14 unchanged; replaces 4 instances
    ");
}

#[test]
fn of_fewer_instances_of_another_type_only_those_that_stay_are_replaced() {
    let text = changes_alone(&[("instances: 4", "instances: 1"), ("t2.large", "t2.xlarge")]);
    let sentence = "replaces 1 instance (t2.large → t2.xlarge), the old goes when the new is healthy; terminates 3";
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("-/+ cluster.fleet {sentence} instances: 4 → 1")), "{text}");
    assert!(text.ends_with("; replaces 1 instance"), "{text}");
}

/// Nobody asks for their health without a load balancer: they are to run.
#[test]
fn without_a_load_balancer_no_plan_waits_for_health() {
    const ALONE: &str = "name: web\nload_balancer: none\nclusters:\n  \
        fleet: {instance_type: t2.large, image: ami-0123456789abcdef0, instances: 4}\n";
    let own = |cidr: &str| format!("{ALONE}network: {{cidr: {cidr}, zones: 2}}\n");
    let group = ALONE
        .replace("load_balancer: none\n", "")
        .replace("instances: 4", "routes: [/], autoscaling: {min: 1, max: 2}");
    let (larger, before, after) = (ALONE.replace("t2.large", "t2.xlarge"), own("10.0.0.0/16"), own("10.1.0.0/16"));
    for (from, to, told) in [
        (
            ALONE,
            larger.as_str(),
            "replaces 4 instances (t2.large → t2.xlarge), 1 at a time, the old go when the new run",
        ),
        (&before, &after, "launches 4 instances in the new network, the old 4 go when the new run"),
        (&group, ALONE, "-/+ cluster.fleet 4 × t2.large instead of 1 × t2.large"),
    ] {
        let text = shown(&report(Some(from), Some(to), |_| {}));
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(told) && !words.contains("healthy"), "{told}: {text}");
    }
}

#[test]
fn instances_of_several_clusters_are_counted_together() {
    let text = changes_alone(&[("t2.large", "t2.xlarge"), ("m4.large", "m4.xlarge")]);
    assert!(text.ends_with("to replace, 12 unchanged; replaces 7 instances in 2 clusters"), "{text}");
}

#[test]
fn another_network_replaces_every_instance() {
    let own = |cidr: &str| format!("{BASE}network: {{cidr: {cidr}, zones: 2}}\n");
    let text = shown(&report(Some(&own("10.0.0.0/16")), Some(&own("10.1.0.0/16")), |_| {}));
    let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with("        ") || line.contains("old")).collect();
    insta::assert_snapshot!(rows[..9].join("\n"), @r"
    web on aws

     -/+ cluster.fleet  launches 4 instances in the new network, the old 4 go when
         -/+ instances          follows network.vpc
           ~ launch_template    follows instances.security_group
         -/+ rule               follows cluster.fleet.target_group
         -/+ target_attachment  follows cluster.fleet.target_group,
         -/+ target_group       follows network.vpc
     -/+ cluster.group  a new group with 3 instances takes over, the old goes when
    ");
    assert!(text.contains("; replaces 7 instances in 2 clusters\n"), "{text}");
}

#[test]
fn another_port_forces_replacement() {
    insta::assert_snapshot!(plan("port: 8080", "port: 9090"), @r"
    web on aws

     -/+ cluster.fleet  a new target group takes over
           ~ rule               follows cluster.fleet.target_group
         -/+ target_attachment  follows cluster.fleet.target_group
               target_group: cluster…t_group → cluster…p (new)  forces replacement
         -/+ target_group       changed in the stack
               port: 8080 → 9090  forces replacement
       ~ network        changes instances.security_group in place
           ~ instances.security_group  changed in the stack
               ingress.tcp.9090: load_balancer.security_group
               ingress.tcp.8080: load_balancer.security_group → (none)

    2 to update, 2 to replace, 13 unchanged

    AN HOUR ON AWS      NOW            AFTER
    cluster.fleet   $0.3712          $0.3712
    cluster.group   $0.3000  $0.2000–$0.8000
    load_balancer   $0.0225          $0.0225
    total           $0.6937  $0.5937–$1.1937
    $433 to $871 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

#[test]
fn down_tells_what_ends_and_what_is_saved() {
    insta::assert_snapshot!(shown(&report(Some(BASE), None, |_| {})), @r"
    web on aws

       - cluster.fleet  4 × t2.large are terminated, 4 resources deleted
       - cluster.group  3 × m4.large are terminated, 8 resources deleted
       - load_balancer  its DNS name no longer answers
       - network        1 resource deleted

    17 to delete

    AN HOUR ON AWS      NOW    AFTER
    cluster.fleet   $0.3712  $0.0000
    cluster.group   $0.3000  $0.0000
    load_balancer   $0.0225  $0.0000
    total           $0.6937  $0.0000
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
}

#[test]
fn an_unchanged_stack_has_its_price_and_what_the_scaler_did() {
    let unchanged = report(Some(BASE), Some(BASE), |change| {
        if change.kind == "scaling_group" {
            "now 6, range 2–8, desired capacity not touched".clone_into(&mut change.reason);
        }
    });
    insta::assert_snapshot!(shown(&unchanged), @r"
    web on aws

         cluster.group  now 6, range 2–8, desired capacity not touched

    No changes: the cloud matches the stack.
    $0.5937 to $1.1937 an hour on AWS, $433 to $871 a month
    on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs
    ");
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
        observed: Some("i-0: ".to_owned() + &"unhealthy ".repeat(20)),
        desired: None,
        forces_replacement: true,
    };
    let line = field::render(&field, view(false, false));
    assert!(line.trim_end().chars().count() <= 80, "{line}");
    assert!(line.contains('…') && line.ends_with("→ (none)  forces replacement\n"), "{line}");
    let words = "now 6, range 2–8, ".repeat(20);
    let unbound = View { width: u16::MAX, ..view(false, false) };
    assert_eq!(row(1, (Action::Update, "cluster.heavy", &words), 13, unbound).lines().count(), 1);
}

#[test]
fn nothing_of_a_plan_plays_with_the_terminal() {
    let field = |path: &str, observed: &str, desired: &str| crate::resource::change::FieldChange {
        path: path.into(),
        observed: Some(observed.into()),
        desired: Some(desired.into()),
        forces_replacement: false,
    };
    let hostile = report(Some(BASE), Some(&BASE.replace("path: /health", "path: /other")), |change| {
        if change.action == Action::Update {
            change.address = Address::parse(format!("{}\u{1b}[2K", change.address));
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
