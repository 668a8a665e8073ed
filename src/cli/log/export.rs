//! Records as files.

use std::path::Path;

use serde_json::json;

use super::{Failure, print};
use crate::log::{LogError, LogReader, StoredRecord};

/// Writes each record to a file in `out`, named as official servers name containers. False when one cannot be.
pub fn run(log: &LogReader, ids: &[u64], out: &Path, records: bool, json: bool) -> Result<bool, Failure> {
    std::fs::create_dir_all(out).map_err(|error| format!("{} cannot be made: {error}", out.display()))?;
    let mut written = 0;
    for id in ids {
        let record = match log.read(*id) {
            Ok(record) => record,
            Err(LogError::Io(error)) => return Err(error.into()),
            Err(error) => {
                eprintln!("hermod log: {error}");
                continue;
            }
        };
        let (name, bytes) = match records {
            true => (stored_name(&record), format!("{}\n", print::stored_json(&record)).into_bytes()),
            false => match record.container() {
                Ok(container) => (record.container_file_name(), container.to_bytes(record.summary.time)),
                Err(error) => {
                    eprintln!("hermod log: record {id}: {}", error.text());
                    continue;
                }
            },
        };
        let path = out.join(name);
        std::fs::write(&path, bytes)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        written += 1;
        match json {
            true => say!("{}", json!({ "record": id, "file": path.to_string_lossy() })),
            false => say!("{}", path.display()),
        }
    }
    Ok(written > 0 && written == ids.len())
}

fn stored_name(record: &StoredRecord) -> String {
    let name = record.container_file_name();
    format!("{}.json", name.strip_suffix(".asice").unwrap_or(&name))
}
