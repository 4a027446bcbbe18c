//! `diff -o` and `up PLAN`: exactly that plan, or nothing.

use super::moto::{Answer, Moto};
use super::rehearsal::LAB;

struct Place {
    moto: Moto,
    plan: tempfile::NamedTempFile,
}

impl Place {
    fn cloudscale(&self, arguments: &[&str]) -> Answer {
        self.moto.cloudscale(&[&["--provider", "aws"], arguments].concat())
    }

    fn plan(&self) -> &str {
        self.plan.path().to_str().expect("a path")
    }
}

#[test]
fn a_plan_in_a_file_is_applied_without_a_question_and_never_when_something_moved() {
    let plan = tempfile::Builder::new().suffix(".json").tempfile().expect("a file");
    let place = Place { moto: Moto::start(), plan };
    place.cloudscale(&["diff", "-o", place.plan(), LAB]).ok();
    let text = std::fs::read_to_string(place.plan()).expect("the plan");
    assert!(text.contains("cluster.light.instances") && !text.contains("#!/"), "no user data: {text}");
    let up = |more: &[&str]| place.cloudscale(&[&["up", "--wait", "none", place.plan()], more].concat());

    let moved = up(&["--var", "delay_ms=7"]);
    assert_eq!(moved.code, Some(1), "{}", moved.stderr);
    assert!(moved.stderr.contains("The plan is out of date"), "{}", moved.stderr);
    assert_eq!(place.cloudscale(&["ls", "--json"]).ok().stdout.trim(), "[]");

    up(&[]).ok();
    place.cloudscale(&["diff", "--exit-code", LAB]).ok();
    let again = up(&[]);
    assert_eq!(again.code, Some(1), "a plan is applied once");
    assert!(again.stderr.contains("cluster.heavy.rule: planned create, now unchanged"), "{}", again.stderr);
    place.cloudscale(&["down", "--yes", LAB]).ok();
}
