//! `replay`: an access log of a load balancer, read and put behind those of the phases before.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use super::SCENARIO;
use super::requests::EXPECT;
use crate::benchmark::access_log::AccessLog;
use crate::benchmark::scenario::{Expect, Replay, RequestChoice};
use crate::document::Fields;
use crate::document::name::{self, Name, Named, key};
use crate::problem::Problem;

/// Packed or not: what is read into memory.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What all replays of a scenario ask for.
pub struct Replayed {
    pub requests: Vec<RequestChoice>,
    timeout: Duration,
    contains: Option<String>,
}

impl Replayed {
    /// Of the scenario whose top these fields are.
    pub fn new(fields: &Fields<'_>) -> Self {
        let contains = fields.object(key!(SCENARIO, "expect"), &EXPECT).text_written(key!(EXPECT, "contains"));
        Self { requests: Vec::new(), timeout: fields.duration(key!(SCENARIO, "timeout")), contains }
    }

    /// The log that a phase names under `key`.
    pub fn read(&mut self, fields: &Fields<'_>, key: Name<name::Text>, folder: &Path) -> Result<Replay, Problem> {
        let name = fields.text(key);
        let failed = |why: String| {
            Problem::usage("Cannot read an access log", why).at(fields.place(key.name())).hint(
                "it has the format of \"Access logs for your Application Load Balancer\", packed with gzip or not",
            )
        };
        let named = |why: String| failed(format!("{}: {why}", folder.join(&name).display()));
        let bytes = super::beside(folder, &name, BYTES_MAX).map_err(failed)?;
        let text = text(bytes).map_err(named)?;
        let log = AccessLog::parse(&text).map_err(named)?;
        let first = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
        self.requests.extend(log.requests.into_iter().map(|logged| RequestChoice {
            method: logged.method,
            path: logged.path,
            timeout: self.timeout,
            expect: Expect { status: logged.status, contains: self.contains.clone() },
            ..RequestChoice::default()
        }));
        Ok(Replay { due: log.due.into_iter().map(|(due, request)| (due, first + request)).collect() })
    }
}

/// The text of a log; load balancers pack theirs with gzip.
fn text(bytes: Vec<u8>) -> Result<String, String> {
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        let mut reader = flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(BYTES_MAX + 1);
        reader.read_to_end(&mut unpacked).map_err(|error| error.to_string())?;
        if unpacked.len() as u64 > BYTES_MAX {
            return Err(format!("unpacked it has more than {BYTES_MAX} bytes"));
        }
        unpacked
    } else {
        bytes
    };
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::super::parse;
    use super::*;
    use crate::benchmark::scenario::{Load, Scenario};
    use crate::problem::Source;

    const LINE: &str = r#"http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/a HTTP/1.1" "curl/7.46.0" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#;

    fn read(log: &[u8]) -> Result<Scenario, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("access.log"), log).expect("written");
        let text = "phases: [{replay: access.log}, {replay: access.log}]\n".to_owned();
        let read = parse(Arc::new(Source { name: "load.yaml".into(), text }), "load", folder.path());
        read.map_err(|problems| problems.0[0].to_string())
    }

    #[test]
    fn a_log_is_read_packed_or_not_and_each_phase_has_its_own_requests() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(LINE.as_bytes()).expect("packed");
        for log in [LINE.as_bytes(), &packed.finish().expect("packed")] {
            let scenario = read(log).expect("a log");
            assert_eq!(scenario.replayed.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["/a", "/a"]);
            let second = Load::Replay(Replay { due: [(Duration::ZERO, 1)].into() });
            assert_eq!(scenario.flows[0].phases[1].load, second);
            assert_eq!(scenario.flows[0].phases[0].label(), "replay of 1 requests");
        }
    }

    #[test]
    fn a_log_of_another_format_is_a_problem_with_the_line() {
        let found = read(b"127.0.0.1 - - \"GET / HTTP/1.0\" 200 2326").expect_err("Apache's");
        assert!(found.contains("access.log: line 1 is none of a load balancer's access log"), "{found}");
    }
}
