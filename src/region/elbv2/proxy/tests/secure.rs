//! Listeners that speak TLS.

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::region::certificates;

/// Agrees on TLS under the name, trusting the region's root and nobody else.
pub(super) async fn connect(bench: &Bench, name: &str, protocols: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let root = certificates::root_file(bench.certificates.as_ref().unwrap().path());
    if let Ok(root) = std::fs::read(root) {
        roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
    }
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let client = client.with_safe_default_protocol_versions().unwrap();
    let mut client = client.with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(bench.address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, stream).await
}

/// Asks by TLS for `path` under the name.
async fn ask(bench: &Bench, name: &str, path: &str) -> std::io::Result<String> {
    let mut stream = connect(bench, name, &[]).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn a_client_that_trusts_the_region_gets_a_certificate_for_whatever_it_asks_for() {
    let server = Server::echo("i-1").await;
    let bench = Bench::secure(&[(&server, Standing::Healthy)]).await;
    // The root is made for the first client, which cannot know it yet.
    assert!(ask(&bench, "shop.example", "/cluster1").await.is_err());
    for name in ["shop.example", "www.shop.example", "127.0.0.1"] {
        let answer = ask(&bench, name, "/cluster1").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\nx-forwarded-proto: https\n"), "{answer}");
        // User guide, "HTTP headers": these where routing.http.x_amzn_tls_version_and_cipher_suite.enabled is on.
        assert!(answer.contains("\nx-amzn-tls-version: TLSv1.3\n"), "{answer}");
        assert!(answer.contains("\nx-amzn-tls-cipher-suite: TLS_AES_256_GCM_SHA384\n"), "{answer}");
    }
    assert!(ask(&bench, "shop.example", "/other").await.unwrap().contains("no such cluster"));
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls_is_counted() {
    let server = Server::echo("i-1").await;
    let bench = Bench::secure(&[(&server, Standing::Healthy)]).await;
    let answer = bench.raw_bytes(b"GET /cluster1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let meter = bench.live.fronts().next().unwrap().drain();
    let counts = [&meter.tls_errors, &meter.new_connections, &meter.active_connections];
    assert_eq!(counts.map(|count| count.load(Ordering::SeqCst)), [1, 1, 0]);
}

#[tokio::test]
async fn a_body_that_is_not_whole_does_not_end_like_one_that_is() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let bench = Bench::secure(&[(&server, Standing::Healthy)]).await;
    let _ = ask(&bench, "shop.example", "/cluster1").await;
    let cut = ask(&bench, "shop.example", "/cluster1").await;
    assert!(cut.is_err(), "neither the last chunk nor the farewell of TLS: {cut:?}");
}

#[tokio::test]
async fn a_body_of_many_records_arrives_whole_at_a_client_that_reads_slowly() {
    const LENGTH: usize = 3_000_000;
    let server = Server::start("big", |mut stream| async move {
        head(&mut stream).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&vec![b'x'; LENGTH]).await;
    })
    .await;
    let bench = Bench::secure(&[(&server, Standing::Healthy)]).await;
    let _ = ask(&bench, "shop.example", "/cluster1").await;
    let answer = ask(&bench, "shop.example", "/cluster1").await.unwrap();
    assert_eq!(answer.bytes().filter(|byte| *byte == b'x').count(), LENGTH);
}
