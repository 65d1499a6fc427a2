//! What can be wrong with data, said so that it can be found and put right.
//!
//! Everything that reads a file answers with a [`DataError`] and never panics; rendering is the caller's business.

use std::fmt;

use super::spec::Place;

/// Boxed, since an error is much larger than what it replaces.
pub type Result<T> = std::result::Result<T, Box<DataError>>;

/// One mistake in a data file, a model file or in what the program says about them.
#[derive(Clone, Debug, PartialEq)]
pub struct DataError {
    /// Of the catalogue, such as `E0506`.
    pub code: &'static str,
    /// Stands alone; lower case, no full stop.
    pub message: String,
    /// As the program names it.
    pub file: Option<String>,
    pub at: At,
    /// Where the program asks for it.
    pub field: Option<Place>,
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Where in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum At {
    Unknown,
    /// From the start of the decoded file.
    Byte(u64),
    Cell(Cell),
}

/// One cell of a table of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Line of the file, from 1.
    pub line: usize,
    /// Column of the table, from 1.
    pub column: usize,
    /// The line, or the neighbourhood of the cell in a long one.
    pub text: String,
    /// Bytes of the cell within `text`.
    pub span: (usize, usize),
}

impl DataError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Box<DataError> {
        Box::new(DataError {
            code,
            message: message.into(),
            file: None,
            at: At::Unknown,
            field: None,
            notes: Vec::new(),
            help: None,
        })
    }

    pub fn file(mut self: Box<Self>, name: impl Into<String>) -> Box<Self> {
        self.file.get_or_insert(name.into());
        self
    }

    pub fn at(mut self: Box<Self>, at: At) -> Box<Self> {
        self.at = at;
        self
    }

    pub fn field(mut self: Box<Self>, place: Place) -> Box<Self> {
        self.field.get_or_insert(place);
        self
    }

    pub fn note(mut self: Box<Self>, note: impl Into<String>) -> Box<Self> {
        self.notes.push(note.into());
        self
    }

    pub fn help(mut self: Box<Self>, help: impl Into<String>) -> Box<Self> {
        self.help.get_or_insert(help.into());
        self
    }
}

/// Plain text without the program's own line, for logs and tests.
impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        if let Some(file) = &self.file {
            write!(f, "\n  --> {file}")?;
            match &self.at {
                At::Unknown => {}
                At::Byte(byte) => write!(f, ", byte {byte}")?,
                At::Cell(cell) => write!(f, ":{}:{}\n{cell}", cell.line, cell.span.0 + 1)?,
            }
        }
        for note in &self.notes {
            write!(f, "\n   = note: {note}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n   = help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = self.span;
        let before = self.text.get(..start).map_or(0, |t| t.chars().count());
        let width = self.text.get(start..end).map_or(1, |t| t.chars().count().max(1));
        writeln!(f, "   | {}", self.text)?;
        write!(f, "   | {}{} column {}", " ".repeat(before), "^".repeat(width), self.column)
    }
}

impl std::error::Error for DataError {}

/// What a file holds, for a message: short, and without signs that would steer a terminal.
pub fn quoted(text: &str) -> String {
    text.chars().take(60).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// `54,000`: counts in messages.
pub fn grouped(count: impl ToString) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2 rows`.
pub fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", grouped(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1605), "1,605");
        assert_eq!(grouped(1234567), "1,234,567");
        assert_eq!(counted(1, "row"), "1 row");
    }

    #[test]
    fn the_caret_stands_under_the_cell() {
        let cell = Cell { line: 2, column: 3, text: "1,ä,?".into(), span: (5, 6) };
        let shown = DataError::new("E0506", "`?` is not a number").file("a.csv").at(At::Cell(cell));
        assert_eq!(
            shown.to_string(),
            "error[E0506]: `?` is not a number\n  --> a.csv:2:6\n   | 1,ä,?\n   |     ^ column 3"
        );
    }
}
