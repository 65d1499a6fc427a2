//! One example's value of a field, in few words.

use std::collections::BTreeMap;

use crate::data::dataset::Dataset;
use crate::data::error::{counted, quoted};
use crate::data::fields::Field;
use crate::data::spec::DimSpec;

/// Numbers that are written out.
const MOST: usize = 6;

/// What a field says of an example; of pictures their size.
pub fn told(data: &Dataset, field: &Field, example: u32) -> String {
    if let Some(objects) = field.objects() {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        let own = objects.of(example as usize);
        own.iter().for_each(|object| *counts.entry(object.class).or_default() += 1);
        let dim = field.prepared.dim.as_ref();
        let name = |class: u32| dim.map_or_else(|| class.to_string(), |dim| class_name(dim, class as usize));
        let each = counts.iter().map(|(class, count)| format!("{count} {}", name(*class)));
        let all: Vec<String> = each.collect();
        return if own.is_empty() { "no boxes".into() } else { all.join(", ") };
    }
    if let Some(text) = field.text(example) {
        return format!("\"{}\"", quoted(text));
    }
    if let (Some(lists), Some(dim)) = (field.lists(), &field.prepared.dim) {
        return symbols(dim, lists.get(example as usize).iter().map(|x| *x as usize));
    }
    let mut values = vec![0.0; field.per_example()];
    data.batch(field.name(), &[example], &mut values);
    let sizes: Vec<String> = field.prepared.axes.iter().map(|axis| axis.size.to_string()).collect();
    match (&field.prepared.dim, field.prepared.axes.len()) {
        (Some(dim), 0) => class_name(dim, values.first().map_or(0, |x| *x as usize)),
        (Some(dim), 1) => symbols(dim, values.iter().map(|x| *x as usize)),
        (None, 0 | 1) => {
            let shown: Vec<String> = values.iter().take(MOST).map(|x| shown(*x)).collect();
            let more =
                if values.len() > MOST { format!(" ... ({})", counted(values.len(), "number")) } else { String::new() };
            format!("{}{more}", shown.join(" "))
        }
        _ => sizes.join(" x "),
    }
}

/// Four digits are enough to see.
fn shown(x: f32) -> String {
    let short = format!("{x:.4}");
    match short.contains('.') && x.abs() >= 1e-3 || x == 0.0 {
        true => short.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => format!("{x:.3e}"),
    }
}

fn class_name(dim: &DimSpec, class: usize) -> String {
    dim.names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

/// Letters stand together, words apart.
fn symbols(dim: &DimSpec, of: impl Iterator<Item = usize>) -> String {
    let names: Vec<String> = of.take(100).map(|symbol| class_name(dim, symbol)).collect();
    let letters = dim.names.iter().filter(|name| name.chars().count() == 1).count() * 2 > dim.names.len();
    format!("\"{}\"", quoted(&names.join(if letters { "" } else { " " })))
}
