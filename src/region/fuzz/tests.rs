//! The fuzz targets, bounded and with fixed seeds: parts that mean something, put together, cut and damaged.
//! `FUZZ_RUNS=100000` runs more of each.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use fastrand::Rng;

use super::super::driver::Region;
use super::super::world::World;
use super::calls::{Calls, SEED, booted, open, recorded};
use super::parsers;

fn runs(usual: u64) -> u64 {
    std::env::var("FUZZ_RUNS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

/// Up to nine parts with some damage.
fn bytes(rng: &mut Rng, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.usize(1..10) {
        bytes.extend_from_slice(parts[rng.usize(..parts.len())]);
    }
    for _ in 0..rng.usize(..3) {
        let at = rng.usize(..=bytes.len());
        match rng.u32(..4) {
            0 => bytes.insert(at, rng.u8(..)),
            1 if at < bytes.len() => bytes[at] = b"\"{}[],:.&=%+-0 \xff"[rng.usize(..15)],
            2 if at < bytes.len() => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// Runs `entry` on what each seed gives.
fn hold(usual: u64, parts: &[&[u8]], entry: impl Fn(&[u8]) -> Result<(), String>) {
    for seed in 0..runs(usual) {
        let bytes = bytes(&mut Rng::with_seed(seed), parts);
        if let Err(reason) = entry(&bytes) {
            panic!("seed {seed}: {reason}\nof {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn recorded_calls_are_answered() {
    let refused: Vec<String> = recorded()
        .iter()
        .filter_map(|(call, world)| match call.answer(&mut world.clone()) {
            Some(Ok(_)) => None,
            other => Some(format!("{other:?}\nto {}", call.body.escape_ascii())),
        })
        .collect();
    assert!(recorded().len() > 100, "{}", recorded().len());
    // One deletes what is in use. Where the ids that a world gives have changed, those that name some are refused, too:
    // then the calls want to be recorded again, and until then they are damaged calls like others.
    let (refused_count, all) = (refused.len(), recorded().len());
    assert!(refused_count >= 1 && refused_count <= all * 2 / 3, "{refused_count} of {all}:\n{}", refused.join("\n"));
}

#[tokio::test]
async fn whatever_becomes_of_recorded_calls_the_answers_can_be_read() {
    for seed in 0..runs(300) {
        let mut rng = Rng::with_seed(seed);
        let mut data: Vec<u8> = (0..2).map(|_| rng.u8(..)).collect();
        for _ in 0..rng.usize(1..6) {
            let words: [&[u8]; 10] =
                [b"", b"-1", b"\0", b"%", b"&A.1.B=", b"99999999999999999999", b"\xff\xfe", b"<x>", b"{[", b"web"];
            let word = words[rng.usize(..words.len())];
            data.extend_from_slice(&[rng.u8(..), rng.u8(..), rng.u8(..), u8::try_from(word.len()).unwrap()]);
            data.extend_from_slice(word);
        }
        if let Err(reason) = Calls::from_bytes(&data).run().await {
            panic!("seed {seed}: {reason}");
        }
    }
}

#[test]
fn what_the_wires_parsers_read_can_be_written_and_read_again() {
    let mut parts: Vec<&[u8]> = vec![
        b"\x00",
        b"\x01",
        b"\x02",
        b"\x03",
        b"{",
        b"}",
        b"\"a\":",
        b"null,",
        b"1e400",
        b"1.5",
        b"[",
        b"]",
        b"\"\\u0000\"",
        b"\xbf",
        b"\xff",
        b"\xa1aa",
        b"\x9f",
        b"\xc1\xfb\x41\xd9",
        b"\xf9\x7e\x00",
        b"\xf6",
        b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"a.1.b=",
        b"&a.member.1=x",
        b"&a.entry.1.key=k&a.entry.1.value=v",
        b"&a.4294967296=",
        b"%00",
        b"%ff",
        b"&=&",
    ];
    parts.extend(recorded().iter().map(|(call, _)| call.body.as_slice()));
    hold(3000, &parts, |bytes| {
        parsers::wire(bytes)?;
        // The same for a parser that fits.
        let kind = match bytes.first() {
            Some(b'{') => 1,
            Some(0xa0..=0xbf) => 2,
            _ => 0,
        };
        parsers::wire(&[&[kind], bytes].concat())
    });
}

#[test]
fn whatever_a_widget_says_it_is_refused_or_drawn() {
    let parts: [&[u8]; 30] = [
        br#"{"metrics":[["Lab","Load"]],"#,
        br#"{"width":20,"height":10,"metrics":["#,
        br#"["Lab","Load","Host","a"],"#,
        br#"["...",{"id":"m1","stat":"p99.9"}],"#,
        br#"[{"expression":"m1/0","id":"e1"}],"#,
        br#"["Lab","Set"]]"#,
        b"]",
        b"}",
        b",",
        br#""start":"-PT3H","#,
        br#""start":"-P9999Y","#,
        br#""end":"P1D","#,
        br#""end":"2026-11-28T00:00:00Z""#,
        br#""period":1,"#,
        br#""period":60,"#,
        br#""period":-60,"#,
        br#""yAxis":{"left":{"min":1e308,"max":-1e308}},"#,
        br#""yAxis":{"right":{"min":0}},"#,
        br#""view":"pie","#,
        br#""view":"bar","#,
        br#""stacked":true,"#,
        br#""title":"\u0000\ud83d\ude00 long long long","#,
        br#""annotations":{"horizontal":[{"value":1e300,"fill":"above"},[{"value":1},{"value":-1}]]},"#,
        br#""annotations":{"vertical":[{"value":"2026-11-28T00:00:00Z","fill":"before"}]},"#,
        br#""timezone":"+9999","#,
        br#""legend":{"position":"right"},"#,
        br#""setPeriodToTimeRange":true,"#,
        br#""theme":"dark""#,
        br#""width":1,"height":1"#,
        br##"[".",".",{"color":"#ffffff","yAxis":"right","visible":false}]"##,
    ];
    hold(1500, &parts, parsers::widget);
    // Whole ones, with odd values.
    let odd = ["-1e308", "1e308", "0", "null", "\"\"", "5e-324", "[]", "{}", "1"];
    let names =
        ["width", "height", "period", "start", "end", "title", "stat", "view", "yAxis", "annotations", "legend"];
    for seed in 0..runs(1500) {
        let mut rng = Rng::with_seed(seed);
        let value = odd[rng.usize(..odd.len())];
        let name = names[rng.usize(..names.len())];
        let fields = [
            format!(r#"{{"metrics":[["Lab","Load","Host","a"],["Lab","Set",{{"yAxis":"right"}}]],"{name}":{value}}}"#),
            format!(r#"{{"metrics":[["Lab","Load"]],"yAxis":{{"left":{{"min":{value}}},"right":{{"max":{value}}}}}}}"#),
            format!(r#"{{"metrics":[["Lab","Load"]],"annotations":{{"horizontal":[{{"value":{value}}}]}}}}"#),
        ];
        let widget = &fields[rng.usize(..fields.len())];
        assert_eq!(parsers::widget(widget.as_bytes()), Ok(()), "seed {seed}: {widget}");
    }
}

#[test]
fn whatever_an_expression_says_it_is_refused_or_a_number_at_each_time() {
    let parts: [&[u8]; 56] = [
        b"m1",
        b"m2",
        b"a1",
        b"METRICS()",
        b"SEARCH('{a} b','Sum',60)",
        b"1",
        b"0",
        b"1e308",
        b"-",
        b"+",
        b"*",
        b"/",
        b"^",
        b"(",
        b")",
        b"[",
        b"]",
        b",",
        b" ",
        b"<",
        b">=",
        b"==",
        b"!=",
        b"&&",
        b"||",
        b" AND ",
        b" OR ",
        b"IF(",
        b"FILL(",
        b"RATE(",
        b"DIFF(",
        b"RUNNING_SUM(",
        b"SUM(",
        b"AVG(",
        b"MIN(",
        b"MAX(",
        b"STDDEV(",
        b"ABS(",
        b"LOG(",
        b"LOG10(",
        b"CEIL(",
        b"FLOOR(",
        b"FIRST(",
        b"LAST(",
        b"PERIOD(",
        b"METRIC_COUNT(",
        b"DATAPOINT_COUNT(",
        b"REMOVE_EMPTY(",
        b"TIME_SERIES(",
        b"DIFF_TIME(",
        b",REPEAT)",
        b",LINEAR)",
        b",0)",
        b"'a'",
        b"\"",
        b"\xc3\xa9",
    ];
    hold(20_000, &parts, parsers::metric_math);
}

/// `CLOUDSCALE_RECORD_CALLS=1` writes the calls again, with the boto3 of `CLOUDSCALE_TEST_VENV`.
#[tokio::test]
async fn the_calls_are_recorded_anew_where_that_is_asked_for() {
    if std::env::var_os("CLOUDSCALE_RECORD_CALLS").is_none() {
        return;
    }
    let (region, mut outward) = Region::new(World::new("us-east-1", SEED));
    let region = Arc::new(region);
    let (door, stop) = open(Arc::clone(&region)).await.unwrap();
    tokio::spawn(async move {
        while let Some(signal) = outward.processes.recv().await {
            booted(&signal).into_iter().for_each(|signal| region.signal(signal));
        }
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let python = Path::new(&std::env::var("CLOUDSCALE_TEST_VENV").expect("a venv")).join("bin/python");
    let file = std::fs::File::create(folder.join("calls.jsonl")).unwrap();
    let mut recorder = tokio::process::Command::new(python);
    recorder.arg(folder.join("record")).arg(format!("http://{door}")).stdout(Stdio::from(file));
    assert!(recorder.status().await.unwrap().success());
    stop.cancel();
}
