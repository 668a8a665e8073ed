//! Answers: from a flag, else from a person at a terminal, else the default, else none.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Where answers come from.
pub struct Ask {
    terminal: bool,
}

impl Ask {
    /// Asks a person unless `batch`, or standard input is no terminal.
    pub fn new(batch: bool) -> Self {
        Self { terminal: !batch && std::io::stdin().is_terminal() }
    }

    /// The value of `flag`, or what a person answers, or the default. The error names the flag.
    pub fn answer(
        &self,
        flag: &str,
        given: Option<&str>,
        question: &str,
        default: Option<&str>,
    ) -> Result<String, String> {
        if let Some(given) = given {
            return Ok(given.to_owned());
        }
        match (self.terminal, default) {
            (true, _) => ask(flag, question, default),
            (false, Some(default)) => Ok(default.to_owned()),
            (false, None) => Err(format!("{flag} is missing: {question}")),
        }
    }

    /// Whether a person says yes; without a person, yes.
    pub fn agrees(&self, question: &str) -> Result<bool, String> {
        if !self.terminal {
            return Ok(true);
        }
        let answer = self.answer("--batch", None, &format!("{question} (yes or no)"), None)?;
        Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
    }
}

// Until there is an answer.
fn ask(flag: &str, question: &str, default: Option<&str>) -> Result<String, String> {
    loop {
        match default {
            Some(default) => eprint!("{question} [{default}]: "),
            None => eprint!("{question}: "),
        }
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
        match (line.trim(), default) {
            ("", Some(default)) => return Ok(default.to_owned()),
            ("", None) if read == 0 => return Err(format!("no answer; {flag} gives it, too")),
            ("", None) => {}
            (line, _) => return Ok(line.to_owned()),
        }
    }
}
