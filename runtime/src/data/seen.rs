//! Which classes the training part holds: what it never shows cannot be learned.

use super::dataset::Dataset;
use super::error::{counted, grouped};
use super::fields::Field;
use super::spec::{DataSpec, DimSpec, Place};
use super::split::Part;

/// Classes in a message.
const LISTED: usize = 8;

/// What is odd about data that can be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Odd {
    /// A lint: there is nothing to learn from a field that always says the same.
    OneClass { message: String, note: Option<String>, help: String, place: Place },
    /// A fact to know.
    Note(String),
}

/// Looks at each field of one class an example.
pub fn odd_classes(spec: &DataSpec, data: &Dataset) -> Vec<Odd> {
    let fields = spec.fields.iter().filter_map(|field| Some((field.place, data.field(&field.name)?)));
    fields.filter_map(|(place, field)| odd(data, field, place)).collect()
}

fn odd(data: &Dataset, field: &Field, place: Place) -> Option<Odd> {
    let (dim, classes) = (field.prepared.dim.as_ref()?, field.classes()?);
    let size = dim.size.unwrap_or(dim.names.len());
    let holds = |examples: &[u32]| {
        let mut held = vec![false; size];
        let classes = examples.iter().filter_map(|example| classes.get(*example as usize));
        classes.for_each(|class| held.iter_mut().skip(*class as usize).take(1).for_each(|held| *held = true));
        held
    };
    let train = data.part(Part::Train);
    let held = holds(train);
    let missing: Vec<usize> = (0..size).filter(|class| !held[*class]).collect();
    let name = field.name();
    if size - missing.len() == 1 {
        let only = held.iter().position(|held| *held).unwrap_or(0);
        let elsewhere = [Part::Val, Part::Test].into_iter().any(|part| {
            let held = holds(data.part(part));
            missing.iter().any(|class| held[*class])
        });
        let help = match elsewhere {
            true => format!("let each part have its share of each class: `ratio(..., stratify = {name})`"),
            false => format!("take data with other classes, or leave out the field `{name}`"),
        };
        let message = format!("only one class of `{}` occurs in the training part: `{}`", dim.name, class(dim, only));
        let note = elsewhere.then(|| "other classes occur in the other parts of the split".to_string());
        let message = format!("{message}, in {}", counted(train.len(), "example"));
        return Some(Odd::OneClass { message, note, help, place });
    }
    let listed: Vec<String> = missing.iter().take(LISTED).map(|at| format!("`{}`", class(dim, *at))).collect();
    let more = if missing.len() > LISTED { ", ..." } else { "" };
    (!missing.is_empty()).then(|| {
        Odd::Note(format!(
            "note: {} of {} classes of `{}` never occur in the training part: {}{more}",
            grouped(missing.len()),
            grouped(size),
            dim.name,
            listed.join(", ")
        ))
    })
}

fn class(dim: &DimSpec, at: usize) -> String {
    dim.names.get(at).cloned().unwrap_or_else(|| at.to_string())
}
