//! Folders of classes, and tables that name pictures.

use std::path::Path;
use std::sync::Arc;

use super::fill::{Fill, Wanted};
use super::{Entry, Placing, list};
use crate::data::array::Numbers;
use crate::data::bytes::Limits;
use crate::data::error::{DataError, Result, counted};
use crate::data::raw::{Raw, RawField, Values, Words, WordsBuilder};
use crate::data::spec::{DataSpec, FieldSpec, FieldStep, PictureStep, Selector};

/// What stands for the name of a part in a path.
const PART: &str = "{part}";

/// The steps of a field that come before its points are numbers.
pub fn steps(field: &FieldSpec) -> Vec<PictureStep> {
    let step = |step: &FieldStep| match step {
        FieldStep::Picture(step) => Some(step.clone()),
        _ => None,
    };
    field.steps.iter().filter_map(step).collect()
}

pub(in crate::data) fn wanted(field: &FieldSpec, classes: Option<usize>, skip_broken: bool) -> Wanted {
    Wanted { field: field.name.clone(), shape: field.shape.clone(), steps: steps(field), classes, skip_broken }
}

/// Lists what a path means: with `{part}`, the parts one after the other and how many each has.
pub(super) fn listed(root: &Path, path: &str, limits: Limits) -> Result<(Vec<Vec<Entry>>, bool)> {
    if !path.contains(PART) {
        return Ok((vec![list(root, path, limits)?], false));
    }
    let mut all = Vec::new();
    for part in ["train", "val", "test"] {
        let path = path.replace(PART, part);
        let there = part == "train" || crate::data::bytes::resolve(root, &path).exists();
        all.push(if there { list(root, &path, limits)? } else { Vec::new() });
    }
    Ok((all, true))
}

/// Class by folder: the folder below those that all files share.
pub fn folders(spec: &DataSpec, root: &Path, (path, skip): (&str, bool), limits: Limits) -> Result<Raw> {
    let (parts, has_parts) = listed(root, path, limits)?;
    let counts: Vec<usize> = parts.iter().map(Vec::len).collect();
    let mut classes = Vec::new();
    for entries in &parts {
        classes.extend(folder_names(entries));
    }
    let entries: Vec<Entry> = parts.into_iter().flatten().collect();
    let (mut fields, mut left) = (Vec::new(), limits);
    for field in &spec.fields {
        let made = match &field.from {
            Selector::Images => wanted(field, None, skip).fill(&entries, left).map(picture),
            Selector::Folder => folder(path, &entries, &classes).map(|raw| (raw, vec![])),
            _ => Err(DataError::new("E0502", format!("`{path}` has `images` and `folder`, no columns"))),
        };
        let made = made.map_err(|error| error.field(field.place))?;
        left = left.after(made.0.held());
        fields.push(made);
    }
    Ok(assembled(path, fields, counts, has_parts))
}

/// Fields of one source, without the examples that any of them cannot read.
pub(in crate::data) fn assembled(
    name: &str,
    fields: Vec<(RawField, Vec<(usize, Box<DataError>)>)>,
    counts: Vec<usize>,
    has_parts: bool,
) -> Raw {
    let all: usize = counts.iter().sum();
    let mut bad = vec![false; all];
    let mut notes = Vec::new();
    for (at, error) in fields.iter().flat_map(|(_, broken)| broken) {
        if let Some(bad) = bad.get_mut(*at).filter(|bad| !**bad) {
            *bad = true;
            let file = error.file.clone().unwrap_or_default();
            notes.push(format!("note: left out `{file}`: {}", error.message));
        }
    }
    let mut first = 0;
    let mut kept = [0; 3];
    for (kept, count) in kept.iter_mut().zip(counts) {
        *kept = bad.iter().skip(first).take(count).filter(|bad| !**bad).count();
        first += count;
    }
    let without = |(field, _): (RawField, _)| if notes.is_empty() { field } else { retained(field, &bad) };
    let fields = fields.into_iter().map(without).collect();
    let (official, files) = (None, has_parts.then_some(kept));
    let count = kept.iter().sum();
    Raw { count, fields, official, files, groups: None, table: None, name: name.to_string(), notes }
}

fn retained(mut field: RawField, bad: &[bool]) -> RawField {
    let width = field.per_example();
    match &mut field.values {
        Values::Words(Words { cells, .. }) => {
            let mut bad = bad.iter();
            cells.retain(|_| bad.next() == Some(&false));
        }
        Values::Boxes(objects, _) => *objects = objects.retained(|at| bad.get(at) == Some(&false)),
        Values::Numbers(Numbers::U8(values)) => {
            let mut to = 0;
            for from in (0..bad.len()).filter(|at| !bad[*at]) {
                values.copy_within(from * width..(from + 1) * width, to * width);
                to += 1;
            }
            values.truncate(to * width);
        }
        Values::Numbers(Numbers::F32(values)) => {
            let mut at = 0;
            values.retain(|_| {
                at += 1;
                bad.get((at - 1) / width.max(1)) == Some(&false)
            });
        }
        Values::Numbers(Numbers::Stored(stored)) => {
            let kept = (0..bad.len()).filter(|at| !bad[*at]).collect();
            // Few systems refuse a second handle; then all stay, and the count of examples tells.
            if let Ok(some) = stored.retained(kept) {
                *stored = Arc::new(some);
            }
        }
    }
    field
}

pub(in crate::data) fn picture(fill: Fill) -> (RawField, Vec<(usize, Box<DataError>)>) {
    let values = Values::Numbers(fill.values);
    (RawField { shape: fill.shape, values, columns: Vec::new() }, fill.broken)
}

/// For each entry the folder that differs; `None` for a file beside folders.
fn folder_names(entries: &[Entry]) -> Vec<Option<String>> {
    let dirs = |entry: &Entry| entry.path.len().saturating_sub(1);
    let Some(first) = entries.first() else { return Vec::new() };
    let shared = |entry: &Entry| {
        let both = entry.path.iter().take(dirs(entry)).zip(first.path.iter().take(dirs(first)));
        both.take_while(|(a, b)| a == b).count()
    };
    // One folder alone is a class too.
    let least = entries.iter().map(dirs).min().unwrap_or(0).saturating_sub(1);
    let common = entries.iter().map(shared).min().unwrap_or(0).min(least);
    entries.iter().map(|entry| entry.path.get(common).filter(|_| dirs(entry) > common).cloned()).collect()
}

fn folder(path: &str, entries: &[Entry], classes: &[Option<String>]) -> Result<RawField> {
    let mut words = WordsBuilder::default();
    for (entry, class) in entries.iter().zip(classes) {
        let Some(class) = class else {
            let message = format!("`{}` lies in no folder, and the folder is its class", entry.name);
            return Err(DataError::new("E0502", message)
                .file(path)
                .help("one folder for each class, with its pictures"));
        };
        words.push(Some(class.as_bytes()));
    }
    Ok(RawField { shape: vec![], values: Values::Words(words.finish()), columns: Vec::new() })
}

/// The pictures that the cells of a column name.
pub fn columns(
    root: &Path,
    (below, name): (&str, &str),
    cells: &Words,
    field: &FieldSpec,
    limits: Limits,
) -> Result<RawField> {
    let mut entries = Vec::new();
    for (row, cell) in cells.cells.iter().enumerate() {
        let file = cell.and_then(|cell| cells.names.get(cell as usize));
        let Some(file) = file else {
            let message = format!("row {} names no picture", row + 1);
            return Err(DataError::new("E0506", message).file(name));
        };
        let path = Path::new(below).join(file.trim().replace('\\', "/"));
        entries.push(Entry::on_disk(root, &path.to_string_lossy()));
    }
    let fill = wanted(field, None, false).fill(&entries, limits);
    fill.map(|fill| picture(fill).0)
        .map_err(|error| error.note(format!("named by {} of `{name}`", counted(cells.cells.len(), "row"))))
}

/// One picture file, for a prediction.
pub fn single(name: &str, wanted: &Wanted, limits: Limits) -> Result<RawField> {
    let entry = Entry::on_disk(Path::new(""), name);
    wanted.fill(&[entry], limits).map(|fill| picture(fill).0).map_err(|mut error| {
        if error.code == "E0511" {
            // The program that says how pictures are brought to one size is in the model file.
            error.help = Some("bring it to that size first; or train with `images |> resize(...)`, which the model then does by itself".into());
        }
        error
    })
}

/// What the steps of a field do to one picture file.
pub fn placed(name: &str, steps: &[PictureStep], limits: Limits) -> Result<Placing> {
    let bytes = Entry::on_disk(Path::new(""), name).bytes(limits)?;
    Ok(Placing::new(steps, super::size(name, &bytes)?))
}
