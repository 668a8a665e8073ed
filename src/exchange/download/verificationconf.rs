//! `GET /verificationconf`: the configuration by which containers are judged (`transport.md` 7.4).

use std::io::{Cursor, Write};
use std::path::Path;

use bytes::Bytes;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::exchange::answer;
use crate::exchange::context::Worker;
use crate::trust::{PartKind, escape_instance, read_dir};
use crate::worker::{HttpError, ServerExchange};

/// Answers with `verificationconf.zip`: the shared parameters of every known instance and which one is local.
pub async fn answer(worker: &Worker, exchange: &mut ServerExchange) -> Result<(), HttpError> {
    let directory = worker.shared.config.globalconf.dir.clone();
    let made = worker.shared.control.spawn_blocking(move || archive(&directory)).await;
    let headers =
        [("Content-Type", "application/zip"), ("Content-Disposition", "filename=\"verificationconf.zip\"")];
    match made {
        Ok(Ok(archive)) => answer::write(worker, exchange, 200, &headers, Bytes::from(archive)).await,
        Ok(Err(error)) => answer::bare(worker, exchange, 500, &error).await,
        Err(_) => answer::bare(worker, exchange, 500, "the configuration could not be packed").await,
    }
}

/// The archive of a global configuration directory. The error is a line of text.
pub fn archive(directory: &Path) -> Result<Vec<u8>, String> {
    let (local, parts) = read_dir(directory).map_err(|error| error.text().to_string())?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    let mut entry = |name: String, content: &[u8]| -> std::io::Result<()> {
        zip.start_file(name, options)?;
        zip.write_all(content)
    };
    let mut entries = || -> std::io::Result<()> {
        for part in parts.iter().filter(|part| part.kind == PartKind::Shared) {
            let Some(folder) = escape_instance(&part.instance) else { continue };
            let path = format!("verificationconf/{folder}/shared-params.xml");
            entry(path.clone(), &part.bytes)?;
            let metadata = format!("{{\"configurationVersion\":\"{}\"}}", part.version);
            entry(format!("{path}.metadata"), metadata.as_bytes())?;
        }
        entry("verificationconf/instance-identifier".into(), local.as_bytes())
    };
    entries().map_err(|error| error.to_string())?;
    zip.finish().map(Cursor::into_inner).map_err(|error| error.to_string())
}
