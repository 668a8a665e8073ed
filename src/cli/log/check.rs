//! Whether the log is what was written, and evidence.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::Failure;
use crate::evidence::{Judge, conf};
use crate::log::{LogReader, StoredRecord};
use crate::trust::Policy;

/// Reads every segment, its index and every record; judges the records when `conf` says where the configuration is.
/// False when something is wrong.
pub fn run(log: &LogReader, conf: Option<&Path>, json: bool) -> Result<bool, Failure> {
    let mut judge = match conf {
        Some(path) => Some(Judge::new(Arc::new(conf::load(path)?), Policy::STRICT)),
        None => None,
    };
    let mut tell = Teller { json, faults: 0 };
    let segments = log.segments()?;
    for segment in segments.clone() {
        let number = segment.number;
        let check = match log.check_segment(segment) {
            Ok(check) => check,
            Err(error) => {
                tell.fault(&format!("segment {number}"), &error.to_string());
                continue;
            }
        };
        for fault in &check.faults {
            tell.fault(&format!("segment {number}"), fault);
        }
        for damage in &check.damages {
            let what = match damage.record_id {
                Some(id) => format!("segment {number}, record {id}"),
                None => format!("segment {number}"),
            };
            let text = format!("{} bytes at {}: {}", damage.len, damage.offset, damage.reason);
            tell.fault(&what, &text);
        }
    }
    let (mut records, mut valid, mut unstamped, mut reduced) = (0_u64, 0_u64, 0_u64, 0_u64);
    for record in log.iter() {
        records += 1;
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                tell.fault("record", &error.to_string());
                continue;
            }
        };
        let Some(judge) = &mut judge else { continue };
        if record.summary.metadata_only {
            // Without its body a message is not what was signed.
            reduced += 1;
        } else if record.stamp.is_none() {
            unstamped += 1;
        } else {
            match judged(judge, &record) {
                Ok(()) => valid += 1,
                Err(reason) => tell.fault(&format!("record {}", record.summary.id), &reason),
            }
        }
    }
    let Teller { faults, .. } = tell;
    if json {
        let judged = judge.is_some();
        say!(
            "{}",
            json!({
                "segments": segments.len(), "records": records, "faults": faults,
                "valid": judged.then_some(valid), "not_stamped": judged.then_some(unstamped),
                "headers_only": judged.then_some(reduced),
            })
        );
    } else {
        let evidence = match judge {
            Some(_) => format!(
                "; {valid} are valid evidence, {unstamped} have no time-stamp yet, of {reduced} only headers are kept"
            ),
            None => String::new(),
        };
        say!("{records} records in {} segments read; {faults} faults{evidence}", segments.len());
    }
    Ok(faults == 0)
}

fn judged(judge: &mut Judge, record: &StoredRecord) -> Result<(), String> {
    let container = record.container().map_err(|error| error.to_string())?;
    match judge.judge(&container).error {
        None => Ok(()),
        Some(error) => Err(error.to_string()),
    }
}

struct Teller {
    json: bool,
    faults: u64,
}

impl Teller {
    fn fault(&mut self, what: &str, fault: &str) {
        self.faults += 1;
        match self.json {
            true => say!("{}", json!({ "what": what, "fault": fault })),
            false => say!("{what}: {fault}"),
        }
    }
}
