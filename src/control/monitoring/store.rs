//! The database of operational records: appended in batches, read by time, cleaned by age and number.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Sqlite};
use thiserror::Error;

/// Rows of one INSERT.
const ROWS_PER_STATEMENT: usize = 500;
/// Rows deleted in one go, so that the writer is not held up for long.
const DELETED_PER_STATEMENT: i64 = 20_000;

/// Why records cannot be stored or read.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite's complaint.
    #[error("monitoring database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought up to date, or is of a newer Hermod.
    #[error("monitoring database: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// It could not be opened before.
    #[error("the monitoring database is not open")]
    Closed,
}

/// A record to be stored, with the parties that records are looked up by.
#[derive(Debug, Clone)]
pub struct StoredRow {
    /// Consumer, as a path of percent-encoded segments.
    pub client: Option<String>,
    /// Provider, likewise.
    pub provider: Option<String>,
    /// The record.
    pub json: String,
}

/// Which records; `None` is any.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// First second of storing.
    pub from: i64,
    /// Last second of storing.
    pub to: i64,
    /// A party that must be consumer or provider.
    pub party: Option<String>,
    /// The provider.
    pub provider: Option<String>,
}

/// One connection to the database.
pub struct MonitoringStore {
    connection: SqliteConnection,
}

impl MonitoringStore {
    /// Opens the file, makes it if absent, and brings its schema up to date.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Records may be lost in a power cut, the database may not.
            .synchronous(SqliteSynchronous::Normal)
            // Pages that many records touch are written back once for all of them: 32 MiB of them.
            .pragma("wal_autocheckpoint", "8000")
            .busy_timeout(Duration::from_secs(10))
            .disable_statement_logging();
        let mut connection = options.connect().await?;
        migrator().run_direct(&mut connection).await?;
        Ok(Self { connection })
    }

    /// Appends records, all or none, as stored at `stored_secs`.
    pub async fn insert(&mut self, stored_secs: i64, rows: &[StoredRow]) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin().await?;
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            let sql = "INSERT INTO operational_record (monitoring_data_ts, client, provider, record) ";
            let mut query: QueryBuilder<'_, Sqlite> = QueryBuilder::new(sql);
            query.push_values(rows, |mut values, row| {
                values.push_bind(stored_secs);
                values.push_bind(&row.client).push_bind(&row.provider).push_bind(&row.json);
            });
            query.build().execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Records in the order of storing: second of storing, id, JSON text.
    pub async fn read(
        &mut self,
        selection: &Selection,
        after_id: i64,
        limit: i64,
    ) -> Result<Vec<(i64, i64, String)>, StoreError> {
        let mut query = QueryBuilder::new("SELECT monitoring_data_ts, id, record FROM operational_record");
        condition(&mut query, selection);
        query.push(" AND id > ").push_bind(after_id);
        query.push(" ORDER BY monitoring_data_ts, id LIMIT ").push_bind(limit);
        Ok(query.build_query_as().fetch_all(&mut self.connection).await?)
    }

    /// Is there any?
    pub async fn has(&mut self, selection: &Selection) -> Result<bool, StoreError> {
        let mut query = QueryBuilder::new("SELECT EXISTS (SELECT 1 FROM operational_record");
        condition(&mut query, selection);
        query.push(")");
        Ok(query.build_query_scalar().fetch_one(&mut self.connection).await?)
    }

    /// Deletes what was stored before `oldest_secs`, and the oldest beyond `records_max`.
    pub async fn clean(&mut self, oldest_secs: i64, records_max: u64) -> Result<(), StoreError> {
        let records_max = i64::try_from(records_max).unwrap_or(i64::MAX);
        let too_old = "DELETE FROM operational_record WHERE id IN (SELECT id FROM operational_record \
                       WHERE monitoring_data_ts < ?1 ORDER BY monitoring_data_ts LIMIT ?2)";
        let too_many = "DELETE FROM operational_record WHERE id IN (SELECT id FROM operational_record \
                        WHERE id <= (SELECT max(id) FROM operational_record) - ?1 ORDER BY id LIMIT ?2)";
        for (sql, bound) in [(too_old, oldest_secs), (too_many, records_max)] {
            loop {
                let query = sqlx::query(sql).bind(bound).bind(DELETED_PER_STATEMENT);
                let deleted = query.execute(&mut self.connection).await?.rows_affected();
                if deleted < DELETED_PER_STATEMENT as u64 {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn condition(query: &mut QueryBuilder<'_, Sqlite>, selection: &Selection) {
    query.push(" WHERE monitoring_data_ts BETWEEN ").push_bind(selection.from);
    query.push(" AND ").push_bind(selection.to);
    if let Some(party) = &selection.party {
        query.push(" AND (client = ").push_bind(party.clone());
        query.push(" OR provider = ").push_bind(party.clone()).push(")");
    }
    if let Some(provider) = &selection.provider {
        query.push(" AND provider = ").push_bind(provider.clone());
    }
}

fn migrator() -> Migrator {
    let sql = include_str!("../migrations/monitoring_0001.sql");
    let migration = Migration::new(1, "monitoring".into(), MigrationType::Simple, sql.into(), false);
    Migrator { migrations: vec![migration].into(), ..Migrator::DEFAULT }
}
