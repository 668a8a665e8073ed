//! Random identifiers of exchanges, from an injected source.

use std::cell::RefCell;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// Asked for at once: an identifier takes few bytes, and asking for them costs as much as asking for many.
const STOCK_BYTES: usize = 1024;

/// Where random bytes come from. Production asks the operating system; tests give their own.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Default)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    fn ask(&self, bytes: &mut [u8]) {
        // The generator of AWS-LC aborts the process itself when the kernel gives no entropy; an error cannot be met.
        if self.0.fill(bytes).is_err() {
            std::process::abort();
        }
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > STOCK_BYTES / 2 {
            return self.ask(bytes);
        }
        STOCK.with_borrow_mut(|stock| {
            if stock.len() < bytes.len() {
                stock.resize(STOCK_BYTES, 0);
                self.ask(stock);
            }
            // What is given leaves the stock, so that nothing is given twice.
            let left = stock.len() - bytes.len();
            bytes.copy_from_slice(stock.get(left..).unwrap_or_default());
            stock.truncate(left);
        });
    }
}

thread_local! {
    /// Random bytes of this thread that nobody has been given.
    static STOCK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A random UUID (version 4), in its usual form.
pub fn uuid(entropy: &dyn Entropy) -> String {
    let mut bytes = [0u8; 16];
    entropy.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
    }
    text
}

/// Thirty random ASCII letters, as the boundaries of transport messages end (`transport.md` 3.2).
pub fn letters(entropy: &dyn Entropy) -> [u8; 30] {
    let mut letters = [0u8; 30];
    entropy.fill(&mut letters);
    // 256 is no multiple of 52: the bias is harmless, a boundary has only to be unlikely in a body.
    for letter in &mut letters {
        let index = *letter % 52;
        *letter = if index < 26 { b'a' + index } else { b'A' + index - 26 };
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.iter_mut().enumerate().for_each(|(index, byte)| *byte = index as u8);
        }
    }

    #[test]
    fn a_uuid_has_version_and_variant() {
        assert_eq!(uuid(&Counting), "00010203-0405-4607-8809-0a0b0c0d0e0f");
    }

    #[test]
    fn nothing_is_given_twice() {
        let entropy = SystemEntropy::default();
        let mut given = std::collections::HashSet::new();
        for length in (1..=40).cycle().take(400).chain([STOCK_BYTES / 2, STOCK_BYTES]) {
            let mut bytes = vec![0; length + 16];
            entropy.fill(&mut bytes);
            assert!(bytes.windows(16).all(|window| given.insert(window.to_vec())), "{length}");
        }
    }

    #[test]
    fn boundaries_are_letters() {
        assert_eq!(&letters(&Counting), b"abcdefghijklmnopqrstuvwxyzABCD");
        assert_ne!(letters(&SystemEntropy::default()), letters(&SystemEntropy::default()));
    }
}
