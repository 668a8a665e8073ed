//! A reader of TOML tables that gathers every mistake with its line, instead of stopping at the first.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// What is wrong and how to mend it: one lower-case clause.
    pub text: String,
}

/// A file that cannot be used. Displays one `file:line: text` for each mistake, in the order of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// The file as it was named.
    pub file: String,
    /// At least one mistake.
    pub problems: Vec<Problem>,
}

impl FileError {
    /// An error about the file as a whole, such as one that cannot be read.
    pub fn whole(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), problems: vec![Problem { line: 0, text: text.into() }] }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match problem.line {
                0 => write!(f, "{}: {}", self.file, problem.text)?,
                line => write!(f, "{}:{line}: {}", self.file, problem.text)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for FileError {}

/// Reads `text` by `read`, which asks the root [`Section`] for its keys. The value is returned only if neither the
/// TOML, nor a value, nor an unknown key was complained about.
pub fn read_toml<T>(
    file: &str,
    text: &str,
    read: impl FnOnce(&mut Section<'_>) -> Option<T>,
) -> Result<T, FileError> {
    read_toml_over(file, text, None, read)
}

/// As [`read_toml`]; what `text` leaves out is taken from `preset`, a text without mistakes.
pub(super) fn read_toml_over<T>(
    file: &str,
    text: &str,
    preset: Option<&str>,
    read: impl FnOnce(&mut Section<'_>) -> Option<T>,
) -> Result<T, FileError> {
    let preset = preset.and_then(|preset| DeTable::parse(preset).ok());
    let problems = Problems { text, found: RefCell::new(Vec::new()) };
    let value = match DeTable::parse(text) {
        Err(error) => {
            problems.add(error.span().map_or(0, |span| span.start), error.message().to_string());
            None
        }
        Ok(table) => {
            let mut root = Section::new("", table.get_ref(), 0, &problems);
            root.preset = preset.as_ref().map(Spanned::get_ref);
            let value = read(&mut root);
            root.finish();
            value
        }
    };
    let mut found = problems.found.into_inner();
    found.sort_by_key(|problem| problem.line);
    match value {
        Some(value) if found.is_empty() => Ok(value),
        _ if found.is_empty() => Err(FileError::whole(file, "the file is not complete")),
        _ => Err(FileError { file: file.into(), problems: found }),
    }
}

struct Problems<'t> {
    text: &'t str,
    found: RefCell<Vec<Problem>>,
}

impl Problems<'_> {
    fn add(&self, at: usize, text: String) {
        let line = self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        self.found.borrow_mut().push(Problem { line, text });
    }
}

/// One table of the file. Every key that the reader asks for is known; [`Section::finish`] refuses the others.
pub struct Section<'t> {
    name: String,
    table: &'t DeTable<'t>,
    at: usize,
    known: Vec<&'static str>,
    problems: &'t Problems<'t>,
    // The same table of a preset.
    preset: Option<&'t DeTable<'t>>,
}

impl<'t> Section<'t> {
    fn new(name: &str, table: &'t DeTable<'t>, at: usize, problems: &'t Problems<'t>) -> Self {
        Self { name: name.into(), table, at, known: Vec::new(), problems, preset: None }
    }

    /// The keys asked for so far.
    pub fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// Complains about the section as a whole, at its head line.
    pub fn complain(&self, text: impl Into<String>) {
        self.problems.add(self.at, text.into());
    }

    /// Complains about the value of one key, at its line (or the section's, if the key is absent).
    pub fn complain_about(&self, key: &str, text: impl Into<String>) {
        let at = self.table.get(key).map_or(self.at, |value| value.span().start);
        self.problems.add(at, text.into());
    }

    /// Is the key there?
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Is the key there, with a list as its value?
    pub fn is_list(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().is_array())
    }

    /// A text, or `None` if absent (or of another type: complained about).
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(text.to_string()),
            None => self.wrong_type(key, "a text in quotes", value),
        }
    }

    /// A text that must be there and not blank.
    pub fn required_text(&mut self, key: &'static str) -> Option<String> {
        if !self.has(key) {
            self.known.push(key);
            let text = format!("{} is missing: a text in quotes", self.full(key));
            self.complain(text);
            return None;
        }
        let text = self.text(key)?;
        if text.trim().is_empty() {
            self.complain_about(key, format!("{} must not be blank", self.full(key)));
            return None;
        }
        Some(text)
    }

    /// A text turned into a value by `parse`, whose error is complained about as `key: error`.
    pub fn parsed<T, E: fmt::Display>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.complain_about(key, format!("{}: {error}", self.full(key)));
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        self.parsed(key, |text| {
            choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                format!("\"{text}\" is not one of {}{}", words.join(", "), suggestion(text, &words))
            })
        })
    }

    /// `true` or `false`.
    pub fn switch(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        match value.get_ref().as_bool() {
            Some(switch) => Some(switch),
            None => self.wrong_type(key, "true or false", value),
        }
    }

    /// A whole number within `range`.
    pub fn number<N>(&mut self, key: &'static str, range: RangeInclusive<N>) -> Option<N>
    where
        N: TryFrom<i64> + PartialOrd + fmt::Display + Copy,
    {
        let value = self.value(key)?;
        self.number_of(key, value, &range)
    }

    /// A list of whole numbers within `range`; `None` if absent.
    pub fn numbers<N>(&mut self, key: &'static str, range: RangeInclusive<N>) -> Option<Vec<N>>
    where
        N: TryFrom<i64> + PartialOrd + fmt::Display + Copy,
    {
        let value = self.value(key)?;
        let Some(items) = value.get_ref().as_array() else {
            return self.wrong_type(key, "a list of whole numbers in [ ]", value);
        };
        items.iter().map(|item| self.number_of(key, item, &range)).collect()
    }

    fn number_of<N>(
        &self,
        key: &'static str,
        value: &'t Spanned<DeValue<'t>>,
        range: &RangeInclusive<N>,
    ) -> Option<N>
    where
        N: TryFrom<i64> + PartialOrd + fmt::Display + Copy,
    {
        let Some(integer) = value.get_ref().as_integer() else {
            return self.wrong_type(key, "a whole number", value);
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.and_then(|number| N::try_from(number).ok()).filter(|n| range.contains(n));
        if number.is_none() {
            let text =
                format!("{} is {integer}, must be from {} to {}", self.full(key), range.start(), range.end());
            self.complain_about(key, text);
        }
        number
    }

    /// A list of texts, each turned into a value by `parse`; empty if absent.
    pub fn list<T, E: fmt::Display>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type::<()>(key, "a list of texts in [ ]", value);
            return Vec::new();
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref().as_str().map(&parse) {
                Some(Ok(value)) => values.push(value),
                Some(Err(error)) => {
                    self.problems.add(item.span().start, format!("{}: {error}", self.full(key)))
                }
                None => {
                    self.wrong_type::<()>(key, "a list of texts in [ ]", item);
                }
            }
        }
        values
    }

    /// A sub-table read by `read`; an absent one is read as an empty table, so that its defaults apply.
    pub fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let empty = DeTable::new();
        self.known.push(key);
        let (table, at) = match self.table.get(key) {
            None => (&empty, self.at),
            Some(value) => match value.get_ref().as_table() {
                Some(table) => (table, value.span().start),
                None => {
                    self.wrong_type::<()>(key, "a table", value);
                    (&empty, self.at)
                }
            },
        };
        let mut section = Section::new(&self.full(key), table, at, self.problems);
        section.preset = self.preset.and_then(|preset| preset.get(key)?.get_ref().as_table());
        let value = read(&mut section);
        section.finish();
        value
    }

    /// An array of tables (`[[key]]`), each read by `read`; empty if absent. `None`s are left out.
    pub fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type::<()>(key, "an array of tables ([[ ]])", value);
            return Vec::new();
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items.iter() {
            let Some(table) = item.get_ref().as_table() else {
                self.wrong_type::<()>(key, "an array of tables ([[ ]])", item);
                continue;
            };
            let mut section = Section::new(&self.full(key), table, item.span().start, self.problems);
            values.extend(read(&mut section));
            section.finish();
        }
        values
    }

    fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.get(key).or_else(|| self.preset?.get(key))
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_string() } else { format!("{}.{key}", self.name) }
    }

    fn wrong_type<T>(&self, key: &str, wanted: &str, value: &Spanned<DeValue<'_>>) -> Option<T> {
        let found = value.get_ref().type_str();
        self.problems.add(value.span().start, format!("{} must be {wanted}, not {found}", self.full(key)));
        None
    }

    // Refuses the keys that nobody asked for.
    fn finish(self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let place = if self.name.is_empty() { String::new() } else { format!(" in [{}]", self.name) };
            let mend = suggestion(name, &self.known);
            self.problems.add(key.span().start, format!("unknown key \"{name}\"{place}{mend}"));
        }
    }
}

// ", did you mean \"x\"?" for the closest known word, if one is close.
fn suggestion(word: &str, known: &[&str]) -> String {
    let closest = known.iter().map(|other| (strsim::jaro_winkler(word, other), other));
    let closest = closest.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > 0.75);
    closest.map_or(String::new(), |(_, other)| format!(", did you mean \"{other}\"?"))
}
