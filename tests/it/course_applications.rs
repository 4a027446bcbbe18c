//! The applications of two course projects as they ship: the steps of each project's own check, in fast time.

use super::local_region::eventually;
use super::rehearsal::{Rehearsal, Target};
use super::visitor::Visitor;

const USERS_AND_ACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/users-and-acts.yaml");
const OBJECT_STORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/object-store.yaml");

/// The healthy ones.
fn healthy(targets: &[Target]) -> Vec<String> {
    targets.iter().filter(|(_, state)| state == "healthy").map(|(id, _)| id.clone()).collect()
}

/// Waits until so many workers listen and are healthy, and no other is in the target group.
async fn workers(stack: &Rehearsal, count: usize) -> Vec<String> {
    let what = format!("{count} healthy");
    stack
        .until_targets("acts", &what, |targets| {
            let found = healthy(targets);
            (found.len() == count && targets.len() == count).then_some(found)
        })
        .await
}

/// The check of the orchestrator project, step by step: twenty requests within two minutes are one worker more, a crashed
/// one is replaced, and one is left when the requests cease.
///
/// Ten times as fast, two minutes are twelve seconds, and a request counts as ten: so does the threshold here.
#[tokio::test(flavor = "multi_thread")]
async fn workers_follow_the_requests_of_two_minutes_and_a_crashed_one_is_replaced() {
    let faster = [
        ("above: 20\n", "above: 200\n"),
        ("below: 9,", "below: 90,"),
        (
            "{from: 0, to: 20, add: 1}, {from: 20, to: 40, add: 2}, {from: 40, add: 3}",
            "{from: 0, to: 200, add: 1}, {from: 200, to: 400, add: 2}, {from: 400, add: 3}",
        ),
    ];
    let stack = Rehearsal::edited(USERS_AND_ACTS, &faster).up();
    let mut visitor = Visitor::at(&stack.url()).await;

    let first = workers(&stack, 1).await;
    assert_eq!(visitor.get("/api/v1/_health").await.instance.as_ref(), Some(&first[0]));
    assert_eq!(visitor.send("DELETE", "/api/v1/_count", "").await.status, 200);
    // Each service finds the other: an act is of a user, whom users must know.
    assert_eq!(visitor.send("PUT", "/api/v1/users", r#"{"username": "ada"}"#).await.status, 201);
    let act = visitor.send("POST", "/api/v1/acts", r#"{"id": "1", "username": "ada"}"#).await;
    assert_eq!(act.status, 201, "{act:?}");
    let nobody = visitor.send("POST", "/api/v1/acts", r#"{"id": "2", "username": "bob"}"#).await;
    assert_eq!(nobody.status, 400, "{nobody:?}");
    for _ in 0..20 {
        let seen = visitor.get("/api/v1/acts").await;
        assert!(seen.status == 200 && seen.body.contains("ada"), "{seen:?}");
    }
    assert_eq!(visitor.get("/api/v1/_count").await.body, "[22]", "without those to _health and _count");

    let both = workers(&stack, 2).await;
    assert!(both.contains(&first[0]), "one more, and not another");
    let mut shares = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..6 {
        let seen = visitor.get("/api/v1/acts").await;
        assert!(seen.status == 200 && seen.body.contains("ada"), "they share one database: {seen:?}");
        *shares.entry(seen.instance.expect("an instance")).or_default() += 1;
    }
    assert_eq!(shares.into_values().collect::<Vec<_>>(), [3, 3]);

    let crashed = visitor.send("POST", "/api/v1/_crash", "").await.instance.expect("an instance");
    let other = both.iter().find(|id| **id != crashed).expect("the other");
    // It answers 500 from now on, until it is replaced.
    eventually("an answer of the crashed one", || async {
        let mut visitor = Visitor::at(&stack.url()).await;
        let seen = visitor.get("/api/v1/acts").await;
        (seen.status == 500).then(|| assert_eq!(seen.instance.as_ref(), Some(&crashed)))
    })
    .await;
    let replacement = stack
        .until_targets("acts", "a replacement in its place", |targets| {
            let found = healthy(targets);
            found.iter().find(|id| !both.contains(id)).filter(|_| !found.contains(&crashed)).cloned()
        })
        .await;
    assert_ne!(&replacement, other);

    // Whose turn it is to go is the termination policy's, which its own tests have in simulated time.
    let last = workers(&stack, 1).await;
    let seen = visitor.get("/api/v1/acts").await;
    assert_eq!((seen.status, seen.instance.as_ref()), (200, last.first()));
    assert_ne!(last[0], crashed);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_the_same_on_every_instance_and_survive_them() {
    let stack = Rehearsal::edited(OBJECT_STORE, &[("delays: aws", "delays: quick"), ("rate: 25", "rate: 200")]).up();
    let mut visitor = Visitor::at(&stack.url()).await;
    assert_eq!(visitor.send("PUT", "/objs/a", "hello hello hello").await.status, 200);
    let mut answered = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let seen = visitor.get("/objs/a").await;
        assert_eq!((seen.status, seen.body.as_str()), (200, "hello hello hello"));
        answered.insert(seen.instance.expect("an instance"));
    }
    assert_eq!(answered.len(), 2, "both answer with what one was given");
    // bzip2 in base64 begins with `BZh9`, as the blocks of the best compression do.
    assert!(visitor.get("/objs/a/compress").await.body.starts_with("QlpoO"));
    assert_eq!(visitor.get("/").await.body, "a\n");
    // What is shared survives the region's process, as a file system on AWS does, and ends with `reset`.
    stack.region.run(&["local", "stop"]);
    stack.cloudscale(&["up"]).ok();
    let mut visitor = Visitor::at(&stack.url()).await;
    assert_eq!(visitor.get("/objs/a").await.body, "hello hello hello");
    assert_eq!(visitor.send("DELETE", "/", "").await.status, 204);
    assert_eq!(visitor.get("/objs/a").await.status, 404);
    stack.region.run(&["local", "reset"]);
    assert!(!stack.region.home().join("shared").exists());
}
