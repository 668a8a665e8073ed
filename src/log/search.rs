//! Finding records by who called what, and when.

use std::ops::ControlFlow;

use super::LogError;
use super::catalog::Place;
use super::live::Live;
use super::reader::LogReader;
use super::record::{Direction, RecordSummary};
use super::sealed::{Row, Sealed, Tables};
use crate::message::{ClientId, ServiceId};
use crate::time::UnixTime;

/// What is looked for; everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The message id.
    pub message_id: Option<String>,
    /// The local party or the consumer; without subsystem: any of the member's.
    pub client: Option<ClientId>,
    /// The service that is called; without version: any.
    pub service: Option<ServiceId>,
    /// Request or response.
    pub direction: Option<Direction>,
    /// Logged at this time or later.
    pub from: Option<UnixTime>,
    /// Logged before this time.
    pub until: Option<UnixTime>,
}

impl Query {
    fn is_in_time(&self, time_ms: i64) -> bool {
        self.from.is_none_or(|from| time_ms >= from.millis())
            && self.until.is_none_or(|until| time_ms < until.millis())
    }

    fn is_in_direction(&self, is_response: bool) -> bool {
        self.direction.is_none_or(|wanted| (wanted == Direction::Response) == is_response)
    }

    fn is_client(&self, client: &ClientId) -> bool {
        self.client.as_ref().is_none_or(|wanted| match wanted.subsystem_code() {
            Some(_) => wanted == client,
            None => wanted.member() == client.member(),
        })
    }

    fn is_service(&self, service: &ServiceId) -> bool {
        self.service.as_ref().is_none_or(|wanted| match wanted.service_version() {
            Some(_) => wanted == service,
            None => wanted.client() == service.client() && wanted.service_code() == service.service_code(),
        })
    }

    /// Whether a record is what is looked for.
    pub fn matches(&self, record: &RecordSummary) -> bool {
        let is_client =
            || self.is_client(&record.client) || record.consumer.as_ref().is_some_and(|c| self.is_client(c));
        self.message_id.as_ref().is_none_or(|id| *id == record.query_id)
            && self.is_in_time(record.time.millis())
            && self.is_in_direction(record.direction == Direction::Response)
            && is_client()
            && (self.service.is_none() || record.service.as_ref().is_some_and(|s| self.is_service(s)))
    }
}

impl LogReader {
    /// Shows the records that a query matches, oldest first, until `visit` has enough. Records that cannot be read
    /// come as errors. With a message id this takes a lookup; otherwise the indexes of the segments of that time are
    /// read, and of the newest segment the heads of its records.
    ///
    /// # Errors
    /// When an index cannot be read or made again.
    pub fn search(
        &self,
        query: &Query,
        mut visit: impl FnMut(Result<RecordSummary, LogError>) -> ControlFlow<()>,
    ) -> Result<(), LogError> {
        if let Some(id) = &query.message_id {
            for found in self.find_all(id)?.into_iter().filter(|found| query.matches(found)) {
                if visit(Ok(found)).is_break() {
                    break;
                }
            }
            return Ok(());
        }
        // At one moment: a segment that is sealed meanwhile must not be in neither.
        let (sealed, live) = self.with_catalog(|catalog| {
            let rows = |live: &Live| live.rows_from(0, usize::MAX);
            let live: Vec<(u32, Vec<Row>)> = catalog.lives().map(|live| (live.number, rows(live))).collect();
            (catalog.sealed_from(0), live)
        });
        for sealed in sealed {
            let rows = self.sealed(&sealed, |sealed| rows(sealed, query))?;
            if self.show(sealed.head.number, &rows, query, &mut visit).is_break() {
                return Ok(());
            }
        }
        for (number, mut rows) in live {
            rows.retain(|row| query.is_in_time(row.time_ms) && query.is_in_direction(row.is_response));
            if self.show(number, &rows, query, &mut visit).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn show(
        &self,
        segment: u32,
        rows: &[Row],
        query: &Query,
        visit: &mut impl FnMut(Result<RecordSummary, LogError>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for row in rows {
            match self.summary_at(&Place { segment, row: *row }) {
                Ok(summary) if !query.matches(&summary) => {}
                found => visit(found)?,
            }
        }
        ControlFlow::Continue(())
    }
}

/// The rows of a segment that may match.
fn rows(sealed: &Sealed, query: &Query) -> std::io::Result<Vec<Row>> {
    let head = &sealed.head;
    let too_early = query.from.is_some_and(|from| head.latest_ms < from.millis());
    let too_late = query.until.is_some_and(|until| head.earliest_ms >= until.millis());
    if head.messages() == 0 || too_early || too_late {
        return Ok(Vec::new());
    }
    let tables = match (&query.client, &query.service) {
        (None, None) => Tables::default(),
        _ => sealed.tables()?,
    };
    let clients: Vec<bool> = tables.clients.iter().map(|client| query.is_client(client)).collect();
    let services: Vec<bool> = tables.services.iter().map(|service| query.is_service(service)).collect();
    let is_one = |among: &[bool], number: u32| among.get(number as usize).copied().unwrap_or(false);
    if (query.client.is_some() && !clients.contains(&true))
        || (query.service.is_some() && !services.contains(&true))
    {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    sealed.each_row(|row| {
        let is_client =
            query.client.is_none() || is_one(&clients, row.client) || is_one(&clients, row.consumer);
        let is_service = query.service.is_none() || is_one(&services, row.service);
        if is_client && is_service && query.is_in_time(row.time_ms) && query.is_in_direction(row.is_response)
        {
            rows.push(*row);
        }
    })?;
    Ok(rows)
}
