//! How fast large bodies pass, hop by hop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::report::{ServerReport, round};
use crate::scenario::Load;

/// Bytes of bodies that have passed one way, and how long each took.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: AtomicU64,
    ns: AtomicU64,
}

/// At one end: bodies of requests and of responses.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Meters {
    pub request: Meter,
    pub response: Meter,
}

/// What a meter has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Amount {
    /// Bytes.
    pub bytes: u64,
    /// Seconds, of all bodies together.
    pub seconds: f64,
}

impl Meter {
    /// A body of so many bytes has passed.
    pub fn add(&self, bytes: u64, took: Duration) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    /// So far.
    pub fn read(&self) -> Amount {
        let ns = self.ns.load(Ordering::Relaxed);
        Amount { bytes: self.bytes.load(Ordering::Relaxed), seconds: ns as f64 / 1e9 }
    }
}

impl Amount {
    fn since(self, before: Self) -> Self {
        Self { bytes: self.bytes - before.bytes, seconds: self.seconds - before.seconds }
    }

    fn mib_per_second(self) -> Option<f64> {
        (self.bytes > 0 && self.seconds > 0.0).then(|| self.bytes as f64 / MIB / self.seconds)
    }
}

const MIB: f64 = 1024.0 * 1024.0;

/// All meters at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Streams {
    sent: Amount,
    received: Amount,
    service_received: Amount,
    service_sent: Amount,
}

impl Streams {
    /// Of the generator, and of the echo service where it is ours.
    pub fn read(generator: &Meters, service: Option<&Meters>) -> Self {
        let of =
            |meter: fn(&Meters) -> &Meter| service.map(|meters| meter(meters).read()).unwrap_or_default();
        Self {
            sent: generator.request.read(),
            received: generator.response.read(),
            service_received: of(|meters| &meters.request),
            service_sent: of(|meters| &meters.response),
        }
    }
}

/// How servers deal with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// It comes in: it is hashed, passed on as it comes, and held by the last.
    Intake,
    /// It was held, and goes out.
    Delivery,
}

/// One hop of large bodies: the rate of one body in the mean, however many there are at a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hop {
    /// From where to where.
    pub hop: String,
    /// Which work of the servers it shows.
    pub side: Side,
    /// MiB/s.
    pub mib_per_second: f64,
    /// Divided by the machine's rate of SHA-512.
    pub of_sha512: f64,
}

type End = (String, Side, fn(&Streams) -> Amount);

/// The hops of a phase; none where no large body passed.
pub fn hops(
    before: &Streams,
    after: &Streams,
    servers: &[ServerReport],
    load: &Load,
    sha512: f64,
) -> Vec<Hop> {
    let (first, others) = match servers {
        [first, second] => (first.name.clone(), second.name.clone()),
        [first, _, .., last] => (first.name.clone(), format!("ss2..{}", last.name)),
        _ => ("server".to_owned(), "service".to_owned()),
    };
    let mut all = Vec::new();
    let mut put = |hop: String, side, rate: Option<f64>| {
        if let Some(rate) = rate {
            all.push(Hop {
                hop,
                side,
                mib_per_second: round(rate),
                of_sha512: round(rate / sha512.max(1.0)),
            });
        }
    };
    let ends: [End; 4] = [
        (format!("request: client > {first} > {others}"), Side::Intake, |s| s.sent),
        (format!("request: {others} > service"), Side::Delivery, |s| s.service_received),
        (format!("response: service > {others} > {first}"), Side::Intake, |s| s.service_sent),
        (format!("response: {first} > client"), Side::Delivery, |s| s.received),
    ];
    let mut passed = false;
    for (hop, side, of) in ends {
        let amount = of(after).since(of(before));
        passed |= amount.bytes > 0;
        put(hop, side, amount.mib_per_second());
    }
    // Servers do not tell large bodies from small ones.
    let mean_mib = load.sizes.mean() / MIB;
    let only_large =
        load.sizes.classes().iter().all(|class| crate::message::is_large(load.kind, class.bytes));
    for server in servers.iter().filter(|_| passed && only_large) {
        for (name, side, what) in
            [("read", Side::Intake, "reads a message"), ("reply", Side::Delivery, "answers its client")]
        {
            let phase = server.phases.iter().find(|phase| phase.name == name && phase.us > 0.0);
            put(format!("{} {what}", server.name), side, phase.map(|phase| mean_mib / (phase.us / 1e6)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breakdown::PhaseTime;

    #[test]
    fn each_hop_has_its_rate_and_servers_tell_theirs_where_all_bodies_are_large() {
        let (generator, service) = (Meters::default(), Meters::default());
        let read = || Streams::read(&generator, Some(&service));
        generator.request.add(1 << 20, Duration::from_secs(9));
        let before = read();
        generator.request.add(64 << 20, Duration::from_secs(1));
        generator.response.add(64 << 20, Duration::from_millis(500));
        service.request.add(64 << 20, Duration::from_millis(250));
        service.response.add(64 << 20, Duration::from_secs(2));
        let phase = PhaseTime { name: "read", us: 1e6, per_exchange: 2.0, derived: false };
        let server = |name: &str| ServerReport {
            name: name.to_owned(),
            phases: vec![phase.clone()],
            ..ServerReport::default()
        };
        let servers = [server("ss1"), server("ss2")];
        let load: Load = toml::from_str("sizes = [[1, 67108864]]").unwrap();
        let told = hops(&before, &read(), &servers, &load, 640.0);
        let rates: Vec<_> = told.iter().map(|hop| (hop.mib_per_second, hop.of_sha512, hop.side)).collect();
        use Side::{Delivery, Intake};
        assert_eq!(
            rates[..4],
            [(64.0, 0.1, Intake), (256.0, 0.4, Delivery), (32.0, 0.05, Intake), (128.0, 0.2, Delivery)]
        );
        assert_eq!(rates[4..], [(64.0, 0.1, Intake), (64.0, 0.1, Intake)]);
        assert_eq!(told[0].hop, "request: client > ss1 > ss2");
        let mixed: Load = toml::from_str("sizes = [[1, 67108864], [1, 1000]]").unwrap();
        assert_eq!(hops(&before, &read(), &servers, &mixed, 640.0).len(), 4);
        assert_eq!(hops(&read(), &read(), &servers, &load, 640.0), []);
    }
}
