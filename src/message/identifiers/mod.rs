//! Identifiers of members, subsystems, services, security servers and groups.
//!
//! Equality is by type and by every field, byte by byte; the text forms are for people and logs only, since
//! absent fields are skipped in them.

mod memo;

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use self::memo::Memo;
use super::fields::Fields;
use super::percent::{decode_segment, encode_segment};

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdentifierError {
    /// A mandatory field is empty or has only blanks.
    #[error("identifier field \"{0}\" is blank")]
    Blank(&'static str),
    /// The number of path segments is wrong.
    #[error("identifier has {found} parts, expected {expected}")]
    Parts {
        /// Parts seen.
        found: usize,
        /// What was expected, in words.
        expected: &'static str,
    },
    /// A percent escape is unfinished or not hexadecimal.
    #[error("identifier has a bad percent escape")]
    Escape,
    /// A character that a path segment cannot hold.
    #[error("identifier has a character that must be percent-encoded")]
    Character,
}

thread_local! {
    static CLIENTS: Memo<ClientId> = Memo::new();
    static SERVICES: Memo<ServiceId> = Memo::new();
}

const NAMES: [&str; 3] = ["xRoadInstance", "memberClass", "memberCode"];

fn filled(name: &'static str, value: &str) -> Result<(), IdentifierError> {
    if value.chars().all(char::is_whitespace) { Err(IdentifierError::Blank(name)) } else { Ok(()) }
}

fn member_filled(values: [&str; 3]) -> Result<(), IdentifierError> {
    NAMES.iter().zip(values).try_for_each(|(name, value)| filled(name, value))
}

fn write_short<const N: usize>(fields: &Fields<N>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut separator = "";
    for field in fields.iter().flatten() {
        write!(f, "{separator}{field}")?;
        separator = "/";
    }
    Ok(())
}

fn join_rest<const N: usize>(fields: &Fields<N>) -> String {
    let mut text = String::with_capacity(fields.len() + N);
    for field in fields.iter().flatten() {
        if !text.is_empty() {
            text.push('/');
        }
        text.push_str(&encode_segment(field));
    }
    text
}

fn split_rest(text: &str) -> Result<Vec<Cow<'_, str>>, IdentifierError> {
    text.split('/').map(decode_segment).collect()
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $n:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Fields<$n>);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_short(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{self}", self.type_name())
            }
        }
    };
}

identifier! {
    /// A member: instance, member class, member code. Displayed as `LAB/GOV/100`.
    MemberId, 3
}

identifier! {
    /// A client or provider: a member or, when it has a subsystem code, a subsystem of it.
    ClientId, 4
}

identifier! {
    /// A service: its provider client, a service code and perhaps a version.
    ServiceId, 6
}

identifier! {
    /// A security server: its owner member and a server code.
    SecurityServerId, 4
}

identifier! {
    /// A group of clients defined by an instance's global configuration.
    GlobalGroupId, 2
}

identifier! {
    /// A group of clients defined by a provider on its own security server.
    LocalGroupId, 1
}

macro_rules! member_fields {
    () => {
        /// The instance identifier (`xRoadInstance`).
        pub fn instance(&self) -> &str {
            self.0.must(0)
        }

        /// The member class.
        pub fn member_class(&self) -> &str {
            self.0.must(1)
        }

        /// The member code.
        pub fn member_code(&self) -> &str {
            self.0.must(2)
        }
    };
}

impl MemberId {
    /// From its fields, none of them blank.
    pub fn new(instance: &str, member_class: &str, member_code: &str) -> Result<Self, IdentifierError> {
        member_filled([instance, member_class, member_code])?;
        Ok(Self(Fields::new([Some(instance), Some(member_class), Some(member_code)])))
    }

    member_fields!();

    /// `MEMBER`.
    pub fn type_name(&self) -> &'static str {
        "MEMBER"
    }

    /// This member as a client without subsystem.
    pub fn client(&self) -> ClientId {
        ClientId(Fields::new([self.0.get(0), self.0.get(1), self.0.get(2), None]))
    }
}

impl ClientId {
    /// From its fields; a subsystem code that is given must not be blank.
    pub fn new(
        instance: &str,
        member_class: &str,
        member_code: &str,
        subsystem_code: Option<&str>,
    ) -> Result<Self, IdentifierError> {
        member_filled([instance, member_class, member_code])?;
        subsystem_code.map_or(Ok(()), |code| filled("subsystemCode", code))?;
        Ok(Self(Fields::new([Some(instance), Some(member_class), Some(member_code), subsystem_code])))
    }

    /// From three or four percent-encoded path segments, as in `X-Road-Client` (PR-REST 4.3).
    pub fn from_rest(text: &str) -> Result<Self, IdentifierError> {
        Memo::read(&CLIENTS, text, |text| match split_rest(text)?.as_slice() {
            [instance, class, code] => Self::new(instance, class, code, None),
            [instance, class, code, subsystem] => Self::new(instance, class, code, Some(subsystem)),
            parts => Err(IdentifierError::Parts { found: parts.len(), expected: "3 or 4" }),
        })
    }

    member_fields!();

    /// The subsystem code, absent for a member.
    pub fn subsystem_code(&self) -> Option<&str> {
        self.0.get(3)
    }

    /// The member that owns this client; shares the text.
    pub fn member(&self) -> MemberId {
        MemberId(self.0.prefix())
    }

    /// `SUBSYSTEM` when there is a subsystem code, else `MEMBER`.
    pub fn type_name(&self) -> &'static str {
        if self.subsystem_code().is_some() { "SUBSYSTEM" } else { "MEMBER" }
    }

    /// Percent-encoded path segments joined by `/`, as in `x-road-client`.
    pub fn to_rest(&self) -> String {
        join_rest(&self.0)
    }
}

impl ServiceId {
    /// A service of `client`; the code must not be blank.
    pub fn new(
        client: &ClientId,
        service_code: &str,
        service_version: Option<&str>,
    ) -> Result<Self, IdentifierError> {
        filled("serviceCode", service_code)?;
        let [instance, class, code] = [client.0.get(0), client.0.get(1), client.0.get(2)];
        let subsystem = client.0.get(3);
        Ok(Self(Fields::new([instance, class, code, subsystem, Some(service_code), service_version])))
    }

    /// From exactly five percent-encoded path segments, the fourth being the subsystem (X-Road 7.8 behaviour:
    /// REST reaches services of subsystems only, and never a version).
    pub fn from_rest(text: &str) -> Result<Self, IdentifierError> {
        Memo::read(&SERVICES, text, |text| match split_rest(text)?.as_slice() {
            [instance, class, code, subsystem, service] => {
                Self::new(&ClientId::new(instance, class, code, Some(subsystem))?, service, None)
            }
            parts => Err(IdentifierError::Parts { found: parts.len(), expected: "5" }),
        })
    }

    member_fields!();

    /// The subsystem code of the provider, absent for a service of a member.
    pub fn subsystem_code(&self) -> Option<&str> {
        self.0.get(3)
    }

    /// The service code.
    pub fn service_code(&self) -> &str {
        self.0.must(4)
    }

    /// The service version; REST services have none.
    pub fn service_version(&self) -> Option<&str> {
        self.0.get(5)
    }

    /// The provider; shares the text.
    pub fn client(&self) -> ClientId {
        ClientId(self.0.prefix())
    }

    /// `SERVICE`.
    pub fn type_name(&self) -> &'static str {
        "SERVICE"
    }

    /// Percent-encoded path segments joined by `/`, as in `x-road-service`; absent fields are left out.
    pub fn to_rest(&self) -> String {
        join_rest(&self.0)
    }
}

impl SecurityServerId {
    /// From its fields, none of them blank.
    pub fn new(
        instance: &str,
        member_class: &str,
        member_code: &str,
        server_code: &str,
    ) -> Result<Self, IdentifierError> {
        member_filled([instance, member_class, member_code])?;
        filled("serverCode", server_code)?;
        Ok(Self(Fields::new([Some(instance), Some(member_class), Some(member_code), Some(server_code)])))
    }

    /// From exactly four percent-encoded path segments, as in `X-Road-Security-Server`.
    pub fn from_rest(text: &str) -> Result<Self, IdentifierError> {
        match split_rest(text)?.as_slice() {
            [instance, class, code, server] => Self::new(instance, class, code, server),
            parts => Err(IdentifierError::Parts { found: parts.len(), expected: "4" }),
        }
    }

    member_fields!();

    /// The server code.
    pub fn server_code(&self) -> &str {
        self.0.must(3)
    }

    /// The member that owns this security server; shares the text.
    pub fn owner(&self) -> MemberId {
        MemberId(self.0.prefix())
    }

    /// `SERVER`.
    pub fn type_name(&self) -> &'static str {
        "SERVER"
    }

    /// Percent-encoded path segments joined by `/`.
    pub fn to_rest(&self) -> String {
        join_rest(&self.0)
    }
}

impl GlobalGroupId {
    /// From its fields, none of them blank.
    pub fn new(instance: &str, group_code: &str) -> Result<Self, IdentifierError> {
        filled("xRoadInstance", instance)?;
        filled("groupCode", group_code)?;
        Ok(Self(Fields::new([Some(instance), Some(group_code)])))
    }

    /// The instance identifier.
    pub fn instance(&self) -> &str {
        self.0.must(0)
    }

    /// The group code.
    pub fn group_code(&self) -> &str {
        self.0.must(1)
    }

    /// `GLOBALGROUP`.
    pub fn type_name(&self) -> &'static str {
        "GLOBALGROUP"
    }
}

impl LocalGroupId {
    /// From its code, not blank.
    pub fn new(group_code: &str) -> Result<Self, IdentifierError> {
        filled("groupCode", group_code)?;
        Ok(Self(Fields::new([Some(group_code)])))
    }

    /// The group code.
    pub fn group_code(&self) -> &str {
        self.0.must(0)
    }

    /// `LOCALGROUP`.
    pub fn type_name(&self) -> &'static str {
        "LOCALGROUP"
    }
}

/// Whom a client acts for: an optional class and a code (PR-REST 4.3, `representation.xsd`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RepresentedParty {
    /// Class of the party.
    pub party_class: Option<String>,
    /// Code of the party; SOAP does not enforce its presence.
    pub party_code: Option<String>,
}

impl RepresentedParty {
    /// From one or two percent-encoded path segments: code, or class and code.
    pub fn from_rest(text: &str) -> Result<Self, IdentifierError> {
        let mut parts = split_rest(text)?;
        while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        match parts.as_slice() {
            [code] => Ok(Self { party_class: None, party_code: Some(code.to_string()) }),
            [class, code] => {
                Ok(Self { party_class: Some(class.to_string()), party_code: Some(code.to_string()) })
            }
            parts => Err(IdentifierError::Parts { found: parts.len(), expected: "1 or 2" }),
        }
    }
}

/// Whether a field holds characters that official servers warn about: controls, `% : ; / \`, zero width space
/// and byte order mark (X-Road 7.8 behaviour). Such identifiers are accepted everywhere; warn at most.
pub fn has_discouraged_characters(field: &str) -> bool {
    field.chars().any(|c| {
        matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '%' | ':' | ';' | '/' | '\\' | '\u{200b}' | '\u{feff}')
    })
}

#[cfg(test)]
mod tests;
