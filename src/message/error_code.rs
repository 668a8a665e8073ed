//! The error codes that may appear on the wire.

use std::fmt;

macro_rules! error_codes {
    ($($group:literal { $($variant:ident = $text:literal,)* })*) => {
        /// The last part of an X-Road error code, in 7.8 spelling (`transport.md` 5.1).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode {
            $($(
                #[doc = concat!("`", $text, "` (", $group, ").")]
                $variant,
            )*)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [ErrorCode] = &[$($(ErrorCode::$variant,)*)*];

            /// The code as written since 7.8: lower snake case.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($(ErrorCode::$variant => $text,)*)*
                }
            }
        }
    };
}

error_codes! {
    "generic" {
        IoError = "io_error",
        NetworkError = "network_error",
        InternalError = "internal_error",
        BadRequest = "bad_request",
        NotFound = "not_found",
        HttpError = "http_error",
        UnknownHost = "unknown_host",
        DatabaseError = "database_error",
        InvalidRequest = "invalid_request",
    }
    "verification" {
        CannotCreateSignature = "cannot_create_signature",
        CertValidation = "cert_validation",
        IncorrectValidationInfo = "incorrect_validation_info",
        CannotCreateCertPath = "cannot_create_cert_path",
        IncorrectCertificate = "incorrect_certificate",
        InvalidSignatureValue = "invalid_signature_value",
        MalformedSignature = "malformed_signature",
        InvalidXml = "invalid_xml",
        InvalidReference = "invalid_reference",
        InvalidCertPath = "invalid_cert_path",
        SignatureVerification = "signature_verification",
        InvalidHashChain = "invalid_hash_chain",
        MalformedHashChain = "malformed_hash_chain",
        HashchainUnusedInputs = "hashchain_unused_inputs",
        InvalidHashChainRef = "invalid_hash_chain_ref",
    }
    "message" {
        SslAuthenticationFailed = "ssl_authentication_failed",
        LoggingFailed = "logging_failed",
        TimestampingFailed = "timestamping_failed",
        InvalidContentType = "invalid_content_type",
        InvalidSoapAction = "invalid_soap_action",
        InvalidHttpMethod = "invalid_http_method",
        InvalidMessage = "invalid_message",
        InvalidSecurityServer = "invalid_security_server",
        MimeParsingFailed = "mime_parsing_failed",
        MissingHeader = "missing_header",
        MissingHeaderField = "missing_header_field",
        DuplicateHeaderField = "duplicate_header_field",
        MissingBody = "missing_body",
        InvalidBody = "invalid_body",
        InconsistentHeaders = "inconsistent_headers",
        InconsistentResponse = "inconsistent_response",
        MissingSoap = "missing_soap",
        InvalidSoap = "invalid_soap",
        MissingRest = "missing_rest",
        AccessDenied = "access_denied",
        ServiceDisabled = "service_disabled",
        ServiceFailed = "service_failed",
        MissingSignature = "missing_signature",
        UnknownService = "unknown_service",
        InvalidProtocolVersion = "invalid_protocol_version",
        InvalidClientIdentifier = "invalid_client_identifier",
        ServiceType = "service_type",
        ClientProxyVersionNotSupported = "client_proxy_version_not_supported",
    }
    "configuration" {
        UnknownMember = "unknown_member",
        MalformedServerConf = "malformed_server_conf",
        MalformedGlobalConf = "malformed_global_conf",
        MalformedOptionalPartsConf = "malformed_optional_parts_conf",
        GlobalConfOutdated = "global_conf_outdated",
        ServiceMissingUrl = "service_missing_url",
        ServiceMalformedUrl = "service_malformed_url",
        HsmNonOperational = "hsm_non_operational",
        MaintenanceMode = "maintenance_mode",
        MalformedAnchor = "malformed_anchor",
        AnchorFileNotFound = "anchor_file_not_found",
    }
    "signer" {
        KeyNotFound = "key_not_found",
        CertNotFound = "cert_not_found",
        CsrNotFound = "csr_not_found",
        TokenNotFound = "token_not_found",
        TokenNotActive = "token_not_active",
        TokenNotInitialized = "token_not_initialized",
        TokenNotAvailable = "token_not_available",
        TokenReadonly = "token_readonly",
        CannotSign = "cannot_sign",
        UnsupportedSignAlgorithm = "unsupported_sign_algorithm",
        CertExists = "cert_exists",
        WrongCertUsage = "wrong_cert_usage",
        LoginFailed = "login_failed",
        LogoutFailed = "logout_failed",
        PinIncorrect = "pin_incorrect",
    }
    "container" {
        AsicInvalidMimeType = "asic_invalid_mime_type",
        AsicMimeTypeNotFound = "asic_mime_type_not_found",
        AsicMessageNotFound = "asic_message_not_found",
        AsicSignatureNotFound = "asic_signature_not_found",
        AsicTimestampNotFound = "asic_timestamp_not_found",
        AsicHashChainNotFound = "asic_hash_chain_not_found",
        AsicHashChainResultNotFound = "asic_hash_chain_result_not_found",
        AsicManifestNotFound = "asic_manifest_not_found",
    }
    "message log" {
        TimestamperFailed = "timestamper_failed",
        NoTimestampingProviderFound = "mlog.no_timestamping_provider_found",
    }
}

impl ErrorCode {
    /// Whether the last part of a full dotted code is this code, in the spelling of 7.8 or of older versions.
    pub fn matches(self, full_code: &str) -> bool {
        let own = self.as_str();
        ends_with(full_code, own)
            || (self == ErrorCode::GlobalConfOutdated && ends_with(full_code, "OutdatedGlobalConf"))
    }
}

// Letters compared without case and without `_`, so that UnknownService and unknown_service are the same.
fn ends_with(full_code: &str, own: &str) -> bool {
    let letters = |text: &str| -> Vec<u8> {
        text.bytes().rev().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase()).collect()
    };
    let (full, own) = (letters(full_code), letters(own));
    full.starts_with(&own) && matches!(full.get(own.len()), None | Some(b'.'))
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
