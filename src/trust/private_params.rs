//! Private parameters and the optional parts of the local instance.

use super::anchor::Anchor;
use super::schema::{self, SchemaError, Sequence};
use crate::message::ClientId;

/// The private parameters of the local instance.
#[derive(Debug, Clone)]
pub struct PrivateParams {
    /// The instance that they are of.
    pub instance: String,
    /// Anchors of federated instances.
    pub anchors: Vec<Anchor>,
    /// The registration and management services.
    pub management_service: ManagementService,
    /// How often unstamped records are stamped, in seconds.
    pub timestamping_interval_secs: i64,
}

/// Where management requests go.
#[derive(Debug, Clone)]
pub struct ManagementService {
    /// URL for registering authentication certificates.
    pub auth_cert_reg_address: String,
    /// Exact TLS certificate bytes expected there.
    pub auth_cert_reg_cert: Option<Vec<u8>>,
    /// Provider of the management services.
    pub provider: ClientId,
}

impl PrivateParams {
    /// Reads and validates a file that belongs to a configuration of `version` (2 to 6).
    pub fn parse(bytes: &[u8], version: u8) -> Result<Self, SchemaError> {
        let document = schema::parse(bytes)?;
        let mut conf = schema::root(&document, "conf")?;
        let instance = conf.text("instanceIdentifier")?;
        let anchors = conf.many("configurationAnchor").into_iter().map(Anchor::from_node);
        let anchors = anchors.collect::<Result<Vec<_>, _>>()?;
        let mut service = Sequence::of(conf.required("managementService")?, &[])?;
        let management_service = ManagementService {
            auth_cert_reg_address: service.text("authCertRegServiceAddress")?,
            auth_cert_reg_cert: service.optional("authCertRegServiceCert").map(schema::base64).transpose()?,
            provider: schema::client_id(service.required("managementRequestServiceProviderId")?)?,
        };
        service.finish()?;
        let timestamping_interval_secs = schema::integer(conf.required("timeStampingIntervalSeconds")?)?;
        if version < 3 {
            conf.finish()?;
        }
        Ok(Self { instance, anchors, management_service, timestamping_interval_secs })
    }
}

/// `fetchinterval-params.xml`: seconds between OCSP fetches, as written.
pub fn parse_fetch_interval(bytes: &[u8]) -> Result<i64, SchemaError> {
    let document = schema::parse(bytes)?;
    let mut conf = schema::root(&document, "conf")?;
    let seconds = schema::integer(conf.required("ocspFetchInterval")?)?;
    conf.finish()?;
    Ok(seconds)
}

/// `nextupdate-params.xml`: whether nextUpdate of OCSP answers is enforced.
pub fn parse_next_update(bytes: &[u8]) -> Result<bool, SchemaError> {
    let document = schema::parse(bytes)?;
    let mut conf = schema::root(&document, "conf")?;
    let verify = schema::boolean(conf.required("verifyNextUpdate")?)?;
    conf.finish()?;
    Ok(verify)
}

/// `monitoring-params.xml`: who may query environmental monitoring of every security server.
pub fn parse_monitoring(bytes: &[u8]) -> Result<Option<ClientId>, SchemaError> {
    let document = schema::parse(bytes)?;
    let mut conf = schema::root(&document, "conf")?;
    let mut client = Sequence::of(conf.required("monitoringClient")?, &[])?;
    let id = client.optional("monitoringClientId").map(schema::client_id).transpose()?;
    client.finish()?;
    conf.finish()?;
    Ok(id)
}
