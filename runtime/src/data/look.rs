//! What data holds, counted part by part: classes, numbers, texts, boxes, what is missing, and what stands in it twice.

mod doubles;
mod told;

pub use doubles::{Doubles, doubles};
pub use told::told;

use super::dataset::Dataset;
use super::fields::Field;
use super::objects::Objects;
use super::spec::{ColumnRef, Selector};
use super::split::Part;
use super::text::tokens::UNKNOWN;

/// Elements of an example that are counted each for itself; of more, all are counted together.
const APART: usize = 64;

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldLook {
    pub name: String,
    /// Names and sizes of the axes of one example.
    pub axes: Vec<(String, usize)>,
    pub kind: Kind,
    /// Of each part that has examples.
    pub parts: Vec<PartLook>,
}

/// What a field's values are.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number for each of these; one entry without a name where all are counted together.
    Numbers(Vec<String>),
    Classes {
        dim: String,
        names: Vec<String>,
    },
    /// Symbols, as many as each example has.
    Texts {
        dim: String,
        names: Vec<String>,
        most: usize,
    },
    Boxes {
        names: Vec<String>,
    },
}

/// A field in one part.
#[derive(Clone, Debug, PartialEq)]
pub struct PartLook {
    pub part: Part,
    /// Examples that lack a value, which a step filled in.
    pub missing: usize,
    /// In the order of [`Kind::Numbers`].
    pub numbers: Vec<Range>,
    /// How often each class or symbol occurs.
    pub counts: Vec<u64>,
    /// Points and objects that belong to no class or are left out.
    pub ignored: u64,
    /// How many symbols a text or boxes a picture has.
    pub lengths: Range,
    /// Symbols that are not in the vocabulary.
    pub unknown: u64,
    /// Pictures without a box.
    pub empty: usize,
}

/// Numbers, as the network sees them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub count: u64,
    pub least: f64,
    pub most: f64,
    sum: f64,
    squares: f64,
}

impl Default for Range {
    fn default() -> Range {
        Range { count: 0, least: f64::INFINITY, most: f64::NEG_INFINITY, sum: 0.0, squares: 0.0 }
    }
}

impl Range {
    fn add(&mut self, x: f64) {
        self.count += 1;
        (self.least, self.most) = (self.least.min(x), self.most.max(x));
        self.sum += x;
        self.squares += x * x;
    }

    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// The standard deviation.
    pub fn spread(&self) -> f64 {
        (self.squares / self.count.max(1) as f64 - self.mean() * self.mean()).max(0.0).sqrt()
    }
}

/// Looks at the fields of the data; those that training makes of boxes are told by their boxes.
pub fn look(data: &Dataset) -> Vec<FieldLook> {
    data.fields.iter().filter(|field| field.grid().is_none()).map(|field| of_field(data, field)).collect()
}

fn of_field(data: &Dataset, field: &Field) -> FieldLook {
    let kind = kind(data, field);
    let parts = Part::ALL.into_iter().filter(|part| !data.part(*part).is_empty());
    let parts = parts.map(|part| of_part(data, field, &kind, part)).collect();
    let axes = field.prepared.axes.iter().map(|axis| (axis.name.clone(), axis.size)).collect();
    FieldLook { name: field.name().to_string(), axes, kind, parts }
}

fn kind(data: &Dataset, field: &Field) -> Kind {
    let prepared = &field.prepared;
    let named = |dim: &super::spec::DimSpec| -> Vec<String> {
        let size = dim.size.unwrap_or(dim.names.len());
        (0..size).map(|class| dim.names.get(class).cloned().unwrap_or_else(|| class.to_string())).collect()
    };
    let names = prepared.dim.as_ref().or(prepared.one_hot.as_ref()).map(named).unwrap_or_default();
    let dim = prepared.dim.as_ref().or(prepared.one_hot.as_ref()).map(|dim| dim.name.clone());
    if field.objects().is_some() {
        return Kind::Boxes { names };
    }
    match (dim, field.lists()) {
        (Some(dim), Some(_)) => Kind::Texts { dim, names, most: field.per_example() },
        (Some(dim), None) => Kind::Classes { dim, names },
        (None, _) => Kind::Numbers(titles(data, field)),
    }
}

/// What the numbers of one example are called.
fn titles(data: &Dataset, field: &Field) -> Vec<String> {
    let prepared = &field.prepared;
    let width = field.per_example();
    if width > APART || prepared.axes.len() > 1 {
        return vec![String::new()];
    }
    let header = data.preprocessing().table.map(|table| table.header).unwrap_or_default();
    let of = |column: &ColumnRef| match column {
        ColumnRef::Named(name) => name.clone(),
        ColumnRef::At(at) => header.get(*at).cloned().unwrap_or_else(|| format!("column {at}")),
    };
    let known: Vec<String> = match &prepared.from {
        Selector::Column(column) => vec![of(column)],
        Selector::Columns(columns) => columns.iter().map(of).collect(),
        Selector::ColumnsFrom(first) => (0..width).map(|at| of(&ColumnRef::At(first + at))).collect(),
        _ => vec![],
    };
    match known.len() == width && prepared.window.is_none() {
        true => known,
        false if width == 1 || prepared.window.is_some() => vec![String::new()],
        false => (0..width).map(|at| at.to_string()).collect(),
    }
}

fn of_part(data: &Dataset, field: &Field, kind: &Kind, part: Part) -> PartLook {
    let examples = data.part(part);
    let lacks = |example: &&u32| data.lacks(field.name(), **example);
    let mut look = PartLook {
        part,
        missing: examples.iter().filter(lacks).count(),
        numbers: vec![],
        counts: vec![],
        ignored: 0,
        lengths: Range::default(),
        unknown: 0,
        empty: 0,
    };
    match kind {
        Kind::Boxes { names } => look.boxes(field.objects().map(AsRef::as_ref), examples, names.len()),
        Kind::Texts { names, .. } => look.texts(field, examples, names),
        Kind::Classes { names, .. } => look.classes(field, examples, names.len()),
        Kind::Numbers(titles) => look.ranges(field, examples, titles.len()),
    }
    look
}

impl PartLook {
    fn boxes(&mut self, objects: Option<&Objects>, examples: &[u32], classes: usize) {
        let Some(objects) = objects else { return };
        self.counts = vec![0; classes];
        for example in examples {
            let own = objects.of(*example as usize);
            self.lengths.add(own.len() as f64);
            self.empty += usize::from(own.is_empty());
            for object in own {
                self.ignored += u64::from(object.ignored);
                self.counts.iter_mut().skip(object.class as usize).take(1).for_each(|count| *count += 1);
            }
        }
    }

    fn texts(&mut self, field: &Field, examples: &[u32], names: &[String]) {
        let Some(lists) = field.lists() else { return };
        let unknown = names.iter().position(|name| name == UNKNOWN).map(|at| at as u32);
        self.counts = vec![0; names.len()];
        for example in examples {
            let own = lists.get(*example as usize);
            self.lengths.add(own.len() as f64);
            for symbol in own {
                self.unknown += u64::from(Some(*symbol) == unknown);
                self.counts.iter_mut().skip(*symbol as usize).take(1).for_each(|count| *count += 1);
            }
        }
    }

    fn classes(&mut self, field: &Field, examples: &[u32], classes: usize) {
        let one_hot = field.prepared.dim.is_none();
        let mut values = vec![0.0; field.per_example()];
        self.counts = vec![0; classes];
        for example in examples {
            field.write(&[*example], &mut values);
            let mut count = |class: usize| match self.counts.get_mut(class) {
                Some(count) => *count += 1,
                None => self.ignored += 1,
            };
            match one_hot {
                true => {
                    let cells = values.chunks_exact(classes.max(1));
                    cells.filter_map(|cell| cell.iter().position(|x| *x > 0.5)).for_each(&mut count);
                }
                false => values.iter().for_each(|x| count(*x as usize)),
            }
        }
    }

    fn ranges(&mut self, field: &Field, examples: &[u32], apart: usize) {
        let mut values = vec![0.0; field.per_example()];
        self.numbers = vec![Range::default(); apart];
        for example in examples {
            field.write(&[*example], &mut values);
            let of = |at: usize| if apart == 1 { 0 } else { at };
            values.iter().enumerate().for_each(|(at, x)| self.numbers[of(at)].add(f64::from(*x)));
        }
    }
}

#[cfg(test)]
mod tests;
