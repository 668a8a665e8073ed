//! Records and segments on the screen.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::log::{Direction, RecordSummary, SegmentSummary, Stamp, StoredRecord};
use crate::time::UnixTime;

fn direction(record: &RecordSummary) -> &'static str {
    match record.direction {
        Direction::Request => "request",
        Direction::Response => "response",
    }
}

// Ids come from messages of others: nothing in them shall move the cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn parties(record: &RecordSummary) -> String {
    let consumer = record.consumer.as_ref().unwrap_or(&record.client);
    match &record.service {
        Some(service) => format!("{consumer} -> {service}"),
        None => consumer.to_string(),
    }
}

/// One line for people.
pub fn line(record: &RecordSummary) -> String {
    let stamped = if record.stamped { "" } else { "  not time-stamped" };
    let reduced = if record.metadata_only { "  headers only" } else { "" };
    printable(&format!(
        "{:>10}  {}  {:<8}  {}  {}{stamped}{reduced}",
        record.id,
        record.time.to_rfc3339(),
        direction(record),
        record.query_id,
        parties(record),
    ))
}

/// The head of a record.
pub fn json(record: &RecordSummary) -> Value {
    json!({
        "record": record.id,
        "time": record.time.to_rfc3339(),
        "direction": direction(record),
        "message_id": record.query_id,
        "request_id": record.x_request_id,
        "local_party": record.client.to_string(),
        "consumer": record.consumer.as_ref().map(ToString::to_string),
        "service": record.service.as_ref().map(ToString::to_string),
        "headers_only": record.metadata_only,
        "stamped": record.stamped,
    })
}

fn stamp(record: &StoredRecord) -> Option<&'static str> {
    record.stamp.as_ref().map(|stamp| match stamp {
        Stamp::Single { .. } => "single",
        Stamp::Batch { .. } => "batch",
    })
}

/// A record with the sizes of its parts.
pub fn whole_json(record: &StoredRecord) -> Value {
    let mut value = json(&record.summary);
    let attachments: Vec<usize> = record.attachments.iter().map(|attachment| attachment.len()).collect();
    value["message_bytes"] = json!(record.message.len());
    value["attachment_bytes"] = json!(attachments);
    value["signature_bytes"] = json!(record.signature.signature.len());
    value["batch_signature"] = json!(record.signature.hash_chain.is_some());
    value["timestamp"] = json!(stamp(record));
    value["container"] = json!(record.container_file_name());
    value
}

/// Everything that is stored of a record, bytes in base64.
pub fn stored_json(record: &StoredRecord) -> Value {
    let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
    let mut value = json(&record.summary);
    value["message"] = json!(base64(&record.message));
    value["attachments"] = record.attachments.iter().map(|bytes| json!(base64(bytes))).collect();
    value["signature"] = json!(base64(&record.signature.signature));
    value["hash_chain_result"] = json!(record.signature.hash_chain_result.as_deref().map(base64));
    value["hash_chain"] = json!(record.signature.hash_chain.as_deref().map(base64));
    value["timestamp"] = match &record.stamp {
        None => Value::Null,
        Some(Stamp::Single { token }) => json!({ "token": base64(token) }),
        Some(Stamp::Batch { token, hash_chain_result, hash_chain }) => json!({
            "token": base64(token),
            "hash_chain_result": base64(hash_chain_result),
            "hash_chain": base64(hash_chain),
        }),
    };
    value
}

/// A record for people.
pub fn paragraph(record: &StoredRecord) -> String {
    let summary = &record.summary;
    let attachments: Vec<String> =
        record.attachments.iter().map(|attachment| format!("{} bytes", attachment.len())).collect();
    let attachments = if attachments.is_empty() { "none".to_owned() } else { attachments.join(", ") };
    let kind = if record.signature.hash_chain.is_some() { "of a batch" } else { "of this message alone" };
    let rows = [
        ("time", summary.time.to_rfc3339()),
        ("direction", direction(summary).to_owned()),
        ("message id", summary.query_id.clone()),
        ("request id", summary.x_request_id.clone().unwrap_or_else(|| "none".into())),
        ("local party", summary.client.to_string()),
        ("parties", parties(summary)),
        ("stored", if summary.metadata_only { "headers only" } else { "as it was signed" }.to_owned()),
        ("attachments", attachments),
        ("signature", format!("{} bytes, {kind}", record.signature.signature.len())),
        ("time-stamp", stamp(record).unwrap_or("none yet").to_owned()),
        ("container", record.container_file_name()),
    ];
    let mut text = format!("record {}\n", summary.id);
    for (name, value) in rows {
        text += &format!("  {name:<12} {}\n", printable(&value));
    }
    let message = String::from_utf8_lossy(&record.message);
    text += &format!("  message      {} bytes\n", record.message.len());
    for line in message.lines() {
        text += &format!("    {}\n", printable(line));
    }
    text.pop();
    text
}

/// A segment.
pub fn segment_json(segment: &SegmentSummary) -> Value {
    let time = |ms: i64| UnixTime::from_millis(ms).to_rfc3339();
    json!({
        "segment": segment.number,
        "bytes": segment.bytes,
        "sealed": segment.indexed,
        "messages": segment.messages,
        "timestamps": segment.timestamps,
        "earliest": segment.times_ms.map(|(earliest, _)| time(earliest)),
        "latest": segment.times_ms.map(|(_, latest)| time(latest)),
    })
}

/// The same for people.
pub fn segment_line(segment: &SegmentSummary) -> String {
    let time = |ms: i64| UnixTime::from_millis(ms).to_rfc3339();
    let times =
        segment.times_ms.map(|(earliest, latest)| format!("  {} to {}", time(earliest), time(latest)));
    format!(
        "segment {:>6}  {:>12} bytes  {:<6}  {:>9} messages  {:>6} time-stamps{}",
        segment.number,
        segment.bytes,
        if segment.indexed { "sealed" } else { "open" },
        segment.messages,
        segment.timestamps,
        times.unwrap_or_default()
    )
}
