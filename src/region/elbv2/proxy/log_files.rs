//! Access logs as files: `s3/BUCKET/PREFIX/AWSLogs/ACCOUNT/elasticloadbalancing/REGION/yyyy/mm/dd/….log.gz` in the region's
//! home, every five minutes of the region's time, named as AWS names its objects (user guide, "Access log files").

use std::collections::HashMap;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use super::super::routing::{AccessLog, ListenerRoutes};
use crate::files;
use crate::region::context::ACCOUNT;

/// How often files are written.
const INTERVAL_SECONDS: i64 = 300;
/// A file that has become so large is written before its time.
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where a load balancer's log goes, and what its files are named after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    log: AccessLog,
    region: String,
    address: Ipv4Addr,
}

impl Place {
    /// That of a listener's load balancer, by its name; `None` without an access log.
    pub fn of(listener: &ListenerRoutes) -> Option<(String, Self)> {
        let log = listener.settings.access_log.clone()?;
        let region = listener.arn.split(':').nth(3).unwrap_or_default().to_owned();
        Some((listener.settings.load_balancer.clone(), Self { log, region, address: *listener.address.ip() }))
    }

    fn folder(&self, home: &Path) -> PathBuf {
        home.join("s3").join(&self.log.bucket).join(&self.log.prefix).join("AWSLogs").join(ACCOUNT)
    }

    /// The file of the interval that ends at `end`.
    fn file(&self, home: &Path, load_balancer: &str, end: Timestamp, random: u64) -> PathBuf {
        let name = format!(
            "{ACCOUNT}_elasticloadbalancing_{}_{}_{}_{}_{:08x}.log.gz",
            self.region,
            load_balancer.replace('/', "."),
            end.strftime("%Y%m%dT%H%MZ"),
            self.address,
            random & 0xffff_ffff
        );
        let day = end.strftime("%Y/%m/%d").to_string();
        self.folder(home).join("elasticloadbalancing").join(&self.region).join(day).join(name)
    }
}

/// A file to write.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    text: String,
}

/// What is to be written, by load balancer.
#[derive(Debug)]
pub struct LogFiles {
    home: PathBuf,
    pending: HashMap<String, (Place, String)>,
    /// The number of the interval that runs.
    interval: i64,
}

impl LogFiles {
    pub fn new(home: PathBuf, now: Timestamp) -> Self {
        Self { home, pending: HashMap::new(), interval: now.as_second().div_euclid(INTERVAL_SECONDS) }
    }

    /// Takes lines.
    pub fn add(&mut self, load_balancer: &str, place: &Place, lines: &str) {
        if lines.is_empty() {
            return;
        }
        match self.pending.get_mut(load_balancer) {
            Some((known, text)) if known == place => text.push_str(lines),
            _ => drop(self.pending.insert(load_balancer.to_owned(), (place.clone(), lines.to_owned()))),
        }
    }

    /// The files whose time has come; all of them at the end.
    pub fn due(&mut self, now: Timestamp, at_end: bool, random: u64) -> Vec<File> {
        let interval = now.as_second().div_euclid(INTERVAL_SECONDS);
        let is_over = std::mem::replace(&mut self.interval, interval) != interval;
        let is_due = |text: &String| is_over || at_end || text.len() >= FILE_BYTES_MAX;
        let end = match is_over && !at_end {
            true => Timestamp::from_second(interval * INTERVAL_SECONDS).unwrap_or(now),
            false => now,
        };
        let due: Vec<String> =
            self.pending.iter().filter(|(_, (_, text))| is_due(text)).map(|(name, _)| name.clone()).collect();
        let file = |name: String| {
            let (place, text) = self.pending.remove(&name)?;
            Some(File { path: place.file(&self.home, &name, end, random), text })
        };
        due.into_iter().filter_map(file).collect()
    }
}

impl File {
    /// Writes it; a failure is told in the region's own log, as nobody waits for it.
    pub fn write(self) {
        let Self { path, text } = self;
        let write = || {
            let mut packed = GzEncoder::new(Vec::new(), Compression::default());
            packed.write_all(text.as_bytes())?;
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            files::write(&path, &packed.finish()?)
        };
        if let Err(error) = write() {
            tracing::warn!(%error, path = %path.display(), "an access log is not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn place() -> Place {
        let log = AccessLog { bucket: "my-logs".to_owned(), prefix: "team/web".to_owned() };
        Place { log, region: "us-east-2".to_owned(), address: Ipv4Addr::new(127, 31, 0, 4) }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_file_is_written_every_five_minutes_and_named_as_aws_does() {
        let home = tempfile::tempdir().unwrap();
        let mut files = LogFiles::new(home.path().to_owned(), at("2022-02-15T23:36:10Z"));
        files.add("app/my-loadbalancer/1234567890abcdef", &place(), "one\n");
        assert!(files.due(at("2022-02-15T23:39:59Z"), false, 1).is_empty());
        files.add("app/my-loadbalancer/1234567890abcdef", &place(), "two\n");
        let due = files.due(at("2022-02-15T23:40:01Z"), false, 0xabcdef).into_iter().map(|file| {
            let path = file.path.clone();
            file.write();
            path
        });
        let due: Vec<PathBuf> = due.collect();
        let named = "s3/my-logs/team/web/AWSLogs/000000000000/elasticloadbalancing/us-east-2/2022/02/15/\
                     000000000000_elasticloadbalancing_us-east-2_app.my-loadbalancer.1234567890abcdef_20220215T2340Z_127.31.0.4_00abcdef.log.gz";
        assert_eq!(due, [home.path().join(named)]);
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(&due[0]).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
        assert!(files.due(at("2022-02-15T23:45:01Z"), false, 1).is_empty(), "without requests there is no file");
        files.add("app/my-loadbalancer/1234567890abcdef", &place(), "three\n");
        assert_eq!(files.due(at("2022-02-15T23:46:00Z"), true, 1).len(), 1, "what is left when the region stops");
    }
}
