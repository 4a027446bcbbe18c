//! The stack language: every key, what it may hold, its default and what it is for.

use super::local::LOCAL;
use super::quotas::QUOTAS;
use crate::document::grammar::Presence::{Default, Optional, Required};
use crate::document::grammar::{Key, Kind, Object, Presence, seconds};

mod group;

pub use group::*;

/// The top of a stack file.
pub static STACK: Object = Object {
    name: "stack",
    about: "Clusters of EC2 instances, behind one load balancer unless there is to be none.",
    keys: &[
        key("name", NAME, Required, "Names everything that the stack creates."),
        key(
            "provider",
            Kind::Choice(&["local", "aws"]),
            Default("local"),
            "`local`: the embedded region; `aws`: the cloud.",
        ),
        key("local", Kind::Object(&LOCAL), Optional, "How the embedded region runs when this stack starts it."),
        key("region", REGION, Default("us-east-1"), "The AWS region."),
        key(
            "variables",
            Kind::Map { keys: &VARIABLE, values: &Kind::OneOf(&[Kind::Text, Kind::Object(&SECRET_VARIABLE)]) },
            Optional,
            "For `${var.NAME}` in user data; `--var NAME=VALUE` overrides.",
        ),
        key(
            "network",
            Kind::OneOf(&[Kind::Choice(&["default"]), Kind::Object(&EXISTING_NETWORK), Kind::Object(&CREATED_NETWORK)]),
            Default("default"),
            "The default VPC, an existing one, or one of the stack's own.",
        ),
        key(
            "load_balancer",
            Kind::OneOf(&[Kind::Choice(&["none"]), Kind::Object(&LOAD_BALANCER)]),
            Optional,
            "The application load balancer; `none`: fixed instances alone, without routes.",
        ),
        key(
            "routes",
            Kind::Map { keys: &NAME, values: &Kind::Object(&WEIGHTED_ROUTE) },
            Optional,
            "Paths whose requests several clusters share, by name; they come before the routes of the clusters.",
        ),
        key(
            "clusters",
            Kind::Map { keys: &NAME, values: &Kind::Object(&CLUSTER) },
            Required,
            "The clusters, by name; earlier ones take precedence where routes overlap.",
        ),
        key(
            "load_generators",
            Kind::Object(&LOAD_GENERATORS),
            Optional,
            "Instances that run Locust's workers for `bench --engine locust`.",
        ),
        key(
            "dashboard",
            Kind::Flag,
            Default("false"),
            "Whether CloudWatch shows sizes, requests, latency, health and alarms of the clusters on one page.",
        ),
        key("ssh", Kind::Object(&SSH), Optional, "Who may log in to the instances. [default: nobody]"),
        key("quotas", Kind::Object(&QUOTAS), Optional, "The account's own quotas, by their names in Service Quotas."),
        key("benchmark", Kind::Text, Optional, "The scenario that `bench` runs; relative to this file."),
        key(
            "tags",
            Kind::Map { keys: &Kind::Text, values: &Kind::Text },
            Optional,
            "On every resource that the stack creates.",
        ),
    ],
};

pub static SECRET_VARIABLE: Object = Object {
    name: "secret variable",
    about: "A variable whose value is given by `--var NAME=@FILE`, `--var-file FILE` or CLOUDSCALE_VAR_NAME, and shown nowhere.",
    keys: &[key("secret", Kind::Flag, Required, "`true`.")],
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
        key("cidr", RANGE, Required, "The VPC's address range."),
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
        key("port", PORT, Default("80"), "The port of HTTP."),
        key("https", Kind::Object(&HTTPS), Optional, "Serves HTTPS; HTTP then only leads there."),
        key("default", Kind::Object(&FIXED_RESPONSE), Optional, "What answers a path that no route matches."),
    ],
};

pub static HTTPS: Object = Object {
    name: "https",
    about: "An HTTPS listener. The embedded region serves it with a certificate of its own (`cloudscale local certificate`).",
    keys: &[
        key(
            "certificate",
            Kind::Pattern {
                regex: "^arn:aws[a-z-]*:(acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+|iam::[0-9]{12}:server-certificate/[A-Za-z0-9/+=,.@_-]+)$",
                characters_max: 2048,
                form: "the ARN of a certificate (`arn:aws:acm:…:certificate/…`)",
            },
            Required,
            "Its ARN in ACM, in the stack's region, or in IAM.",
        ),
        key("port", PORT, Default("443"), "The port of HTTPS."),
        key(
            "policy",
            Kind::Pattern {
                regex: "^ELBSecurityPolicy-[A-Za-z0-9-]+$",
                characters_max: 128,
                form: "the name of a security policy (`ELBSecurityPolicy-…`)",
            },
            Default("ELBSecurityPolicy-TLS13-1-2-2021-06"),
            "Which versions and ciphers of TLS are spoken.",
        ),
        key(
            "redirect",
            Kind::Flag,
            Default("true"),
            "Whether HTTP leads to HTTPS (301); otherwise its port is closed.",
        ),
    ],
};

pub static WEIGHTED_ROUTE: Object = Object {
    name: "weighted route",
    about: "Paths whose requests several clusters share by weight: a canary, or blue and green.",
    keys: &[
        key("paths", Kind::List(&Kind::Text), Required, "Path patterns; `*` and `?` are wildcards."),
        key(
            "weights",
            Kind::Map { keys: &NAME, values: &Kind::Integer { min: 0, max: 999 } },
            Required,
            "Cluster → weight; a cluster's share is its weight over the sum.",
        ),
        key(
            "stickiness",
            seconds(1, 604_800),
            Optional,
            "For so long a client stays with the cluster that answered it first. [default: not at all]",
        ),
    ],
};

pub static SSH: Object = Object {
    name: "ssh",
    about: "SSH to the instances, from one range of addresses.",
    keys: &[
        key(
            "key",
            Kind::Pattern { regex: r"^\S(.*\S)?$", characters_max: 255, form: "the name of a key pair" },
            Required,
            "The name of a key pair that EC2 has in the region.",
        ),
        key("cidr", RANGE, Required, "Who may connect, e.g. `203.0.113.7/32`; never the whole internet."),
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
    about: "Instances of one type behind one target group: fixed instances (`instances`) or a group (`autoscaling`).",
    keys: &[
        key("instance_type", INSTANCE_TYPE, Default("t3.micro"), "The EC2 instance type."),
        key("instances", Kind::Integer { min: 0, max: 5000 }, Optional, "So many fixed instances. [default: 1]"),
        key("rollout", Kind::Object(&FIXED_ROLLOUT), Optional, "How fixed instances are replaced when they change."),
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
        key(
            "instance_profile",
            INSTANCE_PROFILE,
            Optional,
            "An existing instance profile, by name or ARN: the role that the instances act in.",
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
        key(
            "algorithm",
            Kind::Choice(&["round_robin", "least_outstanding_requests", "weighted_random"]),
            Default("round_robin"),
            "How the load balancer chooses an instance.",
        ),
        key(
            "stickiness",
            seconds(1, 604_800),
            Optional,
            "For so long a client stays with its instance, by a cookie. [default: not at all]",
        ),
        key(
            "slow_start",
            seconds(30, 900),
            Optional,
            "How long the share of a new instance rises to its full height. [default: at once]",
        ),
        key(
            "deregistration_delay",
            seconds(0, 3600),
            Default("300s"),
            "How long requests in flight may take before their instance goes.",
        ),
    ],
};

pub static LOAD_GENERATORS: Object = Object {
    name: "load generators",
    about: "Fixed instances that run Locust's workers, one for each of their virtual CPUs; no load balancer knows them.",
    keys: &[
        key("instance_type", INSTANCE_TYPE, Default("t3.micro"), "The EC2 instance type."),
        key("instances", Kind::Integer { min: 1, max: 500 }, Default("1"), "So many of them."),
        key(
            "master",
            Kind::Text,
            Optional,
            "Where `bench` listens for them, as they reach it: ADDRESS:PORT. [default in the embedded region: 127.0.0.1:5557]",
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

pub static FIXED_ROLLOUT: Object = Object {
    name: "rollout",
    about: "In percent of `instances`. Every round waits until new instances serve and old ones have drained.",
    keys: &[
        key(
            "max_surge",
            Kind::Integer { min: 0, max: 100 },
            Default("25"),
            "So many run in addition meanwhile, rounded up: they cost, and count against the account's quota.",
        ),
        key(
            "max_unavailable",
            Kind::Integer { min: 0, max: 100 },
            Default("0"),
            "So many may be missing meanwhile, rounded down.",
        ),
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
const INSTANCE_TYPE: Kind = Kind::Pattern {
    regex: r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$",
    characters_max: 64,
    form: "an instance type such as `t3.micro`",
};
const INSTANCE_PROFILE: Kind = Kind::Pattern {
    regex: r"^(arn:aws[a-z-]*:iam::[0-9]{12}:instance-profile/[A-Za-z0-9+=,.@_/-]+|[A-Za-z0-9+=,.@_-]{1,128})$",
    characters_max: 600,
    form: "the name or the ARN of an instance profile",
};
const RANGE: Kind = Kind::Pattern {
    regex: r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$",
    characters_max: 32,
    form: "an address range such as `10.0.0.0/16`",
};
const PORT: Kind = Kind::Integer { min: 1, max: 65_535 };

const fn key(name: &'static str, kind: Kind, presence: Presence, about: &'static str) -> Key {
    Key { name, kind, presence, about }
}
