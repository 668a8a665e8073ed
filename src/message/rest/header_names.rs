use std::borrow::Cow;

// Names that are dropped on both sides of an exchange, whatever their case.
const HOP_BY_HOP: [&str; 13] = [
    "Transfer-Encoding",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Upgrade",
    "Connection",
    "User-Agent",
    "Host",
    "Content-Length",
    "Server",
    "Expect",
];

/// Whether a header belongs to one hop and never becomes part of a message (`transport.md` 2.6).
pub fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|known| known.eq_ignore_ascii_case(name))
}

// Well-known names, sorted by their lower case form.
const KNOWN: [&str; 88] = [
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Accept-Ranges",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Age",
    "Allow",
    "Alt-Svc",
    "Authorization",
    "Cache-Control",
    "Connection",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
    "Cookie",
    "Date",
    "ETag",
    "Expect",
    "Expires",
    "Forwarded",
    "From",
    "Host",
    "HTTP2-Settings",
    "identity",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Last-Modified",
    "Link",
    "Location",
    "Max-Forwards",
    "MIME-Version",
    "Negotiate",
    "Origin",
    "Pragma",
    "Priority",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Range",
    "Referer",
    "Request-Range",
    "Retry-After",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
    "Server",
    "Servlet-Engine",
    "Set-Cookie",
    "Set-Cookie2",
    "Strict-Transport-Security",
    "TE",
    "Timing-Allow-Origin",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Upgrade-Insecure-Requests",
    "User-Agent",
    "Vary",
    "Via",
    "Warning",
    "WWW-Authenticate",
    "X-Content-Type-Options",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Frame-Options",
    "X-Powered-By",
];

/// A well-known header name in its usual case; any other name as it is (X-Road 7.8 behaviour: servers write
/// well-known names anew and keep the case of all others).
pub fn canonical_header_name(name: &str) -> &str {
    let lower = |text: &'static str| text.bytes().map(|byte| byte.to_ascii_lowercase());
    let wanted = || name.bytes().map(|byte| byte.to_ascii_lowercase());
    match KNOWN.binary_search_by(|known| lower(known).cmp(wanted())) {
        Ok(index) => KNOWN[index],
        Err(_) => name,
    }
}

/// Header bytes read as ISO-8859-1 and written as UTF-8, as they stand in a message part.
pub fn latin1_to_utf8(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// Text of a message part as header bytes: ISO-8859-1, other characters become `?`.
pub fn utf8_to_latin1(text: &str) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return Cow::Borrowed(text.as_bytes());
    }
    Cow::Owned(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_names_are_sorted_and_found() {
        assert!(KNOWN.windows(2).all(|pair| pair[0].to_ascii_lowercase() < pair[1].to_ascii_lowercase()));
        assert_eq!(canonical_header_name("aCCept-language"), "Accept-Language");
        assert_eq!(canonical_header_name("etag"), "ETag");
        assert_eq!(canonical_header_name("x-multi"), "x-multi");
    }

    #[test]
    fn bytes_and_text_convert_both_ways() {
        assert_eq!(latin1_to_utf8(b"caf\xe9"), "café");
        assert_eq!(latin1_to_utf8("õ".as_bytes()), "\u{c3}\u{b5}");
        assert_eq!(&*utf8_to_latin1("café €"), b"caf\xe9 ?");
    }
}
