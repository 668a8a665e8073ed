//! The error that travels between the parties of an exchange.

use std::borrow::Cow;
use std::fmt;

use super::ErrorCode;

/// Prefix of errors caused by the information system's request.
pub const CLIENT: &str = "client";
/// Prefix of errors of the consumer's security server.
pub const CLIENT_PROXY: &str = "server.clientproxy";
/// Prefix of errors of the provider's security server.
pub const SERVER_PROXY: &str = "server.serverproxy";

/// An error with its full dotted code, as it is shown to the other party (`transport.md` 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XRoadError {
    code: Cow<'static, str>,
    text: Cow<'static, str>,
}

impl XRoadError {
    /// An error of this server with a bare code, to be prefixed at the edge.
    pub fn new(code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Cow::Borrowed(code.as_str()), text: text.into() }
    }

    /// An error with a code that came from elsewhere, kept as it is.
    pub fn with_code(code: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), text: text.into() }
    }

    /// Puts `prefix` and a dot before the code, unless the code starts with that prefix already.
    /// The code becomes lower case, as official servers do when they wrap an error.
    pub fn prefixed(mut self, prefix: &str) -> Self {
        if self.code.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.code = Cow::Owned(self.code.to_lowercase());
        }
        if !self.code.starts_with(prefix) {
            self.code = Cow::Owned(format!("{prefix}.{}", self.code));
        }
        self
    }

    /// Puts a code before the code as an inner class, for example `service_failed`.
    pub fn within(self, class: ErrorCode) -> Self {
        self.prefixed(class.as_str())
    }

    /// The full dotted code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What happened, for people.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the last part of the code is `code`, in the spelling of 7.8 or of older versions.
    pub fn is(&self, code: ErrorCode) -> bool {
        code.matches(&self.code)
    }
}

impl fmt::Display for XRoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl std::error::Error for XRoadError {}

impl From<super::IdentifierError> for XRoadError {
    fn from(error: super::IdentifierError) -> Self {
        Self::new(ErrorCode::InternalError, error.to_string())
    }
}

/// A SOAP fault, of a security server or of a service (`transport.md` 5.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fault {
    /// `faultcode`, its case untouched.
    pub code: String,
    /// `faultstring`.
    pub string: String,
    /// `faultactor`; security servers leave it empty.
    pub actor: String,
    /// Text of `faultDetail`, or of `detail` itself.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_added_once_and_lowers_the_code() {
        let error =
            XRoadError::new(ErrorCode::UnknownService, "x").prefixed(SERVER_PROXY).prefixed(SERVER_PROXY);
        assert_eq!(error.code(), "server.serverproxy.unknown_service");
        let error = XRoadError::new(ErrorCode::UnknownMember, "x").within(ErrorCode::ServiceFailed);
        assert_eq!(error.prefixed(SERVER_PROXY).code(), "server.serverproxy.service_failed.unknown_member");
        assert_eq!(XRoadError::with_code("MyCode", "x").prefixed(CLIENT).code(), "client.mycode");
    }

    #[test]
    fn trap_transport_06_both_spellings_of_codes_are_the_same() {
        let is = |code: &'static str, expected| XRoadError::with_code(code, "").is(expected);
        assert!(is("Server.ServerProxy.AccessDenied", ErrorCode::AccessDenied));
        assert!(is("server.serverproxy.access_denied", ErrorCode::AccessDenied));
        assert!(is("Server.ClientProxy.OutdatedGlobalConf", ErrorCode::GlobalConfOutdated));
        assert!(is("server.clientproxy.global_conf_outdated", ErrorCode::GlobalConfOutdated));
        assert!(is(
            "logging_failed.mlog.no_timestamping_provider_found",
            ErrorCode::NoTimestampingProviderFound
        ));
        assert!(!is("server.serverproxy.not_access_denied", ErrorCode::AccessDenied));
        assert!(!is("server.serverproxy.access_denied.x", ErrorCode::AccessDenied));
    }
}
