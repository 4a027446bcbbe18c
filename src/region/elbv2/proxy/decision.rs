//! What becomes of a request: the rules' action, the target group by weight or cookie, the target whose turn it is.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::super::actions::{Action, Forward};
use super::super::conditions::Asked;
use super::super::routing::{Applies, RuleRoute, Stickiness};
use super::super::transforms::Transforms;
use super::access_log::Executed;
use super::answers::{self, Answer, Origin};
use super::caller::Caller;
use super::cookies;
use super::exchange::Plan;
use super::framing::{self, Framing};
use super::head::RequestHead;
use super::lane::LaneIndex;
use super::length::TransferEncoding;
use super::logging::Draft;
use super::meters::FrontMeter;
use super::rewrite::{self, Connection, Onward};
use super::table::Table;
use super::target::InFlight;
use crate::clock;

/// Rules of a request that AWS evaluates for nothing: they are in `RuleEvaluations`, and cost no capacity units.
const FREE_RULES: usize = 10;
/// The one protocol that AWS upgrades connections to (user guide, "WebSockets").
const UPGRADE: &str = "websocket";

/// What to do with a request.
#[derive(Debug)]
pub enum Step {
    /// With what the access log will say, where there is one.
    Forward(Plan, Option<Box<Draft>>),
    /// The rules answer; then the request's body is in the way.
    Answer { answer: Answer, framing: Framing, without_body: bool, connection: Connection, log: Option<Box<Draft>> },
    /// What follows on the connection may not be what the client thinks.
    Refuse(u16),
}

/// Who asks, and by which routing.
#[derive(Debug)]
pub struct Asker<'a> {
    pub table: &'a Table,
    pub lane: LaneIndex,
    pub caller: &'a Caller,
    /// The listener is removed, or the connection is as old as it gets: this is its last request.
    pub is_last: bool,
}

impl Asker<'_> {
    fn meter(&self) -> &FrontMeter {
        self.table.front.meter(self.lane)
    }

    pub fn decide(&self, head: &RequestHead<'_>) -> Step {
        self.meter().processed_bytes.fetch_add(head.size as u64, Relaxed);
        match framing::of_request(&head.fields, head.old) {
            Ok(framing) => self.by_rules(head, framing),
            Err(status) => Step::Refuse(status),
        }
    }

    fn by_rules(&self, head: &RequestHead<'_>, framing: Framing) -> Step {
        let host = head.target.authority.or(head.fields.host).unwrap_or_default();
        let asked = Asked {
            method: head.method,
            path: head.target.path,
            query: head.target.query,
            host: rewrite::host_name(host),
            host_header: host,
            headers: head.fields.all,
            peer: self.caller.peer,
        };
        let meter = self.meter();
        let Applies { action, rule, looked_at } = self.table.routes.applies(&asked);
        if looked_at > 0 {
            meter.rule_evaluations.fetch_add(looked_at as u64, Relaxed);
        }
        if looked_at > FREE_RULES {
            meter.charged_rules.fetch_add((looked_at - FREE_RULES) as u64, Relaxed);
        }
        let answer = match action {
            Action::Forward(forward) => match self.forward(head, forward, rule, &framing) {
                Ok(plan) => {
                    let log = self.log(head, rule, Some(Executed::Forward)).map(|log| log.to(&plan));
                    return Step::Forward(plan, log);
                }
                Err(status) => {
                    meter.refused(status);
                    answers::error(status)
                }
            },
            Action::FixedResponse(fixed) => {
                meter.fixed_responses.fetch_add(1, Relaxed);
                answers::fixed(fixed)
            }
            Action::Redirect(redirect) => {
                meter.redirects.fetch_add(1, Relaxed);
                let (path, query) = (asked.path, asked.query.unwrap_or_default());
                let settings = &self.table.routes.settings;
                let (scheme, port) = (settings.scheme(), settings.port);
                let origin = Origin { scheme, host: asked.host, port, path, query };
                answers::redirect(redirect, origin)
            }
        };
        let executed = match action {
            Action::Forward(_) => Executed::Forward,
            Action::FixedResponse(_) => Executed::FixedResponse,
            Action::Redirect(_) => Executed::Redirect,
        };
        let log = self.log(head, rule, Some(executed));
        // A client that asked whether to send its body may or may not send it now: what follows could be either.
        let asks_first = head.fields.expects_continue && framing != Framing::Empty;
        let connection = match (self.closes(head) || asks_first, head.old) {
            (true, _) => Connection::Closes,
            (false, true) => Connection::StaysOld,
            (false, false) => Connection::Stays,
        };
        Step::Answer { answer, framing, without_body: head.method == "HEAD", connection, log }
    }

    /// What the access log will say of a request, where there is one.
    fn log(&self, head: &RequestHead<'_>, rule: Option<&RuleRoute>, executed: Option<Executed>) -> Option<Box<Draft>> {
        let settings = &self.table.routes.settings;
        settings.access_log.as_ref()?;
        let priority = rule.map_or(0, |rule| rule.priority);
        Some(Box::new(Draft::new(head, &self.caller.connected, settings, (priority, executed))))
    }

    /// The host and the URL that the rule's transforms make.
    fn transformed(&self, head: &RequestHead<'_>, rule: Option<&RuleRoute>) -> Result<(Seen, Seen), u16> {
        let Some(rule) = rule.filter(|rule| rule.transforms != Transforms::default()) else { return Ok((None, None)) };
        let host = head.target.authority.or(head.fields.host).unwrap_or_default();
        rule.transforms.apply(host, || match head.target.query {
            Some(query) => format!("{}?{query}", head.target.path),
            None => head.target.path.to_owned(),
        })
    }

    /// Whether the connection is closed after this request.
    fn closes(&self, head: &RequestHead<'_>) -> bool {
        let fields = &head.fields;
        self.is_last || fields.close || (head.old && !fields.keep_alive) || is_ambiguous(head)
    }

    /// Picks the target group and the target, and writes the head for it.
    ///
    /// # Errors
    /// 503 where no target is registered; 463 for too many addresses in X-Forwarded-For; 464 for gRPC, which a target group
    /// of HTTP/1.1 does not take (user guide, "HTTP 464"); 500 for a transform that fails.
    fn forward(
        &self,
        head: &RequestHead<'_>,
        forward: &Forward,
        rule: Option<&RuleRoute>,
        framing: &Framing,
    ) -> Result<Plan, u16> {
        if self.caller.connected.http2 && is_grpc(head) {
            return Err(464);
        }
        let met = |name: &str| cookies::read(head.fields.all, name);
        let met_group = forward.stickiness.and_then(|_| met(cookies::TARGET_GROUP));
        let group = self.table.group(forward, met_group).ok_or(503_u16)?;
        let stickiness = group.routes.stickiness.as_ref();
        let by_application = stickiness.is_some_and(|it| it.application.is_some());
        let name = if by_application { cookies::APPLICATION } else { cookies::TARGET };
        let met_target = stickiness.and_then(|_| met(name));
        let target = group.pick(met_target).ok_or(503_u16)?;
        let in_flight = InFlight::new(Arc::clone(target), self.lane);
        if group.routes.fails_open {
            self.meter().fail_open_requests.fetch_add(1, Relaxed);
        }
        let now = clock::now();
        let mut cookies = Vec::new();
        if let Some(seconds) = forward.stickiness {
            let stay = Duration::from_secs(seconds.into());
            cookies::set(&mut cookies, cookies::TARGET_GROUP, &group.tag, now, stay);
        }
        let follows = match stickiness {
            Some(Stickiness { stay, application: None }) => {
                cookies::set(&mut cookies, cookies::TARGET, &target.tag, now, *stay);
                None
            }
            Some(Stickiness { stay, application: Some(name) }) => {
                let mut field = Vec::new();
                cookies::set_one(&mut field, cookies::APPLICATION, &target.tag, now, *stay);
                Some((name.clone(), field))
            }
            None => None,
        };
        let settings = &self.table.routes.settings;
        let upgrades = asks_for_upgrade(head, framing);
        let mut out = Vec::with_capacity(head.size + 256);
        let upgrade = upgrades.then_some(UPGRADE);
        let (host, url) = self.transformed(head, rule)?;
        let (host, url) = (host.as_deref(), url.as_deref());
        let onward = Onward { client: &self.caller.fields, settings, framing, upgrade, now, host, url };
        rewrite::request(&mut out, head, &onward)?;
        let harmless = matches!(head.method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE");
        Ok(Plan {
            in_flight,
            head: out,
            framing: framing.clone(),
            to_head: head.method == "HEAD",
            repeatable: harmless && matches!(framing, Framing::Empty | Framing::Length(0)),
            old: head.old,
            closes: self.closes(head),
            ambiguous: is_ambiguous(head),
            expects_continue: head.fields.expects_continue,
            upgrades,
            cookies,
            follows,
            idle_timeout: settings.idle_timeout,
        })
    }
}

/// What a target sees in place of what the client sent; `None` is the same.
type Seen = Option<String>;

/// Whether the head frames its body in more than one way, although only one is meant. It is rewritten in one way, and
/// neither connection is used again (user guide, "Desync mitigation mode", defensive).
fn is_ambiguous(head: &RequestHead<'_>) -> bool {
    let fields = &head.fields;
    let encoded = fields.transfer_encoding != TransferEncoding::None;
    fields.lengths > 1 || (encoded && fields.lengths > 0) || fields.transfer_encoding == TransferEncoding::Identity
}

/// Whether a request of HTTP/2 is one of gRPC: its content is, whatever follows the name (gRPC over HTTP2, "Requests").
fn is_grpc(head: &RequestHead<'_>) -> bool {
    let content = head.fields.all.iter().find(|field| field.name.eq_ignore_ascii_case("content-type"));
    let rest = content.and_then(|field| field.value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest, [] | [b'+' | b';' | b' ', ..]))
}

fn asks_for_upgrade(head: &RequestHead<'_>, framing: &Framing) -> bool {
    let protocol = head.fields.upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case(UPGRADE.as_bytes()));
    protocol && head.fields.upgrades && !head.old && *framing == Framing::Empty
}
