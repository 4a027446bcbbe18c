//! Transforms of rules, and the application's own cookies.

use super::super::super::patterns::{Pattern, Rewrite};
use super::*;

fn rewrite(pattern: &str, replace: &str) -> Option<Rewrite> {
    Some(Rewrite { pattern: Pattern::parse(pattern, 1024, false).unwrap(), replace: replace.to_owned() })
}

#[tokio::test]
async fn a_target_sees_the_url_and_the_host_that_the_rule_makes() {
    let a = Server::echo("a").await;
    let targets = [(&a, Standing::Healthy)];
    let mut bench = Bench::with(&targets).await;
    bench.transforms = Transforms { host: rewrite("^a[.]", "internal."), url: rewrite("^/cluster1/(.*)$", "/$1&more") };
    bench.route(&targets);
    let (status, seen) = bench.get("/cluster1/deep?x=1").await;
    assert_eq!(status, 200, "the rule's path is what the client sent");
    assert!(seen.starts_with("a\nGET /deep?x=1&more\n") && seen.contains("\nhost: internal.example\n"), "{seen}");
    let (_, seen) = bench.get("/cluster1?x=1").await;
    assert!(seen.starts_with("a\nGET /cluster1?x=1\n"), "nothing fits: {seen}");
    assert_eq!(bench.get("/cluster1/with%20space").await.0, 200);
    bench.transforms = Transforms { host: None, url: rewrite("^/cluster1", "") };
    bench.route(&targets);
    assert_eq!(bench.get("/cluster1").await.0, 500, "a URL of nothing");
    assert_eq!(bench.get("/cluster1/x").await.0, 200);
}

/// A target that sets the cookie SESSION where it is asked for `/cluster1/login`.
async fn application(name: &'static str) -> Server {
    Server::start(name, move |mut stream| async move {
        let asked = head(&mut stream).await;
        let cookie = if asked.contains("/login") { "Set-Cookie: SESSION=1; Path=/\r\n" } else { "" };
        let length = name.len();
        let answer = format!("HTTP/1.1 200 OK\r\n{cookie}Content-Length: {length}\r\nConnection: close\r\n\r\n{name}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
}

/// "Application-based stickiness": from when the target sets its cookie, a client stays, and not before.
#[tokio::test]
async fn a_client_stays_from_when_the_application_sets_its_cookie() {
    let (a, b) = (application("a").await, application("b").await);
    let targets = [(&a, Standing::Healthy), (&b, Standing::Healthy)];
    let mut bench = Bench::with(&targets).await;
    let stay = Duration::from_secs(600);
    bench.stickiness = Some(Stickiness { stay, application: Some("SESSION".to_owned()) });
    bench.route(&targets);
    let ask = async |path: &str, cookie: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{cookie}\r\n");
        bench.raw(&request).await
    };
    let plain = ask("/cluster1", "").await;
    assert!(!plain.contains("Set-Cookie"), "{plain}");
    let login = ask("/cluster1/login", "").await;
    let met = login.chars().last().unwrap();
    let given = login.lines().find_map(|line| line.strip_prefix("Set-Cookie: AWSALBAPP-0="));
    let given = given.unwrap_or_else(|| panic!("{login}"));
    let (value, rest) = given.split_once(';').unwrap();
    assert!(rest.starts_with(" Expires=") && rest.ends_with("; Path=/"), "{rest}");
    for _ in 0..4 {
        let next = ask("/cluster1", &format!("Cookie: SESSION=1; AWSALBAPP-0={value}\r\n")).await;
        assert!(next.ends_with(met) && !next.contains("Set-Cookie"), "{next}");
    }
}
