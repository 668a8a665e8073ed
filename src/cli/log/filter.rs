//! What records are looked for.

use clap::{Args, ValueEnum};

use super::Failure;
use crate::log::{Direction, Query};
use crate::message::{ClientId, ServiceId};
use crate::time::UnixTime;

/// Which records.
#[derive(Debug, Args)]
pub struct Filter {
    /// The message id
    pub message_id: Option<String>,
    /// The local party or the consumer: INSTANCE/CLASS/MEMBER/SUBSYSTEM, or without subsystem any of the member's
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
    /// The service: INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE[/VERSION]
    #[arg(long, value_name = "ID")]
    pub service: Option<String>,
    /// Only requests or only responses
    #[arg(long, value_enum)]
    pub direction: Option<Side>,
    /// Logged at this time or later: 2026-11-25 or 2026-11-25T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Logged before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// Requests or responses.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Side {
    /// Requests.
    Request,
    /// Responses.
    Response,
}

impl Filter {
    /// The query; an error names what cannot be read.
    pub fn query(&self) -> Result<Query, Failure> {
        let client = self
            .client
            .as_deref()
            .map(|id| ClientId::from_rest(id).map_err(|error| format!("{id:?} is no client: {error}")));
        Ok(Query {
            message_id: self.message_id.clone(),
            client: client.transpose()?,
            service: self.service.as_deref().map(service).transpose()?,
            direction: self.direction.map(|side| match side {
                Side::Request => Direction::Request,
                Side::Response => Direction::Response,
            }),
            from: self.from.as_deref().map(time).transpose()?,
            until: self.until.as_deref().map(time).transpose()?,
        })
    }
}

fn service(id: &str) -> Result<ServiceId, Failure> {
    let (service, version) = match id.rsplit_once('/') {
        Some((service, version)) if service.matches('/').count() == 4 => (service, Some(version)),
        _ => (id, None),
    };
    let failed = |error| format!("{id:?} is no service: {error}");
    let service = ServiceId::from_rest(service).map_err(failed)?;
    Ok(ServiceId::new(&service.client(), service.service_code(), version).map_err(failed)?)
}

fn time(text: &str) -> Result<UnixTime, Failure> {
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let time = UnixTime::parse_rfc3339(&whole);
    Ok(time.ok_or_else(|| format!("{text:?} is no time: write 2026-11-25 or 2026-11-25T08:00:00Z"))?)
}
