//! `hermod manage`: asks the instance's management services for something.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::server::ServerArgs;
use crate::appliance::{load_or_make, open_token};
use crate::config::{Config, client_id};
use crate::control::OcspStore;
use crate::control::management::{Addressed, Credentials, Destination, ManagementRequest, send};
use crate::crypto::{Certificate, to_hex};
use crate::exchange::{SystemEntropy, uuid};
use crate::message::ClientId;
use crate::time::{Clock as _, SystemClock};
use crate::trust::{GlobalConf, ManagementService};
use crate::worker::TlsClient;

/// Arguments of `hermod manage`.
#[derive(Debug, Args)]
pub struct ManageArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register this server: its authentication certificate and its address
    RegisterCertificate {
        /// Host name or IP address at which other servers reach this one
        address: String,
        /// SHA-256 of the certificate in hex, where the token has several for authentication
        #[arg(long)]
        certificate: Option<String>,
        /// Only have the request checked
        #[arg(long)]
        dry_run: bool,
    },
    /// Take the registration of an authentication certificate back
    DeleteCertificate {
        /// SHA-256 of the certificate in hex, where the token has several for authentication
        #[arg(long)]
        certificate: Option<String>,
    },
    /// Register a client of this server
    RegisterClient {
        /// Such as LAB/GOV/300/both
        client: String,
        /// Name of the subsystem, for people
        #[arg(long)]
        name: Option<String>,
    },
    /// Take the registration of a client back
    DeleteClient {
        /// Such as LAB/GOV/300/both
        client: String,
    },
    /// Switch a subsystem off for a while
    DisableClient {
        /// Such as LAB/GOV/300/both
        client: String,
    },
    /// Switch a subsystem on again
    EnableClient {
        /// Such as LAB/GOV/300/both
        client: String,
    },
    /// Give a subsystem another name
    RenameClient {
        /// Such as LAB/GOV/300/both
        client: String,
        /// The name, for people
        name: String,
    },
    /// Make another member, a registered client of this server, its owner
    ChangeOwner {
        /// Such as LAB/GOV/400
        member: String,
    },
    /// Change the address at which other servers reach this one
    ChangeAddress {
        /// Host name or IP address
        address: String,
    },
    /// Announce maintenance: other servers will not send messages here
    StartMaintenance {
        /// What they are told
        #[arg(long)]
        message: Option<String>,
    },
    /// End maintenance
    EndMaintenance,
}

type Failure = Box<dyn Error + Send + Sync>;

/// Runs the sub-command: 0 when the request was taken, with its number on standard output; 1 when not, with the reason
/// on standard error.
pub fn run(args: &ManageArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(execute(args)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hermod manage: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(args: &ManageArgs) -> Result<(), Failure> {
    let config = args.server.config()?;
    let global_conf = GlobalConf::load_dir(&config.globalconf.dir)
        .map_err(|error| format!("no global configuration yet ({error}): run the server first"))?;
    let now = SystemClock.now();
    global_conf.check_valid(now)?;
    let service = global_conf.management_service().ok_or("the instance names no management service")?;
    let token = open_token(&config)?;
    let (keys, ocsp) = (token.keys()?, OcspStore::new(&config.ocsp.dir));
    let credentials = Credentials { keys: &keys, ocsp: &ocsp, now };

    let entropy = SystemEntropy::default();
    let addressed = Addressed {
        server: config.server_id.clone(),
        provider: service.provider.clone(),
        message_id: uuid(&entropy),
        request: request(&args.command, &credentials)?,
    };
    let owner = config.server_id.owner();
    let parts = credentials.prove(&addressed.request, &owner, addressed.envelope())?;
    let destination = match &args.command {
        Command::RegisterCertificate { .. } => registration_service(service)?,
        _ => own_client_port(&config)?,
    };
    let boundary = format!("xroad{}", uuid(&entropy).replace('-', ""));
    let code = addressed.request.service_code();
    let sent = send(&destination, &addressed, &parts, &boundary).await;
    let details = serde_json::json!({ "request": code, "number": sent.as_ref().ok() });
    let id = super::audit::noted(&config, "manage", details, sent)?;
    say!("{code}: request {id} was taken; it counts once the global configuration shows it");
    Ok(())
}

fn request(command: &Command, credentials: &Credentials<'_>) -> Result<ManagementRequest, Failure> {
    let client = |text: &String| client_id(text).map_err(Failure::from);
    Ok(match command {
        Command::RegisterCertificate { address, certificate, dry_run } => ManagementRequest::AuthCertReg {
            address: address.clone(),
            certificate: authentication_certificate(credentials, certificate.as_deref())?,
            dry_run: *dry_run,
        },
        Command::DeleteCertificate { certificate } => ManagementRequest::AuthCertDeletion(
            authentication_certificate(credentials, certificate.as_deref())?,
        ),
        Command::RegisterClient { client: id, name } => {
            ManagementRequest::ClientReg(client(id)?, name.clone())
        }
        Command::DeleteClient { client: id } => ManagementRequest::ClientDeletion(client(id)?),
        Command::DisableClient { client: id } => ManagementRequest::ClientDisable(subsystem(client(id)?)?),
        Command::EnableClient { client: id } => ManagementRequest::ClientEnable(subsystem(client(id)?)?),
        Command::RenameClient { client: id, name } if !name.trim().is_empty() => {
            ManagementRequest::ClientRename(subsystem(client(id)?)?, name.clone())
        }
        Command::RenameClient { .. } => return Err("the name is blank".into()),
        Command::ChangeOwner { member } => match client(member)? {
            id if id.subsystem_code().is_none() => ManagementRequest::OwnerChange(id),
            id => return Err(format!("{id} is a subsystem; only a member owns a server").into()),
        },
        Command::ChangeAddress { address } => ManagementRequest::AddressChange(address.clone()),
        Command::StartMaintenance { message } => ManagementRequest::MaintenanceModeEnable(message.clone()),
        Command::EndMaintenance => ManagementRequest::MaintenanceModeDisable,
    })
}

fn subsystem(id: ClientId) -> Result<ClientId, Failure> {
    match id.subsystem_code() {
        Some(_) => Ok(id),
        None => Err(format!("{id} is a member, this is for subsystems").into()),
    }
}

fn authentication_certificate(
    credentials: &Credentials<'_>,
    sha256: Option<&str>,
) -> Result<Vec<u8>, Failure> {
    let wanted = sha256.map(|hash| hash.replace(':', "").to_ascii_lowercase());
    let fits = |certificate: &&Certificate| {
        wanted.as_ref().is_none_or(|wanted| to_hex(certificate.sha256()) == *wanted)
    };
    let found: Vec<&Certificate> = credentials.authentication_certificates().filter(fits).collect();
    match found.as_slice() {
        [certificate] => Ok(certificate.der().to_vec()),
        [] => Err("the token has no such authentication certificate".into()),
        several => {
            let hashes: Vec<String> = several.iter().map(|found| to_hex(found.sha256())).collect();
            Err(format!("say which with --certificate: {}", hashes.join(", ")).into())
        }
    }
}

/// Straight to the registration service, whose certificate must be the one that the configuration names.
fn registration_service(service: &ManagementService) -> Result<Destination, Failure> {
    let address = &service.auth_cert_reg_address;
    let uri: hyper::Uri = address.parse().map_err(|error| format!("{address}: {error}"))?;
    let host = uri.host().ok_or_else(|| format!("{address} has no host"))?.to_owned();
    let https = uri.scheme_str() == Some("https");
    let tls = match (&service.auth_cert_reg_cert, https) {
        (_, false) => return Err(format!("{address} is not an https address").into()),
        (None, true) => {
            return Err(
                "the configuration does not say which certificate the registration service has".into()
            );
        }
        (Some(expected), true) => {
            let expected = expected.clone();
            let accept = Arc::new(move |leaf: &[u8]| leaf == expected.as_slice());
            Arc::new(TlsClient::new(None).with_accept(accept))
        }
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Ok(Destination { host, port: uri.port_u16().unwrap_or(443), path, tls: Some(tls) })
}

/// The running server's own client port, over HTTPS with the internal certificate, which it always accepts.
fn own_client_port(config: &Config) -> Result<Destination, Failure> {
    if let Some(address) = config.listen.consumer_https {
        let name = config.server_id.server_code();
        let internal = load_or_make(&config.tls.internal, &config.tls.internal_password, name)?;
        let own = internal.certificate;
        let accept = Arc::new(move |leaf: &[u8]| leaf == own.as_slice());
        let tls = TlsClient::new(Some(internal.identity)).with_accept(accept);
        return Ok(Destination::local(address, Some(Arc::new(tls))));
    }
    let address = config.listen.consumer_http.ok_or("the server has no port for information systems")?;
    Ok(Destination::local(address, None))
}
