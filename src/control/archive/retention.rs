//! How long the log is kept: by age and by size, and as a rule no record goes that is in no archive.

use super::position::Position;
use super::status::ArchiveStatus;
use crate::config::Log;
use crate::control::follow_status::FollowStatus;
use crate::log::{LogError, LogHandle, OldSegment};
use crate::time::UnixTime;

const DAY_MS: i64 = 86_400_000;

/// When records leave the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Records older than this go; `None`: not for their age.
    pub keep_ms: Option<i64>,
    /// The oldest go while the log is larger than this, in bytes; `None`: not for its size.
    pub bytes_max: Option<u64>,
    /// Only records that are in an archive go.
    pub archived_only: bool,
}

/// What was taken out of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Segments removed.
    pub removed: usize,
    /// Segments put aside, because a record in them is in no archive.
    pub set_aside: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes more than the log should have, which are not archived yet.
    pub held_back: u64,
}

impl Retention {
    /// What the configuration says.
    pub fn new(settings: &Log) -> Self {
        let days = i64::try_from(settings.keep_days).unwrap_or(i64::MAX);
        Self {
            keep_ms: (days > 0).then(|| days.saturating_mul(DAY_MS)),
            bytes_max: Some(settings.keep_bytes_max).filter(|bytes| *bytes > 0),
            archived_only: settings.keep_unarchived,
        }
    }

    /// Takes out of the log what is old, or too much. `followed`: where records must be, beside an archive.
    ///
    /// # Errors
    /// When the log cannot be read or a file not be removed.
    pub(super) fn clean(
        &self,
        log: &LogHandle,
        position: &Position,
        followed: Option<&FollowStatus>,
        now: UnixTime,
        status: &ArchiveStatus,
    ) -> Result<Cleaned, LogError> {
        let mut cleaned = Cleaned::default();
        let followed_below = followed.map_or(u64::MAX, FollowStatus::done_below);
        let kept_below = position.done_below.min(followed_below);
        let mut bytes = log.reader().bytes()?;
        for segment in log.reader().old_segments()? {
            let too_much = bytes.saturating_sub(self.bytes_max.unwrap_or(u64::MAX));
            let too_old = self.keep_ms.is_some_and(|keep| segment.latest_ms < now.millis() - keep);
            if !too_old && too_much == 0 {
                break;
            }
            if self.archived_only && segment.ids.is_some_and(|(_, last)| last >= kept_below) {
                cleaned.held_back = too_much;
                break;
            }
            let set_aside = self.archived_only && holds_more_than_archives(&segment, position);
            log.take_out(segment.number, set_aside)?;
            tracing::info!(
                segment = segment.number,
                bytes = segment.bytes,
                set_aside,
                too_old,
                "a segment left the message log"
            );
            bytes = bytes.saturating_sub(segment.bytes);
            cleaned.bytes += segment.bytes;
            *(if set_aside { &mut cleaned.set_aside } else { &mut cleaned.removed }) += 1;
        }
        if cleaned.held_back > 0 {
            tracing::warn!(
                bytes = cleaned.held_back,
                "the message log is larger than log.keep_bytes_max, and its oldest records are not archived, or not followed, yet"
            );
        }
        status.cleaned(&cleaned);
        Ok(cleaned)
    }
}

fn holds_more_than_archives(segment: &OldSegment, position: &Position) -> bool {
    let left_out =
        |(first, last): (u64, u64)| position.left_out.iter().any(|(from, to)| *from <= last && first <= *to);
    segment.damaged || segment.ids.is_some_and(left_out)
}
