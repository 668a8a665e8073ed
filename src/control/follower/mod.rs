//! The message log again in PostgreSQL, in the schema of official security servers, for the tools that read it there.
//!
//! It follows the log and is never on a message's path. How far it has come is in the same database and changes in the same
//! transaction as the records: a kill neither loses nor doubles one.

mod records;
mod stamps;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, Row};

pub use super::follow_status::FollowStatus;
use crate::config::FollowPostgresql;
use crate::crypto::{OfficialCipher, RecordKeys};
use crate::log::{LogError, LogReader};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failure it is tried again after this, then after twice as much.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const CONNECT_LONGEST: Duration = Duration::from_secs(30);
/// A connection whose database is silent for so long during one statement is given up: it may hang behind a lock of somebody
/// else's, or the network may have forgotten it.
const ANSWER_LONGEST: Duration = Duration::from_secs(60);
const RETRY_LONGEST: Duration = Duration::from_secs(60);
const SCHEMA: &str = include_str!("schema.sql");
/// How far it has come, beside the official tables.
const POSITION: &str =
    "CREATE TABLE hermod_follower (server text NOT NULL PRIMARY KEY, next_id bigint NOT NULL)";

/// Why the database does not have what the log has.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The database cannot be reached or refused something.
    #[error("the database of the message log: {0}")]
    Database(#[from] sqlx::Error),
    /// The database does not answer.
    #[error("the database of the message log has not answered within {} s", .0.as_secs())]
    Silent(Duration),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The database has records that are not of this log.
    #[error(
        "the database holds the message log of {0}, not that of this server: give this one a database, or a schema, of its own"
    )]
    Other(String),
    /// A secret cannot be read.
    #[error("{0}")]
    Secret(String),
    /// A record could not be encrypted.
    #[error(transparent)]
    Cipher(#[from] crate::crypto::CipherError),
}

/// What one pass has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Followed {
    /// Message records.
    pub messages: usize,
    /// Message records whose time-stamp was added.
    pub stamped: usize,
    /// Damaged records, which are passed over.
    pub damaged: usize,
}

/// Follows one log into one database.
pub struct Follower {
    log: LogReader,
    server: String,
    options: PgConnectOptions,
    cipher: Option<OfficialCipher>,
    status: Arc<FollowStatus>,
}

impl Follower {
    /// For the database that the configuration names; `None` when it names none. With `keys` messages are encrypted as
    /// official servers do it.
    ///
    /// # Errors
    /// When the password cannot be read.
    pub fn new(
        log: LogReader,
        server: String,
        settings: &FollowPostgresql,
        keys: Option<&RecordKeys>,
    ) -> Result<Option<Self>, FollowError> {
        let Some(url) = &settings.url else { return Ok(None) };
        let mut options: PgConnectOptions = url.parse()?;
        if let Some(file) = &settings.password_file {
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|error| FollowError::Secret(format!("{}: {error}", file.display())))?;
            options = options.password(text.lines().next().unwrap_or_default());
        }
        let cipher = keys.and_then(RecordKeys::official);
        Ok(Some(Self { log, server, options, cipher, status: Arc::default() }))
    }

    /// How it goes, also while it runs.
    pub fn status(&self) -> Arc<FollowStatus> {
        Arc::clone(&self.status)
    }

    /// Follows until the task is dropped. While the database is away it is tried again, less and less often.
    pub async fn run(self) {
        let mut wait = RETRY_FIRST;
        loop {
            let error = match self.connect().await {
                Ok(mut database) => self.follow(&mut database, &mut wait).await,
                Err(error) => error,
            };
            self.status.set_failing(true);
            let again_secs = wait.as_secs();
            tracing::error!(%error, again_secs, "the message log cannot be followed into PostgreSQL");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_LONGEST);
        }
    }

    async fn follow(&self, database: &mut PgConnection, wait: &mut Duration) -> FollowError {
        loop {
            match self.pass(database).await {
                Ok(_) => {
                    *wait = RETRY_FIRST;
                    self.status.set_failing(false);
                }
                Err(error) => return error,
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Connects, and makes the tables where there are none.
    ///
    /// # Errors
    /// When the database is away, or is that of another log.
    pub async fn connect(&self) -> Result<PgConnection, FollowError> {
        let mut database = within(CONNECT_LONGEST, PgConnection::connect_with(&self.options)).await?;
        let mut transaction = answered(database.begin()).await?;
        // Two servers that start at once must not both make them.
        answered(transaction.execute("SELECT pg_advisory_xact_lock(8472651)")).await?;
        let exists =
            "SELECT to_regclass('logrecord') IS NOT NULL, to_regclass('hermod_follower') IS NOT NULL";
        let row = answered(transaction.fetch_one(exists)).await?;
        let (has_log, has_position): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
        if !has_log {
            answered(transaction.execute(SCHEMA)).await?;
        }
        if !has_position {
            let any = transaction.fetch_one("SELECT EXISTS (SELECT 1 FROM logrecord)");
            let row = answered(any).await?;
            if row.try_get(0)? {
                return Err(FollowError::Other("another server".into()));
            }
            answered(transaction.execute(POSITION)).await?;
        }
        let known = sqlx::query("SELECT server, next_id FROM hermod_follower");
        let known = answered(known.fetch_optional(&mut *transaction)).await?;
        let known =
            known.map(|row| Ok::<_, sqlx::Error>((row.try_get::<String, _>(0)?, row.try_get::<i64, _>(1)?)));
        let last = self.log.last_id();
        match known.transpose()? {
            Some((server, _)) if server != self.server => return Err(FollowError::Other(server)),
            // Its next records would count as followed, and nobody would keep them for it.
            Some((server, next)) if last > 0 && next.unsigned_abs() > last + 1 => {
                return Err(FollowError::Other(format!("a log of {server} that has come to record {next}")));
            }
            Some(_) => {}
            None => {
                let insert = sqlx::query("INSERT INTO hermod_follower VALUES ($1, 0)").bind(&self.server);
                answered(insert.execute(&mut *transaction)).await?;
            }
        }
        answered(transaction.commit()).await?;
        Ok(database)
    }

    /// Writes what the log has and the database has not.
    ///
    /// # Errors
    /// When either fails; what was committed stays.
    pub async fn pass(&self, database: &mut PgConnection) -> Result<Followed, FollowError> {
        let mut followed = Followed::default();
        self.follow_messages(database, &mut followed).await?;
        self.follow_stamps(database, &mut followed).await?;
        Ok(followed)
    }
}

/// What the database says to one statement. Where it is silent the connection is of no more use.
async fn answered<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, FollowError> {
    within(ANSWER_LONGEST, answer).await
}

async fn within<T>(
    longest: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, FollowError> {
    let answer = tokio::time::timeout(longest, answer).await;
    Ok(answer.map_err(|_| FollowError::Silent(longest))??)
}
