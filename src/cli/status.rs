//! `hermod status`: how the running server is, asked at its admin socket.

mod view;

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::server::ServerArgs;
use crate::limits::ADMIN_ANSWER_BYTES_MAX;

const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Arguments of `hermod status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print once instead of every second; so it is where standard output is no terminal
    #[arg(long)]
    once: bool,
    /// Print the server's JSON, once
    #[arg(long)]
    json: bool,
    /// Say only whether messages can pass, by the exit code and a line: for health checks
    #[arg(long, conflicts_with_all = ["once", "json"])]
    health: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

/// Shows the state: 0 when messages can pass, 1 when not, 2 when the server does not answer. The live view ends with Ctrl-C.
pub fn run(args: &StatusArgs) -> ExitCode {
    match show(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hermod status: {error}");
            ExitCode::from(2)
        }
    }
}

fn show(args: &StatusArgs) -> Result<bool, String> {
    let config = args.server.config().map_err(|error| error.to_string())?;
    let socket = config.admin.socket.ok_or("admin.socket is off in the configuration")?;
    if args.health {
        let (status, text) = ask(&socket, "/health")?;
        say!("{}", text.trim_end());
        return Ok(status == 200);
    }
    let first = state(&socket)?;
    if args.json {
        say!("{first}");
        return Ok(is_healthy(&first));
    }
    if args.once || !std::io::stdout().is_terminal() {
        say!("{}", view::page(&first, None, false).trim_end());
        return Ok(is_healthy(&first));
    }
    live(&socket, first, Duration::from_secs(args.interval))
}

// Until Ctrl-C ends the process, or nobody reads any more.
fn live(socket: &Path, first: Value, interval: Duration) -> Result<bool, String> {
    let mut last = first;
    let mut page = view::page(&last, None, true);
    loop {
        // Home, the page, and away with what was below.
        let written = write!(std::io::stdout(), "\x1b[H{}\x1b[J", page.replace('\n', "\x1b[K\n"));
        if written.and_then(|()| std::io::stdout().flush()).is_err() {
            return Ok(is_healthy(&last));
        }
        std::thread::sleep(interval);
        match state(socket) {
            Ok(now) => {
                page = view::page(&now, Some(&last), true);
                last = now;
            }
            Err(error) => page = format!("the server does not answer: {error}\n"),
        }
    }
}

fn is_healthy(state: &Value) -> bool {
    state["healthy"] == Value::Bool(true)
}

fn state(socket: &Path) -> Result<Value, String> {
    let (status, text) = ask(socket, "/status")?;
    match serde_json::from_str(&text) {
        Ok(state) if status == 200 => Ok(state),
        _ => Err(format!("{} answers with status {status}: is it another version?", socket.display())),
    }
}

/// One request over the Unix socket: status and body.
fn ask(socket: &Path, path: &str) -> Result<(u16, String), String> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            format!("nobody answers at {}: the server does not run", socket.display())
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("{}: only the server's user and group may ask", socket.display())
        }
        _ => format!("{}: {error}", socket.display()),
    };
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(ANSWER_MAX)).map_err(failed)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(ADMIN_ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(failed)?;
    parse(&answer).ok_or_else(|| format!("{}: this is no HTTP answer", socket.display()))
}

// The server closes behind its answer, whose length it gives.
fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let body = String::from_utf8(answer.get(end + 4..)?.to_vec()).ok()?;
    Some((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let answer = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno";
        assert_eq!(parse(answer), Some((500, "no".to_owned())));
        assert_eq!(parse(b"HTTP/1.1 200 OK"), None);
    }
}
