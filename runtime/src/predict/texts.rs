//! New examples that are texts: one a line, and where several are read of each, with tabs between them.

use crate::data::bytes::{Input, Limits};
use crate::data::error::{DataError, Result, counted, grouped};
use crate::data::fields::{self, Field};
use crate::data::preprocessing::{Prepared, Preprocessing};
use crate::data::raw::{Raw, RawField, Values, WordsBuilder};
use crate::data::spec::{Encoding, FieldSpec, Selector};
use crate::data::text::{decode, lines, ragged};

/// Whether a file is lines of text to these fields, and no table.
pub fn are_lines(preprocessing: &Preprocessing, prepared: &[&Prepared]) -> bool {
    preprocessing.table.is_none() && prepared.iter().any(|field| field.text.is_some())
}

/// Each line is an example.
pub fn from_lines(prepared: &[&Prepared], mut input: Input<'_>, limits: Limits) -> Result<Raw> {
    let name = input.name.clone();
    let text = decode(&name, input.read_all(limits)?, Encoding::Utf8).map_err(|mut error| {
        // No program is at hand that could name the encoding.
        if error.message.ends_with("is not UTF-8") {
            error.help = Some("save the file as UTF-8, such as by `iconv -f latin1 -t utf-8 FILE`".into());
        }
        error
    })?;
    let is_object = prepared.iter().any(|field| matches!(field.from, Selector::Column(_)));
    if is_object && text.trim_start().starts_with('{') {
        return lines::objects(&prepared.iter().map(as_read).collect::<Vec<_>>(), &name, &text);
    }
    if prepared.iter().any(|field| field.from == Selector::Named("files".into())) {
        return one_document(prepared, name, &text);
    }
    // The two fields of `next_token` are one text.
    let mut sources: Vec<&Selector> = Vec::new();
    for field in prepared {
        if !sources.contains(&&field.from) {
            sources.push(&field.from);
        }
    }
    let mut builders: Vec<WordsBuilder> = sources.iter().map(|_| WordsBuilder::default()).collect();
    let mut count = 0;
    for line in lines::split(&text).filter(|_| !text.is_empty()) {
        let cells: Vec<&str> = if sources.len() > 1 { line.split('\t').collect() } else { vec![line] };
        if cells.len() != sources.len() {
            let message = format!(
                "line {} of `{name}` has {}, and the model reads {} texts of each",
                grouped(count + 1),
                counted(cells.len(), "text"),
                sources.len()
            );
            let fields: Vec<&str> = prepared.iter().map(|field| field.name.as_str()).collect();
            return Err(DataError::new("E0902", message)
                .file(&name)
                .help(format!("put tabs between them, in this order: {}", fields.join(", "))));
        }
        builders.iter_mut().zip(cells).for_each(|(into, cell)| into.push(Some(cell.as_bytes())));
        count += 1;
    }
    if count == 0 {
        return Err(DataError::new("E0502", format!("`{name}` holds no text"))
            .file(&name)
            .help("write one example a line"));
    }
    let columns: Vec<_> = builders.into_iter().map(WordsBuilder::finish).collect();
    let of = |field: &&Prepared| {
        let at = sources.iter().position(|from| **from == field.from).unwrap_or(0);
        RawField { shape: vec![], values: Values::Words(columns[at].clone()), columns: vec![] }
    };
    let fields = prepared.iter().map(of).collect();
    Ok(Raw { count, fields, official: None, files: None, groups: None, table: None, name, notes: vec![] })
}

/// Where each file was an example, a file is one again, however many lines it has.
fn one_document(prepared: &[&Prepared], name: String, text: &str) -> Result<Raw> {
    let lines = lines::split(text).count();
    let notes = match lines {
        0 | 1 => vec![],
        _ => vec![format!("note: the {} of `{name}` are one text, as files are in training", counted(lines, "line"))],
    };
    let words = |_: &&Prepared| {
        let mut words = WordsBuilder::default();
        words.push(Some(text.as_bytes()));
        RawField { shape: vec![], values: Values::Words(words.finish()), columns: vec![] }
    };
    let fields = prepared.iter().map(words).collect();
    Ok(Raw { count: 1, fields, official: None, files: None, groups: None, table: None, name, notes })
}

/// What a field reads of an object, as in training.
fn as_read(field: &&Prepared) -> FieldSpec {
    let (name, from) = (field.name.clone(), field.from.clone());
    let dim = field.dim.clone().or_else(|| field.one_hot.clone());
    FieldSpec { name, place: (0, 0), dim, shape: vec![], from, steps: vec![] }
}

/// A field as it was prepared in training, of all rows that were read; and how many examples that makes.
pub fn store(raw: &mut Raw, at: usize, field: &Prepared) -> Result<(Field, usize)> {
    if field.text.is_some() {
        let (made, notes) = ragged::store(raw, at, field.clone())?;
        raw.notes.extend(notes);
        return Ok((made, raw.count));
    }
    let Some(window) = field.window else { return Ok((fields::store(raw, at, field.clone())?, raw.count)) };
    let needed = window.after + window.length;
    let Some(more) = raw.count.checked_sub(needed) else {
        let message =
            format!("`{}` has {}, and `{}` needs {}", raw.name, counted(raw.count, "row"), field.name, grouped(needed));
        return Err(DataError::new("E0902", message)
            .file(&raw.name)
            .help("give more rows; each window of them is an example"));
    };
    let mut row = Prepared { window: None, ..field.clone() };
    let axis = row.axes.remove(0);
    Ok((fields::store(raw, at, row)?.into_windows(window, axis)?, more + 1))
}
