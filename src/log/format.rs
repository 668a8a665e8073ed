//! The bytes of a segment file, and the code that writes and checks them.
//!
//! All integers are little endian. A segment is a header, written twice, followed by frames.
//!
//! ```text
//! header (each copy)                                    frame
//!  0  8  magic "HERMODLG"                                0  4  marker "HRMf"
//!  8  2  format version, 2                               4  1  kind
//! 10  2  length of one header copy, a multiple of 8      5  3  zero
//! 12  4  segment number                                  8  8  id (by kind)
//! 16  8  first record id the segment may hold           16  4  payload length n
//! 24  8  time of creation, ms since 1970                20  4  CRC of tag and bytes 0..20
//! 32  8  tag: random, of this segment                   24  n  payload
//! 40  2  length m of the server id                       …  4  CRC of tag and bytes 0..24+n
//! 42  m  server id, UTF-8 "INSTANCE/CLASS/CODE/SERVER"   …  …  zero, up to a multiple of 8
//!  …  …  zero
//! -4  4  CRC of all bytes before
//! ```
//!
//! The CRC is CRC-32 (IEEE 802.3). Frame checksums start with the segment's random tag, so that bytes
//! chosen by a sender of messages never pass for a frame when a damaged segment is searched for the next
//! good one. The header has its own checksum, so that a damaged payload can be stepped over.
//!
//! | kind | id | payload |
//! |---|---|---|
//! | 1 signature document | 0 | `blob` signature XML, `result` |
//! | 2 message record | record id | see below |
//! | 3 time-stamp record | record id | see below |
//! | 4 seal | next record id | u64 frames before this one, u64 message records, u64 time-stamp records |
//! | 5 mark | next record id | empty |
//! | 6 signature document like another | 0 | see below |
//!
//! Message record: i64 time in ms; u8 flags (1 response, 2 metadata only, 4 service known, 8 its provider is the
//! local party, 16 consumer known, 32 it is the local party, 64 encrypted); u8 and u16 zero; u32 number of attachments; u64 offset in
//! this segment of the frame with its signature document; `text` query id; `client` local party; `text?`
//! x-road-request-id; `client` provider, unless it is the local party or not known; `text` service code and `text?`
//! version, if known; `client` consumer, unless it is the local party or not known; `text` name of the key and 16 bytes
//! nonce, if encrypted; `blob` message; `chain`; one u32 length per attachment; then the bytes of the attachments.
//!
//! The message and each attachment of an encrypted record are AES-256 in counter mode. The key is 32 bytes of HKDF-SHA512 of
//! the named secret with the nonce as salt and the text "hermod message record" as info; the first counter block is the
//! number of the part (0 the message, then the attachments from 1) as u64 and zero as u64, both big endian.
//!
//! Time-stamp record: i64 time in ms; `blob` token DER; u8 0 for a single stamp: u64 message record id; or u8 1 for a
//! batch: `digest` root of the tree of digests of the records' signature documents; u32 number of distinct digests, each
//! without its algorithm; u32 number of records; for each `varint` message record id less that of the one before, and
//! `varint` number of its digest from 0. `ts-hashchain.xml` and `ts-hashchainresult.xml` are made from the tree.
//!
//! Signature document like another: u64 offset in this segment of a document of the same length, u64 offset of a second
//! copy of it, so that no damaged place costs the documents of more than one batch; `result`; u32 number of places that
//! differ; for each u32 offset in the document and `blob`.
//!
//! | field | is |
//! |---|---|
//! | `text`, `text?` | u16 length and UTF-8; 0xFFFF when absent |
//! | `blob` | u32 length and bytes |
//! | `client` | `text` instance, member class, member code, `text?` subsystem code |
//! | `digest` | u8 algorithm (0 SHA-1, 1 SHA-224, 2 SHA-256, 3 SHA-384, 4 SHA-512) and its bytes |
//! | `varint` | seven bits a byte, lowest first, 0x80 set on all but the last |
//! | `result` | of a batch signature: u8 0 none; 1 as it is: `blob`; 2 in the usual form: `digest` |
//! | `chain` | of a batch signature: u8 0 none; 1 as it is: `blob`; 2 in the usual form: u8 algorithm, u8 number of digests beside the way, u16 number of parts (0: one, without a step of its own), u64 of which bit n tells that the n-th digest from the root stands to the left, these digests, those of the parts |
//!
//! A chain or result is in the usual form when writing it again gives the same bytes.

use bytes::{BufMut, BytesMut};

/// First bytes of a segment.
pub(super) const MAGIC: &[u8; 8] = b"HERMODLG";
/// The format that this code writes.
pub(super) const VERSION: u16 = 2;
/// First bytes of a frame.
pub(super) const MARKER: &[u8; 4] = b"HRMf";
/// Bytes before a frame's payload.
pub(super) const FRAME_HEAD_BYTES: usize = 24;
/// Checksum after the payload.
pub(super) const FRAME_CRC_BYTES: usize = 4;
/// Bytes of a header copy before the server id.
const HEADER_FIXED_BYTES: usize = 42;
const ABSENT_TEXT: u16 = u16::MAX;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A signature document and its hash chain result, shared by the records of a batch.
    SignatureDocument,
    /// One logged message.
    MessageRecord,
    /// One time-stamp over one or more message records.
    TimestampRecord,
    /// The last frame of a full segment.
    Seal,
    /// A record of the next record id, written after a failure.
    Mark,
    /// A signature document, as what differs from another one.
    SimilarDocument,
}

impl FrameKind {
    pub(super) const fn code(self) -> u8 {
        match self {
            FrameKind::SignatureDocument => 1,
            FrameKind::MessageRecord => 2,
            FrameKind::TimestampRecord => 3,
            FrameKind::Seal => 4,
            FrameKind::Mark => 5,
            FrameKind::SimilarDocument => 6,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => FrameKind::SignatureDocument,
            2 => FrameKind::MessageRecord,
            3 => FrameKind::TimestampRecord,
            4 => FrameKind::Seal,
            5 => FrameKind::Mark,
            6 => FrameKind::SimilarDocument,
            _ => return None,
        })
    }
}

/// The header of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub number: u32,
    pub first_record_id: u64,
    pub created_ms: i64,
    pub tag: u64,
    pub server: String,
}

impl SegmentHeader {
    /// Length of both copies together, where the first frame starts.
    pub fn encoded_len(&self) -> usize {
        2 * self.copy_len()
    }

    fn copy_len(&self) -> usize {
        (HEADER_FIXED_BYTES + self.server.len() + 4).next_multiple_of(8)
    }

    /// Both copies.
    pub fn encode(&self) -> Vec<u8> {
        let copy_len = self.copy_len();
        let mut out = Vec::with_capacity(2 * copy_len);
        out.extend_from_slice(MAGIC);
        out.put_u16_le(VERSION);
        out.put_u16_le(copy_len as u16);
        out.put_u32_le(self.number);
        out.put_u64_le(self.first_record_id);
        out.put_i64_le(self.created_ms);
        out.put_u64_le(self.tag);
        out.put_u16_le(self.server.len() as u16);
        out.extend_from_slice(self.server.as_bytes());
        out.resize(copy_len - 4, 0);
        let crc = crc32fast::hash(&out);
        out.put_u32_le(crc);
        out.extend_from_within(..);
        out
    }

    /// Reads the first whole copy among the leading bytes of a segment.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderFault> {
        if let Some(header) = Self::parse_copy(bytes) {
            return Ok(header);
        }
        // The first copy is damaged, and with it perhaps its length: the second is found by its magic.
        let rest = bytes.get(8..).unwrap_or_default();
        let second = (0..rest.len()).step_by(8).find_map(|at| Self::parse_copy(rest.get(at..)?));
        second.ok_or_else(|| Self::fault(bytes))
    }

    fn fault(bytes: &[u8]) -> HeaderFault {
        let mut fields = Fields(bytes);
        match (fields.take(8), fields.u16()) {
            (Some(magic), Some(version)) if magic == MAGIC && version != VERSION => {
                HeaderFault::Version(version)
            }
            _ => HeaderFault::Damaged,
        }
    }

    fn parse_copy(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.take(8)? != MAGIC || fields.u16()? != VERSION {
            return None;
        }
        let copy_len = usize::from(fields.u16()?);
        let (number, first_record_id) = (fields.u32()?, fields.u64()?);
        let (created_ms, tag) = (fields.i64()?, fields.u64()?);
        let server = fields.text()?;
        let (body, crc) = bytes.get(..copy_len)?.split_last_chunk::<4>()?;
        let header = Self { number, first_record_id, created_ms, tag, server: server.to_owned() };
        (crc32fast::hash(body) == u32::from_le_bytes(*crc) && header.copy_len() == copy_len).then_some(header)
    }
}

/// Why there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Neither copy is whole.
    Damaged,
    /// It is of this other version of the format.
    Version(u16),
}

/// The head of a frame, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub kind: FrameKind,
    pub id: u64,
    pub payload_len: u32,
}

impl FrameHead {
    /// Length of the whole frame with checksum and padding.
    pub fn frame_len(&self) -> u64 {
        (FRAME_HEAD_BYTES as u64 + u64::from(self.payload_len) + FRAME_CRC_BYTES as u64).next_multiple_of(8)
    }

    /// The 24 bytes, and the checksum to go on with over the payload.
    pub fn encode(&self, tag: u64, out: &mut BytesMut) -> crc32fast::Hasher {
        let start = out.len();
        out.put_slice(MARKER);
        out.put_u8(self.kind.code());
        out.put_bytes(0, 3);
        out.put_u64_le(self.id);
        out.put_u32_le(self.payload_len);
        let head = out.get(start..).unwrap_or_default();
        let crc = seeded(tag, head).finalize();
        out.put_u32_le(crc);
        seeded(tag, out.get(start..).unwrap_or_default())
    }

    /// Reads and checks 24 bytes.
    pub fn parse(bytes: &[u8; FRAME_HEAD_BYTES], tag: u64) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.take(4)? != MARKER {
            return None;
        }
        let kind = FrameKind::from_code(fields.u8()?)?;
        let reserved = fields.take(3)?;
        let (id, payload_len, crc) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let expected = seeded(tag, bytes.get(..20)?).finalize();
        (crc == expected && reserved == [0; 3]).then_some(Self { kind, id, payload_len })
    }
}

/// The checksum of a frame's leading bytes, to be continued.
pub(super) fn seeded(tag: u64, bytes: &[u8]) -> crc32fast::Hasher {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&tag.to_le_bytes());
    crc.update(bytes);
    crc
}

/// Zero bytes after a payload of this length and its checksum.
pub(super) fn padding(payload_len: u32) -> usize {
    let unpadded = FRAME_HEAD_BYTES + payload_len as usize + FRAME_CRC_BYTES;
    unpadded.next_multiple_of(8) - unpadded
}

/// Appends a `text`.
pub(super) fn put_text(out: &mut BytesMut, text: &str) {
    let len = text.len().min(usize::from(ABSENT_TEXT) - 1);
    out.put_u16_le(len as u16);
    out.put_slice(text.as_bytes().get(..len).unwrap_or_default());
}

/// Appends a `text?`.
pub(super) fn put_optional_text(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_text(out, text),
        None => out.put_u16_le(ABSENT_TEXT),
    }
}

/// Appends a `blob`.
pub(super) fn put_blob(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}

/// Appends a `varint`.
pub(super) fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Reads fields one after the other; `None` when the bytes end early.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        let len = self.u16()?;
        std::str::from_utf8(self.take(usize::from(len))?).ok()
    }

    pub fn optional_text(&mut self) -> Option<Option<&'a str>> {
        match self.u16()? {
            ABSENT_TEXT => Some(None),
            len => Some(Some(std::str::from_utf8(self.take(usize::from(len))?).ok()?)),
        }
    }

    pub fn blob(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    pub fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            number: 7,
            first_record_id: 4096,
            created_ms: 1_700_000_000_000,
            tag: 0x0123_4567_89ab_cdef,
            server: "LAB/GOV/100/ss0".into(),
        }
    }

    #[test]
    fn a_segment_header_survives_damage_to_either_copy() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), header().encoded_len());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(SegmentHeader::parse(&damaged), Ok(header()), "byte {at}");
        }
        assert_eq!(SegmentHeader::parse(&bytes[..bytes.len() / 2 - 1]), Err(HeaderFault::Damaged));
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let mut bytes = header().encode();
        let half = bytes.len() / 2;
        bytes[8] = 1;
        assert_eq!(SegmentHeader::parse(&bytes), Ok(header()), "one flipped bit is damage");
        bytes[half + 8] = 1;
        assert_eq!(SegmentHeader::parse(&bytes), Err(HeaderFault::Version(1)));
    }

    #[test]
    fn numbers_of_any_size_come_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = BytesMut::new();
            put_varint(&mut out, value);
            assert_eq!(Fields(&out).varint(), Some(value));
        }
        assert_eq!(Fields(&[0xff; 11]).varint(), None);
    }

    #[test]
    fn a_frame_head_is_bound_to_its_segment() {
        let head = FrameHead { kind: FrameKind::MessageRecord, id: 9, payload_len: 5 };
        let mut out = BytesMut::new();
        head.encode(1, &mut out);
        let bytes: [u8; FRAME_HEAD_BYTES] = out[..].try_into().unwrap();
        assert_eq!(FrameHead::parse(&bytes, 1), Some(head));
        assert_eq!(FrameHead::parse(&bytes, 2), None);
        assert_eq!(head.frame_len(), 40);
        assert_eq!(padding(5), 7);
    }
}
