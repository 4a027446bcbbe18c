//! The stack language: every key, what it may hold, its default and what it is for.

use super::grammar::Presence::{Default, Optional, Required};
use super::grammar::{Key, Kind, Object, Presence, seconds};

/// The top of a stack file.
pub static STACK: Object = Object {
    name: "stack",
    about: "Clusters of EC2 instances behind one load balancer.",
    keys: &[
        key("name", NAME, Required, "Names everything that the stack creates."),
        key(
            "provider",
            Kind::Choice(&["local", "aws"]),
            Default("local"),
            "`local`: the embedded region; `aws`: the cloud.",
        ),
        key("region", REGION, Default("us-east-1"), "The AWS region."),
        key(
            "variables",
            Kind::Map { keys: &VARIABLE, values: &Kind::Text },
            Optional,
            "For `${var.NAME}` in user data; `--var NAME=VALUE` overrides.",
        ),
        key(
            "network",
            Kind::OneOf(&[Kind::Choice(&["default"]), Kind::Object(&EXISTING_NETWORK), Kind::Object(&CREATED_NETWORK)]),
            Default("default"),
            "The default VPC, an existing one, or one of the stack's own.",
        ),
        key("load_balancer", Kind::Object(&LOAD_BALANCER), Optional, "The application load balancer."),
        key(
            "clusters",
            Kind::Map { keys: &NAME, values: &Kind::Object(&CLUSTER) },
            Required,
            "The clusters, by name; earlier ones take precedence where routes overlap.",
        ),
        key("benchmark", Kind::Text, Optional, "The scenario that `bench` runs; relative to this file."),
        key(
            "tags",
            Kind::Map { keys: &Kind::Text, values: &Kind::Text },
            Optional,
            "On every resource that the stack creates.",
        ),
    ],
};

pub static EXISTING_NETWORK: Object = Object {
    name: "network",
    about: "An existing VPC.",
    keys: &[
        key(
            "vpc",
            Kind::Pattern { regex: "^vpc-[0-9a-f]+$", characters_max: 32, form: "the id of a VPC (`vpc-…`)" },
            Required,
            "Its id.",
        ),
        key(
            "subnets",
            Kind::List(&Kind::Pattern {
                regex: "^subnet-[0-9a-f]+$",
                characters_max: 32,
                form: "the id of a subnet (`subnet-…`)",
            }),
            Required,
            "At least two, in different zones.",
        ),
    ],
};

pub static CREATED_NETWORK: Object = Object {
    name: "network",
    about: "A VPC that belongs to the stack, with one public subnet in each zone.",
    keys: &[
        key(
            "cidr",
            Kind::Pattern {
                regex: r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$",
                characters_max: 32,
                form: "an address range such as `10.0.0.0/16`",
            },
            Required,
            "The VPC's address range.",
        ),
        key(
            "zones",
            Kind::Integer { min: 2, max: 6 },
            Default("2"),
            "In how many availability zones; a load balancer needs two.",
        ),
    ],
};

pub static LOAD_BALANCER: Object = Object {
    name: "load balancer",
    about: "The application load balancer.",
    keys: &[
        key("port", PORT, Default("80"), "The listener's port."),
        key("default", Kind::Object(&FIXED_RESPONSE), Optional, "What answers a path that no route matches."),
    ],
};

pub static FIXED_RESPONSE: Object = Object {
    name: "fixed response",
    about: "An answer that the load balancer gives by itself.",
    keys: &[
        key("status", Kind::Integer { min: 200, max: 599 }, Default("404"), "The status code: 2xx, 4xx or 5xx."),
        key("body", Kind::Text, Default("no such cluster\n"), "At most 1024 bytes."),
        key(
            "content_type",
            Kind::Choice(&["text/plain", "text/css", "text/html", "application/javascript", "application/json"]),
            Default("text/plain"),
            "The body's type.",
        ),
    ],
};

pub static CLUSTER: Object = Object {
    name: "cluster",
    about: "Instances of one type behind one target group: a fleet (`instances`) or a group (`autoscaling`).",
    keys: &[
        key(
            "instance_type",
            Kind::Pattern {
                regex: r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$",
                characters_max: 64,
                form: "an instance type such as `t3.micro`",
            },
            Default("t3.micro"),
            "The EC2 instance type.",
        ),
        key("instances", Kind::Integer { min: 0, max: 5000 }, Optional, "A fleet of so many instances. [default: 1]"),
        key("autoscaling", Kind::Object(&AUTOSCALING), Optional, "An Auto Scaling group, instead of `instances`."),
        key(
            "image",
            Kind::OneOf(&[Kind::Text, Kind::Object(&IMAGE_PARAMETER)]),
            Default("amazon-linux-2023"),
            "An alias (`amazon-linux-2023`), an id (`ami-…`) or an SSM parameter.",
        ),
        key(
            "user_data",
            Kind::Text,
            Optional,
            "The script that an instance runs at its first start; relative to this file.",
        ),
        key("port", PORT, Default("8080"), "The port that the application listens on."),
        key(
            "routes",
            Kind::List(&Kind::Text),
            Optional,
            "Path patterns that lead to this cluster; `*` and `?` are wildcards. [default: /NAME and /NAME/*]",
        ),
        key(
            "health_check",
            Kind::Object(&HEALTH_CHECK),
            Optional,
            "When the load balancer takes an instance for healthy.",
        ),
    ],
};

pub static IMAGE_PARAMETER: Object = Object {
    name: "image",
    about: "An image whose id is the value of an SSM parameter.",
    keys: &[key(
        "ssm",
        Kind::Pattern { regex: "^/[A-Za-z0-9_./-]+$", characters_max: 1011, form: "the path of an SSM parameter" },
        Required,
        "The parameter's path.",
    )],
};

pub static HEALTH_CHECK: Object = Object {
    name: "health check",
    about: "When the load balancer takes an instance for healthy.",
    keys: &[
        key("path", Kind::Text, Default("/health"), "The path that is asked."),
        key("interval", seconds(5, 300), Default("10s"), "Between two checks of one instance."),
        key(
            "timeout",
            seconds(2, 120),
            Optional,
            "How long a check waits for the answer; less than `interval`. [default: 5s]",
        ),
        key(
            "healthy",
            Kind::Integer { min: 2, max: 10 },
            Default("2"),
            "Successes in a row that make an instance healthy again.",
        ),
        key("unhealthy", Kind::Integer { min: 2, max: 10 }, Default("2"), "Failures in a row that make it unhealthy."),
        key(
            "codes",
            Kind::Pattern {
                regex: "^[0-9]{3}(-[0-9]{3})?(,[0-9]{3}(-[0-9]{3})?)*$",
                characters_max: 256,
                form: "status codes such as `200`, `200,202` or `200-299`",
            },
            Default("200"),
            "The status codes that count as success, from 200 to 499.",
        ),
    ],
};

pub static AUTOSCALING: Object = Object {
    name: "group",
    about: "An Auto Scaling group.",
    keys: &[
        key("min", CAPACITY, Default("1"), "It never has fewer instances."),
        key("max", CAPACITY, Required, "It never has more instances."),
        key("desired", CAPACITY, Optional, "Instances at creation; afterwards the policies decide. [default: min]"),
        key("warmup", seconds(0, 3600), Default("60s"), "How long a new instance's metrics are left out of account."),
        key("health_grace", seconds(0, 7200), Default("60s"), "How long a new instance may be unhealthy."),
        key("policies", Kind::List(&Kind::Tagged(&POLICY)), Optional, "What changes the capacity."),
        key(
            "schedule",
            Kind::List(&Kind::Object(&SCHEDULED_ACTION)),
            Optional,
            "Changes of the capacity at set times.",
        ),
        key("rollout", Kind::Object(&ROLLOUT), Optional, "How instances are replaced when they change."),
    ],
};

pub static POLICY: Object = Object {
    name: "policy",
    about: "What changes the capacity.",
    keys: &[
        key("target_tracking", Kind::Object(&TARGET_TRACKING), Optional, "Keeps a metric near a target."),
        key(
            "step",
            Kind::Object(&STEP_POLICY),
            Optional,
            "Adds or removes instances by how far a metric is beyond a threshold.",
        ),
    ],
};

pub static TARGET_TRACKING: Object = Object {
    name: "target tracking policy",
    about: "Keeps a metric near a target.",
    keys: &[
        key("name", POLICY_NAME, Optional, "[default: target-tracking-METRIC]"),
        key("metric", METRIC, Required, "The metric to keep."),
        key(
            "target",
            Kind::Number,
            Required,
            "cpu: percent; network: bytes a minute and instance; requests_per_target: requests a minute and instance.",
        ),
    ],
};

pub static STEP_POLICY: Object = Object {
    name: "step policy",
    about: "Adds or removes instances by how far a metric is beyond a threshold: exactly one of `above` and `below`.",
    keys: &[
        key("name", POLICY_NAME, Optional, "[default: step-METRIC-above-THRESHOLD]"),
        key("metric", METRIC, Required, "The metric to watch."),
        key("above", Kind::Number, Optional, "Acts while the metric is greater."),
        key("below", Kind::Number, Optional, "Acts while the metric is smaller."),
        key("period", seconds(10, 86_400), Default("60s"), "Of one datapoint: 10s, 20s, 30s or whole minutes."),
        key(
            "evaluations",
            Kind::Integer { min: 1, max: 1440 },
            Default("2"),
            "Datapoints in a row that must be beyond the threshold.",
        ),
        key("steps", Kind::List(&Kind::Object(&STEP)), Required, "What to do, by the distance from the threshold."),
    ],
};

pub static STEP: Object = Object {
    name: "step",
    about: "The bounds are relative to the threshold; without one the step has no end on that side.",
    keys: &[
        key("from", Kind::Number, Optional, "The lower bound."),
        key("to", Kind::Number, Optional, "The upper bound."),
        key("add", Kind::Integer { min: -1000, max: 1000 }, Required, "Instances to add; a negative number removes."),
    ],
};

pub static CUSTOM: Object = Object {
    name: "metric",
    about: "A metric of your own.",
    keys: &[key("custom", Kind::Object(&CUSTOM_METRIC), Required, "A metric of your own.")],
};

pub static CUSTOM_METRIC: Object = Object {
    name: "custom metric",
    about: "A CloudWatch metric that rises when instances are short and falls when they are many.",
    keys: &[
        key(
            "namespace",
            Kind::Pattern {
                regex: "^[^:\\s][^\\s]*$",
                characters_max: 256,
                form: "a namespace (1–255 characters, no colon first)",
            },
            Required,
            "The metric's namespace.",
        ),
        key("name", Kind::Text, Required, "The metric's name."),
        key(
            "dimensions",
            Kind::Map { keys: &Kind::Text, values: &Kind::Text },
            Optional,
            "Exactly the dimensions that it is published with.",
        ),
        key(
            "statistic",
            Kind::Choice(&["Average", "Minimum", "Maximum", "SampleCount", "Sum"]),
            Default("Average"),
            "How the values of one period become one.",
        ),
    ],
};

pub static SCHEDULED_ACTION: Object = Object {
    name: "scheduled action",
    about: "Changes the capacity at set times: at least one of `min`, `max` and `desired`.",
    keys: &[
        key("name", POLICY_NAME, Required, "Once per group."),
        key("cron", Kind::Text, Required, "When: minute, hour, day of month, month, day of week."),
        key("time_zone", Kind::Text, Default("UTC"), "An IANA time zone such as `America/Toronto`."),
        key("min", CAPACITY, Optional, "The group's new minimum."),
        key("max", CAPACITY, Optional, "The group's new maximum."),
        key("desired", CAPACITY, Optional, "The group's new desired capacity."),
    ],
};

pub static ROLLOUT: Object = Object {
    name: "rollout",
    about: "In percent of the desired capacity; the two differ by at most 100.",
    keys: &[
        key("min_healthy", Kind::Integer { min: 0, max: 100 }, Default("90"), "So much stays in service."),
        key("max_healthy", Kind::Integer { min: 100, max: 200 }, Default("110"), "So much may run meanwhile."),
    ],
};

/// Of stacks and clusters. No `--`: it separates the two in the names of what is created.
const NAME: Kind = Kind::Pattern {
    regex: "^[a-z]([a-z0-9]|-[a-z0-9])*$",
    characters_max: 32,
    form: "a name (small letters, digits and single hyphens, a letter first, at most 32 characters)",
};
static VARIABLE: Kind = Kind::Pattern {
    regex: "^[A-Za-z_][A-Za-z0-9_]*$",
    characters_max: 64,
    form: "a name (letters, digits and underscores)",
};
pub const REGION: Kind =
    Kind::Pattern { regex: "^[a-z]{2}(-[a-z]+)+-[0-9]$", characters_max: 32, form: "a region such as `us-east-1`" };
const POLICY_NAME: Kind = Kind::Pattern {
    regex: "^[A-Za-z0-9_.-]+$",
    characters_max: 64,
    form: "a name (letters, digits, `.`, `_` and `-`, at most 64 characters)",
};
const PORT: Kind = Kind::Integer { min: 1, max: 65_535 };
const CAPACITY: Kind = Kind::Integer { min: 0, max: 5000 };
const METRIC: Kind =
    Kind::OneOf(&[Kind::Choice(&["cpu", "network_in", "network_out", "requests_per_target"]), Kind::Object(&CUSTOM)]);

const fn key(name: &'static str, kind: Kind, presence: Presence, about: &'static str) -> Key {
    Key { name, kind, presence, about }
}
