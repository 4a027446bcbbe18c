//! cloudscale: rehearse autoscaling on a laptop, ship it to AWS, prove it with load.
//!
//! # The map
//!
//! From the ground up; a folder or file imports only what stands above it in this list (`tests/it/layers.rs` reads it here):
//!
//! ```text
//! exit         every exit code
//! problem      every error that a user can meet: summary, detail, place, hint, exit code
//! secret       what only the cloud is to see
//! platform     what only some operating systems can do
//! clock        the only file that reads the time or sleeps
//! files        what we leave on the user's disk: whole or not at all, and for its owner alone
//! chart        everything that is drawn: the region's widget images and the figures of reports, as SVG and from that PNG
//! document     reading YAML: places, grammar, checks, did-you-mean; stacks, scenarios and faults use it alike
//! catalog      what AWS publishes, as data: instance types, prices, images
//! stack        the stack language and its model: a text → Stack, or all its problems at once
//! aws          SDK clients, retry, rates, errors; quirks of AWS emulators (moto, LocalStack)
//! cloud        what is live: snapshot and its listings, addresses, states, tags, leases, images, activities, consoles
//! resource     the contract: Resource and its erased form, fields, changes, what a plan comes to, events, Provider
//! resources    one file per AWS type, and AWS as a provider: what its plans mean and cost
//! engine       diff, plan, scheduler, apply, lock, adopt, plan file
//! region       the embedded region: an AWS endpoint with a real data plane (imports none of aws, cloud, resource, resources, engine)
//! chaos        what is broken on purpose, and whom it disrupts
//! workload     the sample application that instances run
//! result       a benchmark's result and its store on disk
//! benchmark    scenario → load → what the client measured → CloudWatch → RunResult
//! report       RunResult → one HTML file; two RunResults → a comparison
//! observe      a stack as it lives: looks at the cloud → figures, series, alarms, events; what all live views share
//! ui           the only code that prints
//! cli          one file per command
//! ```
//!
//! Inside a folder no two files import each other in a circle. A folder's face (`mod.rs`, `x.rs` beside `x/`) and a service's
//! `model.rs`, which owns the parts that its files hold, are excepted. One circle stays, in the contract (`resource`): an
//! operation (`context`) holds the provider that it acts through, a provider (`provider`) is given the operation and lists its
//! types (`erased`), and a type is given both. These are three sides of one definition: none of them can be described, or
//! changed, without the others. Taken apart by type parameters, every function of every type would name the provider's type;
//! in one file they would be 900 lines.
//!
//! # The ideas
//!
//! - **The cloud is the state.** No state file: every resource carries its stack, address and the hash of what was wanted
//!   as tags from the call that creates it, and `cloud::discover` finds all by tag and name in the few bulk calls that the types declare.
//! - **One boundary.** `resource::provider::Provider` is all that the engine knows of a cloud; `engine`, `cloud` and `aws::error` name
//!   no resource type (`tests/it/layers.rs`). AWS and the embedded region are one provider; `tests/it/folder_provider.rs` is another.
//! - **One path.** The embedded region is reached through the AWS SDK like AWS itself: only the endpoint differs.
//! - **Pure models, thin shells.** Each service of the region, the apply scheduler, the diff and the load schedule decide
//!   without I/O and are given the time. `region::world` owns the services' models and routes signals between them;
//!   processes, sockets and clocks stand around it.
//! - **Two kinds of time, by their types.** A `Timestamp` is the region's, which may run faster than the wall's; an `Instant` and
//!   a `Duration` that is slept are the wall's (`clock::speed`). Requests are real at any speed, and rates are preserved.
//! - **What the region was told is its state.** The world is a function of its calls, signals and moments, so a snapshot and a
//!   journal of them survive the process (`region::state`).
//! - **What AWS creates once is the lock.** A run holds its stack by a launch template of a fixed name, whose tags are a
//!   lease (`cloud::lease`, `engine::lock`). What joins a stack later does so by tags alone (`engine::adopt`).
//! - **Failure is tried, not argued.** Stacks, tampering, faults and ends of the process come at random, in simulated time, to
//!   the real engine and the real models of the region (`tests/it/fuzz.rs`); what failed once is a test with a name.
//! - **Events, then sinks.** Engine and benchmark tell what happens as `resource::event::Event`s; `ui` turns them into bars or
//!   lines.
//!
//! # Where the first design was left, and why
//!
//! - Problems are used everywhere, so they live in `problem.rs`, not in the stack language.
//! - The YAML reader stands on serde-saphyr's event parser: a deserializer stops at the first mistake. One description of
//!   the keys (`document::grammar`, `stack::language`) makes checks, defaults and the JSON Schema, so schemars is not needed.
//! - Charts are SVG of our own, and resvg makes pixels of it: no chart library truncates labels, leaves gaps and follows a page's
//!   colours.
//! - The region's state is an append-only journal of our own, not an embedded database: a transaction that survives `kill -9` forces
//!   a write to the disk, which no call should wait for, and what is kept is one list that is read once.
//! - Instances end with their region, and the next one adopts none. Whoever would serve them meanwhile (load balancer, metadata
//!   service, health checks) is that process, and what outlives it is an orphan until somebody starts another, which may be never.
//!   So each first process ends when its pipe to the region closes (`region::ec2::processes::init`); a region that comes back finds
//!   what AWS has after a host failure: stopped instances, and groups that replace theirs.
//! - A provider does not connect itself: who is reached (an account by its profile, or the embedded region, which is started first)
//!   is decided once, in `cli::cloud`, above the boundary. The region's daemon is nothing that `resources` may know, and a
//!   connection that is made before the provider leaves the trait without a state in which it cannot act.
//! - There is no separate collector: the shells that measure (proxy, processes) send measurements as signals.

pub mod aws;
pub mod benchmark;
pub mod catalog;
pub mod chaos;
pub mod chart;
pub mod cli;
pub mod clock;
pub mod cloud;
pub mod document;
pub mod engine;
pub mod exit;
pub mod files;
pub mod observe;
pub mod platform;
pub mod problem;
pub mod region;
pub mod report;
pub mod resource;
pub mod resources;
pub mod result;
pub mod secret;
pub mod stack;
pub mod ui;
pub mod workload;
