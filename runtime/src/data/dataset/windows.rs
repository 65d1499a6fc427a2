//! A series: examples are windows of the rows of a table, numbered by their first row.

use std::path::Path;

use super::{Dataset, finished, known, read_raw, solved, stored};
use crate::data::bytes::Limits;
use crate::data::error::{DataError, Result, counted, grouped};
use crate::data::fields::{self, Field};
use crate::data::preprocessing::{Preprocessing, Window};
use crate::data::raw::Raw;
use crate::data::spec::{DataSpec, FieldSpec, FieldStep, Split};
use crate::data::split::{Parts, shares};
use crate::data::steps::Axis;

fn window(field: &FieldSpec) -> Option<Window> {
    field.steps.iter().find_map(|step| match step {
        FieldStep::Windows { length, after } => Some(Window { length: *length, after: *after }),
        _ => None,
    })
}

/// Whether any field is windows of rows.
pub fn are_wanted(spec: &DataSpec) -> bool {
    spec.fields.iter().any(|field| window(field).is_some())
}

/// Steps are fitted on the rows of the training part, or are those of `model`.
pub fn load(spec: &DataSpec, model: Option<&Preprocessing>, root: &Path, limits: Limits) -> Result<Dataset> {
    let mut windows = Vec::new();
    for field in &spec.fields {
        windows.push(window(field).ok_or_else(|| {
            let message = format!("`{}` is a row, and other fields are windows of rows", field.name);
            DataError::new("E0511", message)
                .field(field.place)
                .help("cut it too: `windows(n, after = m)` takes n rows from m rows after the first on")
        })?);
    }
    let mut raw = read_raw(spec, root, limits)?;
    let (parts, rows) =
        cut(&spec.split, raw.count, &windows).map_err(|error| error.file(&raw.name).field(spec.split_place))?;
    let mut built = Vec::new();
    for ((at, field), window) in spec.fields.iter().enumerate().zip(windows) {
        let made = match model {
            None => by_rows(&mut raw, at, field, window, &rows),
            Some(model) => {
                let mut prepared = known(model, field)?;
                let axis = prepared.axes.remove(0);
                stored(&mut raw, at, prepared).and_then(|rows| rows.into_windows(window, axis))
            }
        };
        built.push(made.map_err(|error| error.field(field.place).file(&raw.name))?);
    }
    raw.count = parts.train.len() + parts.val.len() + parts.test.len();
    let solved = if model.is_none() { solved(spec, &built)? } else { Vec::new() };
    finished(spec, raw, built, parts, solved)
}

/// One field: its steps fitted on rows, and then its rows put together.
fn by_rows(raw: &mut Raw, at: usize, field: &FieldSpec, window: Window, train: &[u32]) -> Result<Field> {
    let Some((first, rest)) = field.shape.split_first() else {
        return Err(DataError::new("E0511", format!("field `{}` is one number, and a window has several", field.name)));
    };
    let axis = Axis { name: first.name.clone(), size: window.length };
    let steps = field.steps.iter().filter(|step| !matches!(step, FieldStep::Windows { .. })).cloned().collect();
    let row = FieldSpec { shape: rest.to_vec(), steps, ..field.clone() };
    fields::build(raw, at, &row, None, train)?.into_windows(window, axis)
}

/// Windows by their first rows, and the rows of the training part. What a window tells about (all of it, or what comes
/// after its beginning) lies in one part; it may look back into the part before.
fn cut(split: &Split, rows: usize, windows: &[Window]) -> Result<(Parts, Vec<u32>)> {
    let Split::InOrder { train, val, test } = split else {
        return Err(DataError::new("E0502", "a series is cut in order")
            .help("its parts follow each other: `split = in_order(train = 70%, val = 15%, test = 15%)`"));
    };
    let span = windows.iter().map(|window| window.after + window.length).max().unwrap_or(1);
    let told = windows.iter().map(|window| window.after).max().unwrap_or(0);
    let (train_share, val_share) = shares(*train, *val, *test)?;
    let at = |share: f64| ((rows as f64 * share).round() as usize).min(rows);
    let (first, second) = (at(train_share), at(train_share + val_share).max(at(train_share)));
    let part = |share: f64, name: &str, from: usize, to: usize| {
        let starts: Vec<u32> =
            (from.saturating_sub(told)..=to.saturating_sub(span)).map(|start| start as u32).collect();
        if share > 0.0 && (to < span || starts.is_empty()) {
            let message =
                format!("the {name} part has {}, and a window needs {}", counted(to - from, "row"), grouped(span));
            return Err(DataError::new("E0509", message).help("take shorter windows, or a larger share"));
        }
        Ok(if to < span || share == 0.0 { Vec::new() } else { starts })
    };
    let parts = Parts {
        train: part(*train, "train", 0, first)?,
        val: part(*val, "val", first, second)?,
        test: part(*test, "test", second, rows)?,
    };
    Ok((parts, (0..first as u32).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_lies_in_one_part() {
        let windows = [Window { length: 4, after: 0 }, Window { length: 2, after: 4 }];
        let split = Split::InOrder { train: 0.5, val: 0.25, test: 0.25 };
        let (parts, rows) = cut(&split, 40, &windows).unwrap();
        assert_eq!(rows.len(), 20);
        assert_eq!((parts.train.first(), parts.train.last()), (Some(&0), Some(&14)));
        // The first told row is 20.
        assert_eq!((parts.val.first(), parts.val.last()), (Some(&16), Some(&24)));
        assert_eq!((parts.test.first(), parts.test.last()), (Some(&26), Some(&34)));
        assert_eq!(cut(&split, 10, &windows).unwrap_err().code, "E0509");
    }
}
