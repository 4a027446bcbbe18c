//! The engine against moto server: up, diff, up again and down of the shipped stacks, and what can go wrong on the way.

use std::io::{Read, Write};
use std::net::TcpListener;

use cloudscale::stack::names;

use super::moto::{Answer, Moto, cloudscale};

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/two-clusters.yaml");
const GROUPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/scaling-group.yaml");
/// moto routes no requests.
const UP: &[&str] = &["--provider", "aws", "up", "--yes", "--wait", "targets", "--timeout", "2m", "-v"];

fn up(moto: &Moto, stack: &str) -> Answer {
    moto.cloudscale(&[UP, &[stack]].concat())
}

fn diff(moto: &Moto, stack: &str) -> Answer {
    moto.cloudscale(&["--provider", "aws", "diff", "--json", "--exit-code", "-v", stack])
}

fn down(moto: &Moto, stack: &str) -> Answer {
    moto.cloudscale(&["--provider", "aws", "down", "--yes", "-v", stack])
}

/// What a plan does at each address.
fn actions(plan: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let changes = plan["changes"].as_array().expect("changes").iter();
    changes.map(|change| (text(&change["address"]), text(&change["action"]))).collect()
}

/// The budget for the lab: 45, 20 and 35 calls, and one for each of its fixed instances before they end: whether they are
/// protected AWS tells of one instance a call.
const FIXED_INSTANCES: u64 = 9;

fn goes_up_and_down(stack: &str) {
    let moto = Moto::start();
    let planned = diff(&moto, stack);
    assert_eq!(planned.code, Some(3));
    // No credentials, and an endpoint that would refuse the connection.
    let offline = cloudscale("http://127.0.0.1:9", moto.folder())
        .env_remove("AWS_ACCESS_KEY_ID")
        .args(["--provider", "aws", "diff", "--offline", "--json", stack])
        .output()
        .expect("the command runs");
    let offline: serde_json::Value = serde_json::from_slice(&offline.stdout).expect("a plan");
    let planned = planned.json();
    assert_eq!((actions(&offline), &offline["hourly_cost"]), (actions(&planned), &planned["hourly_cost"]));
    let first = up(&moto, stack).ok();
    assert!(first.stdout.starts_with("http://cs-"), "{}", first.stdout);
    let (reads, writes) = first.calls();
    // Three of them ask whether the names that are to be made are taken: security groups, target groups, load balancers.
    assert!(reads + writes <= 48, "{}", first.stderr);
    let unchanged = diff(&moto, stack).ok();
    assert!(unchanged.calls().0 <= 20, "{}", unchanged.stderr);
    assert_eq!(unchanged.calls().1, 0);
    assert_eq!(up(&moto, stack).ok().calls().1, 0, "a second up makes no write call");
    let gone = down(&moto, stack).ok();
    assert!(gone.calls().0 + gone.calls().1 <= 35 + FIXED_INSTANCES, "{}", gone.stderr);
    assert!(gone.stdout.contains("nothing left"));
    assert_eq!(moto.cloudscale(&["--provider", "aws", "ls", "--json"]).ok().stdout.trim(), "[]");
}

#[test]
fn the_lab_goes_up_stays_as_it_is_and_comes_down() {
    goes_up_and_down(LAB);
}

#[test]
fn the_groups_go_up_stay_as_they_are_and_come_down() {
    goes_up_and_down(GROUPS);
}

#[test]
fn a_terminated_instance_is_shown_and_replaced() {
    let moto = Moto::start();
    up(&moto, LAB).ok();
    let status = moto.cloudscale(&["--provider", "aws", "status", "--json", LAB]).ok().json();
    let victim = status["clusters"][0]["instances"][0]["id"].as_str().expect("an instance").to_owned();
    moto.aws(&["ec2", "terminate-instances", "--instance-ids", &victim]).ok();
    let changes = diff(&moto, LAB).json()["changes"].clone();
    let fleet =
        changes.as_array().expect("changes").iter().find(|change| change["address"] == "cluster.light.instances");
    assert_eq!(fleet.expect("the fleet")["reason"], "1 to launch");
    up(&moto, LAB).ok();
    diff(&moto, LAB).ok();
    let healed = moto.cloudscale(&["--provider", "aws", "status", "--json", LAB]).ok();
    assert_eq!(healed.json()["clusters"][0]["instances"].as_array().expect("instances").len(), 4);
    assert!(!healed.stdout.contains(&victim));
}

#[test]
fn a_rule_edited_by_hand_is_drift_and_is_mended() {
    let moto = Moto::start();
    up(&moto, LAB).ok();
    let groups = moto.aws(&["elbv2", "describe-target-groups"]).ok().json();
    let arn = groups["TargetGroups"][0]["TargetGroupArn"].as_str().expect("a target group").to_owned();
    moto.aws(&["elbv2", "modify-target-group", "--target-group-arn", &arn, "--health-check-path", "/other"]).ok();
    let answer = diff(&moto, LAB);
    assert_eq!(answer.code, Some(3));
    assert!(answer.stdout.contains("drift: changed outside cloudscale"), "{}", answer.stdout);
    assert_eq!(answer.json()["summary"]["update"], 1);
    up(&moto, LAB).ok();
    diff(&moto, LAB).ok();
}

#[test]
fn a_target_group_of_our_name_that_is_not_ours_stays_untouched() {
    let moto = Moto::start();
    let name = names::target_group("two-clusters", "light");
    let vpc = moto.aws(&["ec2", "describe-vpcs", "--query", "Vpcs[0].VpcId", "--output", "text"]).ok().stdout;
    let create = ["elbv2", "create-target-group", "--name", &name, "--protocol", "HTTP", "--port", "1234"];
    moto.aws(&[&create[..], &["--vpc-id", vpc.trim()]].concat()).ok();
    let refused = up(&moto, LAB);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("belongs to someone else"), "{}", refused.stderr);
    down(&moto, LAB).ok();
    let left = moto.aws(&["elbv2", "describe-target-groups", "--names", &name]).ok().json();
    assert_eq!(left["TargetGroups"][0]["Port"], 1234);
}

#[test]
fn nothing_is_applied_on_aws_without_a_confirmation() {
    let moto = Moto::start();
    let refused = moto.cloudscale(&["--provider", "aws", "up", LAB]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert_eq!(moto.cloudscale(&["--provider", "aws", "ls", "--json"]).ok().stdout.trim(), "[]");
}

#[test]
fn a_stack_comes_down_by_its_name_alone() {
    let moto = Moto::start();
    up(&moto, LAB).ok();
    moto.cloudscale(&["--provider", "aws", "down", "--yes", "--stack", "two-clusters"]).ok();
    assert_eq!(diff(&moto, LAB).json()["summary"]["unchanged"], 0);
}

#[test]
fn a_group_is_scaled_within_its_range_and_diff_leaves_it_alone() {
    let moto = Moto::start();
    up(&moto, GROUPS).ok();
    moto.cloudscale(&["--provider", "aws", "scale", "light", "4", GROUPS]).ok();
    let status = moto.cloudscale(&["--provider", "aws", "status", "--json", GROUPS]).ok().json();
    assert_eq!(status["clusters"][0]["desired"], 4);
    let unchanged = diff(&moto, GROUPS).ok();
    assert!(unchanged.stdout.contains("now 4, range 2–6"), "{}", unchanged.stdout);
    assert_eq!(moto.cloudscale(&["--provider", "aws", "scale", "light", "9", GROUPS]).code, Some(2));
}

#[test]
fn two_rules_swap_their_priorities_although_moto_refuses_one_that_is_about_to_become_free() {
    let moto = Moto::start();
    let stack = moto.folder().join("stack.yaml");
    let path = stack.to_str().expect("UTF-8");
    for order in [["a", "b", "c"], ["b", "a", "c"], ["c", "b", "a"]] {
        let clusters =
            order.map(|name| format!("  {name}: {{instance_type: t2.large, instances: 0, routes: [/{name}]}}\n"));
        std::fs::write(&stack, format!("name: swap\nclusters:\n{}", clusters.concat()))
            .expect("the folder takes files");
        up(&moto, path).ok();
        diff(&moto, path).ok();
        let balancers = moto.aws(&["elbv2", "describe-load-balancers"]).ok().json();
        let balancer = balancers["LoadBalancers"][0]["LoadBalancerArn"].as_str().expect("an ARN").to_owned();
        let listeners = moto.aws(&["elbv2", "describe-listeners", "--load-balancer-arn", &balancer]).ok().json();
        let listener = listeners["Listeners"][0]["ListenerArn"].as_str().expect("an ARN").to_owned();
        let rules = moto.aws(&["elbv2", "describe-rules", "--listener-arn", &listener]).ok().json();
        let mut paths: Vec<_> =
            rules["Rules"].as_array().expect("rules").iter().filter_map(priority_and_path).collect();
        paths.sort();
        let paths: Vec<_> = paths.into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, order.map(|name| format!("/{name}")));
    }
}

/// None of the default rule.
fn priority_and_path(rule: &serde_json::Value) -> Option<(u32, String)> {
    let priority = rule["Priority"].as_str()?.parse().ok()?;
    let values = &rule["Conditions"][0];
    let path = values["PathPatternConfig"]["Values"][0].as_str().or(values["Values"][0].as_str())?;
    Some((priority, path.to_owned()))
}

#[test]
fn without_credentials_the_problem_says_what_to_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = cloudscale("http://127.0.0.1:9", folder.path());
    command.env_remove("AWS_ACCESS_KEY_ID").args(["--provider", "aws", "diff", LAB]);
    let answer = Answer::of(&mut command);
    assert_eq!(answer.code, Some(1));
    assert!(answer.stderr.contains("No AWS credentials"), "{}", answer.stderr);
    assert!(answer.stderr.contains("AWS_ACCESS_KEY_ID"), "{}", answer.stderr);
}

#[test]
fn an_endpoint_that_is_down_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    // A port that was free a moment ago and that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    let mut command = cloudscale(&format!("http://127.0.0.1:{port}"), folder.path());
    let answer = Answer::of(command.args(["--provider", "aws", "diff", LAB]));
    assert_eq!(answer.code, Some(1));
    assert!(answer.stderr.contains("The endpoint does not answer"), "{}", answer.stderr);
}

#[test]
fn an_expired_token_is_told_apart() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", socket.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in socket.incoming().map_while(Result::ok) {
            refuse(stream);
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let answer = Answer::of(cloudscale(&endpoint, folder.path()).args(["--provider", "aws", "diff", LAB]));
    assert_eq!(answer.code, Some(1));
    assert!(answer.stderr.contains("AWS credentials have expired"), "{}", answer.stderr);
}

/// Answers as AWS does when a session token is too old; EC2 wraps its errors otherwise than the others.
fn refuse(mut stream: std::net::TcpStream) {
    let mut request = vec![0; 64 * 1024];
    let mut length = 0;
    loop {
        let Ok(count) = stream.read(&mut request[length..]) else { return };
        length += count;
        let text = String::from_utf8_lossy(&request[..length]).into_owned();
        if count == 0 || text.contains("Version=") {
            let error = "<Error><Code>ExpiredToken</Code><Message>The token is expired</Message></Error>";
            let body = match text.contains("Version=2016-11-15") {
                true => format!("<Response><Errors>{error}</Errors><RequestID>r-1</RequestID></Response>"),
                false => format!("<ErrorResponse>{error}<RequestId>r-1</RequestId></ErrorResponse>"),
            };
            let head = format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            // The client may be gone: it needs one refusal only.
            let _ = stream.write_all((head + &body).as_bytes());
            return;
        }
    }
}
