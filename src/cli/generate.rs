//! `hermod generate`: man pages and shell completions from the command line's own definition, for packages.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _, Subcommand};
use clap_complete::Shell;

use crate::config::Config;

/// Arguments of `hermod generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write a man page for each sub-command, hermod(1), and hermod.toml(5)
    Man {
        /// An existing folder
        folder: PathBuf,
    },
    /// Write completions for bash, zsh and fish
    Completions {
        /// An existing folder
        folder: PathBuf,
    },
}

/// Writes the files: 0 when done, 1 when a file cannot be written.
pub fn run(args: &GenerateArgs) -> ExitCode {
    let done = match &args.what {
        What::Man { folder } => man(folder),
        What::Completions { folder } => completions(folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hermod generate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn man(folder: &Path) -> std::io::Result<()> {
    let mut command = super::Cli::command();
    command.build();
    pages(&command, "hermod", folder)?;
    std::fs::write(folder.join("hermod.toml.5"), configuration_page())
}

fn pages(command: &Command, name: &str, folder: &Path) -> std::io::Result<()> {
    let page = command.clone().name(name.to_owned()).bin_name(name.replace('-', " "));
    let mut text = Vec::new();
    clap_mangen::Man::new(page).title(name.to_uppercase()).render(&mut text)?;
    std::fs::write(folder.join(format!("{name}.1")), text)?;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        pages(inner, &format!("{name}-{}", inner.get_name()), folder)?;
    }
    Ok(())
}

// The example file as it is: every key with its meaning, unit and default.
fn configuration_page() -> String {
    let mut text = String::from(
        ".TH HERMOD.TOML 5\n.SH NAME\nhermod.toml \\- configuration of a Hermod security server\n.SH DESCRIPTION\n\
         Every key with its meaning, unit and default. Only [server] has to be filled in; unknown keys are refused.\n\
         .SH KEYS\n.nf\n",
    );
    for line in Config::example().lines() {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        // A line must not begin with a request.
        text += &format!("\\&{line}\n");
    }
    text + ".fi\n.SH SEE ALSO\n.BR hermod (1)\n"
}

fn completions(folder: &Path) -> std::io::Result<()> {
    for (shell, name) in [(Shell::Bash, "hermod.bash"), (Shell::Zsh, "_hermod"), (Shell::Fish, "hermod.fish")]
    {
        let mut file = std::fs::File::create(folder.join(name))?;
        clap_complete::generate(shell, &mut super::Cli::command(), "hermod", &mut file);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sub_command_has_a_page_and_a_completion() {
        let folder = tempfile::tempdir().unwrap();
        man(folder.path()).unwrap();
        completions(folder.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let bash = read("hermod.bash");
        for command in super::super::Cli::command().get_subcommands().filter(|one| !one.is_hide_set()) {
            let name = command.get_name();
            assert!(read(&format!("hermod-{name}.1")).contains(".TH"), "{name}");
            assert!(bash.contains(&format!("hermod,{name})")), "{name}");
        }
        assert!(read("hermod.1").contains("security server"));
        assert!(read("hermod.toml.5").contains("pin_file"));
    }
}
