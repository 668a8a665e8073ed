//! The parts of a multipart body that is held in memory, for the example service and for checking its answers.

use std::ops::Range;

use memchr::memmem;

/// Where one part lies in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From the delimiter's line to the empty line, both included.
    pub head: Range<usize>,
    /// The content.
    pub content: Range<usize>,
}

/// The boundary, if `content_type` is `multipart/related`.
pub fn boundary(content_type: &str) -> Option<&str> {
    let mut parts = content_type.split(';').map(str::trim);
    parts.next().filter(|base| base.eq_ignore_ascii_case("multipart/related"))?;
    let (_, value) =
        parts.filter_map(|p| p.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    Some(value.trim_matches('"'))
}

/// The parts of `body`; `None` unless it is complete up to its closing delimiter.
pub fn parts(boundary: &str, body: &[u8]) -> Option<Vec<Part>> {
    let delimiter = format!("\r\n--{boundary}");
    let find = |from: usize, what: &[u8]| memmem::find(body.get(from..)?, what).map(|at| from + at);
    // The first delimiter may stand at the very beginning.
    let mut at =
        if body.starts_with(&delimiter.as_bytes()[2..]) { 0 } else { find(0, delimiter.as_bytes())? + 2 };
    let mut parts = Vec::new();
    loop {
        let after = at + delimiter.len() - 2;
        if body.get(after..)?.starts_with(b"--") {
            return Some(parts);
        }
        let head_end = find(after, b"\r\n\r\n")? + 4;
        // A part without content: the empty line's break belongs to the next delimiter.
        let end = find(head_end - 2, delimiter.as_bytes())?;
        parts.push(Part { head: at..head_end, content: head_end..end.max(head_end) });
        at = end + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_parts_and_refuses_a_body_that_is_cut() {
        let body =
            b"preamble\r\n--b\r\nA: 1\r\n\r\none\r\n--b\r\n\r\n\r\n--b\r\nB: 2\r\n\r\nthree\r\n\r\n--b--\r\n";
        let found = parts("b", body).unwrap();
        let contents: Vec<&[u8]> = found.iter().map(|p| &body[p.content.clone()]).collect();
        assert_eq!(contents, [&b"one"[..], b"", b"three\r\n"]);
        assert_eq!(parts("b", &body[..body.len() - 5]), None);
        assert_eq!(boundary("Multipart/Related; type=\"text/xml\"; boundary=\"b\""), Some("b"));
    }
}
