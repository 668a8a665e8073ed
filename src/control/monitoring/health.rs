//! How the services of this server fare: the last outcome of each, and figures over a sliding period.

use std::collections::{HashMap, VecDeque};

use super::record::{OperationalRecord, Role, Sizes};
use crate::limits::MONITORED_SERVICES_MAX;
use crate::message::ServiceId;
use crate::time::UnixTime;

/// The period slides by this part of it.
const SLICES: i64 = 60;

/// Health of all services that were used since the start.
#[derive(Debug)]
pub struct Health {
    started: UnixTime,
    period_secs: u32,
    services: HashMap<ServiceId, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    service_type: Option<&'static str>,
    last_success: Option<UnixTime>,
    last_failure: Option<UnixTime>,
    slices: VecDeque<(i64, PeriodStatistics)>,
}

/// Health of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceHealth {
    /// Which.
    pub service: ServiceId,
    /// `WSDL`, `REST` or `OPENAPI3`.
    pub service_type: Option<&'static str>,
    /// When the last successful answer went out.
    pub last_success: Option<UnixTime>,
    /// When the last other one did.
    pub last_failure: Option<UnixTime>,
    /// Figures of the period.
    pub statistics: PeriodStatistics,
}

/// Figures of a period; the spreads are of successful requests only.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PeriodStatistics {
    /// Successful requests.
    pub successes: u32,
    /// Other ones.
    pub failures: u32,
    /// From the request's coming in to the answer's going out, in milliseconds.
    pub duration: Spread,
    /// Size of requests in bytes.
    pub request_size: Spread,
    /// Size of responses in bytes.
    pub response_size: Spread,
}

/// Smallest, largest, mean and deviation of a number of values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spread {
    count: u32,
    min: u64,
    max: u64,
    sum: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count = self.count.saturating_add(1);
        self.sum += value as f64;
        self.squares += (value as f64) * (value as f64);
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// Smallest value.
    pub fn min(&self) -> u64 {
        self.min
    }

    /// Largest value.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Mean; 0 without values.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / f64::from(self.count) }
    }

    /// Standard deviation of the sample; 0 for fewer than two values.
    pub fn deviation(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let count = f64::from(self.count);
        let squared = (self.squares - self.sum * self.sum / count) / (count - 1.0);
        squared.max(0.0).sqrt()
    }
}

impl PeriodStatistics {
    fn merge(&mut self, other: &Self) {
        self.successes = self.successes.saturating_add(other.successes);
        self.failures = self.failures.saturating_add(other.failures);
        self.duration.merge(&other.duration);
        self.request_size.merge(&other.request_size);
        self.response_size.merge(&other.response_size);
    }
}

impl Health {
    /// Nothing is known yet; figures are over `period_secs`.
    pub fn new(started: UnixTime, period_secs: u32) -> Self {
        Self { started, period_secs, services: HashMap::new() }
    }

    /// Since when services are watched.
    pub fn started(&self) -> UnixTime {
        self.started
    }

    /// Length of the period.
    pub fn period_secs(&self) -> u32 {
        self.period_secs
    }

    /// Counts a record of the provider's side.
    pub fn take(&mut self, record: &OperationalRecord, service_type: Option<&'static str>, now: UnixTime) {
        let Some(service) = record.service.as_ref().filter(|_| record.role == Role::Producer) else { return };
        if self.services.len() >= MONITORED_SERVICES_MAX && !self.services.contains_key(service) {
            return;
        }
        let slice = self.slice(now);
        let oldest = slice - SLICES;
        let entry = self.services.entry(service.clone()).or_default();
        entry.service_type = service_type;
        while entry.slices.front().is_some_and(|(at, _)| *at <= oldest) {
            entry.slices.pop_front();
        }
        if entry.slices.back().is_none_or(|(at, _)| *at != slice) {
            entry.slices.push_back((slice, PeriodStatistics::default()));
        }
        let Some((_, statistics)) = entry.slices.back_mut() else { return };
        let out = record.response_out.unwrap_or(record.request_in);
        if !record.succeeded {
            entry.last_failure = Some(out);
            statistics.failures = statistics.failures.saturating_add(1);
            return;
        }
        entry.last_success = Some(out);
        statistics.successes = statistics.successes.saturating_add(1);
        let duration = out.millis().saturating_sub(record.request_in.millis());
        statistics.duration.add(u64::try_from(duration).unwrap_or(0));
        let is_rest = record.rest.is_some();
        let size = |sizes: Option<Sizes>| {
            sizes.map(|sizes| if is_rest { sizes.message + sizes.parts } else { sizes.message })
        };
        for (spread, sizes) in
            [(&mut statistics.request_size, record.request), (&mut statistics.response_size, record.response)]
        {
            if let Some(size) = size(sizes) {
                spread.add(size);
            }
        }
    }

    /// All services in the order of their identifiers, or those of a provider, as they fare at `now`.
    pub fn services(&self, provider: Option<&crate::message::ClientId>, now: UnixTime) -> Vec<ServiceHealth> {
        let oldest = self.slice(now) - SLICES;
        let wanted =
            self.services.iter().filter(|(id, _)| provider.is_none_or(|asked| id.client() == *asked));
        let mut told: Vec<ServiceHealth> = wanted
            .map(|(id, entry)| {
                let mut statistics = PeriodStatistics::default();
                let recent = entry.slices.iter().filter(|(at, _)| *at > oldest);
                recent.for_each(|(_, slice)| statistics.merge(slice));
                ServiceHealth {
                    service: id.clone(),
                    service_type: entry.service_type,
                    last_success: entry.last_success,
                    last_failure: entry.last_failure,
                    statistics,
                }
            })
            .collect();
        told.sort_by(|a, b| a.service.cmp(&b.service));
        told
    }

    fn slice(&self, at: UnixTime) -> i64 {
        at.millis().div_euclid((i64::from(self.period_secs) * 1000 / SLICES).max(1))
    }
}
