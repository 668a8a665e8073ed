//! rustls's buffered connection as a [`TlsSession`].

use std::io::{BufRead, ErrorKind, IoSlice, Write};

use bytes::{Bytes, BytesMut};
use rustls::{Connection, HandshakeKind};

use super::{Progress, TlsError, TlsSession};

/// A client's or server's session.
pub(crate) struct RustlsSession(Connection);

impl RustlsSession {
    pub(crate) fn new(connection: impl Into<Connection>) -> Self {
        let mut connection = connection.into();
        // The connection writes out after every chunk, which bounds the buffer; a limit inside would cut writes.
        connection.set_buffer_limit(None);
        Self(connection)
    }

    fn take_plaintext(&mut self, plaintext: &mut BytesMut) {
        let mut reader = self.0.reader();
        while let Ok(chunk) = reader.fill_buf() {
            let length = chunk.len();
            if length == 0 {
                break;
            }
            plaintext.extend_from_slice(chunk);
            reader.consume(length);
        }
    }
}

impl TlsSession for RustlsSession {
    fn feed(&mut self, mut ciphertext: &[u8], plaintext: &mut BytesMut) -> Result<Progress, TlsError> {
        let mut closed = false;
        while !ciphertext.is_empty() && !closed {
            // Reading from a slice cannot fail but for a full buffer, and the buffer is emptied every round.
            let taken = self.0.read_tls(&mut ciphertext).map_err(|e| general(&e))?;
            closed = self.0.process_new_packets()?.peer_has_closed();
            self.take_plaintext(plaintext);
            if taken == 0 {
                break;
            }
        }
        Ok(Progress { closed })
    }

    fn write_slices(&mut self, plaintext: &[Bytes]) -> Result<(), TlsError> {
        let slices: Vec<IoSlice<'_>> = plaintext.iter().map(|slice| IoSlice::new(slice)).collect();
        let length: usize = plaintext.iter().map(Bytes::len).sum();
        // Without a limit on its buffer the connection takes everything.
        match self.0.writer().write_vectored(&slices) {
            Ok(written) if written == length => Ok(()),
            Ok(_) => Err(rustls::Error::General("tls session takes no more".into()).into()),
            Err(error) => Err(general(&error).into()),
        }
    }

    fn ciphertext(&mut self, out: &mut Vec<u8>) {
        while self.0.wants_write() && self.0.write_tls(out).is_ok() {}
    }

    fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    fn close(&mut self) {
        self.0.send_close_notify();
    }

    fn peer_certificates(&self) -> Vec<Bytes> {
        let chain = self.0.peer_certificates().unwrap_or_default();
        chain.iter().map(|certificate| Bytes::copy_from_slice(certificate)).collect()
    }

    fn resumed(&self) -> bool {
        self.0.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn description(&self) -> String {
        let version = self.0.protocol_version().and_then(|v| v.as_str());
        let suite = self.0.negotiated_cipher_suite().and_then(|s| s.suite().as_str());
        format!("{} {}", version.unwrap_or("?"), suite.unwrap_or("?"))
    }
}

fn general(error: &std::io::Error) -> rustls::Error {
    match error.kind() {
        ErrorKind::WriteZero => rustls::Error::General("tls session is closed".into()),
        _ => rustls::Error::General(error.to_string()),
    }
}
