//! Certificate profiles: whose a sign certificate is.

use super::GlobalConf;
use super::global_conf::unknown_instance;
use crate::crypto::{Certificate, Name};
use crate::message::{ErrorCode, MemberId, XRoadError};

/// The eight profiles of X-Road 7.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Profile {
    Basic,
    BasicAcme,
    Ejbca,
    FiVrk,
    Fo,
    Is,
    SkKlass3,
    SkEsteId,
}

const PACKAGE: &str = "ee.ria.xroad.common.certificateprofile.impl.";

/// The member that a sign certificate belongs to, by the profile of the CA that issued it. `instance` is the
/// instance of the claimed member: its CAs count, and some profiles take it over. Errors: `internal_error`
/// (unknown issuer or profile), `incorrect_certificate`, `invalid_certificate`.
pub fn subject_client_id(
    global_conf: &GlobalConf,
    certificate: &Certificate,
    instance: &str,
) -> Result<MemberId, XRoadError> {
    if global_conf.shared_params(instance).is_none() {
        return Err(unknown_instance(instance));
    }
    let class = global_conf.profile_by_ca_subject(instance, certificate.issuer()).ok_or_else(|| {
        let text = "certificate is not issued by an approved certification service provider";
        XRoadError::new(ErrorCode::InternalError, text)
    })?;
    let profile = Profile::from_class(class).ok_or_else(|| {
        XRoadError::new(ErrorCode::InternalError, format!("certificate profile \"{class}\" is not known"))
    })?;
    profile.member(certificate.subject(), instance)
}

impl Profile {
    /// By the Java class name that shared parameters carry.
    pub fn from_class(class: &str) -> Option<Self> {
        Some(match class.trim().strip_prefix(PACKAGE)? {
            "BasicCertificateProfileInfoProvider" => Self::Basic,
            "BasicACMECertificateProfileInfoProvider" => Self::BasicAcme,
            "EjbcaCertificateProfileInfoProvider" => Self::Ejbca,
            "FiVRKCertificateProfileInfoProvider" => Self::FiVrk,
            "FoCertificateProfileInfoProvider" => Self::Fo,
            "IsCertificateProfileInfoProvider" => Self::Is,
            "SkKlass3CertificateProfileInfoProvider" => Self::SkKlass3,
            "SkEsteIdCertificateProfileInfoProvider" => Self::SkEsteId,
            _ => return None,
        })
    }

    /// Reads a member from the subject of a sign certificate.
    pub fn member(self, subject: &Name, instance: &str) -> Result<MemberId, XRoadError> {
        let read = match self {
            Self::Basic | Self::BasicAcme => basic(subject, instance),
            Self::Ejbca => country_organisation_name(subject),
            Self::FiVrk => fivrk(subject),
            Self::Fo => with_serial_number(subject, "FO"),
            Self::Is if !has(subject, Name::SERIAL_NUMBER) && !has(subject, Name::ORGANIZATIONAL_UNIT) => {
                country_organisation_name(subject)
            }
            Self::Is => with_serial_number(subject, "IS"),
            Self::SkKlass3 => sk_klass3(subject, instance),
            Self::SkEsteId => {
                require(subject, Name::SERIAL_NUMBER).map(|code| member(instance, "PERSON", &code))
            }
        };
        let member = read.and_then(|member| member.ok_or("an identifier in the certificate is blank"));
        member.map_err(|text| match self {
            Self::BasicAcme | Self::SkKlass3 | Self::SkEsteId => {
                XRoadError::with_code("invalid_certificate", text)
            }
            _ => XRoadError::new(ErrorCode::IncorrectCertificate, text),
        })
    }
}

// Outer: the subject does not fit the profile. Inner: a part of the identifier is blank.
type Read = Result<Option<MemberId>, &'static str>;

fn member(instance: &str, class: &str, code: &str) -> Option<MemberId> {
    MemberId::new(instance, class, code).ok()
}

fn has(subject: &Name, oid: &[u8]) -> bool {
    subject.attribute(oid).is_some()
}

fn require(subject: &Name, oid: &'static [u8]) -> Result<String, &'static str> {
    subject.attribute(oid).ok_or(match oid {
        Name::COUNTRY => "certificate subject has no country",
        Name::ORGANIZATION => "certificate subject has no organisation",
        Name::ORGANIZATIONAL_UNIT => "certificate subject has no organisational unit",
        Name::COMMON_NAME => "certificate subject has no common name",
        Name::SERIAL_NUMBER => "certificate subject has no serial number",
        _ => "certificate subject has no business category",
    })
}

fn require_country(subject: &Name, country: &str) -> Result<(), &'static str> {
    if require(subject, Name::COUNTRY)? == country {
        Ok(())
    } else {
        Err("certificate subject is of another country")
    }
}

fn basic(subject: &Name, instance: &str) -> Read {
    let class = require(subject, Name::BUSINESS_CATEGORY)?;
    Ok(member(instance, &class, &require(subject, Name::SERIAL_NUMBER)?))
}

fn country_organisation_name(subject: &Name) -> Read {
    let instance = require(subject, Name::COUNTRY)?;
    let class = require(subject, Name::ORGANIZATION)?;
    Ok(member(&instance, &class, &require(subject, Name::COMMON_NAME)?))
}

fn organisation_unit_name(subject: &Name) -> Read {
    let instance = require(subject, Name::ORGANIZATION)?;
    let class = require(subject, Name::ORGANIZATIONAL_UNIT)?;
    Ok(member(&instance, &class, &require(subject, Name::COMMON_NAME)?))
}

fn with_serial_number(subject: &Name, country: &str) -> Read {
    require_country(subject, country)?;
    require(subject, Name::SERIAL_NUMBER)?;
    organisation_unit_name(subject)
}

fn fivrk(subject: &Name) -> Read {
    let Some(serial) = subject.attribute(Name::SERIAL_NUMBER) else {
        if !has(subject, Name::ORGANIZATIONAL_UNIT) {
            return country_organisation_name(subject);
        }
        require_country(subject, "FI")?;
        return organisation_unit_name(subject);
    };
    require_country(subject, "FI")?;
    require(subject, Name::ORGANIZATION)?;
    let code = require(subject, Name::COMMON_NAME)?;
    // Trailing empty parts do not count, as in Java's split.
    match *serial.trim_end_matches('/').split('/').collect::<Vec<_>>() {
        [instance, _server, class] => Ok(member(instance, class, &code)),
        _ => Err("serial number of the certificate subject does not have three parts"),
    }
}

fn sk_klass3(subject: &Name, instance: &str) -> Read {
    if let Some(identifier) = subject.attribute(Name::ORGANIZATION_IDENTIFIER) {
        let classes = [("NTREE-", "COM"), ("GO:EE-", "GOV"), ("NP:EE-", "NGO")];
        for (prefix, class) in classes {
            if let Some(code) = identifier.strip_prefix(prefix) {
                return Ok(member(instance, class, code));
            }
        }
        return Ok(member(instance, "NEE", &identifier));
    }
    let code = require(subject, Name::SERIAL_NUMBER)?;
    if code.len() != 8 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("serial number of the certificate subject is not eight digits");
    }
    let class = match code.bytes().next() {
        Some(b'1'..=b'6') => "COM",
        Some(b'7') => "GOV",
        Some(b'8' | b'9') => "NGO",
        _ => return Err("serial number of the certificate subject has no class"),
    };
    Ok(member(instance, class, &code))
}
