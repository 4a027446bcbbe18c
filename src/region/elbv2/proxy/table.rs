//! The routing as the proxy uses it: plain data joined with what lives on from one routing to the next — targets with
//! their connections and meters, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::super::actions::Forward;
use super::super::routing::{Algorithm, ListenerRoutes, Routing, Standing, TargetGroupRoutes};
use super::super::target::TargetId;
use super::access_log::Entry;
use super::lane::LaneIndex;
use super::log_files::Place;
use super::meters::{FrontMeter, FrontMinute};
use super::secure::{Certificates, Secure};
use super::target::{Target, tag};
use crate::clock::{self, speed};
use crate::region::log_limiter::LogLimiter;

/// What a serving thread keeps of an access log until it is taken, once a second.
const LINES_BYTES_MAX: usize = 16 * 1024 * 1024;
static LOG_FULL: LogLimiter = LogLimiter::new();

/// A load balancer, for its meters and its access log.
#[derive(Debug)]
pub struct Front {
    pub load_balancer: String,
    pub zone: String,
    /// One for each serving thread.
    meters: Box<[FrontMeter]>,
    /// Of the clock minute that runs.
    minute: Mutex<FrontMinute>,
    /// What its HTTPS listeners are served with.
    pub secure: Secure,
    /// Lines of the access log that are not in a file yet, for each serving thread.
    lines: Box<[Mutex<String>]>,
}

impl Front {
    fn new(load_balancer: String, zone: String, lanes: usize, secure: Secure) -> Self {
        Self {
            load_balancer,
            zone,
            meters: (0..lanes).map(|_| FrontMeter::default()).collect(),
            minute: Mutex::default(),
            secure,
            lines: (0..lanes).map(|_| Mutex::default()).collect(),
        }
    }

    /// Adds a line to the access log. Delivery is best effort, as on AWS: what comes faster than it is written is left out.
    pub fn log(&self, lane: LaneIndex, entry: &Entry) {
        let mut lines = self.lines[lane.0].lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_BYTES_MAX {
            entry.write(&mut lines);
        } else if let Some(unsaid) = LOG_FULL.due() {
            tracing::warn!(unsaid, load_balancer = self.load_balancer, "the access log leaves a request out");
        }
    }

    /// The lines that came since the last time.
    pub fn take_lines(&self) -> String {
        let take = |lines: &Mutex<String>| std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
        self.lines.iter().map(take).collect()
    }

    pub fn meter(&self, lane: LaneIndex) -> &FrontMeter {
        &self.meters[lane.0]
    }

    /// Empties the meters into one.
    pub fn drain(&self) -> FrontMeter {
        let sum = FrontMeter::default();
        self.meters.iter().for_each(|meter| meter.drain_into(&sum));
        sum
    }

    /// Adds what was drained to the minute; of the connections that are open, the most at once count.
    pub fn count_minute(&self, drained: &FrontMeter) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        minute.new_connections += count(&drained.new_connections);
        minute.active_connections = minute.active_connections.max(count(&drained.active_connections));
        minute.processed_bytes += count(&drained.processed_bytes);
        minute.charged_rules += count(&drained.charged_rules);
    }

    /// The minute is over; the next one begins.
    pub fn end_minute(&self) -> FrontMinute {
        std::mem::take(&mut *self.minute.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One listener's routing; replaced as a whole when anything changes.
#[derive(Debug)]
pub struct Table {
    pub routes: ListenerRoutes,
    pub front: Arc<Front>,
    pub groups: Arc<HashMap<String, Arc<Group>>>,
}

/// A target group's part in the routing.
#[derive(Debug)]
pub struct Group {
    pub routes: TargetGroupRoutes,
    /// What a stickiness cookie says of it.
    pub tag: String,
    /// Those that take new requests.
    rotation: Vec<Member>,
    turn: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Member {
    target: Arc<Target>,
    /// While slow start lasts: since when, for how long.
    ramp: Option<(Instant, Duration)>,
}

/// What lives on from one routing to the next.
#[derive(Debug)]
pub struct Live {
    /// How many threads serve.
    lanes: usize,
    fronts: HashMap<String, Arc<Front>>,
    targets: HashMap<(String, TargetId), Arc<Target>>,
    groups: Arc<HashMap<String, Arc<Group>>>,
    /// Where the access log of each load balancer that has one goes.
    pub logs: HashMap<String, Place>,
    /// Told when a draining target is idle.
    pub drained: Arc<Notify>,
    certificates: Certificates,
}

impl Live {
    pub fn new(lanes: usize, certificates: Certificates) -> Self {
        let drained = Arc::default();
        Self {
            lanes,
            fronts: HashMap::new(),
            targets: HashMap::new(),
            groups: Arc::default(),
            logs: HashMap::new(),
            drained,
            certificates,
        }
    }

    /// The tables for a new routing, in the order of its listeners. What it does not name any more is forgotten.
    pub fn tables(&mut self, routing: Routing) -> Vec<Arc<Table>> {
        let mut targets = HashMap::new();
        let mut groups = HashMap::new();
        for routes in routing.target_groups {
            let mut rotation = Vec::new();
            for route in &routes.targets {
                let key = (routes.arn.clone(), route.id.clone());
                let known = self.targets.get(&key).filter(|known| known.route.address == route.address);
                let fresh = || Target::new(&routes.arn, route.clone(), self.lanes, Arc::clone(&self.drained));
                let target = known.cloned().unwrap_or_else(|| Arc::new(fresh()));
                target.set_draining(matches!(route.standing, Standing::Draining | Standing::Unused));
                let takes_part = match route.standing {
                    Standing::Healthy => true,
                    Standing::Doubtful => routes.fails_open,
                    Standing::Draining | Standing::Unused => false,
                };
                if takes_part {
                    let ramp = ramp(&routes, route.healthy_since);
                    rotation.push(Member { target: Arc::clone(&target), ramp });
                }
                targets.insert(key, target);
            }
            // Slow start needs a target that is warm already.
            if rotation.iter().all(|member| member.ramp.is_some()) {
                rotation.iter_mut().for_each(|member| member.ramp = None);
            }
            let turn = self.groups.get(&routes.arn).map(|group| Arc::clone(&group.turn)).unwrap_or_default();
            let tag = tag(&routes.arn);
            groups.insert(routes.arn.clone(), Arc::new(Group { routes, tag, rotation, turn }));
        }
        let before = std::mem::replace(&mut self.targets, targets);
        before.iter().filter(|(key, _)| !self.targets.contains_key(*key)).for_each(|(_, target)| target.leave());
        self.groups = Arc::new(groups);
        self.logs = routing.listeners.iter().filter_map(Place::of).collect();
        let mut fronts = HashMap::new();
        let tables = routing.listeners.into_iter().map(|routes| {
            let name = routes.settings.load_balancer.clone();
            let zone = routes.settings.zone.clone();
            let known = self.fronts.get(&name).filter(|known| known.zone == zone);
            let secure = || Secure::new(&self.certificates, *routes.address.ip());
            let fresh = || Arc::new(Front::new(name.clone(), zone, self.lanes, secure()));
            let front = fronts.entry(name.clone()).or_insert_with(|| known.cloned().unwrap_or_else(fresh));
            Arc::new(Table { front: Arc::clone(front), groups: Arc::clone(&self.groups), routes })
        });
        let tables = tables.collect();
        self.fronts = fronts;
        tables
    }

    pub fn fronts(&self) -> impl Iterator<Item = &Arc<Front>> {
        self.fronts.values()
    }

    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.values()
    }

    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    pub fn group(&self, arn: &str) -> Option<&Arc<Group>> {
        self.groups.get(arn)
    }

    /// Instances that take no new requests and have some in flight.
    pub fn busy(&self) -> BTreeSet<String> {
        let busy = self.targets.values().filter(|target| target.is_draining() && target.in_flight() > 0);
        busy.map(|target| target.id.instance.clone()).collect()
    }

    /// Draining targets that have no request in flight.
    pub fn idle_draining(&self) -> Vec<(String, TargetId)> {
        let groups = self.groups.values();
        let draining =
            groups.flat_map(|group| group.routes.targets.iter().map(move |route| (&group.routes.arn, route)));
        draining
            .filter(|(_, route)| route.standing == Standing::Draining)
            .map(|(arn, route)| (arn.clone(), route.id.clone()))
            .filter(|key| self.targets.get(key).is_some_and(|target| target.in_flight() == 0))
            .collect()
    }
}

fn ramp(routes: &TargetGroupRoutes, healthy_since: Option<Timestamp>) -> Option<(Instant, Duration)> {
    // The ramp is climbed by the wall's clock, so that a request does not read the region's.
    let warm_for = Duration::try_from(clock::now().duration_since(healthy_since?)).unwrap_or_default();
    let left = routes.slow_start.checked_sub(warm_for).filter(|left| !left.is_zero())?;
    Some((clock::instant().checked_sub(speed::wall(routes.slow_start - left))?, speed::wall(routes.slow_start)))
}

impl Table {
    /// The target group for a request: by weight, or the one that the client met before.
    pub fn group(&self, forward: &Forward, sticky: Option<&str>) -> Option<&Arc<Group>> {
        group_for(&self.groups, forward, sticky)
    }
}

fn group_for<'a>(
    groups: &'a HashMap<String, Arc<Group>>,
    forward: &Forward,
    sticky: Option<&str>,
) -> Option<&'a Arc<Group>> {
    if let [only] = forward.target_groups.as_slice() {
        return groups.get(&only.arn);
    }
    let weighted = forward.target_groups.iter().filter(|group| group.weight > 0);
    if let Some(met) = sticky.and_then(|sticky| weighted.clone().find(|group| tag(&group.arn) == sticky)) {
        return groups.get(&met.arn);
    }
    let total: u32 = weighted.clone().map(|group| group.weight).sum();
    let mut drawn = if total == 0 { return None } else { fastrand::u32(..total) };
    for group in weighted {
        if drawn < group.weight {
            return groups.get(&group.arn);
        }
        drawn -= group.weight;
    }
    None
}

impl Group {
    /// The target whose turn it is, or the one that the client met before; `None` where none is registered.
    pub fn pick(&self, sticky: Option<&str>) -> Option<&Arc<Target>> {
        let count = self.rotation.len();
        if count == 0 {
            return None;
        }
        let met = |sticky: &str| self.rotation.iter().find(|member| member.target.tag == sticky);
        if let Some(met) = sticky.and_then(met) {
            return Some(&met.target);
        }
        let start = match self.routes.algorithm {
            Algorithm::WeightedRandom => fastrand::usize(..count),
            _ => self.turn.fetch_add(1, Ordering::Relaxed) % count,
        };
        let in_order = (0..count).map(|step| &self.rotation[(start + step) % count]);
        let chosen = match self.routes.algorithm {
            Algorithm::LeastOutstandingRequests => in_order.min_by_key(|member| member.target.in_flight()),
            _ => in_order.clone().find(|member| member.is_warm_enough()).or_else(|| in_order.clone().next()),
        };
        chosen.map(|member| &member.target)
    }

    /// How many targets take new requests, in all and in each zone that has one; nothing where none does.
    pub fn rotation_sizes(&self) -> BTreeMap<Option<&str>, u64> {
        let mut sizes = BTreeMap::new();
        for member in &self.rotation {
            for zone in [None, Some(member.target.route.zone.as_str())] {
                *sizes.entry(zone).or_default() += 1;
            }
        }
        sizes
    }
}

impl Member {
    /// During slow start a target takes its turn with a probability that rises in a line from 0 to 1.
    fn is_warm_enough(&self) -> bool {
        self.ramp.is_none_or(|(since, whole)| {
            clock::instant().duration_since(since).as_secs_f64() >= whole.as_secs_f64() * fastrand::f64()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::elbv2::actions::WeightedTargetGroup;
    use crate::region::elbv2::routing::TargetRoute;

    fn routes(arn: &str, instances: &[&str], algorithm: Algorithm) -> TargetGroupRoutes {
        let target = |instance: &&str| TargetRoute {
            id: TargetId { instance: (*instance).to_owned(), port: 80 },
            address: "127.0.0.1:80".parse().unwrap(),
            zone: "us-east-1a".to_owned(),
            standing: Standing::Healthy,
            healthy_since: None,
        };
        TargetGroupRoutes {
            arn: arn.to_owned(),
            full_name: arn.to_owned(),
            load_balancer: "app/lab/1".to_owned(),
            algorithm,
            slow_start: Duration::ZERO,
            stickiness: None,
            fails_open: false,
            targets: instances.iter().map(target).collect(),
        }
    }

    fn live(groups: Vec<TargetGroupRoutes>) -> Live {
        let mut live = Live::new(1, Certificates::default());
        live.tables(Routing { listeners: Vec::new(), target_groups: groups });
        live
    }

    fn picked<'a>(group: &'a Group, sticky: Option<&str>) -> &'a str {
        &group.pick(sticky).unwrap().id.instance
    }

    #[test]
    fn turns_go_on_where_they_were_when_the_routing_changes() {
        let mut live = live(vec![routes("a", &["1", "2", "3"], Algorithm::RoundRobin)]);
        assert_eq!(picked(live.group("a").unwrap(), None), "1");
        live.tables(Routing {
            listeners: Vec::new(),
            target_groups: vec![routes("a", &["1", "2", "3"], Algorithm::RoundRobin)],
        });
        assert_eq!(picked(live.group("a").unwrap(), None), "2");
    }

    #[test]
    fn a_client_with_a_cookie_stays_with_its_target_as_long_as_that_takes_requests() {
        let live = live(vec![routes("a", &["1", "2", "3"], Algorithm::RoundRobin)]);
        let group = live.group("a").unwrap();
        for _ in 0..5 {
            assert_eq!(picked(group, Some(&tag("2:80"))), "2");
        }
        assert!(["1", "2", "3"].contains(&picked(group, Some(&tag("gone:80")))));
    }

    #[test]
    fn least_outstanding_requests_picks_the_target_with_the_fewest_in_flight() {
        use super::super::target::InFlight;
        let live = live(vec![routes("a", &["1", "2"], Algorithm::LeastOutstandingRequests)]);
        let group = live.group("a").unwrap();
        let busy = InFlight::new(Arc::clone(group.pick(None).unwrap()), LaneIndex(0));
        for _ in 0..4 {
            assert_ne!(picked(group, None), busy.target.id.instance);
        }
    }

    /// "Slow start mode" in the ELB user guide: the share of a target rises in a line while its slow start lasts.
    #[test]
    fn after_a_quarter_of_its_slow_start_a_target_takes_a_quarter_of_its_turns() {
        let mut routes = routes("a", &["warm", "young"], Algorithm::RoundRobin);
        routes.slow_start = Duration::from_secs(120);
        routes.targets[0].healthy_since = Some(clock::now() - Duration::from_secs(3600));
        routes.targets[1].healthy_since = Some(clock::now() - Duration::from_secs(30));
        let live = live(vec![routes]);
        let group = live.group("a").unwrap();
        fastrand::seed(7);
        let young = (0..4000).filter(|_| picked(group, None) == "young").count();
        assert!((420..=580).contains(&young), "an eighth of 4000: {young}");
    }

    #[test]
    fn an_instance_is_busy_while_a_target_that_takes_no_more_has_requests_in_flight() {
        use super::super::target::InFlight;
        let routes = |standing| {
            let mut routes = routes("a", &["1", "2"], Algorithm::RoundRobin);
            routes.targets[0].standing = standing;
            routes
        };
        let mut live = live(vec![routes(Standing::Healthy)]);
        let both = live.targets().map(|target| InFlight::new(Arc::clone(target), LaneIndex(0))).collect::<Vec<_>>();
        assert_eq!(live.busy(), BTreeSet::new());
        for standing in [Standing::Unused, Standing::Draining] {
            live.tables(Routing { listeners: Vec::new(), target_groups: vec![routes(standing)] });
            assert_eq!(live.busy(), BTreeSet::from(["1".to_owned()]));
        }
        drop(both);
        assert_eq!(live.busy(), BTreeSet::new());
    }

    #[test]
    fn weights_share_the_requests_and_zero_gets_none() {
        let groups = ["a", "b", "c"].map(|arn| routes(arn, &["1"], Algorithm::RoundRobin));
        let live = live(groups.to_vec());
        let weighted = |arn: &str, weight| WeightedTargetGroup { arn: arn.to_owned(), weight };
        let target_groups = vec![weighted("a", 3), weighted("b", 1), weighted("c", 0)];
        let forward = Forward { target_groups, stickiness: None };
        fastrand::seed(7);
        let mut shares: BTreeMap<&str, u32> = BTreeMap::new();
        for _ in 0..4000 {
            *shares.entry(&group_for(&live.groups, &forward, None).unwrap().routes.arn).or_default() += 1;
        }
        assert!((2850..=3150).contains(&shares["a"]) && !shares.contains_key("c"), "{shares:?}");
        let sticky = group_for(&live.groups, &forward, Some(&tag("b")));
        assert_eq!(sticky.unwrap().routes.arn, "b");
    }
}
