//! A ZIP writer that can do everything wrong.

use std::io::Write;

use flate2::{Compression, Crc, write::DeflateEncoder};

/// One record of an archive under construction, with what goes into its headers.
#[derive(Debug, Clone)]
pub struct Record {
    pub name: String,
    pub local_name: String,
    pub packed: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub local_flags: u16,
    pub local_method: u16,
    pub crc: u32,
    pub size: u32,
    pub packed_size: u32,
    /// Before the local header, counted by nobody.
    pub gap: Vec<u8>,
    pub extra: Vec<u8>,
    pub descriptor_signature: bool,
    pub in_directory: bool,
}

impl Record {
    /// A deflated record with a data descriptor, as official servers write them.
    pub fn deflated(name: &str, data: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        let packed = encoder.finish().unwrap();
        Self::with(name, data, packed, 8, 0x0808)
    }

    /// A stored record with sizes in its header.
    pub fn stored(name: &str, data: &[u8]) -> Self {
        Self::with(name, data, data.to_vec(), 0, 0x0800)
    }

    fn with(name: &str, data: &[u8], packed: Vec<u8>, method: u16, flags: u16) -> Self {
        let mut crc = Crc::new();
        crc.update(data);
        Self {
            name: name.to_owned(),
            local_name: name.to_owned(),
            size: data.len() as u32,
            packed_size: packed.len() as u32,
            packed,
            method,
            local_method: method,
            flags,
            local_flags: flags,
            crc: crc.sum(),
            gap: Vec::new(),
            extra: Vec::new(),
            descriptor_signature: true,
            in_directory: true,
        }
    }
}

/// Writes the archive.
pub fn build(records: &[Record], comment: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    let mut count = 0u16;
    for record in records {
        out.extend_from_slice(&record.gap);
        let offset = out.len() as u32;
        let described = record.local_flags & 8 != 0;
        let sizes = [record.crc, record.packed_size, record.size];
        let local_sizes = if described { [0; 3] } else { sizes };
        out.extend_from_slice(b"PK\x03\x04");
        put16(&mut out, &[20, record.local_flags, record.local_method, 0, 0x5d77]);
        put32(&mut out, &local_sizes);
        put16(&mut out, &[record.local_name.len() as u16, record.extra.len() as u16]);
        out.extend_from_slice(record.local_name.as_bytes());
        out.extend_from_slice(&record.extra);
        out.extend_from_slice(&record.packed);
        if described {
            if record.descriptor_signature {
                out.extend_from_slice(b"PK\x07\x08");
            }
            put32(&mut out, &sizes);
        }
        if !record.in_directory {
            continue;
        }
        count += 1;
        directory.extend_from_slice(b"PK\x01\x02");
        put16(&mut directory, &[20, 20, record.flags, record.method, 0, 0x5d77]);
        put32(&mut directory, &sizes);
        put16(&mut directory, &[record.name.len() as u16, 0, 0, 0, 0, 0, 0]);
        put32(&mut directory, &[offset]);
        directory.extend_from_slice(record.name.as_bytes());
    }
    let start = out.len() as u32;
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06");
    put16(&mut out, &[0, 0, count, count]);
    put32(&mut out, &[directory.len() as u32, start]);
    put16(&mut out, &[comment.len() as u16]);
    out.extend_from_slice(comment);
    out
}

fn put16(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

fn put32(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}
