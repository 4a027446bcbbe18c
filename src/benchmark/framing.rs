//! Where an HTTP/1.1 answer begins and ends (RFC 9112, section 6.3), without allocating.
//!
//! The load generator reads millions of answers: the head is parsed in place with httparse, and the body is counted
//! rather than kept. Whatever does not add up is an error of the answer, never a guess.

use std::ops::Range;

use super::interval::Failure;

/// Longer heads end the request as a protocol error.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// A larger body ends the request as a failure of its own.
pub const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How much of a body is looked at for the instance id and the expected text.
pub const BODY_BYTES_KEPT: usize = 64 * 1024;
const HEADERS_MAX: usize = 64;
/// The header in which the sample applications name their instance.
pub const INSTANCE_HEADER: &str = "x-instance-id";

/// How the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// After this many bytes.
    Length(u64),
    Chunked,
    /// When the server closes the connection.
    UntilClose,
}

/// A parsed head; ranges point into the bytes that it was parsed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub bytes: usize,
    pub body: Body,
    /// The server will close the connection after this answer.
    pub closes: bool,
    pub instance: Option<Range<usize>>,
    /// Where a redirect points.
    pub location: Option<Range<usize>>,
}

/// Reads the heads of one connection. Most of a server's answers begin alike: a head that is the last one byte for byte is
/// not parsed again.
#[derive(Debug, Default)]
pub struct Heads {
    last: Vec<u8>,
    parsed: Option<Head>,
}

impl Heads {
    /// As [`head`].
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<Head>, Failure> {
        if self.parsed.is_none() || !bytes.starts_with(&self.last) {
            self.parsed = head(bytes)?;
            self.last.clear();
            self.last.extend_from_slice(self.parsed.as_ref().map_or(&[], |head| &bytes[..head.bytes]));
        }
        Ok(self.parsed.clone())
    }
}

/// The head at the start of `bytes`, or `None` where it is not complete yet.
pub fn head(bytes: &[u8]) -> Result<Option<Head>, Failure> {
    let mut headers = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, bytes, &mut headers)
        .map_err(|_| Failure::Protocol)?;
    let httparse::Status::Complete(head_bytes) = parsed else {
        return if bytes.len() >= HEAD_BYTES_MAX { Err(Failure::Protocol) } else { Ok(None) };
    };
    let status = response.code.filter(|_| head_bytes <= HEAD_BYTES_MAX).ok_or(Failure::Protocol)?;
    let mut head = Head {
        status,
        bytes: head_bytes,
        body: Body::UntilClose,
        closes: response.version == Some(0),
        instance: None,
        location: None,
    };
    let place = |value: &[u8]| {
        let start = value.as_ptr() as usize - bytes.as_ptr() as usize;
        start..start + value.len()
    };
    let mut length = None;
    let mut chunked = false;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = std::str::from_utf8(header.value).ok().and_then(|value| value.trim().parse::<u64>().ok());
            if value.is_none() || (length.is_some() && length != value) {
                return Err(Failure::Protocol);
            }
            length = value;
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = last_token_is(header.value, b"chunked");
        } else if header.name.eq_ignore_ascii_case("connection") {
            if header.value.eq_ignore_ascii_case(b"close") {
                head.closes = true;
            } else if header.value.eq_ignore_ascii_case(b"keep-alive") {
                head.closes = false;
            }
        } else if header.name.eq_ignore_ascii_case(INSTANCE_HEADER) && !header.value.is_empty() {
            head.instance = Some(place(header.value));
        } else if (300..400).contains(&status) && header.name.eq_ignore_ascii_case("location") {
            head.location = Some(place(header.value));
        }
    }
    head.body = match (status, chunked, length) {
        (100..200 | 204 | 304, _, _) => Body::Length(0),
        (_, true, _) => Body::Chunked,
        (_, false, Some(length)) => Body::Length(length),
        (_, false, None) => Body::UntilClose,
    };
    head.closes |= head.body == Body::UntilClose;
    Ok(Some(head))
}

fn last_token_is(value: &[u8], token: &[u8]) -> bool {
    value.rsplit(|byte| *byte == b',').next().is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(token))
}

/// The instance id in a body, for applications that send no header: `i-` and 8 or 17 hexadecimal digits.
pub fn instance_id(body: &[u8]) -> Option<&str> {
    let mut from = 0;
    while let Some(found) = body[from..].windows(2).position(|pair| pair == b"i-") {
        let start = from + found;
        let digits = body[start + 2..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let stands_alone = start == 0 || !body[start - 1].is_ascii_alphanumeric();
        if stands_alone && (digits == 8 || digits == 17) {
            return std::str::from_utf8(&body[start..start + 2 + digits]).ok();
        }
        from = start + 2;
    }
    None
}

/// Takes a chunked body apart (RFC 9112, section 7.1).
#[derive(Debug, Default)]
pub struct Chunks {
    state: ChunkState,
    left: u64,
    digits: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkState {
    #[default]
    Size,
    Extension,
    Data,
    DataEnd,
    /// After the last chunk: trailer lines up to an empty one. The flag says whether this line has bytes.
    Trailer(bool),
    Done,
}

impl Chunks {
    /// Reads on; payload goes to `payload`. Answers how many bytes belonged to the body and whether it is complete.
    pub fn read(&mut self, bytes: &[u8], mut payload: impl FnMut(&[u8])) -> Result<(usize, bool), Failure> {
        let mut at = 0;
        while at < bytes.len() && self.state != ChunkState::Done {
            if self.state == ChunkState::Data {
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                payload(&bytes[at..at + take]);
                at += take;
                self.left -= take as u64;
                if self.left == 0 {
                    self.state = ChunkState::DataEnd;
                }
                continue;
            }
            self.step(bytes[at])?;
            at += 1;
        }
        Ok((at, self.state == ChunkState::Done))
    }

    fn step(&mut self, byte: u8) -> Result<(), Failure> {
        self.state = match (self.state, byte) {
            (ChunkState::Size, b'\r') => ChunkState::Size,
            (ChunkState::Size, b';' | b' ' | b'\t') if self.digits > 0 => ChunkState::Extension,
            (ChunkState::Size | ChunkState::Extension, b'\n') if self.digits > 0 => {
                self.digits = 0;
                if self.left == 0 { ChunkState::Trailer(false) } else { ChunkState::Data }
            }
            (ChunkState::Size, digit) if digit.is_ascii_hexdigit() && self.digits < 15 => {
                let value = (digit as char).to_digit(16).expect("checked to be a hexadecimal digit");
                self.left = self.left * 16 + u64::from(value);
                self.digits += 1;
                ChunkState::Size
            }
            (ChunkState::Extension, _) => ChunkState::Extension,
            (ChunkState::DataEnd, b'\r') => ChunkState::DataEnd,
            (ChunkState::DataEnd, b'\n') => ChunkState::Size,
            (ChunkState::Trailer(false), b'\n') => ChunkState::Done,
            (ChunkState::Trailer(true), b'\n') => ChunkState::Trailer(false),
            (ChunkState::Trailer(line), b'\r') => ChunkState::Trailer(line),
            (ChunkState::Trailer(_), _) => ChunkState::Trailer(true),
            _ => return Err(Failure::Protocol),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Head {
        head(text.as_bytes()).expect("a valid head").expect("a complete head")
    }

    #[test]
    fn the_head_says_how_the_body_ends() {
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n").body, Body::Length(12));
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n").body, Body::Chunked);
        assert_eq!(parsed("HTTP/1.1 204 No Content\r\n\r\n").body, Body::Length(0));
        let until_close = parsed("HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!((until_close.body, until_close.closes), (Body::UntilClose, true));
    }

    #[test]
    fn a_head_is_parsed_again_where_a_byte_of_it_is_another() {
        let mut heads = Heads::default();
        let read = |heads: &mut Heads, text: &str| heads.read(text.as_bytes()).map(|head| head.map(|head| head.body));
        let five = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        for text in [five, &format!("{five}hello"), five] {
            assert_eq!(read(&mut heads, text), Ok(Some(Body::Length(5))));
        }
        assert_eq!(read(&mut heads, &five[..30]), Ok(None));
        assert_eq!(read(&mut heads, five), Ok(Some(Body::Length(5))));
        assert_eq!(read(&mut heads, &five.replace('5', "6")), Ok(Some(Body::Length(6))));
        assert_eq!(read(&mut heads, &five.replace("HTTP/1.1", "HTTX/1.1")), Err(Failure::Protocol));
        assert_eq!(read(&mut heads, five), Ok(Some(Body::Length(5))));
    }

    #[test]
    fn the_connection_header_decides_over_the_version() {
        assert!(!parsed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").closes);
        assert!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").closes);
        assert!(parsed("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").closes);
        assert!(!parsed("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n").closes);
    }

    #[test]
    fn the_instance_is_read_from_the_header() {
        let text = "HTTP/1.1 200 OK\r\nX-Instance-Id: i-0abc\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(&text[parsed(text).instance.expect("an instance")], "i-0abc");
    }

    #[test]
    fn contradicting_lengths_and_endless_heads_are_protocol_errors() {
        let twice = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(head(twice), Err(Failure::Protocol));
        assert_eq!(head(b"SSH-2.0-OpenSSH_9.2\r\n"), Err(Failure::Protocol));
        let endless = format!("HTTP/1.1 200 OK\r\nX-Long: {}", "a".repeat(HEAD_BYTES_MAX));
        assert_eq!(head(endless.as_bytes()), Err(Failure::Protocol));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-"), Ok(None));
    }

    #[test]
    fn an_instance_id_is_found_in_a_body() {
        assert_eq!(instance_id(b"hello from i-0123456789abcdef0!"), Some("i-0123456789abcdef0"));
        assert_eq!(instance_id(b"{\"id\":\"i-12345678\"}"), Some("i-12345678"));
        assert_eq!(instance_id(b"wifi-12345678 i-123 i-"), None);
    }

    #[test]
    fn a_chunked_body_is_the_same_however_it_is_cut() {
        let wire = b"4;ext=1\r\nWiki\r\n6\r\npedia \r\n0\r\nTrailer: x\r\n\r\nNEXT";
        for cut in 0..wire.len() {
            let (mut chunks, mut body) = (Chunks::default(), Vec::new());
            let (first, done) = chunks.read(&wire[..cut], |part| body.extend_from_slice(part)).expect("valid");
            let rest =
                if done { 0 } else { chunks.read(&wire[cut..], |part| body.extend_from_slice(part)).expect("valid").0 };
            assert_eq!((first + rest, body.as_slice()), (wire.len() - 4, b"Wikipedia ".as_slice()), "cut at {cut}");
        }
        assert!(Chunks::default().read(b"xyz\r\n", |_| {}).is_err());
    }
}
