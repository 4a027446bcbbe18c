//! `requests`: what is sent, by weight, and what a correct answer is.

use std::path::Path;

use super::{NAME, PATH, SCENARIO, duration, key};
use crate::benchmark::scenario::{Expect, RequestChoice};
use crate::document::grammar::Presence::{Default, Optional, Required};
use crate::document::grammar::{Kind, Object};
use crate::document::{Fields, scalar_text};
use crate::problem::{Problem, Problems};

const REQUESTS_MAX: usize = 100;
/// A body that is sent a thousand times a second stays in memory.
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

const HEADER_NAME: Kind = Kind::Pattern {
    regex: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
    characters_max: 128,
    form: "a header's name (RFC 9110, section 5.1)",
};
const HEADER_VALUE: Kind =
    Kind::Pattern { regex: "^[ -~]*$", characters_max: 8192, form: "text of visible ASCII characters and spaces" };

pub static REQUEST: Object = Object {
    name: "request",
    about: "What is sent.",
    keys: &[
        key("name", NAME, Required, "Shown in the report."),
        key("weight", Kind::Integer { min: 1, max: 1_000_000 }, Default("1"), "Its share among all requests' weights."),
        key(
            "method",
            Kind::Choice(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
            Default("GET"),
            "The method.",
        ),
        key("path", PATH, Optional, "Behind the target's path. Without it, the target's path itself."),
        key("headers", Kind::Map { keys: &HEADER_NAME, values: &HEADER_VALUE }, Optional, "Headers beside our own."),
        key("body", Kind::Text, Optional, "What is sent after the headers; for a file as it is, see `body_file`."),
        key("body_file", Kind::Text, Optional, "A file that holds the body, beside the scenario."),
        key("timeout", duration(1, 600_000), Optional, "Time limit, in place of the scenario's."),
        key("expect", Kind::Object(&EXPECT), Optional, "What a correct answer is, in place of the scenario's."),
    ],
};

pub static EXPECT: Object = Object {
    name: "expectation",
    about: "What a correct answer is.",
    keys: &[
        key("status", Kind::Integer { min: 200, max: 599 }, Default("200"), "The status code."),
        key("contains", Kind::Text, Optional, "Text in the first 64 KiB of the body."),
    ],
};

pub fn read(fields: &Fields<'_>, folder: &Path, problems: &mut Problems) -> Vec<RequestChoice> {
    let (timeout, own) =
        (fields.duration(key!(SCENARIO, "timeout")), expect(&fields.object(key!(SCENARIO, "expect"), &EXPECT)));
    let only = RequestChoice { timeout, expect: own.clone(), ..RequestChoice::default() };
    if !fields.is_written(key!(SCENARIO, "requests")) {
        return vec![only];
    }
    let entries = fields.objects(key!(SCENARIO, "requests"), &REQUEST);
    if entries.is_empty() || entries.len() > REQUESTS_MAX {
        let detail = format!("a scenario has 1 to {REQUESTS_MAX} requests, but here are {}", entries.len());
        problems.push(fields.problem(key!(SCENARIO, "requests"), "Wrong number of requests", detail));
    }
    let mut requests: Vec<RequestChoice> = Vec::new();
    for entry in entries {
        let name = entry.text(key!(REQUEST, "name"));
        if requests.iter().any(|request| request.name == name) {
            problems.push(entry.problem(
                "name",
                "Two requests of one name",
                format!("`{name}` stands for two requests"),
            ));
        }
        requests.push(RequestChoice {
            name,
            weight: entry.integer(key!(REQUEST, "weight")),
            method: entry.text(key!(REQUEST, "method")),
            path: entry.text_written(key!(REQUEST, "path")).unwrap_or_default(),
            headers: headers(&entry),
            body: body(&entry, folder, problems),
            timeout: entry.duration_written(key!(REQUEST, "timeout")).unwrap_or(timeout),
            expect: entry
                .object_written(key!(REQUEST, "expect"), &EXPECT)
                .map_or_else(|| own.clone(), |written| expect(&written)),
        });
    }
    requests
}

fn expect(fields: &Fields<'_>) -> Expect {
    Expect { status: fields.integer(key!(EXPECT, "status")), contains: fields.text_written(key!(EXPECT, "contains")) }
}

fn headers(fields: &Fields<'_>) -> Vec<(String, String)> {
    let entries = fields.map(key!(REQUEST, "headers")).iter();
    entries.map(|entry| (entry.key.clone(), scalar_text(&entry.value).unwrap_or_default().to_owned())).collect()
}

fn body(fields: &Fields<'_>, folder: &Path, problems: &mut Problems) -> Vec<u8> {
    let (text, file) = (fields.text_written(key!(REQUEST, "body")), fields.text_written(key!(REQUEST, "body_file")));
    let Some(file) = file else { return text.unwrap_or_default().into_bytes() };
    if text.is_some() {
        problems.push(fields.problem(
            key!(REQUEST, "body_file"),
            "Two bodies",
            "a request has `body` or `body_file`, but not both",
        ));
        return Vec::new();
    }
    super::beside(folder, &file, BODY_BYTES_MAX).unwrap_or_else(|why| {
        problems.push(Problem::usage("Cannot read a body", why).at(fields.place(key!(REQUEST, "body_file"))));
        Vec::new()
    })
}
