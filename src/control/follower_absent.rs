//! A build without PostgreSQL.

use std::sync::Arc;

pub use super::follow_status::FollowStatus;
use crate::config::FollowPostgresql;
use crate::crypto::RecordKeys;
use crate::log::LogReader;

/// No log can be followed.
#[derive(Debug, thiserror::Error)]
#[error("follow_postgresql.url: this program was built without PostgreSQL (feature `postgresql`)")]
pub struct FollowError;

/// There is none.
#[derive(Debug)]
pub enum Follower {}

impl Follower {
    /// `None` when the configuration names no database.
    ///
    /// # Errors
    /// When it names one.
    pub fn new(
        _: LogReader,
        _: String,
        settings: &FollowPostgresql,
        _: Option<&RecordKeys>,
    ) -> Result<Option<Self>, FollowError> {
        if settings.url.is_some() { Err(FollowError) } else { Ok(None) }
    }

    /// Of no database.
    pub fn status(&self) -> Arc<FollowStatus> {
        match *self {}
    }

    /// Follows nothing.
    pub async fn run(self) {
        match self {}
    }
}
