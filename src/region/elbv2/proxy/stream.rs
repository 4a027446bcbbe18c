//! A client's connection: plain, or TLS that ends here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ProtocolVersion;
use tokio_rustls::server::TlsStream;

use super::buffer::Source;
use super::http2_stream::Http2Stream;
use crate::platform::sockets::shut_writing;

#[derive(Debug)]
pub enum Stream {
    Plain(TcpStream),
    /// Boxed: a TLS session is large, and few connections have one.
    Secure(Box<TlsStream<TcpStream>>),
    /// One request of a connection of HTTP/2.
    Http2(Box<Http2Stream>),
}

/// HTTP/2's name in ALPN.
pub const HTTP2: &[u8] = b"h2";

/// What a TLS connection has agreed on, in the words of `X-Amzn-Tls-Version` and `X-Amzn-Tls-Cipher-Suite`, which are OpenSSL's
/// (user guide, "HTTP headers and Application Load Balancers").
#[derive(Debug, PartialEq, Eq)]
pub struct Session {
    pub version: &'static str,
    pub cipher_suite: String,
}

/// OpenSSL's name of a cipher suite.
fn openssl_name(suite: &str) -> String {
    if let Some(of_13) = suite.strip_prefix("TLS13_") {
        return format!("TLS_{of_13}");
    }
    let name = suite.trim_start_matches("TLS_").replace("_WITH_", "_").replace("AES_", "AES").replace('_', "-");
    name.replace("POLY1305-SHA256", "POLY1305")
}

impl Stream {
    /// `None` for a plain connection.
    pub fn session(&self) -> Option<Session> {
        let Self::Secure(stream) = self else { return None };
        let session = stream.get_ref().1;
        let version = match session.protocol_version()? {
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            _ => "TLSv1.2",
        };
        let suite = session.negotiated_cipher_suite()?.suite();
        Some(Session { version, cipher_suite: openssl_name(suite.as_str()?) })
    }

    /// The name that the client asked TLS for.
    pub fn server_name(&self) -> Option<&str> {
        let Self::Secure(stream) = self else { return None };
        stream.get_ref().1.server_name()
    }

    /// The client has chosen HTTP/2.
    pub fn chose_http2(&self) -> bool {
        let Self::Secure(stream) = self else { return false };
        stream.get_ref().1.alpn_protocol() == Some(HTTP2)
    }

    /// `None` where it is not the connection's own.
    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Secure(stream) => Some(stream.get_ref().0),
            Self::Http2(_) => None,
        }
    }

    /// Whether the client has sent or ended something: bytes of the connection, not of what they carry.
    pub fn poll_peek(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_peek(cx, buffer),
            Self::Secure(stream) => stream.get_ref().0.poll_peek(cx, buffer),
            // It says nothing between its request and its answer, but it may be reset.
            Self::Http2(stream) => stream.poll_reset(cx).map(Err),
        }
    }

    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().map_or(Ok(None), TcpStream::take_error)
    }

    /// Closing it takes back what the client has not read.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.socket().map_or(Ok(()), TcpStream::set_zero_linger)
    }

    /// Tells the client that nothing more comes. One that takes nothing any more does not need to know.
    pub fn end_writing(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Plain(stream) => shut_writing(stream),
            Self::Secure(stream) => {
                let _ = Pin::new(stream).poll_shutdown(cx);
            }
            // It never becomes a tunnel.
            Self::Http2(_) => {}
        }
    }
}

impl Source for Stream {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_read_ready(cx),
            // What has come already may be in the session.
            Self::Secure(_) | Self::Http2(_) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Http2(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Http2(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Secure(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Http2(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    /// A TLS session takes bytes before the connection does.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
            Self::Http2(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Http2(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cipher_suites_have_the_names_of_openssl() {
        assert_eq!(openssl_name("TLS13_AES_256_GCM_SHA384"), "TLS_AES_256_GCM_SHA384");
        assert_eq!(openssl_name("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"), "ECDHE-ECDSA-AES128-GCM-SHA256");
        assert_eq!(openssl_name("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"), "ECDHE-RSA-CHACHA20-POLY1305");
    }
}
