//! The join of `xml:base` values that Canonical XML 1.1 (section 2.4) makes of RFC 3986 section 5.2.

/// `reference` resolved against `base`, both possibly relative; no fragment in the result.
pub(super) fn join(base: &str, reference: &str) -> String {
    let base = Parts::of(base);
    let r = Parts::of(reference);
    let (authority, path, query);
    if r.scheme.is_some() || r.authority.is_some() {
        (authority, path, query) = (r.authority, remove_dot_segments(r.path), r.query);
    } else if r.path.is_empty() {
        (authority, path, query) = (base.authority, remove_dot_segments(base.path), r.query.or(base.query));
    } else {
        let merged = if r.path.starts_with('/') {
            r.path.to_owned()
        } else if base.authority.is_some() && base.path.is_empty() {
            format!("/{}", r.path)
        } else {
            // ".." at the end of the base names a folder, so it keeps its slash.
            let folder = match base.path.rfind('/') {
                _ if base.path == ".." || base.path.ends_with("/..") => format!("{}/", base.path),
                Some(at) => base.path.get(..=at).unwrap_or_default().to_owned(),
                None => String::new(),
            };
            folder + r.path
        };
        (authority, path, query) = (base.authority, remove_dot_segments(&merged), r.query);
    }
    let mut out = String::new();
    if let Some(scheme) = r.scheme.or(base.scheme) {
        out.push_str(scheme);
        out.push(':');
    }
    if let Some(authority) = authority {
        out.push_str("//");
        out.push_str(authority);
    }
    out.push_str(&path);
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    out
}

struct Parts<'t> {
    scheme: Option<&'t str>,
    authority: Option<&'t str>,
    path: &'t str,
    query: Option<&'t str>,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Self {
        let text = text.split('#').next().unwrap_or_default();
        let (text, query) = text.split_once('?').map_or((text, None), |(t, q)| (t, Some(q)));
        let is_scheme = |s: &str| {
            s.starts_with(|c: char| c.is_ascii_alphabetic())
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        };
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, text),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(after) => {
                let end = after.find('/').unwrap_or(after.len());
                let (authority, path) = after.split_at(end);
                (Some(authority), path)
            }
            None => (None, rest),
        };
        Self { scheme, authority, path, query }
    }
}

// Unlike RFC 3986, leading ".." of a relative path stay, and slashes in a row become one.
fn remove_dot_segments(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for segment in path.split('/') {
        is_folder = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if absolute => {}
            _ => kept.push(segment),
        }
    }
    let mut out = String::from(if absolute { "/" } else { "" });
    out.push_str(&kept.join("/"));
    if is_folder && !kept.is_empty() {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn joins_as_canonical_xml_1_1_does() {
        let base = "http://a/b/c/d";
        for (base, reference, joined) in [
            ("", "http://a/b", "http://a/b"),
            (base, "e", "http://a/b/c/e"),
            (base, "../e", "http://a/b/e"),
            (base, "/e?q#f", "http://a/e?q"),
            (base, "", "http://a/b/c/d"),
            (base, "urn:x", "urn:x"),
            ("..", "x", "../x"),
            ("../a/", "../../x", "../../x"),
            ("http://a", "b", "http://a/b"),
        ] {
            assert_eq!(join(base, reference), joined, "{base} {reference}");
        }
    }
}
