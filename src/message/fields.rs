use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Longest text that is put together without an allocation of its own.
const USUAL_BYTES_MAX: usize = 256;

/// The fields of one identifier in one shared allocation.
///
/// A shorter identifier that is a prefix of a longer one (the member of a client, the client of a service)
/// shares its text, so that taking it apart costs no copy.
#[derive(Clone)]
pub(super) struct Fields<const N: usize> {
    text: Arc<str>,
    ends: [u32; N],
    absent: u8,
}

impl<const N: usize> Fields<N> {
    pub(super) fn new(fields: [Option<&str>; N]) -> Self {
        let mut ends = [0; N];
        let mut absent = 0;
        let mut length = 0;
        for (index, field) in fields.iter().enumerate() {
            match field {
                Some(field) => length += field.len(),
                None => absent |= 1 << index,
            }
            ends[index] = u32::try_from(length).unwrap_or(u32::MAX);
        }
        Self { text: joined(&fields, length), ends, absent }
    }

    pub(super) fn get(&self, index: usize) -> Option<&str> {
        if self.absent & (1 << index) != 0 {
            return None;
        }
        let from = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        self.text.get(from..self.ends[index] as usize)
    }

    /// A field that the type always has.
    pub(super) fn must(&self, index: usize) -> &str {
        self.get(index).unwrap_or_default()
    }

    /// The first `M` fields, sharing the text.
    pub(super) fn prefix<const M: usize>(&self) -> Fields<M> {
        const { assert!(M <= N) };
        let mut ends = [0; M];
        ends.copy_from_slice(&self.ends[..M]);
        Fields { text: self.text.clone(), ends, absent: self.absent & ((1 << M) - 1) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..N).map(|index| self.get(index))
    }

    /// Bytes of all fields together.
    pub(super) fn len(&self) -> usize {
        self.used().len()
    }

    fn used(&self) -> &str {
        self.text.get(..self.ends[N - 1] as usize).unwrap_or_default()
    }
}

fn joined(fields: &[Option<&str>], length: usize) -> Arc<str> {
    let mut buffer = [0; USUAL_BYTES_MAX];
    let usual = (length <= USUAL_BYTES_MAX).then(|| {
        let mut at = 0;
        for field in fields.iter().flatten() {
            buffer.get_mut(at..at + field.len())?.copy_from_slice(field.as_bytes());
            at += field.len();
        }
        std::str::from_utf8(buffer.get(..at)?).ok().map(Arc::from)
    });
    usual.flatten().unwrap_or_else(|| fields.iter().flatten().copied().collect::<String>().into())
}

impl<const N: usize> PartialEq for Fields<N> {
    fn eq(&self, other: &Self) -> bool {
        self.ends == other.ends && self.absent == other.absent && self.used() == other.used()
    }
}

impl<const N: usize> Eq for Fields<N> {}

impl<const N: usize> Hash for Fields<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.used().hash(state);
        self.ends.hash(state);
        self.absent.hash(state);
    }
}

impl<const N: usize> Ord for Fields<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl<const N: usize> PartialOrd for Fields<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
