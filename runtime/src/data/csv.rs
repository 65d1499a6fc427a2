//! Tables of text: comma, semicolon, tab or spaces between the cells; found out or given.
//!
//! A [`Table`] holds the decoded text and knows that all its rows are equally long. Cells are
//! parsed where they are asked for, so that memory stays near the size of the text.

use std::borrow::Cow;

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::bytes::{Input, Limits, is_text};
use super::error::{At, Cell, DataError, Result, counted};
use super::spec::Encoding;

/// What stands between two cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    Byte(u8),
    /// Any run of spaces and tabs.
    Spaces,
}

/// How a table is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialect {
    pub header: bool,
    /// Lines before the header or the first row.
    pub skip: usize,
    pub separator: Option<char>,
    /// Cells that mean "missing", besides the empty one.
    pub missing: Vec<String>,
    pub decimal: char,
    /// Spaces stand between words of a cell, and separate no cells unless that is said.
    pub texts: bool,
}

/// A table whose rows have equally many cells.
#[derive(Debug)]
pub struct Table {
    pub name: String,
    pub dialect: Dialect,
    pub separator: Separator,
    /// Empty without a header.
    pub header: Vec<String>,
    pub columns: usize,
    pub rows: usize,
    text: Vec<u8>,
    /// Where the rows begin, and the number of the line there, from 1.
    body: (usize, usize),
}

impl Table {
    pub fn read(mut input: Input<'_>, (dialect, encoding): (Dialect, Encoding), limits: Limits) -> Result<Table> {
        let text = input.read_text(limits).map_err(is_no_table)?;
        let text = match encoding {
            Encoding::Utf8 => text,
            Encoding::Latin1 => text.into_iter().map(char::from).collect::<String>().into_bytes(),
        };
        Table::from_text(input.name, text, dialect)
    }

    pub fn from_text(name: String, text: Vec<u8>, dialect: Dialect) -> Result<Table> {
        let format = |message: &str| DataError::new("E0502", message).file(&name);
        is_text(&name, &text).map_err(is_no_table)?;
        let mut body = (if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }, 1);
        for _ in 0..dialect.skip {
            let rest = text.get(body.0..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                body.0 = text.len();
                break;
            };
            body = (body.0 + end + 1, body.1 + 1);
        }
        let separator = match separator::of(&dialect, text.get(body.0..).unwrap_or_default()) {
            Ok(separator) => separator,
            Err(message) => return Err(format(&message)),
        };
        let header = Vec::new();
        let mut table = Table { name, dialect, separator, header, columns: 0, rows: 0, text, body };
        table.take_header()?;
        table.measure()?;
        Ok(table)
    }

    fn take_header(&mut self) -> Result<()> {
        if !self.dialect.header {
            return Ok(());
        }
        let mut rows = self.rows();
        if let Some(row) = rows.next()? {
            let header: Vec<String> = row.iter().map(|cell| text_of(cell).into_owned()).collect();
            let body = rows.place();
            self.header = header;
            self.body = body;
        }
        Ok(())
    }

    /// Counts the rows, all of which have as many cells as the header or the first.
    fn measure(&mut self) -> Result<()> {
        let mut rows = self.rows();
        let (mut count, mut columns) = (0, self.header.len());
        let (mut next, mut last) = (rows.place().0, self.body.0);
        while let Some(row) = rows.next()? {
            let cells = row.len();
            if columns == 0 {
                columns = cells;
            }
            if cells != columns {
                return Err(self.odd_row(count, cells, columns));
            }
            count += 1;
            last = std::mem::replace(&mut next, rows.place().0);
        }
        // The rows after an open quote are part of its cell: nothing else would tell that they are gone.
        let end = self.text.get(last..).unwrap_or_default().trim_ascii();
        let open = end.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        if count > 0 && open && end.contains(&b'\n') && self.separator != Separator::Spaces {
            let message = format!("a quote in row {count} is never closed");
            let error = DataError::new("E0502", message).file(&self.name).at(self.place(count - 1, 0));
            return Err(error.help("write `\"` at the end of that cell; a quote inside a cell is written twice"));
        }
        if count == 0 {
            return Err(self.no_rows());
        }
        (self.rows, self.columns) = (count, columns);
        Ok(())
    }

    fn no_rows(&self) -> Box<DataError> {
        let error = DataError::new("E0502", format!("`{}` has no rows", self.name)).file(&self.name);
        let lines = self.text.iter().filter(|byte| **byte == b'\n').count() + usize::from(!self.text.ends_with(b"\n"));
        match (self.text.trim_ascii().is_empty(), self.dialect.skip, self.header.is_empty()) {
            (true, ..) => error.help("it is empty: look at what writes it"),
            (_, 1.., _) => error.help(format!("it has {}, and `skip` passes over them", counted(lines, "line"))),
            (_, _, false) => {
                error.help("its only line is taken for the header: where it is data, say `header = false`")
            }
            _ => error,
        }
    }

    fn odd_row(&self, row: usize, cells: usize, columns: usize) -> Box<DataError> {
        let above = match (row, self.header.is_empty()) {
            (0, _) => "the header has",
            (1, true) => "the row above has",
            _ => "the rows above have",
        };
        let message = format!("row {} has {}, but {above} {columns}", row + 1, counted(cells, "column"));
        let error =
            DataError::new("E0508", message).file(&self.name).at(self.place(row, cells.min(columns).saturating_sub(1)));
        match row {
            1 if self.header.is_empty() && !self.dialect.texts => error.help("where the first line is not data, pass over it: `skip = 1`"),
            _ if self.dialect.texts => error.help(
                "a text that holds commas stands in quotes; a file with one text a line is read by `lines(\"texts.txt\")`",
            ),
            0 => error.help("say what stands between the cells: `separator = \";\"`"),
            _ => error,
        }
    }

    pub fn rows(&self) -> Rows<'_> {
        let bytes = self.text.get(self.body.0..).unwrap_or_default();
        Rows::new(bytes, self.separator, self.body)
    }

    /// Where a cell stands (both from 0); parses the table again up to there.
    pub fn place(&self, row: usize, column: usize) -> At {
        let mut rows = self.rows();
        for _ in 0..row {
            if !matches!(rows.next(), Ok(Some(_))) {
                return At::Unknown;
            }
        }
        let (mut start, mut line) = rows.place();
        while let Some(byte @ (b'\n' | b'\r')) = self.text.get(start) {
            line += usize::from(*byte == b'\n');
            start += 1;
        }
        let rest = self.text.get(start..).unwrap_or_default();
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let text = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        At::Cell(clipped(text, cell_span(text, self.separator, column), line, column + 1))
    }

    /// The number of a column by its name in the header.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|title| title == name)
    }

    pub fn is_missing(&self, cell: &[u8]) -> bool {
        cell.is_empty() || self.dialect.missing.iter().any(|word| word.as_bytes() == cell)
    }

    /// A finite number, or nothing.
    pub fn number(&self, cell: &[u8]) -> Option<f32> {
        number(cell, self.dialect.decimal)
    }
}

fn is_no_table(error: Box<DataError>) -> Box<DataError> {
    error.help("`csv(...)` reads text; arrays are read with `npy(...)` or `npz(...)`")
}

/// A finite decimal number; `inf` and `nan` are words.
pub fn number(cell: &[u8], decimal: char) -> Option<f32> {
    let text = std::str::from_utf8(cell).ok()?;
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE,".contains(&b));
    if !plain || !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: f32 = match decimal {
        '.' => text.parse().ok()?,
        _ if text.contains('.') => return None,
        _ => text.replace(decimal, ".").parse().ok()?,
    };
    value.is_finite().then_some(value)
}

/// A cell as text; bytes that are not UTF-8 become replacement characters.
pub fn text_of(cell: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(cell)
}

/// The rows of a table, one at a time.
pub struct Rows<'a> {
    bytes: &'a [u8],
    separator: Separator,
    start: (usize, usize),
    /// Of spaces: offset of the next line and its number.
    next: (usize, usize),
    reader: csv::Reader<&'a [u8]>,
    record: ByteRecord,
}

impl<'a> Rows<'a> {
    fn new(bytes: &'a [u8], separator: Separator, start: (usize, usize)) -> Rows<'a> {
        let delimiter = match separator {
            Separator::Byte(byte) => byte,
            Separator::Spaces => b' ',
        };
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(bytes);
        Rows { bytes, separator, start, next: (0, 0), reader, record: ByteRecord::new() }
    }

    /// The next row that is not blank.
    #[allow(clippy::should_implement_trait)] // lends the record
    pub fn next(&mut self) -> Result<Option<&ByteRecord>> {
        let found = match self.separator {
            Separator::Byte(_) => loop {
                match self.reader.read_byte_record(&mut self.record) {
                    Ok(true) if self.record.len() == 1 && self.record[0].is_empty() => {}
                    Ok(found) => break found,
                    Err(error) => {
                        let message = format!("the table cannot be read: {error}");
                        return Err(DataError::new("E0502", message));
                    }
                }
            },
            Separator::Spaces => self.next_spaced(),
        };
        Ok(found.then_some(&self.record))
    }

    fn next_spaced(&mut self) -> bool {
        while self.next.0 < self.bytes.len() {
            let rest = self.bytes.get(self.next.0..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            self.next = (self.next.0 + end + 1, self.next.1 + 1);
            self.record.clear();
            let line = rest.get(..end).unwrap_or_default();
            for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                self.record.push_field(word);
            }
            if !self.record.is_empty() {
                return true;
            }
        }
        false
    }

    /// Offset in the text and line number of what follows the last row.
    fn place(&self) -> (usize, usize) {
        let (offset, lines) = match self.separator {
            Separator::Spaces => (self.next.0.min(self.bytes.len()), self.next.1),
            Separator::Byte(_) => {
                let position = self.reader.position();
                (position.byte() as usize, position.line() as usize - 1)
            }
        };
        (self.start.0 + offset, self.start.1 + lines)
    }
}

/// Bytes of cell number `column` in a line, without the spaces around it.
fn cell_span(line: &[u8], separator: Separator, column: usize) -> (usize, usize) {
    let (mut at, mut start, mut quoted) = (0, 0, false);
    let mut cell = (line.len(), line.len());
    let mut inside = false;
    for (i, byte) in line.iter().chain(std::iter::once(&b'\n')).enumerate() {
        let ends = match separator {
            _ if i == line.len() => true,
            Separator::Byte(separator) => {
                quoted ^= *byte == b'"';
                *byte == separator && !quoted
            }
            Separator::Spaces => {
                let space = byte.is_ascii_whitespace();
                if !inside && !space {
                    (start, inside) = (i, true);
                }
                inside && space
            }
        };
        if ends {
            if at == column {
                cell = (start, i);
                break;
            }
            (at, start, inside) = (at + 1, i + 1, false);
        }
    }
    let (mut from, mut to) = cell;
    while from < to && line[from].is_ascii_whitespace() {
        from += 1;
    }
    while to > from && line[to - 1].is_ascii_whitespace() {
        to -= 1;
    }
    (from, to)
}

/// At most this many bytes of a line are shown before and after a cell.
const SHOWN: usize = 80;

/// A place in a line, and what stands around it.
pub fn clipped(line: &[u8], span: (usize, usize), row: usize, column: usize) -> Cell {
    let from = span.0.saturating_sub(SHOWN);
    let cell_end = span.1.min(span.0 + SHOWN);
    let to = (cell_end + SHOWN).min(line.len());
    let part = |from: usize, to: usize| {
        String::from_utf8_lossy(line.get(from..to).unwrap_or_default()).replace(|c: char| c.is_control(), " ")
    };
    let before = part(from, span.0);
    let cell = part(span.0, cell_end);
    let left = if from > 0 { "..." } else { "" };
    let right = if to < line.len() { "..." } else { "" };
    let start = left.len() + before.len();
    let end = start + cell.len();
    let text = format!("{left}{before}{cell}{}{right}", part(cell_end, to));
    Cell { line: row, column, text, span: (start, end) }
}

mod separator;
#[cfg(test)]
mod tests;
