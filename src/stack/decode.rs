//! From a document to the model, with the rules that one value or one cluster can break.
//!
//! Ranges and forms are in [`language`](super::language); here are the rules of AWS that need more than one value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::autoscaling;
use super::instance_types;
use super::language::{AUTOSCALING, CLUSTER, FIXED_ROLLOUT, HEALTH_CHECK, IMAGE_PARAMETER, MIX, STACK};
use super::model::{
    Autoscaling, Capacity, Cluster, FixedRollout, HealthCheck, Image, Provider, Purpose, Stack, Variable, WeightedRoute,
};
use super::routes::{self, Route};
use super::variables::variables;
use super::{Overrides, userdata};
use super::{load_balancer, load_generators, local, network};
use crate::catalog::images;
use crate::catalog::instance_types::is_arm;
use crate::document::name::key;
use crate::document::suggest;
use crate::document::{Document, Fields, scalar_text, texts};
use crate::problem::{Problem, Problems};

/// Widgets of a dashboard (CloudWatch User Guide, "Service quotas").
const WIDGETS_MAX: usize = 500;
/// A resource takes 50 tags; some are ours.
const TAGS_MAX: usize = 45;
const TAG_KEY_CHARACTERS_MAX: usize = 128;
const TAG_VALUE_CHARACTERS_MAX: usize = 256;

/// The stack that a document describes. It is only of use when `problems` has no error afterwards.
pub fn stack(document: &Document, file: &Path, overrides: &Overrides, problems: &mut Problems) -> (Stack, Vec<Route>) {
    let fields = document.fields();
    let name = fields.text(key!(STACK, "name"));
    let variables = variables(&fields, &overrides.given, problems);
    // Another name is a problem of the language.
    let provider = Provider::named(&fields.text(key!(STACK, "provider"))).unwrap_or(Provider::Local);
    let provider = overrides.provider.unwrap_or(provider);
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut routes = Vec::new();
    let weighted = load_balancer::weighted_routes(&fields, &mut routes, problems);
    let shared = (&*name, &variables);
    let balanced = !load_balancer::is_none(&fields);
    let mut decoder = Decoder { shared, provider, folder, balanced, weighted: &weighted, routes, problems };
    let mut clusters: Vec<Cluster> = fields
        .map(key!(STACK, "clusters"))
        .iter()
        .map(|entry| decoder.cluster(&entry.key, &Fields::of(&document.source, &entry.value, &CLUSTER)))
        .collect();
    let generators = decoder.load_generators(&fields);
    let routes = decoder.routes;
    if clusters.is_empty() && fields.is_written(key!(STACK, "clusters")) {
        let problem = fields.problem(key!(STACK, "clusters"), "No clusters", "a stack needs at least one cluster");
        problems.push(problem.hint("add one, e.g. `web: {instance_type: t3.micro}`"));
    }
    clusters.extend(generators);
    let region = overrides.region.clone().unwrap_or_else(|| fields.text(key!(STACK, "region")));
    let stack = Stack {
        network: network::network(&fields, problems),
        load_balancer: load_balancer::load_balancer(&fields, &region, problems),
        routes: weighted,
        dashboard: dashboard(&fields, &clusters, problems),
        clusters,
        ssh: network::ssh(&fields, problems),
        local: local::local(&fields, provider, problems),
        provider,
        region,
        benchmark: benchmark(&fields, folder, problems),
        tags: tags(&fields, problems),
        file: file.to_owned(),
        variables,
        name,
    };
    (stack, routes)
}

/// A row of four widgets for each cluster, and the alarms in widgets of 100.
fn dashboard(fields: &Fields, clusters: &[Cluster], problems: &mut Problems) -> bool {
    let is_wanted = fields.flag(key!(STACK, "dashboard"));
    let policies = clusters.iter().map(|cluster| match &cluster.capacity {
        Capacity::Group(scaling) => scaling.policies.len(),
        Capacity::Fixed { .. } => 0,
    });
    // Target tracking has two alarms.
    let widgets = clusters.len() * 4 + (policies.sum::<usize>() * 2).div_ceil(100);
    if is_wanted && widgets > WIDGETS_MAX {
        let detail =
            format!("{} clusters need {widgets} widgets, but a dashboard has at most {WIDGETS_MAX}", clusters.len());
        problems.push(
            fields.problem(key!(STACK, "dashboard"), "The dashboard is too large", detail).hint("remove `dashboard`"),
        );
    }
    is_wanted
}

fn tags(fields: &Fields, problems: &mut Problems) -> BTreeMap<String, String> {
    let entries = fields.map(key!(STACK, "tags"));
    for entry in entries {
        let value = scalar_text(&entry.value).unwrap_or_default();
        let reserved = ["aws:", "cloudscale:"].into_iter().find(|prefix| entry.key.to_lowercase().starts_with(prefix));
        let mistake = if let Some(prefix) = reserved {
            format!("tags that start with `{prefix}` are not for users")
        } else if entry.key.is_empty() || entry.key.chars().count() > TAG_KEY_CHARACTERS_MAX {
            format!("a tag's key has 1 to {TAG_KEY_CHARACTERS_MAX} characters")
        } else if value.chars().count() > TAG_VALUE_CHARACTERS_MAX {
            format!("a tag's value has at most {TAG_VALUE_CHARACTERS_MAX} characters")
        } else if let Some(character) = entry.key.chars().chain(value.chars()).find(|&character| !is_in_tags(character))
        {
            format!("`{}` is for no tag of Elastic Load Balancing", character.escape_debug())
        } else {
            continue;
        };
        let problem = Problem::usage("Invalid tag", mistake).at(fields.place_of(&entry.value));
        problems.push(problem.hint("tags have letters, digits, blanks and `_ . : / = + - @`"));
    }
    if entries.len() > TAGS_MAX {
        problems.push(fields.problem(
            key!(STACK, "tags"),
            "Too many tags",
            format!("{} tags, but {TAGS_MAX} are possible", entries.len()),
        ));
    }
    texts(entries)
}

/// Elastic Load Balancing takes the fewest: `[\p{L}\p{Z}\p{N}_.:/=+\-@]` (its API, Tag).
fn is_in_tags(character: char) -> bool {
    static ALLOWED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[\p{L}\p{Z}\p{N}_.:/=+\-@]$").expect("a regular expression"));
    ALLOWED.is_match(character.encode_utf8(&mut [0; 4]))
}

fn benchmark(fields: &Fields, folder: &Path, problems: &mut Problems) -> Option<PathBuf> {
    let path = folder.join(fields.text_written(key!(STACK, "benchmark"))?);
    if !path.is_file() {
        let detail = format!("there is no file {}", path.display());
        let problem = Problem::warning("The scenario is missing", detail).at(fields.place(key!(STACK, "benchmark")));
        problems.push(problem.hint("paths are relative to the stack file"));
    }
    Some(path)
}

/// What clusters share while they are decoded.
struct Decoder<'a> {
    /// The stack's name and variables.
    shared: (&'a str, &'a BTreeMap<String, Variable>),
    provider: Provider,
    folder: &'a Path,
    /// Whether there is a load balancer.
    balanced: bool,
    weighted: &'a [WeightedRoute],
    routes: Vec<Route>,
    problems: &'a mut Problems,
}

impl Decoder<'_> {
    fn cluster(&mut self, name: &str, fields: &Fields) -> Cluster {
        let port = fields.integer(key!(CLUSTER, "port"));
        if !self.balanced {
            load_balancer::refuse_in_cluster(fields, self.problems);
        }
        let routes = if self.balanced { self.routes(name, fields) } else { Vec::new() };
        let shares = self.weighted.iter().flat_map(|route| &route.weights).any(|(cluster, _)| cluster == name);
        let capacity = self.capacity(fields, shares || !routes.is_empty());
        let instance_type = self.instance_type(fields, &capacity);
        Cluster {
            name: name.to_owned(),
            purpose: Purpose::Serve,
            image: self.image(fields, &instance_type),
            user_data: self.user_data(name, fields, port),
            port,
            routes,
            health_check: self.health_check(fields),
            balancing: load_balancer::balancing(fields, self.problems),
            capacity,
            instance_type,
            instance_profile: fields.text_written(key!(CLUSTER, "instance_profile")),
        }
    }

    /// What a load balancer would want to know of them is at its defaults: nobody asks.
    fn load_generators(&mut self, stack: &Fields) -> Option<Cluster> {
        let declared = load_generators::declared(stack, self.provider, self.problems)?;
        let fields = stack.unwritten(&CLUSTER);
        Some(Cluster {
            name: load_generators::NAME.to_owned(),
            purpose: Purpose::Load(declared.generators),
            image: self.image(&fields, &declared.instance_type),
            user_data: Some(declared.script),
            port: fields.integer(key!(CLUSTER, "port")),
            routes: Vec::new(),
            health_check: self.health_check(&fields),
            balancing: load_balancer::balancing(&fields, self.problems),
            capacity: Capacity::Fixed { instances: declared.instances, rollout: self.fixed_rollout(&fields) },
            instance_type: declared.instance_type,
            instance_profile: None,
        })
    }

    /// A mixed group's is the first of its types.
    fn instance_type(&mut self, fields: &Fields, capacity: &Capacity) -> String {
        let Capacity::Group(Autoscaling { mix: Some(mix), .. }) = capacity else {
            let name = fields.text(key!(CLUSTER, "instance_type"));
            instance_types::check(&name, fields.place(key!(CLUSTER, "instance_type")), self.provider, self.problems);
            return name;
        };
        let types = fields.object(key!(CLUSTER, "autoscaling"), &AUTOSCALING).object(key!(AUTOSCALING, "mix"), &MIX);
        for node in types.list(key!(MIX, "types")) {
            if let Some(name) = scalar_text(node) {
                instance_types::check(name, fields.place_of(node), self.provider, self.problems);
            }
        }
        if fields.is_written(key!(CLUSTER, "instance_type")) {
            let detail = "the types of a mixed group are those of its `mix`";
            let problem = fields.problem(key!(CLUSTER, "instance_type"), "Both one type and a mix", detail);
            self.problems.push(problem.hint("remove `instance_type`; put the preferred type first in `types`"));
        }
        mix.types.first().cloned().unwrap_or_else(|| fields.text(key!(CLUSTER, "instance_type")))
    }

    fn routes(&mut self, cluster: &str, fields: &Fields) -> Vec<String> {
        if !fields.is_written(key!(CLUSTER, "routes")) {
            let patterns = [format!("/{cluster}"), format!("/{cluster}/*")];
            let place = fields.own_place();
            let route =
                |pattern: &String| Route { owner: cluster.to_owned(), pattern: pattern.clone(), place: place.clone() };
            self.routes.extend(patterns.iter().map(route));
            return patterns.into();
        }
        routes::read(fields, "routes", cluster, &mut self.routes, self.problems)
    }

    fn capacity(&mut self, fields: &Fields, routed: bool) -> Capacity {
        let Some(group) = fields.object_written(key!(CLUSTER, "autoscaling"), &AUTOSCALING) else {
            let instances = fields.integer_written(key!(CLUSTER, "instances")).unwrap_or(1);
            return Capacity::Fixed { instances, rollout: self.fixed_rollout(fields) };
        };
        if fields.is_written(key!(CLUSTER, "rollout")) {
            let detail = "a cluster's own `rollout` is for fixed instances; a group has one within `autoscaling`";
            let problem = fields.problem(key!(CLUSTER, "rollout"), "The rollout is in the wrong place", detail);
            self.problems.push(problem.hint("write `autoscaling: {rollout: {min_healthy: 90, max_healthy: 110}}`"));
        }
        if fields.is_written(key!(CLUSTER, "instances")) {
            let detail = "a cluster has either `instances` (fixed instances) or `autoscaling` (a group)";
            let problem = fields.problem(key!(CLUSTER, "instances"), "Both fixed instances and a group", detail);
            self.problems.push(problem.hint("remove `instances`; the group's `desired` says how many to start with"));
        }
        Capacity::Group(autoscaling::group(&group, routed, self.problems))
    }

    fn fixed_rollout(&mut self, fields: &Fields) -> FixedRollout {
        let rollout = fields.object(key!(CLUSTER, "rollout"), &FIXED_ROLLOUT);
        let bounds = FixedRollout {
            max_surge: rollout.integer(key!(FIXED_ROLLOUT, "max_surge")),
            max_unavailable: rollout.integer(key!(FIXED_ROLLOUT, "max_unavailable")),
        };
        if rollout.is_written(key!(FIXED_ROLLOUT, "max_surge")) && bounds.max_surge == 0 && bounds.max_unavailable == 0
        {
            let detail = "with neither `max_surge` nor `max_unavailable` no instance can be replaced";
            self.problems.push(rollout.problem(key!(FIXED_ROLLOUT, "max_surge"), "Invalid rollout", detail));
        }
        bounds
    }

    fn image(&mut self, fields: &Fields, instance_type: &str) -> Image {
        if let Some(parameter) =
            fields.object(key!(CLUSTER, "image"), &IMAGE_PARAMETER).text_written(key!(IMAGE_PARAMETER, "ssm"))
        {
            return Image::Parameter(parameter);
        }
        let name = fields.text(key!(CLUSTER, "image"));
        if let Some(digits) = name.strip_prefix("ami-") {
            if digits.len() < 8 || !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
                let problem =
                    fields.problem(key!(CLUSTER, "image"), "Invalid image", format!("`{name}` is no id of an image"));
                self.problems.push(problem.hint("an id is `ami-` and 8 or 17 hexadecimal digits"));
            }
            return Image::Id(name);
        }
        let Some((alias, parameter)) = images::ALIASES.iter().find(|(alias, _)| *alias == name) else {
            let detail = format!("`{name}` is neither an id (`ami-…`) nor an image that cloudscale knows");
            let hint = suggest::hint(&name, images::ALIASES.iter().map(|(alias, _)| *alias));
            self.problems.push(fields.problem(key!(CLUSTER, "image"), "Unknown image", detail).hint(hint));
            return Image::Id(name);
        };
        let architecture = match (is_arm(instance_type), alias.starts_with("amazon")) {
            (true, _) => "arm64",
            (false, true) => "x86_64",
            (false, false) => "amd64",
        };
        Image::Alias { parameter: parameter.replace("ARCH", architecture), name }
    }

    fn user_data(&mut self, cluster: &str, fields: &Fields, port: u16) -> Option<super::model::UserData> {
        let written = fields.text_written(key!(CLUSTER, "user_data"))?;
        let file = self.folder.join(&written);
        if !file.is_file() {
            let problem = fields.problem(
                key!(CLUSTER, "user_data"),
                "The script is missing",
                format!("there is no file {}", file.display()),
            );
            self.problems.push(problem.hint("paths are relative to the stack file"));
            return None;
        }
        let (stack, variables) = self.shared;
        let values = userdata::Values { stack, cluster, port, variables };
        userdata::read(&file, &values, self.problems)
    }

    fn health_check(&mut self, fields: &Fields) -> HealthCheck {
        let fields = fields.object(key!(CLUSTER, "health_check"), &HEALTH_CHECK);
        let interval = fields.duration(key!(HEALTH_CHECK, "interval"));
        // AWS's default, shortened where the interval leaves less time.
        let timeout = Duration::from_secs(5).min(interval.saturating_sub(Duration::from_secs(1)));
        let check = HealthCheck {
            path: fields.text(key!(HEALTH_CHECK, "path")),
            interval,
            timeout: fields.duration_written(key!(HEALTH_CHECK, "timeout")).unwrap_or(timeout),
            healthy: fields.integer(key!(HEALTH_CHECK, "healthy")),
            unhealthy: fields.integer(key!(HEALTH_CHECK, "unhealthy")),
            codes: fields.text(key!(HEALTH_CHECK, "codes")),
        };
        let interval_is_sound = !fields.is_written(key!(HEALTH_CHECK, "interval"))
            || fields.duration_written(key!(HEALTH_CHECK, "interval")).is_some();
        if interval_is_sound && check.timeout >= check.interval {
            let detail =
                format!("`timeout` ({:?}) must be shorter than `interval` ({:?})", check.timeout, check.interval);
            self.problems.push(fields.problem(key!(HEALTH_CHECK, "timeout"), "The time limit is too long", detail));
        }
        if !check.path.starts_with('/') || check.path.len() > 1024 || check.path.contains(char::is_whitespace) {
            let detail = format!("`{}` is no path of at most 1024 characters", check.path);
            self.problems
                .push(fields.problem(key!(HEALTH_CHECK, "path"), "Invalid path", detail).hint("for example `/health`"));
        }
        let bounds = check.codes.split([',', '-']).filter_map(|code| code.parse::<u16>().ok());
        let ranges_fall = check.codes.split(',').filter_map(|range| range.split_once('-')).any(|(from, to)| from > to);
        if bounds.into_iter().any(|code| !(200..500).contains(&code)) || ranges_fall {
            let detail = format!("`{}`: codes are from 200 to 499, and ranges rise", check.codes);
            self.problems.push(
                fields
                    .problem(key!(HEALTH_CHECK, "codes"), "Invalid status codes", detail)
                    .hint("for example `200-299`"),
            );
        }
        check
    }
}
