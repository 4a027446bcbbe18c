//! What the load balancer does with requests beside paths: weights, stickiness, HTTPS; and who else reaches the
//! instances.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::moto::{Answer, Moto};
use super::quick_region::PUBLIC_KEY;
use super::rehearsal::Rehearsal;
use super::visitor::Visitor;

const CANARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/canary.yaml");
const CERTIFICATE: &str = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012";
/// Everything that the stories here are about, beside weights.
const EXTRAS: &str = "
ssh: {key: laptop, cidr: 203.0.113.7/32}
load_balancer:
  https: {certificate: CERTIFICATE}
";
const BALANCING: &str = "instances: 2\n    stickiness: 1h\n    slow_start: 30s\n    deregistration_delay: 5s\n";

/// The changed fields of an address: path → (live, wanted).
fn fields(stack: &Rehearsal, address: &str) -> Vec<(String, String, String)> {
    let change = stack.change(address).unwrap_or_else(|| panic!("{address} has changed"));
    assert_eq!(change["action"], "update", "{change}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let field = |field: &Value| (text(&field["path"]), text(&field["observed"]), text(&field["desired"]));
    change["fields"].as_array().expect("fields").iter().map(field).collect()
}

fn field(path: &str, live: &str, wanted: &str) -> (String, String, String) {
    (path.to_owned(), live.to_owned(), wanted.to_owned())
}

/// Writes the stack again, with parts of its text exchanged.
fn edit(stack: &Rehearsal, from: &str, to: &str) {
    let text = std::fs::read_to_string(&stack.stack).expect("the stack");
    assert!(text.contains(from), "no {from:?} in {text}");
    stack.file("stack.yaml", &text.replace(from, to));
}

fn arn(stack: &Rehearsal, operation: &str, list: &str, key: &str) -> String {
    let found = stack.aws(&["elbv2", operation]).ok().json();
    found[list][0][key].as_str().expect("an ARN").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_gets_its_share_and_then_everything() {
    let stack = Rehearsal::edited(CANARY, &[]).up();
    let green: BTreeSet<_> = stack.instances("green").into_iter().map(|(id, _)| id).collect();
    let url = stack.url();
    let routes = stack.cloudscale(&["output", "--json"]).ok().json()["routes"].clone();
    assert_eq!(routes[0], json!({"cluster": "blue, green", "route": "/shop", "url": format!("{url}/shop")}));
    let share = async || {
        let shares = Visitor::at(&url).await.shares("/shop/cart", 400).await;
        shares.iter().filter(|(id, _)| green.contains(*id)).map(|(_, count)| count).sum::<u32>()
    };
    let some = share().await;
    // 40 on average; further off than this is one chance in a million.
    assert!((10..=80).contains(&some), "{some} of 400");
    stack.cloudscale(&["diff", "--exit-code"]).ok();

    edit(&stack, "{blue: 90, green: 10}", "{blue: 0, green: 10}");
    assert_eq!(fields(&stack, "route.shop.rule"), [field("weight.blue", "90", "0")]);
    stack.cloudscale(&["up"]).ok();
    assert_eq!(share().await, 400);

    let rules = r#"Rules[?Conditions[0].Values[0]=='/shop'].RuleArn | [0]"#;
    let listener = {
        let load_balancer = arn(&stack, "describe-load-balancers", "LoadBalancers", "LoadBalancerArn");
        let of = ["elbv2", "describe-listeners", "--load-balancer-arn", &load_balancer];
        stack.aws(&of).ok().json()["Listeners"][0]["ListenerArn"].as_str().expect("an ARN").to_owned()
    };
    let found = ["elbv2", "describe-rules", "--listener-arn", &listener, "--query", rules, "--output", "text"];
    let rule = stack.aws(&found).ok().stdout.trim().to_owned();
    let group = arn(&stack, "describe-target-groups", "TargetGroups", "TargetGroupArn");
    let forward = format!("Type=forward,TargetGroupArn={group}");
    stack.aws(&["elbv2", "modify-rule", "--rule-arn", &rule, "--actions", &forward]).ok();
    assert_eq!(stack.change("route.shop.rule").expect("drift")["reason"], "drift: changed outside cloudscale");
    stack.cloudscale(&["up"]).ok();
    stack.cloudscale(&["diff", "--exit-code"]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_cookie_stays_with_its_instance_as_long_as_the_stack_says_so() {
    let stack = Rehearsal::edited(CANARY, &[("instances: 2\n", BALANCING)]).up();
    let mut visitor = Visitor::at(&stack.url()).await;
    let first = visitor.get("/blue").await;
    let cookie = first.cookie.clone().expect("the load balancer sets AWSALB");
    assert!(cookie.starts_with("AWSALB="), "{cookie}");
    for _ in 0..6 {
        assert_eq!(visitor.get_with("/blue", &cookie).await.instance, first.instance);
    }
    stack.cloudscale(&["diff", "--exit-code"]).ok();

    let group = arn(&stack, "describe-target-groups", "TargetGroups", "TargetGroupArn");
    let attribute = "Key=deregistration_delay.timeout_seconds,Value=77";
    let modify = ["elbv2", "modify-target-group-attributes", "--target-group-arn", &group, "--attributes", attribute];
    stack.aws(&modify).ok();
    let drifted = [field("deregistration_delay.timeout_seconds", "77", "5")];
    assert_eq!(fields(&stack, "cluster.blue.target_group"), drifted);
    stack.cloudscale(&["up"]).ok();

    edit(&stack, "stickiness: 1h", "algorithm: round_robin");
    let gone = fields(&stack, "cluster.blue.target_group");
    assert_eq!(gone[0], field("stickiness.enabled", "true", ""));
    stack.cloudscale(&["up"]).ok();
    assert_eq!(visitor.get("/blue").await.cookie, None);
    stack.cloudscale(&["diff", "--exit-code"]).ok();
}

/// The key that the stacks name: instances start with one that exists only.
fn import_key(stack: &Rehearsal) {
    let import = ["ec2", "import-key-pair", "--key-name", "laptop", "--public-key-material"];
    stack.aws(&[&import[..], &[PUBLIC_KEY]].concat()).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn http_leads_to_https_and_back() {
    let stack = Rehearsal::edited(CANARY, &[]).up();
    let plain = std::fs::read_to_string(&stack.stack).expect("the stack");
    let http = stack.url();
    import_key(&stack);
    stack.file("stack.yaml", &(plain.clone() + &EXTRAS.replace("CERTIFICATE", CERTIFICATE)));
    let listener = stack.change("load_balancer.listener").expect("it moves to another port");
    assert_eq!(listener["action"], "replace");
    let up = stack.cloudscale(&["up"]).ok();
    assert!(up.stderr.contains("not asked: HTTPS answers under the name"), "{}", up.stderr);
    assert!(stack.url().starts_with("https://"), "{}", stack.url());
    let moved = Visitor::at(&http).await.get("/shop/cart?of=mine").await;
    assert_eq!(moved.status, 301);
    let location = moved.location.expect("a place");
    assert!(location.starts_with("https://") && location.ends_with(":443/shop/cart?of=mine"), "{location}");
    stack.cloudscale(&["diff", "--exit-code"]).ok();

    stack.file("stack.yaml", &plain);
    stack.cloudscale(&["up"]).ok();
    assert_eq!(Visitor::at(&http).await.get("/shop/cart").await.status, 200);
    stack.cloudscale(&["diff", "--exit-code"]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_is_open_to_one_range_only_while_the_stack_says_so() {
    let stack = Rehearsal::edited(CANARY, &[]);
    let plain = std::fs::read_to_string(&stack.stack).expect("the stack");
    stack.file("stack.yaml", &(plain.clone() + "ssh: {key: laptop, cidr: 203.0.113.7/32}\n"));
    Answer::of(&mut stack.region.command(&["local", "start"])).ok();
    import_key(&stack);
    stack.cloudscale(&["up"]).ok();
    let query = "SecurityGroups[].IpPermissions[] | [?FromPort==`22`].IpRanges[].CidrIp";
    let open = || stack.aws(&["ec2", "describe-security-groups", "--query", query]).ok().json();
    let keys = || {
        let query = "Reservations[].Instances[?State.Name=='running'][].KeyName";
        stack.aws(&["ec2", "describe-instances", "--query", query]).ok().json()
    };
    assert_eq!((open(), keys()), (json!(["203.0.113.7/32"]), json!(["laptop", "laptop", "laptop"])));
    stack.cloudscale(&["diff", "--exit-code"]).ok();
    stack.file("stack.yaml", &plain);
    stack.cloudscale(&["up"]).ok();
    assert_eq!((open(), keys()), (json!([]), json!([])));
}

#[test]
fn all_of_it_goes_up_on_moto_stays_and_comes_down() {
    let moto = Moto::start();
    moto.aws(&["ec2", "create-key-pair", "--key-name", "laptop"]).ok();
    let stack = Rehearsal::edited(CANARY, &[("instances: 2\n", BALANCING)]);
    let text = std::fs::read_to_string(&stack.stack).expect("the stack");
    let request = ["acm", "request-certificate", "--domain-name", "example.org"];
    let answer = moto.aws(&request).ok().json();
    let certificate = answer["CertificateArn"].as_str().expect("an ARN");
    let file = stack.file("stack.yaml", &(text + &EXTRAS.replace("CERTIFICATE", certificate)));
    let file = file.to_str().expect("a path");
    let up = ["--provider", "aws", "up", "--yes", "--wait", "targets", "--timeout", "2m", "-v", file];
    moto.cloudscale(&up).ok();
    assert_eq!(moto.cloudscale(&up).ok().calls().1, 0);
    moto.cloudscale(&["--provider", "aws", "diff", "--exit-code", file]).ok();
    moto.cloudscale(&["--provider", "aws", "down", "--yes", "--timeout", "2m", file]).ok();
}

/// Asks by TLS, with Python's own client, which checks the certificate: the status, the certificate's names and the
/// body.
const SECURE_CLIENT: &str = r#"
import http.client, json, socket, ssl, sys
root, host, port, name, path = sys.argv[1:]
context = ssl.create_default_context(cafile=root)
secure = context.wrap_socket(socket.create_connection((host, int(port)), timeout=20), server_hostname=name)
connection = http.client.HTTPSConnection(host, int(port))
connection.sock = secure
connection.request("GET", path)
answer = connection.getresponse()
names = [value for _, value in secure.getpeercert()["subjectAltName"]]
print(json.dumps({"status": answer.status, "names": names, "body": answer.read().decode()}))
"#;

#[test]
fn https_is_served_to_whoever_trusts_the_region() {
    let https = format!("load_balancer:\n  https: {{certificate: {CERTIFICATE:?}}}\n");
    let stack =
        Rehearsal::edited(super::rehearsal::LAB, &[("load_balancer:\n", &https), ("instances: 5", "instances: 1")]);
    let stack = stack.up();
    let root = String::from_utf8(stack.region.run(&["local", "certificate"]).stdout).expect("a path");
    let url = stack.url();
    let at = url.strip_prefix("https://").unwrap_or_else(|| panic!("{url} is HTTPS"));
    let (host, port) = at.split_once(':').unwrap_or((at, "443"));
    let client = stack.file("client.py", SECURE_CLIENT);
    for name in ["shop.example", host] {
        let mut command = std::process::Command::new(super::moto::venv().join("bin/python"));
        command.arg(&client).args([root.trim(), host, port, name, "/cluster1"]);
        let answer = Answer::of(&mut command).ok().json();
        assert_eq!((&answer["status"], &answer["names"]), (&json!(200), &json!([name])));
        assert!(answer["body"].as_str().is_some_and(|body| body.starts_with("i-")), "{answer}");
    }
    stack.cloudscale(&["diff", "--exit-code"]).ok();
}
