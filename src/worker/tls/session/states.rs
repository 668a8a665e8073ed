//! The states that rustls's unbuffered connection goes through, one at a time.

use bytes::BytesMut;
use rustls::Error;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};

/// What to do after one state of the session.
pub(super) enum Next {
    Again,
    /// It has the start of a record, or nothing, and nothing to send.
    Idle,
}

/// Deals with one state; says how many bytes of ciphertext are used up.
pub(super) fn settle<D>(
    status: UnbufferedStatus<'_, '_, D>,
    plaintext: &mut BytesMut,
    pending: &mut Vec<u8>,
    closed: &mut bool,
) -> (usize, Result<Next, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let next = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                None => break Ok(Next::Again),
                Some(Err(error)) => break Err(error),
                Some(Ok(record)) => {
                    discard += record.discard;
                    plaintext.extend_from_slice(record.payload);
                }
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            let start = pending.len();
            // How much room it needs it says when there is none.
            let mut encoded = data.encode(&mut []);
            if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) = encoded {
                pending.resize(start + required_size, 0);
                encoded = data.encode(pending.get_mut(start..).unwrap_or_default());
            }
            pending.truncate(start + *encoded.as_ref().unwrap_or(&0));
            encoded.map(|_| Next::Again).map_err(|error| Error::General(error.to_string()))
        }
        // What was encoded is in `pending`, and goes out before anything else does.
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Next::Again)
        }
        Ok(ConnectionState::PeerClosed) => {
            *closed = true;
            Ok(Next::Again)
        }
        Ok(
            ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) | ConnectionState::Closed,
        ) => Ok(Next::Idle),
        // Early data is never accepted, and no other state is known.
        Ok(_) => Err(Error::General("unexpected state of the tls session".into())),
    };
    (discard, next)
}

/// Why nothing was encrypted.
pub(super) enum Unwritten {
    /// It takes so many bytes.
    Room(usize),
    /// The handshake is not over, or the session is.
    NotReady,
    /// The session failed.
    Failed(Error),
}

/// Encrypts into a buffer; how many bytes.
pub(super) fn write<D>(
    status: UnbufferedStatus<'_, '_, D>,
    plaintext: &[u8],
    into: &mut [u8],
) -> Result<usize, Unwritten> {
    match status.state.map_err(Unwritten::Failed)? {
        ConnectionState::WriteTraffic(mut traffic) => {
            traffic.encrypt(plaintext, into).map_err(|error| match error {
                EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                    Unwritten::Room(required_size)
                }
                EncryptError::EncryptExhausted => Unwritten::Failed(Error::EncryptError),
            })
        }
        _ => Err(Unwritten::NotReady),
    }
}

/// Queues close_notify; how many bytes. A session that is not ready to say so has not said anything that could be taken for the
/// whole.
pub(super) fn close<D>(status: UnbufferedStatus<'_, '_, D>, into: &mut [u8]) -> usize {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => traffic.queue_close_notify(into).unwrap_or(0),
        _ => 0,
    }
}
