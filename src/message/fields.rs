use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

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
        let mut text = String::with_capacity(fields.iter().flatten().map(|f| f.len()).sum());
        let mut ends = [0; N];
        let mut absent = 0;
        for (index, field) in fields.iter().enumerate() {
            match field {
                Some(field) => text.push_str(field),
                None => absent |= 1 << index,
            }
            ends[index] = u32::try_from(text.len()).unwrap_or(u32::MAX);
        }
        Self { text: text.into(), ends, absent }
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
