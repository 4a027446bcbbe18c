//! Slips of the pen: each mistake is reported, once, with what was probably meant, and hides no other.

use super::tests::{cluster_problems, group_problems, problems_of, warnings_of};
use super::{Overrides, language};
use crate::document::Document;
use crate::problem::{Problems, Source};

/// What is wrong and what to do about it.
fn told(text: &str) -> Vec<(String, Option<String>)> {
    let source = std::sync::Arc::new(Source { name: "stack.yaml".into(), text: text.into() });
    let outcome = Document::parse(source, &language::STACK)
        .and_then(|document| super::from_document(document, std::path::Path::new("stack.yaml"), &Overrides::default()));
    let Problems(problems) = outcome.expect_err("there is a problem");
    problems.into_iter().map(|problem| (problem.to_string(), problem.hint)).collect()
}

#[test]
fn a_mistyped_instance_type_is_refused_with_what_was_meant() {
    let [(problem, hint)] = &told("name: s\nclusters:\n  a: {instance_type: t3.mircro}\n")[..] else { panic!("one") };
    assert_eq!(problem, "stack.yaml:3:22: Unknown instance type: there is no instance type `t3.mircro`");
    assert_eq!(hint.as_deref(), Some("did you mean `t3.micro`?"));
    assert!(group_problems("mix: {types: [t3.micro, t3.smal]}").contains("there is no instance type `t3.smal`"));
    // The embedded region would refuse it halfway through `up`; AWS may have it.
    assert!(
        cluster_problems("instance_type: m9g.large").contains("the embedded region has no instance type `m9g.large`")
    );
    let warnings = warnings_of("name: s\nprovider: aws\nclusters:\n  a: {instance_type: m9g.large}\n");
    assert!(warnings.starts_with("stack.yaml:4:22: Unlisted instance type: `m9g.large`"), "{warnings}");
    assert!(problems_of("name: s\nprovider: aws\nclusters:\n  a: {instance_type: t3.mircro}\n").contains("t3.mircro"));
}

#[test]
fn one_broken_part_hides_neither_another_nor_the_shape_of_the_rest() {
    let text = concat!(
        "name: shop\nclusters:\n  web:\n    image: [a, b\n    port: 80\n",
        "  api:\n    prot: 81\n    routes: [\"/api\"\n",
        "laod_balancer: {port: 80}\ntags: {owner: me\n"
    );
    let problems: Vec<String> = told(text).into_iter().map(|(problem, _)| problem).collect();
    let at = |line: usize| problems.iter().filter(|p| p.starts_with(&format!("stack.yaml:{line}:"))).count();
    assert!(problems.iter().filter(|problem| problem.contains("Not valid YAML")).count() == 3, "{problems:#?}");
    assert_eq!((at(7), at(9)), (1, 1), "the unknown keys: {problems:#?}");
    assert!(!problems.iter().any(|problem| problem.contains("Missing key")), "nothing is missing: {problems:#?}");
}

#[test]
fn a_number_without_unit_is_answered_with_a_unit_that_fits() {
    let hint = |keys: &str| {
        let [(problem, hint)] = &told(&format!("name: s\nclusters:\n  a: {{{keys}}}\n"))[..] else { panic!("one") };
        assert!(problem.contains("Invalid value"), "{problem}");
        hint.clone().unwrap_or_default()
    };
    assert_eq!(hint("health_check: {timeout: 3}"), "add the unit: `3s`");
    assert_eq!(hint("health_check: {timeout: 2000}"), "add the unit: `2s`", "in seconds it would be out of range");
    assert_eq!(hint("health_check: {timeout: 999999}"), "for example `1m30s`", "in no unit it fits");
    assert_eq!(hint("slow_start: soon"), "for example `1m30s`");
    assert_eq!(hint("health_check: {interval: 300500ms}"), "round it to 5m", "and not beyond the range");
}

#[test]
fn a_malformed_value_is_one_mistake() {
    let one = |keys: &str, place: &str| {
        let text = format!("name: s\nclusters:\n  a: {{autoscaling: {{{keys}}}}}\n");
        let problems = told(&text);
        assert_eq!(problems.len(), 1, "{keys}: {problems:#?}");
        assert!(problems[0].0.contains(place), "{problems:#?}");
        problems[0].1.clone()
    };
    let hint = one("max: 4, policies: [target_tracking: {metric: cpu, target: 50%}]", "`target` is `50%`");
    assert_eq!(hint.as_deref(), Some("write the number alone: `50`"));
    one("max: many", "`max` is `many`");
    one("max: 4, policies: [step: {metric: cpu, above: 70%, steps: [{from: 0, add: 1}]}]", "`above` is `70%`");
    one("max: 4, policies: [step: {metric: cpu, above: 70, steps: [{from: 10%, add: 1}]}]", "`from` is `10%`");
    one("max: 4, desired: all", "`desired` is `all`");
}

#[test]
fn a_number_with_a_leading_zero_is_told_what_it_is_and_hides_no_mistake() {
    let warnings = |keys: &str| warnings_of(&format!("name: s\nclusters:\n  a: {{{keys}}}\n"));
    assert_eq!(
        warnings("instances: 010"),
        "stack.yaml:3:18: A number with a leading zero: `instances` is `010`: that is 10 in YAML 1.2, and 8 to older readers"
    );
    assert!(warnings("instances: 09").ends_with("that is 9 in YAML 1.2"), "eight and nine are no octal digits");
    assert!(warnings("instances: 00").ends_with("that is 0 in YAML 1.2, and 0 to older readers"));
    assert_eq!([warnings("instances: 0"), warnings("instances: 10")], ["", ""]);
    // What is wrong beside it is reported, too.
    let problems = group_problems("min: 05");
    assert!(problems.contains("leading zero") && problems.lines().count() == 2, "{problems}");
}

/// The API reference of Elastic Load Balancing, Tag: `[\p{L}\p{Z}\p{N}_.:/=+\-@]`. Others take more.
#[test]
fn a_tag_that_elastic_load_balancing_refuses_is_refused() {
    let tags = |tags: &str| format!("name: s\nclusters: {{a: {{}}}}\ntags: {{{tags}}}\n");
    assert_eq!(warnings_of(&tags("\"Größe 1_2.3:4/5=6+7-8@9\": \"ñ 日本\"")), "");
    for wrong in ["a: \"x & y\"", "\"a(b)\": x", "a: \"1,2\"", "a: \"tab\\there\"", "a: \"*\"", "a: \"🦀\""] {
        let problems = problems_of(&tags(wrong));
        assert!(problems.contains("is for no tag of Elastic Load Balancing"), "{wrong}: {problems}");
    }
}

#[test]
fn a_file_with_mistakes_elsewhere_still_says_which_stack_it_is() {
    use super::model::Provider;
    use super::{Identity, identify};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stack.yaml");
    let identified = |text: &str| {
        std::fs::write(&file, text).unwrap();
        identify(&file, &Overrides::default())
    };
    let shop = Identity { name: "shop".into(), provider: Provider::Aws, region: "ca-central-1".into() };
    let head = "name: shop\nprovider: aws\nregion: ca-central-1\n";
    for mistake in [
        "clusters: {a: {user_data: gone.sh}}",
        "clusters: {a: {prot: 1}}",
        "tag: {a: b}\nclusters: {}",
        "clusters: {a: {instances: x}}",
    ] {
        assert_eq!(identified(&format!("{head}{mistake}\n")), Some(shop.clone()), "{mistake}");
    }
    // Where one of these is in doubt, another stack might be meant.
    for doubtful in [
        "nmae: shop\nclusters: {}\n",
        "name: Shop!\nclusters: {a: {prot: 1}}\n",
        "name: shop\nprovider: asw\nclusters: {a: {}}\n",
        "name: shop\nprovder: aws\nclusters: {a: {}}\n",
        "name: shop\nregoin: us-west-2\nclusters: {a: {}}\n",
        "just text",
        "name: [",
    ] {
        assert_eq!(identified(doubtful), None, "{doubtful}");
    }
}
