//! Where OCSP answers are asked for.

use super::{CostType, GlobalConf, OcspResponder};
use crate::crypto::Certificate;

/// Which responders are asked, by what they cost, and in what order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum CostStrategy {
    /// All, as listed.
    #[default]
    None,
    OnlyFree,
    OnlyPaid,
    FreeFirst,
    PaidFirst,
}

impl CostStrategy {
    /// By the spelling of official configuration files, such as `FREE_FIRST`, in either case.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "NONE" => Self::None,
            "ONLY_FREE" => Self::OnlyFree,
            "ONLY_PAID" => Self::OnlyPaid,
            "FREE_FIRST" => Self::FreeFirst,
            "PAID_FIRST" => Self::PaidFirst,
            _ => return None,
        })
    }

    /// Puts things in order by what they cost, leaving out what is not wanted; things of one cost keep their order.
    pub fn order<T>(self, things: Vec<T>, cost: impl Fn(&T) -> CostType) -> Vec<T> {
        let ranked = things.into_iter().filter_map(|thing| Some((self.rank(cost(&thing))?, thing)));
        let mut ranked: Vec<(u8, T)> = ranked.collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, thing)| thing).collect()
    }

    // Position in the order; `None` leaves the responder out. Undefined costs come last.
    fn rank(self, cost: CostType) -> Option<u8> {
        match (self, cost) {
            (Self::None, _)
            | (Self::OnlyFree | Self::FreeFirst, CostType::Free)
            | (Self::OnlyPaid | Self::PaidFirst, CostType::Paid) => Some(0),
            (Self::OnlyFree | Self::OnlyPaid, _) => None,
            (Self::FreeFirst, CostType::Paid) | (Self::PaidFirst, CostType::Free) => Some(1),
            (Self::FreeFirst | Self::PaidFirst, CostType::Undefined) => Some(2),
        }
    }
}

impl GlobalConf {
    /// Addresses of OCSP responders for `certificate`: those of its issuer in any instance, ordered, then
    /// the certificate's own. Each once.
    pub fn ocsp_urls(&self, certificate: &Certificate, strategy: CostStrategy) -> Vec<String> {
        let mut listed: Vec<(u8, &str)> = Vec::new();
        for instance in self.instances() {
            let ca =
                self.shared_params(instance).and_then(|shared| shared.ca_by_subject(certificate.issuer()));
            let responders: &[OcspResponder] = ca.map(|ca| ca.ocsp.as_slice()).unwrap_or_default();
            for responder in responders {
                listed.extend(strategy.rank(responder.cost_type).map(|rank| (rank, responder.url.trim())));
            }
        }
        listed.sort_by_key(|(rank, _)| *rank);
        let own = certificate.ocsp_urls().iter().map(String::as_str);
        let mut urls: Vec<String> = Vec::new();
        for url in listed.into_iter().map(|(_, url)| url).chain(own) {
            if !urls.iter().any(|found| found == url) {
                urls.push(url.to_owned());
            }
        }
        urls
    }
}
