//! What survives the region's process: a snapshot of the world, and a journal of everything that changed it since.
//!
//! The world is a function of what it is told: the same calls, signals and moments give the same world, ids included. So what
//! is journaled is what it was told, in the order in which it was. Reading calls change nothing and are left out. A journal
//! that has grown is replaced by a snapshot. Nothing is forced to the disk: what a process has written survives its end, by
//! `kill -9` too; a machine that loses its power loses its instances anyway.
//!
//! ```text
//! state/snapshot.cbor     the header and the world as it was when journal-N began
//! state/journal-N.cbor    what it was told since; a last entry that is cut off does not count
//! ```

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::signal::Signal;
use super::wire::Request;
use super::world::World;
use crate::files;
use crate::platform::permissions;
use crate::stack::local::Local;

/// Raised when a file of an earlier version cannot be read any more.
const FORMAT: u32 = 3;
/// A journal that is larger becomes a snapshot. Reading it again takes about a second.
const JOURNAL_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A larger file is none of ours.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// What a region needs besides its world to be the same again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    format: u32,
    /// The journal that goes on from here.
    journal: u64,
    /// The block of addresses that its instances have.
    pub block: u8,
    /// The port of its endpoint.
    pub port: u16,
    pub local: Local,
    /// The region's time of the last that it was told.
    pub time: Timestamp,
}

impl Header {
    /// Of a region that begins at a time.
    pub fn new(block: u8, port: u16, local: Local, time: Timestamp) -> Self {
        Self { format: FORMAT, journal: 0, block, port, local, time }
    }
}

/// Something that the world was told.
#[derive(Debug, Serialize, Deserialize)]
pub enum Told<'a> {
    Admit(Cow<'a, str>),
    Call(Timestamp, Cow<'a, Request>),
    Signal(Timestamp, Cow<'a, Signal>),
    Advance(Timestamp),
}

impl Told<'_> {
    fn tell(self, world: &mut World) -> Option<Timestamp> {
        match self {
            Told::Admit(name) => {
                // Whoever was refused then is refused again.
                let _ = world.admit(&name);
                None
            }
            Told::Call(now, request) => {
                let _ = world.call(now, &request);
                Some(now)
            }
            Told::Signal(now, signal) => {
                world.signal(now, signal.into_owned());
                Some(now)
            }
            Told::Advance(now) => {
                world.advance(now);
                Some(now)
            }
        }
    }
}

/// Whether a call may change the world.
pub fn changes(request: &Request) -> bool {
    !["Describe", "Get", "List"].iter().any(|reads| request.operation.starts_with(reads))
}

fn folder(home: &Path) -> PathBuf {
    home.join("state")
}

fn snapshot_file(home: &Path) -> PathBuf {
    folder(home).join("snapshot.cbor")
}

fn journal_file(home: &Path, number: u64) -> PathBuf {
    folder(home).join(format!("journal-{number}.cbor"))
}

/// Whether there is something to go on from.
pub fn exists(home: &Path) -> bool {
    snapshot_file(home).is_file()
}

/// Forgets everything.
///
/// # Errors
/// Where it cannot be removed.
pub fn forget(home: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder(home)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What [`load`] found.
#[derive(Debug)]
pub enum Loaded {
    Nothing,
    World(Header, Box<World>),
    /// It was damaged or of another version; where it lies now, and why.
    SetAside(PathBuf, String),
}

/// Reads what an earlier process of this home left. What cannot be read is set aside, never deleted.
///
/// # Errors
/// Where it can neither be read nor be set aside.
pub fn load(home: &Path, now: Timestamp) -> io::Result<Loaded> {
    if !exists(home) {
        return Ok(Loaded::Nothing);
    }
    match read(home) {
        Ok((header, world)) => Ok(Loaded::World(header, Box::new(world))),
        Err(why) => {
            let aside = home.join(format!("state-{}", now.strftime("%Y%m%d-%H%M%S")));
            fs::rename(folder(home), &aside)?;
            Ok(Loaded::SetAside(aside, why))
        }
    }
}

fn read(home: &Path) -> Result<(Header, World), String> {
    let told = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let path = snapshot_file(home);
    let bytes = bytes(&path).map_err(|error| told(&path, &error))?;
    let mut rest = bytes.as_slice();
    let mut header: Header = ciborium::from_reader(&mut rest).map_err(|error| told(&path, &error))?;
    if header.format != FORMAT {
        let found = header.format;
        return Err(told(&path, &format!("format {found}, and this version reads {FORMAT}")));
    }
    let mut world: World = ciborium::from_reader(&mut rest).map_err(|error| told(&path, &error))?;
    // After a snapshot that was not finished there are two.
    for number in header.journal.. {
        let path = journal_file(home, number);
        let bytes = match self::bytes(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            read => read.map_err(|error| told(&path, &error))?,
        };
        let mut rest = bytes.as_slice();
        while let Some(entry) = next::<Told<'static>>(&mut rest).map_err(|error| told(&path, &error))? {
            if let Some(time) = entry.tell(&mut world) {
                header.time = header.time.max(time);
            }
        }
    }
    Ok((header, world))
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The next entry of a journal, each with its length before it; `None` at the end, where an entry may be cut off.
fn next<T: DeserializeOwned>(rest: &mut &[u8]) -> Result<Option<T>, String> {
    let Some((length, after)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    let Some((entry, after)) = after.split_at_checked(length) else { return Ok(None) };
    *rest = after;
    ciborium::from_reader(entry).map(Some).map_err(|error| error.to_string())
}

/// Writes down what the world is told.
#[derive(Debug)]
pub struct Journal {
    home: PathBuf,
    header: Header,
    file: File,
    written: u64,
}

impl Journal {
    /// Begins with a snapshot of the world.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn begin(home: &Path, header: Header, world: &World) -> io::Result<Self> {
        permissions::owners_folder(&folder(home))?;
        // Behind whatever is there: what is left of an unfinished one must not go on from the new snapshot.
        let number = journals(home).into_iter().max().map_or(0, |last| last + 1);
        let header = Header { journal: number, ..header };
        let file = open(home, number)?;
        write_snapshot(home, &header, world)?;
        remove_others(home, number);
        Ok(Self { home: home.to_owned(), header, file, written: 0 })
    }

    /// One whose file is on a disk that is full.
    #[cfg(test)]
    pub fn on_a_full_disk(home: &Path, world: &World) -> Self {
        let header = Header::new(0, 0, Local::default(), Timestamp::UNIX_EPOCH);
        let mut journal = Self::begin(home, header, world).expect("there is room for the beginning");
        journal.file = File::options().append(true).open("/dev/full").expect("full(4)");
        journal
    }

    /// Gives up: what is on the disk would be half a story, and is set out of the way of the next start.
    pub fn discard(self) {
        if let Err(error) = forget(&self.home) {
            tracing::error!(%error, "what was kept of the region's state stays");
        }
    }

    /// Adds an entry; turns a journal that has grown into a snapshot of `world`, which has been told all of it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add(&mut self, told: &Told<'_>, time: Timestamp, world: &World) -> io::Result<()> {
        let mut entry = vec![0; 4];
        ciborium::into_writer(told, &mut entry).map_err(io::Error::other)?;
        let length = u32::try_from(entry.len() - 4).map_err(io::Error::other)?;
        entry[..4].copy_from_slice(&length.to_be_bytes());
        self.file.write_all(&entry)?;
        self.written += entry.len() as u64;
        if self.written > JOURNAL_BYTES_MAX {
            *self = Self::begin(&self.home, Header { time, ..self.header.clone() }, world)?;
        }
        Ok(())
    }
}

fn open(home: &Path, number: u64) -> io::Result<File> {
    let mut options = File::options();
    options.create_new(true).append(true);
    // User data are in it.
    permissions::private(&mut options);
    options.open(journal_file(home, number))
}

fn write_snapshot(home: &Path, header: &Header, world: &World) -> io::Result<()> {
    let mut bytes = Vec::new();
    ciborium::into_writer(header, &mut bytes).map_err(io::Error::other)?;
    ciborium::into_writer(world, &mut bytes).map_err(io::Error::other)?;
    files::write(&snapshot_file(home), &bytes)
}

/// The numbers of the journals that are there.
fn journals(home: &Path) -> Vec<u64> {
    let entries = fs::read_dir(folder(home)).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix("journal-")?.strip_suffix(".cbor")?.parse().ok();
    entries.filter_map(|entry| number(entry.file_name().to_str()?)).collect()
}

/// One that stays is never read: the snapshot names its own.
fn remove_others(home: &Path, number: u64) {
    for other in journals(home).into_iter().filter(|other| *other != number) {
        let _ = fs::remove_file(journal_file(home, other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::wire::{Params, Service, query};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn run(form: &str) -> Request {
        let params = query::parse(form.as_bytes()).unwrap();
        Request { service: Service::Ec2, operation: "RunInstances".to_owned(), params }
    }

    fn count(world: &mut World) -> usize {
        world.services.ec2.instances_facts().len()
    }

    const LAUNCH: &str = "ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=2&MaxCount=2";

    /// A world that was told to launch two instances, and its journal.
    fn told(home: &Path) -> (World, Journal) {
        let mut world = World::new("us-east-1", 7);
        let mut journal = Journal::begin(home, Header::new(3, 4567, Local::default(), at(0)), &world).unwrap();
        let request = run(LAUNCH);
        world.call(at(5), &request).0.unwrap();
        journal.add(&Told::Call(at(5), Cow::Borrowed(&request)), at(5), &world).unwrap();
        (world, journal)
    }

    #[test]
    fn a_world_is_the_same_again_with_its_ids() {
        let home = tempfile::tempdir().unwrap();
        let (world, _journal) = told(home.path());
        let Loaded::World(header, again) = load(home.path(), at(9)).unwrap() else { panic!("it is there") };
        assert_eq!((header.block, header.port, header.time), (3, 4567, at(5)));
        assert_eq!(format!("{again:?}"), format!("{world:?}"));
    }

    #[test]
    fn an_entry_that_was_cut_off_does_not_count_and_a_damaged_file_is_set_aside() {
        let home = tempfile::tempdir().unwrap();
        drop(told(home.path()));
        let journal = journal_file(home.path(), 0);
        let whole = fs::read(&journal).unwrap();
        fs::write(&journal, &whole[..whole.len() - 3]).unwrap();
        let Loaded::World(_, mut world) = load(home.path(), at(9)).unwrap() else { panic!("it is there") };
        assert_eq!(count(&mut world), 0);

        fs::write(snapshot_file(home.path()), b"something else").unwrap();
        let Loaded::SetAside(place, why) = load(home.path(), at(9)).unwrap() else { panic!("it is damaged") };
        assert!(place.join("snapshot.cbor").is_file() && why.contains("snapshot.cbor"), "{why}");
        assert!(matches!(load(home.path(), at(9)).unwrap(), Loaded::Nothing));
    }

    #[test]
    fn a_newer_format_is_set_aside_with_a_word_about_it() {
        let home = tempfile::tempdir().unwrap();
        let (world, journal) = told(home.path());
        write_snapshot(home.path(), &Header { format: FORMAT + 1, ..journal.header.clone() }, &world).unwrap();
        let Loaded::SetAside(_, why) = load(home.path(), at(9)).unwrap() else { panic!("it is newer") };
        assert!(why.contains(&format!("this version reads {FORMAT}")), "{why}");
    }

    #[test]
    fn a_snapshot_takes_the_journals_place_and_an_unfinished_one_loses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let (mut world, mut journal) = told(home.path());
        journal.written = JOURNAL_BYTES_MAX;
        world.advance(at(6));
        journal.add(&Told::Advance(at(6)), at(6), &world).unwrap();
        assert_eq!(journals(home.path()), [1]);
        // The process ended after the next journal was begun and before its snapshot was written.
        let request = run(LAUNCH);
        world.call(at(7), &request).0.unwrap();
        journal.add(&Told::Call(at(7), Cow::Borrowed(&request)), at(7), &world).unwrap();
        journal.file = open(home.path(), 2).unwrap();
        world.call(at(8), &request).0.unwrap();
        journal.add(&Told::Call(at(8), Cow::Borrowed(&request)), at(8), &world).unwrap();
        let Loaded::World(header, again) = load(home.path(), at(9)).unwrap() else { panic!("it is there") };
        assert_eq!((header.time, format!("{again:?}")), (at(8), format!("{world:?}")));
    }

    #[test]
    fn a_journal_that_is_given_up_leaves_nothing_to_go_on_from() {
        let home = tempfile::tempdir().unwrap();
        let (_, journal) = told(home.path());
        journal.discard();
        assert!(!exists(home.path()) && matches!(load(home.path(), at(9)).unwrap(), Loaded::Nothing));
    }

    #[test]
    fn what_only_reads_is_not_written_down() {
        let request = |operation: &str| Request {
            service: Service::Ec2,
            operation: operation.to_owned(),
            params: Params::default(),
        };
        for (operation, expected) in [("DescribeInstances", false), ("GetMetricData", false), ("RunInstances", true)] {
            assert_eq!(changes(&request(operation)), expected, "{operation}");
        }
    }
}
