//! The ZIP archive as official servers write it: everything deflated, sizes in data descriptors, one comment.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use flate2::{Compress, Compression, FlushCompress, Status};

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
        let packed = deflate(content);
        let sizes = [crc32fast::hash(content), packed.len() as u32, content.len() as u32];

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

/// Contents that are remembered with what they are compressed to: the containers of a batch have the signature document, and
/// all have the media type and the manifest, in common.
const LATELY_MAX: usize = 16;
/// What is larger is not remembered.
const LATELY_BYTES_MAX: usize = 64 * 1024;

thread_local! {
    static COMPRESSOR: RefCell<Compressor> = RefCell::new(Compressor::default());
}

/// Compresses entries one after the other, with one memory, a quarter of a megabyte, which a new one for each would clear.
struct Compressor {
    state: Compress,
    lately: VecDeque<Known>,
}

/// A content, and what it is compressed to.
type Known = (Box<[u8]>, Rc<[u8]>);

impl Default for Compressor {
    fn default() -> Self {
        Self { state: Compress::new(Compression::default(), false), lately: VecDeque::new() }
    }
}

impl Compressor {
    fn deflate(&mut self, content: &[u8]) -> Rc<[u8]> {
        if let Some(at) = self.lately.iter().position(|(known, _)| **known == *content)
            && let Some(found) = self.lately.remove(at)
        {
            let packed = Rc::clone(&found.1);
            self.lately.push_front(found);
            return packed;
        }
        let packed: Rc<[u8]> = self.compress(content).into();
        if content.len() <= LATELY_BYTES_MAX {
            self.lately.truncate(LATELY_MAX - 1);
            self.lately.push_front((content.into(), Rc::clone(&packed)));
        }
        packed
    }

    fn compress(&mut self, content: &[u8]) -> Vec<u8> {
        self.state.reset();
        let mut packed = Vec::with_capacity(content.len() / 2 + 64);
        loop {
            let rest = content.get(self.state.total_in() as usize..).unwrap_or_default();
            match self.state.compress_vec(rest, &mut packed, FlushCompress::Finish) {
                Ok(Status::Ok | Status::BufError) => packed.reserve(content.len() / 2 + 64),
                // Compressing what is in memory has no error to report.
                Ok(Status::StreamEnd) | Err(_) => return packed,
            }
        }
    }
}

fn deflate(content: &[u8]) -> Rc<[u8]> {
    COMPRESSOR.with_borrow_mut(|compressor| compressor.deflate(content))
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_compressed_again_is_the_same_and_comes_out_as_it_went_in() {
        let noise = |seed: u32, length: u32| -> Vec<u8> {
            (0..length).map(|at| (at.wrapping_mul(seed) >> 7) as u8).collect()
        };
        let contents: Vec<Vec<u8>> =
            [0, 1, 30, 4000, 9000, 200_000].map(|length| noise(2_654_435_761, length)).into();
        let first: Vec<_> = contents.iter().map(|content| deflate(content)).collect();
        // Others come between, more than are remembered.
        (0..2 * LATELY_MAX as u32).for_each(|seed| drop(deflate(&noise(seed, 100))));
        for (content, packed) in contents.iter().zip(first) {
            assert_eq!(deflate(content), packed);
            assert_eq!(deflate(content), packed);
            let mut back = Vec::new();
            flate2::read::DeflateDecoder::new(&*packed).read_to_end(&mut back).unwrap();
            assert!(back == *content, "{}", content.len());
        }
        COMPRESSOR.with_borrow(|compressor| assert!(compressor.lately.len() <= LATELY_MAX));
    }
}
