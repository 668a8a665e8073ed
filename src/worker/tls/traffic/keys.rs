//! Keys of records, and where the next ones come from (RFC 8446 5.3, 7.2).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{ConnectionTrafficSecrets, Error};

/// One direction's key, and the number of its next record.
pub(super) struct Keys {
    pub(super) key: LessSafeKey,
    iv: [u8; 12],
    pub(super) record: u64,
}

impl Keys {
    pub(super) fn new((record, secrets): (u64, ConnectionTrafficSecrets)) -> Result<Self, Error> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(Error::General("tls suite without extractable keys".into())),
        };
        let unusable = || Error::General("unusable tls key".into());
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).map_err(|_| unusable())?);
        Ok(Self { key, iv: iv.as_ref().try_into().map_err(|_| unusable())?, record })
    }

    /// Never the same twice under one key (RFC 8446 5.3).
    pub(super) fn next_nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().skip(4).zip(self.record.to_be_bytes()) {
            *byte ^= number;
        }
        self.record += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Where the next keys come from.
pub(super) enum Schedule {
    Client(KernelConnection<ClientConnectionData>),
    Server(KernelConnection<ServerConnectionData>),
}

impl Schedule {
    pub(super) fn next_receive(&mut self) -> Result<Keys, Error> {
        Keys::new(match self {
            Self::Client(connection) => connection.update_rx_secret()?,
            Self::Server(connection) => connection.update_rx_secret()?,
        })
    }

    pub(super) fn next_transmit(&mut self) -> Result<Keys, Error> {
        Keys::new(match self {
            Self::Client(connection) => connection.update_tx_secret()?,
            Self::Server(connection) => connection.update_tx_secret()?,
        })
    }
}
