//! The kinds of management requests and their elements.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::message::{ClientId, IDENTIFIERS_NAMESPACE, SecurityServerId, XROAD_NAMESPACE};
use crate::xml::{Node, escape_text};

/// What is asked for. Certificates are DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManagementRequest {
    /// Registers an authentication certificate, and with it the server and its address.
    AuthCertReg {
        /// Host name or IP address of the server.
        address: String,
        /// The certificate.
        certificate: Vec<u8>,
        /// Only check the request.
        dry_run: bool,
    },
    /// Takes an authentication certificate back.
    AuthCertDeletion(Vec<u8>),
    /// Registers a client of the server, a subsystem perhaps with a name.
    ClientReg(ClientId, Option<String>),
    /// Takes a client's registration back.
    ClientDeletion(ClientId),
    /// Switches a subsystem off for a while.
    ClientDisable(ClientId),
    /// Switches it on again.
    ClientEnable(ClientId),
    /// Gives a subsystem another name.
    ClientRename(ClientId, String),
    /// Makes another member the owner of the server.
    OwnerChange(ClientId),
    /// Changes the server's address.
    AddressChange(String),
    /// Announces maintenance, perhaps with a message.
    MaintenanceModeEnable(Option<String>),
    /// Ends maintenance.
    MaintenanceModeDisable,
}

/// How a request travels and who proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Straight to the registration service, signed by the authentication key and the owner.
    Registration,
    /// Through X-Road, signed by this member too; `None` is the owner.
    Signed(Option<ClientId>),
    /// Through X-Road, as any message.
    Plain,
}

impl ManagementRequest {
    /// Name of the element, which is the service code.
    pub fn service_code(&self) -> &'static str {
        match self {
            Self::AuthCertReg { .. } => "authCertReg",
            Self::AuthCertDeletion(_) => "authCertDeletion",
            Self::ClientReg(..) => "clientReg",
            Self::ClientDeletion(_) => "clientDeletion",
            Self::ClientDisable(_) => "clientDisable",
            Self::ClientEnable(_) => "clientEnable",
            Self::ClientRename(..) => "clientRename",
            Self::OwnerChange(_) => "ownerChange",
            Self::AddressChange(_) => "addressChange",
            Self::MaintenanceModeEnable(_) => "maintenanceModeEnable",
            Self::MaintenanceModeDisable => "maintenanceModeDisable",
        }
    }

    /// How it travels.
    pub fn form(&self) -> Form {
        match self {
            Self::AuthCertReg { .. } => Form::Registration,
            Self::AuthCertDeletion(_) | Self::ClientDeletion(_) => Form::Plain,
            Self::ClientReg(client, _)
            | Self::ClientDisable(client)
            | Self::ClientEnable(client)
            | Self::ClientRename(client, _)
            | Self::OwnerChange(client) => Form::Signed(Some(client.clone())),
            Self::AddressChange(_) | Self::MaintenanceModeEnable(_) | Self::MaintenanceModeDisable => {
                Form::Signed(None)
            }
        }
    }

    /// The element, or with `request_id` that of the response. The namespaces `xroad` and `id` are declared outside.
    pub fn element(&self, server: &SecurityServerId, request_id: Option<u64>) -> String {
        let name = self.service_code();
        let name = if request_id.is_some() { format!("{name}Response") } else { name.to_owned() };
        let mut xml = format!("<xroad:{name}>");
        server_element(&mut xml, server);
        let mut text = |name: &str, text: &str| {
            // Writing into a String cannot fail.
            let _ = write!(xml, "<xroad:{name}>{}</xroad:{name}>", escape_text(text));
        };
        match self {
            Self::AuthCertReg { address, certificate, dry_run } => {
                text("address", address);
                text("authCert", &BASE64.encode(certificate));
                if *dry_run {
                    text("dryRun", "true");
                }
            }
            Self::AuthCertDeletion(certificate) => text("authCert", &BASE64.encode(certificate)),
            Self::AddressChange(address) => text("address", address),
            Self::MaintenanceModeEnable(Some(message)) => text("message", message),
            Self::MaintenanceModeEnable(None) | Self::MaintenanceModeDisable => {}
            Self::ClientReg(client, subsystem) => {
                client_element(&mut xml, "client", client);
                if let Some(subsystem) = subsystem {
                    let _ =
                        write!(xml, "<xroad:subsystemName>{}</xroad:subsystemName>", escape_text(subsystem));
                }
            }
            Self::ClientRename(client, subsystem) => {
                client_element(&mut xml, "client", client);
                let _ = write!(xml, "<xroad:subsystemName>{}</xroad:subsystemName>", escape_text(subsystem));
            }
            Self::ClientDeletion(client)
            | Self::ClientDisable(client)
            | Self::ClientEnable(client)
            | Self::OwnerChange(client) => client_element(&mut xml, "client", client),
        }
        if let Some(id) = request_id {
            let _ = write!(xml, "<xroad:requestId>{id}</xroad:requestId>");
        }
        let _ = write!(xml, "</xroad:{name}>");
        xml
    }

    /// Reads an element back: the server that it is about, and what is asked for. Error: a line of text.
    pub fn parse(element: Node<'_>) -> Result<(SecurityServerId, Self), String> {
        let child = |name: &str| element.child(XROAD_NAMESPACE, name);
        let text = |name: &str| child(name).map(|node| node.text().into_owned());
        let missing = |name: &str| format!("{name} is missing");
        let must =
            |name: &str| text(name).filter(|text| !text.trim().is_empty()).ok_or_else(|| missing(name));
        let client = || client_id(child("client").ok_or_else(|| missing("client"))?);
        let certificate = || {
            let text: String = must("authCert")?.split_whitespace().collect();
            BASE64.decode(text).map_err(|_| "authCert is not base64".to_owned())
        };
        let server = server_id(child("server").ok_or_else(|| missing("server"))?)?;
        let request = match element.local() {
            "authCertReg" => Self::AuthCertReg {
                address: must("address")?,
                certificate: certificate()?,
                dry_run: text("dryRun").is_some_and(|text| matches!(text.trim(), "true" | "1")),
            },
            "authCertDeletion" => Self::AuthCertDeletion(certificate()?),
            "clientReg" => Self::ClientReg(client()?, text("subsystemName")),
            "clientDeletion" => Self::ClientDeletion(client()?),
            "clientDisable" => Self::ClientDisable(client()?),
            "clientEnable" => Self::ClientEnable(client()?),
            "clientRename" => Self::ClientRename(client()?, must("subsystemName")?),
            "ownerChange" => Self::OwnerChange(client()?),
            "addressChange" => Self::AddressChange(must("address")?),
            "maintenanceModeEnable" => Self::MaintenanceModeEnable(text("message")),
            "maintenanceModeDisable" => Self::MaintenanceModeDisable,
            other => return Err(format!("{other} is no management request")),
        };
        Ok((server, request))
    }
}

fn identifier(xml: &mut String, element: &str, kind: &str, fields: &[(&str, Option<&str>)]) {
    let _ = write!(xml, "<xroad:{element} id:objectType=\"{kind}\">");
    for (name, value) in fields {
        if let Some(value) = value {
            let _ = write!(xml, "<id:{name}>{}</id:{name}>", escape_text(value));
        }
    }
    let _ = write!(xml, "</xroad:{element}>");
}

/// Appends the identifier of a client.
pub(super) fn client_element(xml: &mut String, element: &str, id: &ClientId) {
    let fields = [
        ("xRoadInstance", Some(id.instance())),
        ("memberClass", Some(id.member_class())),
        ("memberCode", Some(id.member_code())),
        ("subsystemCode", id.subsystem_code()),
    ];
    identifier(xml, element, id.type_name(), &fields);
}

/// Appends the identifier of a service of `provider`.
pub(super) fn service_element(xml: &mut String, provider: &ClientId, code: &str) {
    let fields = [
        ("xRoadInstance", Some(provider.instance())),
        ("memberClass", Some(provider.member_class())),
        ("memberCode", Some(provider.member_code())),
        ("subsystemCode", provider.subsystem_code()),
        ("serviceCode", Some(code)),
    ];
    identifier(xml, "service", "SERVICE", &fields);
}

fn server_element(xml: &mut String, id: &SecurityServerId) {
    let fields = [
        ("xRoadInstance", Some(id.instance())),
        ("memberClass", Some(id.member_class())),
        ("memberCode", Some(id.member_code())),
        ("serverCode", Some(id.server_code())),
    ];
    identifier(xml, "server", id.type_name(), &fields);
}

fn field(node: Node<'_>, name: &str) -> Option<String> {
    node.child(IDENTIFIERS_NAMESPACE, name).map(|node| node.text().into_owned())
}

fn client_id(node: Node<'_>) -> Result<ClientId, String> {
    let must = |name| field(node, name).ok_or_else(|| format!("{name} is missing"));
    let subsystem = field(node, "subsystemCode");
    let (instance, class, code) = (must("xRoadInstance")?, must("memberClass")?, must("memberCode")?);
    ClientId::new(&instance, &class, &code, subsystem.as_deref()).map_err(|error| error.to_string())
}

fn server_id(node: Node<'_>) -> Result<SecurityServerId, String> {
    let must = |name| field(node, name).ok_or_else(|| format!("{name} is missing"));
    let (instance, class, code) = (must("xRoadInstance")?, must("memberClass")?, must("memberCode")?);
    let server = must("serverCode")?;
    SecurityServerId::new(&instance, &class, &code, &server).map_err(|error| error.to_string())
}
