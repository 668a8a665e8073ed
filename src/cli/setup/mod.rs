//! `hermod setup`: from nothing to a server that could start. Every step is told, does nothing when its work is done
//! already, and never touches a key that is there.

mod ask;
mod certificates;
mod files;
mod keys;
mod registry;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use self::ask::Ask;
use super::ownership::hand_over;
use crate::appliance::load_or_make;
use crate::config::{Config, DEFAULT_FILE, DEFAULT_ROOT};
use crate::control::{ConfigurationClient, HttpFetcher, SystemRandomness, Timeouts, TlsChecks};
use crate::time::SystemClock;
use crate::trust::{GlobalConf, TrustSnapshot};

/// Arguments of `hermod setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// The server's configuration file, which is written where there is none
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// Never ask: what is missing must have its flag. So it is wherever standard input is no terminal
    #[arg(long)]
    batch: bool,
    /// The configuration anchor, from the instance's operator
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// The anchor's fingerprint (SHA-224), to be compared; with or without colons
    #[arg(long, value_name = "HASH")]
    anchor_hash: Option<String>,
    /// Who the server is: class, code of its owner, and its own code, such as GOV/300/ss2
    #[arg(long, value_name = "CLASS/MEMBER/SERVER")]
    server: Option<String>,
    /// The folder of all state
    #[arg(long, value_name = "DIR", default_value = DEFAULT_ROOT)]
    root: PathBuf,
    /// Open the ports at this IP address only
    #[arg(long, value_name = "IP")]
    bind: Option<std::net::IpAddr>,
    /// Address of the metrics, or "off"
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9600")]
    admin: String,
    /// A file whose first line is the token's PIN; without it a PIN is made and kept beside the configuration
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// Kind of new keys
    #[arg(long, value_name = "rsa|ec", value_parser = ["rsa", "ec"])]
    key: Option<String>,
    /// Name of the owner in its certificates; as the instance knows it where that is known
    #[arg(long, value_name = "NAME")]
    member_name: Option<String>,
    /// Host name or IP address at which other servers reach this one
    #[arg(long, value_name = "HOST")]
    address: Option<String>,
    /// Country in its certificates, where the profile leaves it free
    #[arg(long, value_name = "CC")]
    country: Option<String>,
    /// The certification service, where the instance approves several
    #[arg(long, value_name = "NAME")]
    ca: Option<String>,
    /// The certificate profile, instead of that of the certification service: basic, basic-acme, ejbca, fivrk, fo, is, sk-klass3
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Where certificate requests go, and where issued certificates are looked for; "requests" beside the configuration
    #[arg(long, value_name = "DIR")]
    requests: Option<PathBuf>,
    /// An issued certificate to take in; may be given several times
    #[arg(long, value_name = "FILE")]
    certificate: Vec<PathBuf>,
    /// A subsystem for the first registry file, such as LAB/GOV/300/both; may be given several times
    #[arg(long, value_name = "CLIENT")]
    client: Vec<String>,
    /// Do not download the global configuration
    #[arg(long)]
    offline: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Failure>;

/// What the steps after the first know.
struct Setup<'a> {
    args: &'a SetupArgs,
    ask: Ask,
    config: Config,
    folder: PathBuf,
    global_conf: Arc<GlobalConf>,
}

/// Runs all steps: 0 when nothing would stop the server any more, 2 when certificates are still missing (or `hermod check`
/// finds something else), 1 when a step was refused, with the reason on standard error.
pub fn run(args: &SetupArgs) -> ExitCode {
    super::logging::start("error");
    match steps(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("hermod setup: {error}");
            ExitCode::FAILURE
        }
    }
}

fn steps(args: &SetupArgs) -> Result<bool, Failure> {
    let ask = Ask::new(args.batch);
    let folder = match args.config.parent() {
        Some(folder) if folder.as_os_str().is_empty() => std::env::current_dir()?,
        Some(folder) => {
            files::make_folder(folder)?;
            folder.canonicalize()?
        }
        None => return Err(format!("{} is no file", args.config.display()).into()),
    };
    let config = files::configuration(args, &ask, &folder)?;
    let mut setup = Setup { args, ask, config, folder, global_conf: Arc::default() };
    setup.global_conf = setup.download()?;
    keys::make(&setup)?;
    certificates::take(&setup)?;
    keys::request(&setup)?;
    registry::first(&setup)?;
    setup.internal_tls()?;
    hand_over(&setup.config.root);
    files::protect(&setup);
    say!("\nhermod check:");
    let fine = super::check::report(&setup.config, crate::log::is_in_use(&setup.config.log.dir));
    // The registry was opened once more.
    hand_over(&setup.config.root);
    super::audit::note(&setup.config, "setup", serde_json::json!({ "complete": fine }));
    setup.next(fine)?;
    Ok(fine)
}

impl Setup<'_> {
    fn requests(&self) -> PathBuf {
        self.args.requests.clone().unwrap_or_else(|| self.folder.join("requests"))
    }

    /// Downloads the global configuration, which names certification services and members. Without it setup goes on.
    fn download(&self) -> Result<Arc<GlobalConf>, Failure> {
        let settings = &self.config.globalconf;
        if self.args.offline || settings.anchor.is_none() {
            return Ok(Arc::new(GlobalConf::load_dir(&settings.dir).unwrap_or_default()));
        }
        let timeouts = Timeouts::from_millis(settings.connect_timeout_ms, settings.read_timeout_ms);
        let checks =
            TlsChecks { chain: settings.tls_verification, host_name: settings.hostname_verification };
        let trust = Arc::new(arc_swap::ArcSwap::from_pointee(TrustSnapshot::default()));
        let mut client = ConfigurationClient::new(
            settings.clone(),
            Arc::new(HttpFetcher::with_checks(timeouts, checks)),
            Arc::clone(&trust),
            Arc::new(SystemClock),
            Arc::new(SystemRandomness),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(client.update_once());
        match client.last_error() {
            None => say!("global configuration: downloaded from the anchor's sources and verified"),
            Some(error) => say!("global configuration: not downloaded ({}); going on without", error.text()),
        }
        Ok(Arc::clone(&trust.load().global_conf))
    }

    fn internal_tls(&self) -> Done {
        let (tls, server) = (&self.config.tls, &self.config.server_id);
        let found = tls.internal.exists();
        load_or_make(&tls.internal, &tls.internal_password, server.server_code())?;
        say!(
            "internal TLS key: {} {}",
            tls.internal.display(),
            if found { "is there" } else { "made, self-signed" }
        );
        Ok(())
    }

    /// What is left to do, in words.
    fn next(&self, fine: bool) -> Done {
        say!("");
        if !keys::are_complete(&self.config)? {
            let requests = self.requests();
            say!("Next: have the requests in {} signed by the certification service.", requests.display());
            say!("Put the certificates into the same folder and run `hermod setup` again.");
            return Ok(());
        }
        let server = &self.config.server_id;
        let known = self.global_conf.server(server).is_some();
        if !known {
            let address = self.args.address.as_deref().unwrap_or("ADDRESS");
            say!("Next: start the server (`systemctl start hermod`), then register it with the instance:");
            say!("  hermod manage register-certificate {address}");
            say!("and, once that is approved, each of its clients: hermod manage register-client CLIENT");
        } else if fine {
            say!("Next: `systemctl start hermod`, if it does not run yet; `hermod status` shows how it is.");
        }
        Ok(())
    }
}
