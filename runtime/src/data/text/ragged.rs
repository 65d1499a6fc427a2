//! Fields of texts: each example has its own length.

use std::collections::BTreeMap;

use super::tokens::{Counts, END, Keep, Shift, Text, UNKNOWN, Vocabulary};
use crate::data::dataset::Ragged;
use crate::data::error::{DataError, Result, counted, grouped};
use crate::data::fields::Field;
use crate::data::preprocessing::Prepared;
use crate::data::raw::{Raw, Values, Words};
use crate::data::spec::{DataSpec, DimSpec, FieldSpec};
use crate::data::steps::{Axis, Chain};

/// Values of all examples, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists {
    pub values: Vec<u32>,
    /// Where each example ends.
    pub ends: Vec<u64>,
}

impl Lists {
    pub fn push(&mut self, values: &[u32]) {
        self.values.extend_from_slice(values);
        self.ends.push(self.values.len() as u64);
    }

    pub fn get(&self, example: usize) -> &[u32] {
        let start = example.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or(0));
        let end = self.ends.get(example).copied().unwrap_or(start);
        self.values.get(start as usize..end as usize).unwrap_or_default()
    }

    pub fn lengths(&self) -> Vec<u32> {
        (0..self.ends.len()).map(|example| self.get(example).len() as u32).collect()
    }
}

/// Whether a field is made of text.
pub fn is_text(field: &FieldSpec) -> bool {
    Text::of(&field.steps).is_some()
}

/// The most symbols of a field.
fn most(field: &FieldSpec) -> Result<usize> {
    let axis = field.shape.first().filter(|_| field.shape.len() == 1);
    axis.and_then(|axis| axis.most.or(axis.size)).ok_or_else(|| {
        DataError::new("E0511", format!("field `{}` is not one list of symbols", field.name)).field(field.place)
    })
}

fn cells(raw: &Raw, at: usize) -> Result<&Words> {
    match raw.fields.get(at).map(|field| &field.values) {
        Some(Values::Words(words)) => Ok(words),
        _ => Err(DataError::new("E0506", "numbers where a text is needed").file(&raw.name)),
    }
}

/// The dims that the training part decides, by their names.
pub fn vocabularies(spec: &DataSpec, raw: &Raw, train: &[u32]) -> Result<BTreeMap<String, DimSpec>> {
    let mut of_dim: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, field) in spec.fields.iter().enumerate().filter(|(_, field)| is_text(field)) {
        let Some(dim) = &field.dim else {
            let message = format!("field `{}` is symbols, and its type has no dim for them", field.name);
            return Err(DataError::new("E0511", message)
                .field(field.place)
                .help("write `tokens: word[t]`, with `dim word`"));
        };
        of_dim.entry(dim.name.clone()).or_default().push(at);
    }
    let mut all = BTreeMap::new();
    for (name, fields) in of_dim {
        if let Some(dim) = vocabulary(spec, raw, train, &fields)? {
            all.insert(name, dim);
        }
    }
    Ok(all)
}

/// One dim of the fields `which`; `None` where the program names its symbols.
fn vocabulary(spec: &DataSpec, raw: &Raw, train: &[u32], which: &[usize]) -> Result<Option<DimSpec>> {
    let Some(first) = which.first().and_then(|at| spec.fields.get(*at)) else { return Ok(None) };
    let (Some((text, keep)), Some(dim)) = (Text::of(&first.steps), &first.dim) else { return Ok(None) };
    if !dim.names.is_empty() {
        return Ok(None);
    }
    let mut counts = Counts::default();
    let mut ended = false;
    // The two fields of `next_token` are one text.
    let mut counted_from = Vec::new();
    for at in which {
        let field = &spec.fields[*at];
        let own = Text::of(&field.steps).map(|(own, keep)| (own.lowercase, own.unit, keep));
        if own != Some((text.lowercase, text.unit, keep)) {
            let message =
                format!("`{}` and `{}` share `{}` and cut their texts differently", first.name, field.name, dim.name);
            return Err(DataError::new("E0503", message)
                .field(field.place)
                .help("give them the same steps, or each a dim of its own"));
        }
        ended |= Text::of(&field.steps).is_some_and(|(own, _)| own.shift.is_some());
        if counted_from.contains(&&field.from) {
            continue;
        }
        counted_from.push(&field.from);
        let (words, most) = (cells(raw, *at)?, most(field)?);
        for example in train {
            if let Some(Some(cell)) = words.cells.get(*example as usize) {
                text.each(&words.names[*cell as usize], most, &mut |symbol| counts.add(symbol));
            }
        }
    }
    let specials: &[&str] = if ended { &[UNKNOWN, END] } else { &[UNKNOWN] };
    let empty = counts.is_empty();
    let names = counts.names(&text, keep, specials);
    let size = names.len();
    if size == specials.len() {
        let error = match empty {
            true => {
                let message = format!("all {} of the training part are empty", counted(train.len(), "text"));
                let help = format!("`{}` gets its symbols from these texts: look at what writes them", dim.name);
                DataError::new("E0503", message).help(help)
            }
            false => none_kept(&text, (keep, specials), dim),
        };
        return Err(error.file(&raw.name).field(first.place));
    }
    match dim.size {
        Some(declared) if declared != size => {
            let message =
                format!("`{}` has {} symbols, and the texts have {}", dim.name, grouped(declared), grouped(size));
            Err(DataError::new("E0511", message)
                .file(&raw.name)
                .field(first.place)
                .help(format!("let the texts decide: `dim {}`", dim.name)))
        }
        _ => Ok(Some(DimSpec { size: Some(size), names, ..dim.clone() })),
    }
}

fn none_kept(text: &Text, (keep, specials): (Keep, &[&str]), dim: &DimSpec) -> Box<DataError> {
    let message = format!("no {} of the training part is kept in `{}`", text.noun(), dim.name);
    DataError::new("E0503", message).help(match keep.most <= specials.len() {
        true => format!("`keep` counts {} too: keep more", specials.join(" and ")),
        false => "keep rarer ones, `words(min_count = 1)`, or take more text".to_string(),
    })
}

/// A field of texts, its dim known; and what to tell about it.
pub fn build(raw: &Raw, at: usize, field: &FieldSpec, dim: DimSpec) -> Result<(Field, Vec<String>)> {
    let text = Text::of(&field.steps).map(|(text, _)| text).unwrap_or_default();
    let axes =
        field.shape.iter().map(|axis| Axis { name: axis.name.clone(), size: axis.most.or(axis.size).unwrap_or(1) });
    let prepared = Prepared {
        name: field.name.clone(),
        axes: axes.collect(),
        dim: Some(dim),
        one_hot: None,
        from: field.from.clone(),
        chain: Chain::default(),
        fill: None,
        text: Some(text),
        window: None,
        picture: Vec::new(),
    };
    store(raw, at, prepared)
}

/// The same with known steps, as of a model file.
pub fn store(raw: &Raw, at: usize, prepared: Prepared) -> Result<(Field, Vec<String>)> {
    let words = cells(raw, at)?;
    let (Some(text), Some(dim)) = (&prepared.text, &prepared.dim) else {
        return Err(DataError::new("E0506", "no text where one is needed"));
    };
    let most = prepared.axes.first().map_or(1, |axis| axis.size).max(1);
    let known = Vocabulary::new(dim);
    let each: Vec<_> = words.names.iter().map(|line| known.encode(text, line, most)).collect();
    let nothing = known.encode(text, "", most);
    let mut lists = Lists::default();
    let (mut unknown, mut symbols, mut cut, mut empty) = (0, 0, 0, 0);
    for cell in &words.cells {
        let encoded = cell.and_then(|cell| each.get(cell as usize)).unwrap_or(&nothing);
        lists.push(&encoded.indices);
        unknown += encoded.unknown;
        symbols += encoded.own;
        cut += usize::from(encoded.whole > most);
        let is_empty = cell.and_then(|cell| words.names.get(cell as usize)).is_none_or(|line| line.trim().is_empty());
        empty += usize::from(is_empty);
    }
    if unknown > 0 && known.unknown().is_none() {
        return Err(missing(raw, words, (text, dim), unknown));
    }
    // Once for the two fields of `next_token`.
    let mut notes = Vec::new();
    if text.shift != Some(Shift::Ahead) {
        let (name, all) = (&prepared.name, words.cells.len());
        if cut > 0 {
            let axis = prepared.axes.first().map_or("", |axis| axis.name.as_str());
            notes.push(format!(
                "note: {} of {} texts of `{name}` are longer than {most} and are cut: `dim {axis} <= {most}`",
                grouped(cut),
                grouped(all)
            ));
        }
        if empty > 0 {
            notes.push(format!("note: {} of {} texts of `{name}` are empty", grouped(empty), grouped(all)));
        }
        if unknown > 0 {
            notes.push(format!(
                "note: {} of {} of `{name}` are not in `{}`, and are read as unknown",
                grouped(unknown),
                counted(symbols, text.noun()),
                dim.name
            ));
        }
    }
    let texts = (text.shift == Some(Shift::Before)).then(|| words.clone());
    Ok((Field::ragged(prepared, lists, texts), notes))
}

/// `1 word is`, `2 words are`
fn are(count: usize, noun: &str) -> String {
    format!("{} {}", counted(count, noun), if count == 1 { "is" } else { "are" })
}

/// Symbols that the program's own list does not have.
fn missing(raw: &Raw, words: &Words, (text, dim): (&Text, &DimSpec), count: usize) -> Box<DataError> {
    let known = Vocabulary::new(dim);
    let mut first = None;
    for (line, from) in words.names.iter().enumerate() {
        text.each(from, usize::MAX, &mut |symbol| {
            if first.is_none() && known.symbols(text, symbol, 1).1 > 0 {
                first = Some((line, symbol.to_string()));
            }
        });
    }
    let (line, symbol) = first.unwrap_or_default();
    let example = words.cells.iter().position(|cell| *cell == Some(line as u32)).unwrap_or(0);
    let symbol = crate::data::error::quoted(&symbol);
    DataError::new("E0507", format!("`{symbol}` is not in `{}`", dim.name))
        .file(&raw.name)
        .note(format!("first in example {}; {} not", grouped(example + 1), are(count, text.noun())))
        .help(format!("add it, or let the texts decide: `dim {}`", dim.name))
}

/// The dims along which examples have their own lengths; fields that share one must agree.
pub fn lengths(fields: &[Field]) -> Result<Vec<Ragged>> {
    let mut all: Vec<(Ragged, &str)> = Vec::new();
    for field in fields {
        let (Some(lists), Some(axis)) = (field.lists(), field.prepared.axes.first()) else { continue };
        let lengths = lists.lengths();
        let Some((known, other)) = all.iter().find(|(known, _)| known.dim == axis.name) else {
            all.push((Ragged { dim: axis.name.clone(), most: axis.size, lengths }, field.name()));
            continue;
        };
        if let Some(at) = (0..lengths.len()).find(|at| known.lengths.get(*at) != lengths.get(*at)) {
            let message = format!("`{other}` and `{}` share `{}`, and have different lengths", field.name(), axis.name);
            let of = |lengths: &[u32]| lengths.get(at).copied().unwrap_or(0);
            return Err(DataError::new("E0511", message)
                .note(format!("example {}: {} and {}", grouped(at + 1), of(&known.lengths), of(&lengths)))
                .help(format!(
                    "give each a dim of its own: `dim {0} <= {1}`, `dim {0}2 <= {1}`",
                    axis.name, axis.size
                )));
        }
    }
    Ok(all.into_iter().map(|(ragged, _)| ragged).collect())
}
