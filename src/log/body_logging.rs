//! What is kept of messages, by provider, and messages reduced to what is logged without bodies (`signature.md` 7.1).

use bytes::Bytes;

use crate::message::ClientId;

/// What is kept of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Everything that was signed, as far as its size allows: evidence.
    Full,
    /// What identifies it, without what may be confidential.
    Headers,
    /// Nothing at all.
    Nothing,
}

/// Two switches, each with the provider subsystems, local or remote, for which the opposite holds.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// Are messages logged?
    pub records: bool,
    /// Providers for which the opposite holds.
    pub records_except: &'a [ClientId],
    /// Are their bodies, where messages are (`message-body-logging`)?
    pub bodies: bool,
    /// Providers for which the opposite holds (`…-body-logging-local-producer-subsystems` and `…-remote-…`).
    pub bodies_except: &'a [ClientId],
}

impl Policy<'_> {
    /// What is kept of messages to and from this provider. `bodies`: what the service itself says of them.
    pub fn of(&self, provider: &ClientId, bodies: Option<bool>) -> Kept {
        if self.records == self.records_except.contains(provider) {
            return Kept::Nothing;
        }
        match bodies.unwrap_or(self.bodies != self.bodies_except.contains(provider)) {
            true => Kept::Full,
            false => Kept::Headers,
        }
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
    fn each_switch_is_the_opposite_for_its_exceptions_and_a_service_decides_about_its_bodies() {
        let provider = |code| ClientId::new("LAB", "GOV", "200", Some(code)).unwrap();
        let (one, two) = ([provider("one")], [provider("two")]);
        let policy = Policy { records: true, records_except: &[], bodies: true, bodies_except: &one };
        assert_eq!(policy.of(&one[0], None), Kept::Headers);
        assert_eq!(policy.of(&two[0], None), Kept::Full);
        assert_eq!(policy.of(&one[0], Some(true)), Kept::Full);
        assert_eq!(policy.of(&two[0], Some(false)), Kept::Headers);
        let policy = Policy { bodies: false, records_except: &two, ..policy };
        assert_eq!(policy.of(&one[0], None), Kept::Full);
        assert_eq!(policy.of(&two[0], Some(true)), Kept::Nothing);
        let policy = Policy { records: false, ..policy };
        assert_eq!(policy.of(&one[0], Some(true)), Kept::Nothing);
        assert_eq!(policy.of(&two[0], None), Kept::Headers);
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
