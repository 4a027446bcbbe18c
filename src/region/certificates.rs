//! The certificates that HTTPS listeners are served with: a root of the region's own, and one for each name that clients
//! ask for, made when they do.
//!
//! A rehearsal has no certificate of the user's domain, and the private key of the one in AWS never leaves it. So whatever ARN a
//! listener names, a client that trusts the root gets a valid certificate for the name that it connects to. The root
//! stays in the region's folder, so that it is trusted once.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::files;

const ROOT: &str = "certificate.pem";
const ROOT_KEY: &str = "certificate-key.pem";
const ROOT_NAME: &str = "cloudscale embedded region";
/// Certificates that are kept; clients choose the names.
const NAMES_MAX: usize = 256;

/// The region's own certification authority.
pub struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// The key of every certificate that it signs: nobody is to tell the listeners of one region apart.
    key: KeyPair,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

/// Where the root's certificate is: the file that clients are to trust.
pub fn root_file(home: &Path) -> PathBuf {
    home.join(ROOT)
}

impl Authority {
    /// That of the region in the folder `home`; a new one where there is none yet.
    ///
    /// # Errors
    /// Where the root can be neither read nor made and written.
    pub fn of(home: &Path) -> io::Result<Self> {
        let key = key_of(home)?;
        let root = match fs::read(root_file(home)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Whoever else makes one at this moment has the same key and name: either stands for both.
                let root = root_params().self_signed(&key).map_err(io::Error::other)?.pem().into_bytes();
                files::write(&root_file(home), &root)?;
                root
            }
            read => read?,
        };
        let root = CertificateDer::from_pem_slice(&root).map_err(io::Error::other)?;
        let own = KeyPair::generate().map_err(io::Error::other)?;
        Ok(Self { root, issuer: Issuer::new(root_params(), key), key: own, made: Mutex::default() })
    }

    /// What a load balancer at `address` serves TLS with: 1.2 and 1.3, HTTP/1.1 unless the load balancer adds HTTP/2.
    ///
    /// # Errors
    /// When the TLS library refuses its own defaults.
    pub fn serving(self: &Arc<Self>, address: Ipv4Addr) -> io::Result<Arc<ServerConfig>> {
        let resolver = ByName { authority: Arc::clone(self), address: address.to_string() };
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// The certificate for a name or an address.
    fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(name) {
            return Some(Arc::clone(known));
        }
        let fresh = match self.sign(name) {
            Ok(fresh) => Arc::new(fresh),
            Err(error) => {
                tracing::warn!(name, %error, "a certificate could not be made");
                return None;
            }
        };
        if made.len() >= NAMES_MAX {
            made.clear();
        }
        made.insert(name.to_owned(), Arc::clone(&fresh));
        Some(fresh)
    }

    fn sign(&self, name: &str) -> io::Result<CertifiedKey> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let signed = params.signed_by(&self.key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let key = ring::sign::any_supported_type(&key).map_err(io::Error::other)?;
        Ok(CertifiedKey::new(vec![signed.der().clone(), self.root.clone()], key))
    }
}

/// The root's key, which the first to ask has made.
fn key_of(home: &Path) -> io::Result<KeyPair> {
    let file = home.join(ROOT_KEY);
    if !file.exists() {
        let fresh = KeyPair::generate().map_err(io::Error::other)?;
        match files::create(&file, fresh.serialize_pem().as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    KeyPair::from_pem(&fs::read_to_string(&file)?).map_err(io::Error::other)
}

/// The same root each time, but for its key: what it signs names its issuer by these.
fn root_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, ROOT_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// Answers with a certificate for the name that the client has sent (SNI), else for the address that it has connected to.
#[derive(Debug)]
struct ByName {
    authority: Arc<Authority>,
    address: String,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.authority.certificate(hello.server_name().unwrap_or(&self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_stays_and_names_are_bounded() {
        let home = tempfile::tempdir().unwrap();
        let first = Authority::of(home.path()).unwrap();
        let again = Authority::of(home.path()).unwrap();
        assert_eq!(first.root, again.root);
        for name in 0..=NAMES_MAX {
            assert!(first.certificate(&format!("host-{name}.example")).is_some());
        }
        assert_eq!(first.made.lock().unwrap().len(), 1, "the next one after the last makes room");
        let same = |name: &str| Arc::ptr_eq(&again.certificate(name).unwrap(), &again.certificate(name).unwrap());
        assert!(same("127.31.0.4") && same("shop.example"));
        assert!(again.certificate("\u{fc}.example").is_none(), "a name in a certificate is ASCII");
    }

    #[test]
    fn a_root_that_cannot_be_read_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        Authority::of(home.path()).unwrap();
        fs::write(home.path().join(ROOT_KEY), "not a key").unwrap();
        assert!(Authority::of(home.path()).is_err());
        assert_eq!(fs::read_to_string(home.path().join(ROOT_KEY)).unwrap(), "not a key");
    }
}
