//! A data set of one text: its fields are windows of one sequence.

use std::path::Path;
use std::sync::Arc;

use super::{Dataset, Solved};
use crate::data::bytes::Limits;
use crate::data::error::{DataError, Result, counted, grouped};
use crate::data::fields::{Field, windowed};
use crate::data::preprocessing::{Prepared, Preprocessing};
use crate::data::spec::{DataSpec, DimSpec, Encoding, FieldSpec, Selector, Split};
use crate::data::steps::{Axis, Chain};
use crate::data::text;
use crate::data::text::tokens::{Counts, Keep, Text, UNKNOWN, Vocabulary};

/// Reads the text; its symbols are those of `known`, where a model was trained, or found in it.
pub fn load(
    spec: &DataSpec,
    known: Option<&Preprocessing>,
    (root, path, encoding): (&Path, &str, Encoding),
    limits: Limits,
) -> Result<Dataset> {
    let whole = text::read(root, path, encoding, limits).map_err(|error| error.field(spec.source_place))?;
    let (mut fields, mut solved) = (Vec::new(), Vec::new());
    let mut sequence = None;
    let (mut window, mut notes) = (1, Vec::new());
    for field in &spec.fields {
        let (Selector::Characters { length, ahead }, Some(_)) = (&field.from, &field.dim) else {
            let message = format!("`{}` is not made of characters, and `{path}` has nothing else", field.name);
            return Err(DataError::new("E0502", message).file(path).field(field.place));
        };
        window = (*length).max(1);
        let (text, keep) = Text::of(&field.steps).unzip();
        let dim = match known.and_then(|known| known.field(&field.name)).and_then(|field| field.dim.clone()) {
            Some(dim) => dim,
            None => symbols((&whole, path), spec, field, (text.as_ref(), keep))?,
        };
        if field.dim.as_ref().is_some_and(|dim| dim.size.is_none()) {
            solved = vec![Solved { dim: dim.name.clone(), size: dim.names.len(), names: dim.names.clone() }];
        }
        let indices = match &sequence {
            Some(done) => Arc::clone(done),
            None => Arc::new(
                encoded((&whole, path), text.as_ref(), &dim, &mut notes).map_err(|error| error.field(field.place))?,
            ),
        };
        sequence = Some(indices.clone());
        let axes = field.shape.iter().map(|axis| Axis { name: axis.name.clone(), size: window }).collect();
        let prepared = Prepared {
            name: field.name.clone(),
            axes,
            dim: Some(dim),
            one_hot: None,
            from: field.from.clone(),
            chain: Chain::default(),
            fill: None,
            text,
            window: None,
            picture: Vec::new(),
        };
        fields.push(windowed(prepared, indices, *ahead));
    }
    let text = fields.first().and_then(|field: &Field| field.prepared.text.as_ref());
    let symbols = (sequence.map_or(0, |sequence| sequence.len()), text.map_or("character", Text::noun));
    let text::Windows { parts, shift } =
        text::windows(&spec.split, symbols, window).map_err(|error| error.file(path).field(spec.split_place))?;
    let count = parts.train.len() + parts.val.len() + parts.test.len();
    let (name, ragged, placings) = (spec.name.clone(), vec![], vec![]);
    Ok(Dataset { name, count, fields, parts, shift, ragged, notes, placings, missing: vec![], table: None, solved })
}

/// The whole text as indices; characters must be known, and other symbols where the dim has none for the unknown.
fn encoded(
    (whole, path): (&str, &str),
    text: Option<&Text>,
    dim: &DimSpec,
    notes: &mut Vec<String>,
) -> Result<Vec<u32>> {
    let Some(text) = text else {
        return text::indices(whole, path, dim);
    };
    let known = Vocabulary::new(dim);
    let (indices, unknown) = known.symbols(text, whole, usize::MAX);
    let all = counted(indices.len(), text.noun());
    match (unknown, known.unknown()) {
        (0, _) => {}
        (_, Some(_)) => {
            let message = format!("{} of {all} are not in `{}`, and are read as unknown", grouped(unknown), dim.name);
            notes.push(format!("note: {message}"));
        }
        (_, None) => {
            let message = format!("{} of `{path}` are not in `{}`", counted(unknown, text.noun()), dim.name);
            return Err(DataError::new("E0507", message)
                .file(path)
                .help(format!("let the text decide: `dim {}`", dim.name)));
        }
    }
    Ok(indices)
}

/// The dim of a field with the names of its symbols: declared, or those of the text; words those of its training part.
fn symbols(
    (whole, path): (&str, &str),
    spec: &DataSpec,
    field: &FieldSpec,
    (text, keep): (Option<&Text>, Option<Keep>),
) -> Result<DimSpec> {
    let Some(dim) = &field.dim else {
        return Err(DataError::new("E0511", format!("`{}` has no dim for its symbols", field.name)).field(field.place));
    };
    if !dim.names.is_empty() {
        return Ok(dim.clone());
    }
    let names = match (text, keep) {
        (Some(text), Some(keep)) => {
            let share = match &spec.split {
                Split::InOrder { train, .. } => *train,
                _ => 1.0,
            };
            let mut all = 0;
            text.each(whole, usize::MAX, &mut |_| all += 1);
            let mut counts = Counts::default();
            text.each(whole, (all as f64 * share).round() as usize, &mut |symbol| counts.add(symbol));
            counts.names(text, keep, &[UNKNOWN])
        }
        _ => text::vocabulary(whole),
    };
    match dim.size {
        Some(size) if size != names.len() => {
            let message =
                format!("`{}` has {} symbols, and `{path}` has {}", dim.name, grouped(size), grouped(names.len()));
            Err(DataError::new("E0511", message)
                .file(path)
                .field(field.place)
                .help(format!("let the text decide: `dim {}`", dim.name)))
        }
        _ => Ok(DimSpec { size: Some(names.len()), names, ..dim.clone() }),
    }
}
