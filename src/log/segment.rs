//! Reading segment files: frame by frame, stepping over damage, and one frame at a place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::LogError;
use super::file_digest::FileDigest;
use super::format::{self, FRAME_CRC_BYTES, FRAME_HEAD_BYTES, FrameHead, HeaderFault, SegmentHeader};

/// Bytes of a payload that a scan shows to its visitor; the rest is only checked.
const SCAN_PAYLOAD_BYTES: usize = 64 * 1024;
const READ_CHUNK_BYTES: usize = 256 * 1024;
/// Header copies and the longest server id fit.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// A segment file open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    pub header: SegmentHeader,
    pub path: PathBuf,
}

/// What a scan meets.
#[derive(Debug)]
pub(super) enum Met<'a> {
    /// A whole frame at this offset, with the leading bytes of its payload.
    Frame { offset: u64, head: FrameHead, payload: &'a [u8] },
    /// Bytes that are no whole frame, with a whole frame or a readable frame head around them.
    Damaged { offset: u64, len: u64, head: Option<FrameHead>, reason: &'static str },
}

/// The file name of a segment.
pub(super) fn file_name(number: u32) -> String {
    format!("segment-{number:010}.log")
}

/// The numbers of the segments in a directory, ascending.
pub(super) fn list(directory: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|n| n.strip_prefix("segment-")?.strip_suffix(".log"));
        numbers.extend(digits.and_then(|digits| digits.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// What [`Segment::first_bytes`] reads of a payload.
pub(super) const FIRST_BYTES_MAX: usize = 24;
type ArrayBytes = [u8; FIRST_BYTES_MAX];

impl Segment {
    /// Opens a segment; `None` when no header copy is whole, an error when it is of another version of the format.
    pub fn open(path: &Path) -> Result<Option<Self>, LogError> {
        let file = File::open(path)?;
        let mut start = vec![0; HEADER_BYTES_MAX];
        let len = read_up_to(&file, &mut start, 0)?;
        match SegmentHeader::parse(start.get(..len).unwrap_or_default()) {
            Ok(header) => Ok(Some(Self { file, header, path: path.to_owned() })),
            Err(HeaderFault::Damaged) => Ok(None),
            Err(HeaderFault::Version(found)) => Err(LogError::Version { path: path.to_owned(), found }),
        }
    }

    /// Length of the file.
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Reads and checks one frame.
    pub fn frame(&self, offset: u64) -> io::Result<Option<(FrameHead, Bytes)>> {
        let Some(head) = self.frame_head(offset)? else { return Ok(None) };
        let len = head.payload_len as usize + FRAME_CRC_BYTES;
        if offset + FRAME_HEAD_BYTES as u64 + len as u64 > self.len()? {
            return Ok(None);
        }
        let mut bytes = vec![0; FRAME_HEAD_BYTES + len];
        self.file.read_exact_at(&mut bytes, offset)?;
        let bytes = Bytes::from(bytes);
        let body = bytes.slice(..bytes.len() - FRAME_CRC_BYTES);
        let crc = format::seeded(self.header.tag, &body).finalize();
        let whole = bytes.ends_with(&crc.to_le_bytes());
        Ok(whole.then(|| (head, body.slice(FRAME_HEAD_BYTES..))))
    }

    /// Reads the leading bytes of a frame's payload without checking the whole.
    pub fn payload_start(&self, offset: u64) -> io::Result<Option<(FrameHead, Vec<u8>)>> {
        let Some(head) = self.frame_head(offset)? else { return Ok(None) };
        let mut start = vec![0; (head.payload_len as usize).min(4096)];
        let len = read_up_to(&self.file, &mut start, offset + FRAME_HEAD_BYTES as u64)?;
        start.truncate(len);
        Ok(Some((head, start)))
    }

    /// The first bytes of a frame's payload, at most [`FIRST_BYTES_MAX`], read together with its head and unchecked.
    pub fn first_bytes(&self, offset: u64) -> io::Result<Option<(FrameHead, ArrayBytes)>> {
        let mut bytes = [0; FRAME_HEAD_BYTES + FIRST_BYTES_MAX];
        let len = read_up_to(&self.file, &mut bytes, offset)?;
        let Some((head, payload)) = bytes.split_first_chunk().filter(|_| len == bytes.len()) else {
            return Ok(None);
        };
        Ok(FrameHead::parse(head, self.header.tag).and_then(|head| Some((head, *payload.first_chunk()?))))
    }

    fn frame_head(&self, offset: u64) -> io::Result<Option<FrameHead>> {
        let mut bytes = [0; FRAME_HEAD_BYTES];
        let len = read_up_to(&self.file, &mut bytes, offset)?;
        Ok((len == FRAME_HEAD_BYTES).then(|| FrameHead::parse(&bytes, self.header.tag)).flatten())
    }

    /// Shows every frame and every damaged place in order. Returns where the last frame that counts ends;
    /// bytes behind it are a torn tail: no whole frame and no readable frame head of full length is in them.
    /// What is read for that goes into `digest`, too.
    pub fn scan(&self, digest: Option<&mut FileDigest>, mut visit: impl FnMut(Met<'_>)) -> io::Result<u64> {
        let len = self.len()?;
        let mut offset = self.header.encoded_len() as u64;
        let mut buffer = vec![0; READ_CHUNK_BYTES];
        let mut window = Window::new(&self.file, digest);
        window.from(0)?;
        while offset < len {
            // Most frames are small, whole, and lie in what was read at once.
            if let Some((head, frame)) = self.whole_frame(window.from(offset)?) {
                let end = FRAME_HEAD_BYTES + (head.payload_len as usize).min(SCAN_PAYLOAD_BYTES);
                visit(Met::Frame {
                    offset,
                    head,
                    payload: frame.get(FRAME_HEAD_BYTES..end).unwrap_or_default(),
                });
                offset += head.frame_len();
                continue;
            }
            match self.frame_head(offset)?.filter(|head| offset + head.frame_len() <= len) {
                Some(head) => {
                    let (whole, shown) = self.check(offset, &head, &mut buffer)?;
                    match whole {
                        Ok(()) => visit(Met::Frame { offset, head, payload: &shown }),
                        Err(reason) => {
                            let len = head.frame_len();
                            visit(Met::Damaged { offset, len, head: Some(head), reason });
                        }
                    }
                    offset += head.frame_len();
                }
                None => {
                    let Some(next) = self.next_whole_frame(offset + 8, len, &mut buffer)? else { break };
                    let reason = "the frame head is damaged";
                    visit(Met::Damaged { offset, len: next - offset, head: None, reason });
                    offset = next;
                }
            }
        }
        Ok(offset.min(len))
    }

    /// Whether the bytes from `offset` to the end are what an interrupted write leaves: a piece of a frame that
    /// ends early, or zeros. Anything else was whole once and has been damaged.
    pub fn is_torn_at(&self, offset: u64) -> io::Result<bool> {
        if self.len()? - offset < FRAME_HEAD_BYTES as u64 || self.frame_head(offset)?.is_some() {
            return Ok(true);
        }
        let mut buffer = vec![0; READ_CHUNK_BYTES];
        let mut at = offset;
        loop {
            let filled = read_up_to(&self.file, &mut buffer, at)?;
            match buffer.get(..filled) {
                Some(bytes) if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0) => {
                    at += filled as u64
                }
                rest => return Ok(rest.is_none_or(<[u8]>::is_empty)),
            }
        }
    }

    /// A frame that lies, whole and undamaged, at the beginning of these bytes.
    fn whole_frame<'b>(&self, bytes: &'b [u8]) -> Option<(FrameHead, &'b [u8])> {
        let head = FrameHead::parse(bytes.first_chunk()?, self.header.tag)?;
        let frame = bytes.get(..usize::try_from(head.frame_len()).ok()?)?;
        let (body, trailer) = frame.split_at_checked(FRAME_HEAD_BYTES + head.payload_len as usize)?;
        let (stored, padding) = trailer.split_first_chunk::<FRAME_CRC_BYTES>()?;
        let crc = format::seeded(self.header.tag, body).finalize();
        (*stored == crc.to_le_bytes() && padding.iter().all(|byte| *byte == 0)).then_some((head, frame))
    }

    /// The digest of the first `len` bytes, of which `digest` has some already.
    pub fn sha256(&self, digest: FileDigest, len: u64) -> io::Result<[u8; 32]> {
        digest.finish(&self.file, len)
    }

    /// Checks payload and padding of a frame that lies within the file; keeps the leading payload bytes.
    fn check(
        &self,
        offset: u64,
        head: &FrameHead,
        buffer: &mut [u8],
    ) -> io::Result<(Result<(), &'static str>, Vec<u8>)> {
        let mut head_bytes = [0; FRAME_HEAD_BYTES];
        self.file.read_exact_at(&mut head_bytes, offset)?;
        let mut crc = format::seeded(self.header.tag, &head_bytes);
        let mut shown = Vec::with_capacity((head.payload_len as usize).min(SCAN_PAYLOAD_BYTES));
        let mut at = offset + FRAME_HEAD_BYTES as u64;
        let end = at + u64::from(head.payload_len);
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            let Some(chunk) = buffer.get_mut(..want) else { break };
            self.file.read_exact_at(chunk, at)?;
            crc.update(chunk);
            let show = SCAN_PAYLOAD_BYTES.saturating_sub(shown.len()).min(chunk.len());
            shown.extend_from_slice(chunk.get(..show).unwrap_or_default());
            at += want as u64;
        }
        let mut trailer = [0; FRAME_CRC_BYTES + 8];
        let trailer_len = FRAME_CRC_BYTES + format::padding(head.payload_len);
        let Some(trailer) = trailer.get_mut(..trailer_len) else { return Ok((Ok(()), shown)) };
        self.file.read_exact_at(trailer, end)?;
        let whole = match trailer.split_first_chunk::<FRAME_CRC_BYTES>() {
            Some((stored, _)) if *stored != crc.finalize().to_le_bytes() => Err("the payload is damaged"),
            Some((_, padding)) if padding.iter().any(|byte| *byte != 0) => Err("the padding is damaged"),
            _ => Ok(()),
        };
        Ok((whole, shown))
    }

    /// The offset of the next whole frame at or after `from` (frames start at multiples of 8).
    fn next_whole_frame(&self, from: u64, len: u64, buffer: &mut [u8]) -> io::Result<Option<u64>> {
        let mut window = vec![0; READ_CHUNK_BYTES];
        let mut at = from;
        while at + (FRAME_HEAD_BYTES as u64) <= len {
            let filled = read_up_to(&self.file, &mut window, at)?;
            for start in (0..filled).step_by(8) {
                let candidate = window.get(start..filled).unwrap_or_default();
                let Some(bytes) = candidate.first_chunk::<FRAME_HEAD_BYTES>() else { break };
                let head = FrameHead::parse(bytes, self.header.tag);
                let offset = at + start as u64;
                let Some(head) = head.filter(|head| offset + head.frame_len() <= len) else { continue };
                if self.check(offset, &head, buffer)?.0.is_ok() {
                    return Ok(Some(offset));
                }
            }
            // The windows overlap by one frame head, so that none is missed at a border.
            at += (READ_CHUNK_BYTES - FRAME_HEAD_BYTES) as u64;
        }
        Ok(None)
    }
}

/// Bytes of a file that were read together.
struct Window<'f> {
    file: &'f File,
    digest: Option<&'f mut FileDigest>,
    bytes: Vec<u8>,
    start: u64,
    filled: usize,
    /// The file ended where the window ends.
    is_last: bool,
}

impl<'f> Window<'f> {
    fn new(file: &'f File, digest: Option<&'f mut FileDigest>) -> Self {
        Self { file, digest, bytes: vec![0; READ_CHUNK_BYTES], start: 0, filled: 0, is_last: false }
    }

    /// The bytes from `offset` on: half of the window at least, unless the file ends.
    fn from(&mut self, offset: u64) -> io::Result<&[u8]> {
        let held = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let held =
            held.filter(|at| at + READ_CHUNK_BYTES / 2 <= self.filled || (self.is_last && *at < self.filled));
        let at = match held {
            Some(at) => at,
            None => {
                self.filled = read_up_to(self.file, &mut self.bytes, offset)?;
                self.start = offset;
                self.is_last = self.filled < self.bytes.len();
                if let Some(digest) = &mut self.digest {
                    digest.take(self.file, self.bytes.get(..self.filled).unwrap_or_default(), offset)?;
                }
                0
            }
        };
        Ok(self.bytes.get(at..self.filled).unwrap_or_default())
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
