//! Mistakes in data files, as diagnostics: the cell with its line, and the field that reads it.

use dlc_compiler::base::{Diagnostic, Failed, SourceId, SourceMap, Span};
use dlc_runtime::data::error::{At, Cell, DataError};
use dlc_runtime::data::spec::Place;

use crate::trouble::{Message, Trouble};

/// The program's own text is the first of a source map.
const PROGRAM: SourceId = SourceId(0);

/// A mistake in the data of a program whose texts are `sources`; these may be empty (a model file, an input).
pub fn trouble(error: &DataError, sources: &SourceMap) -> Trouble {
    let mut sources = sources.clone();
    let field = error.field.filter(|_| sources.iter().next().is_some()).map(in_program);
    let file = error.file.as_deref().unwrap_or("data");
    let diagnostic = match (&error.at, field) {
        (At::Cell(cell), field) => {
            let found = Diagnostic::error(error.code, cell_span(cell, file, &mut sources), &error.message);
            match field {
                Some(span) => found.note_at(span, "read here"),
                None => found,
            }
        }
        (at, Some(span)) => Diagnostic::error(error.code, span, &error.message).here(place(error, at)),
        (at, None) => return Trouble::Data(message(error, at)),
    };
    let diagnostic = error.notes.iter().fold(diagnostic, |d, note| d.note(note));
    let diagnostic = match &error.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    };
    Trouble::Program(Failed { sources, diagnostics: vec![diagnostic] })
}

/// A place that the data's specification names.
pub fn in_program((start, end): Place) -> Span {
    Span { source: PROGRAM, start: start as u32, end: end as u32 }
}

/// Adds the cell's line as a text of its own; empty lines before it make its number right.
fn cell_span(cell: &Cell, file: &str, sources: &mut SourceMap) -> Span {
    let before = "\n".repeat(cell.line.saturating_sub(1));
    let start = before.len();
    let source = sources.add(file, before + &cell.text);
    Span { source, start: (start + cell.span.0) as u32, end: (start + cell.span.1) as u32 }
}

/// `digits.csv, byte 17`
fn place(error: &DataError, at: &At) -> String {
    match (&error.file, at) {
        (Some(file), At::Byte(byte)) => format!("{file}, byte {byte}"),
        (Some(file), _) => file.clone(),
        (None, _) => String::new(),
    }
}

fn message(error: &DataError, at: &At) -> Message {
    let place = place(error, at);
    let text = if place.is_empty() { error.message.clone() } else { format!("{}\n  --> {place}", error.message) };
    Message { code: Some(error.code), text, notes: error.notes.clone(), help: error.help.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_shown_in_its_line() {
        let cell = Cell { line: 3, column: 2, text: "1,?,2".into(), span: (2, 3) };
        let error = DataError::new("E0506", "`?` is not a number").file("a.csv").at(At::Cell(cell));
        let Trouble::Program(failed) = trouble(&error, &SourceMap::default()) else { panic!("a place") };
        let span = failed.diagnostics[0].primary.span;
        assert_eq!(failed.sources.line_column(span.source, span.start), (3, 3));
        assert_eq!(failed.sources.slice(span), "?");
    }

    #[test]
    fn without_a_place_it_is_a_message() {
        let error = DataError::new("E0701", "not a model file").file("a.dlm").at(At::Byte(8));
        let Trouble::Data(message) = trouble(&error, &SourceMap::default()) else { panic!("no place") };
        assert_eq!(message.text, "not a model file\n  --> a.dlm, byte 8");
    }
}
