//! One security server as a child process.
//!
//! The child's standard input is a pipe that the sandbox holds: when the sandbox ends, however it ends, the system closes
//! the pipe and the child stops by itself (`hermod run --exit-on-stdin-close`). Closing it early is how a server is
//! stopped gracefully.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, ChildStdin, Command};

use super::client;
use super::error::SandboxError;
use super::files::ServerFiles;
use super::plan::{ServerPlan, ports};
use crate::appliance::commands;
use crate::host;

/// How long a server may take from its start until it answers.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long a server may take to stop by itself.
const STOP_MAX: Duration = Duration::from_secs(15);
const POLL_PAUSE: Duration = Duration::from_millis(25);

/// A security server of the sandbox, running or not.
pub struct SecurityServer {
    plan: ServerPlan,
    files: ServerFiles,
    binary: PathBuf,
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    /// Process id of the server that has taken over from the child.
    successor: Option<u32>,
    /// Sockets of all ports, kept open whatever becomes of processes.
    held: Vec<(String, TcpListener)>,
}

/// Connections that wait in a held socket.
const BACKLOG: i32 = 4096;

impl SecurityServer {
    /// A server that does not run yet.
    pub(super) fn new(plan: ServerPlan, files: ServerFiles, binary: PathBuf) -> Self {
        Self { plan, files, binary, child: None, stdin: None, successor: None, held: Vec::new() }
    }

    /// Opens the ports here, once and for all, as a service manager does; processes that are started from now on get
    /// them passed.
    ///
    /// # Errors
    /// When a port cannot be opened.
    pub fn hold_sockets(&mut self) -> Result<(), SandboxError> {
        const NAMES: [&str; 6] = ["server", "ocsp", "consumer-http", "consumer-https", "admin", "health"];
        for (name, port) in NAMES.into_iter().zip(ports::SECURITY_SERVER) {
            let address = SocketAddr::from((self.plan.address, port));
            let socket = listen(address).map_err(|e| self.error(format!("{address} cannot be held: {e}")))?;
            self.held.push((name.to_owned(), socket));
        }
        Ok(())
    }

    /// Lets the running server hand over to its binary once more, as an upgrade does.
    ///
    /// # Errors
    /// Why it has refused.
    pub async fn upgrade(&mut self) -> Result<(), SandboxError> {
        let (root, command) = (self.files.root(), commands::Command::Upgrade(self.binary.clone()));
        let asked = tokio::task::spawn_blocking(move || commands::ask(&root, &command)).await;
        let answer = asked.map_err(|e| self.error(e.to_string()))?.map_err(|e| self.error(e))?;
        let pid = answer.rsplit(' ').next().and_then(|pid| pid.parse().ok());
        self.successor = Some(pid.ok_or_else(|| self.error(format!("\"{answer}\" names no process")))?);
        if let Some(mut child) = self.child.take() {
            let status = tokio::time::timeout(STOP_MAX, child.wait()).await;
            let status = status.map_err(|_| self.error("handed over and did not end".to_owned()))?;
            if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
                return Err(self.error(format!("handed over and ended with {status:?}")));
            }
        }
        Ok(())
    }

    /// Who it is and where it listens.
    pub fn plan(&self) -> &ServerPlan {
        &self.plan
    }

    /// Its directory.
    pub fn files(&self) -> &ServerFiles {
        &self.files
    }

    /// `http://127.a.b.11:8080`, where information systems send their requests.
    pub fn consumer_url(&self) -> String {
        self.plan.consumer_url()
    }

    /// Process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.successor.or_else(|| self.child.as_ref().and_then(Child::id))
    }

    /// Starts the process. What it prints is appended to its output file.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub fn start(&mut self) -> Result<(), SandboxError> {
        let output = self.files.output();
        let file = File::options().create(true).append(true).open(&output);
        let file = file.map_err(SandboxError::file("write", &output))?;
        let second = file.try_clone().map_err(SandboxError::file("write", &output))?;
        let command = match self.held.is_empty() {
            true => std::process::Command::new(&self.binary),
            false => host::command_with(&self.binary, &self.held),
        };
        let mut child = Command::from(command)
            .arg("run")
            .arg("--config")
            .arg(self.files.config())
            .arg("--exit-on-stdin-close")
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(second)
            // Ctrl-C at the terminal reaches the sandbox only, which then stops its servers in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| self.error(format!("{} cannot be started: {e}", self.binary.display())))?;
        self.stdin = child.stdin.take();
        (self.child, self.successor) = (Some(child), None);
        Ok(())
    }

    /// Waits until it listens and has the OCSP responses of its own certificates, without which nobody believes it.
    ///
    /// # Errors
    /// When the process ends or does not answer in time.
    pub async fn wait_ready(&mut self) -> Result<(), SandboxError> {
        let started = Instant::now();
        let consumer = self.consumer_url();
        let hashes: Vec<String> =
            self.files.certificate_hashes().iter().map(|hash| format!("cert={hash}")).collect();
        let ocsp = format!("http://{}:5577/?{}", self.plan.address, hashes.join("&"));
        loop {
            if let Some(status) = self.exited()? {
                return Err(self.error(format!("ended ({status}) before it was ready")));
            }
            if client::answers(&consumer, |_| true).await && client::answers(&ocsp, |s| s == 200).await {
                return Ok(());
            }
            if started.elapsed() > READY_MAX {
                return Err(self.error(format!("not ready after {} s", READY_MAX.as_secs())));
            }
            tokio::time::sleep(POLL_PAUSE).await;
        }
    }

    /// Stops it gracefully and waits for its end; kills it if that takes too long.
    ///
    /// # Errors
    /// When it had to be killed or ended with a failure.
    pub async fn stop(&mut self) -> Result<(), SandboxError> {
        drop(self.stdin.take());
        if let Some(successor) = self.successor.take() {
            return self.wait_gone(successor).await;
        }
        let Some(mut child) = self.child.take() else { return Ok(()) };
        match tokio::time::timeout(STOP_MAX, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.error(format!("ended with {status}"))),
            Ok(Err(e)) => Err(self.error(format!("cannot be waited for: {e}"))),
            Err(_) => {
                let _ = child.kill().await;
                Err(self.error(format!("did not stop within {} s and was killed", STOP_MAX.as_secs())))
            }
        }
    }

    // It is nobody's child any more.
    async fn wait_gone(&self, pid: u32) -> Result<(), SandboxError> {
        let began = Instant::now();
        while is_alive(pid) {
            if began.elapsed() > STOP_MAX {
                kill_process(pid);
                return Err(
                    self.error(format!("did not stop within {} s and was killed", STOP_MAX.as_secs()))
                );
            }
            tokio::time::sleep(POLL_PAUSE).await;
        }
        Ok(())
    }

    /// Kills it on the spot (SIGKILL), as a power cut would.
    pub async fn kill(&mut self) {
        self.successor.take().into_iter().for_each(kill_process);
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself in the meantime, which is as good.
            let _ = child.kill().await;
        }
    }

    /// Stops it, starts it again and waits until it is ready.
    ///
    /// # Errors
    /// As [`Self::stop`], [`Self::start`] and [`Self::wait_ready`].
    pub async fn restart(&mut self) -> Result<(), SandboxError> {
        self.stop().await?;
        self.start()?;
        self.wait_ready().await
    }

    /// Has it ended by itself?
    fn exited(&mut self) -> Result<Option<std::process::ExitStatus>, SandboxError> {
        if let Some(successor) = self.successor {
            return match is_alive(successor) {
                true => Ok(None),
                false => Err(self.error("has ended".to_owned())),
            };
        }
        let status = match &mut self.child {
            Some(child) => child.try_wait(),
            None => return Err(self.error("is not running".to_owned())),
        };
        status.map_err(|e| self.error(e.to_string()))
    }

    fn error(&self, reason: String) -> SandboxError {
        let output = self.files.output();
        let text = std::fs::read_to_string(&output).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        let last: String = last.into_iter().rev().map(|line| format!("\n    {line}")).collect();
        SandboxError::Server {
            server: self.plan.code.clone(),
            reason: format!("{reason}; its output is in {}{last}", output.display()),
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

// A process that has ended and that nobody has asked for yet is gone, too.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).is_some_and(|state| !"ZX".contains(state))
}

fn kill_process(pid: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}
