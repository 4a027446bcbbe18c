//! TLS in front of a listener: the handshake, with the certificates of the region.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::stream::{HTTP2, Stream};
use crate::region::certificates::Authority;
use crate::region::log_limiter::LogLimiter;

/// How long a client may take to agree on TLS. AWS gives no figure; its connections have as long as the shortest of
/// the browsers' own limits.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Said of all load balancers together.
static NO_CERTIFICATE: LogLimiter = LogLimiter::new();

/// The region's certification authority, made when the first HTTPS listener is connected to.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// The region's folder; without one nothing is served over TLS.
    home: Option<PathBuf>,
    authority: Arc<Mutex<Option<Arc<Authority>>>>,
}

impl Certificates {
    pub fn of(home: PathBuf) -> Self {
        Self { home: Some(home), authority: Arc::default() }
    }

    fn authority(&self) -> io::Result<Arc<Authority>> {
        let mut made = self.authority.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.as_ref() {
            return Ok(Arc::clone(known));
        }
        let home = self.home.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let fresh = Arc::new(Authority::of(home)?);
        Ok(Arc::clone(made.insert(fresh)))
    }
}

/// One load balancer's TLS.
#[derive(Debug)]
pub struct Secure {
    certificates: Certificates,
    address: Ipv4Addr,
    /// With HTTP/1.1 only, and with HTTP/2 before it.
    configs: OnceLock<[Arc<ServerConfig>; 2]>,
}

impl Secure {
    pub fn new(certificates: &Certificates, address: Ipv4Addr) -> Self {
        Self { certificates: certificates.clone(), address, configs: OnceLock::new() }
    }

    /// Agrees on TLS with a client, and on HTTP/2 where it may be spoken and the client prefers it.
    ///
    /// # Errors
    /// Where the client does not, or takes too long; and where the region has no certificate for it.
    pub async fn accept(&self, stream: TcpStream, http2: bool) -> io::Result<Stream> {
        let config = self.config(http2)?;
        let handshake = TlsAcceptor::from(config).accept(stream);
        let accepted = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await;
        Ok(Stream::Secure(Box::new(accepted.map_err(|_| io::ErrorKind::TimedOut)??)))
    }

    fn config(&self, http2: bool) -> io::Result<Arc<ServerConfig>> {
        if let Some(known) = self.configs.get() {
            return Ok(Arc::clone(&known[usize::from(http2)]));
        }
        let fresh = self.certificates.authority().and_then(|authority| authority.serving(self.address));
        if let Err(error) = &fresh
            && let Some(unsaid) = NO_CERTIFICATE.due()
        {
            tracing::error!(%error, unsaid, "the certificates of HTTPS listeners cannot be made");
        }
        let fresh = fresh?;
        let configs = self.configs.get_or_init(|| {
            let mut with_http2 = (*fresh).clone();
            with_http2.alpn_protocols.insert(0, HTTP2.to_vec());
            [fresh, Arc::new(with_http2)]
        });
        Ok(Arc::clone(&configs[usize::from(http2)]))
    }
}
