//! What commands such as `hermod reload` and `hermod upgrade` ask of the running server: one line each way over a Unix
//! socket in its directory, which nobody but its user and root can reach.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The socket's name in the server's directory.
const SOCKET: &str = "command.sock";
/// Bytes of a line.
const LINE_BYTES_MAX: u64 = 8 * 1024;
/// A line is there within this time.
const LINE_MAX: Duration = Duration::from_secs(5);
/// An answer is there within this time: a successor may have a long log to look through.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// A successor takes commands this long after its predecessor has ended.
const AGAIN_MAX: Duration = Duration::from_secs(20);
const AGAIN_PAUSE: Duration = Duration::from_millis(50);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take over the configuration as it is now.
    Reload,
    /// Hand over to this program.
    Upgrade(PathBuf),
}

impl Command {
    fn line(&self) -> String {
        match self {
            Self::Reload => "reload".into(),
            Self::Upgrade(program) => format!("upgrade {}", program.display()),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            None if line == "reload" => Some(Self::Reload),
            Some(("upgrade", program)) => Some(Self::Upgrade(program.into())),
            _ => None,
        }
    }
}

/// A command with the place for its answer: what was done, or why it was refused.
pub struct Asked {
    /// The command.
    pub command: Command,
    answer: mpsc::Sender<Result<String, String>>,
}

impl Asked {
    /// Answers; an asker who has gone away changes nothing.
    pub fn answer(self, answer: Result<String, String>) {
        let _ = self.answer.send(answer);
        // The answer is written by another thread, and this process may end now.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Where the socket is reached: names of sockets are short, names of directories need not be.
fn reachable(root: &Path) -> std::io::Result<(PathBuf, File)> {
    let folder = File::open(root)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(SOCKET), folder))
}

/// Takes commands until the process ends. Whoever listens in a directory must be its one server.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(root: &Path) -> std::io::Result<UnboundedReceiver<Asked>> {
    let (path, _folder) = reachable(root)?;
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let (asked, commands) = unbounded_channel();
    let work = move || {
        for stream in listener.incoming().flatten() {
            let Some(command) = read_line(&stream).as_deref().and_then(Command::parse) else { continue };
            let (answer, answered) = mpsc::channel();
            if asked.send(Asked { command, answer }).is_err() {
                return;
            }
            let text = match answered.recv() {
                Ok(Ok(done)) => format!("done {done}\n"),
                Ok(Err(reason)) => format!("refused {reason}\n"),
                Err(_) => "refused the server is stopping\n".into(),
            };
            let _ = (&stream).write_all(text.as_bytes());
        }
    };
    std::thread::Builder::new().name("commands".into()).spawn(work)?;
    Ok(commands)
}

/// Asks the server whose directory this is.
///
/// # Errors
/// It does not run, or why it has refused.
pub fn ask(root: &Path, command: &Command) -> Result<String, String> {
    let mut ended: Option<Instant> = None;
    loop {
        let refused = match ask_once(root, command) {
            Ok(Some(answer)) => return answer,
            Ok(None) => {
                ended = ended.or_else(|| Some(Instant::now()));
                "the server has ended without an answer".to_owned()
            }
            Err(error) => error,
        };
        // It was about to hand over to a successor, perhaps for the same reason; that one can be asked, too.
        if *command != Command::Reload || ended.is_none_or(|ended| ended.elapsed() > AGAIN_MAX) {
            return Err(refused);
        }
        std::thread::sleep(AGAIN_PAUSE);
    }
}

// `None` when the server has ended meanwhile.
fn ask_once(root: &Path, command: &Command) -> Result<Option<Result<String, String>>, String> {
    let connected = reachable(root).and_then(|(path, _folder)| UnixStream::connect(path));
    let stream = connected.map_err(|error| {
        format!("no server of this directory runs ({}: {error})", root.join(SOCKET).display())
    })?;
    let line = format!("{}\n", command.line());
    (&stream).write_all(line.as_bytes()).map_err(|error| error.to_string())?;
    let _ = stream.set_read_timeout(Some(ANSWER_MAX));
    let Some(answer) = line_of(&stream) else { return Ok(None) };
    Ok(Some(match answer.split_once(' ') {
        Some(("done", done)) => Ok(done.to_owned()),
        Some((_, reason)) => Err(reason.to_owned()),
        None => Err(answer),
    }))
}

fn read_line(stream: &UnixStream) -> Option<String> {
    stream.set_read_timeout(Some(LINE_MAX)).ok()?;
    line_of(stream)
}

fn line_of(stream: &UnixStream) -> Option<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line).ok()?;
    (!line.is_empty()).then(|| line.trim_end_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_with_a_place_for_their_answer() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ask(folder.path(), &Command::Reload).unwrap_err().contains("no server"));
        let mut commands = listen(folder.path()).unwrap();
        let mode = std::fs::metadata(folder.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let upgrade = Command::Upgrade("/opt/new hermod".into());
        let (root, wanted) = (folder.path().to_owned(), upgrade.clone());
        let asker = std::thread::spawn(move || (ask(&root, &Command::Reload), ask(&root, &wanted)));
        let asked = commands.blocking_recv().unwrap();
        assert_eq!(asked.command, Command::Reload);
        asked.answer(Ok("keys read again".into()));
        let asked = commands.blocking_recv().unwrap();
        assert_eq!(asked.command, upgrade);
        asked.answer(Err("it is older".into()));
        let (reload, upgraded) = asker.join().unwrap();
        assert_eq!((reload, upgraded), (Ok("keys read again".into()), Err("it is older".into())));
    }
}
