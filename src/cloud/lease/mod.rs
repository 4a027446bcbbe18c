//! Whose a stack is for the moment: a lease in the cloud's own time, and who holds it.

pub mod store;

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, SpanRound, Timestamp, Unit};

use crate::clock::speed;
use crate::cloud::tags::{self, Tags};
use crate::exit::Exit;
use crate::problem::Problem;

/// How long a lease lives without being renewed. Four renewals may fail before a run that works loses its lock. By the
/// wall, as the runs that hold leases live by it; the lease itself is in the cloud's time.
const LENGTH: Duration = Duration::from_secs(120);
const RENEW_AFTER: Duration = Duration::from_secs(30);

/// How long a lease lives without being renewed, in the cloud's time.
pub fn length() -> Duration {
    speed::region(LENGTH)
}

/// How old a lease is when its holder renews it, in the cloud's time.
pub fn renew_after() -> Duration {
    speed::region(RENEW_AFTER)
}

const HOLDER: &str = "cloudscale:lock-holder";
const COMMAND: &str = "cloudscale:lock-command";
const PROCESS: &str = "cloudscale:lock-process";
const EXPIRES: &str = "cloudscale:lock-expires";

/// One process, distinguished from every other on any machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// When it started, in the kernel's clock ticks: process ids are used again.
    pub started: String,
    /// This boot of this kernel, and the space that the process id belongs to.
    pub machine: String,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.pid, self.started, self.machine)
    }
}

impl Process {
    /// What [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let (pid, started, machine) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        Some(Self { pid, started: started.to_owned(), machine: machine.to_owned() })
    }
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// `ann@laptop`
    pub who: String,
    /// `up`
    pub command: String,
    pub process: Process,
}

impl Holder {
    /// The tags of the lock, from the call that creates it.
    pub fn tags(&self, stack: &str) -> Tags {
        Tags::from([
            (tags::STACK.to_owned(), stack_tag(stack)),
            // A listing by the digits of the specs finds it, too.
            (tags::SPEC.to_owned(), "0".to_owned()),
            (HOLDER.to_owned(), self.who.clone()),
            (COMMAND.to_owned(), self.command.clone()),
            (PROCESS.to_owned(), self.process.to_string()),
        ])
    }
}

/// The value of the stack's tag that a lock carries: a stack's listing by tag can ask for both at once, and a lock
/// never counts as a part of its stack.
pub fn stack_tag(stack: &str) -> String {
    format!("lock:{stack}")
}

/// The tag of a renewed lease.
pub fn renewal(now: Timestamp) -> Tags {
    Tags::from([(EXPIRES.to_owned(), (now + length()).to_string())])
}

/// A lock as the cloud reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// `lt-…`: another for every lock that was ever held.
    pub id: String,
    pub stack: String,
    pub holder: Holder,
    pub since: Timestamp,
    pub expires: Timestamp,
}

/// What may be done about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Another run works on the stack.
    Held,
    /// It was not renewed in time: its run is gone, wherever it was.
    Expired,
    /// The process that held it was one of this machine, and is gone.
    Abandoned,
}

impl Lease {
    /// `None` where the tags are not a lock's.
    pub fn read(id: &str, created: Timestamp, tags: &Tags) -> Option<Self> {
        let text = |key: &str| tags.get(key).cloned();
        Some(Self {
            id: id.to_owned(),
            stack: tags.get(tags::STACK)?.strip_prefix(&stack_tag(""))?.to_owned(),
            holder: Holder {
                who: text(HOLDER)?,
                command: text(COMMAND)?,
                process: Process::parse(tags.get(PROCESS)?)?,
            },
            since: created,
            expires: text(EXPIRES).and_then(|time| time.parse().ok()).unwrap_or(created + length()),
        })
    }

    /// `now` is the cloud's time; `is_gone` whether the holder's process is known to have ended.
    pub fn state(&self, now: Timestamp, is_gone: bool) -> State {
        if is_gone {
            State::Abandoned
        } else if now >= self.expires {
            State::Expired
        } else {
            State::Held
        }
    }

    /// "ann@laptop (process 4711) runs `cloudscale up` on lab since 2026-11-22T01:17:37Z, 3m 20s ago"
    pub fn sentence(&self, now: Timestamp) -> String {
        let Holder { who, command, process } = &self.holder;
        format!(
            "{who} (process {}) runs `cloudscale {command}` on {} since {}, {} ago",
            process.pid,
            self.stack,
            self.since,
            span(now.duration_since(self.since))
        )
    }

    /// The problem of a run that may not start.
    pub fn problem(&self, now: Timestamp) -> Problem {
        let left = span(self.expires.duration_since(now));
        Problem::new("The stack is locked", self.sentence(now))
            .hint(format!(
                "`--lock-timeout 10m` waits for it; if it is not renewed, the lock expires in {left}; \
                 `cloudscale unlock` takes it away from a run that you know is dead"
            ))
            .exit(Exit::Locked)
    }
}

/// `3m 20s`
fn span(duration: SignedDuration) -> String {
    let seconds = SignedDuration::from_secs(duration.as_secs().max(0));
    let rounding = SpanRound::new().largest(Unit::Hour).days_are_24_hours();
    let span = jiff::Span::try_from(seconds).and_then(|span| span.round(rounding));
    span.map_or_else(|_| format!("{}s", seconds.as_secs()), |span| format!("{span:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    fn holder() -> Holder {
        let process = Process { pid: 4711, started: "99".into(), machine: "boot/4026531836".into() };
        Holder { who: "ann@laptop".into(), command: "up".into(), process }
    }

    fn lease() -> Lease {
        Lease::read("lt-1", time("01:00:00"), &holder().tags("lab")).unwrap()
    }

    #[test]
    fn the_tags_of_a_lock_tell_whose_it_is() {
        assert_eq!((lease().holder, lease().stack.as_str()), (holder(), "lab"));
        assert_eq!(Lease::read("lt-1", time("01:00:00"), &Tags::new()), None);
    }

    #[test]
    fn a_lock_is_no_part_of_its_stack() {
        assert_ne!(holder().tags("lab").get(tags::STACK).map(String::as_str), Some("lab"));
    }

    #[test]
    fn a_lease_lives_from_its_creation_until_it_is_not_renewed() {
        assert_eq!(lease().state(time("01:01:59"), false), State::Held);
        assert_eq!(lease().state(time("01:02:00"), false), State::Expired);
        let mut tags = holder().tags("lab");
        tags.extend(renewal(time("01:10:00")));
        let renewed = Lease::read("lt-1", time("01:00:00"), &tags).unwrap();
        assert_eq!(renewed.state(time("01:11:59"), false), State::Held);
        assert_eq!(renewed.state(time("01:12:00"), false), State::Expired);
    }

    #[test]
    fn a_clock_that_is_set_takes_no_lease_early_and_makes_no_nonsense_of_its_age() {
        // Set back by hours after the lease was made: it is held, as its holder renews it by the same clock.
        assert_eq!(lease().state(time("00:00:00"), false), State::Held);
        let told = lease().problem(time("00:00:00"));
        assert!(told.detail.ends_with(", 0s ago"), "{}", told.detail);
        // Set forward beyond its end, or a machine that slept: whoever renews it has the next two minutes again.
        assert_eq!(lease().state(time("09:00:00"), false), State::Expired);
        let mut tags = holder().tags("lab");
        tags.extend(renewal(time("09:00:00")));
        let renewed = Lease::read("lt-1", time("01:00:00"), &tags).unwrap();
        assert_eq!(renewed.state(time("09:01:59"), false), State::Held);
        assert!(renewed.sentence(time("09:01:00")).ends_with(", 8h 1m ago"), "{}", renewed.sentence(time("09:01:00")));
        let late = lease().problem(time("09:00:00"));
        assert!(late.hint.unwrap().contains("lock expires in 0s"));
    }

    #[test]
    fn a_process_that_is_gone_holds_nothing() {
        assert_eq!(lease().state(time("01:00:01"), true), State::Abandoned);
    }

    #[test]
    fn the_problem_names_who_where_since_when_and_what_to_do() {
        let problem = lease().problem(time("01:01:30"));
        assert_eq!(
            problem.detail,
            "ann@laptop (process 4711) runs `cloudscale up` on lab since 2026-11-22T01:00:00Z, 1m 30s ago"
        );
        assert!(problem.hint.unwrap().contains("lock expires in 30s"));
        assert_eq!(problem.exit, Exit::Locked);
    }
}
