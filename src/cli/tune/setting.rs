//! One line of a tuning file, and whether a host agrees with it.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// What a host says about a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As wanted, or better.
    Set,
    /// Otherwise.
    Differs,
    /// This machine has no such thing.
    Absent,
    /// Nobody can be asked.
    Unknown,
}

/// When a value is as good as the wanted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    AtLeast,
    AtMost,
    /// Two numbers: the range may be wider.
    Within,
    Exactly,
    /// The word in brackets, as `/sys` shows choices.
    Selected,
    /// Hexadecimal with commas.
    Mask,
}

/// A wanted value of a file of the kernel.
#[derive(Debug)]
pub(super) struct Setting {
    pub name: String,
    /// Absolute.
    pub place: PathBuf,
    pub wanted: String,
    pub rule: Rule,
    pub why: String,
}

impl Setting {
    /// State and present value, below `root`.
    pub fn look(&self, root: &Path) -> (State, Option<String>) {
        let place = root.join(self.place.strip_prefix("/").unwrap_or(&self.place));
        let Ok(text) = std::fs::read_to_string(place) else { return (State::Absent, None) };
        let current = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let state = if self.rule.accepts(&current, &self.wanted) { State::Set } else { State::Differs };
        (state, Some(current))
    }
}

impl Rule {
    pub fn accepts(self, current: &str, wanted: &str) -> bool {
        let numbers = |text: &str| -> Vec<u64> { text.split(' ').filter_map(|n| n.parse().ok()).collect() };
        let (have, want) = (numbers(current), numbers(wanted));
        match self {
            Self::AtLeast => have.first() >= want.first() && !have.is_empty(),
            Self::AtMost => have.first() <= want.first() && !have.is_empty(),
            Self::Within => match (&*have, &*want) {
                ([from, to], [wanted_from, wanted_to]) => from <= wanted_from && to >= wanted_to,
                _ => false,
            },
            Self::Exactly => current == wanted,
            Self::Selected => match current.split_once('[').and_then(|(_, rest)| rest.split_once(']')) {
                Some((selected, _)) => selected == wanted,
                None => current == wanted,
            },
            Self::Mask => mask(current) == mask(wanted),
        }
    }

    fn of_comment(comment: &str) -> Option<(Self, &str)> {
        let (word, rest) = comment.strip_prefix('[')?.split_once(']')?;
        let rule = match word {
            "at least" => Self::AtLeast,
            "at most" => Self::AtMost,
            "within" => Self::Within,
            "exactly" => Self::Exactly,
            _ => return None,
        };
        Some((rule, rest.trim_start()))
    }
}

fn mask(text: &str) -> String {
    let digits: String = text.chars().filter(|c| *c != ',').collect();
    digits.trim_start_matches('0').to_ascii_lowercase()
}

/// Lines that say something, each with the comment above it in one line.
pub(super) fn lines(text: &str) -> Vec<(String, String)> {
    let (mut lines, mut comment) = (Vec::new(), String::new());
    for line in text.lines() {
        match line.strip_prefix('#') {
            Some(more) => {
                comment.push(' ');
                comment.push_str(more.trim());
            }
            None if line.trim().is_empty() => comment.clear(),
            None => lines.push((line.trim().to_owned(), comment.trim().to_owned())),
        }
    }
    lines
}

/// `key = value` below `/proc/sys`.
pub(super) fn of_sysctl(text: &str) -> Vec<Setting> {
    let settings = lines(text).into_iter().filter_map(|(line, comment)| {
        let (name, wanted) = line.split_once('=')?;
        let (rule, why) = Rule::of_comment(&comment)?;
        let (name, wanted) = (name.trim().to_owned(), wanted.trim().to_owned());
        let place = Path::new("/proc/sys").join(name.replace('.', "/"));
        Some(Setting { name, place, wanted, rule, why: why.to_owned() })
    });
    settings.collect()
}

/// `w PATH - - - - VALUE`.
pub(super) fn of_tmpfiles(text: &str) -> Vec<Setting> {
    let settings = lines(text).into_iter().filter_map(|(line, why)| {
        let mut words = line.split_whitespace();
        let (kind, name) = (words.next()?, words.next()?.to_owned());
        let wanted = words.nth(4)?.to_owned();
        let rule = match name.rsplit('/').next()? {
            "enabled" => Rule::Selected,
            "rps_cpus" => Rule::Mask,
            _ => Rule::Exactly,
        };
        let place = PathBuf::from(&name);
        (kind == "w").then_some(Setting { name, place, wanted, rule, why })
    });
    settings.collect()
}
