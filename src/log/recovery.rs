//! Opening what an earlier run left: every whole record is found again, a torn tail is cut off.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::LogError;
use super::format::{Fields, FrameKind};
use super::index::Index;
use super::payload;
use super::record::Damage;
use super::segment::{self, Met, Segment};

/// What a scan of all segments found.
pub(super) struct Recovered {
    pub index: Index,
    /// The largest record id that any frame or header speaks of.
    pub last_id: u64,
    /// The newest segment that can be written on.
    pub tail: Option<Tail>,
    /// The highest segment number in use.
    pub last_number: Option<u32>,
    /// The server that the log belongs to.
    pub server: Option<String>,
}

/// The newest segment.
pub(super) struct Tail {
    pub number: u32,
    pub path: PathBuf,
    pub tag: u64,
    /// Where the last whole frame ends.
    pub good_len: u64,
    /// Length of the file; more than `good_len` when its tail is torn.
    pub file_len: u64,
    pub sealed: bool,
    pub counts: [u64; 3],
}

/// Scans a log without changing it.
pub(super) fn scan(directory: &Path) -> Result<Recovered, LogError> {
    let mut all =
        Recovered { index: Index::default(), last_id: 0, tail: None, last_number: None, server: None };
    let numbers = segment::list(directory)?;
    for number in &numbers {
        all.last_number = Some(*number);
        all.tail = None;
        let path = directory.join(segment::file_name(*number));
        match Segment::open(&path)? {
            Some(segment) => scan_segment(&segment, *number, numbers.last() == Some(number), &mut all)?,
            None => {
                let len = std::fs::metadata(&path)?.len();
                let reason = "the segment header is damaged";
                all.index.add_damage(Damage { segment: *number, offset: 0, len, record_id: None, reason });
            }
        }
    }
    Ok(all)
}

fn scan_segment(segment: &Segment, number: u32, newest: bool, all: &mut Recovered) -> Result<(), LogError> {
    if segment.header.number != number {
        return Err(LogError::SegmentHeader { path: segment.path.clone() });
    }
    if let Some(server) = all.server.replace(segment.header.server.clone())
        && server != segment.header.server
    {
        return Err(LogError::OtherServer { found: segment.header.server.clone(), expected: server });
    }
    all.last_id = all.last_id.max(segment.header.first_record_id.saturating_sub(1));
    let mut documents = HashSet::new();
    let (mut sealed, mut counts) = (false, [0_u64; 3]);
    let index = &mut all.index;
    let last_id = &mut all.last_id;
    let damage = |offset, len, record_id, reason| Damage { segment: number, offset, len, record_id, reason };
    let good_len = segment.scan(|met| match met {
        Met::Damaged { offset, len, head, reason } => {
            let kinds = [FrameKind::MessageRecord, FrameKind::TimestampRecord];
            let record_id = head.filter(|head| kinds.contains(&head.kind)).map(|head| head.id);
            *last_id = (*last_id).max(record_id.unwrap_or(0));
            index.add_damage(damage(offset, len, record_id, reason));
        }
        Met::Frame { offset, head, payload } => {
            counts[0] += 1;
            sealed = false;
            let lost = |reason| damage(offset, head.frame_len(), Some(head.id), reason);
            match head.kind {
                FrameKind::SignatureDocument => {
                    documents.insert(offset);
                }
                FrameKind::SimilarDocument => {
                    // What is left of a document is not enough without the one that it is like.
                    let whole = segment.frame(offset).ok().flatten();
                    let similar = whole.and_then(|(_, payload)| payload::similar_document(&payload));
                    if similar.is_some_and(|d| d.like.iter().any(|like| documents.contains(like))) {
                        documents.insert(offset);
                    }
                }
                FrameKind::Mark => *last_id = (*last_id).max(head.id.saturating_sub(1)),
                FrameKind::Seal => {
                    sealed = true;
                    *last_id = (*last_id).max(head.id.saturating_sub(1));
                }
                _ if head.id <= *last_id => index.add_damage(lost("its record id is not new")),
                FrameKind::MessageRecord => {
                    *last_id = head.id;
                    counts[1] += 1;
                    match payload::message_head(&mut Fields(payload), head.id) {
                        Some(found) if documents.contains(&found.document_offset) => {
                            let summary = &found.summary;
                            index.add_message(head.id, &summary.query_id, summary.direction, number, offset);
                        }
                        Some(_) => index.add_damage(lost("its signature document is damaged")),
                        None => index.add_damage(lost("its fields cannot be read")),
                    }
                }
                FrameKind::TimestampRecord => {
                    *last_id = head.id;
                    counts[2] += 1;
                    // The list of records may lie beyond what a scan shows: read the frame whole.
                    let whole = segment.frame(offset).ok().flatten();
                    match whole.and_then(|(_, payload)| payload::timestamp(&payload)) {
                        Some((_, stamp)) => {
                            index.add_timestamp(stamp.covered.records(), number, offset);
                        }
                        None => index.add_damage(lost("its fields cannot be read")),
                    }
                }
            }
        }
    })?;
    let file_len = segment.len()?;
    if file_len > good_len && !(newest && segment.is_torn_at(good_len)?) {
        let reason = "the segment does not end with a whole frame";
        index.add_damage(damage(good_len, file_len - good_len, None, reason));
        // What may have been a whole record is neither cut off nor written behind: a new segment follows.
        return Ok(());
    }
    let (path, tag) = (segment.path.clone(), segment.header.tag);
    all.tail = Some(Tail { number, path, tag, good_len, file_len, sealed, counts });
    Ok(())
}

/// Copies a torn tail beside its segment before it is cut off, so that nothing is ever thrown away.
pub(super) fn save_torn_tail(tail: &Tail) -> io::Result<PathBuf> {
    let path = tail.path.with_extension(format!("torn-{}", tail.good_len));
    let mut from = File::open(&tail.path)?;
    from.seek(SeekFrom::Start(tail.good_len))?;
    let mut to = File::create(&path)?;
    io::copy(&mut from.take(tail.file_len.saturating_sub(tail.good_len)), &mut to)?;
    to.sync_all()?;
    Ok(path)
}
