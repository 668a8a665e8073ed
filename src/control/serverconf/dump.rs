//! Reading what `pg_dump` writes as plain SQL: the rows of the tables that are of interest.

use std::collections::HashMap;

use thiserror::Error;

/// The tables that are read.
const TABLES: [&str; 11] = [
    "serverconf",
    "identifier",
    "client",
    "servicedescription",
    "service",
    "endpoint",
    "accessright",
    "localgroup",
    "groupmember",
    "certificate",
    "tsp",
];

/// Why a text is no dump.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DumpError {
    /// The data of a table cannot be read (line, from 1; what is wrong).
    #[error("line {0}: {1}")]
    Line(usize, String),
    /// It has nothing of a serverconf database.
    #[error(
        "this is no dump of a serverconf database as plain SQL: make one with `pg_dump --data-only serverconf`, \
         or with --column-inserts"
    )]
    NoData,
}

/// A row: columns by name, as text; `None` is NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row(HashMap<String, Option<String>>);

impl Row {
    /// A column's text; `None` for NULL and for a column that is not there.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.0.get(column)?.as_deref()
    }

    /// A column's number.
    pub fn number(&self, column: &str) -> Option<i64> {
        self.text(column)?.parse().ok()
    }

    /// A column's truth value.
    pub fn truth(&self, column: &str) -> Option<bool> {
        match self.text(column)? {
            "t" | "true" | "TRUE" => Some(true),
            "f" | "false" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// A column's bytes, written `\x` and hexadecimal digits.
    pub fn bytes(&self, column: &str) -> Option<Vec<u8>> {
        let digits = self.text(column)?.strip_prefix("\\x")?.as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
    }
}

/// The rows of a dump.
#[derive(Debug, Clone, Default)]
pub struct Dump {
    tables: HashMap<String, Vec<Row>>,
}

impl Dump {
    /// Reads a dump. Tables of other schemas and names are passed over.
    pub fn parse(text: &str) -> Result<Self, DumpError> {
        let mut dump = Self::default();
        let mut lines = text.split('\n').enumerate();
        while let Some((at, line)) = lines.next() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if let Some(head) = line.strip_prefix("COPY ") {
                let (table, columns) =
                    copy_head(head).ok_or_else(|| wrong(at, "this COPY cannot be read"))?;
                dump.copy(&table, &columns, &mut lines)?;
            } else if let Some(head) = line.strip_prefix("INSERT INTO ") {
                // Values may hold line breaks.
                let mut statement = head.to_owned();
                while !is_complete(&statement) {
                    let (_, more) = lines.next().ok_or_else(|| wrong(at, "this INSERT does not end"))?;
                    statement.push('\n');
                    statement.push_str(more);
                }
                dump.insert(&statement).map_err(|reason| DumpError::Line(at + 1, reason))?;
            }
        }
        if dump.rows("client").is_empty() && dump.rows("serverconf").is_empty() {
            return Err(DumpError::NoData);
        }
        Ok(dump)
    }

    /// The rows of a table.
    pub fn rows(&self, table: &str) -> &[Row] {
        self.tables.get(table).map_or(&[], Vec::as_slice)
    }

    /// The rows of a table by their `id`.
    pub fn by_id(&self, table: &str) -> HashMap<i64, &Row> {
        self.rows(table).iter().filter_map(|row| Some((row.number("id")?, row))).collect()
    }

    fn copy<'t>(
        &mut self,
        table: &str,
        columns: &[String],
        lines: &mut impl Iterator<Item = (usize, &'t str)>,
    ) -> Result<(), DumpError> {
        for (at, line) in lines {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line == "\\." {
                return Ok(());
            }
            if !TABLES.contains(&table) {
                continue;
            }
            let values: Vec<&str> = line.split('\t').collect();
            if values.len() != columns.len() {
                let text = format!("{} values for the {} columns of {table}", values.len(), columns.len());
                return Err(DumpError::Line(at + 1, text));
            }
            let values = values.into_iter().map(unescape);
            let row = columns.iter().cloned().zip(values).collect();
            self.tables.entry(table.to_owned()).or_default().push(Row(row));
        }
        Err(DumpError::NoData)
    }

    fn insert(&mut self, statement: &str) -> Result<(), String> {
        let (table, rest) = statement.split_once(' ').ok_or("this INSERT cannot be read")?;
        let table = bare(table);
        if !TABLES.contains(&table.as_str()) {
            return Ok(());
        }
        let listed = rest.strip_prefix('(').and_then(|rest| rest.split_once(") VALUES ("));
        let (columns, values) = listed.ok_or("INSERT without column names: dump with --column-inserts")?;
        let columns: Vec<String> = columns.split(',').map(|column| bare(column.trim())).collect();
        let values = literals(values).ok_or("the values of this INSERT cannot be read")?;
        if values.len() != columns.len() {
            return Err(format!("{} values for the {} columns of {table}", values.len(), columns.len()));
        }
        let row = columns.into_iter().zip(values).collect();
        self.tables.entry(table).or_default().push(Row(row));
        Ok(())
    }
}

fn wrong(at: usize, reason: &str) -> DumpError {
    DumpError::Line(at + 1, reason.to_owned())
}

// `serverconf.client (id, conf_id) FROM stdin;`
fn copy_head(head: &str) -> Option<(String, Vec<String>)> {
    let (table, rest) = head.split_once(" (")?;
    let (columns, _) = rest.split_once(") FROM stdin")?;
    Some((bare(table), columns.split(',').map(|column| bare(column.trim())).collect()))
}

// A name without schema and quotes.
fn bare(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).trim_matches('"').to_owned()
}

// A value of COPY's text format.
fn unescape(value: &str) -> Option<String> {
    if value == "\\N" {
        return None;
    }
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('v') => out.push('\u{b}'),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    Some(out)
}

// Whether a statement ends here: after `);`, outside of a text.
fn is_complete(statement: &str) -> bool {
    statement.trim_end().ends_with(");") && statement.matches('\'').count().is_multiple_of(2)
}

// `1, 'it''s', NULL, true);`
fn literals(mut rest: &str) -> Option<Vec<Option<String>>> {
    let mut values = Vec::new();
    loop {
        rest = rest.trim_start();
        let quoted = rest.strip_prefix("E'").map(|rest| (rest, true));
        let quoted = quoted.or_else(|| rest.strip_prefix('\'').map(|rest| (rest, false)));
        if let Some((text, escaped)) = quoted {
            let mut value = String::new();
            let mut left = text;
            loop {
                let (part, after) = left.split_once('\'')?;
                value.push_str(part);
                match after.strip_prefix('\'') {
                    Some(after) => {
                        value.push('\'');
                        left = after;
                    }
                    None => {
                        left = after;
                        break;
                    }
                }
            }
            values.push(if escaped { unescape(&value) } else { Some(value) });
            rest = left;
        } else {
            let end = rest.find([',', ')'])?;
            let word = rest.get(..end)?.trim();
            values.push((!word.eq_ignore_ascii_case("NULL")).then(|| word.to_owned()));
            rest = rest.get(end..)?;
        }
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return rest.starts_with(')').then_some(values),
        }
    }
}
