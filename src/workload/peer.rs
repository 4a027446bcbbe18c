//! Another service of the same application, behind the same load balancer or at a URL of its own.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where the other service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// At the load balancer that a request came through.
    Beside,
    At(Authority),
}

impl Peer {
    /// Reads `auto` or `http://HOST[:PORT]`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Beside);
        }
        let url: Uri = text.parse().map_err(|error| format!("not an address: {error}"))?;
        let plain = url.scheme_str() == Some("http") && matches!(url.path(), "" | "/") && url.query().is_none();
        let authority = url.into_parts().authority.filter(|authority| plain && !authority.as_str().contains('@'));
        authority.map(Self::At).ok_or_else(|| "`auto`, or http://HOST[:PORT]".to_owned())
    }

    /// Asks it; `host` is where the request that makes us ask went to.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, host: Option<&str>, method: Method, path: &str) -> Result<StatusCode, String> {
        let authority = match self {
            Self::At(authority) => authority.clone(),
            // What a client writes there must not make us ask just anybody.
            Self::Beside => host.and_then(|host| host.parse().ok()).filter(is_load_balancer).ok_or_else(|| {
                format!("{host:?} is no load balancer's name: say where the other service is by its URL")
            })?,
        };
        let asking = tokio::time::timeout(PATIENCE, converse(&authority, method, path));
        let failed = |why: String| format!("http://{authority}{path}: {why}");
        asking.await.map_err(|_| failed(format!("no answer in {PATIENCE:?}")))?.map_err(failed)
    }
}

/// The names that a load balancer has: AWS's, or an address of this machine's own for that of an embedded region.
fn is_load_balancer(authority: &Authority) -> bool {
    let host = authority.host().trim_matches(['[', ']']);
    host.ends_with(".elb.amazonaws.com") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn converse(authority: &Authority, method: Method, path: &str) -> Result<StatusCode, String> {
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", authority.as_str());
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string());
    let status = match answer {
        Ok(answer) => {
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            body.map(|_| status).map_err(|error| error.to_string())
        }
        Err(why) => Err(why),
    };
    connection.abort();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_beside_or_at_a_plain_address() {
        assert_eq!(Peer::parse("auto"), Ok(Peer::Beside));
        let at = |text: &str| Peer::parse(text).is_ok_and(|found| matches!(found, Peer::At(_)));
        assert!(at("http://users.example.com:8080") && at("http://127.31.240.4/"));
        for text in ["", "users", "https://users.example.com", "http://a@b", "http://a/b", "http://a/?x"] {
            assert!(!at(text), "{text:?}");
        }
    }

    #[test]
    fn a_clients_host_header_leads_to_load_balancers_only() {
        let allowed = |host: &str| host.parse().is_ok_and(|authority| is_load_balancer(&authority));
        assert!(allowed("127.31.240.4:8000") && allowed("acts-1.us-east-1.elb.amazonaws.com") && allowed("[::1]:80"));
        for host in ["169.254.169.254", "10.0.0.1", "elb.amazonaws.com.example.org", "localhost.example.org"] {
            assert!(!allowed(host), "{host}");
        }
    }
}
