use crate::message::{ErrorCode, XRoadError};

/// Checks the value of `SOAPAction`: missing, empty, `""` or a URI reference in double quotes; gives what is
/// forwarded, empty when missing. Error: `invalid_soap_action` (`transport.md` 2.3).
pub fn check_soap_action(value: Option<&[u8]>) -> Result<&str, XRoadError> {
    let refuse = || XRoadError::new(ErrorCode::InvalidSoapAction, "Malformed SOAPAction header");
    let text = std::str::from_utf8(value.unwrap_or_default()).map_err(|_| refuse())?;
    if text.is_empty() {
        return Ok(text);
    }
    let uri = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(refuse)?;
    let bytes = uri.as_bytes();
    let is_uri_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?#[]%".contains(&byte);
    let escapes_are_whole = memchr::memchr_iter(b'%', bytes)
        .all(|at| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)));
    let one_fragment = memchr::memchr_iter(b'#', bytes).count() <= 1;
    if bytes.iter().all(|byte| is_uri_byte(*byte)) && escapes_are_whole && one_fragment {
        Ok(text)
    } else {
        Err(refuse())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_quoted_reference_or_nothing() {
        for good in [&b""[..], b"\"\"", b"\"urn:x\"", b"\"http://a/b?c#d\"", b"\"a%20b\""] {
            assert_eq!(check_soap_action(Some(good)).unwrap().as_bytes(), good);
        }
        assert_eq!(check_soap_action(None).unwrap(), "");
        for bad in [&b"urn:x"[..], b"\"", b"\"a b\"", b"\"%zz\"", b"\"a\"b\"", b"\"\xff\"", b"\"a#b#c\""] {
            assert!(check_soap_action(Some(bad)).unwrap_err().is(ErrorCode::InvalidSoapAction));
        }
    }
}
