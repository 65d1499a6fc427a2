//! A data set in memory: fields of all examples, cut into parts, ready to be batched.

use std::collections::BTreeMap;
use std::path::Path;

use super::bytes::Limits;
use super::error::{DataError, Result};
use super::fields::{self, Field};
use super::labels::{self, Lookup};
use super::partners;
use super::pictures::Placing;
use super::preprocessing::{Prepared, Preprocessing, TableFormat};
use super::raw::{self, Raw, Values};
use super::spec::{DataSpec, DimSpec, FieldSpec, FieldStep, Selector, Source, Split};
use super::split::{Known, Part, Parts, split};
use super::steps::Axis;
use super::text::ragged;
use crate::extents::Extents;

/// All that a training run or an evaluation needs to know about data.
pub struct Dataset {
    pub name: String,
    pub count: usize,
    pub fields: Vec<Field>,
    pub parts: Parts,
    /// By how much an epoch of training may shift its examples: windows of a sequence.
    pub shift: u32,
    /// The dims of variable length.
    pub ragged: Vec<Ragged>,
    /// What a user should know about the reading.
    pub notes: Vec<String>,
    /// Of new pictures, what was done to each before its points were numbers.
    pub placings: Vec<Placing>,
    /// Fields with values that a step filled in, and the examples that lacked them, increasing.
    pub missing: Vec<(String, Vec<u32>)>,
    table: Option<TableFormat>,
    solved: Vec<Solved>,
}

/// A dim of which every example has its own length.
#[derive(Clone, Debug, PartialEq)]
pub struct Ragged {
    pub dim: String,
    /// The most that the program allows.
    pub most: usize,
    /// Of every example, at least 1.
    pub lengths: Vec<u32>,
}

/// A dim whose size the data decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Solved {
    pub dim: String,
    pub size: usize,
    /// Empty for a dim of columns or sizes.
    pub names: Vec<String>,
}

/// Reads, checks and prepares what `spec` says; relative paths start at `root`.
pub fn load(spec: &DataSpec, root: &Path, limits: Limits) -> Result<Dataset> {
    if partners::are_wanted(spec) {
        return partners::load(spec, |plain| load(plain, root, limits));
    }
    if let Source::Text { path, encoding } = &spec.source {
        return sequence::load(spec, None, (root, path, *encoding), limits);
    }
    if windows::are_wanted(spec) {
        return windows::load(spec, None, root, limits);
    }
    let mut raw = read_raw(spec, root, limits)?;
    let missing = raw.missing(spec);
    for (at, field) in spec.fields.iter().enumerate() {
        if let Some(class) = labels::filler(field) {
            labels::fill(&mut raw, at, class);
        }
    }
    let classes = classes(spec, &raw)?;
    let parts = parts(spec, &raw, &classes)?;
    let mut built = Vec::new();
    let vocabularies = ragged::vocabularies(spec, &raw, &parts.train)?;
    for (at, field) in spec.fields.iter().enumerate() {
        let made = match &field.dim {
            Some(dim) if ragged::is_text(field) => {
                let dim = vocabularies.get(&dim.name).unwrap_or(dim).clone();
                ragged::build(&raw, at, field, dim).map(|(made, notes)| {
                    raw.notes.extend(notes);
                    made
                })
            }
            _ if matches!(field.from, Selector::Grid(_)) => {
                let dim = classes.get(at).cloned().flatten();
                on_grid(field, dim.or_else(|| field.dim.clone()), &built)
            }
            _ => fields::build(&mut raw, at, field, classes.get(at).cloned().flatten(), &parts.train),
        };
        built.push(made.map_err(|error| error.field(field.place).file(&raw.name))?);
    }
    let solved = solved(spec, &built)?;
    let data = finished(spec, raw, built, parts, solved)?;
    Ok(Dataset { missing, ..data })
}

/// How a model file says that a field is made.
fn known(preprocessing: &Preprocessing, field: &FieldSpec) -> Result<Prepared> {
    preprocessing.made(&field.name).cloned().map_err(|error| error.field(field.place))
}

/// The same data for a trained model: nothing is learned from it, the model's preprocessing is applied.
pub fn load_prepared(spec: &DataSpec, preprocessing: &Preprocessing, root: &Path, limits: Limits) -> Result<Dataset> {
    if partners::are_wanted(spec) {
        return partners::load(spec, |plain| load_prepared(plain, preprocessing, root, limits));
    }
    if let Source::Text { path, encoding } = &spec.source {
        return sequence::load(spec, Some(preprocessing), (root, path, *encoding), limits);
    }
    if windows::are_wanted(spec) {
        return windows::load(spec, Some(preprocessing), root, limits);
    }
    let mut raw = read_raw(spec, root, limits)?;
    let known = spec.fields.iter().map(|field| known(preprocessing, field)).collect::<Result<Vec<Prepared>>>()?;
    let classes: Vec<Option<DimSpec>> =
        known.iter().map(|field| field.dim.clone().or_else(|| field.one_hot.clone())).collect();
    let parts = parts(spec, &raw, &classes)?;
    let mut built = Vec::new();
    for ((at, field), prepared) in spec.fields.iter().enumerate().zip(known) {
        let made = match &field.from {
            Selector::Grid(_) => on_grid(field, prepared.dim, &built),
            _ => stored(&mut raw, at, prepared),
        };
        built.push(made.map_err(|error| error.field(field.place).file(&raw.name))?);
    }
    finished(spec, raw, built, parts, Vec::new())
}

/// A field whose steps are known.
fn stored(raw: &mut Raw, at: usize, prepared: Prepared) -> Result<Field> {
    if prepared.text.is_none() {
        fields::check_sizes(raw, at, &prepared)?;
        return fields::store(raw, at, prepared);
    }
    let (made, notes) = ragged::store(raw, at, prepared)?;
    raw.notes.extend(notes);
    Ok(made)
}

/// A field that tells of the boxes of another, which stands before it.
fn on_grid(field: &FieldSpec, dim: Option<DimSpec>, built: &[Field]) -> Result<Field> {
    let Selector::Grid(grid) = &field.from else {
        return Err(DataError::new("E0502", format!("`{}` is not on a grid", field.name)));
    };
    let objects = built.iter().find(|built| built.name() == grid.of).and_then(Field::objects);
    let Some(objects) = objects else {
        return Err(DataError::new("E0502", format!("there is no field of boxes `{}`", grid.of)));
    };
    let axes = field.shape.iter().zip([grid.rows, grid.columns, 4]);
    let axes = axes.map(|(axis, size)| Axis { name: axis.name.clone(), size }).collect();
    Ok(Field::on_grid(Prepared::plain(&field.name, axes, dim, &field.from), grid.clone(), objects.clone()))
}

fn read_raw(spec: &DataSpec, root: &Path, limits: Limits) -> Result<Raw> {
    raw::read(spec, root, limits).map_err(|error| error.field(spec.source_place))
}

fn parts(spec: &DataSpec, raw: &Raw, classes: &[Option<DimSpec>]) -> Result<Parts> {
    let strata = strata(spec, raw, classes)?;
    let known = Known {
        count: raw.count,
        official: raw.official,
        files: raw.files,
        strata: strata.as_deref(),
        groups: raw.groups.as_ref(),
    };
    split(&spec.split, &known).map_err(|error| error.file(&raw.name).field(spec.split_place))
}

fn finished(spec: &DataSpec, raw: Raw, fields: Vec<Field>, parts: Parts, solved: Vec<Solved>) -> Result<Dataset> {
    let ragged = ragged::lengths(&fields).map_err(|error| error.file(&raw.name))?;
    let table = raw.table.as_ref().map(|table| TableFormat {
        columns: table.columns,
        header: table.header.clone(),
        skip: table.dialect.skip,
        missing: table.dialect.missing.clone(),
        decimal: table.dialect.decimal,
    });
    let (name, notes) = (spec.name.clone(), raw.notes);
    let (shift, placings) = (0, vec![]);
    Ok(Dataset {
        name,
        count: raw.count,
        fields,
        parts,
        shift,
        ragged,
        notes,
        placings,
        missing: vec![],
        table,
        solved,
    })
}

/// The dims that the data decided, sorted by name.
pub fn fetch_solved(data: &Dataset) -> Vec<(String, usize, Vec<String>)> {
    let triple = |solved: &Solved| (solved.dim.clone(), solved.size, solved.names.clone());
    data.solved.iter().map(triple).collect()
}

impl Dataset {
    /// Examples without parts, for prediction.
    pub fn of_fields(name: String, count: usize, fields: Vec<Field>) -> Dataset {
        let parts = Parts { test: (0..count as u32).collect(), ..Parts::default() };
        let ragged = ragged::lengths(&fields).unwrap_or_default();
        let (notes, placings, solved) = (Vec::new(), Vec::new(), Vec::new());
        Dataset { name, count, fields, parts, shift: 0, ragged, notes, placings, missing: vec![], table: None, solved }
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name() == name)
    }

    /// E0501 if the cache could not be read at any time: examples are zeros then.
    pub fn whole(&self) -> Result<()> {
        let Some(file) = self.fields.iter().find_map(Field::failure) else { return Ok(()) };
        let error = DataError::new("E0501", format!("`{file}` could not be read to its end"));
        Err(error.file(file).help("a program may have changed it: start again, or without it, `--no-cache`"))
    }

    /// What was done to the picture of an example, where that is known.
    pub fn placing(&self, example: u32) -> Option<Placing> {
        self.placings.get(example as usize).copied()
    }

    /// Whether a value of a field was missing in an example.
    pub fn lacks(&self, field: &str, example: u32) -> bool {
        let known = self.missing.iter().find(|(name, _)| name == field);
        known.is_some_and(|(_, examples)| examples.binary_search(&example).is_ok())
    }

    /// Numbers of examples, increasing.
    pub fn part(&self, part: Part) -> &[u32] {
        self.parts.part(part)
    }

    /// The lengths along a dim of which every example has its own.
    pub fn lengths(&self, dim: &str) -> Option<&Ragged> {
        self.ragged.iter().find(|ragged| ragged.dim == dim)
    }

    /// Fills a batch with examples of one field; along variable dims they have `extents`, and zeros past their end.
    pub fn fill(&self, field: &Field, examples: &[u32], extents: &Extents, out: &mut Vec<f32>) {
        let axis = field.lists().and_then(|_| field.prepared.axes.first());
        let width = axis.map_or(field.per_example(), |axis| extents.get(&axis.name).unwrap_or(axis.size));
        out.resize(width * examples.len(), 0.0);
        field.write_padded(examples, width, out);
    }

    /// Writes the examples (numbered as in the source) of one field into a batch. An unknown field is left out.
    pub fn batch(&self, field: &str, examples: &[u32], out: &mut [f32]) {
        if let Some(field) = self.field(field) {
            field.write(examples, out);
        }
    }

    /// Stored in the model, so that new data is treated alike.
    pub fn preprocessing(&self) -> Preprocessing {
        let fields = self.fields.iter().map(|field| field.prepared.clone()).collect();
        Preprocessing { table: self.table.clone(), fields }
    }
}

/// Per field the dim of its classes, with size and names, if it has any.
fn classes(spec: &DataSpec, raw: &Raw) -> Result<Vec<Option<DimSpec>>> {
    let open = |field: &FieldSpec| {
        let dim = field.dim.as_ref().filter(|dim| dim.size.is_none() && !ragged::is_text(field));
        dim.cloned()
    };
    let mut shared: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, dim) in spec.fields.iter().map(open).enumerate() {
        dim.into_iter().for_each(|dim| shared.entry(dim.name).or_default().push(at));
    }
    let mut out = Vec::new();
    for (at, field) in spec.fields.iter().enumerate() {
        // Texts are counted in the training part, which is not known yet.
        let mut dim = field.dim.clone().filter(|_| !ragged::is_text(field));
        if let Some(dim) = dim.as_mut().filter(|dim| dim.size.is_none()) {
            let names = labels::solve(raw, shared.get(&dim.name).map_or(&[], Vec::as_slice));
            check_solved(field, names.len())?;
            (dim.size, dim.names) = (Some(names.len()), names);
        }
        let one_hot = field.steps.iter().find_map(|step| match step {
            FieldStep::OneHot { size } => Some(*size),
            _ => None,
        });
        if let Some(size) = one_hot.filter(|_| dim.is_none()) {
            dim = Some(one_hot_dim(raw, at, field, size)?);
        }
        out.push(dim);
    }
    Ok(out)
}

fn check_solved(field: &FieldSpec, classes: usize) -> Result<()> {
    match classes {
        0 => Err(DataError::new("E0503", format!("field `{}` has no classes", field.name))
            .field(field.place)
            .help("all its cells are missing")),
        _ => Ok(()),
    }
}

/// One number per class: as many as the data has, or as were declared. Whole numbers below a
/// declared size are their own index.
fn one_hot_dim(raw: &Raw, at: usize, field: &FieldSpec, size: Option<usize>) -> Result<DimSpec> {
    let axis = field.shape.last();
    let name = axis.map_or_else(|| field.name.clone(), |axis| axis.name.clone());
    let names = labels::solve(raw, &[at]);
    check_solved(field, names.len())?;
    let size = size.or_else(|| axis.and_then(|axis| axis.size));
    let own = DimSpec { name, size, names: Vec::new() };
    let lookup = Lookup::new(&own);
    let below = |text: &String| lookup.text(text).is_some();
    let is_numbers = matches!(raw.fields.get(at).map(|field| &field.values), Some(Values::Numbers(_)));
    match size {
        Some(size) if size != names.len() || is_numbers => {
            if names.iter().all(below) {
                return Ok(own);
            }
            let message = format!(
                "field `{}` has {} classes, and `one_hot` makes {size} numbers of each",
                field.name,
                names.len()
            );
            Err(DataError::new("E0511", message).field(field.place).file(&raw.name))
        }
        _ => Ok(DimSpec { size: Some(names.len()), names, ..own }),
    }
}

/// The class of each example, where the split is stratified.
fn strata(spec: &DataSpec, raw: &Raw, classes: &[Option<DimSpec>]) -> Result<Option<Vec<u32>>> {
    let Split::Ratio { stratify: Some(name), .. } = &spec.split else { return Ok(None) };
    let at = spec.fields.iter().position(|field| field.name == *name);
    let found = at.and_then(|at| Some((at, classes.get(at)?.as_ref()?, spec.fields.get(at)?)));
    let Some((at, dim, field)) = found else {
        return Err(
            DataError::new("E0502", format!("`stratify = {name}` needs a field of classes")).field(spec.split_place)
        );
    };
    let indices = labels::indices(raw, at, name, dim).map_err(|error| error.field(field.place))?;
    match indices.len() == raw.count {
        true => Ok(Some(indices)),
        false => {
            Err(DataError::new("E0502", format!("`{name}` has several classes per example")).field(spec.split_place))
        }
    }
}

/// Dims without a size, from axes and from classes; all uses must agree.
fn solved(spec: &DataSpec, built: &[Field]) -> Result<Vec<Solved>> {
    let mut all: BTreeMap<String, Solved> = BTreeMap::new();
    for (field, made) in spec.fields.iter().zip(built) {
        let prepared = &made.prepared;
        let mut found = Vec::new();
        for (axis, made) in field.shape.iter().zip(&prepared.axes) {
            let one_hot = prepared.one_hot.as_ref().filter(|dim| dim.name == axis.name);
            let names = one_hot.map(|dim| dim.names.clone()).unwrap_or_default();
            if axis.size.is_none() && axis.most.is_none() {
                found.push(Solved { dim: axis.name.clone(), size: made.size, names });
            }
        }
        let open = field.dim.as_ref().is_some_and(|dim| dim.size.is_none());
        if let Some(dim) = prepared.dim.as_ref().filter(|_| open) {
            let (size, names) = (dim.names.len(), dim.names.clone());
            found.push(Solved { dim: dim.name.clone(), size, names });
        }
        for solved in found {
            let known = all.entry(solved.dim.clone()).or_insert_with(|| solved.clone());
            if known.size != solved.size {
                let message = format!(
                    "dim `{}` cannot be solved: it is {} elsewhere and {} in field `{}`",
                    solved.dim, known.size, solved.size, field.name
                );
                return Err(DataError::new("E0503", message).field(field.place));
            }
            if known.names.is_empty() {
                known.names = solved.names;
            }
        }
    }
    Ok(all.into_values().collect())
}

mod sequence;
#[cfg(test)]
mod tests;
mod windows;
