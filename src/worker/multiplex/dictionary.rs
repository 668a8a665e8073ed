//! Bytes that many messages have in common, such as the signature document of a batch, are sent once.

use bytes::Bytes;

use super::frame::{ENTRY_BYTES_MAX, ENTRY_BYTES_MIN};

/// Places of a dictionary.
const PLACES: usize = 8;
/// Slices that are looked for again.
const SEEN: usize = 32;

/// How bytes are sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// As they are.
    Plainly,
    /// As an entry for this place, and by a reference to it.
    AsEntry(u8),
    /// By a reference to this place.
    ByReference(u8),
}

/// What the sender remembers. Bytes are known again by where they are in memory, which costs no look at them.
#[derive(Debug, Default)]
pub(super) struct Sender {
    /// Held, so that nothing else can come to stand there.
    entries: [Bytes; PLACES],
    next: usize,
    /// Where the last bytes were that are no entry: most of them come once and are not held.
    seen: [(usize, usize); SEEN],
    next_seen: usize,
}

impl Sender {
    /// Whether these bytes could be an entry.
    pub(super) fn takes(bytes: &Bytes) -> bool {
        (ENTRY_BYTES_MIN..=ENTRY_BYTES_MAX).contains(&bytes.len())
    }

    /// How to send them.
    pub(super) fn send(&mut self, bytes: &Bytes) -> Sent {
        let at = (bytes.as_ptr() as usize, bytes.len());
        let is_same = |entry: &Bytes| (entry.as_ptr() as usize, entry.len()) == at;
        if let Some(place) = self.entries.iter().position(is_same) {
            return Sent::ByReference(place as u8);
        }
        // Something else may stand there now. Then it is an entry that nobody refers to again.
        if self.seen.contains(&at) {
            let place = self.next;
            self.next = (place + 1) % PLACES;
            if let Some(entry) = self.entries.get_mut(place) {
                *entry = bytes.clone();
                return Sent::AsEntry(place as u8);
            }
        }
        if let Some(seen) = self.seen.get_mut(self.next_seen) {
            *seen = at;
        }
        self.next_seen = (self.next_seen + 1) % SEEN;
        Sent::Plainly
    }

    /// Lets go of all of them.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// What the receiver remembers.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    entries: [Bytes; PLACES],
}

impl Receiver {
    /// Sets a place; is there such a one?
    pub(super) fn set(&mut self, place: u32, bytes: &[u8]) -> bool {
        let entry = self.entries.get_mut(place as usize);
        entry.map(|entry| *entry = Bytes::copy_from_slice(bytes)).is_some()
    }

    /// What is in a place.
    pub(super) fn get(&self, place: u8) -> Option<&Bytes> {
        self.entries.get(usize::from(place)).filter(|entry| !entry.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_sent_once_more_and_then_by_reference() {
        let mut sender = Sender::default();
        let (one, same) = (Bytes::from(vec![1; 5000]), Bytes::from(vec![1; 5000]));
        assert!(Sender::takes(&one) && !Sender::takes(&one.slice(..ENTRY_BYTES_MIN - 1)));
        assert!(!Sender::takes(&Bytes::from(vec![0; ENTRY_BYTES_MAX + 1])));
        assert_eq!(sender.send(&one), Sent::Plainly);
        assert_eq!(sender.send(&one.clone()), Sent::AsEntry(0));
        assert_eq!(sender.send(&one.clone()), Sent::ByReference(0));
        // Known by where it is, and as a whole.
        assert_eq!(sender.send(&same), Sent::Plainly);
        assert_eq!(sender.send(&one.slice(..4000)), Sent::Plainly);
        // What comes once takes no place.
        let others: Vec<Bytes> = (0..100).map(|at| Bytes::from(vec![at; 2000])).collect();
        assert!(others.iter().all(|other| sender.send(other) == Sent::Plainly));
        assert_eq!(sender.send(&one), Sent::ByReference(0));
        for (place, other) in (1..=PLACES).zip(&others) {
            assert_eq!(
                (sender.send(other), sender.send(other)),
                (Sent::Plainly, Sent::AsEntry((place % PLACES) as u8))
            );
        }
        assert_eq!(sender.send(&one), Sent::Plainly, "its place was taken");
        sender.forget();
        assert_eq!(sender.send(&others[0]), Sent::Plainly);
    }

    #[test]
    fn the_receiver_has_as_many_places_as_the_sender_and_nothing_in_them_at_first() {
        let mut receiver = Receiver::default();
        assert!(receiver.set(PLACES as u32 - 1, b"entry") && !receiver.set(PLACES as u32, b"entry"));
        assert_eq!(receiver.get(PLACES as u8 - 1).map(|entry| entry.as_ref()), Some(&b"entry"[..]));
        assert_eq!((receiver.get(0), receiver.get(PLACES as u8)), (None, None));
    }
}
