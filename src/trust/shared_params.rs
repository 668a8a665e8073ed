//! Shared parameters: the model, and its reader for versions 2 to 6.

use std::collections::HashMap;

use super::schema::{self, SchemaError, Sequence};
use crate::crypto::{Certificate, Name};
use crate::message::{ClientId, MemberId, SecurityServerId};
use crate::xml::Node;

type Result<T> = std::result::Result<T, SchemaError>;

/// The shared parameters of one instance.
#[derive(Debug, Clone)]
pub struct SharedParams {
    /// Version of the schema: 2 to 6.
    pub version: u8,
    /// The instance that they describe.
    pub instance: String,
    /// Where the configuration can be downloaded (version 3 and later).
    pub sources: Vec<Source>,
    /// Approved certification services.
    pub approved_cas: Vec<ApprovedCa>,
    /// Approved time-stamping services.
    pub approved_tsas: Vec<ApprovedTsa>,
    /// Members, in the order of the file.
    pub members: Vec<Member>,
    /// Security servers.
    pub security_servers: Vec<SecurityServer>,
    /// Global groups.
    pub global_groups: Vec<GlobalGroup>,
    /// Member classes: code and description.
    pub member_classes: Vec<(String, String)>,
    /// Greatest age of an OCSP answer, in seconds.
    pub ocsp_freshness_secs: i64,
}

/// One configuration source of an instance.
#[derive(Debug, Clone)]
pub struct Source {
    /// Host name or address without scheme.
    pub address: String,
    /// Bytes of the certificates accepted for the internal configuration.
    pub internal_verification_certs: Vec<Vec<u8>>,
    /// Bytes of the certificates accepted for the external configuration.
    pub external_verification_certs: Vec<Vec<u8>>,
}

/// What a service costs its users; orders the OCSP responders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum CostType {
    Free,
    Paid,
    #[default]
    Undefined,
}

/// An approved certification service.
#[derive(Debug, Clone)]
pub struct ApprovedCa {
    /// Display name.
    pub name: String,
    /// It issues authentication certificates only; not enforced when signatures are verified.
    pub authentication_only: bool,
    /// Java class name of the certificate profile.
    pub profile: String,
    /// The top CA first, then the intermediates.
    pub cas: Vec<Ca>,
    /// Preferred format of certificate requests, `PEM` or `DER` (version 6).
    pub default_csr_format: Option<&'static str>,
}

/// One CA certificate and the OCSP responders for what it issues.
#[derive(Debug, Clone)]
pub struct Ca {
    /// The CA's certificate.
    pub certificate: Certificate,
    /// Its responders, in the order of the file.
    pub ocsp: Vec<OcspResponder>,
}

/// An OCSP responder.
#[derive(Debug, Clone)]
pub struct OcspResponder {
    /// Address for requests.
    pub url: String,
    /// Certificate that signs the answers, when listed.
    pub certificate: Option<Certificate>,
    /// What it costs (version 6).
    pub cost_type: CostType,
}

/// An approved time-stamping service.
#[derive(Debug, Clone)]
pub struct ApprovedTsa {
    /// Display name.
    pub name: String,
    /// Address for requests.
    pub url: String,
    /// Certificate that signs the tokens.
    pub certificate: Certificate,
    /// What it costs (version 6).
    pub cost_type: CostType,
}

/// A member and its subsystems.
#[derive(Debug, Clone)]
pub struct Member {
    /// Identifier.
    pub id: MemberId,
    /// Full name.
    pub name: String,
    /// Subsystems, each with its name when it has one (version 5).
    pub subsystems: Vec<(ClientId, Option<String>)>,
}

/// A security server.
#[derive(Debug, Clone)]
pub struct SecurityServer {
    /// Identifier.
    pub id: SecurityServerId,
    /// Host name or address without port; ports are the asker's own setting.
    pub address: Option<String>,
    /// Hashes of its authentication certificates: SHA-1 in version 2, SHA-256 later.
    pub auth_cert_hashes: Vec<Vec<u8>>,
    /// Its clients, the owner member first.
    pub clients: Vec<ClientId>,
    /// In maintenance, with the notice if there is one (version 5).
    pub maintenance: Option<Option<String>>,
}

/// A global group.
#[derive(Debug, Clone)]
pub struct GlobalGroup {
    /// Code within the instance.
    pub code: String,
    /// Description.
    pub description: String,
    /// Members, perhaps of other instances.
    pub members: Vec<ClientId>,
}

impl SharedParams {
    /// Reads and validates a file of `version` (2 to 6).
    pub fn parse(bytes: &[u8], version: u8) -> Result<Self> {
        let document = schema::parse(bytes)?;
        let mut conf = schema::root(&document, "conf")?;
        let read = Version(version);
        let instance = conf.text("instanceIdentifier")?;
        let sources = match version {
            0..=2 => Vec::new(),
            _ => each(conf.at_least_one("source")?, source)?,
        };
        let approved_cas = each(conf.many("approvedCA"), |node| read.approved_ca(node))?;
        let approved_tsas = each(conf.many("approvedTSA"), |node| read.approved_tsa(node))?;
        let mut ids = HashMap::new();
        let members = each(conf.many("member"), |node| read.member(&instance, node, &mut ids))?;
        let security_servers = each(conf.many("securityServer"), |node| read.server(&instance, node, &ids))?;
        let global_groups = each(conf.many("globalGroup"), global_group)?;
        each(conf.many("centralService"), central_service)?;
        let mut settings = Sequence::of(conf.required("globalSettings")?, &[])?;
        let member_classes = each(settings.many("memberClass"), member_class)?;
        let ocsp_freshness_secs = schema::integer(settings.required("ocspFreshnessSeconds")?)?;
        settings.finish()?;
        // Extensions may follow at the end of versions 3 and later, and nowhere else.
        if version < 3 {
            conf.finish()?;
        }
        Ok(Self {
            version,
            instance,
            sources,
            approved_cas,
            approved_tsas,
            members,
            security_servers,
            global_groups,
            member_classes,
            ocsp_freshness_secs,
        })
    }

    /// The CA certificate whose subject is `name`: of several the last one of the file counts.
    pub fn ca_by_subject(&self, name: &Name) -> Option<&Ca> {
        let mut cas = self.approved_cas.iter().flat_map(|approved| &approved.cas).rev();
        cas.find(|ca| ca.certificate.subject() == name)
    }
}

fn each<'d, T>(nodes: Vec<Node<'d>>, read: impl FnMut(Node<'d>) -> Result<T>) -> Result<Vec<T>> {
    nodes.into_iter().map(read).collect()
}

// Which elements a version has.
#[derive(Clone, Copy)]
struct Version(u8);

impl Version {
    fn approved_ca(self, node: Node<'_>) -> Result<ApprovedCa> {
        let mut fields = Sequence::of(node, &[])?;
        let name = fields.text("name")?;
        let authentication_only = fields.optional("authenticationOnly").map(schema::boolean).transpose()?;
        let mut cas = vec![self.ca(fields.required("topCA")?)?];
        cas.extend(each(fields.many("intermediateCA"), |node| self.ca(node))?);
        let profile = fields.text("certificateProfileInfo")?;
        let format = if self.0 >= 6 { fields.optional("defaultCsrFormat") } else { None };
        let default_csr_format = format.map(|node| schema::word(node, &["PEM", "DER"])).transpose()?;
        if self.0 >= 3
            && let Some(node) = fields.optional("acmeServer")
        {
            self.acme_server(node)?;
        }
        fields.finish()?;
        let authentication_only = authentication_only.unwrap_or(false);
        Ok(ApprovedCa { name, authentication_only, profile, cas, default_csr_format })
    }

    fn acme_server(self, node: Node<'_>) -> Result<()> {
        let mut fields = Sequence::of(node, &[])?;
        fields.text("directoryURL")?;
        fields.optional_text("ipAddress")?;
        if self.0 >= 4 {
            fields.optional_text("authenticationCertificateProfileId")?;
            fields.optional_text("signingCertificateProfileId")?;
        }
        fields.finish()
    }

    fn ca(self, node: Node<'_>) -> Result<Ca> {
        let mut fields = Sequence::of(node, &[])?;
        let certificate = certificate(fields.required("cert")?)?;
        let ocsp = each(fields.many("ocsp"), |node| self.responder(node))?;
        fields.finish()?;
        Ok(Ca { certificate, ocsp })
    }

    fn responder(self, node: Node<'_>) -> Result<OcspResponder> {
        let mut fields = Sequence::of(node, &[])?;
        let url = fields.text("url")?;
        let certificate = fields.optional("cert").map(certificate).transpose()?;
        let cost_type = self.cost_type(&mut fields)?;
        fields.finish()?;
        Ok(OcspResponder { url, certificate, cost_type })
    }

    fn cost_type(self, fields: &mut Sequence<'_>) -> Result<CostType> {
        let node = if self.0 >= 6 { fields.optional("costType") } else { None };
        let word = node.map(|node| schema::word(node, &["FREE", "PAID", "UNDEFINED"])).transpose()?;
        Ok(match word {
            Some("FREE") => CostType::Free,
            Some("PAID") => CostType::Paid,
            _ => CostType::Undefined,
        })
    }

    fn approved_tsa(self, node: Node<'_>) -> Result<ApprovedTsa> {
        let mut fields = Sequence::of(node, &[])?;
        let (name, url) = (fields.text("name")?, fields.text("url")?);
        let certificate = certificate(fields.required("cert")?)?;
        let cost_type = self.cost_type(&mut fields)?;
        fields.finish()?;
        Ok(ApprovedTsa { name, url, certificate, cost_type })
    }

    fn member(self, instance: &str, node: Node<'_>, ids: &mut HashMap<String, ClientId>) -> Result<Member> {
        let mut fields = Sequence::of(node, &["id"])?;
        let (class, _) = member_class(fields.required("memberClass")?)?;
        let code = fields.text("memberCode")?;
        let name = fields.text("name")?;
        let invalid = |what: &'static str| move |_| SchemaError::Value(what.to_owned(), "identifier");
        let id = MemberId::new(instance, &class, &code).map_err(invalid("member"))?;
        remember(ids, node, &id.client())?;
        let subsystems = each(fields.many("subsystem"), |node| {
            let mut fields = Sequence::of(node, &["id"])?;
            let code = fields.text("subsystemCode")?;
            let name = if self.0 >= 5 { fields.optional_text("subsystemName")? } else { None };
            fields.finish()?;
            let id = ClientId::new(instance, id.member_class(), id.member_code(), Some(&code))
                .map_err(invalid("subsystem"))?;
            remember(ids, node, &id)?;
            Ok((id, name))
        })?;
        fields.finish()?;
        Ok(Member { id, name, subsystems })
    }

    fn server(
        self,
        instance: &str,
        node: Node<'_>,
        ids: &HashMap<String, ClientId>,
    ) -> Result<SecurityServer> {
        let mut fields = Sequence::of(node, &[])?;
        let owner = resolve(ids, fields.required("owner")?)?;
        let code = fields.text("serverCode")?;
        let address = fields.optional_text("address")?;
        let auth_cert_hashes = each(fields.many("authCertHash"), schema::base64)?;
        let mut clients = vec![owner.member().client()];
        clients.extend(each(fields.many("client"), |node| resolve(ids, node))?);
        let maintenance = if self.0 >= 5 { fields.optional("inMaintenanceMode") } else { None };
        let maintenance = maintenance
            .map(|node| {
                let mut fields = Sequence::of(node, &[])?;
                let message = fields.optional_text("message")?;
                fields.finish()?;
                Ok::<_, SchemaError>(message)
            })
            .transpose()?;
        fields.finish()?;
        let id = SecurityServerId::new(instance, owner.member_class(), owner.member_code(), &code)
            .map_err(|_| SchemaError::Value("securityServer".to_owned(), "identifier"))?;
        Ok(SecurityServer { id, address, auth_cert_hashes, clients, maintenance })
    }
}

fn source(node: Node<'_>) -> Result<Source> {
    let mut fields = Sequence::of(node, &[])?;
    let address = fields.text("address")?;
    let internal_verification_certs = each(fields.many("internalVerificationCert"), schema::base64)?;
    let external_verification_certs = each(fields.many("externalVerificationCert"), schema::base64)?;
    fields.finish()?;
    Ok(Source { address, internal_verification_certs, external_verification_certs })
}

fn member_class(node: Node<'_>) -> Result<(String, String)> {
    let mut fields = Sequence::of(node, &[])?;
    let class = (fields.text("code")?, fields.text("description")?);
    fields.finish()?;
    Ok(class)
}

fn global_group(node: Node<'_>) -> Result<GlobalGroup> {
    let mut fields = Sequence::of(node, &[])?;
    let (code, description) = (fields.text("groupCode")?, fields.text("description")?);
    let members = each(fields.many("groupMember"), schema::client_id)?;
    fields.finish()?;
    Ok(GlobalGroup { code, description, members })
}

fn central_service(node: Node<'_>) -> Result<()> {
    let mut fields = Sequence::of(node, &[])?;
    fields.text("serviceCode")?;
    if let Some(node) = fields.optional("implementingService") {
        schema::service_id(node)?;
    }
    fields.finish()
}

fn remember(ids: &mut HashMap<String, ClientId>, node: Node<'_>, client: &ClientId) -> Result<()> {
    let Some(id) = node.attribute("id") else { return Ok(()) };
    let id = schema::id(id)?;
    match ids.insert(id.clone(), client.clone()) {
        None => Ok(()),
        Some(_) => Err(SchemaError::Id(id)),
    }
}

fn resolve(ids: &HashMap<String, ClientId>, node: Node<'_>) -> Result<ClientId> {
    let id = schema::id(&schema::text(node)?)?;
    ids.get(&id).cloned().ok_or(SchemaError::Id(id))
}

// DER, or PEM text inside the base64 (trust.md, trap 11).
fn certificate(node: Node<'_>) -> Result<Certificate> {
    Certificate::from_der_or_pem(&schema::base64(node)?)
        .map_err(|_| SchemaError::Value(node.local().to_owned(), "certificate"))
}
