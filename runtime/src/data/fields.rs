//! Typed fields: shapes solved, classes looked up, statistics taken, values stored for batches.

mod axes;
mod write;

use std::sync::Arc;

use super::array::Numbers;
use super::error::{DataError, Result, grouped};
use super::labels;
use super::objects::Objects;
use super::objects::grid::Grid;
use super::partners::Partners;
use super::preprocessing::{Prepared, Window};
use super::raw::{Raw, RawField, Values, Words};
use super::spec::{DimSpec, FieldSpec, FieldStep, Selector};
use super::steps::{Axis, Chain, Training, elements};
use super::text::ragged::Lists;

/// Channels with a table each.
const MOST_TABLES: usize = 64;

/// A field of all examples.
pub struct Field {
    pub prepared: Prepared,
    storage: Arc<Storage>,
    pairing: Option<Pairing>,
}

/// What a field tells of the partner of an example.
enum Pairing {
    /// What another field, which has the storage too, tells of an example.
    Value(Arc<Partners>),
    /// Whether it is of the same class.
    Alike(Arc<Partners>),
}

/// Pictures stay bytes and become numbers in the batch: a quarter of the memory.
enum Storage {
    Bytes {
        /// `U8`, or `Stored`.
        values: Numbers,
        /// What a byte becomes: one table for all elements, or one for each channel; none where each differs.
        tables: Vec<[f32; 256]>,
    },
    Numbers(Vec<f32>),
    Indices(Vec<u32>),
    OneHot {
        indices: Vec<u32>,
        classes: usize,
    },
    /// Windows of one sequence: the number of an example is its place.
    Windows {
        sequence: Arc<Vec<u32>>,
        ahead: usize,
    },
    /// As many as each example has, along the first axis; and the texts that a network may be asked to tell.
    Ragged(Lists, Option<Words>),
    /// The objects of each picture.
    Boxes(Arc<Objects>),
    /// What a grid tells of them.
    Grid(Arc<Objects>, Grid),
    /// Windows of rows: the number of an example is its first row.
    Rows {
        values: Vec<f32>,
        width: usize,
        after: usize,
    },
}

impl Field {
    fn new(prepared: Prepared, storage: Storage) -> Field {
        Field { prepared, storage: Arc::new(storage), pairing: None }
    }

    pub fn name(&self) -> &str {
        &self.prepared.name
    }

    /// Numbers of one example.
    pub fn per_example(&self) -> usize {
        elements(&self.prepared.axes)
    }

    /// The class of each example, where the field is one class.
    pub fn classes(&self) -> Option<&[u32]> {
        match &*self.storage {
            Storage::Indices(indices) if self.per_example() == 1 && self.pairing.is_none() => Some(indices),
            _ => None,
        }
    }

    /// Lists of symbols, their dim known; `texts` are what they were made of.
    pub fn ragged(prepared: Prepared, lists: Lists, texts: Option<Words>) -> Field {
        Field::new(prepared, Storage::Ragged(lists, texts))
    }

    /// The text of an example, where it is kept.
    pub fn text(&self, example: u32) -> Option<&str> {
        let Storage::Ragged(_, Some(texts)) = &*self.storage else { return None };
        let cell = texts.cells.get(example as usize).copied().flatten()?;
        texts.names.get(cell as usize).map(String::as_str)
    }

    /// The lists, where each example has its own length.
    pub fn lists(&self) -> Option<&Lists> {
        let Storage::Ragged(lists, _) = &*self.storage else { return None };
        Some(lists)
    }

    /// The objects of each picture, where the field is boxes or is made of them.
    pub fn objects(&self) -> Option<&Arc<Objects>> {
        match &*self.storage {
            Storage::Boxes(objects) | Storage::Grid(objects, _) => Some(objects),
            _ => None,
        }
    }

    /// How a field is made of the objects of another.
    pub fn grid(&self) -> Option<&Grid> {
        match &*self.storage {
            Storage::Grid(_, grid) => Some(grid),
            _ => None,
        }
    }

    /// What this field tells of the partners of examples, in a field of its own; none where it is no number and no class.
    pub fn of_partners(&self, name: &str, from: &Selector, partners: &Arc<Partners>) -> Option<Field> {
        let is_value = matches!(
            &*self.storage,
            Storage::Bytes { .. } | Storage::Numbers(_) | Storage::Indices(_) | Storage::OneHot { .. }
        );
        let prepared = Prepared { name: name.to_string(), from: from.clone(), ..self.prepared.clone() };
        let pairing = Some(Pairing::Value(partners.clone()));
        (is_value && self.pairing.is_none()).then(|| Field { prepared, storage: self.storage.clone(), pairing })
    }

    /// Whether the partners of examples are of their class.
    pub fn alike(prepared: Prepared, partners: &Arc<Partners>) -> Field {
        let storage = Arc::new(Storage::Numbers(Vec::new()));
        Field { prepared, storage, pairing: Some(Pairing::Alike(partners.clone())) }
    }

    /// Whether the field is another one in each epoch of training.
    pub fn is_paired(&self) -> bool {
        self.pairing.is_some()
    }

    /// What a grid tells of the objects of another field.
    pub fn on_grid(prepared: Prepared, grid: Grid, objects: Arc<Objects>) -> Field {
        Field::new(prepared, Storage::Grid(objects, grid))
    }

    /// Rows become windows of `length` rows, from `after` rows after the first on; numbers alone do.
    pub fn into_windows(self, window: Window, axis: Axis) -> Result<Field> {
        let mut prepared = self.prepared;
        let width = elements(&prepared.axes);
        let values = match Arc::try_unwrap(self.storage) {
            Ok(Storage::Numbers(values)) => values,
            Ok(Storage::Bytes { values, .. }) => (0..values.len())
                .map(|i| prepared.chain.apply(f64::from(values.get(i)), i % width.max(1)) as f32)
                .collect(),
            _ => {
                return Err(DataError::new(
                    "E0511",
                    format!("field `{}` is no numbers: `windows` needs some", prepared.name),
                ));
            }
        };
        prepared.axes.insert(0, axis);
        prepared.window = Some(window);
        Ok(Field::new(prepared, Storage::Rows { values, width, after: window.after }))
    }
}

/// Windows of one sequence.
pub fn windowed(prepared: Prepared, sequence: Arc<Vec<u32>>, ahead: bool) -> Field {
    Field::new(prepared, Storage::Windows { sequence, ahead: usize::from(ahead) })
}

/// Looks up, fits on the training part, and stores. `dim`: the classes of the field, solved.
pub fn build(raw: &mut Raw, at: usize, spec: &FieldSpec, dim: Option<DimSpec>, train: &[u32]) -> Result<Field> {
    let one_hot = spec.steps.iter().any(|step| matches!(step, FieldStep::OneHot { .. }));
    let fill = labels::filler(spec).map(str::to_string);
    let picture = super::pictures::steps(spec);
    let axes = axes::axes(raw, at, spec, if one_hot { dim.as_ref() } else { None })?;
    let mut chain = Chain::default();
    if dim.is_none() && spec.from != Selector::Boxes {
        let width = elements(&axes);
        let Some(Values::Numbers(numbers)) = raw.fields.get(at).map(|field| &field.values) else {
            return Err(DataError::new("E0506", "words where numbers are needed"));
        };
        let values = |example: usize, element: usize| f64::from(numbers.get(example * width + element));
        let training = Training { examples: train, values: &values };
        for step in &spec.steps {
            chain.fit(step, &axes, &training)?;
        }
    } else if spec.steps.len() > picture.len() + usize::from(one_hot) + usize::from(fill.is_some()) {
        let message = format!("classes of `{}` cannot be scaled: they are indices", spec.name);
        return Err(DataError::new("E0502", message));
    }
    let (dim, classes) = if one_hot { (None, dim) } else { (dim, None) };
    let (name, from) = (spec.name.clone(), spec.from.clone());
    let text = None;
    store(raw, at, Prepared { name, axes, dim, one_hot: classes, from, chain, fill, text, window: None, picture })
}

/// Stores the values of a field whose steps are known; takes them out of `raw`.
pub fn store(raw: &mut Raw, at: usize, prepared: Prepared) -> Result<Field> {
    if let Some(class) = &prepared.fill {
        labels::fill(raw, at, class);
    }
    if prepared.from == Selector::Boxes {
        return boxes(raw, at, prepared);
    }
    if prepared.from == Selector::Masks {
        return masks(raw, at, prepared);
    }
    if let Some(dim) = &prepared.dim {
        let indices = labels::indices(raw, at, &prepared.name, dim)?;
        return Ok(Field::new(prepared, Storage::Indices(indices)));
    }
    if let Some(dim) = &prepared.one_hot {
        let indices = labels::indices(raw, at, &prepared.name, dim)?;
        let classes = dim.size.unwrap_or(dim.names.len());
        return Ok(Field::new(prepared, Storage::OneHot { indices, classes }));
    }
    let width = elements(&prepared.axes).max(1);
    let taken = raw.fields.get_mut(at).map(|field| std::mem::replace(&mut field.values, Values::none()));
    let storage = match taken {
        Some(Values::Numbers(values @ (Numbers::U8(_) | Numbers::Stored(_)))) => {
            bytes(raw, at, &prepared, values, width)?
        }
        Some(Values::Numbers(Numbers::F32(mut values))) => {
            for (i, value) in values.iter_mut().enumerate() {
                let result = prepared.chain.apply(f64::from(*value), i % width) as f32;
                if !result.is_finite() {
                    return Err(unusable(raw, at, &prepared, *value, (i / width, i % width)));
                }
                *value = result;
            }
            Storage::Numbers(values)
        }
        _ => return Err(DataError::new("E0506", "words where numbers are needed")),
    };
    Ok(Field::new(prepared, storage))
}

fn boxes(raw: &mut Raw, at: usize, prepared: Prepared) -> Result<Field> {
    let taken = raw.fields.get_mut(at).map(|field| std::mem::replace(&mut field.values, Values::none()));
    let Some(Values::Boxes(objects, classes)) = taken else {
        return Err(DataError::new("E0506", "a field of boxes needs a source of pictures with boxes"));
    };
    let objects = labels::of_objects(raw, objects, &classes, prepared.dim.as_ref())?;
    Ok(Field::new(prepared, Storage::Boxes(Arc::new(objects))))
}

/// Masks are classes already, and stay bytes.
fn masks(raw: &mut Raw, at: usize, prepared: Prepared) -> Result<Field> {
    let taken = raw.fields.get_mut(at).map(|field| std::mem::replace(&mut field.values, Values::none()));
    let Some(Values::Numbers(values @ (Numbers::U8(_) | Numbers::Stored(_)))) = taken else {
        return Err(DataError::new("E0506", "masks are pictures"));
    };
    let mut table = [0.0; 256];
    table.iter_mut().zip(0u8..=255).for_each(|(out, x)| *out = f32::from(x));
    Ok(Field::new(prepared, Storage::Bytes { values, tables: vec![table] }))
}

/// Whether the data gives as many values as the model was trained on.
pub fn check_sizes(raw: &Raw, at: usize, prepared: &Prepared) -> Result<()> {
    let classes = prepared.one_hot.as_ref().map_or(1, |dim| dim.size.unwrap_or(dim.names.len()));
    let held = raw.fields.get(at).map_or(0, RawField::per_example).saturating_mul(classes);
    let wanted = elements(&prepared.axes);
    if held == wanted {
        return Ok(());
    }
    let message = format!(
        "field `{}` has {} values, and the model was trained on {}",
        prepared.name,
        grouped(held),
        grouped(wanted)
    );
    Err(DataError::new("E0902", message).file(&raw.name))
}

fn bytes(raw: &Raw, at: usize, prepared: &Prepared, values: Numbers, width: usize) -> Result<Storage> {
    let apply = |x: u8, element: usize| prepared.chain.apply(f64::from(x), element) as f32;
    if prepared.chain.has_log() {
        let bad = (0..values.len()).find(|i| !apply(values.get(*i) as u8, i % width).is_finite());
        if let Some(i) = bad {
            return Err(unusable(raw, at, prepared, values.get(i), (i / width, i % width)));
        }
    }
    let channels = prepared.axes.last().map_or(1, |axis| axis.size.max(1));
    let count = match prepared.chain.is_uniform() {
        true => 1,
        false if channels <= MOST_TABLES && prepared.chain.repeats(channels) => channels,
        false => 0,
    };
    let mut tables = vec![[0.0; 256]; count];
    for (element, table) in tables.iter_mut().enumerate() {
        table.iter_mut().zip(0u8..=255).for_each(|(out, x)| *out = apply(x, element));
    }
    Ok(Storage::Bytes { values, tables })
}

/// A number is missing, or a step cannot take it.
fn unusable(
    raw: &Raw,
    at: usize,
    prepared: &Prepared,
    value: f32,
    (example, element): (usize, usize),
) -> Box<DataError> {
    let error = match value.is_nan() {
        true => DataError::new("E0506", format!("a number is missing in field `{}`", prepared.name))
            .help("put something in its place: `columns(...) |> fill(mean)`"),
        false if !value.is_finite() => DataError::new("E0506", format!("field `{}` holds {value}", prepared.name)),
        false if prepared.chain.has_log() => {
            DataError::new("E0506", format!("`log` needs numbers above 0, and this is {value}"))
                .help("shift them first: `scale(1, shift = 1) |> log`")
        }
        false => DataError::new("E0506", format!("{value} becomes too large in field `{}`", prepared.name)),
    };
    let element = if raw.table.is_some() { element } else { 0 };
    error
        .file(&raw.name)
        .note(format!("row {}, read by field `{}`", grouped(example + 1), prepared.name))
        .at(raw.place(at, example, element))
}
