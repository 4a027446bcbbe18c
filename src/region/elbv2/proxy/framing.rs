//! Where a body ends: what the head says of it, and taking it apart as it comes.
//!
//! Two servers that read one head differently disagree about where the next message begins. So whatever is ambiguous is
//! either refused or rewritten in one way, after which neither connection is used again.

use super::head::Fields;
use super::length::{Ambiguous, TransferEncoding};

/// A size of a chunk has so many hexadecimal digits at most; more would be a body beyond 2^60 bytes.
const SIZE_DIGITS_MAX: u8 = 15;
/// Bytes of a chunk's extension, and of all trailers: nobody needs them, so nobody may make us read many.
const IGNORED_BYTES_MAX: u32 = 16 * 1024;

/// How a body is framed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    Empty,
    Length(u64),
    Chunked,
    /// Ends with the connection.
    UntilClose,
}

/// A request's body.
///
/// # Errors
/// 400, or 501 for a coding that the load balancer does not have (user guide, "HTTP 501: not implemented").
pub fn of_request(fields: &Fields<'_>, old: bool) -> Result<Framing, u16> {
    let length = fields.content_length.map_err(|_| 400_u16)?;
    match fields.transfer_encoding {
        TransferEncoding::None | TransferEncoding::Identity => Ok(length.map_or(Framing::Empty, Framing::Length)),
        // Before HTTP/1.1 nobody needed to know of chunks (RFC 9112 §6.1).
        TransferEncoding::Chunked if old => Err(400),
        TransferEncoding::Chunked => Ok(Framing::Chunked),
        TransferEncoding::Repeated => Err(400),
        TransferEncoding::Other => Err(501),
    }
}

/// A response's body; the request's method and the status decide whether there is one at all (RFC 9112 §6.3).
///
/// # Errors
/// For both Transfer-Encoding and Content-Length, lengths that contradict each other, and codings that are not
/// `chunked`.
pub fn of_response(fields: &Fields<'_>, to_head: bool, status: u16) -> Result<Framing, Ambiguous> {
    let length = fields.content_length.map_err(|_| Ambiguous)?;
    let framing = match (fields.transfer_encoding, length) {
        (TransferEncoding::None, Some(length)) => Framing::Length(length),
        (TransferEncoding::None, None) => Framing::UntilClose,
        (TransferEncoding::Chunked, None) => Framing::Chunked,
        _ => return Err(Ambiguous),
    };
    Ok(if to_head || matches!(status, 204 | 304) { Framing::Empty } else { framing })
}

/// Takes a body apart.
#[derive(Clone, Debug)]
pub enum Decoder {
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

/// The part of a chunked body that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    Size {
        digits: u8,
        size: u64,
    },
    /// The rest of the line that the size began.
    Extension {
        size: u64,
        bytes: u32,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataEnd,
    DataLineEnd,
    /// At the start of a line behind the last chunk.
    Trailer {
        bytes: u32,
    },
    TrailerLine {
        bytes: u32,
    },
    TrailerLineEnd {
        bytes: u32,
    },
    /// In the middle of the empty line that ends the body.
    LastLineEnd,
    End,
    /// Something did not fit; nothing that follows does.
    Failed,
}

/// What was made of the bytes at hand: `data` bytes of the body, now at their front; `used` bytes are done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    pub data: usize,
    pub used: usize,
    pub ended: bool,
}

/// A chunked body that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Decoder {
    pub fn new(framing: &Framing) -> Self {
        match framing {
            Framing::Empty => Decoder::Length(0),
            Framing::Length(length) => Decoder::Length(*length),
            Framing::Chunked => Decoder::Chunked(Chunk::Size { digits: 0, size: 0 }),
            Framing::UntilClose => Decoder::UntilClose,
        }
    }

    /// Takes apart what came; the body's bytes move to the front.
    ///
    /// # Errors
    /// [`Malformed`] for chunks that are none.
    pub fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, Malformed> {
        match self {
            Decoder::UntilClose => Ok(Decoded { data: bytes.len(), used: bytes.len(), ended: false }),
            Decoder::Length(left) => {
                let data = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= data as u64;
                Ok(Decoded { data, used: data, ended: *left == 0 })
            }
            Decoder::Chunked(next) => next.decode(bytes),
        }
    }
}

impl Chunk {
    fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, Malformed> {
        let (mut data, mut used) = (0, 0);
        while used < bytes.len() && *self != Chunk::End {
            if let Chunk::Data { left } = self {
                let count = usize::try_from(*left).map_or(bytes.len() - used, |left| left.min(bytes.len() - used));
                if data != used {
                    bytes.copy_within(used..used + count, data);
                }
                *left -= count as u64;
                data += count;
                used += count;
                if *left == 0 {
                    *self = Chunk::DataEnd;
                }
            } else {
                *self = self.after(bytes[used]);
                if *self == Chunk::Failed {
                    return Err(Malformed);
                }
                used += 1;
            }
        }
        Ok(Decoded { data, used, ended: *self == Chunk::End })
    }

    /// What comes after a byte that is not data. Lines end with CR LF and with nothing else.
    fn after(self, byte: u8) -> Self {
        // In what is ignored: no control characters but the tab.
        let ignorable = |bytes: u32| bytes < IGNORED_BYTES_MAX && (byte == b'\t' || (byte >= b' ' && byte != 0x7f));
        match (self, byte) {
            (Chunk::Size { digits, size }, byte) if byte.is_ascii_hexdigit() && digits < SIZE_DIGITS_MAX => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Chunk::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
            }
            (Chunk::Size { digits: 1.., size }, b'\r') => Chunk::SizeEnd { size },
            (Chunk::Size { digits: 1.., size }, b';' | b' ' | b'\t') => Chunk::Extension { size, bytes: 0 },
            (Chunk::Extension { size, .. }, b'\r') => Chunk::SizeEnd { size },
            (Chunk::Extension { size, bytes }, _) if ignorable(bytes) => Chunk::Extension { size, bytes: bytes + 1 },
            (Chunk::SizeEnd { size: 0 }, b'\n') => Chunk::Trailer { bytes: 0 },
            (Chunk::SizeEnd { size }, b'\n') => Chunk::Data { left: size },
            (Chunk::DataEnd, b'\r') => Chunk::DataLineEnd,
            (Chunk::DataLineEnd, b'\n') => Chunk::Size { digits: 0, size: 0 },
            (Chunk::Trailer { .. }, b'\r') => Chunk::LastLineEnd,
            (Chunk::Trailer { bytes } | Chunk::TrailerLine { bytes }, _) if ignorable(bytes) => {
                Chunk::TrailerLine { bytes: bytes + 1 }
            }
            (Chunk::TrailerLine { bytes }, b'\r') => Chunk::TrailerLineEnd { bytes },
            (Chunk::LastLineEnd, b'\n') => Chunk::End,
            (Chunk::TrailerLineEnd { bytes }, b'\n') => Chunk::Trailer { bytes },
            _ => Chunk::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), Malformed> {
        let mut decoder = Decoder::new(&Framing::Chunked);
        let (mut body, mut rest) = (Vec::new(), 0);
        let mut ended = false;
        for piece in pieces {
            if ended {
                rest += piece.len();
                continue;
            }
            let mut bytes = piece.to_vec();
            let decoded = decoder.decode(&mut bytes)?;
            assert!(decoded.ended || decoded.used == bytes.len(), "what is not the end is used up");
            body.extend_from_slice(&bytes[..decoded.data]);
            rest += bytes.len() - decoded.used;
            ended = decoded.ended;
        }
        Ok((body, ended, rest))
    }

    #[test]
    fn chunks_are_joined_and_what_follows_the_body_is_left() {
        let text = b"3\r\nabc\r\n2;name=value\r\nde\r\n0\r\nTrailer: x\r\n\r\nGET";
        assert_eq!(decode(&[text]), Ok((b"abcde".to_vec(), true, 3)));
        assert_eq!(decode(&[b"A\r\n0123456789\r\n"]), Ok((b"0123456789".to_vec(), false, 0)));
    }

    #[test]
    fn chunks_that_somebody_could_read_otherwise_are_none() {
        let malformed: [&[u8]; 16] = [
            b"\r\n",
            b"x\r\n",
            b"0x3\r\nabc",
            b"+3\r\nabc",
            b"-1\r\n",
            b" 3\r\nabc",
            b"3\nabc",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n",
            b"3\r\nabc0\r\n",
            b"1000000000000000\r\n",
            b"3;\x00\r\n",
            b"3\rabc",
            b"0\r\n\n",
            b"0\r\na: b\n",
            b"3;\nabc",
        ];
        for text in malformed {
            assert_eq!(decode(&[text]), Err(Malformed), "{:?}", String::from_utf8_lossy(text));
        }
        let long = format!("3;{}\r\n", "x".repeat(20_000));
        assert_eq!(decode(&[long.as_bytes()]), Err(Malformed));
        let many = format!("0\r\n{}\r\n", "a: b\r\n".repeat(5_000));
        assert_eq!(decode(&[many.as_bytes()]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_makes_no_difference(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            noise in prop::option::of((0..200_usize, any::<u8>())),
            cuts in prop::collection::vec(0..200_usize, 0..6),
        ) {
            let mut text = Vec::new();
            for chunk in &chunks {
                text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\nrest");
            if noise.is_none() {
                prop_assert_eq!(decode(&[&text]), Ok((chunks.concat(), true, 4)));
            }
            if let Some((at, byte)) = noise {
                let at = at % text.len();
                text[at] = byte;
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % text.len()).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            prop_assert_eq!(decode(&pieces), decode(&[&text]));
        }
    }
}
