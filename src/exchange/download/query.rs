//! Parameters of a request's query.

/// The parameters in order, form-decoded: `+` is a blank, `%XX` a byte; bytes that are not UTF-8 are replaced.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Of a raw request target.
    pub fn of(target: &[u8]) -> Self {
        let query = target.iter().position(|byte| *byte == b'?').and_then(|at| target.get(at + 1..));
        let parameters =
            query.unwrap_or_default().split(|byte| *byte == b'&').filter(|part| !part.is_empty());
        let pairs = parameters.map(|part| {
            let mut halves = part.splitn(2, |byte| *byte == b'=');
            (decode(halves.next().unwrap_or_default()), decode(halves.next().unwrap_or_default()))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter that is not blank.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.trim().is_empty())
    }

    /// The last value of a parameter whose name is compared without case.
    pub fn last_ignoring_case(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }
}

fn decode(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escaped = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, after))
            }
            _ => None,
        };
        match escaped {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => bytes.push(if *first == b'+' { b' ' } else { *first }),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_form_decoded() {
        let query = Query::of(b"/asic?queryId=a%2Fb+c%zz&requestOnly&x=&serviceCode=1&ServiceCode=2");
        assert_eq!(query.value("queryId"), Some("a/b c%zz"));
        assert!(query.has("requestOnly") && !query.has("responseOnly"));
        assert_eq!(query.value("x"), None);
        assert_eq!(query.last_ignoring_case("servicecode"), Some("2"));
        assert_eq!(Query::of(b"/asic").value("a"), None);
    }
}
