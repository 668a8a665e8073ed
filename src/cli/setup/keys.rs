//! Keys of the software token, and requests for their certificates.

use std::path::Path;

use super::{Done, Failure, Setup};
use crate::appliance::{open_token, read_pin};
use crate::config::{Config, KeyKind, Token as TokenKind};
use crate::signer::{
    CertificateStatus, KeyAlgorithm, KeyPurpose, SoftwareToken, Token as _, certificate_request,
};
use crate::trust::{Applicant, ApprovedCa, Profile};

const PURPOSES: [(KeyPurpose, &str); 2] =
    [(KeyPurpose::Authentication, "authentication"), (KeyPurpose::Signing, "signing")];

/// The server's own token; `None` for an official signer's, which is read only.
pub fn own_token(config: &Config) -> Result<Option<SoftwareToken>, Failure> {
    let TokenKind::Hermod { dir } = &config.signer.token else { return Ok(None) };
    Ok(Some(SoftwareToken::open(dir, &read_pin(config)?)?))
}

/// Makes a key for each purpose that has none.
pub fn make(setup: &Setup<'_>) -> Done {
    let Some(token) = own_token(&setup.config)? else {
        say!("keys: those of the official signer's token are used");
        return Ok(());
    };
    let algorithm = match setup.config.signer.new_keys {
        KeyKind::EcP256 => KeyAlgorithm::EcP256,
        KeyKind::Rsa { bits } => KeyAlgorithm::Rsa(bits as usize),
    };
    let keys = token.keys()?;
    for (purpose, name) in PURPOSES {
        match keys.iter().find(|key| key.purpose == Some(purpose)) {
            Some(key) => say!("{name} key: {} is there", key.id),
            None => {
                let (id, _) = token.create_key(purpose, algorithm)?;
                let kind = match algorithm {
                    KeyAlgorithm::Rsa(bits) => format!("RSA, {bits} bits"),
                    KeyAlgorithm::EcP256 => "EC, P-256".to_owned(),
                };
                say!("{name} key: {id} made, {kind}");
            }
        }
    }
    Ok(())
}

/// Whether there is a registered certificate for each purpose.
pub fn are_complete(config: &Config) -> Result<bool, Failure> {
    let keys = open_token(config)?.keys()?;
    let has = |purpose| {
        let mut of_purpose = keys.iter().filter(|key| key.purpose == Some(purpose));
        of_purpose
            .any(|key| key.certificates.iter().any(|one| one.status == Some(CertificateStatus::Registered)))
    };
    Ok(PURPOSES.iter().all(|(purpose, _)| has(*purpose)))
}

/// Writes a request for each key without a certificate.
pub fn request(setup: &Setup<'_>) -> Done {
    let Some(token) = own_token(&setup.config)? else { return Ok(()) };
    let keys = token.keys()?;
    let waiting: Vec<_> = keys.iter().filter(|key| key.certificates.is_empty()).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let (profile, der) = profile(setup)?;
    let applicant = Answers::of(setup, profile)?;
    super::files::make_folder(&setup.requests())?;
    for key in waiting {
        let Some(purpose) = key.purpose else { continue };
        let server = &setup.config.server_id;
        let of = Applicant {
            server,
            member_name: &applicant.name,
            host: &applicant.host,
            country: &applicant.country,
        };
        let (subject, name, host) = match purpose {
            KeyPurpose::Authentication => {
                let host = profile.has_alternative_name().then_some(applicant.host.as_str());
                (profile.authentication_subject(&of), "authentication", host)
            }
            KeyPurpose::Signing => (profile.signing_subject(&of), "signing", None),
        };
        let subject = subject.ok_or_else(|| format!("profile {} knows no requests", profile.word()))?;
        let request = certificate_request(&token.read_key(&key.id)?, purpose, &subject, host)?;
        let short = key.id.get(..8).unwrap_or(&key.id);
        let file = setup.requests().join(format!("{name}-{short}.csr"));
        write_request(&file, &request, der)?;
        let subject = subject.iter().map(|(oid, value)| format!("{}={value}", attribute_name(oid)));
        say!("request: {} for {}", file.display(), subject.collect::<Vec<_>>().join(", "));
    }
    Ok(())
}

fn write_request(file: &Path, request: &[u8], der: bool) -> Done {
    let bytes = if der {
        request.to_vec()
    } else {
        der::pem::encode_string("CERTIFICATE REQUEST", der::pem::LineEnding::LF, request)
            .map_err(|error| error.to_string())?
            .into_bytes()
    };
    // A request is made anew at every run: it is worth what its key is worth.
    Ok(std::fs::write(file, bytes).map_err(|error| format!("{}: {error}", file.display()))?)
}

/// The profile of the certification service, and whether that wants DER.
fn profile(setup: &Setup<'_>) -> Result<(Profile, bool), Failure> {
    let args = setup.args;
    let approved = setup.global_conf.shared_params(setup.config.server_id.instance());
    let approved = approved.map(|shared| shared.approved_cas.as_slice()).unwrap_or_default();
    let chosen = choose(setup, approved)?;
    let der = chosen.is_some_and(|ca| ca.default_csr_format == Some("DER"));
    if let Some(word) = &args.profile {
        let profile =
            Profile::from_word(word).ok_or_else(|| format!("\"{word}\" is no certificate profile"))?;
        return Ok((profile, der));
    }
    let Some(ca) = chosen else {
        return Err(
            "without a global configuration the certificate profile is not known: say --profile".into()
        );
    };
    let profile = Profile::from_class(&ca.profile)
        .ok_or_else(|| format!("the profile of {}, {}, is not known: say --profile", ca.name, ca.profile))?;
    say!("certification service: {}, profile {}", ca.name, profile.word());
    Ok((profile, der))
}

fn choose<'g>(setup: &Setup<'_>, approved: &'g [ApprovedCa]) -> Result<Option<&'g ApprovedCa>, Failure> {
    let names = || approved.iter().map(|ca| ca.name.as_str()).collect::<Vec<_>>().join(", ");
    let wanted = match (&setup.args.ca, approved) {
        (None, []) => return Ok(None),
        (None, [only]) => return Ok(Some(only)),
        (given, _) => setup.ask.answer(
            "--ca",
            given.as_deref(),
            &format!("Certification service, one of {}", names()),
            None,
        )?,
    };
    let found = approved.iter().find(|ca| ca.name == wanted);
    Ok(Some(found.ok_or_else(|| format!("\"{wanted}\" is not approved; there are {}", names()))?))
}

struct Answers {
    name: String,
    host: String,
    country: String,
}

impl Answers {
    fn of(setup: &Setup<'_>, profile: Profile) -> Result<Self, Failure> {
        let (args, ask, server) = (setup.args, &setup.ask, &setup.config.server_id);
        let known = setup.global_conf.client_name(&server.owner().client()).filter(|name| !name.is_empty());
        let name = ask.answer("--member-name", args.member_name.as_deref(), "Name of the owner", known)?;
        let question = "Host name or IP address at which other servers reach this one";
        let host = ask.answer("--address", args.address.as_deref(), question, None)?;
        let country = match profile {
            Profile::Basic | Profile::BasicAcme => {
                ask.answer("--country", args.country.as_deref(), "Country (two letters)", None)?
            }
            _ => String::new(),
        };
        Ok(Self { name, host, country })
    }
}

fn attribute_name(oid: &[u8]) -> &'static str {
    use crate::crypto::Name;
    match oid {
        Name::COUNTRY => "C",
        Name::ORGANIZATION => "O",
        Name::ORGANIZATIONAL_UNIT => "OU",
        Name::COMMON_NAME => "CN",
        Name::SERIAL_NUMBER => "serialNumber",
        Name::BUSINESS_CATEGORY => "businessCategory",
        _ => "?",
    }
}
