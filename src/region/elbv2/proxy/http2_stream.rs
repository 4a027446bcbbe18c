//! One request of an HTTP/2 connection, as if it came alone on a connection of HTTP/1.1.
//!
//! What is read is the request in the words of HTTP/1.1; what is written is read as a response in HTTP/1.1, and goes out as
//! frames. So a request of HTTP/2 meets the same rules, limits, times and meters as any other. Nothing is taken from the
//! client before it was read, and nothing more is taken to be written than the client has room for.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffer::READ_BYTES;
use super::framing::{self, Decoder, Framing};
use super::head;
use super::http2_heads::{self, Body};

pub struct Http2Stream {
    /// A head, a chunk's size or its end: what is read before the data.
    front: Vec<u8>,
    front_read: usize,
    data: Bytes,
    body: RecvStream,
    chunks: bool,
    body_ended: bool,
    /// The method is HEAD.
    to_head: bool,
    answer: Answer,
}

/// The response's way to the client.
enum Answer {
    /// Its head is not complete yet.
    Head {
        respond: SendResponse<Bytes>,
        text: Vec<u8>,
    },
    Body(Outgoing),
}

/// A response's body on its way.
struct Outgoing {
    stream: SendStream<Bytes>,
    decoder: Decoder,
    /// What the client has no room for yet.
    data: BytesMut,
    /// All of the body was written.
    ended: bool,
    /// The client was told so.
    closed: bool,
}

impl Http2Stream {
    pub fn new(request: Request<RecvStream>, respond: SendResponse<Bytes>) -> Self {
        let body_ended = request.body().is_end_stream();
        let (front, rest) = http2_heads::request(&request, body_ended);
        let (to_head, chunks) = (request.method() == hyper::Method::HEAD, rest == Body::Chunks);
        let answer = Answer::Head { respond, text: Vec::new() };
        let body = request.into_body();
        Self { front, front_read: 0, data: Bytes::new(), body, chunks, body_ended, to_head, answer }
    }

    /// Ready when the client has reset the stream, or its connection is at its end.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let reset = match &mut self.answer {
            Answer::Head { respond, .. } => ready!(respond.poll_reset(cx)),
            Answer::Body(outgoing) => ready!(outgoing.stream.poll_reset(cx)),
        };
        Poll::Ready(reset.map_or_else(io::Error::other, |reason| io::Error::other(h2::Error::from(reason))))
    }

    /// Gives out what is at hand; whether that was anything.
    fn give(&mut self, out: &mut ReadBuf<'_>) -> bool {
        let front = &self.front[self.front_read..];
        let (from_front, room) = (!front.is_empty(), out.remaining());
        let count = if from_front { front.len() } else { self.data.len() }.min(room);
        if count == 0 {
            return false;
        }
        if from_front {
            out.put_slice(&front[..count]);
            self.front_read += count;
            return true;
        }
        out.put_slice(&self.data[..count]);
        self.data.advance(count);
        // Only now may the client send more. A stream that is over needs no room.
        let _ = self.body.flow_control().release_capacity(count);
        if self.data.is_empty() && self.chunks {
            self.say(|front| front.extend_from_slice(b"\r\n"));
        }
        true
    }

    fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.front.clear();
        self.front_read = 0;
        write(&mut self.front);
    }

    /// Takes in the next piece of the body.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.body.poll_data(cx)) {
            Some(Ok(data)) if data.is_empty() => {}
            Some(Ok(data)) => {
                self.data = data;
                if self.chunks {
                    let size = self.data.len();
                    // What ended the chunk before has been read.
                    self.say(|front| drop(write!(front, "{size:x}\r\n")));
                }
            }
            Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            None => {
                self.body_ended = true;
                if self.chunks {
                    self.say(|front| front.extend_from_slice(b"0\r\n\r\n"));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what is written as part of the response; how much of it.
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.answer {
            Answer::Body(outgoing) => outgoing.take(bytes),
            Answer::Head { text, .. } => {
                text.extend_from_slice(bytes);
                while self.begin()? {}
                Ok(bytes.len())
            }
        }
    }

    /// Sends the response's head as soon as it is complete. `true`: it was an interim one, and another follows.
    fn begin(&mut self) -> io::Result<bool> {
        let to_head = self.to_head;
        let Answer::Head { respond, text } = &mut self.answer else { return Ok(false) };
        let read = head::read_response(text, |head| {
            let framing = framing::of_response(&head.fields, to_head, head.status);
            Some((head.size, http2_heads::response(&head)?, framing.ok()?))
        });
        let unsayable = || io::Error::from(io::ErrorKind::InvalidData);
        let Some(read) = read.map_err(|_| unsayable())? else { return Ok(false) };
        let (size, response, framing) = read.ok_or_else(unsayable)?;
        if response.status().is_informational() {
            text.drain(..size);
            send_interim(respond, response.status())?;
            return Ok(!text.is_empty());
        }
        let bodiless = matches!(framing, Framing::Empty | Framing::Length(0));
        let stream = respond.send_response(response, bodiless).map_err(io::Error::other)?;
        let rest = text.split_off(size);
        let decoder = Decoder::new(&framing);
        let mut outgoing = Outgoing { stream, decoder, data: BytesMut::new(), ended: bodiless, closed: bodiless };
        if !rest.is_empty() {
            outgoing.add(&rest)?;
        }
        self.answer = Answer::Body(outgoing);
        Ok(false)
    }

    /// Ready when everything that was taken is on its way.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.answer {
            Answer::Head { .. } => Poll::Ready(Ok(())),
            Answer::Body(outgoing) => outgoing.poll_sent(cx),
        }
    }
}

/// Tells a client that waits for it to go on (100); nothing else comes before a response.
fn send_interim(respond: &mut SendResponse<Bytes>, status: StatusCode) -> io::Result<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    respond.send_informational(response).map_err(io::Error::other)
}

impl Outgoing {
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(READ_BYTES.saturating_sub(self.data.len()));
        self.add(&bytes[..count])?;
        Ok(count)
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        let known = self.data.len();
        self.data.extend_from_slice(bytes);
        let decoded = self.decoder.decode(&mut self.data[known..]).map_err(|_| io::ErrorKind::InvalidData)?;
        self.data.truncate(known + decoded.data);
        self.ended |= decoded.ended;
        Ok(())
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.data.is_empty() {
            self.stream.reserve_capacity(self.data.len());
            while self.stream.capacity() == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                    None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                }
            }
            let part = self.data.split_to(self.stream.capacity().min(self.data.len())).freeze();
            self.closed = self.ended && self.data.is_empty();
            self.stream.send_data(part, self.closed).map_err(io::Error::other)?;
        }
        if self.ended && !self.closed {
            self.closed = true;
            self.stream.send_data(Bytes::new(), true).map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Http2Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = out.filled().len();
        loop {
            while this.give(out) {}
            if out.remaining() == 0 || this.body_ended {
                return Poll::Ready(Ok(()));
            }
            match this.poll_body(cx) {
                Poll::Ready(Ok(())) => {}
                // What is there is read first.
                _ if out.filled().len() > before => return Poll::Ready(Ok(())),
                other => return other,
            }
        }
    }
}

impl AsyncWrite for Http2Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_sent(cx))?;
        let mut taken = 0;
        for part in parts {
            let count = this.take(part)?;
            taken += count;
            if count < part.len() {
                break;
            }
        }
        match this.poll_sent(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_sent(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_sent(cx)
    }
}

impl Drop for Http2Stream {
    /// A response that is not whole does not end like one that is. One that is whole ends a request that is not.
    fn drop(&mut self) {
        match &mut self.answer {
            Answer::Head { respond, .. } => respond.send_reset(Reason::INTERNAL_ERROR),
            Answer::Body(outgoing) if !outgoing.closed => outgoing.stream.send_reset(Reason::INTERNAL_ERROR),
            Answer::Body(_) => {}
        }
    }
}

impl std::fmt::Debug for Http2Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2Stream").field("body", &self.body).finish_non_exhaustive()
    }
}
