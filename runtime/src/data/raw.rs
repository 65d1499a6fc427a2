//! A source as read: one column of values per field, before any step.

use std::collections::HashMap;
use std::path::Path;

use super::array::{Array, Numbers, product};
use super::bytes::{Limits, open};
use super::csv::{Dialect, Table};
use super::error::{At, DataError, Result, counted};
use super::objects::{Called, Objects};
use super::spec::{ColumnRef, DataSpec, Encoding, FieldSpec, FieldStep, Selector, Source, Split};
use super::{cifar, idx, marked, npy, pictures, synthetic, table, text};

/// Words of a table, each stored once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words {
    pub names: Vec<String>,
    /// Into `names`; `None` for a missing cell.
    pub cells: Vec<Option<u32>>,
}

/// Puts words together.
#[derive(Default)]
pub struct WordsBuilder {
    words: Words,
    known: HashMap<Vec<u8>, u32>,
}

impl WordsBuilder {
    pub fn push(&mut self, cell: Option<&[u8]>) {
        let index = cell.map(|cell| match self.known.get(cell) {
            Some(index) => *index,
            None => {
                let index = self.words.names.len() as u32;
                self.words.names.push(String::from_utf8_lossy(cell).into_owned());
                self.known.insert(cell.to_vec(), index);
                index
            }
        });
        self.words.cells.push(index);
    }

    pub fn finish(self) -> Words {
        self.words
    }
}

/// Of all examples, row-major; a missing number is NaN.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Numbers(Numbers),
    Words(Words),
    /// Of each picture its objects; classes are places in the names.
    Boxes(Objects, Vec<Called>),
}

impl Values {
    pub fn none() -> Values {
        Values::Numbers(Numbers::U8(Vec::new()))
    }
}

/// One field as read.
#[derive(Clone, Debug, PartialEq)]
pub struct RawField {
    /// Of one example.
    pub shape: Vec<usize>,
    pub values: Values,
    /// Columns of the table, where there is one: places for messages.
    pub columns: Vec<usize>,
}

impl RawField {
    pub fn per_example(&self) -> usize {
        product(&self.shape).unwrap_or(0)
    }

    /// Bytes of decoded pictures that it has in memory.
    pub fn held(&self) -> u64 {
        match &self.values {
            Values::Numbers(Numbers::U8(values)) => values.len() as u64,
            _ => 0,
        }
    }
}

/// A source as read.
pub struct Raw {
    pub count: usize,
    /// In the order of the program's fields.
    pub fields: Vec<RawField>,
    /// How many examples at the front are the official training part.
    pub official: Option<usize>,
    /// How many examples the files of each part hold, which follow each other.
    pub files: Option<[usize; 3]>,
    /// The group of each example, where the split asks for one.
    pub groups: Option<Words>,
    /// Kept for the places of messages.
    pub table: Option<Table>,
    /// As the program names it.
    pub name: String,
    /// What a user should know: files that were left out.
    pub notes: Vec<String>,
}

impl Raw {
    /// The examples that lack a value, for each field that has such.
    pub fn missing(&self, spec: &DataSpec) -> Vec<(String, Vec<u32>)> {
        let mut all = Vec::new();
        for (field, read) in spec.fields.iter().zip(&self.fields) {
            let width = read.per_example().max(1);
            let mut lacking: Vec<u32> = match &read.values {
                Values::Words(words) => {
                    (0..).zip(&words.cells).filter(|(_, cell)| cell.is_none()).map(|(at, _)| at).collect()
                }
                Values::Numbers(Numbers::F32(values)) => {
                    let none = values.iter().enumerate().filter(|(_, x)| x.is_nan());
                    none.map(|(at, _)| (at / width) as u32).collect()
                }
                Values::Numbers(Numbers::U8(_) | Numbers::Stored(_)) | Values::Boxes(..) => vec![],
            };
            lacking.dedup();
            if !lacking.is_empty() {
                all.push((field.name.clone(), lacking));
            }
        }
        all
    }

    /// Where element `element` of example `example` stands.
    pub fn place(&self, field: usize, example: usize, element: usize) -> At {
        match (&self.table, self.fields.get(field).and_then(|f| f.columns.get(element))) {
            (Some(table), Some(column)) => table.place(example, *column),
            _ => At::Unknown,
        }
    }
}

/// Reads what the fields of `spec` ask for.
pub fn read(spec: &DataSpec, root: &Path, limits: Limits) -> Result<Raw> {
    let raw = match &spec.source {
        Source::Csv { path, header, skip, separator, missing, decimal, root: below, encoding } => {
            let (missing, decimal) = (missing.clone(), *decimal);
            let texts = spec.fields.iter().any(text::ragged::is_text);
            let dialect = Dialect { header: *header, skip: *skip, separator: *separator, missing, decimal, texts };
            read_csv(spec, root, (path, below.as_deref().unwrap_or("")), (dialect, *encoding), limits)
        }
        Source::Idx { path } => {
            let (train, test) = idx::read_folder(root, path, limits)?;
            read_pictures(spec, path, train, test)
        }
        Source::Cifar { path, which } => cifar::read(spec, root, (path, *which), limits),
        Source::Npy { path } => {
            let array = npy::read_file(root, path, limits)?;
            read_arrays(spec, path, |_| Ok(array.clone()))
        }
        Source::Npz { path } => {
            let mut archive = npy::Archive::open(root, path)?;
            read_arrays(spec, path, |field| match &field.from {
                Selector::Array(name) => archive.read(name, limits),
                _ => Err(DataError::new("E0502", "an npz archive is read with `array(\"name\")`")),
            })
        }
        // `dataset` reads it by itself: its examples overlap.
        Source::Text { path, .. } => Err(DataError::new("E0502", "a text has no rows").file(path)),
        Source::Folders { path, skip_broken } => pictures::folders(spec, root, (path, *skip_broken), limits),
        Source::Pairs { images, masks, skip_broken } => {
            pictures::pairs(spec, root, (images, masks, *skip_broken), limits)
        }
        Source::Voc { path, skip_broken } => marked::voc(spec, root, (path, *skip_broken), limits),
        Source::Yolo { path, skip_broken } => marked::yolo(spec, root, (path, *skip_broken), limits),
        Source::Coco { images, json, skip_broken } => marked::coco(spec, root, (images, json, *skip_broken), limits),
        Source::Synthetic { name, count, seed } if name == "shapes" => {
            synthetic::shapes::read(spec, (*count, *seed), limits)
        }
        Source::Synthetic { name, count, seed } if name == "scenes" => {
            synthetic::scenes::read(spec, (*count, *seed), limits)
        }
        Source::Synthetic { name, count, seed } => {
            if synthetic::drawn::is_known(name) {
                synthetic::drawn::read(spec, name, (*count, *seed))
            } else {
                let (images, labels) = synthetic::generate(name, *count, *seed)?;
                read_pictures(spec, name, idx::LabelledImages { images, labels }, None)
            }
        }
        Source::Lines(_) | Source::Documents { .. } | Source::Jsonl { .. } => {
            text::lines::source(spec, root, limits).unwrap_or_else(|| Err(DataError::new("E0502", "no text")))
        }
    };
    raw.and_then(|raw| {
        let name = raw.name.clone();
        group_needs_table(spec, &raw).map_err(|error| error.file(name))?;
        Ok(raw)
    })
}

fn group_needs_table(spec: &DataSpec, raw: &Raw) -> Result<()> {
    match &spec.split {
        Split::Ratio { group: Some(_), .. } if raw.groups.is_none() => {
            Err(DataError::new("E0502", "`group` names a column, and this source has none").field(spec.split_place))
        }
        _ => Ok(()),
    }
}

fn read_csv(
    spec: &DataSpec,
    root: &Path,
    (path, below): (&str, &str),
    (dialect, encoding): (Dialect, Encoding),
    limits: Limits,
) -> Result<Raw> {
    let table = Table::read(open(root, path)?, (dialect, encoding), limits)?;
    let group = match &spec.split {
        Split::Ratio { group: Some(column), .. } => Some((column, spec.split_place)),
        _ => None,
    };
    let (mut fields, groups) = table::read_fields(&table, &spec.fields, group)?;
    let mut limits = limits;
    for (field, raw) in spec.fields.iter().zip(&mut fields) {
        if let (Selector::Picture(_), Values::Words(cells)) = (&field.from, &raw.values) {
            let read = pictures::columns(root, (below, path), cells, field, limits);
            *raw = read.map_err(|error| error.field(field.place))?;
            limits = limits.after(raw.held());
        }
    }
    let (count, name) = (table.rows, path.to_string());
    Ok(Raw { count, fields, official: None, files: None, groups, table: Some(table), name, notes: vec![] })
}

/// `images` and `labels`, the training part first.
fn read_pictures(
    spec: &DataSpec,
    name: &str,
    train: idx::LabelledImages,
    test: Option<idx::LabelledImages>,
) -> Result<Raw> {
    let official = train.labels.shape.first().copied().unwrap_or(0);
    let joined = match test {
        None => train,
        Some(test) => idx::LabelledImages {
            images: join(train.images, test.images, name)?,
            labels: join(train.labels, test.labels, name)?,
        },
    };
    let count = joined.labels.shape.first().copied().unwrap_or(0);
    let (mut images, mut labels) = (Some(joined.images), Some(joined.labels));
    let mut fields = Vec::new();
    for (at, field) in spec.fields.iter().enumerate() {
        let array = match &field.from {
            Selector::Images => &mut images,
            Selector::Labels => &mut labels,
            _ => {
                let message = format!("`{name}` has `images` and `labels`, no columns");
                return Err(DataError::new("E0502", message).file(name).field(field.place));
            }
        };
        // The last field that reads them takes them: pictures are large.
        let again = spec.fields.iter().skip(at + 1).any(|later| later.from == field.from);
        let array = if again { array.clone() } else { array.take() };
        let Some(array) = array else { continue };
        fields.push(RawField {
            shape: array.shape.get(1..).unwrap_or_default().to_vec(),
            values: Values::Numbers(array.numbers),
            columns: Vec::new(),
        });
    }
    let (groups, table, name) = (None, None, name.to_string());
    Ok(Raw { count, fields, official: Some(official), files: None, groups, table, name, notes: vec![] })
}

fn join(a: Array, b: Array, name: &str) -> Result<Array> {
    if a.shape.get(1..) != b.shape.get(1..) {
        let message = format!(
            "pictures of the training part are {:?}, those of the test part {:?}",
            a.shape.get(1..).unwrap_or_default(),
            b.shape.get(1..).unwrap_or_default()
        );
        return Err(DataError::new("E0502", message).file(name));
    }
    let mut shape = a.shape;
    if let (Some(first), Some(more)) = (shape.first_mut(), b.shape.first()) {
        *first += more;
    }
    let numbers = match (a.numbers, b.numbers) {
        (Numbers::U8(mut a), Numbers::U8(b)) => {
            a.extend(b);
            Numbers::U8(a)
        }
        (a, b) => {
            let mut a = a.into_f32();
            a.extend(b.into_f32());
            Numbers::F32(a)
        }
    };
    Ok(Array { shape, numbers })
}

/// Arrays whose first axis counts the examples.
fn read_arrays(spec: &DataSpec, name: &str, mut array: impl FnMut(&FieldSpec) -> Result<Array>) -> Result<Raw> {
    let mut fields = Vec::new();
    let mut count = None;
    for field in &spec.fields {
        let array = array(field).map_err(|error| error.file(name).field(field.place))?;
        let fail = |message: String| Err(DataError::new("E0502", message).file(name).field(field.place));
        let Some((rows, shape)) = array.shape.split_first() else {
            return fail("the array is one number, and its first axis should count examples".into());
        };
        let known = *count.get_or_insert(*rows);
        if known != *rows {
            return fail(format!(
                "`{}` has {}, but the fields above have {known}",
                field.name,
                counted(*rows, "example")
            ));
        }
        fields.push(chosen_columns(field, *rows, shape.to_vec(), array.numbers)?);
    }
    let name = name.to_string();
    let count = count.unwrap_or(0);
    Ok(Raw { count, fields, official: None, files: None, groups: None, table: None, name, notes: vec![] })
}

/// A field may take columns of an array with two axes.
fn chosen_columns(field: &FieldSpec, rows: usize, shape: Vec<usize>, numbers: Numbers) -> Result<RawField> {
    let columns = match &field.from {
        Selector::Array(_)
        | Selector::Images
        | Selector::Labels
        | Selector::Named(_)
        | Selector::Folder
        | Selector::Masks
        | Selector::Boxes
        | Selector::Grid(_)
        | Selector::Partner { .. }
        | Selector::Alike { .. }
        | Selector::Picture(_)
        | Selector::Characters { .. } => {
            return Ok(RawField { shape, values: Values::Numbers(numbers), columns: Vec::new() });
        }
        from => {
            let width = if shape.len() == 1 { shape[0] } else { 0 };
            table::columns_of(from, width, &[]).map_err(|error| error.field(field.place))?
        }
    };
    let width = shape.first().copied().unwrap_or(0);
    let mut values = Vec::with_capacity(rows.saturating_mul(columns.len()).min(1 << 24));
    for row in 0..rows {
        values.extend(columns.iter().map(|column| numbers.get(row * width + column)));
    }
    let shape = if matches!(field.from, Selector::Column(_)) { vec![] } else { vec![columns.len()] };
    Ok(RawField { shape, values: Values::Numbers(Numbers::F32(values)), columns: Vec::new() })
}

/// Whether the cells of a field stay words until classes are known.
pub fn wants_words(field: &FieldSpec) -> bool {
    field.dim.is_some()
        || matches!(field.from, Selector::Picture(_))
        || field.steps.iter().any(|step| matches!(step, FieldStep::OneHot { .. } | FieldStep::Text(_)))
}

/// For messages: `column 4` or `column "age"`.
pub fn shown(column: &ColumnRef) -> String {
    match column {
        ColumnRef::At(at) => format!("column {at}"),
        ColumnRef::Named(name) => format!("column \"{name}\""),
    }
}
