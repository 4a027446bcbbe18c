//! Key pairs: imported or created public keys by name. Nobody logs in to an instance of the region, so a private key that
//! is made here opens nothing: it is as good as the region's seed is secret.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::listing::{Filters, known_ids};
use super::model::{Ec2, Operation};
use super::tags::{self, Tags};
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("CreateKeyPair", "KeyName KeyType=ed25519 KeyFormat=pem +tags=key-pair", create_key_pair)
        .differs("ED25519 only, so KeyType must be given: RSA, AWS's default, is not made here. Nobody can log in to an instance."),
    Operation::new("ImportKeyPair", "KeyName PublicKeyMaterial +tags=key-pair", import_key_pair)
        .differs("Nobody can log in to an instance: it has no SSH server."),
    Operation::new("DeleteKeyPair", "KeyName KeyPairId", |ec2, _, params| delete_key_pair(ec2, params)),
    Operation::new("DescribeKeyPairs", "+filters KeyName[] KeyPairId[] IncludePublicKey", |ec2, _, params| {
        describe_key_pairs(ec2, params)
    }),
];

/// AWS's default quota.
const KEYS_MAX: usize = 5000;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct KeyPair {
    pub id: String,
    pub name: String,
    /// `rsa` or `ed25519`
    pub kind: String,
    /// As it was given: `ssh-ed25519 AAAA… comment`.
    pub public_key: String,
    pub fingerprint: String,
    pub created: Timestamp,
    pub tags: Tags,
}

/// Key pairs by id.
pub type KeyPairs = BTreeMap<String, KeyPair>;

/// The type and the fingerprint of an OpenSSH public key. AWS shows the SHA-256 of an ED25519 key, as here, and the MD5 of
/// an RSA key; here that one's is its SHA-256 too.
fn parse(material: &str) -> Option<(&'static str, String)> {
    let mut words = material.split_ascii_whitespace();
    let (algorithm, blob) = (words.next()?, BASE64.decode(words.next()?).ok()?);
    let kind = match algorithm {
        "ssh-rsa" => "rsa",
        "ssh-ed25519" => "ed25519",
        _ => return None,
    };
    // The blob opens with the algorithm's name, so that text that only looks like a key is told apart.
    let name = [&u32::try_from(algorithm.len()).ok()?.to_be_bytes()[..], algorithm.as_bytes()].concat();
    blob.starts_with(&name).then(|| (kind, BASE64.encode(Sha256::digest(&blob))))
}

/// An SSH string: its length and its bytes.
fn ssh_string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

const ED25519: &[u8] = b"ssh-ed25519";

/// An unencrypted private key in OpenSSH's format (openssh-portable, PROTOCOL.key).
fn openssh_private_key(seed: &[u8; 32], public: &[u8], check: u32, comment: &str) -> String {
    let blob = [ssh_string(ED25519), ssh_string(public)].concat();
    let secret = [&seed[..], public].concat();
    let mut private = [&check.to_be_bytes()[..], &check.to_be_bytes()].concat();
    private.extend(blob.iter());
    private.extend(ssh_string(&secret));
    private.extend(ssh_string(comment.as_bytes()));
    let padding = (8 - private.len() % 8) % 8;
    private.extend((1..=padding).map(|byte| u8::try_from(byte).unwrap_or_default()));
    let whole = [
        b"openssh-key-v1\0".to_vec(),
        ssh_string(b"none"),
        ssh_string(b"none"),
        ssh_string(b""),
        1_u32.to_be_bytes().to_vec(),
        ssh_string(&blob),
        ssh_string(&private),
    ];
    let text = BASE64.encode(whole.concat());
    let lines: Vec<&str> = (0..text.len()).step_by(70).map(|at| &text[at..text.len().min(at + 70)]).collect();
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----", lines.join("\n"))
}

pub fn create_key_pair(ec2: &mut Ec2, cx: &mut Context, params: &Params) -> Answer {
    let name = params.required("KeyName")?;
    if params.text("KeyType").is_none() {
        let message = "The embedded region makes ED25519 keys only: give KeyType ed25519 (AWS's default is rsa).";
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let seed: [u8; 32] = std::array::from_fn(|_| u8::try_from(cx.ids.below(256)).unwrap_or_default());
    let check = u32::try_from(cx.ids.below(1 << 30)).unwrap_or_default();
    let failed = |_| ApiError::new("InternalError", "The key could not be made.");
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed).map_err(failed)?;
    let public = ring::signature::KeyPair::public_key(&pair).as_ref();
    let blob = [ssh_string(ED25519), ssh_string(public)].concat();
    let answer = add(ec2, cx, params, &format!("ssh-ed25519 {} {name}", BASE64.encode(blob)))?;
    Ok(answer.with("keyMaterial", Value::from(openssh_private_key(&seed, public, check, name))))
}

pub fn import_key_pair(ec2: &mut Ec2, cx: &mut Context, params: &Params) -> Answer {
    let encoded = params.required("PublicKeyMaterial")?;
    let malformed = || ApiError::new("InvalidKey.Format", "Key is not in valid OpenSSH public key format");
    let material = BASE64.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(malformed)?;
    add(ec2, cx, params, &material)
}

/// Adds a key with this public half under the name that the request gives.
fn add(ec2: &mut Ec2, cx: &mut Context, params: &Params, material: &str) -> Answer {
    let name = params.required("KeyName")?;
    let malformed = || ApiError::new("InvalidKey.Format", "Key is not in valid OpenSSH public key format");
    let (kind, fingerprint) = parse(material).ok_or_else(malformed)?;
    if ec2.key_pairs.values().any(|key| key.name == name) {
        return Err(ApiError::new("InvalidKeyPair.Duplicate", format!("The keypair '{name}' already exists.")));
    }
    if ec2.key_pairs.len() >= KEYS_MAX {
        return Err(ApiError::new("KeyPairLimitExceeded", "The maximum number of key pairs has been reached."));
    }
    let tags = tags::specified(params, "key-pair")?;
    let (id, name, public_key) = (cx.ids.resource("key"), name.to_owned(), material.trim().to_owned());
    let kind = kind.to_owned();
    let key = KeyPair { id: id.clone(), name, kind, public_key, fingerprint, created: cx.now, tags };
    let answer = Value::map()
        .with("keyPairId", Value::from(&*key.id))
        .with("keyName", Value::from(&*key.name))
        .with("keyFingerprint", Value::from(&*key.fingerprint))
        .with("tagSet", tags::value(&key.tags));
    ec2.key_pairs.insert(id, key);
    Ok(answer)
}

/// Deletes a key by id or name; one that is not there is no error, as on AWS.
pub fn delete_key_pair(ec2: &mut Ec2, params: &Params) -> Answer {
    let (id, name) = (params.text("KeyPairId"), params.text("KeyName"));
    if id.is_none() && name.is_none() {
        return Err(ApiError::missing("KeyName"));
    }
    let found = ec2.key_pairs.values().find(|key| Some(&*key.id) == id || Some(&*key.name) == name);
    let found = found.map(|key| key.id.clone());
    if let Some(id) = &found {
        ec2.key_pairs.remove(id);
    }
    Ok(Value::map().with("return", Value::from(true)).with("keyPairId", found.map(Value::from)))
}

pub fn describe_key_pairs(ec2: &Ec2, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let keys = &ec2.key_pairs;
    let ids = known_ids(params, "KeyPairId", "InvalidKeyPair.NotFound", "key pair ID", |id| keys.contains_key(id))?;
    let named = |name: &str| keys.values().any(|key| key.name == name);
    let names = known_ids(params, "KeyName", "InvalidKeyPair.NotFound", "key pair", named)?;
    let with_material = params.bool("IncludePublicKey")?.unwrap_or(false);
    let mut found = Vec::new();
    for key in keys.values() {
        let keep = filters.keep(&key.tags, |name| match name {
            "key-pair-id" => Some(vec![key.id.clone()]),
            "key-name" => Some(vec![key.name.clone()]),
            "fingerprint" => Some(vec![key.fingerprint.clone()]),
            _ => None,
        })?;
        let wanted = (ids.is_empty() || ids.contains(&&*key.id)) && (names.is_empty() || names.contains(&&*key.name));
        if keep && wanted {
            found.push(
                Value::map()
                    .with("keyPairId", Value::from(&*key.id))
                    .with("keyName", Value::from(&*key.name))
                    .with("keyType", Value::from(key.kind.as_str()))
                    .with("keyFingerprint", Value::from(&*key.fingerprint))
                    .with("createTime", Value::from(key.created))
                    .with("publicKey", with_material.then(|| Value::from(&*key.public_key)))
                    .with("tagSet", tags::value(&key.tags)),
            );
        }
    }
    Ok(Value::map().with("keySet", Value::List(found)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::simulated::Simulated;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here";

    #[test]
    fn a_key_is_imported_once_shown_and_deleted() {
        let mut story = Simulated::with_shells_by_hand();
        let import =
            format!("KeyName=lab&PublicKeyMaterial={}", BASE64.encode(KEY).replace('+', "%2B").replace('=', "%3D"));
        story.ec2("ImportKeyPair", &import);
        assert_eq!(story.ec2_error("ImportKeyPair", &import), "InvalidKeyPair.Duplicate");
        let shown = &story.ec2("DescribeKeyPairs", "KeyName.1=lab&IncludePublicKey=true").maps("keySet")[0];
        assert_eq!((shown.text("keyType"), shown.text("publicKey")), (Some("ed25519"), Some(KEY)));
        story.ec2("DeleteKeyPair", "KeyName=lab");
        assert_eq!(story.ec2_error("DescribeKeyPairs", "KeyName.1=lab"), "InvalidKeyPair.NotFound");
        assert_eq!(story.ec2_error("ImportKeyPair", "KeyName=lab&PublicKeyMaterial=bm9uZQ"), "InvalidKey.Format");
    }
}
