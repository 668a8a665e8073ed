//! The subjects of certificate requests, by profile (`trust.md` 5.6).

use super::Profile;
use crate::crypto::Name;
use crate::message::SecurityServerId;

/// What a subject is put together from.
#[derive(Debug, Clone, Copy)]
pub struct Applicant<'a> {
    /// The server; its owner is the member that asks.
    pub server: &'a SecurityServerId,
    /// Name of the owner, as the instance knows it.
    pub member_name: &'a str,
    /// Host name of the server: the common name where a profile leaves it free.
    pub host: &'a str,
    /// Two letters, where a profile leaves the country free.
    pub country: &'a str,
}

/// One attribute of a subject: the DER contents of its type's OID, and its value.
pub type Attribute = (&'static [u8], String);

const PROFILES: [(&str, Profile); 8] = [
    ("basic", Profile::Basic),
    ("basic-acme", Profile::BasicAcme),
    ("ejbca", Profile::Ejbca),
    ("fivrk", Profile::FiVrk),
    ("fo", Profile::Fo),
    ("is", Profile::Is),
    ("sk-klass3", Profile::SkKlass3),
    ("sk-esteid", Profile::SkEsteId),
];

impl Profile {
    /// By the word that the command line uses.
    pub fn from_word(word: &str) -> Option<Self> {
        PROFILES.iter().find(|(known, _)| *known == word).map(|(_, profile)| *profile)
    }

    /// The word that the command line uses.
    pub fn word(self) -> &'static str {
        PROFILES.iter().find(|(_, profile)| *profile == self).map_or("", |(word, _)| word)
    }

    /// The subject of a request for an authentication certificate; `None` where the profile knows no requests.
    pub fn authentication_subject(self, of: &Applicant<'_>) -> Option<Vec<Attribute>> {
        let Parts { instance, class, code, server, name, host, country } = Parts::of(of);
        Some(match self {
            Self::Basic => attributes([
                (Name::COMMON_NAME, host),
                (Name::SERIAL_NUMBER, code),
                (Name::COUNTRY, country),
                (Name::ORGANIZATION, name),
            ]),
            Self::BasicAcme => attributes([
                (Name::COUNTRY, country),
                (Name::ORGANIZATION, name),
                (Name::SERIAL_NUMBER, code),
                (Name::COMMON_NAME, host),
            ]),
            Self::Ejbca => attributes([(Name::COUNTRY, instance), (Name::COMMON_NAME, server)]),
            Self::FiVrk => attributes([
                (Name::COUNTRY, "FI"),
                (Name::ORGANIZATION, name),
                (Name::SERIAL_NUMBER, &format!("{instance}/{server}/{class}")),
                (Name::COMMON_NAME, host),
            ]),
            Self::Fo => attributes([
                (Name::COUNTRY, "FO"),
                (Name::ORGANIZATION, instance),
                (Name::COMMON_NAME, &format!("{instance}/{class}/{code}/{server}")),
            ]),
            Self::Is => attributes([
                (Name::COUNTRY, "IS"),
                (Name::COMMON_NAME, host),
                (Name::SERIAL_NUMBER, &format!("{instance}/{class}/{code}/{server}")),
            ]),
            Self::SkKlass3 => attributes([(Name::SERIAL_NUMBER, code), (Name::COMMON_NAME, name)]),
            Self::SkEsteId => return None,
        })
    }

    /// The subject of a request for a signing certificate of the owner; `None` where the profile knows no requests.
    pub fn signing_subject(self, of: &Applicant<'_>) -> Option<Vec<Attribute>> {
        let Parts { instance, class, code, server, name, country, .. } = Parts::of(of);
        let whole = format!("{instance}/{class}/{code}/{server}");
        Some(match self {
            Self::Basic => attributes([
                (Name::COMMON_NAME, name),
                (Name::ORGANIZATION, name),
                (Name::BUSINESS_CATEGORY, class),
                (Name::COUNTRY, country),
                (Name::SERIAL_NUMBER, code),
            ]),
            Self::BasicAcme => attributes([
                (Name::COUNTRY, country),
                (Name::ORGANIZATION, name),
                (Name::BUSINESS_CATEGORY, class),
                (Name::SERIAL_NUMBER, code),
                (Name::COMMON_NAME, name),
            ]),
            Self::Ejbca => attributes([
                (Name::COUNTRY, instance),
                (Name::ORGANIZATION, class),
                (Name::COMMON_NAME, code),
            ]),
            Self::FiVrk => attributes([
                (Name::COUNTRY, "FI"),
                (Name::ORGANIZATION, name),
                (Name::SERIAL_NUMBER, &format!("{instance}/{server}/{class}")),
                (Name::COMMON_NAME, code),
            ]),
            Self::Fo | Self::Is => attributes([
                (Name::COUNTRY, if self == Self::Fo { "FO" } else { "IS" }),
                (Name::ORGANIZATION, instance),
                (Name::ORGANIZATIONAL_UNIT, class),
                (Name::COMMON_NAME, code),
                (Name::SERIAL_NUMBER, &whole),
            ]),
            Self::SkKlass3 => attributes([(Name::SERIAL_NUMBER, code), (Name::COMMON_NAME, name)]),
            Self::SkEsteId => return None,
        })
    }

    /// Whether requests of this profile carry the host name as an alternative name.
    pub fn has_alternative_name(self) -> bool {
        matches!(self, Self::BasicAcme | Self::FiVrk)
    }
}

struct Parts<'a> {
    instance: &'a str,
    class: &'a str,
    code: &'a str,
    server: &'a str,
    name: &'a str,
    host: &'a str,
    country: &'a str,
}

impl<'a> Parts<'a> {
    fn of(of: &Applicant<'a>) -> Self {
        Self {
            instance: of.server.instance(),
            class: of.server.member_class(),
            code: of.server.member_code(),
            server: of.server.server_code(),
            name: of.member_name,
            host: of.host,
            country: of.country,
        }
    }
}

fn attributes<const N: usize>(list: [(&'static [u8], &str); N]) -> Vec<Attribute> {
    list.into_iter().map(|(oid, value)| (oid, value.to_owned())).collect()
}
