//! Callers that write nonsense: whatever names and values a request has, every answer can be read, and the world goes on.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use quick_xml::events::Event;

use super::reference::{Row, services};
use super::wire::operation::{Shape, shape};
use super::wire::protocol::{Protocol, write};
use super::wire::{Request, Service, query};
use super::world::World;

/// The paths of all parameters of an operation, with one item in each list.
fn paths(known: &[(&'static str, Shape)], prefix: &str, list: &str, found: &mut Vec<String>) {
    for (name, shape) in known {
        let (mut path, mut shape) = (format!("{prefix}{name}"), shape);
        while let Shape::List(item) = shape {
            path = format!("{path}{list}1");
            shape = item;
        }
        match shape {
            Shape::Structure(fields) => paths(fields, &format!("{path}."), list, found),
            _ => found.push(path),
        }
    }
}

/// Every operation that forms can reach, with its parameters' paths.
fn operations() -> Vec<(Service, &'static str, Vec<String>)> {
    let row = |row: Row| {
        let (service, list) = match row.service {
            "ec2" => (Service::Ec2, "."),
            "elbv2" => (Service::Elbv2, ".member."),
            "autoscaling" => (Service::Autoscaling, ".member."),
            "cloudwatch" => (Service::Cloudwatch, ".member."),
            "sts" => (Service::Sts, ".member."),
            _ => return None,
        };
        let mut found = vec!["Nobody".to_owned()];
        paths(&shape(row.takes), "", list, &mut found);
        Some((service, row.name, found))
    };
    services().into_iter().flat_map(|(_, _, rows)| rows).filter_map(row).collect()
}

/// Values that mean something to some parameter, and any text.
fn value() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 10] =
        ["ami-0a1b2c3d4e5f60001", "t2.large", "1", "10.0.0.0/16", "web", "true", "HTTP", "", "-1", "$Latest"];
    prop_oneof![3 => select(&KNOWN[..]).prop_map(str::to_owned), 2 => ".{0,12}"]
}

fn call() -> impl Strategy<Value = (Service, &'static str, Vec<(String, String)>)> {
    select(operations()).prop_flat_map(|(service, name, paths)| {
        let field = prop_oneof![6 => select(paths), 1 => "[A-Za-z<>&=\" .0-9]{1,16}"];
        (Just(service), Just(name), prop::collection::vec((field, value()), 0..8))
    })
}

/// Whether an XML reader gets to the end.
fn is_readable(body: &[u8]) -> Result<(), String> {
    let mut reader = quick_xml::Reader::from_reader(body);
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(format!("{error}: {}", String::from_utf8_lossy(body))),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_can_be_read_whatever_the_caller_writes(calls in prop::collection::vec(call(), 1..10)) {
        let mut world = World::new("us-east-1", 1);
        for (service, operation, fields) in calls {
            let mut form = form_urlencoded::Serializer::new(String::new());
            fields.iter().for_each(|(name, value)| { form.append_pair(name, value); });
            let params = query::parse(form.finish().as_bytes());
            let request = params.map(|params| Request { service, operation: operation.to_owned(), params });
            let answer = match &request {
                Ok(request) => world.call(Timestamp::UNIX_EPOCH, request).0,
                Err(error) => Err(error.clone()),
            };
            let protocol = if service == Service::Ec2 { Protocol::Ec2Query } else { Protocol::Query };
            let response = write(protocol, request.as_ref().ok(), &answer, "id");
            prop_assert_eq!(is_readable(&response.body), Ok(()));
        }
    }
}
