//! The signature document of a record, which the records of a batch share.

use bytes::Bytes;

use super::super::format::FrameKind;
use super::super::segment::Segment;
use super::super::{LogError, payload};
use super::row::Last;

/// A signature document, whole or made from the one that it is like; `None` when it is damaged.
fn document(segment: &Segment, offset: u64) -> Result<Option<(Bytes, Option<Bytes>)>, LogError> {
    let whole = |offset| {
        let frame = segment.frame(offset)?.filter(|(head, _)| head.kind == FrameKind::SignatureDocument);
        Ok::<_, LogError>(frame.and_then(|(_, payload)| payload::document(&payload)))
    };
    let Some((head, payload)) = segment.frame(offset)? else { return Ok(None) };
    if head.kind != FrameKind::SimilarDocument {
        return whole(offset);
    }
    let Some(similar) = payload::similar_document(&payload) else { return Ok(None) };
    for like in similar.like {
        if let Some((other, _)) = whole(like)? {
            return Ok(similar.over(&other).map(|signature| (signature, similar.hash_chain_result.clone())));
        }
    }
    Ok(None)
}

/// Signature documents in turn among records in a row: those of requests and of responses, of several signers.
const DOCUMENTS_IN_TURN_MAX: usize = 16;

/// The signature document at a place, whole and checked, and its hash chain result.
pub(super) fn document_with(
    segment: &Segment,
    place: (u32, u64),
    id: u64,
    last: &mut Last,
) -> Result<(Bytes, Option<Bytes>), LogError> {
    if let Some(known) = last.documents.iter().find(|known| known.place == place) {
        return Ok((known.signature.clone(), known.hash_chain_result.clone()));
    }
    let (signature, hash_chain_result) = document(segment, place.1)?
        .ok_or(LogError::Damaged { id, reason: "its signature document is damaged" })?;
    last.documents.truncate(DOCUMENTS_IN_TURN_MAX - 1);
    let (document, result) = (signature.clone(), hash_chain_result.clone());
    last.documents.push_front(LastDocument { place, signature: document, hash_chain_result: result });
    Ok((signature, hash_chain_result))
}

/// One that was read a short while ago.
pub(super) struct LastDocument {
    place: (u32, u64),
    signature: Bytes,
    hash_chain_result: Option<Bytes>,
}
