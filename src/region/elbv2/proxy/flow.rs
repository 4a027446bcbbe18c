//! One direction of an exchange: bytes of a body that came from one connection and go to the other.
//!
//! Nothing is read before everything that was read before is written, so a slow reader slows its writer and no more than
//! one buffer of a body is in memory. What is ready goes out in one write: a head, a chunk's size, the data, its end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::buffer::Buffer;
use super::framing::{Decoder, Framing, Malformed};

#[derive(Debug)]
pub struct Flow {
    /// A head, a chunk's size: what goes out before the data.
    front: Vec<u8>,
    front_sent: usize,
    /// Bytes at the front of the source that go out.
    data: usize,
    /// Bytes behind those which are done with, too.
    skipped: usize,
    /// What goes out after the data.
    back: &'static [u8],
    decoder: Decoder,
    /// The body goes out in chunks.
    chunks: bool,
    /// The source has said all of the body.
    ended: bool,
}

impl Flow {
    /// A flow that begins with `front`; its body is set later where it is not known yet.
    pub fn new(front: Vec<u8>, framing: &Framing, chunks: bool) -> Self {
        let mut flow = Self {
            front,
            front_sent: 0,
            data: 0,
            skipped: 0,
            back: b"",
            decoder: Decoder::UntilClose,
            chunks: false,
            ended: false,
        };
        flow.body(framing, chunks);
        flow
    }

    /// How the body comes, and whether it goes out in chunks.
    pub fn body(&mut self, framing: &Framing, chunks: bool) {
        self.decoder = Decoder::new(framing);
        self.chunks = chunks;
        self.ended = matches!(framing, Framing::Empty | Framing::Length(0));
    }

    /// What goes out before the data; nothing of it may be on its way.
    pub fn front(&mut self) -> &mut Vec<u8> {
        if self.front_sent == self.front.len() {
            self.front.clear();
            self.front_sent = 0;
        }
        &mut self.front
    }

    pub fn has_output(&self) -> bool {
        self.front_sent < self.front.len() || self.data > 0 || !self.back.is_empty()
    }

    /// The source has said all of the body.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Everything was said and written.
    pub fn is_done(&self) -> bool {
        self.ended && !self.has_output()
    }

    /// The source is at its end: that of the body, where nothing else ends it.
    pub fn source_closed(&mut self) -> bool {
        let expected = matches!(self.decoder, Decoder::UntilClose);
        if expected && !self.ended {
            self.end();
        }
        expected
    }

    /// Nothing but the end of the connection tells the sink where the body ends.
    pub fn ends_with_connection(&self) -> bool {
        !self.chunks && !matches!(self.decoder, Decoder::Length(_))
    }

    fn end(&mut self) {
        self.ended = true;
        if self.chunks {
            self.back = if self.data > 0 { b"\r\n0\r\n\r\n" } else { b"0\r\n\r\n" };
        }
    }

    /// Makes output of what is in the source.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn load(&mut self, source: &mut Buffer) -> Result<(), Malformed> {
        if self.ended || self.data > 0 || source.is_empty() {
            return Ok(());
        }
        let decoded = self.decoder.decode(source.filled_mut())?;
        self.data = decoded.data;
        self.skipped = decoded.used - decoded.data;
        if decoded.data == 0 {
            source.consume(std::mem::take(&mut self.skipped));
        } else if self.chunks {
            use io::Write as _;
            let size = decoded.data;
            let _ = write!(self.front(), "{size:x}\r\n");
            self.back = b"\r\n";
        }
        if decoded.ended {
            self.end();
        }
        Ok(())
    }

    /// Writes as much of the output as the connection takes; how much that was.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Buffer,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<usize>> {
        let parts = [
            IoSlice::new(&self.front[self.front_sent..]),
            IoSlice::new(&source.filled()[..self.data]),
            IoSlice::new(self.back),
        ];
        let used = if self.data == 0 && self.back.is_empty() { 1 } else { 3 };
        let count = ready!(Pin::new(sink).poll_write_vectored(cx, &parts[..used]))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.sent(count, source);
        Poll::Ready(Ok(count))
    }

    fn sent(&mut self, count: usize, source: &mut Buffer) {
        let of_front = count.min(self.front.len() - self.front_sent);
        self.front_sent += of_front;
        let of_data = (count - of_front).min(self.data);
        self.data -= of_data;
        source.consume(of_data);
        if self.data == 0 {
            source.consume(std::mem::take(&mut self.skipped));
        }
        self.back = &self.back[count - of_front - of_data..];
    }

    /// Everything that went out goes out again, on another connection: only where no byte of a body was taken.
    pub fn rewind(&mut self) {
        self.front_sent = 0;
    }
}
