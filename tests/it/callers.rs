//! Who may call the region: its own user and root, and no page of a browser.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::local_region::LocalRegion;
use crate::rehearsal::{GROUPS, Rehearsal};
use crate::views::Going;

/// A user that is neither root nor the one that runs the tests.
const SOMEBODY: u32 = 65_533;

/// Whether tests can be another user; says so where they cannot.
fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can try what another user may do");
    }
    root
}

/// What `bash`, run by that user, gets from `url` for a raw request: nothing of ours stands between the two.
fn raw(user: u32, url: &str, request: &str) -> String {
    let authority = url.strip_prefix("http://").unwrap();
    let (host, port) = authority.split_once(':').unwrap();
    let script = "exec 3<>\"/dev/tcp/$1/$2\" && printf '%s' \"$3\" >&3 && cat <&3";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", host, port, request]).current_dir("/").stdin(Stdio::null());
    if user != geteuid().as_raw() {
        command.uid(user).gid(user);
    }
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn post(form: &str) -> String {
    let length = form.len();
    format!("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{form}")
}

#[test]
fn another_user_is_refused_with_a_hint_and_root_and_the_own_user_are_let_in() {
    if !is_root() {
        return;
    }
    let region = LocalRegion::started();
    let url = region.endpoint();
    let identity = post("Action=GetCallerIdentity&Version=2011-06-15");
    let refused = raw(SOMEBODY, &url, &identity);
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    assert!(refused.contains("<Code>AccessDenied</Code>") && refused.contains("--allow-users"), "{refused}");
    let health =
        raw(SOMEBODY, &url, "GET /_cloudscale/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(health.starts_with("HTTP/1.1 403") && !health.contains("\"home\""), "{health}");
    assert!(raw(0, &url, &identity).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_dashboard_is_for_its_own_user_even_where_its_address_is_known() {
    if !is_root() {
        return;
    }
    let groups = Rehearsal::of(GROUPS).up();
    let dashboard = Going::of(&groups, &["dashboard"]);
    let url = dashboard.next("its address");
    let rest = url.trim().strip_prefix("http://").expect("an address");
    let (host, path) = rest.split_once('/').expect("a token");
    let get = |path: &str| format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let own = format!("http://{host}");
    let refused = raw(SOMEBODY, &own, &get(path));
    assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("<html"), "{refused}");
    assert!(raw(SOMEBODY, &own, &get("metrics")).starts_with("HTTP/1.1 200"), "as every exporter's");
    assert!(raw(0, &own, &get(path)).starts_with("HTTP/1.1 200"));
}

#[test]
fn the_regions_user_is_let_in_where_that_is_not_root() {
    if !is_root() {
        return;
    }
    let region = LocalRegion::none();
    std::os::unix::fs::chown(region.home(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let mut start = region.command(&["local", "start"]);
    start.uid(SOMEBODY).gid(SOMEBODY).current_dir("/");
    let started = start.output().unwrap();
    assert!(started.status.success(), "{started:?}");
    let url = region.endpoint();
    let identity = post("Action=GetCallerIdentity&Version=2011-06-15");
    assert!(raw(SOMEBODY, &url, &identity).starts_with("HTTP/1.1 200"));
    assert!(raw(0, &url, &identity).starts_with("HTTP/1.1 200"), "root may do everything anyway");
    assert!(raw(SOMEBODY - 1, &url, &identity).starts_with("HTTP/1.1 403"));
}

#[test]
fn a_socket_that_its_process_has_closed_is_nobodys() {
    if !is_root() {
        return;
    }
    let region = LocalRegion::started();
    let url = region.endpoint();
    let form = "Action=CreateSecurityGroup&Version=2016-11-15&GroupName=mallory&GroupDescription=x";
    let (host, port) = url.strip_prefix("http://").unwrap().split_once(':').unwrap();
    // Many at once, each gone before it can be asked about: the kernel shows what is left of them as root's.
    let script = "for i in $(seq 50); do (exec 3<>\"/dev/tcp/$1/$2\"; printf '%s' \"$3\" >&3; exec 3>&-) & done; wait";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", host, port, &post(form)]).current_dir("/").uid(SOMEBODY).gid(SOMEBODY);
    assert!(command.status().unwrap().success());
    let groups = raw(0, &url, &post("Action=DescribeSecurityGroups&Version=2016-11-15"));
    assert!(groups.starts_with("HTTP/1.1 200") && !groups.contains("mallory"), "{groups}");
}

#[test]
fn allow_users_opens_the_region_and_says_so() {
    let region = LocalRegion::none();
    let started = region.run(&["local", "start", "--allow-users"]);
    assert!(started.status.success(), "{started:?}");
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(said.contains("every user of this machine"), "{said}");
    assert!(region.status()["open_to_all"].as_str().unwrap().contains("--allow-users"));
    if is_root() {
        let identity = post("Action=GetCallerIdentity&Version=2011-06-15");
        assert!(raw(SOMEBODY, &region.endpoint(), &identity).starts_with("HTTP/1.1 200"));
    }
    let again = region.run(&["local", "start", "--allow-users"]);
    assert!(again.status.success(), "it is open already: {again:?}");
}

#[test]
fn a_region_that_runs_is_not_opened_afterwards() {
    let region = LocalRegion::started();
    assert_eq!(region.status()["open_to_all"], serde_json::Value::Null);
    let refused = region.run(&["local", "start", "--allow-users"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("local stop"), "{said}");
}

#[tokio::test]
async fn metadata_are_for_the_regions_user_only() {
    if !is_root() {
        return;
    }
    let region = LocalRegion::started();
    let script = "#!/bin/bash\necho \"endpoint $AWS_EC2_METADATA_SERVICE_ENDPOINT\"\n";
    let instance = crate::local_region::launch(&region.clients(), script).await;
    let console = crate::local_region::until_console(&region, &instance, "endpoint http").await;
    let url = console.lines().find_map(|line| line.split_once("endpoint http")).map(|(_, rest)| format!("http{rest}"));
    let url = url.unwrap();
    let token = "PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\
                 X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n";
    assert!(raw(SOMEBODY, &url, token).starts_with("HTTP/1.1 403"));
    assert!(raw(0, &url, token).starts_with("HTTP/1.1 200"));
}

/// A browser says of itself that a page of another site asks, also where it sends no Origin (an image, a form, a link).
#[test]
fn what_a_page_of_another_site_sends_is_refused_without_an_origin_too() {
    let region = LocalRegion::started();
    let own = geteuid().as_raw();
    let identity = post("Action=GetCallerIdentity&Version=2011-06-15");
    for (site, expected) in [("cross-site", "403"), ("same-site", "403"), ("none", "200")] {
        let request = identity.replacen("\r\n", &format!("\r\nSec-Fetch-Site: {site}\r\n"), 1);
        let response = raw(own, &region.endpoint(), &request);
        assert!(response.starts_with(&format!("HTTP/1.1 {expected}")), "{site}: {response}");
    }
}

#[test]
fn the_region_keeps_no_credentials_of_who_starts_it() {
    let region = LocalRegion::none();
    let mut start = region.command(&["local", "start"]);
    start.env("AWS_SECRET_ACCESS_KEY", "hidden-1").env("AWS_SESSION_TOKEN", "hidden-2").env("GITHUB_TOKEN", "hidden-3");
    assert!(start.output().unwrap().status.success());
    let pid = region.status()["pid"].as_u64().unwrap();
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).replace('\0', "\n");
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("hidden") && !environment.contains("AWS_"), "{environment}");
}
