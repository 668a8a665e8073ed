//! A strict reader of ZIP archives: one reading only, every byte accounted for.
//!
//! Two programs must never see two different containers in the same bytes, so whatever the format leaves open is
//! closed here: one end record, local and central headers that agree, no gap and no overlap, no zip64, no encryption.

use std::collections::HashSet;

use bytes::Bytes;
use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::limits;

/// One file of an archive. Directory entries of zero length are not kept.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The exact name, without a leading slash.
    pub name: String,
    /// The inflated bytes.
    pub data: Bytes,
}

/// What makes bytes no archive of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Not even the beginning of an archive.
    #[error("the file is not a ZIP archive")]
    NotAnArchive,
    /// Larger than this program reads.
    #[error("the archive is too large: {0}")]
    TooLarge(&'static str),
    /// Damaged, ambiguous or using something that containers do not use.
    #[error("the archive is malformed: {0}")]
    Malformed(&'static str),
    /// The same for one entry.
    #[error("the archive entry {name:?} is malformed: {what}")]
    Entry {
        /// Name of the entry, shortened.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

const LOCAL_SIGNATURE: u32 = 0x0403_4b50;
const CENTRAL_SIGNATURE: u32 = 0x0201_4b50;
const END_SIGNATURE: u32 = 0x0605_4b50;
const END_MARK: &[u8] = b"PK\x05\x06";
const DESCRIPTOR_SIGNATURE: u32 = 0x0807_4b50;
const END_BYTES: usize = 22;
const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
/// Sizes follow the data in a descriptor.
const FLAG_DESCRIPTOR: u16 = 0x0008;
/// Compression level hints (bits 1 and 2) and UTF-8 names (bit 11) change nothing for a reader.
const FLAGS_ALLOWED: u16 = FLAG_DESCRIPTOR | 0x0006 | 0x0800;
/// zip64, strong encryption, Unicode comment, Unicode name, AES.
const EXTRAS_REFUSED: [u16; 5] = [0x0001, 0x0017, 0x6375, 0x7075, 0x9901];
const MADE_ON_UNIX: u16 = 3;
/// File type bits of a symbolic link, at the top of the external attributes.
const UNIX_LINK: u32 = 0xa;
/// Deflate makes at most 1032 bytes out of one; a larger declaration is a lie and costs no memory.
const DEFLATE_EXPANSION_MAX: u64 = 1032;

struct Central<'a> {
    name: &'a str,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u32,
    size: u32,
    offset: u32,
}

/// How much an archive may be.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveLimits {
    /// The file, in bytes.
    pub file_bytes: usize,
    /// Number of entries.
    pub entries: usize,
    /// One entry, inflated, in bytes.
    pub entry_bytes: usize,
    /// All entries, inflated, in bytes.
    pub inflated_bytes: usize,
}

impl ArchiveLimits {
    /// One container.
    pub const CONTAINER: Self = Self {
        file_bytes: limits::ASIC_CONTAINER_BYTES_MAX,
        entries: limits::ASIC_ENTRIES_MAX,
        entry_bytes: limits::ASIC_ENTRY_BYTES_MAX,
        inflated_bytes: limits::ASIC_INFLATED_BYTES_MAX,
    };
    /// Many containers.
    pub const MESSAGE_ARCHIVE: Self = Self {
        file_bytes: limits::ARCHIVE_BYTES_MAX,
        entries: limits::ARCHIVE_ENTRIES_MAX,
        entry_bytes: limits::ASIC_CONTAINER_BYTES_MAX,
        inflated_bytes: limits::ARCHIVE_BYTES_MAX,
    };
}

/// Reads all entries of a container in the order of the archive's bytes. Stored entries share `bytes`.
///
/// # Errors
/// [`ArchiveError`]; nothing is inflated before the whole structure has been checked.
pub fn read(bytes: &Bytes) -> Result<Vec<Entry>, ArchiveError> {
    read_within(bytes, &ArchiveLimits::CONTAINER)
}

/// Names of all entries, without a look at their content.
///
/// # Errors
/// As [`read`].
pub fn entry_names<'a>(bytes: &'a Bytes, limits: &ArchiveLimits) -> Result<Vec<&'a str>, ArchiveError> {
    if u32_at(bytes, 0) != Some(LOCAL_SIGNATURE) {
        return Err(ArchiveError::NotAnArchive);
    }
    let (_, centrals) = central_directory(bytes, limits)?;
    Ok(centrals.into_iter().map(|central| central.name).collect())
}

/// As [`read`], within other limits.
///
/// # Errors
/// As [`read`].
pub fn read_within(bytes: &Bytes, limits: &ArchiveLimits) -> Result<Vec<Entry>, ArchiveError> {
    if u32_at(bytes, 0) != Some(LOCAL_SIGNATURE) {
        return Err(ArchiveError::NotAnArchive);
    }
    if bytes.len() > limits.file_bytes {
        return Err(ArchiveError::TooLarge("archive file"));
    }
    let (directory_at, centrals) = central_directory(bytes, limits)?;
    let total: u64 = centrals.iter().map(|c| u64::from(c.size)).sum();
    if total > limits.inflated_bytes as u64 {
        return Err(ArchiveError::TooLarge("sum of the entries"));
    }
    let mut ranges = Vec::with_capacity(centrals.len());
    let mut expected = 0;
    for (index, central) in centrals.iter().enumerate() {
        if central.offset as usize != expected {
            return Err(malformed(central, "it does not begin where the one before it ends"));
        }
        let end = centrals.get(index + 1).map_or(directory_at, |next| next.offset as usize);
        ranges.push(local_data(bytes, central, expected, end)?);
        expected = end;
    }
    let mut entries = Vec::with_capacity(centrals.len());
    for (central, range) in centrals.iter().zip(ranges) {
        if central.name.ends_with('/') {
            if central.size != 0 || central.crc != 0 {
                return Err(malformed(central, "a directory with content"));
            }
            inflate(bytes, central, range)?;
            continue;
        }
        entries.push(Entry { name: central.name.to_owned(), data: inflate(bytes, central, range)? });
    }
    Ok(entries)
}

/// The central headers sorted by the position of their data, and where the directory begins.
fn central_directory<'a>(
    bytes: &'a Bytes,
    limits: &ArchiveLimits,
) -> Result<(usize, Vec<Central<'a>>), ArchiveError> {
    let end = end_record(bytes)?;
    let field16 = |at| u16_at(bytes, end + at).unwrap_or(u16::MAX);
    let field32 = |at| u32_at(bytes, end + at).unwrap_or(u32::MAX);
    let count = field16(10);
    if field16(4) != 0 || field16(6) != 0 || field16(8) != count {
        return Err(ArchiveError::Malformed("it is split over several files"));
    }
    if usize::from(count) > limits.entries {
        return Err(ArchiveError::TooLarge("number of entries"));
    }
    let (size, start) = (field32(12) as usize, field32(16) as usize);
    if start.checked_add(size) != Some(end) {
        return Err(ArchiveError::Malformed("the central directory does not end at the end record"));
    }
    let mut names = HashSet::new();
    let mut centrals = Vec::with_capacity(count.into());
    let mut at = start;
    for _ in 0..count {
        let (central, next) = central_header(bytes, at, end, limits.entry_bytes)?;
        if !names.insert(central.name.to_lowercase()) {
            return Err(malformed(&central, "the name occurs twice"));
        }
        centrals.push(central);
        at = next;
    }
    if at != end {
        return Err(ArchiveError::Malformed("bytes after the last header of the central directory"));
    }
    centrals.sort_by_key(|central| central.offset);
    if centrals.first().is_some_and(|first| first.offset != 0) || (centrals.is_empty() && start != 0) {
        return Err(ArchiveError::Malformed("bytes before the first entry"));
    }
    Ok((start, centrals))
}

/// Position of the only end record whose comment reaches exactly to the end of the file.
fn end_record(bytes: &[u8]) -> Result<usize, ArchiveError> {
    let last = bytes.len().checked_sub(END_BYTES).ok_or(ArchiveError::Malformed("no end record"))?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let mut found = None;
    for at in first..=last {
        let is_end = u32_at(bytes, at) == Some(END_SIGNATURE)
            && u16_at(bytes, at + 20)
                .is_some_and(|comment| at + END_BYTES + usize::from(comment) == bytes.len());
        if is_end && found.replace(at).is_some() {
            return Err(ArchiveError::Malformed("two end records"));
        }
    }
    let end = found.ok_or(ArchiveError::Malformed("no end record"))?;
    // Some readers take the last mark for the end record, whatever follows it.
    let comment = bytes.get(end + END_BYTES..).unwrap_or_default();
    if comment.windows(END_MARK.len()).any(|window| window == END_MARK) {
        return Err(ArchiveError::Malformed("two end records"));
    }
    Ok(end)
}

fn central_header(
    bytes: &Bytes,
    at: usize,
    end: usize,
    entry_bytes_max: usize,
) -> Result<(Central<'_>, usize), ArchiveError> {
    let header = bytes
        .get(at..end)
        .filter(|rest| rest.len() >= CENTRAL_BYTES && u32_at(rest, 0) == Some(CENTRAL_SIGNATURE))
        .ok_or(ArchiveError::Malformed("the central directory is cut off"))?;
    let field16 = |at| u16_at(header, at).unwrap_or(u16::MAX);
    let field32 = |at| u32_at(header, at).unwrap_or(u32::MAX);
    let (name_len, extra_len) = (usize::from(field16(28)), usize::from(field16(30)));
    let next = CENTRAL_BYTES + name_len + extra_len + usize::from(field16(32));
    if next > header.len() {
        return Err(ArchiveError::Malformed("the central directory is cut off"));
    }
    let name = header.get(CENTRAL_BYTES..CENTRAL_BYTES + name_len).unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| ArchiveError::Malformed("a name is not UTF-8"))?;
    let central = Central {
        name,
        flags: field16(8),
        method: field16(10),
        crc: field32(16),
        packed: field32(20),
        size: field32(24),
        offset: field32(42),
    };
    if name.is_empty() || name.starts_with('/') || name.contains(['\\', '\0', ':']) || has_dots(name) {
        return Err(malformed(&central, "the name is not allowed"));
    }
    let extra = header.get(CENTRAL_BYTES + name_len..CENTRAL_BYTES + name_len + extra_len);
    if !extra.is_some_and(is_harmless_extra) {
        return Err(malformed(&central, "an extra field is malformed or gives the entry another meaning"));
    }
    if field16(4) >> 8 == MADE_ON_UNIX && field32(38) >> 28 == UNIX_LINK {
        return Err(malformed(&central, "it is a link"));
    }
    if central.flags & !FLAGS_ALLOWED != 0 {
        return Err(malformed(
            &central,
            "it is encrypted or uses another feature that containers do not use",
        ));
    }
    if field16(34) != 0 || [central.packed, central.size, central.offset].contains(&u32::MAX) {
        return Err(malformed(&central, "it is split or too large"));
    }
    let plausible = match central.method {
        0 => central.packed == central.size,
        8 => u64::from(central.size) <= u64::from(central.packed) * DEFLATE_EXPANSION_MAX,
        _ => return Err(malformed(&central, "it is neither stored nor deflated")),
    };
    if !plausible {
        return Err(malformed(&central, "its sizes contradict each other"));
    }
    if central.size as usize > entry_bytes_max {
        return Err(ArchiveError::TooLarge("one entry"));
    }
    Ok((central, at + next))
}

/// Range of the packed data of the record that fills `at..end` exactly.
fn local_data(
    bytes: &Bytes,
    central: &Central<'_>,
    at: usize,
    end: usize,
) -> Result<std::ops::Range<usize>, ArchiveError> {
    let disagree = || malformed(central, "local and central header do not agree");
    let record = bytes.get(at..end).filter(|record| record.len() >= LOCAL_BYTES).ok_or_else(disagree)?;
    let field16 = |at| u16_at(record, at).unwrap_or(u16::MAX);
    let field32 = |at| u32_at(record, at).unwrap_or(u32::MAX);
    let name_end = LOCAL_BYTES + usize::from(field16(26));
    let name = record.get(LOCAL_BYTES..name_end).ok_or_else(disagree)?;
    if field32(0) != LOCAL_SIGNATURE
        || name != central.name.as_bytes()
        || field16(6) != central.flags
        || field16(8) != central.method
    {
        return Err(disagree());
    }
    let data_at = name_end + usize::from(field16(28));
    if !record.get(name_end..data_at).is_some_and(is_harmless_extra) {
        return Err(malformed(central, "an extra field is malformed or gives the entry another meaning"));
    }
    let data_end = data_at + central.packed as usize;
    let rest = record.get(data_end..).ok_or_else(disagree)?;
    let local = [field32(14), field32(18), field32(22)];
    let central_values = [central.crc, central.packed, central.size];
    if central.flags & FLAG_DESCRIPTOR == 0 {
        if local != central_values || !rest.is_empty() {
            return Err(disagree());
        }
    } else {
        let descriptor = match rest.len() {
            16 if u32_at(rest, 0) == Some(DESCRIPTOR_SIGNATURE) => rest.get(4..),
            12 => Some(rest),
            _ => None,
        };
        let descriptor =
            descriptor.ok_or_else(|| malformed(central, "its data descriptor is missing or malformed"))?;
        let described = [0, 4, 8].map(|at| u32_at(descriptor, at).unwrap_or(u32::MAX));
        if local != [0; 3] || described != central_values {
            return Err(disagree());
        }
    }
    Ok(at + data_at..at + data_end)
}

fn inflate(
    bytes: &Bytes,
    central: &Central<'_>,
    range: std::ops::Range<usize>,
) -> Result<Bytes, ArchiveError> {
    let packed = bytes.slice(range);
    let data = if central.method == 0 { packed } else { inflate_deflated(&packed, central)? };
    let mut crc = Crc::new();
    crc.update(&data);
    if crc.sum() != central.crc {
        return Err(malformed(central, "its checksum is wrong"));
    }
    Ok(data)
}

fn inflate_deflated(packed: &[u8], central: &Central<'_>) -> Result<Bytes, ArchiveError> {
    let size = central.size as usize;
    // One byte more than declared, so that a longer stream shows itself and an exact one can reach its end mark.
    let mut data = vec![0; size + 1];
    let mut inflater = Decompress::new(false);
    let broken = || malformed(central, "its compressed data is damaged or does not have the declared length");
    let status = inflater.decompress(packed, &mut data, FlushDecompress::Finish).map_err(|_| broken())?;
    let exact = inflater.total_in() == packed.len() as u64 && inflater.total_out() == size as u64;
    if status != Status::StreamEnd || !exact {
        return Err(broken());
    }
    data.truncate(size);
    Ok(Bytes::from(data))
}

/// Whether extra fields are whole and none of them replaces what the header says: sizes (zip64), name or comment
/// (Unicode), encryption.
fn is_harmless_extra(mut extra: &[u8]) -> bool {
    while !extra.is_empty() {
        let (Some(id), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) else { return false };
        let Some(rest) = extra.get(4 + usize::from(length)..) else { return false };
        if EXTRAS_REFUSED.contains(&id) {
            return false;
        }
        extra = rest;
    }
    true
}

fn has_dots(name: &str) -> bool {
    name.split('/').any(|segment| segment == "." || segment == "..")
}

fn malformed(central: &Central<'_>, what: &'static str) -> ArchiveError {
    ArchiveError::Entry { name: central.name.chars().take(80).collect(), what }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}
