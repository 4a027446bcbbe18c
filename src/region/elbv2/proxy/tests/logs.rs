//! The access log, from requests to its lines.

use super::*;

/// The lines that the proxy has, as soon as there are so many: a line is written when its request has ended.
async fn lines(bench: &Bench, count: usize) -> Vec<String> {
    let mut text = String::new();
    for _ in 0..200 {
        for front in bench.live.fronts() {
            text.push_str(&front.take_lines());
        }
        if text.lines().count() >= count {
            break;
        }
        clock::sleep(Duration::from_millis(10)).await;
    }
    text.lines().map(str::to_owned).collect()
}

async fn logging(targets: &[(&Server, Standing)]) -> Bench {
    let mut bench = Bench::with(targets).await;
    bench.access_log = Some(AccessLog { bucket: "logs".to_owned(), prefix: String::new() });
    bench.route(targets);
    bench
}

#[tokio::test]
async fn each_request_is_a_line_of_the_access_log() {
    let a = Server::echo("a").await;
    let bench = logging(&[(&a, Standing::Healthy)]).await;
    assert_eq!(bench.get("/cluster1?x=1").await.0, 200);
    assert_eq!(bench.get("/none").await.0, 404);
    let lines = lines(&bench, 2).await;
    let [forwarded, fixed] = lines.as_slice() else { panic!("{lines:#?}") };
    let address = a.address;
    assert!(forwarded.starts_with("http ") && forwarded.contains(" app/lab/1 127.0.0.1:"), "{forwarded}");
    assert!(forwarded.contains(&format!(" {address} 0.")), "{forwarded}");
    assert!(forwarded.contains(" 200 200 "), "{forwarded}");
    assert!(
        forwarded.contains(" \"GET http://a.example:80/cluster1?x=1 HTTP/1.1\" \"-\" - - light \"Root=1-"),
        "{forwarded}"
    );
    assert!(forwarded.contains("\" \"-\" \"-\" 1 20"), "the rule's priority: {forwarded}");
    assert!(
        forwarded.contains(&format!(" \"forward\" \"-\" \"-\" \"{address}\" \"200\" \"-\" \"-\" TID_")),
        "{forwarded}"
    );
    assert!(fixed.contains(" - -1 -1 -1 404 - "), "{fixed}");
    assert!(fixed.contains(" 0 20") && fixed.contains(" \"fixed-response\" "), "the default rule: {fixed}");
    let number = |line: &str, field: usize| line.split(' ').nth(field).unwrap().parse::<u64>().unwrap();
    assert!(number(forwarded, 10) > 60 && number(forwarded, 11) > 100, "bytes of request and response: {forwarded}");
    assert!(number(fixed, 11) > 100, "{fixed}");
}

#[tokio::test]
async fn what_no_target_answers_is_logged_with_the_load_balancers_own_status() {
    let broken = Server::saying("nonsense\r\n\r\n").await;
    let bench = logging(&[(&broken, Standing::Healthy)]).await;
    assert_eq!(bench.get("/cluster1").await.0, 502);
    let logged = lines(&bench, 1).await;
    let address = broken.address;
    assert!(logged[0].contains(&format!(" {address} 0.")) && logged[0].contains(" -1 -1 502 - "), "{logged:?}");
    let nobody = Server::echo("a").await;
    let bench = logging(&[(&nobody, Standing::Unused)]).await;
    assert_eq!(bench.get("/cluster1").await.0, 503);
    let logged = lines(&bench, 1).await;
    assert!(logged[0].contains(" - -1 -1 -1 503 - "), "{logged:?}");
}

#[tokio::test]
async fn without_an_access_log_nothing_is_kept() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    assert_eq!(bench.get("/cluster1").await.0, 200);
    let kept: String = bench.live.fronts().map(|front| front.take_lines()).collect();
    assert_eq!(kept, "");
}
