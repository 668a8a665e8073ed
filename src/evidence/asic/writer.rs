//! The ZIP archive as official servers write it: everything deflated, sizes in data descriptors, one comment.

use std::io::Write;

use flate2::{Compression, Crc, write::DeflateEncoder};

use crate::time::UnixTime;

const COMMENT: &[u8] = b"mimetype=application/vnd.etsi.asic-e+zip";
/// ZIP 2.0, the version that deflate needs.
const VERSION: u16 = 20;
/// Data descriptor and UTF-8 names.
const FLAGS: u16 = 0x0808;
const METHOD_DEFLATED: u16 = 8;

/// Writes entries (name, content) in their order; every one gets `created` as its time (whole seconds, UTC).
pub fn write(entries: &[(String, &[u8])], created: UnixTime) -> Vec<u8> {
    let (date, time) = dos_time(created);
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in entries {
        let offset = out.len() as u32;
        let mut crc = Crc::new();
        crc.update(content);
        let packed = deflate(content);
        let sizes = [crc.sum(), packed.len() as u32, content.len() as u32];

        out.extend_from_slice(b"PK\x03\x04");
        header_fields(&mut out, time, date, [0; 3], name);
        out.extend_from_slice(name.as_bytes());
        extended_timestamp(&mut out, created);
        out.extend_from_slice(&packed);
        out.extend_from_slice(b"PK\x07\x08");
        put_u32(&mut out, &sizes);

        directory.extend_from_slice(b"PK\x01\x02");
        put_u16(&mut directory, &[VERSION]);
        header_fields(&mut directory, time, date, sizes, name);
        // Comment length, disk, internal attributes, external attributes (two halves).
        put_u16(&mut directory, &[0; 5]);
        put_u32(&mut directory, &[offset]);
        directory.extend_from_slice(name.as_bytes());
        extended_timestamp(&mut directory, created);
    }
    let start = out.len() as u32;
    let count = entries.len() as u16;
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06");
    put_u16(&mut out, &[0, 0, count, count]);
    put_u32(&mut out, &[directory.len() as u32, start]);
    put_u16(&mut out, &[COMMENT.len() as u16]);
    out.extend_from_slice(COMMENT);
    out
}

/// The fields that local and central header share, from the version needed to the length of the extra field.
fn header_fields(out: &mut Vec<u8>, time: u16, date: u16, sizes: [u32; 3], name: &str) {
    put_u16(out, &[VERSION, FLAGS, METHOD_DEFLATED, time, date]);
    put_u32(out, &sizes);
    put_u16(out, &[name.len() as u16, 9]);
}

fn extended_timestamp(out: &mut Vec<u8>, created: UnixTime) {
    out.extend_from_slice(&[0x55, 0x54, 5, 0, 1]);
    put_u32(out, &[created.secs() as u32]);
}

fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(content.len() / 2 + 16), Compression::default());
    // Writing to a vector has no error to report.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

fn dos_time(at: UnixTime) -> (u16, u16) {
    let (year, month, day, hour, minute, second, _) = at.civil();
    let year = year.clamp(1980, 2107) as u32 - 1980;
    ((year << 9 | month << 5 | day) as u16, (hour << 11 | minute << 5 | (second / 2)) as u16)
}

fn put_u16(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

fn put_u32(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}
