//! Failures of connections in the protocol's codes (`transport.md` 5.1).

use std::io::ErrorKind;

use crate::message::{ErrorCode, XRoadError};
use crate::worker::{HttpError, Wait};

/// The X-Road error of a failed connection to `whom`: `unknown_host`, `network_error` when the connection was refused
/// or reset, else `io_error` (time-outs, TLS, broken HTTP).
pub fn http_failure(error: &HttpError, whom: &str) -> XRoadError {
    let code = match error {
        HttpError::UnknownHost(_) => ErrorCode::UnknownHost,
        HttpError::Connect { .. } => ErrorCode::NetworkError,
        HttpError::Timeout(Wait::Connect) => ErrorCode::IoError,
        HttpError::Io(source) if is_reset(source.kind()) => ErrorCode::NetworkError,
        _ => ErrorCode::IoError,
    };
    XRoadError::new(code, format!("{whom}: {error}"))
}

fn is_reset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_table_of_the_protocol() {
        let code = |error| http_failure(&error, "x").code().to_string();
        assert_eq!(code(HttpError::UnknownHost("x".into())), "unknown_host");
        let address = ([127, 0, 0, 1], 1).into();
        let refused = HttpError::Connect { address, source: ErrorKind::ConnectionRefused.into() };
        assert_eq!(code(refused), "network_error");
        assert_eq!(code(HttpError::Io(ErrorKind::ConnectionReset.into())), "network_error");
        assert_eq!(code(HttpError::Timeout(Wait::Head)), "io_error");
        assert_eq!(code(HttpError::Truncated), "io_error");
    }
}
