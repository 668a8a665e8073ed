//! `hermod token`: the keys of this server.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;

use super::server::ServerArgs;
use crate::appliance::{open_token, read_pin};
use crate::config::{Config, Token as TokenKind};
use crate::crypto::{Certificate, SigningKey as _, SoftwareKey};
use crate::message::MemberId;
use crate::signer::{CertificateStatus, KeyPurpose, SoftwareToken};
use crate::trust::{is_auth_certificate, is_sign_certificate};

/// Arguments of `hermod token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the keys and certificates of the token
    Show,
    /// Take a key with its certificate into the server's own token
    ///
    /// What the key is for is read from the certificate. A running server uses it after SIGHUP.
    Import {
        /// The private key, unencrypted PKCS#8, PEM or DER
        key: PathBuf,
        /// Its certificate, PEM or DER
        certificate: PathBuf,
        /// Whose messages it signs, such as LAB/GOV/100; not for an authentication key
        #[arg(long, value_name = "MEMBER")]
        member: Option<String>,
    },
}

/// Runs the sub-command: 0 when done, 1 when refused, with the reason on standard error.
pub fn run(args: &TokenArgs) -> ExitCode {
    let done = args.server.config().map_err(Into::into).and_then(|config| match &args.command {
        Command::Show => show(&config),
        Command::Import { key, certificate, member } => {
            let done = import(&config, key, certificate, member.as_deref());
            super::ownership::hand_over(&config.root);
            let details = serde_json::json!({ "certificate": certificate, "member": member });
            super::audit::noted(&config, "token.import", details, done)
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hermod token: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(config: &Config) -> Result<(), Box<dyn Error + Send + Sync>> {
    let token = open_token(config)?;
    say!("{}", token.name());
    for key in token.keys()? {
        say!("  key {}: {}", key.id, key.purpose.map_or("no purpose yet", purpose_name));
        for found in &key.certificates {
            let (certificate, state) =
                (&found.certificate, if found.active { "active" } else { "not active" });
            let member =
                found.member.as_ref().map(|member| format!("signs for {member}, ")).unwrap_or_default();
            let until = certificate.not_after();
            say!("    {}: {member}{state}, until {until}", certificate.subject().for_people());
        }
    }
    Ok(())
}

fn import(
    config: &Config,
    key: &Path,
    certificate: &Path,
    member: Option<&str>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let TokenKind::Hermod { dir } = &config.signer.token else {
        return Err("the configured token is an official signer's, which is read only".into());
    };
    let token = SoftwareToken::open(dir, &read_pin(config)?)?;
    let (key, certificate) = (read_key(key)?, read_certificate(certificate)?);
    if key.public_key_spki() != certificate.public_key().spki() {
        return Err("the certificate is not one of this key".into());
    }
    let (purpose, member) =
        match (is_sign_certificate(&certificate), is_auth_certificate(&certificate), member) {
            (true, false, Some(member)) => (KeyPurpose::Signing, Some(member_id(member)?)),
            (true, false, None) => return Err("a signing key: say whose with --member".into()),
            (false, true, None) => (KeyPurpose::Authentication, None),
            (false, true, Some(_)) => return Err("an authentication key has no --member".into()),
            _ => {
                return Err(
                    "the certificate's key usage is neither signing alone nor authentication alone".into()
                );
            }
        };
    if let Some(known) = token_has(&token, &certificate)? {
        return Err(format!("the token has this certificate already, with key {known}").into());
    }
    let id = token.import_key(purpose, &key)?;
    token.put_certificate(&id, &certificate, member.as_ref(), CertificateStatus::Registered, true)?;
    say!("imported {} key {id}: {}", purpose_name(purpose), certificate.subject().for_people());
    Ok(())
}

fn token_has(
    token: &SoftwareToken,
    certificate: &Certificate,
) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
    use crate::signer::Token as _;
    let keys = token.keys()?;
    let has = |key: &&crate::signer::TokenKey| {
        key.certificates.iter().any(|found| found.certificate.der() == certificate.der())
    };
    Ok(keys.iter().find(has).map(|key| key.id.clone()))
}

fn read_key(path: &Path) -> Result<SoftwareKey, String> {
    let failed = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    let der = match bytes.starts_with(b"-----") || bytes.windows(10).any(|window| window == b"-----BEGIN") {
        true => PrivatePkcs8KeyDer::from_pem_slice(&bytes)
            .map_err(|_| {
                failed(&"no unencrypted PKCS#8 key (\"BEGIN PRIVATE KEY\"); `openssl pkcs8 -topk8 -nocrypt` makes one")
            })?
            .secret_pkcs8_der()
            .to_vec(),
        false => bytes,
    };
    SoftwareKey::from_pkcs8_der(&der).map_err(|error| failed(&error))
}

fn read_certificate(path: &Path) -> Result<Certificate, String> {
    let failed = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    Certificate::from_der_or_pem(&bytes).map_err(|error| failed(&error))
}

fn member_id(text: &str) -> Result<MemberId, String> {
    match crate::config::id_parts(text)?.as_slice() {
        [instance, class, code] => MemberId::new(instance, class, code).map_err(|error| error.to_string()),
        _ => Err(format!("\"{text}\" is not instance/class/code")),
    }
}

fn purpose_name(purpose: KeyPurpose) -> &'static str {
    match purpose {
        KeyPurpose::Signing => "signing",
        KeyPurpose::Authentication => "authentication",
    }
}
