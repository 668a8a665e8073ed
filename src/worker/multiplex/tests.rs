//! Two ends of a connection without I/O between them: what one has to send is given to the other.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::channel::Received;
use super::channels::{Channels, Role};
use super::frame::{ENTRY_BYTES_MAX, ENTRY_BYTES_MIN, Header, Kind};
use crate::limits::{CHANNEL_WINDOW_BYTES, CHANNEL_WINDOW_BYTES_MAX, CHANNEL_WINDOW_BYTES_MIN, CHANNELS_MAX};

struct Pair {
    client: Channels,
    server: Channels,
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Gives all that one end has to send to the other, in pieces of so many bytes; how many bytes it was.
fn carry(from: &mut Channels, to: &mut Channels, piece: usize) -> usize {
    let all = from.take_out().concat();
    let mut input = BytesMut::new();
    for piece in all.chunks(piece.max(1)) {
        input.extend_from_slice(piece);
        to.receive(&mut input).unwrap();
    }
    assert!(input.is_empty(), "a frame was cut");
    all.len()
}

fn write(end: &mut Channels, number: u32, slices: &[Bytes]) -> Poll<io::Result<()>> {
    end.poll_write(number, &mut slices.to_vec().into(), &context())
}

fn read(end: &mut Channels, number: u32) -> Option<Vec<u8>> {
    match end.poll_read(number, &context()) {
        Poll::Ready(Ok(Received::Own(bytes))) => Some(bytes.to_vec()),
        Poll::Ready(Ok(Received::Shared(bytes))) => Some(bytes.to_vec()),
        _ => None,
    }
}

fn error(end: &mut Channels, number: u32) -> Option<io::ErrorKind> {
    match end.poll_read(number, &context()) {
        Poll::Ready(Err(error)) => Some(error.kind()),
        _ => None,
    }
}

impl Pair {
    fn new() -> Self {
        Self { client: Channels::new(Role::Client), server: Channels::new(Role::Server) }
    }

    /// A channel that the server has accepted.
    fn open(&mut self) -> u32 {
        let number = self.client.open().unwrap();
        assert!(write(&mut self.client, number, &[Bytes::from_static(b"?")]).is_ready());
        self.there();
        assert_eq!(self.server.accept(), Some(number));
        assert_eq!(read(&mut self.server, number).unwrap(), b"?");
        number
    }

    fn there(&mut self) -> usize {
        carry(&mut self.client, &mut self.server, usize::MAX)
    }

    fn back(&mut self) -> usize {
        carry(&mut self.server, &mut self.client, usize::MAX)
    }

    /// What the server says to these bytes.
    fn refusal(bytes: &[u8]) -> Option<&'static str> {
        let mut pair = Self::new();
        pair.open();
        pair.server.receive(&mut BytesMut::from(bytes)).err().map(|violation| violation.0)
    }
}

fn frame(kind: Kind, number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    Header::new(kind, content.len(), number).put(&mut out);
    out.extend_from_slice(content);
    out.to_vec()
}

#[test]
fn channels_carry_bytes_in_both_directions_however_they_are_cut() {
    for piece in [1, 3, 7, 8, 9, 1000, usize::MAX] {
        let mut pair = Pair::new();
        let (one, other) = (pair.client.open().unwrap(), pair.client.open().unwrap());
        let long = Bytes::from(vec![7; 12_000]);
        let slices = [Bytes::from_static(b"head"), Bytes::new(), long.clone(), Bytes::from_static(b"tail")];
        assert!(write(&mut pair.client, one, &slices).is_ready());
        assert!(write(&mut pair.client, other, &[Bytes::from_static(b"other")]).is_ready());
        pair.client.end(other);
        carry(&mut pair.client, &mut pair.server, piece);
        assert_eq!((pair.server.accept(), pair.server.accept()), (Some(one), Some(other)));
        let mut whole = Vec::new();
        while let Some(bytes) = read(&mut pair.server, one) {
            whole.extend(bytes);
        }
        assert!(whole == slices.concat(), "pieces of {piece}");
        assert_eq!(read(&mut pair.server, other).unwrap(), b"other");
        assert_eq!(read(&mut pair.server, other).unwrap(), b"", "its end");
        assert!(write(&mut pair.server, other, &[Bytes::from_static(b"answer")]).is_ready());
        carry(&mut pair.server, &mut pair.client, piece);
        assert_eq!(read(&mut pair.client, other).unwrap(), b"answer");
    }
}

#[test]
fn what_many_messages_have_in_common_goes_over_the_connection_twice() {
    let mut pair = Pair::new();
    let document = Bytes::from((0..6000).map(|at| at as u8).collect::<Vec<_>>());
    let numbers: Vec<u32> = (0..50).map(|_| pair.open()).collect();
    for (at, number) in numbers.iter().enumerate() {
        let own = Bytes::from(format!("message {at}"));
        assert!(
            write(&mut pair.client, *number, &[own, document.clone(), Bytes::from_static(b".")]).is_ready()
        );
    }
    let bytes = pair.there();
    assert!(bytes < 2 * document.len() + 50 * 60, "{bytes}");
    for (at, number) in numbers.iter().enumerate() {
        let expected = [format!("message {at}").as_bytes(), &document, b"."].concat();
        let pieces = std::iter::from_fn(|| read(&mut pair.server, *number)).collect::<Vec<_>>();
        assert!(pieces.concat() == expected, "message {at}");
    }
}

#[test]
fn who_does_not_read_is_sent_no_more_than_a_window_and_who_does_gets_a_larger_one() {
    let mut pair = Pair::new();
    let number = pair.open();
    pair.back();
    let body = Bytes::from(vec![1; 8 << 20]);
    let mut rest = VecDeque::from([body.clone()]);
    // The first byte of the channel was not reported yet.
    let mut came = 0;
    let (mut rounds, mut largest) = (0, 0);
    while !rest.is_empty() {
        while pair.client.poll_write(number, &mut rest, &context()).is_pending() {
            let sent = pair.there();
            if sent == 0 {
                break;
            }
        }
        pair.there();
        let mut round = 0;
        while let Some(bytes) = read(&mut pair.server, number) {
            assert!(bytes.iter().all(|byte| *byte == 1));
            round += bytes.len();
        }
        assert!(rounds > 0 || round < CHANNEL_WINDOW_BYTES, "{round}");
        (came, rounds, largest) = (came + round, rounds + 1, largest.max(round));
        pair.back();
        assert!(rounds < 100, "{came} bytes have come");
    }
    assert_eq!(came, body.len());
    assert!((CHANNEL_WINDOW_BYTES_MAX / 2..=CHANNEL_WINDOW_BYTES_MAX).contains(&largest), "{largest}");
}

#[test]
fn who_leaves_a_channel_is_heard_of_and_hears_no_more() {
    let mut pair = Pair::new();
    let (one, other) = (pair.open(), pair.open());
    // What was said before the end is read before it.
    assert!(write(&mut pair.server, one, &[Bytes::from_static(b"last words")]).is_ready());
    pair.server.leave(one);
    pair.back();
    assert_eq!(read(&mut pair.client, one).unwrap(), b"last words");
    assert_eq!(error(&mut pair.client, one), Some(io::ErrorKind::ConnectionReset));
    assert!(matches!(write(&mut pair.client, one, &[Bytes::from_static(b"?")]), Poll::Ready(Err(_))));
    pair.client.leave(one);
    assert_eq!(pair.there(), 0, "both have left");
    // On its way while the other end leaves.
    assert!(write(&mut pair.client, other, &[Bytes::from_static(b"on its way")]).is_ready());
    pair.server.leave(other);
    pair.there();
    pair.back();
    assert_eq!(error(&mut pair.client, other), Some(io::ErrorKind::ConnectionReset));
    pair.client.leave(other);
    assert_eq!((pair.client.count(), pair.server.count()), (0, 0));
    // Both have said their end: nothing is left to be said.
    let third = pair.open();
    pair.client.end(third);
    pair.server.end(third);
    pair.there();
    pair.back();
    assert_eq!((read(&mut pair.client, third), read(&mut pair.server, third)), (Some(vec![]), Some(vec![])));
    pair.client.leave(third);
    pair.server.leave(third);
    assert_eq!((pair.there(), pair.back()), (0, 0));
    // The end of the connection is an end of all.
    let fourth = pair.open();
    pair.client.lose();
    assert_eq!(error(&mut pair.client, fourth), Some(io::ErrorKind::ConnectionReset));
    assert!(pair.client.open().is_none() && pair.client.peek(fourth).is_err());
}

#[test]
fn there_are_not_too_many_channels_and_none_once_the_server_leaves() {
    let mut pair = Pair::new();
    let numbers: Vec<u32> = (0..CHANNELS_MAX).map(|_| pair.open()).collect();
    assert!(pair.client.open().is_none());
    // Those that the client has left are still ending at the server: it takes as many again, and refuses the next ones alone.
    numbers.iter().for_each(|number| pair.client.leave(*number));
    pair.there();
    let again: Vec<u32> = (0..CHANNELS_MAX).map(|_| pair.open()).collect();
    again.iter().for_each(|number| pair.client.leave(*number));
    let refused = pair.client.open().unwrap();
    assert!(write(&mut pair.client, refused, &[Bytes::from_static(b"?")]).is_ready());
    pair.there();
    assert_eq!(pair.server.accept(), None);
    pair.back();
    assert_eq!(error(&mut pair.client, refused), Some(io::ErrorKind::ConnectionReset));
    numbers.iter().for_each(|number| pair.server.leave(*number));
    let open = pair.open();
    let would_block =
        |result: io::Result<usize>| result.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
    assert!(would_block(pair.client.peek(open)));
    pair.server.out.frame(Kind::Leaving, 0, &[]);
    pair.back();
    assert!(pair.client.open().is_none());
    assert_eq!(pair.client.peek(open).unwrap(), 0, "no exchange is begun on it");
    assert!(write(&mut pair.client, open, &[Bytes::from_static(b"goes on")]).is_ready());
}

#[test]
fn what_comes_after_the_end_is_not_carried_out() {
    let mut pair = Pair::new();
    pair.open();
    for end in [|server: &mut Channels| server.closing = true, Channels::lose] {
        end(&mut pair.server);
        let number = pair.client.open().unwrap();
        assert!(write(&mut pair.client, number, &[Bytes::from_static(b"carry out")]).is_ready());
        pair.there();
        assert_eq!(pair.server.accept(), None);
        assert_eq!(error(&mut pair.server, number), Some(io::ErrorKind::ConnectionReset));
    }
}

#[test]
fn a_long_body_leaves_room_for_others_and_a_channel_that_nobody_has_accepted_takes_little() {
    let mut pair = Pair::new();
    let (long, short) = (pair.open(), pair.open());
    pair.back();
    let mut body = VecDeque::from(vec![Bytes::from(vec![1; 65_000]); 20]);
    assert!(pair.client.poll_write(long, &mut body, &context()).is_pending());
    assert!(write(&mut pair.client, short, &[Bytes::from(vec![2; 60_000])]).is_ready());
    // Nobody has accepted it, so nobody has said that more than a little may come.
    let third = pair.client.open().unwrap();
    let mut most = VecDeque::from([Bytes::from(vec![3; 100_000])]);
    assert!(pair.client.poll_write(third, &mut most, &context()).is_pending());
    let unsaid: usize = most.iter().map(Bytes::len).sum();
    assert_eq!(100_000 - unsaid, CHANNEL_WINDOW_BYTES_MIN);
    pair.there();
    assert_eq!(pair.server.accept(), Some(third));
    pair.back();
    assert!(pair.client.poll_write(third, &mut most, &context()).is_pending() && most.len() <= 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_channels_is_kept_for_a_while_only() {
    let idle = std::time::Duration::from_secs(25);
    let mut pair = Pair::new();
    assert!(!pair.client.is_done(idle));
    let number = pair.open();
    tokio::time::advance(idle).await;
    assert!(!pair.client.is_done(idle), "there is a channel");
    pair.client.leave(number);
    assert!(!pair.client.is_done(idle));
    tokio::time::advance(idle).await;
    assert!(pair.client.is_done(idle));
    let mut pair = Pair::new();
    let number = pair.open();
    pair.client.retired = true;
    assert!(!pair.client.is_done(idle) && pair.client.open().is_none());
    pair.client.leave(number);
    assert!(pair.client.is_done(idle), "nobody wants it");
}

#[test]
fn pings_are_answered_in_their_turn() {
    let mut pair = Pair::new();
    let (first, second) = (pair.client.ping(), pair.client.ping());
    assert_eq!(pair.client.pongs, 0);
    pair.there();
    pair.back();
    assert!(first < second && pair.client.pongs == second);
    for unasked in [frame(Kind::Ping, 0, &[0; 4]), frame(Kind::Pong, 0, &[0, 0, 0, 3])] {
        assert!(pair.client.receive(&mut BytesMut::from(&unasked[..])).is_err());
    }
}

#[test]
fn a_peer_that_breaks_the_rules_is_refused() {
    let cases: [(&str, Vec<u8>); 14] = [
        ("unknown kind of frame", vec![0xff; 8]),
        ("frame of a wrong length", frame(Kind::Credit, 1, b"123")),
        ("frame of a wrong length", frame(Kind::Entry, 1, &vec![0; ENTRY_BYTES_MAX + 1])),
        ("frame of a wrong length", frame(Kind::Entry, 0, &[0; ENTRY_BYTES_MIN - 1])),
        ("not for clients to say", frame(Kind::Hello, 0, &[0; 4])),
        ("not for clients to say", frame(Kind::Leaving, 0, &[])),
        ("not for clients to say", frame(Kind::Pong, 0, &[0; 4])),
        ("no such place", frame(Kind::Entry, 8, &[0; ENTRY_BYTES_MIN])),
        ("nothing is in that place", frame(Kind::Repeat, 1, &[0])),
        ("nothing is in that place", frame(Kind::Repeat, 1, &[255])),
        ("a channel that was not opened", frame(Kind::End, 2, &[])),
        ("bytes after the end of a channel", [frame(Kind::End, 1, &[]), frame(Kind::Data, 1, b"x")].concat()),
        (
            "more bytes than the window has",
            (0..3).flat_map(|_| frame(Kind::Data, 1, &vec![0; 60_000])).collect(),
        ),
        (
            "more leave to send than there can be",
            [frame(Kind::Credit, 1, &[0x7f; 4]), frame(Kind::Credit, 1, &[0x7f; 4])].concat(),
        ),
    ];
    for (expected, bytes) in cases {
        assert_eq!(Pair::refusal(&bytes), Some(expected));
    }
    // References are short, and what they stand for counts.
    let mut references = frame(Kind::Entry, 0, &[1; ENTRY_BYTES_MAX]);
    (0..5).for_each(|_| references.extend(frame(Kind::Repeat, 1, &[0])));
    assert_eq!(Pair::refusal(&references), Some("more bytes than the window has"));
    // However often they are read, they are not nearly all that comes.
    let mut pair = Pair::new();
    let number = pair.open();
    let mut input = BytesMut::from(&frame(Kind::Entry, 0, &[1; ENTRY_BYTES_MAX])[..]);
    let refused = (0..1000).find_map(|_| {
        input.extend_from_slice(&frame(Kind::Repeat, number, &[0]));
        let refused = pair.server.receive(&mut input).err();
        while read(&mut pair.server, number).is_some() {}
        pair.server.take_out();
        refused
    });
    assert_eq!(refused.map(|violation| violation.0), Some("hardly anything but references"));
    // Answers that nobody reads do not pile up.
    let mut pair = Pair::new();
    let refused = (1..200_000_u32).map(|number| frame(Kind::Data, number, &[]));
    let mut input = BytesMut::new();
    let ended = refused.into_iter().any(|frame| {
        input.extend_from_slice(&frame);
        pair.server.receive(&mut input).is_err()
    });
    assert!(ended && pair.server.count() == 2 * CHANNELS_MAX);
    // What comes for a channel that has been left costs nothing.
    assert_eq!(Pair::refusal(&frame(Kind::Credit, 1, &[0, 0, 0, 1])), None);
    let mut client = Channels::new(Role::Client);
    assert!(client.receive(&mut BytesMut::from(&frame(Kind::Data, 1, b"x")[..])).is_err());
}

#[test]
fn whatever_bytes_come_nothing_panics() {
    use proptest::prelude::*;
    proptest!(|(frames in proptest::collection::vec((0_u8..12, 0_u32..4, 0_usize..3000), 0..60), cut in 1_usize..500)| {
        let mut bytes = Vec::new();
        for (kind, number, length) in frames {
            let length = match kind { 1 | 2 | 7 => 0, 3 | 6 | 8 | 9 => 4, 5 => 1, _ => length };
            bytes.extend((u32::from(kind) << 24 | length as u32).to_be_bytes());
            bytes.extend(number.to_be_bytes());
            bytes.extend(std::iter::repeat_n(1, length));
        }
        for role in [Role::Client, Role::Server] {
            let mut end = Channels::new(role);
            if role == Role::Client {
                end.open();
            }
            let mut input = BytesMut::new();
            for piece in bytes.chunks(cut) {
                input.extend_from_slice(piece);
                if end.receive(&mut input).is_err() {
                    break;
                }
                while let Some(number) = end.accept() {
                    let _ = end.poll_read(number, &context());
                }
            }
            end.lose();
        }
    });
}
