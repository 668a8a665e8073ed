//! Every way to damage a small XML document a little: each element and attribute in turn.

/// An element: where it begins, where its start tag ends, where it ends.
struct Element<'x> {
    name: &'x str,
    start: usize,
    open: usize,
    end: usize,
}

fn elements(xml: &str) -> Vec<Element<'_>> {
    let mut found = Vec::new();
    for (start, _) in xml.match_indices('<') {
        let rest = &xml[start + 1..];
        let Some(length) = rest.find(|c: char| c.is_whitespace() || c == '>' || c == '/') else { continue };
        let name = &rest[..length];
        if name.is_empty() || name.starts_with(['?', '!', '/']) {
            continue;
        }
        let open = start + xml[start..].find('>').unwrap() + 1;
        let closing = format!("</{name}>");
        let end = match xml[open..].find(&closing) {
            Some(at) if !xml[..open].ends_with("/>") => open + at + closing.len(),
            _ => open,
        };
        found.push(Element { name, start, open, end });
    }
    found
}

/// Variants of `xml` with a name each. `harmless` are attributes, as `element@attribute`, whose values prove nothing.
/// The root is only changed inside.
pub fn damaged(xml: &str, harmless: &[&str]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let elements = elements(xml);
    for element in &elements {
        let Element { name, start, open, end } = *element;
        let label = |what: &str| format!("{name} at {start} {what}");
        let put = |text: &str| format!("{}{text}{}", &xml[..start], &xml[end..]);
        let whole = &xml[start..end];
        if start != elements[0].start {
            out.push((label("removed"), put("")));
            out.push((label("twice"), put(&whole.repeat(2))));
            out.push((label("renamed"), put(&whole.replace(name, &format!("{name}X")))));
            let tag = xml[start..open].trim_end_matches(['>', '/']);
            if end != open {
                out.push((label("emptied"), put(&format!("{tag}></{name}>"))));
            }
        }
        for (attribute, value, at) in attributes(&xml[start..open]) {
            if harmless.contains(&format!("{name}@{attribute}").as_str()) || attribute.starts_with("xmlns") {
                continue;
            }
            let (from, to) = (start + at, start + at + value.len());
            let last = value.char_indices().last().map_or(0, |(last, _)| last);
            let changed = format!("{}Q", &value[..last]);
            out.push((
                label(&format!("{attribute} changed")),
                format!("{}{changed}{}", &xml[..from], &xml[to..]),
            ));
            let cut = from - attribute.len() - 3;
            out.push((label(&format!("{attribute} removed")), format!("{}{}", &xml[..cut], &xml[to + 1..])));
        }
    }
    out
}

// Name, value and where the value stands.
fn attributes(tag: &str) -> Vec<(&str, &str, usize)> {
    let mut out = Vec::new();
    for (at, _) in tag.match_indices("=\"") {
        let name = tag[..at].rsplit(char::is_whitespace).next().unwrap();
        let length = tag[at + 2..].find('"').unwrap();
        out.push((name, &tag[at + 2..at + 2 + length], at + 2));
    }
    out
}

/// Documents that no XML reader here may open, or open differently than another.
pub fn dangerous(xml: &str) -> Vec<(String, String)> {
    let after = |inserted: &str| xml.replacen("?>", &format!("?>{inserted}"), 1);
    let deep = format!("{}{}</", "<a>".repeat(5000), "</a>".repeat(5000));
    [
        ("DOCTYPE", after("<!DOCTYPE a>")),
        ("entity", after("<!DOCTYPE a [<!ENTITY x \"y\">]>")),
        ("external entity", after("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>")),
        ("text before", format!("x{xml}")),
        ("line before", format!("\n{xml}")),
        ("two documents", xml.repeat(2)),
        ("depth of 5000", xml.replacen("</", &deep, 1)),
        ("NUL at the end", format!("{xml}\0")),
        ("unknown encoding", xml.replacen("UTF-8", "x-none", 1)),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into()
}
