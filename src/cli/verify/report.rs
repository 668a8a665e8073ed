//! What `hermod verify` says about one file.

use std::fmt::Write;
use std::path::Path;

use serde_json::json;

use super::archives::Archive;
use crate::evidence::Verdict;

/// The line of `--json` for one container, of an archive if `entry` is its name there: an object without line breaks.
pub fn json_line(file: &Path, entry: Option<&str>, verdict: &Verdict) -> String {
    let names =
        |numbers: &[u32]| -> Vec<String> { numbers.iter().map(|n| format!("attachment{n}")).collect() };
    let mut line = json!({
        "file": file.to_string_lossy(),
        "entry": entry,
        "valid": verdict.is_valid(),
        "code": verdict.error.as_ref().map(|error| error.code()),
        "reason": verdict.error.as_ref().map(|error| error.text()),
        "signer": verdict.signer.as_ref().map(ToString::to_string),
        "time": verdict.time.map(|time| time.to_rfc3339()),
        "attachments": {
            "verified": names(&verdict.attachments.verified),
            "absent": names(&verdict.attachments.absent),
        },
        "warnings": verdict.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    if let (None, Some(object)) = (entry, line.as_object_mut()) {
        object.remove("entry");
    }
    line.to_string()
}

/// The line of `--json` for one archive.
pub fn archive_json_line(archive: &Archive) -> String {
    let error = archive.error.as_ref();
    let links = archive.links.as_ref();
    json!({
        "archive": archive.file.to_string_lossy(),
        "valid": error.is_none(),
        "code": error.map(|error| error.code()),
        "reason": error.map(|error| error.text()),
        "containers": archive.containers,
        "chained": links.is_some(),
        "previous_file": links.map(|links| &links.previous_file).filter(|name| !name.is_empty()),
        "previous_digest": links.map(|links| &links.previous_digest).filter(|digest| !digest.is_empty()),
        "last_digest": links.map(|links| &links.last_digest),
        "note": archive.note,
    })
    .to_string()
}

/// The same for people.
pub fn archive_paragraph(archive: &Archive) -> String {
    let mut text = String::new();
    let (file, containers) = (archive.file.display(), archive.containers);
    // Writing to a string has no error to report.
    let _ = match (&archive.error, &archive.links) {
        (Some(error), _) => {
            let _ = writeln!(text, "{file}: NOT VALID as an archive of {containers} containers");
            writeln!(
                text,
                "  code         {}\n  reason       {}",
                printable(error.code()),
                printable(error.text())
            )
        }
        (None, Some(links)) => {
            let _ = writeln!(text, "{file}: a whole archive of {containers} containers");
            let before = match links.previous_file.as_str() {
                "" => "nothing, it is the first",
                name => name,
            };
            let _ = writeln!(text, "  continues    {}", printable(before));
            writeln!(text, "  last digest  {}", printable(&links.last_digest))
        }
        (None, None) => writeln!(text, "{file}: {containers} containers that no chain ties together"),
    };
    if let Some(note) = &archive.note {
        let _ = writeln!(text, "  not checked  {}", printable(note));
    }
    text
}

/// The same for people: one paragraph.
pub fn paragraph(file: &Path, entry: Option<&str>, verdict: &Verdict) -> String {
    let mut text = String::new();
    let file = entry.map_or_else(|| file.to_owned(), |entry| file.join(printable(entry)));
    // Writing to a string has no error to report.
    let _ = match &verdict.error {
        None => writeln!(text, "{}: valid", file.display()),
        Some(error) => {
            let _ = writeln!(text, "{}: NOT VALID", file.display());
            writeln!(
                text,
                "  code         {}\n  reason       {}",
                printable(error.code()),
                printable(error.text())
            )
        }
    };
    if let Some(signer) = &verdict.signer {
        let _ = writeln!(text, "  signed by    {}", printable(&signer.to_string()));
    }
    if let Some(certificate) = &verdict.signing_certificate {
        let _ = writeln!(text, "  certificate  {}", printable(&certificate.subject().to_string()));
        let _ = writeln!(text, "  issued by    {}", printable(&certificate.issuer().to_string()));
    }
    if let Some(time) = verdict.time {
        let _ = writeln!(text, "  existed at   {time}");
    }
    if let Some(authority) = &verdict.timestamp_authority {
        let _ = writeln!(text, "  stamped by   {}", printable(&authority.subject().to_string()));
    }
    if verdict.is_valid() {
        let _ = writeln!(
            text,
            "  checked      signature, certificate and its OCSP answer, time-stamp, {}",
            parts(verdict)
        );
    }
    for warning in &verdict.warnings {
        let _ = writeln!(text, "  warning      {}: {}", warning, printable(&warning.explanation()));
    }
    text
}

fn parts(verdict: &Verdict) -> String {
    let list = |numbers: &[u32]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut text = String::from("message");
    if !verdict.attachments.verified.is_empty() {
        let _ = write!(text, ", attachment {}", list(&verdict.attachments.verified));
    }
    if !verdict.attachments.absent.is_empty() {
        let _ = write!(
            text,
            " (signed but not in the container: attachment {})",
            list(&verdict.attachments.absent)
        );
    }
    text
}

/// Texts come from the file: nothing in them may steer a terminal.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
