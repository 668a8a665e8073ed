//! A logged record as evidence: its ASiC-E container and the container's name (`signature.md` 6).

use bytes::Bytes;

use super::record::{Direction, Stamp, StoredRecord};
use crate::evidence::asic::{ChainFiles, Container};
use crate::evidence::timestamp;
use crate::message::{ErrorCode, XRoadError};

/// Characters of the encoded query id that a file name keeps.
const NAME_QUERY_ID_CHARS: usize = 226;
const BASE_32: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

impl StoredRecord {
    /// The container of this record. Fails with `asic_timestamp_not_found` while it has no time-stamp.
    pub fn container(&self) -> Result<Container, XRoadError> {
        let missing = || {
            let text = format!("Message log record {} has not been time-stamped", self.summary.id);
            XRoadError::new(ErrorCode::AsicTimestampNotFound, text)
        };
        let signature_chain = match (&self.signature.hash_chain_result, &self.signature.hash_chain) {
            (Some(result), Some(chain)) => Some(chain_files(result, chain)),
            _ => None,
        };
        let mut container = Container {
            message: self.message.clone(),
            signature: self.signature.signature.clone(),
            signature_chain,
            attachments: (1..).zip(self.attachments.iter().cloned()).collect(),
            ..Container::default()
        };
        match self.stamp.as_ref().ok_or_else(missing)? {
            // The logged signature stays as it was; only the copy in the container shows the time-stamp.
            Stamp::Single { token } => {
                container.signature = timestamp::insert_token(&self.signature.signature, token)
                    .map_err(|error| XRoadError::new(ErrorCode::MalformedSignature, error.to_string()))?;
            }
            Stamp::Batch { token, hash_chain_result, hash_chain } => {
                container.timestamp = Some(token.clone());
                container.timestamp_chain = Some(chain_files(hash_chain_result, hash_chain));
            }
        }
        Ok(container)
    }

    /// `<query id>-<request|response>-<record id>.asice`, as official servers name it.
    pub fn container_file_name(&self) -> String {
        let direction = match self.summary.direction {
            Direction::Request => "request",
            Direction::Response => "response",
        };
        format!("{}-{direction}-{}.asice", encoded_query_id(&self.summary.query_id), base_32(self.summary.id))
    }
}

fn chain_files(result: &Bytes, chain: &Bytes) -> ChainFiles {
    ChainFiles { result: result.clone(), chain: chain.clone() }
}

/// A query id for a file name: form-urlencoded, cut to 226 characters.
pub fn encoded_query_id(query_id: &str) -> String {
    let mut out = String::with_capacity(query_id.len());
    for byte in query_id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(byte.into()),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out.truncate(NAME_QUERY_ID_CHARS);
    out
}

/// Unsigned, base 32, digits 0–9a–v.
fn base_32(mut id: u64) -> String {
    let mut digits: Vec<u8> = Vec::new();
    loop {
        digits.extend(BASE_32.get((id % 32) as usize));
        id /= 32;
        if id == 0 {
            break;
        }
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_official_servers() {
        assert_eq!(base_32(22), "m");
        assert_eq!(base_32(0), "0");
        assert_eq!(base_32(32), "10");
        assert_eq!(encoded_query_id("a b/ä*"), "a+b%2F%C3%A4*");
        assert_eq!(encoded_query_id(&"x".repeat(300)).len(), 226);
    }
}
