//! Whether the instance types that a stack names exist where it runs: a slip of the pen must not cost half an `up`.

use super::model::Provider;
use crate::catalog::instance_type_names::{Name, closest, judge};
use crate::problem::{Place, Problem, Problems};

/// Checks a type that is well formed.
pub fn check(name: &str, place: Place, provider: Provider, problems: &mut Problems) {
    let near = closest(name).map(|near| format!("did you mean `{near}`?"));
    let problem = match (judge(name), provider) {
        (Name::Known, _) => return,
        (Name::Wrong, _) => Problem::usage("Unknown instance type", format!("there is no instance type `{name}`"))
            .hint(near.unwrap_or_else(|| {
                "for example `t3.micro`; AWS lists them all at aws.amazon.com/ec2/instance-types".to_owned()
            })),
        (Name::Possible, Provider::Local) => {
            Problem::usage("Unknown instance type", format!("the embedded region has no instance type `{name}`"))
                .hint(near.unwrap_or_else(|| "it has the types that AWS listed when this version was made".to_owned()))
        }
        (Name::Possible, Provider::Aws) => {
            let detail = format!("`{name}` is not among the types that cloudscale knows; AWS may have it");
            Problem::warning("Unlisted instance type", detail)
                .hint(near.unwrap_or_else(|| "check the name; its price is not known here".to_owned()))
        }
    };
    problems.push(problem.at(place));
}
