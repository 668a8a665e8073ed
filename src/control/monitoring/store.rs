//! The database of operational records: appended in batches, read by time, cleaned by age and number.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Sqlite};
use thiserror::Error;

use super::row::Own;

/// Rows of one INSERT.
const ROWS_PER_STATEMENT: usize = 500;
/// Rows deleted in one go, so that the writer is not held up for long.
const DELETED_PER_STATEMENT: i64 = 500;
/// Records in a row, a short text each: what a row costs is shared, and reading one takes bounded memory.
const RECORDS_PER_ROW: usize = 100;

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

/// Records that are stored together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredRow {
    /// Their consumer, as a path of percent-encoded segments.
    pub client: Option<String>,
    /// Their provider, likewise.
    pub provider: Option<String>,
    /// How many.
    pub records: usize,
    /// A JSON object for each, on a line of its own.
    pub lines: String,
}

impl StoredRow {
    /// Adds a record: the JSON object that has the members of both.
    pub fn push(&mut self, common: &str, own: &Own<'_>) {
        let Ok(own) = serde_json::to_string(own) else { return };
        // Neither is ever empty: both have members that are always known.
        let (Some(common), Some(own)) = (common.strip_suffix('}'), own.strip_prefix('{')) else { return };
        self.lines.extend([common, ",", own, "\n"]);
        self.records += 1;
    }

    /// Nothing more goes into it.
    pub fn is_full(&self) -> bool {
        self.records >= RECORDS_PER_ROW
    }
}

/// Records as they are read.
#[derive(Debug)]
pub struct ReadRow {
    /// Second of storing.
    pub stored_secs: i64,
    /// Number of the first one.
    pub id: i64,
    /// How many.
    pub records: i64,
    /// A JSON object for each, on a line of its own.
    pub lines: String,
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
        // While a server is upgraded, its predecessor stores its last ones, too: nobody else writes from here on.
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut next = next_number(&mut transaction).await?;
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            let sql = "INSERT INTO operational_record \
                       (id, monitoring_data_ts, client, provider, records, record) ";
            let mut query: QueryBuilder<'_, Sqlite> = QueryBuilder::new(sql);
            query.push_values(rows, |mut values, row| {
                let records = i64::try_from(row.records).unwrap_or(i64::MAX);
                values.push_bind(next).push_bind(stored_secs);
                values.push_bind(&row.client).push_bind(&row.provider);
                values.push_bind(records).push_bind(&row.lines);
                next = next.saturating_add(records);
            });
            query.build().execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// At most `limit` rows in the order of storing, those behind second and number `after`.
    pub async fn read(
        &mut self,
        selection: &Selection,
        after: (i64, i64),
        limit: i64,
    ) -> Result<Vec<ReadRow>, StoreError> {
        let columns = "SELECT monitoring_data_ts, id, records, record FROM operational_record";
        let mut query = QueryBuilder::new(columns);
        // The index is searched by the first second.
        let selection = Selection { from: selection.from.max(after.0), ..selection.clone() };
        condition(&mut query, &selection);
        query.push(" AND (monitoring_data_ts, id) > (").push_bind(after.0);
        query.push(", ").push_bind(after.1).push(")");
        query.push(" ORDER BY monitoring_data_ts, id LIMIT ").push_bind(limit);
        let rows: Vec<(i64, i64, i64, String)> =
            query.build_query_as().fetch_all(&mut self.connection).await?;
        let named = |(stored_secs, id, records, lines)| ReadRow { stored_secs, id, records, lines };
        Ok(rows.into_iter().map(named).collect())
    }

    /// Deletes what was stored before `oldest_secs`, and the oldest beyond `records_max`.
    pub async fn clean(&mut self, oldest_secs: i64, records_max: u64) -> Result<(), StoreError> {
        let next = next_number(&mut self.connection).await?;
        let kept_from = next.saturating_sub(i64::try_from(records_max).unwrap_or(i64::MAX));
        let too_old = "DELETE FROM operational_record WHERE id IN (SELECT id FROM operational_record \
                       WHERE monitoring_data_ts < ?1 ORDER BY monitoring_data_ts LIMIT ?2)";
        let too_many = "DELETE FROM operational_record WHERE id IN (SELECT id FROM operational_record \
                        WHERE id < ?1 AND id + records <= ?1 ORDER BY id LIMIT ?2)";
        for (sql, bound) in [(too_old, oldest_secs), (too_many, kept_from)] {
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

/// Number of the next record.
async fn next_number(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let sql = "SELECT id + max(records, 1) FROM operational_record ORDER BY id DESC LIMIT 1";
    let next: Option<i64> = sqlx::query_scalar(sql).fetch_optional(connection).await?;
    Ok(next.unwrap_or(1))
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
    let migration = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into(), false)
    };
    let migrations = vec![
        migration(1, "monitoring", include_str!("../migrations/monitoring_0001.sql")),
        migration(2, "rows of many records", include_str!("../migrations/monitoring_0002.sql")),
    ];
    Migrator { migrations: migrations.into(), ..Migrator::DEFAULT }
}
