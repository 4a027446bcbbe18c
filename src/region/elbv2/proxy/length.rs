//! What the fields of a head say together of how long its body is; `framing` judges by it.

/// A message is framed in a way that may be read as two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous;

/// What all Transfer-Encoding fields of a head say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransferEncoding {
    #[default]
    None,
    Chunked,
    Identity,
    /// More than one coding, each of which is known.
    Repeated,
    Other,
}

impl TransferEncoding {
    pub fn and(self, value: &[u8]) -> Self {
        let mut all = self;
        for coding in value.split(|byte| *byte == b',') {
            let coding = coding.trim_ascii();
            let this = if coding.eq_ignore_ascii_case(b"chunked") {
                Self::Chunked
            } else if coding.eq_ignore_ascii_case(b"identity") {
                Self::Identity
            } else {
                Self::Other
            };
            all = match (all, this) {
                (Self::None, this) => this,
                (Self::Other, _) | (_, Self::Other) => Self::Other,
                _ => Self::Repeated,
            };
        }
        all
    }
}

/// What all Content-Length fields of a head say together: `Err` when that is no one number of digits only.
pub fn content_length(value: &[u8], known: Result<Option<u64>, Ambiguous>) -> Result<Option<u64>, Ambiguous> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Ambiguous);
    }
    let length = value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0'));
    match known? {
        Some(other) if other != length => Err(Ambiguous),
        _ => Ok(Some(length)),
    }
}
