//! Identifiers that were read a short while ago: the same few parties are named by message after message.

use std::cell::RefCell;
use std::thread::LocalKey;

use foldhash::{HashMap, HashMapExt};

use super::IdentifierError;
use crate::limits::{IDENTIFIER_KEPT_BYTES_MAX, IDENTIFIERS_KEPT_MAX};

/// What was read, by its text. When there is no room for another, all are forgotten.
pub(super) struct Memo<T>(RefCell<HashMap<Box<str>, T>>);

impl<T: Clone> Memo<T> {
    pub(super) fn new() -> Self {
        Self(RefCell::new(HashMap::new()))
    }

    /// What `text` says, as it was read before or as `read` reads it now. What cannot be read is not remembered.
    pub(super) fn read(
        memo: &'static LocalKey<Self>,
        text: &str,
        read: impl FnOnce(&str) -> Result<T, IdentifierError>,
    ) -> Result<T, IdentifierError> {
        let known = memo.with(|memo| memo.0.borrow().get(text).cloned());
        if let Some(known) = known {
            return Ok(known);
        }
        let value = read(text)?;
        if text.len() <= IDENTIFIER_KEPT_BYTES_MAX {
            memo.with(|memo| {
                let mut kept = memo.0.borrow_mut();
                if kept.len() >= IDENTIFIERS_KEPT_MAX {
                    kept.clear();
                }
                kept.insert(text.into(), value.clone());
            });
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static LENGTHS: Memo<usize> = Memo::new();
    }

    fn kept() -> usize {
        LENGTHS.with(|memo| memo.0.borrow().len())
    }

    #[test]
    fn a_text_is_read_once_and_a_bad_or_long_one_each_time() {
        let read = |text: &str, value| Memo::read(&LENGTHS, text, |_| value);
        assert_eq!(read("a", Ok(1)), Ok(1));
        assert_eq!(read("a", Ok(2)), Ok(1));
        assert_eq!(read("b", Err(IdentifierError::Escape)), Err(IdentifierError::Escape));
        assert_eq!(read("b", Ok(3)), Ok(3));
        let long = "c".repeat(IDENTIFIER_KEPT_BYTES_MAX + 1);
        assert_eq!((read(&long, Ok(4)), read(&long, Ok(5))), (Ok(4), Ok(5)));
        assert_eq!(kept(), 2);
        for index in 0..2 * IDENTIFIERS_KEPT_MAX {
            assert_eq!(read(&format!("d{index}"), Ok(index)), Ok(index));
            assert!(kept() <= IDENTIFIERS_KEPT_MAX);
        }
    }
}
