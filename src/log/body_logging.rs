//! Whether bodies are logged, per service, and messages reduced to what is logged without them (`signature.md` 7.1).

use std::collections::HashSet;

use bytes::Bytes;

use crate::message::ClientId;

/// On which side of an exchange this server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The consumer's server: its remote providers decide.
    Consumer,
    /// The provider's server: its local providers decide.
    Provider,
}

/// The switch and its exceptions: provider subsystems for which the opposite holds.
#[derive(Debug, Clone)]
pub struct BodyLogging {
    /// `message-body-logging`.
    pub enabled: bool,
    /// `…-body-logging-local-producer-subsystems` of the opposite kind.
    pub local_exceptions: HashSet<ClientId>,
    /// `…-body-logging-remote-producer-subsystems` of the opposite kind.
    pub remote_exceptions: HashSet<ClientId>,
}

impl Default for BodyLogging {
    /// Bodies are logged, without exception.
    fn default() -> Self {
        Self { enabled: true, local_exceptions: HashSet::new(), remote_exceptions: HashSet::new() }
    }
}

impl BodyLogging {
    /// Whether the bodies of messages to and from this provider are logged.
    pub fn applies_to(&self, side: Side, provider: &ClientId) -> bool {
        let exceptions = match side {
            Side::Consumer => &self.remote_exceptions,
            Side::Provider => &self.local_exceptions,
        };
        self.enabled != exceptions.contains(provider)
    }
}

/// Slashes of `/r1/INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE` before what is not logged.
const SERVICE_PATH_SLASHES: usize = 6;

/// A REST head without what may be confidential: verb or status line, path up to the service code, and only
/// the headers that begin with `x-road-`.
pub fn reduced_rest_head(head: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(head.len());
    for (number, line) in lines(head).enumerate() {
        match number {
            0 => out.extend_from_slice(line),
            // The second line of a response is its reason, which has no leading slash.
            1 if line.starts_with(b"/") => out.extend_from_slice(service_path(line)),
            1 => out.extend_from_slice(line),
            _ if has_road_prefix(line) => out.extend_from_slice(line),
            _ => continue,
        }
        out.extend_from_slice(b"\r\n");
    }
    out.into()
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|l| !l.is_empty())
}

fn service_path(path: &[u8]) -> &[u8] {
    let mut slashes = 0;
    let end = path.iter().position(|byte| {
        slashes += usize::from(*byte == b'/');
        *byte == b'?' || slashes > SERVICE_PATH_SLASHES
    });
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

fn has_road_prefix(line: &[u8]) -> bool {
    line.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"x-road-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_the_side_inverts_the_switch() {
        let provider = ClientId::new("LAB", "GOV", "200", Some("provider")).unwrap();
        let mut bodies = BodyLogging::default();
        assert!(bodies.applies_to(Side::Consumer, &provider));
        bodies.remote_exceptions.insert(provider.clone());
        assert!(!bodies.applies_to(Side::Consumer, &provider));
        assert!(bodies.applies_to(Side::Provider, &provider));
        bodies.enabled = false;
        assert!(bodies.applies_to(Side::Consumer, &provider));
        assert!(!bodies.applies_to(Side::Provider, &provider));
    }

    #[test]
    fn a_reduced_rest_head_keeps_neither_path_nor_query_nor_foreign_headers() {
        let head = b"GET\r\n/r1/LAB/GOV/200/provider/echo/person/1?name=x\r\nX-Road-Client:LAB/GOV/100/c\r\nAuthorization:secret\r\nx-road-id:7\r\n";
        let reduced =
            b"GET\r\n/r1/LAB/GOV/200/provider/echo\r\nX-Road-Client:LAB/GOV/100/c\r\nx-road-id:7\r\n";
        assert_eq!(&reduced_rest_head(head)[..], reduced);
        let query = reduced_rest_head(b"GET\r\n/r1/LAB/GOV/200/provider/echo?name=x/y\r\n");
        assert_eq!(&query[..], b"GET\r\n/r1/LAB/GOV/200/provider/echo\r\n");
        let response = reduced_rest_head(b"200\r\nOK\r\ncontent-type:text/plain\r\nx-road-id:7\r\n");
        assert_eq!(&response[..], b"200\r\nOK\r\nx-road-id:7\r\n");
    }
}
