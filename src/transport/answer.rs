use super::{Decoder, HASH_ALGORITHM};
use crate::message::{ContentType, ErrorCode, XRoadError};

/// What the provider's security server answers with, by status and `Content-Type` (`transport.md` 3.3).
#[derive(Debug)]
pub enum Answer {
    /// A transport message.
    Multipart(Box<Decoder>),
    /// One SOAP fault; anything else in it is `invalid_message`.
    PlainFault,
}

impl Answer {
    /// Errors: `http_error` for a status other than 200 and 500, `invalid_content_type` for a missing or other type.
    pub fn of(status: u16, content_type: Option<&str>) -> Result<Self, XRoadError> {
        if !matches!(status, 200 | 500) {
            let text = format!("Provider security server answered with HTTP status {status}");
            return Err(XRoadError::new(ErrorCode::HttpError, text));
        }
        let missing = || {
            XRoadError::new(ErrorCode::InvalidContentType, "Provider security server sent no content type")
        };
        let content_type = content_type.filter(|value| !value.trim().is_empty()).ok_or_else(missing)?;
        if ContentType::parse(content_type).is_some_and(|kind| kind.is("text/xml")) {
            return Ok(Self::PlainFault);
        }
        Ok(Self::Multipart(Box::new(Decoder::new(content_type)?)))
    }
}

/// Checks `x-hash-algorithm` of a transport message: SHA-512, without case. Error: `internal_error`, as official
/// servers answer when it is missing.
pub fn check_hash_algorithm(value: Option<&str>) -> Result<(), XRoadError> {
    match value {
        Some(name) if name.trim().eq_ignore_ascii_case(HASH_ALGORITHM) => Ok(()),
        Some(_) => {
            Err(XRoadError::new(ErrorCode::InternalError, "Hash algorithm of the message is not SHA-512"))
        }
        None => Err(XRoadError::new(ErrorCode::InternalError, "Hash algorithm of the message is missing")),
    }
}
