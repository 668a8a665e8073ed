//! Header values with parameters, split as Jetty splits them.

/// `value; name=value; name="quoted"`. Names are case-sensitive; double quotes protect semicolons and allow
/// backslash escapes; single quotes are ordinary characters; bare values may contain blanks.
pub(super) struct Parameters {
    pub value: String,
    parameters: Vec<(String, String)>,
}

impl Parameters {
    pub(super) fn read(text: &str) -> Self {
        let mut pieces = split_unquoted(text).into_iter();
        let value = unescape(pieces.next().unwrap_or_default().trim());
        let parameters = pieces
            .filter_map(|piece| {
                let (name, value) = piece.split_once('=')?;
                Some((name.trim().to_owned(), unescape(value.trim())))
            })
            .collect();
        Self { value, parameters }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn get_any_case(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

fn split_unquoted(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                pieces.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.extend(text.get(start..));
    pieces
}

fn unescape(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    out
}
