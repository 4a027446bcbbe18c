//! The boundary to a cloud, tried with another one: a provider whose resources are folders and files.
//!
//! It shares nothing with AWS: its own connection, snapshot, resource types and locks. The engine plans, applies, finds drift,
//! survives an end at any call and takes the stack down without knowing what it deals with.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudscale::chaos::experiment;
use cloudscale::chaos::model::Kind;
use cloudscale::clock;
use cloudscale::cloud::address::Address;
use cloudscale::cloud::lease::{Holder, Lease, length};
use cloudscale::cloud::snapshot::Snapshot;
use cloudscale::cloud::snapshot::listing::{Collection, Depth, Tagged};
use cloudscale::cloud::tags::{self, Tags};
use cloudscale::engine::Engine;
use cloudscale::observe::act;
use cloudscale::observe::look::{Cadence, Observer};
use cloudscale::problem::{Problem, Problems};
use cloudscale::resource::change::{Action, FieldChange};
use cloudscale::resource::context::{ActionContext, Operation};
use cloudscale::resource::erased::{Erased, ErasedResource};
use cloudscale::resource::event::{Event, Sink};
use cloudscale::resource::fields::Fields;
use cloudscale::resource::provider::{Answer, Leases, Provider, Timing, Wait};
use cloudscale::resource::status::Status;
use cloudscale::resource::{Output, Resource, Scope};
use cloudscale::stack::model::Stack;
use cloudscale::stack::{Overrides, load};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

const STACK: &str = "name: office\nclusters:\n  front: {instance_type: t3.small}\n  back: {instance_type: t3.large}\n";
const CABINET: &str = "cabinet";
const AT: Address = Address::fixed(CABINET);
/// Where the tags of a file or folder are kept: beside it.
const TAGS: &str = ".tags";

/// A file or folder with its tags.
#[derive(Clone, Debug)]
struct Item {
    path: PathBuf,
    id: String,
    text: Option<String>,
    tags: Tags,
}

/// The disk, and how many changes it still takes before the process is as good as dead.
#[derive(Debug)]
struct Disk {
    root: PathBuf,
    writes_left: AtomicI64,
    locks: Mutex<BTreeMap<String, Lease>>,
}

impl Disk {
    fn write(&self, act: impl FnOnce() -> std::io::Result<()>) -> Result<(), Problem> {
        if self.writes_left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(Problem::new("Killed", "no call gets through any more"));
        }
        act().map_err(|error| Problem::new("The disk refuses", error.to_string()))
    }

    fn tag(&self, path: &Path, tags: &Tags) -> std::io::Result<()> {
        let text: String = tags.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        fs::write(beside(path), text)
    }

    fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut open = vec![self.root.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).expect("the folder is there") {
                let path = entry.expect("an entry").path();
                if path.to_string_lossy().ends_with(TAGS) {
                    continue;
                }
                let text = if path.is_dir() { None } else { Some(fs::read_to_string(&path).expect("text")) };
                if path.is_dir() {
                    open.push(path.clone());
                }
                let tags = fs::read_to_string(beside(&path)).unwrap_or_default();
                let tags = tags.lines().filter_map(|line| line.split_once('='));
                let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                items.push(Item { id: path.display().to_string(), path, text, tags });
            }
        }
        items
    }
}

fn beside(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}{TAGS}", path.display()))
}

/// All that lies on the disk.
struct Everything;

impl Collection for Everything {
    type Item = Item;

    fn id(item: &Item) -> Option<&str> {
        Some(&item.id)
    }

    fn tags(item: &Item) -> Tagged {
        Tagged::Here(item.tags.clone())
    }

    fn leftover(item: &Item) -> Option<String> {
        Some(item.id.clone())
    }
}

/// The folder of a stack.
struct Cabinet;

impl Resource for Cabinet {
    type Desired = ();
    type Observed = Item;

    const KIND: &'static str = CABINET;

    fn desired(_scope: &Scope<'_>) -> Vec<(Address, ())> {
        vec![(AT, ())]
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Item)> {
        items(cloud, |item| item.text.is_none())
    }

    fn desired_fields((): &()) -> Fields {
        Fields::default()
    }

    fn observed_fields(_item: &Item, _cloud: &Snapshot) -> Fields {
        Fields::default()
    }

    fn output(item: &Item) -> Output {
        Output::id(&item.id)
    }

    fn tags(item: &Item) -> Option<&Tags> {
        Some(&item.tags)
    }

    async fn create(context: &ActionContext<'_>, (): &()) -> Result<Output, Problem> {
        let disk = disk(context);
        let path = disk.root.join(&context.run.stack);
        disk.write(|| disk.tag(&path, &context.tags()).and_then(|()| fs::create_dir_all(&path)))?;
        Ok(Output::id(path.display().to_string()))
    }

    async fn update(context: &ActionContext<'_>, (): &(), item: &Item, _: &[FieldChange]) -> Result<Output, Problem> {
        disk(context).write(|| disk(context).tag(&item.path, &context.tags()))?;
        Ok(Self::output(item))
    }

    async fn delete(context: &ActionContext<'_>, item: &Item) -> Result<(), Problem> {
        disk(context).write(|| fs::remove_dir(&item.path).and_then(|()| fs::remove_file(beside(&item.path))))
    }
}

/// The file of a cluster: it holds the instance type.
struct Note;

#[derive(Clone)]
struct DesiredNote {
    cluster: String,
    text: String,
}

impl Resource for Note {
    type Desired = DesiredNote;
    type Observed = Item;

    const KIND: &'static str = "note";

    fn desired(scope: &Scope<'_>) -> Vec<(Address, DesiredNote)> {
        let note = |(cluster, text): (&str, &str)| {
            let desired = DesiredNote { cluster: cluster.to_owned(), text: text.to_owned() };
            (Address::in_cluster(cluster, Self::KIND), desired)
        };
        scope.stack.clusters.iter().map(|cluster| note((&cluster.name, &cluster.instance_type))).collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Item)> {
        items(cloud, |item| item.text.is_some())
    }

    fn desired_fields(note: &DesiredNote) -> Fields {
        Fields::default().reference("cabinet", AT).text("text", &note.text)
    }

    fn observed_fields(item: &Item, _cloud: &Snapshot) -> Fields {
        Fields::default().reference("cabinet", AT).maybe("text", item.text.as_ref())
    }

    fn output(item: &Item) -> Output {
        Output::id(&item.id)
    }

    fn tags(item: &Item) -> Option<&Tags> {
        Some(&item.tags)
    }

    async fn create(context: &ActionContext<'_>, note: &DesiredNote) -> Result<Output, Problem> {
        let path = Path::new(&context.output(&AT)?.id).join(&note.cluster);
        let disk = disk(context);
        disk.write(|| disk.tag(&path, &context.tags()).and_then(|()| fs::write(&path, &note.text)))?;
        Ok(Output::id(path.display().to_string()))
    }

    async fn update(
        context: &ActionContext<'_>,
        note: &DesiredNote,
        item: &Item,
        _: &[FieldChange],
    ) -> Result<Output, Problem> {
        disk(context).write(|| fs::write(&item.path, &note.text))?;
        disk(context).write(|| disk(context).tag(&item.path, &context.tags()))?;
        Ok(Self::output(item))
    }

    async fn delete(context: &ActionContext<'_>, item: &Item) -> Result<(), Problem> {
        disk(context).write(|| fs::remove_file(&item.path).and_then(|()| fs::remove_file(beside(&item.path))))
    }
}

fn items(cloud: &Snapshot, is_one: impl Fn(&Item) -> bool) -> Vec<(Address, Item)> {
    let ours = cloud.all::<Everything>().iter().filter(|item| is_one(item));
    ours.filter_map(|item| Some((tags::address(&item.tags)?, item.clone()))).collect()
}

fn disk<'a>(context: &'a ActionContext<'_>) -> &'a Disk {
    context.run.connection()
}

/// The provider.
struct Office {
    disk: Disk,
}

impl Provider for Office {
    fn name(&self) -> &'static str {
        "office"
    }

    fn types(&self) -> &'static [&'static dyn ErasedResource] {
        &[&Erased::<Cabinet>::NEW, &Erased::<Note>::NEW]
    }

    fn connection(&self) -> &(dyn Any + Send + Sync) {
        &self.disk
    }

    fn timing(&self) -> Timing {
        let moment = Duration::from_millis(10);
        Timing {
            poll_max: moment,
            boot_grace: moment,
            listing_lag: Duration::ZERO,
            lease_check: Duration::from_secs(1),
            look: moment,
            look_loaded: moment,
            metrics: moment,
            metrics_timeout: moment,
            metrics_poll: (moment, moment),
        }
    }

    fn snapshot<'a>(&'a self, stack: &'a str, _declared: Option<&'a Stack>, _depth: Depth) -> Answer<'a, Snapshot> {
        let cloud = Snapshot::of(stack, clock::now(), Duration::ZERO).with::<Everything>(self.disk.items());
        Box::pin(async move { Ok(cloud) })
    }

    fn status(&self, stack: &Stack, _cloud: &Snapshot) -> Status {
        Status {
            stack: stack.name.clone(),
            provider: self.name().to_owned(),
            url: None,
            load_balancer: None,
            stopped: false,
            down_after: None,
            clusters: Vec::new(),
        }
    }

    fn until_ready<'a>(
        &'a self,
        _operation: &'a Operation,
        stack: &'a Stack,
        _wait: Wait,
    ) -> Answer<'a, Status, Problems> {
        Box::pin(async move { Ok(self.status(stack, &Snapshot::empty(&stack.name))) })
    }

    fn leases(&self) -> &dyn Leases {
        self
    }
}

impl Leases for Office {
    fn shown(&self, cloud: &Snapshot) -> Option<Lease> {
        self.disk.locks.lock().expect("no holder panics").get(&cloud.stack).cloned()
    }

    fn find<'a>(&'a self, stack: &'a str) -> Answer<'a, (Option<Lease>, Timestamp)> {
        let found = self.disk.locks.lock().expect("no holder panics").get(stack).cloned();
        Box::pin(async move { Ok((found, clock::now())) })
    }

    fn create<'a>(&'a self, stack: &'a str, _tags: &'a Tags, holder: &'a Holder) -> Answer<'a, Option<String>> {
        let mut locks = self.disk.locks.lock().expect("no holder panics");
        let id = (!locks.contains_key(stack)).then(|| "lock".to_owned());
        if let Some(id) = &id {
            let (id, stack, now) = (id.clone(), stack.to_owned(), clock::now());
            let lease = Lease { id, stack: stack.clone(), holder: holder.clone(), since: now, expires: now + length() };
            locks.insert(stack, lease);
        }
        Box::pin(async move { Ok(id) })
    }

    fn renew<'a>(&'a self, _stack: &'a str, _id: &'a str, _now: Timestamp) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn delete<'a>(&'a self, stack: &'a str, _id: &'a str) -> Answer<'a, bool> {
        let was_there = self.disk.locks.lock().expect("no holder panics").remove(stack).is_some();
        Box::pin(async move { Ok(was_there) })
    }
}

struct Silent;

impl Sink for Silent {
    fn event(&self, _event: Event) {}
}

/// A disk of its own for each test.
struct Desk {
    office: Arc<Office>,
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("disk");
        fs::create_dir(&root).expect("a disk");
        let disk = Disk { root, writes_left: AtomicI64::new(i64::MAX), locks: Mutex::default() };
        Self { office: Arc::new(Office { disk }), folder }
    }

    fn engine(&self, text: &str) -> Engine {
        let file = self.folder.path().join("stack.yaml");
        fs::write(&file, text).expect("written");
        let stack = load(&file, &Overrides::default()).expect("a valid stack").0;
        let provider: Arc<dyn Provider> = self.office.clone();
        Engine::new(stack, provider, Arc::new(Silent), CancellationToken::new(), Duration::from_secs(5))
    }

    async fn up(&self, text: &str) -> Result<(), Problems> {
        let engine = self.engine(text);
        let plan = engine.plan().await?;
        let lock = engine.lock("up", Duration::ZERO).await?;
        lock.during(engine.apply(plan, &lock)).await
    }

    async fn actions(&self, text: &str) -> Vec<(Address, Action, String)> {
        let plan = self.engine(text).plan().await.expect("a plan");
        let changes = plan.report.changes.into_iter().filter(|change| change.action != Action::Unchanged);
        changes.map(|change| (change.address, change.action, change.reason)).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.office.disk.root.join("office").join(name)
    }

    fn kill_after(&self, writes: i64) {
        self.office.disk.writes_left.store(writes, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn another_cloud_is_planned_applied_and_kept_without_drift() {
    let desk = Desk::new();
    assert_eq!(desk.actions(STACK).await.len(), 3, "a cabinet and two notes");
    desk.up(STACK).await.expect("it is made");
    assert_eq!(fs::read_to_string(desk.file("front")).expect("there"), "t3.small");
    assert_eq!(desk.actions(STACK).await, []);

    fs::write(desk.file("front"), "scribbled").expect("written");
    let drift = desk.actions(STACK).await;
    assert_eq!((drift[0].0.as_str(), drift[0].1), ("cluster.front.note", Action::Update));
    assert!(drift[0].2.starts_with("drift"), "{drift:?}");

    let changed = STACK.replace("t3.large", "t3.nano");
    desk.up(&changed).await.expect("it is changed");
    assert_eq!(fs::read_to_string(desk.file("back")).expect("there"), "t3.nano");
    assert_eq!(fs::read_to_string(desk.file("front")).expect("there"), "t3.small");

    desk.engine(STACK).down(Duration::ZERO).await.expect("nothing is left");
    assert_eq!(desk.office.disk.items().len(), 0);
}

#[tokio::test]
async fn another_cloud_survives_the_end_of_the_process_at_every_call() {
    for writes in 0..4 {
        let desk = Desk::new();
        desk.kill_after(writes);
        let outcome = desk.up(STACK).await;
        assert_eq!(outcome.is_ok(), writes >= 3, "{writes} writes");
        desk.kill_after(i64::MAX);
        desk.up(STACK).await.expect("the next run continues");
        assert_eq!(desk.actions(STACK).await, []);

        desk.kill_after(writes);
        let outcome = desk.engine(STACK).down(Duration::ZERO).await;
        assert_eq!(outcome.is_ok(), writes >= 3, "{writes} writes");
        desk.kill_after(i64::MAX);
        desk.engine(STACK).down(Duration::ZERO).await.expect("the next run continues");
        assert_eq!(desk.office.disk.items().len(), 0);
    }
}

#[tokio::test]
async fn what_a_provider_cannot_do_is_said_by_its_name() {
    let desk = Desk::new();
    desk.up(STACK).await.expect("it is made");
    let problems = desk.engine(STACK).stop(Duration::ZERO).await.expect_err("an office does not stop");
    assert_eq!(problems.0[0].detail, "the provider `office` cannot stop a stack");
}

#[tokio::test]
async fn what_only_aws_has_is_refused_and_nothing_panics() {
    let desk = Desk::new();
    desk.up(STACK).await.expect("it is made");
    let engine = desk.engine(STACK);
    let looked = Observer::new(engine.clone(), Cadence::of(&engine), SignedDuration::from_mins(1)).look().await;
    let refused = [
        engine.clients().err(),
        looked.err(),
        experiment::terminate(&engine, &["front".to_owned()]).await.err(),
        act::console(&engine, "front").await.err(),
    ];
    for problem in refused {
        let problem = problem.expect("the office has no AWS clients");
        assert_eq!(problem.summary, "Not supported");
        assert!(problem.detail.contains("`office` has no AWS clients"), "{}", problem.detail);
    }
    let hang = Kind::ALL.into_iter().find(|kind| kind.name() == "hang").expect("a kind");
    assert!(experiment::check(hang, engine.provider().can_disturb()).is_err());
}
