//! Ctrl-C ends every kind of wait: each is begun against an endpoint where nothing ever gets ready, and interrupted
//! when it reports for the first time what it waits for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::instances::{terminate, until_running};
use super::{instance_refresh, load_balancer, readiness, stopping, targets};
use crate::aws::clients::Clients;
use crate::exit::Exit;
use crate::problem::{Problem, Source};
use crate::resource::context::{ActionContext, Operation};
use crate::resource::event::{Event, Sink};
use crate::resource::provider::Wait;
use crate::stack::model::Stack;
use crate::stack::{Overrides, parse};

/// No wait would end by itself.
const LIMIT: Duration = Duration::from_secs(3600);
/// A wait that is deaf takes [`LIMIT`].
const PATIENCE: Duration = Duration::from_secs(20);

/// What an operation answers: everything is there and nothing gets ready.
fn answer(operation: &str, form: &str) -> (u16, String) {
    let tags = "<tagSet><item><key>cloudscale:stack</key><value>shop</value></item><item><key>cloudscale:address</key>\
                <value>cluster.web.instances</value></item></tagSet>";
    let inner = match operation {
        // EC2 refuses the whole call for one id that it does not know (EC2 API Reference, "Error codes").
        "DescribeInstances" if form.contains("InstanceId.2=") => {
            let error =
                "<Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>none</Message></Error></Errors>";
            return (400, format!("<Response>{error}<RequestID>test</RequestID></Response>"));
        }
        "DescribeInstances" => format!(
            "<reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><name>pending</name>\
             </instanceState>{tags}</item></instancesSet></item></reservationSet>"
        ),
        "DescribeTargetHealth" => result(
            operation,
            "<TargetHealthDescriptions><member><Target><Id>i-1</Id></Target><TargetHealth><State>initial</State>\
             </TargetHealth></member></TargetHealthDescriptions>",
        ),
        "DescribeLoadBalancers" => result(
            operation,
            "<LoadBalancers><member><LoadBalancerArn>arn</LoadBalancerArn><State><Code>provisioning</Code></State>\
             </member></LoadBalancers>",
        ),
        "DescribeInstanceRefreshes" => result(
            operation,
            "<InstanceRefreshes><member><InstanceRefreshId>r-1</InstanceRefreshId><Status>InProgress</Status></member>\
             </InstanceRefreshes>",
        ),
        _ => result(operation, ""),
    };
    (200, format!("<{operation}Response>{inner}</{operation}Response>"))
}

fn result(operation: &str, inner: &str) -> String {
    format!("<{operation}Result>{inner}</{operation}Result>")
}

async fn serve(mut line: TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut part = [0; 4096];
        let count = line.read(&mut part).await?;
        if count == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap_or_default().parse::<usize>().expect("a length"));
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let operation = body.strip_prefix("Action=").map(|rest| rest.split('&').next().unwrap_or_default().to_owned());
    let (status, text) = match operation {
        Some(operation) => answer(&operation, &body),
        // A route without healthy targets; CloudWatch's protocol is not spoken here.
        None if head.starts_with("GET") => (503, String::new()),
        None => (404, String::new()),
    };
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    line.write_all(format!("{head}{text}").as_bytes()).await
}

/// Presses Ctrl-C at the first word of a wait.
struct Presser {
    cancel: CancellationToken,
    told: Mutex<Vec<String>>,
}

impl Sink for Presser {
    fn event(&self, event: Event) {
        if let Event::Waiting { reason, .. } | Event::ActionWaiting { reason, .. } = event {
            self.told.lock().unwrap().push(reason);
            self.cancel.cancel();
        }
    }
}

/// Runs a wait until it is interrupted; answers with what it reported.
async fn interrupted<F, A>(wait: F) -> Vec<String>
where
    F: FnOnce(Operation, String) -> A,
    A: Future<Output = Result<(), Problem>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        while let Ok((line, _)) = listener.accept().await {
            tokio::spawn(serve(line));
        }
    });
    let cancel = CancellationToken::new();
    let presser = Arc::new(Presser { cancel: cancel.clone(), told: Mutex::default() });
    let clients = Clients::local(&format!("http://{host}"), "us-east-1");
    let run = Operation::new(clients, "shop", presser.clone(), cancel, LIMIT);
    let ended = tokio::time::timeout(PATIENCE, wait(run, host)).await.expect("the wait hears Ctrl-C");
    let problem = ended.expect_err("nothing gets ready");
    assert_eq!(problem.exit, Exit::Interrupted, "{problem:?}");
    server.abort();
    let told = presser.told.lock().unwrap().clone();
    assert!(!told.is_empty(), "it waited");
    told
}

/// The same of a wait within an action.
async fn in_action<A: Future<Output = Result<(), Problem>>>(
    wait: impl FnOnce(ActionContext<'static>) -> A,
) -> Vec<String> {
    interrupted(|run, _| {
        let address = Box::leak(Box::new(targets::instances_of("web")));
        wait(ActionContext { run: Box::leak(Box::new(run)), address, spec: "", tags_to_drop: &[] })
    })
    .await
}

fn first(mut problems: crate::problem::Problems) -> Problem {
    problems.0.remove(0)
}

fn stack(more: &str) -> Stack {
    let text = format!("name: shop\n{more}clusters: {{web: {{instances: 1}}}}\n");
    let source = Source { name: "stack.yaml".to_owned(), text };
    parse(source.into(), "stack.yaml".as_ref(), &Overrides::default()).expect("a valid stack").0
}

fn ids() -> Vec<String> {
    vec!["i-1".to_owned()]
}

#[tokio::test]
async fn waits_for_targets_hear_it() {
    in_action(|context| async move { targets::until_healthy(&context, "arn", &ids(), "").await }).await;
    in_action(|context| async move { targets::until_gone(&context, "arn", &ids()).await }).await;
    interrupted(|run, _| async move { readiness::targets(&run, &stack("").clusters[0], "arn", 1).await }).await;
}

#[tokio::test]
async fn waits_for_instances_hear_it() {
    in_action(|context| async move { until_running(&context, &ids()).await }).await;
    in_action(|context| async move { terminate(&context, ids()).await }).await;
    interrupted(|run, _| async move { stopping::stop(&run).await.map_err(first) }).await;
}

#[tokio::test]
async fn waits_for_the_load_balancer_routes_and_refreshes_hear_it() {
    interrupted(|run, _| async move { load_balancer::until_active(&run, "arn").await.map(drop) }).await;
    interrupted(|run, host| async move {
        let stack = stack("");
        readiness::routes(&run, &stack, &host).await.map_err(first)
    })
    .await;
    in_action(|context| async move { instance_refresh::until_none(&context, "cs-shop--web").await }).await;
}

#[tokio::test]
async fn waits_for_a_stack_hear_it() {
    for more in ["", "load_balancer: none\n"] {
        interrupted(|run, _| async move {
            readiness::until_ready(&run, &stack(more), Wait::Targets).await.map(drop).map_err(first)
        })
        .await;
    }
}

#[tokio::test]
async fn one_instance_that_nobody_knows_does_not_make_the_others_terminated() {
    let told =
        in_action(|context| async move { terminate(&context, vec!["i-1".to_owned(), "i-2".to_owned()]).await }).await;
    assert_eq!(told, ["1 pending (i-1)"]);
}
