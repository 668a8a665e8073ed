//! Which records a query gets (PR-OPMON, X-Road 7.8 behaviour): by second of storing, page by page, none of them split
//! inside a second.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use thiserror::Error;

use super::row::{INTERNAL_IP, STORED_AT};
use super::store::{MonitoringStore, ReadRow, Selection, StoreError};
use crate::config;
use crate::message::ClientId;
use crate::time::UnixTime;

/// Rows read in one go.
const ROWS_PER_READ: i64 = 64;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criteria {
    /// First second.
    pub from: i64,
    /// Last second.
    pub to: i64,
    /// Only exchanges of this party, without the server's address; `None` for those who may see everything.
    pub party: Option<ClientId>,
    /// Only exchanges with services of this provider.
    pub provider: Option<ClientId>,
    /// Names of fields; empty for all.
    pub fields: BTreeSet<String>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Number of records.
    pub count: usize,
    /// `{"records":[…]}`
    pub json: String,
    /// Where the next query goes on, in seconds; `None` when all were told.
    pub next_from: Option<i64>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The asker's fault, in words.
    #[error("{0}")]
    Invalid(String),
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server stops.
    #[error("the server is stopping")]
    Stopped,
}

impl Criteria {
    /// Limits the query to what is complete at `now`; the second element is where a limited query goes on.
    fn until(&self, now: UnixTime, offset_secs: i64) -> Result<(i64, Option<i64>), QueryError> {
        let invalid = |text: String| Err(QueryError::Invalid(text));
        let horizon = now.secs() - offset_secs;
        if self.from < 0 {
            return invalid("recordsFrom is negative".into());
        }
        if self.to < 0 {
            return invalid("recordsTo is negative".into());
        }
        if self.to < self.from {
            return invalid("recordsTo is before recordsFrom".into());
        }
        if self.from >= horizon {
            return invalid(format!("records from {} are not available yet", self.from));
        }
        if self.to >= horizon { Ok((horizon - 1, Some(horizon))) } else { Ok((self.to, None)) }
    }
}

/// Answers a query.
pub async fn answer(
    settings: &config::Monitoring,
    criteria: &Criteria,
    now: UnixTime,
) -> Result<Page, QueryError> {
    let (to, mut next_from) = criteria.until(now, i64::from(settings.available_after_secs))?;
    let selection = Selection {
        from: criteria.from,
        to,
        party: criteria.party.as_ref().map(ClientId::to_rest),
        provider: criteria.provider.as_ref().map(ClientId::to_rest),
    };
    let limit = i64::from(settings.payload_records_max);
    let mut store = MonitoringStore::open(&settings.database).await?;
    let (mut rows, mut count) = (Vec::<ReadRow>::new(), 0);
    'enough: loop {
        let after = rows.last().map_or((i64::MIN, 0), |row| (row.stored_secs, row.id));
        let read = store.read(&selection, after, ROWS_PER_READ).await?;
        let is_all = (read.len() as i64) < ROWS_PER_READ;
        for row in read {
            // The whole last second, and whether there is more behind it.
            if let Some(last) = rows.last().map(|row| row.stored_secs)
                && count >= limit
                && row.stored_secs > last
            {
                next_from = Some(last + 1);
                break 'enough;
            }
            count += row.records;
            rows.push(row);
        }
        if is_all {
            break;
        }
    }
    let (count, json) = payload(criteria, &rows);
    Ok(Page { count, json, next_from })
}

fn payload(criteria: &Criteria, rows: &[ReadRow]) -> (usize, String) {
    let whole = criteria.party.is_none() && criteria.fields.is_empty();
    let bytes: usize = rows.iter().map(|row| row.lines.len() + 1).sum();
    let (mut count, mut text) = (0, String::with_capacity(bytes + 16));
    text.push_str("{\"records\":[");
    for json in rows.iter().flat_map(|row| row.lines.lines()) {
        if count > 0 {
            text.push(',');
        }
        if whole {
            text.push_str(json);
        } else {
            text.push_str(&reduced(criteria, json));
        }
        count += 1;
    }
    text.push_str("]}");
    (count, text)
}

fn reduced(criteria: &Criteria, json: &str) -> String {
    let mut fields: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
    if criteria.party.is_some() {
        fields.remove(INTERNAL_IP);
    }
    if !criteria.fields.is_empty() {
        fields.retain(|name, _| criteria.fields.contains(name));
    } else {
        debug_assert!(fields.contains_key(STORED_AT));
    }
    Value::Object(fields).to_string()
}
