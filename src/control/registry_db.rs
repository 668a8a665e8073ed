//! The registry database: one SQLite file, changed all or nothing, watched by the running server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection};
use thiserror::Error;

use super::registry_rows::{read_clients, write_client};
use crate::message::ClientId;
use crate::registry::{Change, Client, Registry, RegistryError, changes};

/// How often a running server looks whether the registry has changed.
pub const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Why the registry cannot be read or changed.
#[derive(Debug, Error)]
pub enum RegistryDbError {
    /// SQLite's complaint: file, permissions, disk, locks.
    #[error("registry database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("registry database: {0}")]
    Migration(sqlx::migrate::MigrateError),
    /// A newer version has been here: going back would lose what this one does not know.
    #[error(
        "registry database: a newer version of Hermod has written it (its schema is version {0}, this one knows {1}): \
         go on with that version, or bring back the registry of before from a backup"
    )]
    Newer(i64, i64),
    /// A stored text that has no meaning (`what`, text).
    #[error("registry database holds a {0} that cannot be: \"{1}\"")]
    Value(&'static str, String),
    /// The state contradicts itself.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<sqlx::migrate::MigrateError> for RegistryDbError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => Self::Newer(version, SCHEMA),
            other => Self::Migration(other),
        }
    }
}

/// One connection to the registry database.
pub struct RegistryDb {
    connection: SqliteConnection,
    implied: Option<ClientId>,
}

impl RegistryDb {
    /// Opens the file, makes it if absent, and brings its schema up to date.
    pub async fn open(file: &Path) -> Result<Self, RegistryDbError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(10))
            .disable_statement_logging();
        let mut connection = options.connect().await?;
        migrator().run_direct(&mut connection).await?;
        Ok(Self { connection, implied: None })
    }

    /// From now on every state that is read has the owner of the security server among its clients, with nothing but
    /// the defaults where it was not declared: other servers address its monitoring services to the owner.
    pub fn with_owner(mut self, owner: ClientId) -> Self {
        self.implied = Some(owner);
        self
    }

    /// Writes a copy as of one moment into a file that is not there yet, whoever writes meanwhile.
    pub async fn copy_to(&mut self, file: &Path) -> Result<(), RegistryDbError> {
        sqlx::query("VACUUM INTO ?").bind(file.display().to_string()).execute(&mut self.connection).await?;
        Ok(())
    }

    /// The present state.
    pub async fn load(&mut self) -> Result<Registry, RegistryDbError> {
        let mut transaction = self.connection.begin().await?;
        let registry = load(&mut transaction, self.implied.as_ref()).await?;
        transaction.rollback().await?;
        Ok(registry)
    }

    /// Makes the registry hold exactly `clients`, in one transaction, and tells what changed (nothing is written if
    /// nothing did). With `dry_run` it only tells.
    pub async fn apply(
        &mut self,
        clients: Vec<Client>,
        dry_run: bool,
    ) -> Result<Vec<Change>, RegistryDbError> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let before = load(&mut transaction, None).await?;
        let after = Registry::new(clients, before.generation() + 1)?;
        let changes = changes(&before, &after);
        if dry_run || changes.is_empty() {
            transaction.rollback().await?;
            return Ok(changes);
        }
        for client in before.clients().iter().filter(|client| after.client(&client.id) != Some(client)) {
            super::registry_rows::delete_client(&mut transaction, client).await?;
        }
        for client in after.clients().iter().filter(|client| before.client(&client.id) != Some(client)) {
            write_client(&mut transaction, client).await?;
        }
        sqlx::query("UPDATE state SET generation = generation + 1").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(changes)
    }

    #[cfg(test)]
    pub(super) async fn execute(&mut self, sql: &'static str) {
        sqlx::query(sql).execute(&mut self.connection).await.unwrap();
    }

    /// Publishes every change that another connection makes, until the future is dropped. A state that cannot be
    /// read leaves the last one in force and is logged.
    /// `reachable` is told each time whether the database could be read.
    pub async fn watch(mut self, published: Arc<ArcSwap<Registry>>, reachable: impl Fn(bool)) {
        let mut seen = None;
        loop {
            let version = self.data_version().await;
            reachable(version.is_ok());
            match version {
                Ok(version) if seen == Some(version) => {}
                Ok(version) => {
                    seen = Some(version);
                    self.publish(&published).await;
                }
                Err(error) => tracing::warn!(%error, "the registry cannot be watched"),
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }

    async fn publish(&mut self, published: &ArcSwap<Registry>) {
        match self.load().await {
            Ok(registry) if registry.generation() == published.load().generation() => {}
            Ok(registry) => {
                let (generation, clients) = (registry.generation(), registry.clients().len());
                published.store(Arc::new(registry));
                tracing::info!(generation, clients, "the registry has changed");
            }
            Err(error) => tracing::error!(%error, "the changed registry is not used"),
        }
    }

    // Changes when another connection has written to the file.
    async fn data_version(&mut self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut self.connection).await
    }
}

async fn load(
    connection: &mut SqliteConnection,
    implied: Option<&ClientId>,
) -> Result<Registry, RegistryDbError> {
    let generation: i64 =
        sqlx::query_scalar("SELECT generation FROM state WHERE id = 1").fetch_one(&mut *connection).await?;
    let mut clients = read_clients(connection).await?;
    if let Some(owner) = implied.filter(|owner| clients.iter().all(|client| client.id != **owner)) {
        clients.push(Client::undeclared(owner.clone()));
    }
    Ok(Registry::new(clients, u64::try_from(generation).unwrap_or(0))?)
}

/// Version of the schema.
const SCHEMA: i64 = 2;

fn migrator() -> Migrator {
    let migration = |version, description: &'static str, sql: &'static str| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into(), false)
    };
    let migrations = vec![
        migration(1, "registry", include_str!("migrations/0001_registry.sql")),
        migration(2, "repeats", include_str!("migrations/0002_repeats.sql")),
    ];
    Migrator { migrations: migrations.into(), ..Migrator::DEFAULT }
}
