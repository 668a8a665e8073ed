//! What `hermod verify` says about one file.

use std::fmt::Write;
use std::path::Path;

use serde_json::json;

use crate::evidence::Verdict;

/// The line of `--json` for one file: an object without line breaks.
pub fn json_line(file: &Path, verdict: &Verdict) -> String {
    let names =
        |numbers: &[u32]| -> Vec<String> { numbers.iter().map(|n| format!("attachment{n}")).collect() };
    json!({
        "file": file.to_string_lossy(),
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
    })
    .to_string()
}

/// The same for people: one paragraph.
pub fn paragraph(file: &Path, verdict: &Verdict) -> String {
    let mut text = String::new();
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
