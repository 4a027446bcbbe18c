//! The part of the stack language that describes an Auto Scaling group: sizes, policies, schedule, purchase options.

use super::{INSTANCE_TYPE, key};
use crate::document::grammar::Presence::{Default, Optional, Required};
use crate::document::grammar::{Kind, Object, seconds};

pub static AUTOSCALING: Object = Object {
    name: "group",
    about: "An Auto Scaling group.",
    keys: &[
        key(
            "min",
            CAPACITY,
            Default("1"),
            "It never has fewer instances, unless a scheduled action has set another minimum.",
        ),
        key(
            "max",
            CAPACITY,
            Required,
            "It never has more instances, unless a scheduled action has set another maximum.",
        ),
        key("desired", CAPACITY, Optional, "Instances at creation; afterwards the policies decide. [default: min]"),
        key("warmup", seconds(0, 3600), Default("60s"), "How long a new instance's metrics are left out of account."),
        key("cooldown", COOLDOWN, Default("300s"), "How long a `simple` policy waits after it acted."),
        key("health_grace", seconds(0, 7200), Default("60s"), "How long a new instance may be unhealthy."),
        key(
            "health_check_type",
            Kind::Choice(&["ELB", "EC2"]),
            Default("ELB"),
            "`ELB`: what the load balancer finds unhealthy is replaced; `EC2`: only what does not run or hangs.",
        ),
        key(
            "mix",
            Kind::Object(&MIX),
            Optional,
            "Several instance types, on demand and spot, instead of `instance_type`.",
        ),
        key(
            "warm_pool",
            Kind::Object(&WARM_POOL),
            Optional,
            "Instances that are prepared and wait, so that the group grows by a start instead of a boot.",
        ),
        key("policies", Kind::List(&Kind::Tagged(&POLICY)), Optional, "What changes the capacity."),
        key(
            "schedule",
            Kind::List(&Kind::Object(&SCHEDULED_ACTION)),
            Optional,
            "Changes of the capacity at set times.",
        ),
        key(
            "termination",
            Kind::List(&Kind::Choice(&[
                "Default",
                "AllocationStrategy",
                "ClosestToNextInstanceHour",
                "NewestInstance",
                "OldestInstance",
                "OldestLaunchTemplate",
            ])),
            Optional,
            "Which instance goes first when the group shrinks: AWS's termination policies in order. [default: Default]",
        ),
        key(
            "suspend",
            Kind::List(&Kind::Choice(&[
                "AZRebalance",
                "AddToLoadBalancer",
                "AlarmNotification",
                "HealthCheck",
                "InstanceRefresh",
                "Launch",
                "ReplaceUnhealthy",
                "ScheduledActions",
                "Terminate",
            ])),
            Optional,
            "Processes of the group that AWS shall not run.",
        ),
        key(
            "protect_from_scale_in",
            Kind::Flag,
            Default("false"),
            "Whether new instances stay when the group shrinks. Rollouts and unhealthiness replace them nevertheless.",
        ),
        key("rollout", Kind::Object(&ROLLOUT), Optional, "How instances are replaced when they change."),
    ],
};

pub static WARM_POOL: Object = Object {
    name: "warm pool",
    about: "Prepared instances beside a group. User data runs before one waits; what waits stopped costs its volume alone.",
    keys: &[
        key("min", CAPACITY, Default("0"), "So many wait even where the group is as large as it gets."),
        key(
            "prepared",
            CAPACITY,
            Optional,
            "Instances of the group and the pool together; the pool has what the group is short of. [default: the group's max]",
        ),
        key("state", Kind::Choice(&["stopped", "running"]), Default("stopped"), "How prepared instances wait."),
        key("reuse", Kind::Flag, Default("false"), "Whether instances return to the pool when the group shrinks."),
    ],
};

pub static MIX: Object = Object {
    name: "mix",
    about: "How a group spreads over instance types and purchase options. Every instance counts as one.",
    keys: &[
        key("types", Kind::List(&INSTANCE_TYPE), Required, "1 to 40 instance types of one architecture, by priority."),
        key("on_demand_base", CAPACITY, Default("0"), "So many instances are on demand, whatever the capacity."),
        key(
            "on_demand_percent",
            Kind::Integer { min: 0, max: 100 },
            Default("100"),
            "Of those beyond the base so many are on demand; the rest is spot.",
        ),
        key(
            "on_demand_strategy",
            Kind::Choice(&["prioritized", "lowest-price"]),
            Default("prioritized"),
            "Which type is bought on demand.",
        ),
        key(
            "spot_strategy",
            Kind::Choice(&[
                "price-capacity-optimized",
                "capacity-optimized",
                "capacity-optimized-prioritized",
                "lowest-price",
            ]),
            Default("price-capacity-optimized"),
            "Which type is bought as spot.",
        ),
        key(
            "spot_pools",
            Kind::Integer { min: 1, max: 20 },
            Optional,
            "Over how many types `lowest-price` spreads the spot instances. [default: 2]",
        ),
        key(
            "max_price",
            Kind::Pattern {
                regex: r"^[0-9]{1,6}(\.[0-9]{1,6})?$",
                characters_max: 13,
                form: "US dollars an hour, such as `0.05`",
            },
            Optional,
            "No more than this for a spot instance. [default: the on-demand price]",
        ),
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
        key(
            "simple",
            Kind::Object(&SIMPLE_POLICY),
            Optional,
            "Does one thing when a metric is beyond a threshold, and then waits for the cooldown.",
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
        key("scale_in", Kind::Flag, Default("true"), "`false`: it adds instances and never removes one."),
        key("warmup", WARMUP, Optional, "For this policy. [default: the group's]"),
    ],
};

pub static STEP_POLICY: Object = Object {
    name: "step policy",
    about: "Adds or removes instances by how far a metric is beyond a threshold: exactly one of `above` and `below`.",
    keys: &[
        key("name", POLICY_NAME, Optional, "[default: step-METRIC-above-THRESHOLD]"),
        key("metric", METRIC, Required, "The metric to watch."),
        key("above", Kind::Number, Optional, "Acts while the metric is at least this."),
        key("below", Kind::Number, Optional, "Acts while the metric is at most this."),
        key("period", ALARM_PERIOD, Default("60s"), "Of one datapoint: 10s, 20s, 30s or whole minutes."),
        key("evaluations", EVALUATIONS, Default("2"), "Datapoints in a row that must be beyond the threshold."),
        key("steps", Kind::List(&Kind::Object(&STEP)), Required, "What to do, by the distance from the threshold."),
        key("min_change", MIN_CHANGE, Optional, "With `percent`: the fewest instances that are added or removed."),
        key(
            "aggregation",
            Kind::Choice(&["Average", "Minimum", "Maximum"]),
            Default("Average"),
            "Which of the newest datapoints chooses the step.",
        ),
        key("warmup", WARMUP, Optional, "For this policy. [default: the group's]"),
    ],
};

pub static STEP: Object = Object {
    name: "step",
    about: "The bounds are relative to the threshold; without one the step has no end on that side. Exactly one of `add`, \
            `percent` and `set`, the same in all steps of a policy.",
    keys: &[
        key("from", Kind::Number, Optional, "The lower bound."),
        key("to", Kind::Number, Optional, "The upper bound."),
        key("add", ADD, Optional, "Instances to add; a negative number removes."),
        key("percent", PERCENT, Optional, "Percent of the capacity to add; a negative number removes."),
        key("set", CAPACITY, Optional, "The new capacity."),
    ],
};

pub static SIMPLE_POLICY: Object = Object {
    name: "simple policy",
    about: "Does one thing when a metric is beyond a threshold, and then waits for the cooldown: exactly one of `above` and \
            `below`, and one of `add`, `percent` and `set`.",
    keys: &[
        key("name", POLICY_NAME, Optional, "[default: simple-METRIC-above-THRESHOLD]"),
        key("metric", METRIC, Required, "The metric to watch."),
        key("above", Kind::Number, Optional, "Acts while the metric is at least this."),
        key("below", Kind::Number, Optional, "Acts while the metric is at most this."),
        key("period", ALARM_PERIOD, Default("60s"), "Of one datapoint: 10s, 20s, 30s or whole minutes."),
        key("evaluations", EVALUATIONS, Default("2"), "Datapoints in a row that must be beyond the threshold."),
        key("add", ADD, Optional, "Instances to add; a negative number removes."),
        key("percent", PERCENT, Optional, "Percent of the capacity to add; a negative number removes."),
        key("set", CAPACITY, Optional, "The new capacity."),
        key("min_change", MIN_CHANGE, Optional, "With `percent`: the fewest instances that are added or removed."),
        key("cooldown", COOLDOWN, Optional, "For this policy. [default: the group's]"),
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
    about: "Changes the capacity at set times (`cron`) or once (`start`): at least one of `min`, `max` and `desired`.",
    keys: &[
        key("name", POLICY_NAME, Required, "Once per group."),
        key("cron", Kind::Text, Optional, "When: minute, hour, day of month, month, day of week."),
        key("time_zone", Kind::Text, Default("UTC"), "Of `cron`: an IANA time zone such as `America/Toronto`."),
        key("start", INSTANT, Optional, "The first time; without `cron` the only one."),
        key("end", INSTANT, Optional, "With `cron`: never after this."),
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

const POLICY_NAME: Kind = Kind::Pattern {
    regex: "^[A-Za-z0-9_.-]+$",
    characters_max: 64,
    form: "a name (letters, digits, `.`, `_` and `-`, at most 64 characters)",
};
const CAPACITY: Kind = Kind::Integer { min: 0, max: 5000 };
const ADD: Kind = Kind::Integer { min: -1000, max: 1000 };
const PERCENT: Kind = Kind::Integer { min: -100, max: 1000 };
const MIN_CHANGE: Kind = Kind::Integer { min: 1, max: 1000 };
const EVALUATIONS: Kind = Kind::Integer { min: 1, max: 1440 };
const ALARM_PERIOD: Kind = seconds(10, 86_400);
const COOLDOWN: Kind = seconds(0, 3600);
const WARMUP: Kind = seconds(0, 3600);
/// A point in time, to the second.
const INSTANT: Kind = Kind::Pattern {
    regex: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})$",
    characters_max: 25,
    form: "a time with its offset, such as `2026-12-24T18:00:00Z`",
};
const METRIC: Kind =
    Kind::OneOf(&[Kind::Choice(&["cpu", "network_in", "network_out", "requests_per_target"]), Kind::Object(&CUSTOM)]);
