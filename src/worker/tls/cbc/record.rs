//! Records: explicit IV, then plaintext, MAC and padding under CBC (RFC 5246 6.2.3.2).

use rustls::Error;
use rustls::crypto::cipher::{
    InboundOpaqueMessage, InboundPlainMessage, MessageDecrypter, MessageEncrypter, OutboundOpaqueMessage,
    OutboundPlainMessage, PrefixedPayload, make_tls12_aad,
};

use super::context::{AD_BYTES, BLOCK_BYTES, Context, Direction, MAC_BYTES};

// The longest plaintext of a record (RFC 5246 6.2.1).
const PLAINTEXT_BYTES_MAX: usize = 1 << 14;
// The shortest record body: IV, MAC, one block of padding.
const BODY_BYTES_MIN: usize = BLOCK_BYTES + MAC_BYTES + BLOCK_BYTES;
// IVs drawn at once: a call of the random generator costs as much as ten blocks.
const IVS_AT_ONCE: usize = 16;

/// Protects records that are sent. Every record gets an IV that nobody can predict.
pub(super) struct RecordEncrypter {
    // None when AWS-LC has no memory for it: every record fails then.
    context: Option<Context>,
    ivs: [u8; IVS_AT_ONCE * BLOCK_BYTES],
    used: usize,
}

impl RecordEncrypter {
    pub(super) fn new(mac_key: &[u8], key: &[u8]) -> Self {
        let ivs = [0; IVS_AT_ONCE * BLOCK_BYTES];
        Self { context: Context::new(mac_key, key, Direction::Seal), used: ivs.len(), ivs }
    }

    fn next_iv(&mut self) -> Result<[u8; BLOCK_BYTES], Error> {
        if self.used == self.ivs.len() {
            aws_lc_rs::rand::fill(&mut self.ivs).map_err(|_| Error::FailedToGetRandomBytes)?;
            self.used = 0;
        }
        let iv = self.ivs[self.used..].first_chunk().copied().ok_or(Error::EncryptError)?;
        self.used += BLOCK_BYTES;
        Ok(iv)
    }
}

impl MessageEncrypter for RecordEncrypter {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let iv = self.next_iv()?;
        let length = message.payload.len();
        let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(length));
        payload.extend_from_slice(&iv);
        payload.extend_from_chunks(&message.payload);
        let ad = additional_data(&make_tls12_aad(sequence, message.typ, message.version, length));
        let context = self.context.as_mut().ok_or(Error::EncryptError)?;
        let plaintext = &mut payload.as_mut()[BLOCK_BYTES..];
        let tail = context.seal(&iv, &ad, plaintext).ok_or(Error::EncryptError)?;
        payload.extend_from_slice(tail.bytes());
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        // Padding is one byte at least, to the next block.
        BLOCK_BYTES + (length + MAC_BYTES) / BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES
    }
}

/// Opens records that arrive. Whatever is wrong, the error is the same: a difference would tell a forger how far
/// it came.
pub(super) struct RecordDecrypter(Option<Context>);

impl RecordDecrypter {
    pub(super) fn new(mac_key: &[u8], key: &[u8]) -> Self {
        Self(Context::new(mac_key, key, Direction::Open))
    }
}

impl MessageDecrypter for RecordDecrypter {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let length = message.payload.len();
        // Lengths are public.
        if length < BODY_BYTES_MIN || !length.is_multiple_of(BLOCK_BYTES) {
            return Err(Error::DecryptError);
        }
        let ad = additional_data(&make_tls12_aad(sequence, message.typ, message.version, 0));
        let (iv, body) = message.payload.split_first_chunk_mut().ok_or(Error::DecryptError)?;
        let context = self.0.as_mut().ok_or(Error::DecryptError)?;
        let length = context.open(iv, &ad, body).ok_or(Error::DecryptError)?;
        if length > PLAINTEXT_BYTES_MAX {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok(message.into_plain_message_range(BLOCK_BYTES..BLOCK_BYTES + length))
    }
}

// Without the length, which AWS-LC adds itself once it knows the padding.
fn additional_data(aad: &[u8; AD_BYTES + 2]) -> [u8; AD_BYTES] {
    let mut ad = [0; AD_BYTES];
    ad.copy_from_slice(&aad[..AD_BYTES]);
    ad
}
