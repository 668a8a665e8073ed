//! The life of a server as a service: waiting for what it needs, starting, ready, reloading, handing over, stopping.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::signals::{Signals, Told};
use super::{MUST_BE_MENDED, RunArgs};
use crate::appliance::commands::{self, Asked, Command};
use crate::appliance::succession::{Predecessor, Successor, own_program};
use crate::appliance::watchdog::Watchdog;
use crate::appliance::{Appliance, Preparation, Reconfigured, StartError, TokenFilter, missing};
use crate::cli::logging;
use crate::config::Config;
use crate::control::AuditLog;
use crate::host::{Held, Notifier, watchdog_interval};
use crate::log::LogError;
use crate::time::{Clock as _, SystemClock};

/// How often somebody looks whether what is missing has come.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// The same until messages can pass, and where another process is about to give the log free.
const READY_PAUSE: Duration = Duration::from_millis(50);
/// How often the status is looked at once messages pass.
const STATUS_PAUSE: Duration = Duration::from_secs(1);
/// The end may take so much longer than running exchanges: indexes of full segments are written.
const CLOSING_MAX: Duration = Duration::from_secs(60);
/// Keys are looked for again this often while there is none.
const KEYS_PAUSE_LOOKS: u32 = 100;

/// An exit code.
type Code = u8;

/// Everything that outlives a start.
pub struct Service {
    file: PathBuf,
    filter: TokenFilter,
    config: Config,
    notifier: Arc<Notifier>,
    signals: Signals,
    held: Held,
    predecessor: Option<Predecessor>,
    status: String,
}

impl Service {
    /// Reads the configuration and what was passed to this process.
    pub fn new(args: &RunArgs, filter: TokenFilter) -> Result<Self, Code> {
        let notifier = Arc::new(Notifier::from_environment());
        let refuse = |text: &str, code: Code| {
            eprintln!("{text}");
            notifier.status(text);
            code
        };
        let mut signals = Signals::receive().map_err(|error| refuse(&error.to_string(), 1))?;
        let (predecessor, held) = match args.take_over {
            true => {
                let met = Predecessor::meet(args.exit_on_stdin_close);
                let (before, held, input) = met.map_err(|error| refuse(&error.to_string(), 1))?;
                let watched = input.map_or(Ok(()), |input| signals.watch(input));
                watched.map_err(|error| refuse(&error.to_string(), 1))?;
                (Some(before), held)
            }
            false => {
                if args.exit_on_stdin_close {
                    let input = std::io::stdin().as_fd().try_clone_to_owned();
                    let watched = input.and_then(|input| signals.watch(input));
                    watched.map_err(|error| refuse(&error.to_string(), 1))?;
                }
                let held = Held::from_environment();
                (None, held.map_err(|error| refuse(&error.to_string(), MUST_BE_MENDED))?)
            }
        };
        let config = match args.server.config() {
            Ok(config) => config,
            Err(error) => {
                predecessor.iter().for_each(|before| before.failed(&error.to_string()));
                return Err(refuse(&error.to_string(), MUST_BE_MENDED));
            }
        };
        logging::start(&config.logging.level);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), server = %config.server_id, "hermod starts");
        let (file, status) = (args.server.file.clone(), String::new());
        Ok(Self { file, filter, config, notifier, signals, held, predecessor, status })
    }

    /// Runs until told to stop, or until a successor has taken over.
    pub fn run(mut self) -> Result<(), Code> {
        if !self.wait_for_what_is_missing()? {
            return Ok(());
        }
        let Some(appliance) = self.start()? else { return Ok(()) };
        self.serve(appliance)
    }

    /// False when told to stop meanwhile.
    fn wait_for_what_is_missing(&mut self) -> Result<bool, Code> {
        while let Some(what) = missing(&self.config) {
            if let Some(before) = self.predecessor.take() {
                before.failed(&format!("it would wait for {what}"));
                return Err(1);
            }
            self.tell(format!("waits for {what}"));
            match self.signals.wait(LOOK_PAUSE) {
                Told::Stop => return Ok(false),
                Told::Reload => match Config::load(&self.file) {
                    Ok(config) => {
                        logging::set_level(&config.logging.level);
                        self.config = config;
                    }
                    Err(error) => tracing::error!("reload refused, the old configuration stays: {error}"),
                },
                Told::Asked(_) | Told::Nothing => {}
            }
        }
        Ok(true)
    }

    /// `None` when told to stop meanwhile, or not to take over after all.
    fn start(&mut self) -> Result<Option<Appliance>, Code> {
        let (clock, held) = (Arc::new(SystemClock), std::mem::take(&mut self.held));
        let prepared = Preparation::new(self.config.clone(), clock, Arc::clone(&self.filter), held);
        let preparation = prepared.map_err(|error| self.refuse(&error, MUST_BE_MENDED))?;
        if let Some(before) = &self.predecessor {
            preparation.look_ahead().map_err(|error| self.refuse(&error, MUST_BE_MENDED))?;
            if let Err(error) = before.prepared() {
                tracing::info!("does not take over: {error}");
                return Ok(None);
            }
        }
        // Whoever holds the sockets has started this process before the one before it has ended.
        while preparation.is_held() && preparation.log_is_in_use() {
            self.tell("waits for the message log, which another process has".into());
            if matches!(self.signals.wait(READY_PAUSE), Told::Stop) {
                return Ok(None);
            }
        }
        match preparation.start() {
            Ok(appliance) => Ok(Some(appliance)),
            Err(error) => Err(self.refuse(&error, code_of(&error))),
        }
    }

    fn refuse(&self, error: &StartError, code: Code) -> Code {
        tracing::error!("cannot start: {error}");
        self.notifier.status(&format!("cannot start: {error}"));
        self.predecessor.iter().for_each(|before| before.failed(&error.to_string()));
        code
    }

    fn serve(mut self, mut appliance: Appliance) -> Result<(), Code> {
        if let Some(before) = self.predecessor.take() {
            before.started();
        }
        match commands::listen(&self.config.root) {
            Ok(commands) => self.signals.commands = Some(commands),
            Err(error) => tracing::warn!(%error, "commands such as `hermod reload` cannot be taken"),
        }
        let (pulse, notifier) = (appliance.pulse(), Arc::clone(&self.notifier));
        let mut watchdog = Watchdog::start(notifier, watchdog_interval(), pulse, appliance.control());
        self.note("server.start", "done", "");
        let mut ready = false;
        let mut looks = 0_u32;
        loop {
            let waits_for = appliance.waits_for();
            let status = appliance.status();
            if !ready && waits_for.is_none() {
                ready = true;
                tracing::info!("ready");
                self.notifier.ready(&status);
                self.status = status;
            } else {
                self.tell(status);
            }
            looks = looks.wrapping_add(1);
            if !ready && looks.is_multiple_of(KEYS_PAUSE_LOOKS) && appliance.has_no_keys() {
                // Somebody may have brought one; until then nothing is worth a line.
                let _ = appliance.look_for_keys();
            }
            let (asked, result) = match self.signals.wait(if ready { STATUS_PAUSE } else { READY_PAUSE }) {
                Told::Stop => break,
                Told::Nothing => continue,
                Told::Reload => (None, self.reload(&appliance)),
                Told::Asked(asked) => {
                    let result = match &asked.command {
                        Command::Reload => self.reload(&appliance),
                        Command::Upgrade(program) => self.prepare_successor(&appliance, program),
                    };
                    (Some(asked), result)
                }
            };
            let refused = match result {
                Ok(Next::Stay(done)) => {
                    tracing::info!("reloaded: {done}");
                    self.note("server.reload", "done", "");
                    self.answer(asked, Ok(done), &appliance, ready);
                    continue;
                }
                Ok(Next::HandOver(successor)) => {
                    // The watchdog is fed as long as the workers finish what runs.
                    match self.hand_over(appliance, *successor)? {
                        Ended::Gone(version) => {
                            self.note("server.hand_over", "done", &version);
                            asked.into_iter().for_each(|asked| asked.answer(Ok(version.clone())));
                            return Ok(());
                        }
                        Ended::Back(again, reason) => {
                            appliance = *again;
                            let (pulse, notifier) = (appliance.pulse(), Arc::clone(&self.notifier));
                            watchdog =
                                Watchdog::start(notifier, watchdog_interval(), pulse, appliance.control());
                            reason
                        }
                    }
                }
                Err(reason) => reason,
            };
            tracing::error!("refused, everything stays as it was: {refused}");
            self.note("server.reload", "refused", &refused);
            self.answer(asked, Err(refused), &appliance, ready);
        }
        drop(watchdog);
        tracing::info!("stopping");
        self.notifier.stopping("finishing what runs");
        self.notifier.extend_timeout(CLOSING_MAX);
        self.note("server.stop", "done", "");
        appliance.stop();
        Ok(())
    }

    /// An administrative act of this process, for the audit log. `words` say more, or nothing.
    fn note(&self, act: &str, outcome: &str, words: &str) {
        let log = AuditLog::new(&self.config.audit);
        let details = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id(), "words": words,
        });
        let by = crate::cli::audit::actor();
        if let Err(error) = log.append(act, outcome, &details, &by, SystemClock.now()) {
            tracing::error!("audit log {}: {error}", log.path().display());
        }
    }

    /// Ends a reload, for whoever asked and for the service manager.
    fn answer(&mut self, asked: Option<Asked>, result: Result<String, String>, now: &Appliance, ready: bool) {
        let status = match &result {
            Ok(_) => now.status(),
            Err(reason) => format!("{}; the last reload was refused: {reason}", now.status()),
        };
        // Also without having been ready: a reload ends with this word only.
        if ready {
            self.notifier.ready(&status);
            self.status = now.status();
        } else {
            self.tell(status);
        }
        asked.into_iter().for_each(|asked| asked.answer(result.clone()));
    }

    fn reload(&mut self, appliance: &Appliance) -> Result<Next, String> {
        self.notifier.reloading();
        let config = Config::load(&self.file).map_err(|error| error.to_string())?;
        if let Some(what) = missing(&config) {
            return Err(format!("there is not yet {what}"));
        }
        match appliance.reconfigure(&config).map_err(|error| error.to_string())? {
            Reconfigured::InForce => {
                logging::set_level(&config.logging.level);
                Ok(Next::Stay("keys, certificates and log level are those of now".into()))
            }
            Reconfigured::NeedsSuccessor => self.prepare_successor(appliance, &own_program()),
        }
    }

    fn prepare_successor(&mut self, appliance: &Appliance, program: &Path) -> Result<Next, String> {
        tracing::info!(program = %program.display(), "a successor is being prepared");
        let prepared = Successor::prepare(appliance, program, &self.file, self.signals.input())?;
        Ok(Next::HandOver(Box::new(prepared)))
    }

    fn hand_over(&mut self, appliance: Appliance, successor: Successor) -> Result<Ended, Code> {
        let version = successor.version.clone();
        self.tell(format!("hands over to version {version}"));
        tracing::info!(version, "handing over");
        let (sockets, config) = (appliance.sockets(), appliance.config().clone());
        // Between the last exchange here and the first there nothing moves; the successor sets its own interval again.
        if let Some(interval) = watchdog_interval() {
            self.notifier.watchdog_within(interval + 2 * CLOSING_MAX);
        }
        appliance.make_way();
        match successor.go(&self.notifier) {
            Ok(pid) => Ok(Ended::Gone(format!("version {version} has taken over as process {pid}"))),
            Err(reason) => {
                // Clients wait in the sockets: go on with what has worked so far.
                tracing::error!("the successor has failed, going on: {reason}");
                for (name, socket) in sockets {
                    let _ = self.held.push(&name, socket.into());
                }
                self.config = config;
                let again = self.start()?.ok_or(1)?;
                Ok(Ended::Back(Box::new(again), reason))
            }
        }
    }

    fn tell(&mut self, status: String) {
        if self.status != status {
            tracing::info!("{status}");
            self.notifier.status(&status);
            self.status = status;
        }
    }
}

/// What follows a reload or an upgrade.
enum Next {
    /// It is in force.
    Stay(String),
    /// This process ends.
    HandOver(Box<Successor>),
}

/// How a hand-over has ended.
enum Ended {
    /// The successor runs.
    Gone(String),
    /// It does not, and this process goes on; why.
    Back(Box<Appliance>, String),
}

// What another try cannot change is to be mended first.
fn code_of(error: &StartError) -> Code {
    match error.downcast_ref::<LogError>() {
        Some(LogError::Version { .. } | LogError::OtherServer { .. } | LogError::SegmentHeader { .. }) => {
            MUST_BE_MENDED
        }
        _ => match error.is::<crate::host::HeldError>() {
            true => MUST_BE_MENDED,
            false => 1,
        },
    }
}
