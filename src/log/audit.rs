//! Checks a whole log against itself: every byte of its segments and indexes.

use super::reader::LogReader;
use super::record::Damage;
use super::recovery;
use super::segment::{self, Segment};
use super::{LogError, sealed};

/// What is known of one segment.
#[derive(Debug, Clone)]
pub struct SegmentSummary {
    /// Its number.
    pub number: u32,
    /// Length of its file in bytes.
    pub bytes: u64,
    /// Whether it is complete and has an index beside it.
    pub indexed: bool,
    /// Message records that can be read.
    pub messages: u64,
    /// Time-stamp records.
    pub timestamps: u64,
    /// Earliest and latest time of a message record, ms since 1970; `None` without any.
    pub times_ms: Option<(i64, i64)>,
}

/// What a check of one segment found.
#[derive(Debug, Clone)]
pub struct SegmentCheck {
    /// The segment.
    pub summary: SegmentSummary,
    /// Damaged places.
    pub damages: Vec<Damage>,
    /// What does not agree: the file with its index's digest, the index with itself.
    pub faults: Vec<&'static str>,
}

impl LogReader {
    /// The segments of the log, oldest first.
    ///
    /// # Errors
    /// When the directory or a segment cannot be read.
    pub fn segments(&self) -> Result<Vec<SegmentSummary>, LogError> {
        let mut segments = Vec::new();
        for number in segment::list(self.directory())? {
            let path = self.directory().join(segment::file_name(number));
            let bytes = std::fs::metadata(path)?.len();
            let indexed = self.directory().join(sealed::file_name(number)).exists();
            let summary = self.with_catalog(|catalog| {
                let sealed = catalog.sealed_from(number).into_iter().next();
                let head = sealed.as_ref().map(|sealed| &sealed.head).filter(|head| head.number == number);
                if let Some(head) = head {
                    let times_ms = (head.messages() > 0).then_some((head.earliest_ms, head.latest_ms));
                    let (messages, timestamps) = (head.messages(), head.timestamp_records);
                    return SegmentSummary { number, bytes, indexed, messages, timestamps, times_ms };
                }
                let live = catalog.lives().find(|live| live.number == number);
                let (messages, timestamps) =
                    live.map_or((0, 0), |live| (live.messages(), live.timestamp_records));
                let times_ms = live.and_then(|live| live.times_ms());
                SegmentSummary { number, bytes, indexed: false, messages, timestamps, times_ms }
            });
            segments.push(summary);
        }
        Ok(segments)
    }

    /// Reads every byte of a segment and of its index.
    ///
    /// # Errors
    /// When the segment cannot be read at all.
    pub fn check_segment(&self, summary: SegmentSummary) -> Result<SegmentCheck, LogError> {
        let path = self.directory().join(segment::file_name(summary.number));
        let segment = Segment::open(&path)?.ok_or(LogError::SegmentHeader { path })?;
        let mut faults = Vec::new();
        let (damages, digest) = recovery::damages_of(&segment, !summary.indexed)?;
        if summary.indexed {
            let path = self.directory().join(sealed::file_name(summary.number));
            match sealed::Sealed::open(&path)? {
                None => faults.push("its index is damaged or of another version"),
                Some(sealed) => {
                    if sealed.check().is_err() {
                        faults.push("its index is damaged");
                    }
                    let len = segment.len()?;
                    if sealed.head.segment_len != len
                        || sealed.head.segment_sha256 != segment.sha256(digest, len)?
                    {
                        faults.push("it is not what it was when it was sealed");
                    }
                }
            }
        }
        Ok(SegmentCheck { summary, damages, faults })
    }
}
