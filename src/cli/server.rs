//! Which server a sub-command is about.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, DEFAULT_FILE, FileError};

/// `--config`, also behind a sub-command's own sub-commands.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The server's configuration file
    #[arg(id = "config", long, value_name = "FILE", global = true, default_value = DEFAULT_FILE)]
    pub file: PathBuf,
}

impl ServerArgs {
    /// The server's configuration.
    ///
    /// # Errors
    /// The file cannot be read, or is no configuration.
    pub fn config(&self) -> Result<Config, FileError> {
        Config::load(&self.file)
    }
}
