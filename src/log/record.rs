//! What is logged and what is read back.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use crate::crypto::Digest;
use crate::evidence::SignatureData;
use crate::message::{ClientId, ServiceId};
use crate::time::UnixTime;

/// The bytes of one attachment (a REST body is attachment 1).
#[derive(Debug, Clone)]
pub enum Body {
    /// In memory.
    Bytes(Bytes),
    /// In a spooled file, from its start, so many bytes.
    File(Arc<File>, u64),
}

impl Body {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File(_, len) => *len,
        }
    }

    /// Whether there is not a single byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The consumer's message.
    Request,
    /// The provider's message.
    Response,
}

/// A message to be logged (`signature.md` 7.1).
#[derive(Debug, Clone)]
pub struct Record {
    /// The message id (`queryid`).
    pub query_id: String,
    /// The message as it was signed: the SOAP part or the REST head.
    pub message: Bytes,
    /// Its signature.
    pub signature: SignatureData,
    /// Request or response.
    pub direction: Direction,
    /// The local party: the client on the consumer's side, the service's client on the provider's side.
    pub client: ClientId,
    /// The consumer, where known; what search finds the record by, beside the local party.
    pub consumer: Option<ClientId>,
    /// The service that is called, where known.
    pub service: Option<ServiceId>,
    /// `x-road-request-id`, when there is one.
    pub x_request_id: Option<String>,
    /// The attachments to be stored, in order.
    pub attachments: Vec<Body>,
    /// The message was reduced to its header fields because bodies are not logged; it will never verify.
    pub metadata_only: bool,
}

/// Proof that a record is on disk, or that the configuration wants none. Only the log makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurableRecord {
    id: u64,
    time: UnixTime,
}

impl DurableRecord {
    pub(super) fn new(id: u64, time: UnixTime) -> Self {
        Self { id, time }
    }

    /// The record id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// When it was logged.
    pub fn time(&self) -> UnixTime {
        self.time
    }
}

/// A time-stamp over records, to be logged.
#[derive(Debug, Clone)]
pub struct TimestampRecord {
    /// The token, DER, with the time-stamping authority's certificate.
    pub token: Bytes,
    /// What it covers.
    pub covered: Covered,
}

/// What a time-stamp covers.
#[derive(Debug, Clone)]
pub enum Covered {
    /// The signature value of one record.
    Single(u64),
    /// The signature documents of several records: the root of a hash tree, and its leaves in order.
    Batch {
        /// The value of `ts-hashchainresult.xml`.
        root: Digest,
        /// Each record's id and the digest of its signature document.
        leaves: Vec<(u64, Digest)>,
    },
}

impl Covered {
    /// The leaves of the tree, and which of them each record has. Records under one signature document share a leaf,
    /// so that the tree is as small as the number of documents; only where all have the same one, each has its own,
    /// since a tree has at least two.
    pub(super) fn tree(leaves: &[(u64, Digest)]) -> (Vec<Digest>, Vec<usize>) {
        let (mut numbers, mut distinct) = (HashMap::new(), Vec::new());
        let of_record = |(_, digest): &(u64, Digest)| {
            *numbers.entry(*digest).or_insert_with(|| {
                distinct.push(*digest);
                distinct.len() - 1
            })
        };
        let numbered = leaves.iter().map(of_record).collect();
        match distinct.len() {
            0 | 1 => (leaves.iter().map(|(_, digest)| *digest).collect(), (0..leaves.len()).collect()),
            _ => (distinct, numbered),
        }
    }

    /// The ids of the records.
    pub(super) fn records(&self) -> impl Iterator<Item = u64> {
        let (single, leaves) = match self {
            Self::Single(id) => (Some(*id), [].as_slice()),
            Self::Batch { leaves, .. } => (None, leaves.as_slice()),
        };
        single.into_iter().chain(leaves.iter().map(|(id, _)| *id))
    }
}

/// The time-stamp of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stamp {
    /// Over the signature value alone.
    Single {
        /// The token, DER.
        token: Bytes,
    },
    /// Over a tree of signature documents.
    Batch {
        /// The token, DER.
        token: Bytes,
        /// `ts-hashchainresult.xml`.
        hash_chain_result: Bytes,
        /// `ts-hashchain.xml`.
        hash_chain: Bytes,
    },
}

/// The head of a logged message: everything but its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSummary {
    /// The record id.
    pub id: u64,
    /// When it was logged.
    pub time: UnixTime,
    /// The message id.
    pub query_id: String,
    /// Request or response.
    pub direction: Direction,
    /// The local party.
    pub client: ClientId,
    /// The consumer, where known.
    pub consumer: Option<ClientId>,
    /// The service that is called, where known.
    pub service: Option<ServiceId>,
    /// `x-road-request-id`.
    pub x_request_id: Option<String>,
    /// Reduced to its header fields.
    pub metadata_only: bool,
    /// Whether a time-stamp covers it.
    pub stamped: bool,
}

/// A logged message as read back.
#[derive(Debug, Clone)]
pub struct StoredRecord {
    /// Its head.
    pub summary: RecordSummary,
    /// The message as it was signed.
    pub message: Bytes,
    /// Its signature, unchanged by any time-stamp.
    pub signature: SignatureData,
    /// The stored attachments, in order.
    pub attachments: Vec<Bytes>,
    /// Its time-stamp.
    pub stamp: Option<Stamp>,
}

/// A damaged place of a segment, stepped over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Number of the segment.
    pub segment: u32,
    /// Offset of the first damaged byte that is stepped over.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// Id of the record that was there, when its frame head is still whole.
    pub record_id: Option<u64>,
    /// What is wrong, one clause.
    pub reason: Cow<'static, str>,
}
