//! Time-stamps, which come to records after them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::{Connection, PgConnection, Row};

use super::records::text;
use super::{FollowError, Followed, Follower, answered};
use crate::evidence::timestamp;
use crate::log::{LogError, Stamp};

/// Records of one transaction.
const RECORDS_MAX: i64 = 2000;

/// What is set of some records.
#[derive(Default)]
pub(super) struct Columns {
    ids: Vec<i64>,
    stamps: Vec<i64>,
    chains: Vec<Option<String>>,
    signatures: Vec<Option<String>>,
}

/// One time-stamp record.
pub(super) struct StampRow {
    id: i64,
    time_ms: i64,
    token: String,
    result: Option<String>,
}

impl Follower {
    pub(super) async fn follow_stamps(
        &self,
        database: &mut PgConnection,
        followed: &mut Followed,
    ) -> Result<(), FollowError> {
        let mut from = 0_i64;
        let (mut unstamped, mut first_unstamped) = (0, u64::MAX);
        loop {
            let waiting = sqlx::query(
                "SELECT id FROM logrecord WHERE discriminator = 'm' AND timestamprecord IS NULL AND id >= $1 \
                 ORDER BY id LIMIT $2",
            );
            let waiting = waiting.bind(from).bind(RECORDS_MAX);
            let waiting = answered(waiting.fetch_all(&mut *database)).await?;
            let Some(last) = waiting.last() else { break };
            from = last.try_get::<i64, _>(0)? + 1;
            let (mut columns, mut rows) = (Columns::default(), Vec::<StampRow>::new());
            for row in &waiting {
                let id = row.try_get::<i64, _>(0)?;
                if !self.add_stamp(id, &mut columns, &mut rows)? {
                    unstamped += 1;
                    first_unstamped = first_unstamped.min(id.cast_unsigned());
                }
            }
            followed.stamped += columns.ids.len();
            if !columns.ids.is_empty() {
                write(database, columns, rows).await?;
            }
        }
        self.status.set_unstamped(unstamped);
        self.status.passed(self.status.next_id().min(first_unstamped));
        Ok(())
    }

    /// Whether nothing is to be waited for any more.
    pub(super) fn add_stamp(
        &self,
        id: i64,
        columns: &mut Columns,
        rows: &mut Vec<StampRow>,
    ) -> Result<bool, FollowError> {
        let record = id.cast_unsigned();
        let found = match self.log.stamp_of(record) {
            // It will never get one, unless it has got one just now.
            Ok(None) if !self.log.waits_for_stamp(record) => match self.log.stamp_of(record)? {
                None => return Ok(true),
                found => found,
            },
            Ok(found) => found,
            // It has left the log, or is damaged: its row stays as it is.
            Err(LogError::NotFound { .. } | LogError::Damaged { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let Some((place, stamp)) = found else { return Ok(false) };
        let stamp_id = place.id().cast_signed();
        let (token, result, chain, signature) = match stamp {
            Stamp::Batch { token, hash_chain_result, hash_chain } => {
                (token, Some(text(&hash_chain_result)), Some(text(&hash_chain)), None)
            }
            Stamp::Single { token } => {
                let signature = self.log.read(id.cast_unsigned())?.signature.signature;
                // The official log keeps a single time-stamp within the signature.
                let stamped = timestamp::insert_token(&signature, &token).ok();
                (token, None, None, stamped.map(|bytes| text(&bytes)))
            }
        };
        columns.ids.push(id);
        columns.stamps.push(stamp_id);
        columns.chains.push(chain);
        columns.signatures.push(signature);
        if rows.last().is_none_or(|row| row.id != stamp_id) {
            let (time_ms, token) = (place.time().millis(), STANDARD.encode(&token));
            rows.push(StampRow { id: stamp_id, time_ms, token, result });
        }
        Ok(true)
    }
}

async fn write(
    database: &mut PgConnection,
    columns: Columns,
    rows: Vec<StampRow>,
) -> Result<(), FollowError> {
    let mut transaction = answered(database.begin()).await?;
    for row in rows {
        let insert = sqlx::query(
            "INSERT INTO logrecord (discriminator, id, time, archived, timestamp, hashchainresult) \
             VALUES ('t', $1, $2, false, $3, $4) ON CONFLICT (id) DO NOTHING",
        );
        let insert = insert.bind(row.id).bind(row.time_ms).bind(row.token).bind(row.result);
        answered(insert.execute(&mut *transaction)).await?;
    }
    let update = sqlx::query(
        "UPDATE logrecord SET timestamprecord = new.stamp, timestamphashchain = new.chain, signaturehash = NULL, \
         signature = coalesce(new.signature, logrecord.signature) \
         FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS new (id, stamp, chain, signature) \
         WHERE logrecord.id = new.id",
    );
    let update = update.bind(columns.ids).bind(columns.stamps).bind(columns.chains).bind(columns.signatures);
    answered(update.execute(&mut *transaction)).await?;
    answered(transaction.commit()).await?;
    Ok(())
}
