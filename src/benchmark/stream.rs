//! The bytes of a connection: plain, or in TLS with the certificates that this machine trusts (`SSL_CERT_FILE` names others).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::interval::Failure;
use super::request::Server;
use crate::platform::processes;

/// HTTP/2's name in ALPN.
const HTTP2: &[u8] = b"h2";

pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a request took besides its own time.
#[derive(Debug, Default)]
pub struct Effort {
    /// Connections opened for it.
    pub opened: u32,
    /// It was sent again after its connection broke.
    pub retried: bool,
    /// Why the last connection could not be opened.
    pub trouble: Option<String>,
}

/// A connection to one of the host's addresses; `turn` says which is tried first.
///
/// # Errors
/// Those of the last address that was tried.
pub async fn connect(server: &Server, turn: usize) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((server.host_name(), server.port)).await?.collect();
    let mut outcome = Err(io::ErrorKind::NotFound.into());
    for offset in 0..addresses.len() {
        outcome = TcpStream::connect(addresses[(turn + offset) % addresses.len()]).await;
        if let Ok(stream) = &outcome {
            stream.set_nodelay(true)?;
            break;
        }
    }
    outcome
}

impl Stream {
    /// # Errors
    /// One that [`failure`] knows, where no trust comes about.
    pub async fn tls(stream: TcpStream, host: &str) -> io::Result<Self> {
        tls(&connectors().0, stream, host).await.map(|stream| Self::Tls(Box::new(stream)))
    }

    /// Whether something is there to be read though nothing was asked: an end, as a rule.
    pub fn is_stale(&mut self, buffer: &mut [u8]) -> bool {
        match self {
            Self::Plain(stream) => {
                !matches!(stream.try_read(buffer), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
            Self::Tls(stream) => stream.read(buffer).now_or_never().is_some(),
        }
    }
}

/// TLS for HTTP/2.
///
/// # Errors
/// One that [`failure`] knows, where no trust comes about or the server does not speak HTTP/2.
pub async fn tls_http2(stream: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
    let stream = tls(&connectors().1, stream, host).await?;
    if stream.get_ref().1.alpn_protocol() == Some(HTTP2) {
        return Ok(stream);
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "the server offers no HTTP/2"))
}

async fn tls(connector: &TlsConnector, stream: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
    let unusable = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let name = ServerName::try_from(host.to_owned()).map_err(|error| unusable(error.to_string()))?;
    connector.connect(name, stream).await
}

/// What a connection that could not be opened counts as.
pub fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        _ if processes::is_exhausted(error) => Failure::Exhausted,
        io::ErrorKind::InvalidData => Failure::Tls,
        io::ErrorKind::Unsupported => Failure::Protocol,
        _ => Failure::Connect,
    }
}

/// For HTTP/1.1, and for HTTP/2.
fn connectors() -> &'static (TlsConnector, TlsConnector) {
    static CONNECTORS: OnceLock<(TlsConnector, TlsConnector)> = OnceLock::new();
    CONNECTORS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // Certificates that cannot be read are trusted by nobody: the handshake says so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        #[cfg(test)]
        roots.add(super::http2_tests::authority().certificate.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("ring has the suites of TLS 1.2 and 1.3");
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let mut http2 = config.clone();
        // A server without HTTP/2 is to say so, not to break off.
        http2.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
        (TlsConnector::from(Arc::new(config)), TlsConnector::from(Arc::new(http2)))
    })
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
