//! The sandbox's public key infrastructure: one certificate authority that issues everything directly, with the
//! certificate contents of `trust.md` 9.1 (FiVRK profile).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose as Eku, IsCa, Issuer, KeyUsagePurpose as Ku, SerialNumber,
};

use super::error::SandboxError;
use super::keys::{self, Identity, Strength, pki_error};
use super::options::KeyType;
use super::plan::{INSTANCE, MEMBER_CLASS, MemberPlan, Plan, ServerPlan};
use crate::crypto::SoftwareKey;
use crate::time::UnixTime;

/// The FiVRK certificate profile, which maps a subject such as `C=FI, O=…, CN=100, serialNumber=SANDBOX/ss1/GOV`.
pub const CERTIFICATE_PROFILE: &str =
    "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider";

/// Keys and certificates of one security server.
pub struct ServerIdentities {
    /// Proves the server to other servers.
    pub authentication: Identity,
    /// Signs the owner's messages.
    pub signing: Identity,
    /// Sign the messages of the further members, in their order.
    pub guests: Vec<Identity>,
    /// Proves the server to its own information systems; self-signed.
    pub internal_tls: Identity,
}

/// Every key and certificate of a sandbox.
pub struct Pki {
    /// The certificate authority.
    pub ca: Identity,
    /// Signs OCSP responses.
    pub ocsp: Identity,
    /// Signs time-stamp tokens.
    pub tsa: Identity,
    /// Signs the configuration directory; only its key counts.
    pub source: Identity,
    /// In the order of the plan's servers.
    pub servers: Vec<ServerIdentities>,
}

impl Pki {
    /// Reads what `directory` holds of the plan's keys and certificates, makes the rest and writes it there as
    /// `NAME.key` (PKCS#8) and `NAME.crt` (both PEM).
    ///
    /// # Errors
    /// Files that cannot be read or written; keys of another kind.
    pub fn open(directory: &Path, plan: &Plan, kind: KeyType, now: UnixTime) -> Result<Self, SandboxError> {
        fs::create_dir_all(directory).map_err(SandboxError::file("create", directory))?;
        let store = Store { directory, kind, now, instance: &plan.instance };
        let mut wanted = vec![Role::Ca, Role::Ocsp, Role::Tsa, Role::Source];
        for server in &plan.servers {
            wanted.extend([Role::Authentication(server), Role::Signing(server), Role::InternalTls(server)]);
            wanted.extend(server.guests.iter().map(|guest| Role::GuestSigning(server, guest)));
        }
        let keys = store.keys(&wanted)?;
        let mut ca = None;
        let mut identities = Vec::with_capacity(wanted.len());
        for (role, key) in wanted.iter().zip(keys) {
            let identity = store.identity(role, key, ca.as_ref())?;
            match role {
                Role::Ca => ca = Some(identity),
                _ => identities.push(identity),
            }
        }
        let mut identities = identities.into_iter();
        let mut next =
            || identities.next().ok_or_else(|| pki_error("the plan's certificates", "one is missing"));
        Ok(Self {
            ca: ca.ok_or_else(|| pki_error("the certificate authority", "missing"))?,
            ocsp: next()?,
            tsa: next()?,
            source: next()?,
            servers: plan
                .servers
                .iter()
                .map(|server| {
                    let (authentication, signing, internal_tls) = (next()?, next()?, next()?);
                    let guests = server.guests.iter().map(|_| next()).collect::<Result<_, SandboxError>>()?;
                    Ok(ServerIdentities { authentication, signing, guests, internal_tls })
                })
                .collect::<Result<_, SandboxError>>()?,
        })
    }

    /// Serial numbers of all certificates that the authority has issued: big-endian, without leading zeros.
    pub fn issued_serials(&self) -> BTreeSet<Vec<u8>> {
        let servers =
            self.servers.iter().flat_map(|s| [&s.authentication, &s.signing].into_iter().chain(&s.guests));
        [&self.ocsp, &self.tsa]
            .into_iter()
            .chain(servers)
            .map(|i| i.certificate().serial().to_vec())
            .collect()
    }
}

enum Role<'a> {
    Ca,
    Ocsp,
    Tsa,
    Source,
    Authentication(&'a ServerPlan),
    Signing(&'a ServerPlan),
    GuestSigning(&'a ServerPlan, &'a MemberPlan),
    InternalTls(&'a ServerPlan),
}

impl Role<'_> {
    fn name(&self) -> String {
        match self {
            Self::Ca => "ca".to_owned(),
            Self::Ocsp => "ocsp".to_owned(),
            Self::Tsa => "tsa".to_owned(),
            Self::Source => "source".to_owned(),
            Self::Authentication(server) => format!("{}-auth", server.code),
            Self::Signing(server) => format!("{}-sign", server.code),
            Self::GuestSigning(server, guest) => format!("{}-{}-sign", server.code, guest.member_code),
            Self::InternalTls(server) => format!("{}-internal", server.code),
        }
    }

    fn strength(&self) -> Strength {
        match self {
            Self::Ca | Self::Authentication(_) | Self::Signing(_) | Self::GuestSigning(..) => {
                Strength::Member
            }
            _ => Strength::Service,
        }
    }

    fn is_self_signed(&self) -> bool {
        matches!(self, Self::Ca | Self::Source | Self::InternalTls(_))
    }

    fn parameters(&self, instance: &str, now: UnixTime) -> CertificateParams {
        let mut params = CertificateParams::default();
        set_validity(&mut params, now);
        params.serial_number = Some(random_serial());
        params.is_ca = IsCa::ExplicitNoCa;
        // Responders are looked for by their names in all instances: names of two sandboxes must not be the same.
        let whose = if instance == INSTANCE { "Sandbox" } else { instance };
        let lab = |name: &str| {
            let name = &format!("{whose} {name}");
            subject(&[(Part::Country, "FI"), (Part::Organization, "Sandbox"), (Part::CommonName, name)])
        };
        let of_server = |server: &ServerPlan, organization: &str, common_name: &str| {
            subject(&[
                (Part::Country, "FI"),
                (Part::Organization, organization),
                (Part::CommonName, common_name),
                (Part::SerialNumber, &format!("{}/{}/{MEMBER_CLASS}", server.instance, server.code)),
            ])
        };
        match self {
            Self::Ca => {
                params.distinguished_name = lab("CA");
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages = vec![Ku::KeyCertSign, Ku::CrlSign, Ku::DigitalSignature];
            }
            Self::Ocsp => {
                params.distinguished_name = lab("OCSP");
                params.key_usages = vec![Ku::DigitalSignature];
                params.extended_key_usages = vec![Eku::OcspSigning];
            }
            Self::Tsa => {
                params.distinguished_name = lab("TSA");
                params.key_usages = vec![Ku::DigitalSignature, Ku::ContentCommitment];
                params.custom_extensions = vec![critical_time_stamping()];
            }
            Self::Source => params.distinguished_name = subject(&[(Part::CommonName, "internalSigningKey")]),
            Self::Authentication(server) => {
                params.distinguished_name =
                    of_server(server, &server.member_name(), &format!("{}.sandbox.test", server.code));
                params.key_usages =
                    vec![Ku::DigitalSignature, Ku::KeyEncipherment, Ku::DataEncipherment, Ku::KeyAgreement];
                params.extended_key_usages = vec![Eku::ClientAuth, Eku::ServerAuth];
            }
            Self::Signing(server) => {
                params.distinguished_name = of_server(server, &server.member_name(), &server.member_code);
                params.key_usages = vec![Ku::ContentCommitment];
            }
            Self::GuestSigning(server, guest) => {
                params.distinguished_name = of_server(server, &guest.name(), &guest.member_code);
                params.key_usages = vec![Ku::ContentCommitment];
            }
            Self::InternalTls(server) => {
                params.distinguished_name = subject(&[(Part::CommonName, &server.code)]);
                params.subject_alt_names = vec![rcgen::SanType::IpAddress(server.address.into())];
            }
        }
        params
    }
}

enum Part {
    Country,
    Organization,
    CommonName,
    SerialNumber,
}

fn subject(parts: &[(Part, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (part, value) in parts {
        // Country and serial number are printable strings by their definition in X.520.
        let printable =
            || value.to_string().try_into().map_or_else(|_| DnValue::from(*value), DnValue::PrintableString);
        match part {
            Part::Country => name.push(DnType::CountryName, printable()),
            Part::Organization => name.push(DnType::OrganizationName, *value),
            Part::CommonName => name.push(DnType::CommonName, *value),
            Part::SerialNumber => name.push(DnType::from_oid(&[2, 5, 4, 5]), printable()),
        }
    }
    name
}

// RFC 3161 2.3 wants this extension critical, which the builder's own list of purposes is not.
fn critical_time_stamping() -> CustomExtension {
    let purposes = vec![0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], purposes);
    extension.set_criticality(true);
    extension
}

/// From yesterday on, for ten years.
pub(super) fn set_validity(params: &mut CertificateParams, now: UnixTime) {
    let (year, month, day, ..) = now.plus_secs(-86_400).civil();
    let date = |years: i64| {
        let day = if (month, day) == (2, 29) { 28 } else { day as u8 };
        rcgen::date_time_ymd((year + years) as i32, month as u8, day)
    };
    (params.not_before, params.not_after) = (date(0), date(10));
}

// 127 random bits whose top byte is 0x40..0x7f: always sixteen bytes, never a sign byte.
pub(super) fn random_serial() -> SerialNumber {
    let mut bytes = [0; 16];
    // The operating system's generator does not fail once it has been seeded; a fixed serial would be noticed at once.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

struct Store<'a> {
    directory: &'a Path,
    kind: KeyType,
    now: UnixTime,
    instance: &'a str,
}

impl Store<'_> {
    fn path(&self, role: &Role<'_>, extension: &str) -> PathBuf {
        self.directory.join(format!("{}.{extension}", role.name()))
    }

    /// The keys of `roles`, read or, several at a time because RSA keys take their time, made and written.
    fn keys(&self, roles: &[Role<'_>]) -> Result<Vec<SoftwareKey>, SandboxError> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = roles.iter().map(|role| scope.spawn(|| self.key(role))).collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|_| Err(pki_error("a key", "its thread ended early"))))
                .collect()
        })
    }

    fn key(&self, role: &Role<'_>) -> Result<SoftwareKey, SandboxError> {
        let path = self.path(role, "key");
        if let Some(pem) = read_if_there(&path)? {
            return keys::from_pkcs8(self.kind, &from_pem(&path, &pem)?);
        }
        let key = keys::generate(self.kind, role.strength())?;
        write_private(&path, to_pem("PRIVATE KEY", key.pkcs8_der())?.as_bytes())?;
        Ok(key)
    }

    fn identity(
        &self,
        role: &Role<'_>,
        key: SoftwareKey,
        ca: Option<&Identity>,
    ) -> Result<Identity, SandboxError> {
        let path = self.path(role, "crt");
        if let Some(pem) = read_if_there(&path)? {
            return Identity::new(key, &from_pem(&path, &pem)?);
        }
        let mut params = role.parameters(self.instance, self.now);
        let subject_key = keys::for_builder(self.kind, &key)?;
        let certificate = match ca {
            Some(ca) if !role.is_self_signed() => {
                params.use_authority_key_identifier_extension = true;
                let der = rustls_pki_types::CertificateDer::from(ca.certificate().der());
                let issuer_key = keys::for_builder(self.kind, ca.key())?;
                let issuer = Issuer::from_ca_cert_der(&der, issuer_key);
                params.signed_by(&subject_key, &issuer.map_err(|e| pki_error(role.name(), e))?)
            }
            _ => params.self_signed(&subject_key),
        }
        .map_err(|e| pki_error(role.name(), e))?;
        fs::write(&path, certificate.pem()).map_err(SandboxError::file("write", &path))?;
        Identity::new(key, certificate.der())
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, SandboxError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(SandboxError::file("read", path)(e)),
    }
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(path: &Path, content: &[u8]) -> Result<(), SandboxError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).and_then(|mut file| file.write_all(content)).map_err(SandboxError::file("write", path))
}

fn to_pem(label: &str, der: &[u8]) -> Result<String, SandboxError> {
    der::pem::encode_string(label, der::pem::LineEnding::LF, der).map_err(|e| pki_error(label, e))
}

fn from_pem(path: &Path, pem: &str) -> Result<Vec<u8>, SandboxError> {
    let kept = |reason: String| SandboxError::Kept { path: path.to_owned(), reason };
    der::pem::decode_vec(pem.as_bytes()).map(|(_, der)| der).map_err(|e| kept(e.to_string()))
}
