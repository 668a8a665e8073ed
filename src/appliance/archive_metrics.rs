//! Figures of archiving, and of how long the log is kept.

use std::sync::Arc;

use crate::control::MetricsText;
use crate::control::archive::{ArchiveStatus, StoreStatus};
use crate::control::follower::FollowStatus;
use crate::exchange::Shared;
use crate::log::LogReader;

/// Of the archiver, and of the object store and the database where there are some.
pub(super) struct Archiving {
    pub archiver: Arc<ArchiveStatus>,
    pub store: Option<Arc<StoreStatus>>,
    pub follower: Option<Arc<FollowStatus>>,
}

/// Appends them.
pub(super) fn render(text: &mut MetricsText, shared: &Shared, archiving: &Archiving) {
    let reader = shared.log.reader();
    if let Some(store) = &archiving.store {
        stored(text, store);
    }
    if let Some(follower) = &archiving.follower {
        followed(text, follower, reader);
    }
    let archive = &archiving.archiver;
    let (Ok(figures), Ok(bytes)) = (archive.figures(reader, shared.clock.now()), reader.bytes()) else {
        // The log itself tells that it cannot be read.
        return;
    };
    text.counter("hermod_archived_records_total", "Records put into archives.", figures.records);
    text.counter("hermod_archives_total", "Archives finished.", figures.archives);
    text.counter("hermod_archived_bytes_total", "Bytes of the containers in archives.", figures.bytes);
    text.counter(
        "hermod_archive_left_out_total",
        "Damaged records that are in no archive.",
        figures.left_out,
    );
    text.gauge(
        "hermod_archive_last_success_timestamp_seconds",
        "When a run of the archiver came to its end last; 0 not since the start.",
        figures.last_success_ms / 1000,
    );
    text.gauge(
        "hermod_archive_failing",
        "1 when the last run of the archiver failed.",
        u64::from(figures.failing),
    );
    text.gauge("hermod_archive_waiting_records", "Records that are in no archive yet.", figures.waiting);
    text.gauge("hermod_archive_lag_seconds", "Age of the oldest of them.", figures.lag_secs);
    text.gauge("hermod_log_size_bytes", "Bytes of all segments and their indexes.", bytes);
    text.counter(
        "hermod_log_removed_segments_total",
        "Segments that left the log for their age or its size.",
        figures.removed_segments,
    );
    text.counter("hermod_log_removed_bytes_total", "Their bytes.", figures.removed_bytes);
    text.gauge(
        "hermod_log_set_aside_segments",
        "Segments of this run that were put aside because a record in them is in no archive.",
        figures.set_aside,
    );
    text.gauge(
        "hermod_log_held_back_bytes",
        "What the log has more than log.keep_bytes_max because it is in no archive yet.",
        figures.held_back,
    );
}

fn stored(text: &mut MetricsText, store: &StoreStatus) {
    let figures = store.figures();
    text.counter(
        "hermod_archive_store_archives_total",
        "Archives put into the object store.",
        figures.archives,
    );
    text.counter("hermod_archive_store_bytes_total", "Their bytes.", figures.bytes);
    text.gauge("hermod_archive_store_waiting", "Archives that are not in the object store.", figures.waiting);
    text.gauge(
        "hermod_archive_store_last_success_timestamp_seconds",
        "When no archive had to wait last; 0 not since the start.",
        figures.last_success_ms / 1000,
    );
    text.gauge(
        "hermod_archive_store_failing",
        "1 when the object store did not take an archive at the last attempt.",
        u64::from(figures.failing),
    );
}

fn followed(text: &mut MetricsText, follower: &FollowStatus, log: &LogReader) {
    if let Ok((waiting, _)) = log.behind(follower.next_id()) {
        text.gauge(
            "hermod_follow_postgresql_waiting_records",
            "Records that are not in the database yet.",
            waiting,
        );
    }
    text.gauge(
        "hermod_follow_postgresql_unstamped_records",
        "Records in the database without their time-stamp.",
        follower.unstamped(),
    );
    text.gauge(
        "hermod_follow_postgresql_failing",
        "1 when the database could not be followed into at the last attempt.",
        u64::from(follower.is_failing()),
    );
}
