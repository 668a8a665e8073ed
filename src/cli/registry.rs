//! `hermod registry`: shows and changes local clients, services and access rights.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::server::ServerArgs;
use crate::control::serverconf::{self, Dump};
use crate::control::{RegistryDb, load_declaration};
use crate::limits::SERVERCONF_DUMP_BYTES_MAX;

/// Arguments of `hermod registry`.
#[derive(Debug, Args)]
pub struct RegistryArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the registry hold exactly what FILE declares, all or nothing, and print what changes
    ///
    /// A running server takes the change over within a second. docs/registry.md shows how to write a declaration.
    Apply {
        /// The declaration, a TOML file
        file: PathBuf,
        /// Only print what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Print what the registry holds
    Show,
    /// Print the clients, services, rights and groups of an official security server as a declaration
    ///
    /// DUMP is its serverconf database as `pg_dump` writes it. What cannot be taken over is told on standard error. Nothing is
    /// changed: look at the declaration, then apply it.
    Import {
        /// The dump, plain SQL
        dump: PathBuf,
    },
}

/// Runs the sub-command: 0 when done, 1 when refused, with every reason on standard error.
pub fn run(args: &RegistryArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    match runtime.block_on(execute(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(error.as_ref()),
    }
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

async fn execute(args: &RegistryArgs) -> Result<(), Box<dyn std::error::Error>> {
    if let Command::Import { dump } = &args.command {
        return import(dump);
    }
    let config = args.server.config()?;
    match &args.command {
        Command::Apply { file, dry_run } => {
            let clients = load_declaration(file)?;
            if let Some(folder) = config.registry.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let applied = RegistryDb::open(&config.registry).await?.apply(clients, *dry_run).await;
            super::ownership::hand_over(&config.root);
            let changes = match dry_run {
                true => applied?,
                false => {
                    let count = applied.as_ref().map_or(0, Vec::len);
                    let details = json!({ "file": file, "changes": count });
                    super::audit::noted(&config, "registry.apply", details, applied)?
                }
            };
            changes.iter().for_each(|change| say!("{change}"));
            match (changes.len(), dry_run) {
                (0, _) => say!("nothing to change"),
                (count, true) => say!("{count} changes not made (dry run)"),
                (count, false) => say!("{count} changes made"),
            }
        }
        Command::Show => {
            let registry = RegistryDb::open(&config.registry).await?.load().await?;
            crate::registry::facts(&registry).iter().for_each(|line| say!("{line}"));
        }
        Command::Import { .. } => {}
    }
    Ok(())
}

fn import(file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let size = std::fs::metadata(file).map_err(|error| failed(&error))?.len();
    if size > SERVERCONF_DUMP_BYTES_MAX {
        return Err(failed(&format!("larger than {SERVERCONF_DUMP_BYTES_MAX} bytes")).into());
    }
    let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
    let imported = serverconf::import(&Dump::parse(&text).map_err(|error| failed(&error))?);
    imported.notices.iter().for_each(|notice| eprintln!("{notice}"));
    say!("{}", serverconf::declaration(&imported).trim_end());
    Ok(())
}
