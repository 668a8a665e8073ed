use super::header::SoapHeader;
use super::{IDENTIFIERS_NAMESPACE, REPRESENTATION_NAMESPACE, XROAD_NAMESPACE};
use crate::limits::MESSAGE_ID_CHARS_MAX;
use crate::message::{ClientId, ErrorCode, SecurityServerId, ServiceId, XRoadError};
use crate::xml::StartTag;

/// A header block, or a child of an identifier header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    ProtocolVersion,
    Id,
    UserId,
    Issue,
    RequestHash,
    Client,
    Service,
    SecurityServer,
    RepresentedParty,
    Instance,
    MemberClass,
    MemberCode,
    SubsystemCode,
    ServiceCode,
    ServiceVersion,
    ServerCode,
    PartyClass,
    PartyCode,
}

use Field::*;

impl Field {
    pub(super) fn of_block(namespace: &str, local: &str) -> Option<Self> {
        match (namespace, local) {
            (XROAD_NAMESPACE, "protocolVersion") => Some(ProtocolVersion),
            (XROAD_NAMESPACE, "id") => Some(Id),
            (XROAD_NAMESPACE, "userId") => Some(UserId),
            (XROAD_NAMESPACE, "issue") => Some(Issue),
            (XROAD_NAMESPACE, "requestHash") => Some(RequestHash),
            (XROAD_NAMESPACE, "client") => Some(Client),
            (XROAD_NAMESPACE, "service") => Some(Service),
            (XROAD_NAMESPACE, "securityServer") => Some(SecurityServer),
            (REPRESENTATION_NAMESPACE, "representedParty") => Some(RepresentedParty),
            _ => None,
        }
    }

    pub(super) fn of_child(namespace: &str, local: &str) -> Option<Self> {
        match (namespace, local) {
            (IDENTIFIERS_NAMESPACE, "xRoadInstance") => Some(Instance),
            (IDENTIFIERS_NAMESPACE, "memberClass") => Some(MemberClass),
            (IDENTIFIERS_NAMESPACE, "memberCode") => Some(MemberCode),
            (IDENTIFIERS_NAMESPACE, "subsystemCode") => Some(SubsystemCode),
            (IDENTIFIERS_NAMESPACE, "serviceCode") => Some(ServiceCode),
            (IDENTIFIERS_NAMESPACE, "serviceVersion") => Some(ServiceVersion),
            (IDENTIFIERS_NAMESPACE, "serverCode") => Some(ServerCode),
            (REPRESENTATION_NAMESPACE, "partyClass") => Some(PartyClass),
            (REPRESENTATION_NAMESPACE, "partyCode") => Some(PartyCode),
            _ => None,
        }
    }

    /// Whether a block holds text, not children.
    pub(super) fn is_text(self) -> bool {
        matches!(self, ProtocolVersion | Id | UserId | Issue | RequestHash)
    }

    fn object_types(self) -> &'static [&'static str] {
        match self {
            Client => &["MEMBER", "SUBSYSTEM"],
            Service => &["SERVICE"],
            SecurityServer => &["SERVER"],
            _ => &[],
        }
    }
}

type Texts = Vec<(Field, String)>;

/// The X-Road headers while they are read.
#[derive(Debug, Default)]
pub(super) struct Fields {
    texts: Texts,
    groups: Vec<(Field, Texts)>,
    hash_algorithm: String,
}

impl Fields {
    pub(super) fn open_block(&mut self, block: Field, tag: &StartTag<'_, '_>) -> Result<(), XRoadError> {
        let known = self.texts.iter().any(|(field, _)| *field == block);
        if known || self.groups.iter().any(|(field, _)| *field == block) {
            return Err(duplicate(tag.local));
        }
        if block.is_text() {
            if block == RequestHash {
                self.hash_algorithm = tag.attribute("algorithmId").unwrap_or_default().to_owned();
            }
            self.texts.push((block, String::new()));
            return Ok(());
        }
        let types = block.object_types();
        if !types.is_empty() {
            let found = tag.attribute_ns(IDENTIFIERS_NAMESPACE, "objectType");
            if !found.is_some_and(|found| types.contains(&found)) {
                let text = format!("Missing or unexpected objectType of header '{}'", tag.local);
                return Err(XRoadError::new(ErrorCode::InvalidXml, text));
            }
        }
        self.groups.push((block, Vec::with_capacity(6)));
        Ok(())
    }

    pub(super) fn open_child(&mut self, block: Field, child: Field) -> Result<(), XRoadError> {
        let Some((_, texts)) = self.groups.iter_mut().find(|(field, _)| *field == block) else {
            return Ok(());
        };
        if texts.iter().any(|(field, _)| *field == child) {
            return Err(duplicate(&format!("{child:?}")));
        }
        texts.push((child, String::new()));
        Ok(())
    }

    pub(super) fn push(&mut self, block: Field, text: &str) {
        push(&mut self.texts, block, text);
    }

    pub(super) fn push_child(&mut self, block: Field, child: Field, text: &str) {
        if let Some((_, texts)) = self.groups.iter_mut().find(|(field, _)| *field == block) {
            push(texts, child, text);
        }
    }

    pub(super) fn is_version_4(&self) -> bool {
        get(&self.texts, ProtocolVersion).is_some_and(|version| version.starts_with("4."))
    }

    pub(super) fn take_header(&mut self) -> Result<SoapHeader, XRoadError> {
        let missing = |name: &str| {
            XRoadError::new(
                ErrorCode::MissingHeaderField,
                format!("Malformed SOAP message: header field '{name}' missing"),
            )
        };
        let groups = std::mem::take(&mut self.groups);
        let group =
            |block| groups.iter().find(|(field, _)| *field == block).map(|(_, texts)| texts.as_slice());
        let protocol_version = self.take(ProtocolVersion).ok_or_else(|| missing("protocolVersion"))?;
        let client = group(Client).ok_or_else(|| missing("client"))?;
        let message_id = self.take(Id).filter(|id| !id.is_empty()).ok_or_else(|| missing("id"))?;
        let service = group(Service).ok_or_else(|| missing("service"))?;
        if message_id.chars().count() > MESSAGE_ID_CHARS_MAX {
            return Err(XRoadError::new(ErrorCode::InvalidRequest, "The message id is too long"));
        }
        let client = client_of(client)?;
        let provider = client_of(service)?;
        let code = get(service, ServiceCode).unwrap_or_default();
        let service = ServiceId::new(&provider, code, get(service, ServiceVersion))?;
        let security_server = group(SecurityServer).map(server_of).transpose()?;
        let represented_party = group(RepresentedParty).map(|texts| crate::message::RepresentedParty {
            party_class: get(texts, PartyClass).map(str::to_owned),
            party_code: get(texts, PartyCode).map(str::to_owned),
        });
        let algorithm = std::mem::take(&mut self.hash_algorithm);
        let request_hash =
            self.take(RequestHash).map(|value| super::header::RequestHash { algorithm, value });
        Ok(SoapHeader {
            client,
            service,
            message_id,
            protocol_version,
            user_id: self.take(UserId),
            issue: self.take(Issue),
            represented_party,
            security_server,
            request_hash,
        })
    }

    fn take(&mut self, field: Field) -> Option<String> {
        self.texts.iter_mut().find(|(known, _)| *known == field).map(|(_, text)| std::mem::take(text))
    }
}

fn client_of(texts: &[(Field, String)]) -> Result<ClientId, XRoadError> {
    let text = |field| get(texts, field).unwrap_or_default();
    Ok(ClientId::new(text(Instance), text(MemberClass), text(MemberCode), get(texts, SubsystemCode))?)
}

fn server_of(texts: &[(Field, String)]) -> Result<SecurityServerId, XRoadError> {
    let text = |field| get(texts, field).unwrap_or_default();
    Ok(SecurityServerId::new(text(Instance), text(MemberClass), text(MemberCode), text(ServerCode))?)
}

fn get(texts: &[(Field, String)], field: Field) -> Option<&str> {
    texts.iter().find(|(known, _)| *known == field).map(|(_, text)| text.as_str())
}

fn push(texts: &mut Texts, field: Field, text: &str) {
    if let Some((_, known)) = texts.iter_mut().find(|(known, _)| *known == field) {
        known.push_str(text);
    }
}

fn duplicate(name: &str) -> XRoadError {
    XRoadError::new(ErrorCode::DuplicateHeaderField, format!("SOAP header field '{name}' is repeated"))
}
