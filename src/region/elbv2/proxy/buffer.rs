//! Bytes that came from a connection and are not used up yet.
//!
//! A buffer takes its memory when something is to be read and gives it back to its thread when it is empty, so that a
//! connection that waits costs none.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use super::timer::Timer;

/// What is read at once, at most.
pub const READ_BYTES: usize = 16 * 1024;
/// Memory that a thread keeps for its next buffers.
const SPARE_MAX: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A connection that can tell whether there may be something to read, so that a buffer takes no memory before.
pub trait Source: AsyncRead + Unpin {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Source for TcpStream {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }
}

#[derive(Debug, Default)]
pub struct Buffer {
    /// Empty, or initialised memory of at least [`READ_BYTES`].
    memory: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub fn filled(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.end]
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives the memory back, if nothing is in it.
    pub fn release(&mut self) {
        if !self.is_empty() || self.memory.is_empty() {
            return;
        }
        let memory = std::mem::take(&mut self.memory);
        if memory.len() == READ_BYTES {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < SPARE_MAX {
                    spare.push(memory);
                }
            });
        }
    }

    /// Room for at least one byte; whoever fills a buffer bounds what it may hold.
    fn room(&mut self) -> &mut [u8] {
        if self.memory.is_empty() {
            let spare = SPARE.with_borrow_mut(Vec::pop);
            self.memory = spare.unwrap_or_else(|| vec![0; READ_BYTES]);
        } else if self.end == self.memory.len() {
            if self.start > 0 {
                self.memory.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.memory.resize(self.memory.len() * 2, 0);
            }
        }
        &mut self.memory[self.end..]
    }

    /// Reads once; how many bytes came, 0 at the end of the stream. While nothing is there, an empty buffer has no memory.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, stream: &mut impl Source) -> Poll<io::Result<usize>> {
        if self.memory.is_empty() {
            ready!(stream.poll_ready(cx))?;
        }
        let mut room = ReadBuf::new(self.room());
        let polled = Pin::new(stream).poll_read(cx, &mut room);
        let count = room.filled().len();
        if polled.is_pending() {
            self.release();
        }
        ready!(polled)?;
        self.end += count;
        Poll::Ready(Ok(count))
    }

    /// Reads once, until `deadline`; `None` when that passed or the connection failed.
    pub async fn read_until(
        &mut self,
        stream: &mut impl Source,
        timer: &mut Timer,
        deadline: Instant,
    ) -> Option<usize> {
        poll_fn(|cx| match self.poll_read(cx, stream) {
            Poll::Ready(read) => Poll::Ready(read.ok()),
            Poll::Pending => timer.poll(cx, deadline).map(|()| None),
        })
        .await
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        (self.start, self.end) = (0, 0);
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_moves_to_the_front_before_the_buffer_grows() {
        let mut buffer = Buffer::default();
        let room = buffer.room().len();
        buffer.end = room;
        buffer.memory[room - 1] = 7;
        buffer.consume(room - 1);
        assert_eq!(buffer.room().len(), room - 1);
        assert_eq!(buffer.filled(), [7]);
        buffer.end = room;
        assert_eq!(buffer.room().len(), room, "a full one doubles");
    }

    #[test]
    fn an_empty_buffer_gives_its_memory_back() {
        let mut buffer = Buffer::default();
        buffer.room();
        buffer.end = 3;
        buffer.release();
        assert_eq!(buffer.len(), 3, "what is in it stays");
        buffer.consume(3);
        buffer.release();
        assert!(buffer.memory.is_empty());
    }

    #[test]
    fn memory_that_is_given_back_is_used_again_and_no_more_is_kept_than_bounded() {
        let spare = || SPARE.with_borrow(Vec::len);
        let mut buffers: Vec<Buffer> = (0..=SPARE_MAX).map(|_| Buffer::default()).collect();
        for buffer in &mut buffers {
            buffer.room();
        }
        assert_eq!(spare(), 0);
        buffers[0].release();
        assert_eq!(spare(), 1);
        buffers[0].room();
        assert_eq!(spare(), 0);
        drop(buffers);
        assert_eq!(spare(), SPARE_MAX);
    }
}
