//! Character data, attribute values, references, comments, processing instructions, the XML declaration.

use super::*;

impl<'a> Reader<'a> {
    /// Character data up to the next markup.
    pub(super) fn text(&mut self) -> Parsed<Event<'a, 'a>> {
        let start = self.at;
        let mut value = Pieces::new(start);
        loop {
            self.skip_plain(class::SPECIAL);
            match self.peek(0) {
                None | Some(b'<') => break,
                Some(b'&') => self.reference(&mut value)?,
                Some(b'\r') => self.line_end(&mut value, '\n'),
                Some(b'>') => {
                    // Both brackets must be of this run: what precedes it is markup, which ends with another byte.
                    let before = self.input.as_bytes().get(start..self.at).unwrap_or_default();
                    if before.ends_with(b"]]") {
                        return self.fail("]]> in character data");
                    }
                    self.at += 1;
                }
                Some(_) => self.allowed_char()?,
            }
        }
        if self.at == self.input.len() {
            return self.fail("the document ends too early");
        }
        Ok(Event::Text { text: value.finish(self.input, self.at), range: start..self.at })
    }

    /// A quoted value with the normalisation of XML 1.0 section 3.3.3 for CDATA attributes.
    pub(super) fn attribute_value(&mut self) -> Parsed<Cow<'a, str>> {
        let quote = match self.peek(0) {
            Some(quote @ (b'"' | b'\'')) => quote,
            _ => return self.fail("a quoted value expected"),
        };
        self.at += 1;
        let mut value = Pieces::new(self.at);
        loop {
            self.skip_plain(class::SPECIAL_IN_VALUE);
            match self.peek(0) {
                None => return self.fail("a value without end"),
                Some(byte) if byte == quote => break,
                Some(b'<') => return self.fail("< in an attribute value"),
                Some(b'&') => self.reference(&mut value)?,
                Some(b'\r') => self.line_end(&mut value, ' '),
                Some(b'\t' | b'\n') => {
                    value.replace(self.input, self.at..self.at + 1, ' ');
                    self.at += 1;
                }
                Some(b'"' | b'\'') => self.at += 1,
                Some(_) => self.allowed_char()?,
            }
        }
        let value = value.finish(self.input, self.at);
        self.at += 1;
        Ok(value)
    }

    /// `<!…`: comment or CDATA section; a document type is refused.
    pub(super) fn markup(&mut self) -> Parsed<Event<'a, 'a>> {
        let start = self.at;
        if self.rest().starts_with("<!--") {
            let text = self.delimited(4, "--", "a comment without end")?;
            self.expect(">", "-- in a comment")?;
            return Ok(Event::Comment { text, range: start..self.at });
        }
        if self.rest().starts_with("<![CDATA[") && self.place == Place::Content {
            let text = self.delimited(9, "]]>", "a CDATA section without end")?;
            return Ok(Event::CData { text, range: start..self.at });
        }
        if self.rest().starts_with("<!DOCTYPE") {
            return Err(XmlError::Doctype { at: start });
        }
        self.fail("unknown markup")
    }

    /// `<?target data?>`.
    pub(super) fn processing_instruction(&mut self) -> Parsed<Event<'a, 'a>> {
        let start = self.at;
        self.at += 2;
        let target = self.name()?;
        if target.eq_ignore_ascii_case("xml") {
            self.at = start;
            return self.fail("an XML declaration that is not first");
        }
        if self.skip_space() == 0 && !self.rest().starts_with("?>") {
            return self.fail("white space expected after the target");
        }
        let data = self.delimited(0, "?>", "a processing instruction without end")?;
        Ok(Event::Pi { target, data, range: start..self.at })
    }

    /// `<?xml version="1.0" encoding="…" standalone="…"?>`.
    pub(super) fn declaration(&mut self) -> Parsed<Event<'a, 'a>> {
        let start = self.at;
        self.at += 5;
        if self.pseudo_attribute("version")? != Some("1.0") {
            return self.fail("XML version 1.0 expected");
        }
        let encoding = self.pseudo_attribute("encoding")?;
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        if encoding.is_some_and(|name| !is_name(name)) {
            return self.fail("a malformed encoding name");
        }
        let standalone = match self.pseudo_attribute("standalone")? {
            None => None,
            Some("yes") => Some(true),
            Some("no") => Some(false),
            Some(_) => return self.fail("standalone is yes or no"),
        };
        self.skip_space();
        self.expect("?>", "an XML declaration without end")?;
        Ok(Event::Declaration(Declaration { encoding, standalone, range: start..self.at }))
    }

    fn pseudo_attribute(&mut self, name: &str) -> Parsed<Option<&'a str>> {
        let from = self.at;
        if self.skip_space() == 0 || !self.rest().starts_with(name) {
            self.at = from;
            return Ok(None);
        }
        self.at += name.len();
        self.skip_space();
        self.expect("=", "= expected in the XML declaration")?;
        self.skip_space();
        match self.attribute_value()? {
            Cow::Borrowed(value) => Ok(Some(value)),
            Cow::Owned(_) => self.fail("a reference in the XML declaration"),
        }
    }

    // Skips `opening` bytes and returns what stands before `end`, which is skipped as well.
    fn delimited(&mut self, opening: usize, end: &str, what: &'static str) -> Parsed<Cow<'a, str>> {
        let from = self.at + opening;
        let rest = self.input.get(from..).unwrap_or_default();
        let Some(length) = memchr::memmem::find(rest.as_bytes(), end.as_bytes()) else {
            return self.fail(what);
        };
        let text = rest.get(..length).unwrap_or_default();
        if let Some(at) = chars::forbidden_at(text) {
            self.at = from + at;
            return self.fail("a forbidden character");
        }
        self.at = from + length + end.len();
        Ok(normalise_line_ends(text))
    }

    fn skip_plain(&mut self, special: u8) {
        let rest = self.input.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| is(*byte, special)).unwrap_or(rest.len());
    }

    // At a byte that only looked special.
    fn allowed_char(&mut self) -> Parsed<()> {
        let bytes = self.input.as_bytes();
        if self.peek(0) != Some(0xEF) || chars::is_noncharacter(bytes, self.at) {
            return self.fail("a forbidden character");
        }
        self.at += 1;
        Ok(())
    }

    fn line_end(&mut self, value: &mut Pieces, with: char) {
        let length = if self.peek(1) == Some(b'\n') { 2 } else { 1 };
        value.replace(self.input, self.at..self.at + length, with);
        self.at += length;
    }

    // One of the five predefined entities or a character reference; there are no others without document type.
    fn reference(&mut self, value: &mut Pieces) -> Parsed<()> {
        let start = self.at;
        let head = self.input.as_bytes().get(start + 1..).unwrap_or_default();
        let Some(length) = head.iter().take(REFERENCE_BYTES_MAX).position(|byte| *byte == b';') else {
            return self.fail("& that starts no reference");
        };
        let name = self.input.get(start + 1..start + 1 + length).unwrap_or_default();
        let number = |digits: &str, radix| {
            let digits_only = digits.bytes().all(|b| char::from(b).is_digit(radix));
            digits_only.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
        };
        let c = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match name.strip_prefix('#') {
                Some(code) => match code.strip_prefix('x') {
                    Some(hex) => number(hex, 16),
                    None => number(code, 10),
                }
                .and_then(char::from_u32)
                .filter(|c| chars::is_char(*c)),
                None => None,
            },
        };
        let Some(c) = c else { return self.fail("an unknown entity or character reference") };
        self.at = start + length + 2;
        value.replace(self.input, start..self.at, c);
        Ok(())
    }
}

// Leading zeros are allowed in references, but nobody needs many.
const REFERENCE_BYTES_MAX: usize = 24;

/// A value that is borrowed from the input as long as nothing in it had to be replaced.
struct Pieces {
    from: usize,
    owned: Option<String>,
}

impl Pieces {
    fn new(from: usize) -> Self {
        Self { from, owned: None }
    }

    fn replace(&mut self, input: &str, range: Range<usize>, with: char) {
        let owned = self.owned.get_or_insert_default();
        owned.push_str(input.get(self.from..range.start).unwrap_or_default());
        owned.push(with);
        self.from = range.end;
    }

    fn finish(self, input: &str, to: usize) -> Cow<'_, str> {
        let last = input.get(self.from..to).unwrap_or_default();
        match self.owned {
            None => Cow::Borrowed(last),
            Some(mut owned) => {
                owned.push_str(last);
                Cow::Owned(owned)
            }
        }
    }
}

fn normalise_line_ends(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}
