//! Message records.

use sqlx::{Connection, PgConnection, Row};

use super::{FollowError, Followed, Follower, answered};
use crate::crypto::DigestAlgorithm;
use crate::log::{Direction, LogError, StoredRecord};

/// Records of one transaction, and their bytes: what is in memory at a time.
const RECORDS_MAX: usize = 500;
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Characters of the columns that are so short.
const TEXT_MAX: usize = 255;

/// The columns of some records, each with a value for each of them.
#[derive(Default)]
struct Columns {
    ids: Vec<i64>,
    times: Vec<i64>,
    query_ids: Vec<String>,
    messages: Vec<Option<String>>,
    cipher_messages: Vec<Option<Vec<u8>>>,
    signatures: Vec<String>,
    hash_chains: Vec<Option<String>>,
    hash_chain_results: Vec<Option<String>>,
    signature_hashes: Vec<String>,
    responses: Vec<bool>,
    classes: Vec<String>,
    codes: Vec<String>,
    subsystems: Vec<Option<String>>,
    request_ids: Vec<Option<String>>,
    attachments: Vec<(i64, i32, Vec<u8>)>,
    bytes: usize,
}

impl Follower {
    pub(super) async fn follow_messages(
        &self,
        database: &mut PgConnection,
        followed: &mut Followed,
    ) -> Result<(), FollowError> {
        let position = sqlx::query("SELECT next_id FROM hermod_follower");
        let position = answered(position.fetch_one(&mut *database)).await?;
        let mut next = position.try_get::<i64, _>(0)?.cast_unsigned();
        loop {
            self.status.came_to(next);
            let ids = self.log.ids_from(next, RECORDS_MAX)?;
            let mut columns = Columns::default();
            let before = next;
            for (id, record) in self.log.read_each(ids) {
                match record {
                    Ok(record) => self.add(&mut columns, &record)?,
                    Err(error @ (LogError::Damaged { .. } | LogError::SegmentHeader { .. })) => {
                        tracing::error!(id, %error, "a record cannot be followed into PostgreSQL");
                        followed.damaged += 1;
                    }
                    Err(error) => return Err(error.into()),
                }
                next = id + 1;
                if columns.bytes > BYTES_MAX {
                    break;
                }
            }
            if next == before {
                return Ok(());
            }
            followed.messages += columns.ids.len();
            self.write(database, columns, next).await?;
        }
    }

    fn add(&self, columns: &mut Columns, record: &StoredRecord) -> Result<(), FollowError> {
        let summary = &record.summary;
        columns.ids.push(summary.id.cast_signed());
        columns.times.push(summary.time.millis());
        columns.query_ids.push(short(&summary.query_id));
        let (message, cipher_message) = match &self.cipher {
            None => (Some(text(&record.message)), None),
            Some(cipher) => (None, Some(cipher.message(summary.id, text(&record.message).as_bytes())?)),
        };
        columns.messages.push(message);
        columns.cipher_messages.push(cipher_message);
        let signature = &record.signature;
        columns.signatures.push(text(&signature.signature));
        columns.hash_chains.push(signature.hash_chain.as_deref().map(text));
        columns.hash_chain_results.push(signature.hash_chain_result.as_deref().map(text));
        columns.signature_hashes.push(DigestAlgorithm::Sha512.digest(&signature.signature).to_base64());
        columns.responses.push(summary.direction == Direction::Response);
        let client = &summary.client;
        columns.classes.push(short(client.member_class()));
        columns.codes.push(short(client.member_code()));
        columns.subsystems.push(client.subsystem_code().map(short));
        columns.request_ids.push(summary.x_request_id.as_deref().map(short));
        columns.bytes += record.message.len() + signature.signature.len();
        for (number, attachment) in (1_u32..).zip(&record.attachments) {
            let bytes = match &self.cipher {
                None => attachment.to_vec(),
                Some(cipher) => cipher.attachment(summary.id, number, attachment)?,
            };
            columns.bytes += bytes.len();
            columns.attachments.push((summary.id.cast_signed(), number.cast_signed(), bytes));
        }
        Ok(())
    }

    async fn write(
        &self,
        database: &mut PgConnection,
        columns: Columns,
        next: u64,
    ) -> Result<(), FollowError> {
        let mut transaction = answered(database.begin()).await?;
        let key = self.cipher.as_ref().map(|cipher| cipher.key_id().to_owned());
        let insert = sqlx::query(
            "INSERT INTO logrecord (discriminator, archived, keyid, id, time, queryid, message, ciphermessage, signature, \
             hashchain, hashchainresult, signaturehash, response, memberclass, membercode, subsystemcode, xrequestid) \
             SELECT 'm', false, $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], \
             $7::text[], $8::text[], $9::text[], $10::text[], $11::boolean[], $12::text[], $13::text[], $14::text[], \
             $15::text[])",
        );
        let insert = insert
            .bind(key)
            .bind(columns.ids)
            .bind(columns.times)
            .bind(columns.query_ids)
            .bind(columns.messages)
            .bind(columns.cipher_messages)
            .bind(columns.signatures)
            .bind(columns.hash_chains)
            .bind(columns.hash_chain_results)
            .bind(columns.signature_hashes)
            .bind(columns.responses)
            .bind(columns.classes)
            .bind(columns.codes)
            .bind(columns.subsystems)
            .bind(columns.request_ids);
        answered(insert.execute(&mut *transaction)).await?;
        for (record, number, bytes) in columns.attachments {
            let insert = sqlx::query(
                "INSERT INTO message_attachment (logrecord_id, attachment_no, attachment) \
                 VALUES ($1, $2, lo_from_bytea(0, $3))",
            );
            let insert = insert.bind(record).bind(number).bind(bytes);
            answered(insert.execute(&mut *transaction)).await?;
        }
        let position = sqlx::query("UPDATE hermod_follower SET next_id = $1").bind(next.cast_signed());
        answered(position.execute(&mut *transaction)).await?;
        answered(transaction.commit()).await?;
        self.status.came_to(next);
        Ok(())
    }
}

/// Bytes as a text column takes them: what is no UTF-8, or a zero, cannot be there.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

fn short(value: &str) -> String {
    value.chars().take(TEXT_MAX).collect::<String>().replace('\0', "\u{fffd}")
}
