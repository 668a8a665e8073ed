use std::sync::LazyLock;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;

/// What the search for the next delimiter gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Bytes that are content for sure.
    Content(Bytes),
    /// A delimiter line was taken; `close` when it was the last one.
    Delimiter { close: bool },
    /// Everything was looked at.
    Nothing,
}

/// Longest white space after a boundary that is accepted, in bytes.
const PADDING_BYTES_MAX: usize = 256;

/// The start of every pattern is searched for; the rest is compared. A search for the pattern itself would have to be
/// prepared for each message, which costs more than it finds in messages of the usual size.
static START: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n--"));

/// Searches `LF "--" boundary` with what belongs to the line, across any division of the input.
///
/// LF occurs in the pattern at its start only, so that a match that fails can begin again only with a later byte:
/// what was held back is content then, and nothing has to be looked at twice.
#[derive(Debug)]
pub(super) struct DelimiterSearch {
    pattern: Box<[u8]>,
    // Bytes that may belong to a delimiter line; the line end before it included.
    held: BytesMut,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No delimiter in sight.
    Searching,
    /// The input begins with a whole delimiter line of so many bytes.
    Whole { length: usize, close: bool },
    /// A CR that may belong to the line end before a delimiter.
    LineEnd,
    /// So many bytes of the pattern have matched.
    Pattern(usize),
    /// The pattern has matched; padding may follow.
    Padding,
    /// A hyphen after the pattern.
    Hyphen,
    /// A CR after pattern and padding.
    PaddingEnd,
}

enum Step {
    Continue,
    Mismatch,
    Delimiter { close: bool },
}

impl DelimiterSearch {
    /// At the start of input, where a delimiter needs no line end before it.
    pub(super) fn new(boundary: &str) -> Self {
        let pattern = [b"\n--", boundary.as_bytes()].concat().into_boxed_slice();
        Self { pattern, held: BytesMut::new(), state: State::Pattern(1) }
    }

    /// Forgets what was seen: the next byte is the first of a line.
    pub(super) fn restart(&mut self) {
        self.held.clear();
        self.state = State::Pattern(1);
    }

    /// Looks at `input` and takes what it has decided on from its front.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Found {
        if self.state == State::Searching
            && let Some(content) = self.scan(input)
        {
            return Found::Content(content);
        }
        if self.state == State::Pattern(1)
            && self.held.is_empty()
            && let Some(whole) = self.whole_line(input, 1)
        {
            self.state = whole;
        }
        if let State::Whole { length, close } = self.state {
            input.advance(length);
            self.state = State::Searching;
            return Found::Delimiter { close };
        }
        let mut used = 0;
        while let Some(byte) = input.get(used).copied() {
            match self.step(byte) {
                Step::Continue => {
                    self.held.extend_from_slice(&[byte]);
                    used += 1;
                }
                Step::Delimiter { close } => {
                    let _ = input.split_to(used + 1);
                    self.held.clear();
                    self.state = State::Searching;
                    return Found::Delimiter { close };
                }
                Step::Mismatch => {
                    let _ = input.split_to(used);
                    self.state = State::Searching;
                    if self.held.is_empty() {
                        return self.next(input);
                    }
                    return Found::Content(self.held.split().freeze());
                }
            }
        }
        input.clear();
        Found::Nothing
    }

    /// What is held back when the input ends: content after all.
    pub(super) fn take_held(&mut self) -> Bytes {
        self.state = State::Searching;
        self.held.split().freeze()
    }

    // The fast path: cuts the content before the next possible delimiter off and sets the state for what follows it.
    fn scan(&mut self, input: &mut Bytes) -> Option<Bytes> {
        let at = self.find(input).unwrap_or_else(|| self.last_possible(input));
        let after_cr = at > 0 && input.get(at) == Some(&b'\n') && input.get(at - 1) == Some(&b'\r');
        let line_end = usize::from(after_cr);
        let whole = self.whole_line(input.get(at..).unwrap_or_default(), 0);
        let before = input.split_to(at - line_end);
        if let Some(State::Whole { length, close }) = whole {
            self.state = State::Whole { length: length + line_end, close };
            return (!before.is_empty()).then_some(before);
        }
        // What follows starts with CR or LF, or there is nothing left.
        match input.first() {
            Some(b'\r') => self.state = State::LineEnd,
            Some(b'\n') => self.state = State::Pattern(1),
            _ => {}
        }
        if let Some(first) = input.first().copied() {
            self.held.extend_from_slice(&[first]);
            input.advance(1);
        }
        (!before.is_empty()).then_some(before)
    }

    fn find(&self, input: &[u8]) -> Option<usize> {
        let mut starts = START.find_iter(input);
        starts.find(|at| input.get(*at..).is_some_and(|rest| rest.starts_with(&self.pattern)))
    }

    // The usual case: from its byte `from` on the pattern stands at the start of the input, with the end of its line.
    fn whole_line(&self, input: &[u8], from: usize) -> Option<State> {
        let rest = input.strip_prefix(self.pattern.get(from..)?)?;
        let (end, close) = match rest {
            [b'\r', b'\n', ..] => (2, false),
            [b'-', b'-', ..] => (2, true),
            [b'\n', ..] => (1, false),
            _ => return None,
        };
        Some(State::Whole { length: self.pattern.len() - from + end, close })
    }

    // Where a delimiter that goes on beyond the input may begin; the length of the input when nowhere.
    fn last_possible(&self, input: &[u8]) -> usize {
        let pattern = &self.pattern;
        let from = input.len().saturating_sub(pattern.len() - 1);
        let tail = input.get(from..).unwrap_or_default();
        if let Some(at) = memchr::memrchr(b'\n', tail)
            && tail.get(at..).is_some_and(|rest| pattern.starts_with(rest))
        {
            return from + at;
        }
        if input.last() == Some(&b'\r') { input.len() - 1 } else { input.len() }
    }

    fn step(&mut self, byte: u8) -> Step {
        let pattern = &self.pattern;
        let next = match self.state {
            State::Searching | State::Whole { .. } => return Step::Mismatch,
            State::LineEnd if byte == b'\n' => State::Pattern(1),
            State::LineEnd => return Step::Mismatch,
            State::Pattern(matched) => {
                if pattern.get(matched) != Some(&byte) {
                    return Step::Mismatch;
                }
                if matched + 1 == pattern.len() { State::Padding } else { State::Pattern(matched + 1) }
            }
            State::Padding => match byte {
                b'\n' => return Step::Delimiter { close: false },
                b'\r' => State::PaddingEnd,
                b' ' | b'\t' if self.held.len() < pattern.len() + PADDING_BYTES_MAX => State::Padding,
                b'-' if self.held.last() == pattern.last() => State::Hyphen,
                _ => return Step::Mismatch,
            },
            State::Hyphen if byte == b'-' => return Step::Delimiter { close: true },
            State::Hyphen => return Step::Mismatch,
            State::PaddingEnd if byte == b'\n' => return Step::Delimiter { close: false },
            State::PaddingEnd => return Step::Mismatch,
        };
        self.state = next;
        Step::Continue
    }
}
