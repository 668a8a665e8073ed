//! Opening what an earlier run left: complete segments by their indexes, others by a scan that finds every whole record
//! again and cuts off a torn tail.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::LogError;
use super::catalog::Catalog;
use super::file_digest::FileDigest;
use super::format::{Fields, FrameKind};
use super::live::Live;
use super::payload;
use super::record::Damage;
use super::sealed::{self, Contents, Sealed};
use super::segment::{self, Met, Segment};

/// What was found of all segments.
pub(super) struct Recovered {
    pub catalog: Catalog,
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

/// Whether missing indexes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// By the log's one writer.
    Write,
    /// Not a byte of the log is changed.
    Read,
}

/// Opens a log without changing a segment.
pub(super) fn scan(directory: &Path, access: Access) -> Result<Recovered, LogError> {
    let mut all =
        Recovered { catalog: Catalog::default(), last_id: 0, tail: None, last_number: None, server: None };
    let numbers = segment::list(directory)?;
    let (mut done_below, mut made_again) = (0, HashSet::new());
    for number in &numbers {
        all.last_number = Some(*number);
        all.tail = None;
        let path = directory.join(segment::file_name(*number));
        let Some(segment) = Segment::open(&path)? else {
            let len = std::fs::metadata(&path)?.len();
            let reason = "the segment header is damaged".into();
            all.catalog.add_damage(Damage { segment: *number, offset: 0, len, record_id: None, reason });
            continue;
        };
        check_header(&segment, *number, &mut all)?;
        if let Some(sealed) = indexed(directory, &segment)? {
            done_below = done_below.max(sealed.head.done_below);
            add_sealed(sealed, &mut all)?;
            continue;
        }
        let newest = numbers.last() == Some(number);
        let (contents, tail) = scan_segment(&segment, newest, all.last_id, None)?;
        let goes_on = newest && tail.as_ref().is_some_and(|tail| !tail.sealed);
        all.tail = tail;
        if goes_on {
            all.last_id = all.last_id.max(contents.last_id);
            contents.damages.iter().for_each(|damage| all.catalog.add_damage(damage.clone()));
            all.catalog.add_live(Live::of(*number, segment.header.tag, contents));
        } else {
            let digest = FileDigest::new();
            add_sealed(index(directory, &segment, digest, contents, done_below, access)?, &mut all)?;
        }
    }
    while let Err((number, error)) = all.catalog.find_unstamped() {
        // One that was made again is as good as its segment.
        if !sealed::is_lost(&error) || !made_again.insert(number) {
            return Err(error.into());
        }
        tracing::error!(segment = number, "the index of a segment is lost or damaged; it is made again");
        all.catalog.add_sealed(make_index(directory, number, 0, access)?);
    }
    Ok(all)
}

fn check_header(segment: &Segment, number: u32, all: &mut Recovered) -> Result<(), LogError> {
    if segment.header.number != number {
        return Err(LogError::SegmentHeader { path: segment.path.clone() });
    }
    if let Some(server) = all.server.replace(segment.header.server.clone())
        && server != segment.header.server
    {
        return Err(LogError::OtherServer { found: segment.header.server.clone(), expected: server });
    }
    all.last_id = all.last_id.max(segment.header.first_record_id.saturating_sub(1));
    Ok(())
}

/// The index of a segment, if it is there and the segment has not changed since.
fn indexed(directory: &Path, segment: &Segment) -> Result<Option<Sealed>, LogError> {
    let path = directory.join(sealed::file_name(segment.header.number));
    let len = segment.len()?;
    let is_of = |sealed: &Sealed| {
        let head = &sealed.head;
        (head.number, head.tag, head.segment_len) == (segment.header.number, segment.header.tag, len)
    };
    let sealed = Sealed::open(&path)?.filter(is_of);
    Ok(sealed.filter(|sealed| sealed.head.damaged_places() == 0 || sealed.tables().is_ok()))
}

fn add_sealed(sealed: Sealed, all: &mut Recovered) -> Result<(), LogError> {
    all.last_id = all.last_id.max(sealed.head.last_id);
    if sealed.head.damaged_places() > 0 {
        let segment = sealed.head.number;
        for place in sealed.tables()?.damages {
            let (offset, len, record_id) = (place.offset, place.len, place.record_id);
            all.catalog.add_damage(Damage { segment, offset, len, record_id, reason: place.reason.into() });
        }
    }
    all.catalog.add_sealed(sealed);
    Ok(())
}

/// Makes the index of a complete segment again, or for the first time, and writes it where that is wanted and possible.
pub(super) fn make_index(
    directory: &Path,
    number: u32,
    done_below: u64,
    access: Access,
) -> Result<Sealed, LogError> {
    let path = directory.join(segment::file_name(number));
    let segment = Segment::open(&path)?.ok_or(LogError::SegmentHeader { path })?;
    let after = segment.header.first_record_id.saturating_sub(1);
    let mut digest = FileDigest::new();
    let wanted = (access == Access::Write).then_some(&mut digest);
    let (contents, _) = scan_segment(&segment, false, after, wanted)?;
    index(directory, &segment, digest, contents, done_below, access)
}

fn index(
    directory: &Path,
    segment: &Segment,
    digest: FileDigest,
    contents: Contents,
    done_below: u64,
    access: Access,
) -> Result<Sealed, LogError> {
    let number = segment.header.number;
    let len = segment.len()?;
    // Who only reads does not keep the index, and needs no digest.
    let digest = if access == Access::Write { segment.sha256(digest, len)? } else { [0; 32] };
    let index = Bytes::from(sealed::build(&segment.header, len, digest, contents, done_below));
    if access == Access::Write {
        match write_index(directory, number, &index) {
            Ok(path) => {
                if let Some(sealed) = Sealed::open(&path)? {
                    return Ok(sealed);
                }
            }
            Err(error) => {
                tracing::warn!(%error, segment = number, "the index of a segment stays in memory for now");
            }
        }
    }
    Sealed::in_memory(index).ok_or_else(|| LogError::SegmentHeader { path: segment.path.clone() })
}

/// An index appears under its name only when it is whole and durable.
fn write_index(directory: &Path, number: u32, index: &[u8]) -> io::Result<PathBuf> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = directory.join(sealed::file_name(number));
    let new = path.with_extension("idx-new");
    let options = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o640);
        options
    };
    let written = options().open(&new).and_then(|mut file| {
        file.write_all(index)?;
        file.sync_data()
    });
    if let Err(error) = written {
        // Half an index helps nobody; the disk may be full.
        let _ = std::fs::remove_file(&new);
        return Err(error);
    }
    std::fs::rename(&new, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(path)
}

/// Scans a segment. `after`: the largest id before it. Without a tail nothing can be written behind it.
fn scan_segment(
    segment: &Segment,
    newest: bool,
    after: u64,
    digest: Option<&mut FileDigest>,
) -> Result<(Contents, Option<Tail>), LogError> {
    let (number, tag) = (segment.header.number, segment.header.tag);
    let mut contents = Contents::default();
    contents.last_id = after;
    let mut documents = HashSet::new();
    let mut sealed = false;
    let damage = |offset, len, record_id, reason: &'static str| Damage {
        segment: number,
        offset,
        len,
        record_id,
        reason: reason.into(),
    };
    let found = &mut contents;
    let good_len = segment.scan(digest, |met| match met {
        Met::Damaged { offset, len, head, reason } => {
            let kinds = [FrameKind::MessageRecord, FrameKind::TimestampRecord];
            let record_id = head.filter(|head| kinds.contains(&head.kind)).map(|head| head.id);
            found.last_id = found.last_id.max(record_id.unwrap_or(0));
            found.damages.push(damage(offset, len, record_id, reason));
        }
        Met::Frame { offset, head, payload } => {
            found.frames += 1;
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
                FrameKind::Mark => found.last_id = found.last_id.max(head.id.saturating_sub(1)),
                FrameKind::Seal => {
                    sealed = true;
                    found.last_id = found.last_id.max(head.id.saturating_sub(1));
                }
                _ if head.id <= found.last_id => found.damages.push(lost("its record id is not new")),
                FrameKind::MessageRecord => {
                    found.last_id = head.id;
                    match payload::message_head(&mut Fields(payload), head.id) {
                        Some(message) if documents.contains(&message.document_offset) => {
                            found.add_message(tag, &message.summary, offset);
                        }
                        Some(_) => found.damages.push(lost("its signature document is damaged")),
                        None => found.damages.push(lost("its fields cannot be read")),
                    }
                }
                FrameKind::TimestampRecord => {
                    found.last_id = head.id;
                    // The list of records may lie beyond what a scan shows: read the frame whole.
                    let whole = segment.frame(offset).ok().flatten();
                    match whole.and_then(|(_, payload)| payload::timestamp(&payload)) {
                        Some((_, stamp)) => {
                            found.timestamp_records += 1;
                            found.spans.cover(stamp.covered.records(), offset);
                        }
                        None => found.damages.push(lost("its fields cannot be read")),
                    }
                }
            }
        }
    })?;
    let file_len = segment.len()?;
    if file_len > good_len && !(newest && segment.is_torn_at(good_len)?) {
        let reason = "the segment does not end with a whole frame";
        contents.damages.push(damage(good_len, file_len - good_len, None, reason));
        // What may have been a whole record is neither cut off nor written behind: a new segment follows.
        return Ok((contents, None));
    }
    let counts = [contents.frames, contents.messages.len() as u64, contents.timestamp_records];
    let tail = Tail { number, path: segment.path.clone(), tag, good_len, file_len, sealed, counts };
    Ok((contents, Some(tail)))
}

/// Damaged places of a segment, and what was read of it to find them. `newest`: its tail may be torn, or in the making.
pub(super) fn damages_of(segment: &Segment, newest: bool) -> Result<(Vec<Damage>, FileDigest), LogError> {
    let mut digest = FileDigest::new();
    let after = segment.header.first_record_id.saturating_sub(1);
    let (contents, _) = scan_segment(segment, newest, after, (!newest).then_some(&mut digest))?;
    Ok((contents.damages, digest))
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
