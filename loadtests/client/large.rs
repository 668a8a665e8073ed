//! Bodies that are made as they are sent and compared as they come back: one piece of them is held.

use std::borrow::Cow;
use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Answer, Framing, bad, read_answer, read_head};
use crate::message::LargeBody;

const READ_BYTES: usize = 64 * 1024;

/// A body that came back.
#[derive(Debug, Clone, Copy)]
pub struct Passed {
    /// It is the body that was sent, all of it and nothing else.
    pub same: bool,
    /// From the first byte of the request to the last, until the system had taken it.
    pub sent: Duration,
    /// From the head of the answer to its last byte.
    pub received: Duration,
}

/// As `Connection::exchange_large`. An answer that is not 200 is read whole, as it is no body that was sent.
pub(super) async fn exchange<'a, S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    input: &'a mut Vec<u8>,
    head: &[u8],
    body: LargeBody<'_>,
) -> io::Result<Answer<'a>> {
    let began = Instant::now();
    // As for small bodies: what a server says counts, not that it hung up.
    let outcome = send(stream, head, body).await;
    let sent = began.elapsed();
    let answer = async {
        let head = read_head(stream, input).await?;
        if head.status != 200 {
            return read_answer(stream, input).await;
        }
        let began = Instant::now();
        let begun = input.split_off(head.length);
        let (same, ends) = Incoming { stream, buffer: begun, at: 0 }.compare(head.framing, body).await?;
        Ok(Answer {
            status: head.status,
            head: input.as_slice(),
            body: Cow::Borrowed(&[]),
            passed: Some(Passed { same, sent, received: began.elapsed() }),
            reusable: head.reusable && ends,
        })
    };
    match answer.await {
        Ok(answer) => Ok(Answer { reusable: answer.reusable && outcome.is_ok(), ..answer }),
        Err(error) => Err(outcome.err().unwrap_or(error)),
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, head: &[u8], body: LargeBody<'_>) -> io::Result<()> {
    stream.write_all(head).await?;
    let mut at = 0;
    while at < body.length {
        let next = body.content.at(body.index, at);
        let length = next.len().min(usize::try_from(body.length - at).unwrap_or(usize::MAX));
        stream.write_all(&next[..length]).await?;
        at += length as u64;
    }
    stream.flush().await
}

/// What has been read and not looked at yet.
struct Incoming<'s, S> {
    stream: &'s mut S,
    buffer: Vec<u8>,
    at: usize,
}

/// What has come of a body.
struct Comparison<'b> {
    body: LargeBody<'b>,
    at: u64,
    same: bool,
}

impl Comparison<'_> {
    fn take(&mut self, bytes: &[u8]) {
        let fits = self.at + bytes.len() as u64 <= self.body.length;
        self.same &= fits && self.body.content.is_at(self.body.index, self.at, bytes);
        self.at += bytes.len() as u64;
    }
}

impl<S: AsyncRead + Unpin> Incoming<'_, S> {
    /// Is it the same body, and does nothing come behind it?
    async fn compare(mut self, framing: Framing, body: LargeBody<'_>) -> io::Result<(bool, bool)> {
        let mut comparison = Comparison { body, at: 0, same: true };
        match framing {
            Framing::Length(length) => self.take(length, &mut comparison).await?,
            Framing::Chunked => self.take_chunks(&mut comparison).await?,
            Framing::UntilClose => loop {
                comparison.take(&self.buffer[self.at..]);
                self.at = self.buffer.len();
                if self.read().await? == 0 {
                    break;
                }
            },
        }
        let same = comparison.same && comparison.at == body.length;
        Ok((same, self.at == self.buffer.len()))
    }

    async fn take(&mut self, mut length: usize, comparison: &mut Comparison<'_>) -> io::Result<()> {
        while length > 0 {
            if self.at == self.buffer.len() {
                self.more().await?;
            }
            let end = self.buffer.len().min(self.at.saturating_add(length));
            comparison.take(&self.buffer[self.at..end]);
            length -= end - self.at;
            self.at = end;
        }
        Ok(())
    }

    async fn take_chunks(&mut self, comparison: &mut Comparison<'_>) -> io::Result<()> {
        loop {
            let (start, size) = loop {
                let line = httparse::parse_chunk_size(&self.buffer[self.at..]);
                match line.map_err(|_| bad("a malformed chunk"))? {
                    httparse::Status::Complete((start, size)) => break (start, size),
                    httparse::Status::Partial => self.more().await?,
                }
            };
            self.at += start;
            self.take(usize::try_from(size).map_err(|_| bad("a malformed chunk"))?, comparison).await?;
            while self.buffer.len() < self.at + 2 {
                self.more().await?;
            }
            self.at += 2;
            if size == 0 {
                return Ok(());
            }
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.read().await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.reserve(READ_BYTES.saturating_sub(self.buffer.len()));
        self.stream.read_buf(&mut self.buffer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;

    const LENGTH: u64 = 300_000;

    fn body(content: &Content) -> Vec<u8> {
        let mut body = Vec::new();
        while (body.len() as u64) < LENGTH {
            let next = content.at(4, body.len() as u64);
            body.extend_from_slice(&next[..next.len().min(LENGTH as usize - body.len())]);
        }
        body
    }

    /// What comes of an answer that arrives in pieces of so many bytes, and what was sent.
    async fn answered(content: &Content, answer: &[u8], piece: usize) -> (io::Result<(bool, bool)>, Vec<u8>) {
        let (near, far) = tokio::io::duplex(piece);
        let (mut from_client, mut to_client) = tokio::io::split(far);
        let served = async {
            let mut request = vec![0; 4 + LENGTH as usize];
            from_client.read_exact(&mut request).await.unwrap();
            to_client.write_all(answer).await.unwrap();
            drop((from_client, to_client));
            request
        };
        let asked = async {
            let (mut near, mut input) = (near, Vec::new());
            let body = LargeBody { content, index: 4, length: LENGTH };
            let answer = exchange(&mut near, &mut input, b"HEAD", body).await?;
            Ok((answer.passed.is_some_and(|passed| passed.same), answer.reusable))
        };
        let (request, answer) = tokio::join!(served, asked);
        (answer, request)
    }

    #[tokio::test]
    async fn the_body_that_was_sent_is_known_again_however_it_is_framed_and_cut() {
        let content = Content::new(1, 0);
        let body = body(&content);
        let with_length =
            [format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes(), &body].concat();
        let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in body.chunks(70_001) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let until_close = [b"HTTP/1.0 200 OK\r\n\r\n".as_slice(), &body].concat();
        for piece in [1000, 65_537, 1_000_000] {
            for (answer, reusable) in [(&with_length, true), (&chunked, true), (&until_close, false)] {
                let (answer, request) = answered(&content, answer, piece).await;
                assert_eq!(answer.unwrap(), (true, reusable), "{piece}");
                assert!(request.strip_prefix(b"HEAD") == Some(&body));
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_differs_is_shorter_or_longer_is_another_and_a_cut_one_is_none() {
        let content = Content::new(1, 0);
        let mut body = body(&content);
        let answer = |body: &[u8], length: usize| {
            [format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes(), body].concat()
        };
        let right = body.len();
        let short = answered(&content, &answer(&body[..right - 1], right - 1), 70_000).await.0;
        assert!(!short.unwrap().0);
        let long = answered(&content, &answer(&[&body[..], b"x"].concat(), right + 1), 70_000).await.0;
        assert!(!long.unwrap().0);
        assert!(answered(&content, &answer(&body[..1000], right), 70_000).await.0.is_err());
        body[right - 1] ^= 1;
        assert!(!answered(&content, &answer(&body, right), 70_000).await.0.unwrap().0);
        let refused = answered(&content, b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nabc", 70_000).await.0;
        assert_eq!(refused.unwrap(), (false, true));
    }
}
