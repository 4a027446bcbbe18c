//! Who we are, and how busy: a client of the instance metadata service (IMDSv2).

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::clock;
use crate::problem::Problem;

/// EC2's link-local address; the embedded region names its own in the same variable that the AWS SDKs read.
const WELL_KNOWN: &str = "http://169.254.169.254";
const VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 4096;
/// The longest that AWS gives.
const TTL_SECONDS: &str = "21600";
/// Where the embedded region's service takes how busy a modelled processor is.
const PROCESSOR: &str = "/_cloudscale/processor";

/// An instance's id and the address that it serves on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub instance_id: String,
    pub address: IpAddr,
    /// `None` where nobody was asked.
    pub instance_type: Option<String>,
}

pub fn endpoint() -> String {
    std::env::var(VARIABLE).ok().filter(|endpoint| !endpoint.is_empty()).unwrap_or_else(|| WELL_KNOWN.to_owned())
}

/// Asks the metadata service at `endpoint`.
pub async fn ask(endpoint: &str) -> Result<Identity, Problem> {
    let unanswered = |reason: String| {
        Problem::new("The metadata service does not answer", format!("{endpoint}: {reason}"))
            .hint("outside of an instance, say who this is: --instance-id i-local --bind 127.0.0.1")
    };
    match tokio::time::timeout(PATIENCE, converse(endpoint)).await {
        Ok(Ok(identity)) => Ok(identity),
        Ok(Err(reason)) => Err(unanswered(reason)),
        Err(_) => Err(unanswered(format!("no answer in {PATIENCE:?}"))),
    }
}

async fn converse(endpoint: &str) -> Result<Identity, String> {
    let mut session = Session::open(endpoint).await?;
    let instance_id = session.get("/latest/meta-data/instance-id").await?;
    let address = session.get("/latest/meta-data/local-ipv4").await?;
    let address = address.parse().map_err(|_| format!("local-ipv4 is {address:?}"))?;
    let instance_type = session.get("/latest/meta-data/instance-type").await?;
    Ok(Identity { instance_id, address, instance_type: Some(instance_type) })
}

/// Reports to the metadata service at `endpoint` how busy the modelled processor is, again and again; only that of an
/// embedded region listens, and another's answer ends it.
///
/// # Errors
/// What the service did not do.
pub async fn report(endpoint: &str, busy: impl Fn() -> Duration, allow: impl Fn(f64)) -> Result<Infallible, String> {
    let mut session = Session::open(endpoint).await?;
    loop {
        let path = format!("{PROCESSOR}?busy_us={}", busy().as_micros());
        let answer = session.send(Method::PUT, &path).await?;
        let (pause, share) = answer.split_once(' ').unwrap_or((&answer, "1"));
        let pause = pause.parse().map_err(|_| format!("{answer:?} is no number of milliseconds"))?;
        allow(share.parse().map_err(|_| format!("{answer:?} has no share of a processor"))?);
        clock::sleep(Duration::from_millis(pause)).await;
    }
}

/// A connection with a token.
struct Session {
    sender: SendRequest<Empty<Bytes>>,
    host: String,
    token: String,
    connection: tokio::task::JoinHandle<hyper::Result<()>>,
}

impl Session {
    async fn open(endpoint: &str) -> Result<Self, String> {
        let endpoint: Uri = endpoint.parse().map_err(|error| format!("not an address: {error}"))?;
        let host = endpoint.host().ok_or("no host in it")?;
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), endpoint.port_u16().unwrap_or(80)))
            .await
            .map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let host = endpoint.authority().map_or_else(String::new, ToString::to_string);
        let mut session = Self { sender, host, token: String::new(), connection };
        let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", TTL_SECONDS);
        session.token = text(&mut session.sender, Method::PUT, "/latest/api/token", &session.host, ttl).await?;
        Ok(session)
    }

    async fn get(&mut self, path: &str) -> Result<String, String> {
        self.send(Method::GET, path).await
    }

    async fn send(&mut self, method: Method, path: &str) -> Result<String, String> {
        let token = ("x-aws-ec2-metadata-token", self.token.as_str());
        text(&mut self.sender, method, path, &self.host, token).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

async fn text(
    sender: &mut SendRequest<Empty<Bytes>>,
    method: Method,
    path: &str,
    host: &str,
    (name, value): (&str, &str),
) -> Result<String, String> {
    let request = Request::builder().method(method).uri(path).header("host", host).header(name, value);
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    sender.ready().await.map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    if !status.is_success() {
        return Err(format!("{status} from {path}"));
    }
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
    String::from_utf8(body.to_bytes().to_vec()).map(|text| text.trim().to_owned()).map_err(|error| error.to_string())
}
