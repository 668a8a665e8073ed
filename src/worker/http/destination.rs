//! Where a request says that it goes, judged as official servers judge it: the form of its target, its `Host`, and
//! whether it wants another protocol. What they answer with a bare 400 is answered so here, on every port.

use std::net::Ipv6Addr;

use bytes::Bytes;

use super::head::{Version, header, header_values};

/// What is wrong, if anything is.
pub(super) fn fault(
    method: &str,
    target: &str,
    version: Version,
    headers: &[(Bytes, Bytes)],
) -> Option<&'static str> {
    let host = header(headers, "host");
    match (header_values(headers, "host").count(), host) {
        (0, _) if version == Version::Http10 => {}
        (1, Some(host)) if is_host(host) => {}
        (1, _) => return Some("bad host field"),
        _ => return Some("not exactly one host field"),
    }
    if !has_form(method, target, host) {
        return Some("request target of a form that is not answered here");
    }
    let connection = header_values(headers, "connection").flat_map(|value| value.split(|byte| *byte == b','));
    let mut options = connection.map(<[u8]>::trim_ascii);
    let mut is_announced = || options.any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    if header(headers, "upgrade").is_some() && !is_announced() {
        return Some("an upgrade that the connection field does not name");
    }
    None
}

// A path; `*` for OPTIONS; or a whole address, of the very host that the request names.
fn has_form(method: &str, target: &str, host: Option<&Bytes>) -> bool {
    if target.starts_with('/') {
        return true;
    }
    if target == "*" {
        return method == "OPTIONS";
    }
    let Some((scheme, rest)) = target.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_scheme && host.is_none_or(|host| host.eq_ignore_ascii_case(authority.as_bytes()))
}

fn is_host(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    if let Some(rest) = value.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let is_address = address.parse::<Ipv6Addr>().is_ok();
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    match value.split_once(':') {
        None => is_name(value),
        Some((_, rest)) if rest.contains(':') => value.parse::<Ipv6Addr>().is_ok(),
        Some((name, port)) => is_name(name) && is_port(port),
    }
}

// The characters of a name in a URI (RFC 3986 reg-name).
fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let is_escape =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    !bytes.is_empty()
        && bytes.iter().enumerate().all(|(at, byte)| match byte {
            b'%' => is_escape(at),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte),
        })
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_a_port_that_can_be() {
        for host in
            ["a", "a.b-c_d", "127.0.0.1:8080", "a:080", "[::1]", "[::1]:80", "::1", "a%20b", "(a)", "."]
        {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in
            ["", ":80", "a:", "a:0", "a:65536", "a:b", "a:-1", "a:80:80", "a b", "a/b", "a@b", "a?b", "a\"b"]
        {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
        for host in ["[::1", "[::1]x", "[zz]", "[1.2.3.4]", "a%zz", "a|b", "http://a", "\u{e4}"] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn targets_are_paths_or_addresses_of_the_named_host() {
        let judge = |start: &str, fields: &[(&'static str, &'static str)]| {
            let (method, target) = start.split_once(' ').unwrap();
            let field = |(name, value): &(&'static str, &'static str)| {
                (Bytes::from_static(name.as_bytes()), Bytes::from_static(value.as_bytes()))
            };
            let headers: Vec<(Bytes, Bytes)> = fields.iter().map(field).collect();
            fault(method, target, Version::Http11, &headers).is_none()
        };
        let host = ("Host", "h:8080");
        for start in ["GET /", "POST //x", "OPTIONS *", "GET http://H:8080/x", "GET http://h:8080"] {
            assert!(judge(start, &[host]), "{start}");
        }
        for start in
            ["GET *", "POST *", "GET x", "GET http://h/x", "GET ://h:8080/", "CONNECT h:8080", "GET http:/x"]
        {
            assert!(!judge(start, &[host]), "{start}");
        }
        assert!(!judge("GET /", &[]) && !judge("GET /", &[host, host]));
        assert!(!judge("GET /", &[host, ("Upgrade", "h2c")]));
        assert!(judge("GET /", &[host, ("Upgrade", "h2c"), ("Connection", "keep-alive, Upgrade")]));
    }
}
