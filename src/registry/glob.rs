//! Path globs of endpoints, as X-Road 7.8 matches them (`trust.md` 7.5).

use thiserror::Error;

/// A path pattern of an endpoint.
///
/// * `*` takes every following character up to the next `/`, and gives none back: `/pets/*.json` matches nothing.
/// * `**`, or more stars, is any run of characters, slashes too, but no line break.
/// * `\*` and `\\` are the characters themselves; a backslash before anything else is a backslash.
/// * `?` makes the character before it optional. It leaks through from the regular expressions that official
///   servers translate to; kept so that the same pattern grants the same paths.
///
/// The whole path has to match, case-sensitively.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathGlob {
    pattern: String,
    tokens: Vec<Token>,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("\"?\" at character {0} of the path pattern has nothing before it that it could make optional")]
pub struct GlobError(pub usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Literal(char),
    Optional(char),
    Segment,
    Any,
}

impl PathGlob {
    /// Reads a pattern.
    pub fn new(pattern: &str) -> Result<Self, GlobError> {
        let mut tokens: Vec<Token> = Vec::with_capacity(pattern.len());
        let mut chars = pattern.chars().enumerate().peekable();
        let mut lazy = false;
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            match (c, next) {
                ('\\', Some(escaped @ ('*' | '\\'))) => {
                    chars.next();
                    tokens.push(Token::Literal(escaped));
                    lazy = false;
                }
                ('*', _) => {
                    let stars = 1 + std::iter::from_fn(|| chars.next_if(|(_, c)| *c == '*')).count();
                    tokens.push(if stars == 1 { Token::Segment } else { Token::Any });
                    lazy = false;
                }
                // After an optional character or `**` one more `?` only asks for the shortest match first.
                ('?', _) => match tokens.last_mut() {
                    Some(Token::Literal(c)) => {
                        let c = *c;
                        tokens.pop();
                        tokens.push(Token::Optional(c));
                        lazy = false;
                    }
                    Some(Token::Optional(_) | Token::Any) if !lazy => lazy = true,
                    _ => return Err(GlobError(at + 1)),
                },
                _ => {
                    tokens.push(Token::Literal(c));
                    lazy = false;
                }
            }
        }
        Ok(Self { pattern: pattern.into(), tokens })
    }

    /// The text it was read from.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Is it `**`, which every path matches?
    pub fn is_everything(&self) -> bool {
        self.pattern == "**"
    }

    /// Does the whole of `path` match? Work is at most the product of both lengths.
    pub fn matches(&self, path: &str) -> bool {
        if self.is_everything() {
            return true;
        }
        let mut now = States::new(self.tokens.len());
        let mut next = States::new(self.tokens.len());
        let mut chars = path.chars().peekable();
        self.enter(0, chars.peek().copied(), &mut now);
        while let Some(c) = chars.next() {
            let after = chars.peek().copied();
            next.clear();
            for &state in &now.list {
                match self.tokens.get(state) {
                    Some(Token::Literal(literal) | Token::Optional(literal)) if *literal == c => {
                        self.enter(state + 1, after, &mut next);
                    }
                    Some(Token::Segment) if c != '/' => self.enter(state, after, &mut next),
                    Some(Token::Any) if !is_line_break(c) => self.enter(state, after, &mut next),
                    _ => {}
                }
            }
            std::mem::swap(&mut now, &mut next);
            if now.list.is_empty() {
                return false;
            }
        }
        now.seen.last() == Some(&true)
    }

    // Adds a state and those that follow it without taking a character. `next` is the character to come.
    fn enter(&self, mut state: usize, next: Option<char>, states: &mut States) {
        loop {
            match states.seen.get_mut(state) {
                Some(seen) if !*seen => *seen = true,
                _ => return,
            }
            states.list.push(state);
            match self.tokens.get(state) {
                Some(Token::Segment) if next.is_none_or(|c| c == '/') => state += 1,
                Some(Token::Optional(_) | Token::Any) => state += 1,
                _ => return,
            }
        }
    }
}

struct States {
    seen: Vec<bool>,
    list: Vec<usize>,
}

impl States {
    fn new(tokens: usize) -> Self {
        Self { seen: vec![false; tokens + 1], list: Vec::with_capacity(4) }
    }

    fn clear(&mut self) {
        for &state in &self.list {
            if let Some(seen) = self.seen.get_mut(state) {
                *seen = false;
            }
        }
        self.list.clear();
    }
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}
