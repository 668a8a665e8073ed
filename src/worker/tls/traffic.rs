//! What follows the handshake of TLS 1.3 (RFC 8446 4.6, 5, 6): records are opened where they were received and sealed where
//! they are sent from, with keys that rustls has agreed on. rustls keeps the key schedule and the tickets.

mod joined;
mod keys;

use aws_lc_rs::aead::Aad;
use bytes::{Bytes, BytesMut};
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{AlertDescription, Error, ExtractedSecrets, InvalidMessage, PeerMisbehaved};

use self::joined::Joined;
use self::keys::{Keys, Schedule};

const HEADER_BYTES: usize = 5;
const TAG_BYTES: usize = 16;
/// Plaintext of a record at most (RFC 8446 5.1).
const PLAINTEXT_BYTES_MAX: usize = 16 * 1024;
/// What a record's ciphertext may have more (RFC 8446 5.2).
const EXPANSION_BYTES_MAX: usize = 256;
/// Of one message of the handshake that comes after it.
const MESSAGE_BYTES_MAX: usize = 0xffff;
/// Records under one key; AES-GCM bears 2^24.5 (RFC 8446 5.5).
const RECORDS_PER_KEY_MAX: u64 = 1 << 23;
/// Changes of the peer's keys without data between them.
const KEY_UPDATES_MAX: u8 = 32;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
const KEY_UPDATE_BYTES: usize = 1;
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// A session whose handshake is over.
pub(super) struct Traffic {
    schedule: Schedule,
    transmit: Keys,
    receive: Keys,
    /// The start of a message of the handshake.
    message: Vec<u8>,
    key_updates: u8,
}

impl Traffic {
    /// A client's; nothing of what it has sent or received may wait in the connection.
    pub(super) fn client(connection: UnbufferedClientConnection) -> Result<Self, Error> {
        let (secrets, connection) = connection.dangerous_into_kernel_connection()?;
        Self::new(secrets, Schedule::Client(connection))
    }

    /// A server's; the same holds for it.
    pub(super) fn server(connection: UnbufferedServerConnection) -> Result<Self, Error> {
        let (secrets, connection) = connection.dangerous_into_kernel_connection()?;
        Self::new(secrets, Schedule::Server(connection))
    }

    fn new(secrets: ExtractedSecrets, schedule: Schedule) -> Result<Self, Error> {
        let (transmit, receive) = (Keys::new(secrets.tx)?, Keys::new(secrets.rx)?);
        Ok(Self { schedule, transmit, receive, message: Vec::new(), key_updates: 0 })
    }

    /// Opens the whole records at the start of `received`, and leaves what follows them. Their data is appended to
    /// `plaintext`, mostly where it is. Answers, and the alert after an error, are appended to `out`. Whether the peer
    /// has ended its side; what it sent after that is dropped.
    pub(super) fn open(
        &mut self,
        received: &mut BytesMut,
        plaintext: &mut BytesMut,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        let mut data = Joined::default();
        let mut used = 0;
        let result = loop {
            let left = received.get_mut(used..).unwrap_or_default();
            match self.open_record(left, out) {
                Ok(Some(record)) => {
                    data.add(received, used + HEADER_BYTES, record.data);
                    used += record.length;
                    if record.closes {
                        break Ok(true);
                    }
                }
                Ok(None) => break Ok(false),
                Err(error) => break Err(error),
            }
        };
        let rest = received.split_off(used);
        let opened = std::mem::replace(received, rest);
        data.move_to(opened, plaintext);
        if let Ok(true) = result {
            *received = BytesMut::new();
        }
        result.inspect_err(|error| self.alert(error, out))
    }

    /// Opens one record in its place: what it held, or `None` while it is not whole.
    fn open_record(&mut self, left: &mut [u8], out: &mut Vec<u8>) -> Result<Option<Record>, Error> {
        let Some((header, left)) = left.split_first_chunk_mut::<HEADER_BYTES>() else { return Ok(None) };
        let [kind, _, _, high, low] = *header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if kind != APPLICATION_DATA {
            return Err(unexpected("a record that is not encrypted"));
        }
        if length > PLAINTEXT_BYTES_MAX + EXPANSION_BYTES_MAX {
            return Err(Error::PeerSentOversizedRecord);
        }
        let Some(sealed) = left.get_mut(..length) else { return Ok(None) };
        let nonce = self.receive.next_nonce();
        let inner = self.receive.key.open_in_place(nonce, Aad::from(*header), sealed);
        let inner = inner.map_err(|_| Error::DecryptError)?;
        // The content, its type, zeros.
        let end = inner.iter().rposition(|byte| *byte != 0);
        let end = end.ok_or(PeerMisbehaved::IllegalTlsInnerPlaintext)?;
        if end > PLAINTEXT_BYTES_MAX {
            return Err(Error::PeerSentOversizedRecord);
        }
        let (content, kind) = (inner.get(..end).unwrap_or_default(), inner.get(end).copied());
        let mut record = Record { length: HEADER_BYTES + length, data: 0, closes: false };
        if kind != Some(HANDSHAKE) && !self.message.is_empty() {
            return Err(PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into());
        }
        match kind {
            Some(APPLICATION_DATA) => {
                record.data = content.len();
                if record.data > 0 {
                    self.key_updates = 0;
                }
            }
            Some(HANDSHAKE) if !content.is_empty() => self.handshake(content, out)?,
            Some(ALERT) => record.closes = alerted(content)?,
            _ => return Err(unexpected("a record of this type")),
        }
        Ok(Some(record))
    }

    /// Messages of the handshake after its end: tickets and new keys. One may be spread over records; what is no such message
    /// is refused before it is whole.
    fn handshake(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.message.extend_from_slice(content);
        let message = std::mem::take(&mut self.message);
        let mut left = message.as_slice();
        while let [kind, length @ ..] = left {
            let is_ticket = *kind == NEW_SESSION_TICKET && matches!(self.schedule, Schedule::Client(_));
            if !is_ticket && *kind != KEY_UPDATE {
                return Err(unexpected("a handshake message of this type"));
            }
            let [a, b, c, rest @ ..] = length else { break };
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            if length > MESSAGE_BYTES_MAX {
                return Err(InvalidMessage::HandshakePayloadTooLarge.into());
            }
            if !is_ticket && length != KEY_UPDATE_BYTES {
                return Err(InvalidMessage::InvalidKeyUpdate.into());
            }
            let Some((body, rest)) = rest.split_at_checked(length) else { break };
            match &mut self.schedule {
                Schedule::Client(connection) if is_ticket => connection.handle_new_session_ticket(body)?,
                _ => self.key_update(body, rest, out)?,
            }
            left = rest;
        }
        self.message = match left.len() {
            0 => Vec::new(),
            length if length == message.len() => message,
            _ => left.to_vec(),
        };
        Ok(())
    }

    /// The peer's records have another key from the next one on; perhaps it asks for the same.
    fn key_update(&mut self, body: &[u8], after: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let &[asked @ (0 | 1)] = body else { return Err(InvalidMessage::InvalidKeyUpdate.into()) };
        if !after.is_empty() {
            return Err(PeerMisbehaved::KeyEpochWithPendingFragment.into());
        }
        self.key_updates += 1;
        if self.key_updates > KEY_UPDATES_MAX {
            return Err(PeerMisbehaved::TooManyKeyUpdateRequests.into());
        }
        self.receive = self.schedule.next_receive()?;
        if asked == 1 { self.renew(out) } else { Ok(()) }
    }

    /// Seals from here on with the next key, after telling so under the old one.
    fn renew(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.record(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0], out)?;
        self.transmit = self.schedule.next_transmit()?;
        Ok(())
    }

    /// Seals the slices, joined, in as few records as can be.
    pub(super) fn seal(&mut self, slices: &[Bytes], out: &mut Vec<u8>) -> Result<(), Error> {
        let mut left: usize = slices.iter().map(Bytes::len).sum();
        let records = left.div_ceil(PLAINTEXT_BYTES_MAX);
        out.reserve(left + records * (HEADER_BYTES + 1 + TAG_BYTES));
        let mut slices = slices.iter();
        let mut slice: &[u8] = &[];
        while left > 0 {
            if self.transmit.record >= RECORDS_PER_KEY_MAX {
                self.renew(out)?;
            }
            let length = left.min(PLAINTEXT_BYTES_MAX);
            let start = begin_record(length, out);
            let mut missing = length;
            while missing > 0 {
                if slice.is_empty() {
                    let Some(next) = slices.next() else { break };
                    slice = next;
                }
                let (now, later) = slice.split_at(missing.min(slice.len()));
                out.extend_from_slice(now);
                (slice, missing) = (later, missing - now.len());
            }
            self.end_record(APPLICATION_DATA, start, out)?;
            left -= length;
        }
        Ok(())
    }

    /// Queues close_notify.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.record(ALERT, &[WARNING, AlertDescription::CloseNotify.into()], out)
    }

    fn alert(&mut self, error: &Error, out: &mut Vec<u8>) {
        let description = match error {
            // The peer has ended the session.
            Error::AlertReceived(_) => return,
            Error::DecryptError => AlertDescription::BadRecordMac,
            Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
            Error::PeerMisbehaved(_) | Error::InvalidMessage(InvalidMessage::UnexpectedMessage(_)) => {
                AlertDescription::UnexpectedMessage
            }
            Error::InvalidMessage(_) => AlertDescription::DecodeError,
            _ => AlertDescription::InternalError,
        };
        // Without room for it the connection ends all the same.
        let _ = self.record(ALERT, &[FATAL, description.into()], out);
    }

    fn record(&mut self, kind: u8, content: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let start = begin_record(content.len(), out);
        out.extend_from_slice(content);
        self.end_record(kind, start, out)
    }

    /// Seals what stands behind the header at `start`.
    fn end_record(&mut self, kind: u8, start: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        out.push(kind);
        let record = out.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut::<HEADER_BYTES>);
        let (header, inner) = record.ok_or(Error::EncryptError)?;
        let nonce = self.transmit.next_nonce();
        let tag = self.transmit.key.seal_in_place_separate_tag(nonce, Aad::from(*header), inner);
        out.extend_from_slice(tag.map_err(|_| Error::EncryptError)?.as_ref());
        Ok(())
    }
}

/// A header for so many bytes of content; where it stands.
fn begin_record(content: usize, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let [high, low] = u16::try_from(content + 1 + TAG_BYTES).unwrap_or(u16::MAX).to_be_bytes();
    out.extend_from_slice(&[APPLICATION_DATA, 3, 3, high, low]);
    start
}

struct Record {
    length: usize,
    /// Bytes of data behind the header.
    data: usize,
    closes: bool,
}

/// Whether an alert closes the peer's side in good order; any other ends the session.
fn alerted(content: &[u8]) -> Result<bool, Error> {
    let &[_, description] = content else { return Err(InvalidMessage::MessageTooShort.into()) };
    match AlertDescription::from(description) {
        AlertDescription::CloseNotify => Ok(true),
        AlertDescription::UserCanceled => Ok(false),
        other => Err(Error::AlertReceived(other)),
    }
}

fn unexpected(what: &'static str) -> Error {
    InvalidMessage::UnexpectedMessage(what).into()
}

#[cfg(test)]
mod tests;
