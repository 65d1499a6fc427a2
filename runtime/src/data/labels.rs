//! Classes: which index a cell means, and which classes the data has.

use std::collections::{BTreeSet, HashMap};

use super::array::Numbers;
use super::error::{DataError, Result, counted, grouped, quoted};
use super::objects::{Called, Objects};
use super::raw::{Raw, Values};
use super::spec::{DimSpec, FieldSpec, FieldStep};

/// The names of a dim, ready to be looked up: a column of texts may have as many classes as rows.
pub struct Lookup<'a> {
    names: HashMap<&'a str, u32>,
    /// By the bits of the number; empty where no name is one.
    numbers: HashMap<u64, u32>,
    size: usize,
}

impl<'a> Lookup<'a> {
    pub fn new(dim: &'a DimSpec) -> Lookup<'a> {
        let (mut names, mut numbers) = (HashMap::new(), HashMap::new());
        for (at, name) in dim.names.iter().enumerate() {
            names.entry(name.as_str()).or_insert(at as u32);
            if let Ok(number) = name.parse::<f64>() {
                numbers.entry(bits(number)).or_insert(at as u32);
            }
        }
        Lookup { names, numbers, size: dim.size.unwrap_or(dim.names.len()) }
    }

    /// The index of a cell, by its name; where no name is a number, the whole number i is name i.
    ///
    /// A dot after the name is passed over (`>50K.` in the test part of adult).
    pub fn text(&self, text: &str) -> Option<u32> {
        let by_name = |text: &str| self.names.get(text).copied();
        let found = by_name(text).or_else(|| by_name(text.strip_suffix('.')?));
        found.or_else(|| self.number(text.parse().ok()?))
    }

    /// The index that a number means.
    pub fn number(&self, number: f64) -> Option<u32> {
        if !self.numbers.is_empty() {
            return self.numbers.get(&bits(number)).copied().filter(|_| !number.is_nan());
        }
        let whole = number >= 0.0 && number.fract() == 0.0 && number < self.size as f64;
        whole.then_some(number as u32)
    }
}

/// Equal numbers have equal bits: there are two zeros.
fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

/// [`Lookup::text`] for a single cell.
pub fn index_of(dim: &DimSpec, text: &str) -> Option<u32> {
    Lookup::new(dim).text(text)
}

/// The classes of the fields `which`, sorted: as numbers where all are, else by bytes.
pub fn solve(raw: &Raw, which: &[usize]) -> Vec<String> {
    let mut names = BTreeSet::new();
    for field in which.iter().filter_map(|field| raw.fields.get(*field)) {
        match &field.values {
            Values::Words(words) => names.extend(words.names.iter().cloned()),
            Values::Boxes(_, classes) => names.extend(classes.iter().map(|class| class.name.clone())),
            Values::Numbers(numbers) => names.extend(distinct(numbers)),
        }
    }
    let undotted = |name: &String| match name.strip_suffix('.') {
        Some(plain) => !names.contains(plain),
        None => true,
    };
    let mut sorted: Vec<String> = names.iter().filter(|name| undotted(name)).cloned().collect();
    let number = |name: &String| name.parse::<f64>().ok().filter(|number| number.is_finite());
    if sorted.iter().all(|name| number(name).is_some()) {
        sorted.sort_by(|a, b| {
            let (a, b) = (number(a).unwrap_or(0.0), number(b).unwrap_or(0.0));
            a.total_cmp(&b)
        });
        // `1` and `1.0` are one class.
        sorted.dedup_by(|a, b| number(a) == number(b));
    }
    sorted
}

fn distinct(numbers: &Numbers) -> BTreeSet<String> {
    match numbers {
        Numbers::U8(values) => {
            let set: BTreeSet<u8> = values.iter().copied().collect();
            set.into_iter().map(|value| value.to_string()).collect()
        }
        Numbers::Stored(values) => {
            let set: BTreeSet<u8> = (0..values.len()).map(|at| values.get(at)).collect();
            set.into_iter().map(|value| value.to_string()).collect()
        }
        Numbers::F32(values) => {
            let set: BTreeSet<u32> = values.iter().filter(|v| v.is_finite()).map(|v| v.to_bits()).collect();
            set.into_iter().map(|bits| f32::from_bits(bits).to_string()).collect()
        }
    }
}

/// The class that missing cells of a field become: `fill("unknown")`.
pub fn filler(spec: &FieldSpec) -> Option<&str> {
    spec.steps.iter().find_map(|step| match step {
        FieldStep::FillClass(class) => Some(class.as_str()),
        _ => None,
    })
}

/// Puts a class where a cell is missing.
pub fn fill(raw: &mut Raw, field: usize, class: &str) {
    let Some(Values::Words(words)) = raw.fields.get_mut(field).map(|field| &mut field.values) else { return };
    if words.cells.iter().all(Option::is_some) {
        return;
    }
    let known = words.names.iter().position(|name| name == class);
    let index = known.unwrap_or_else(|| {
        words.names.push(class.to_string());
        words.names.len() - 1
    });
    words.cells.iter_mut().for_each(|cell| *cell = cell.or(Some(index as u32)));
}

/// All cells of a field as indices into `dim`.
pub fn indices(raw: &Raw, field: usize, name: &str, dim: &DimSpec) -> Result<Vec<u32>> {
    let Some(values) = raw.fields.get(field) else { return Ok(Vec::new()) };
    let width = values.per_example().max(1);
    let lookup = Lookup::new(dim);
    let fail = |at: usize, shown: Option<String>| {
        unknown(raw, dim, shown, count_unknown(&values.values, dim))
            .note(format!("row {}, read by field `{name}`", at / width + 1))
            .at(raw.place(field, at / width, at % width))
    };
    match &values.values {
        Values::Words(words) => {
            let known: Vec<Option<u32>> = words.names.iter().map(|word| lookup.text(word)).collect();
            let index = |(at, cell): (usize, &Option<u32>)| {
                let word = cell.map(|cell| cell as usize);
                let found = word.and_then(|word| known.get(word).copied().flatten());
                found.ok_or_else(|| fail(at, word.and_then(|word| words.names.get(word).cloned())))
            };
            words.cells.iter().enumerate().map(index).collect()
        }
        Values::Boxes(..) => {
            Err(DataError::new("E0502", format!("field `{name}` has boxes, and one class is needed")).file(&raw.name))
        }
        Values::Numbers(numbers) => (0..numbers.len())
            .map(|at| {
                let number = numbers.get(at);
                lookup.number(f64::from(number)).ok_or_else(|| fail(at, Some(number.to_string())))
            })
            .collect(),
    }
}

/// Objects with their classes as indices into `dim`; without one they are all of one class.
pub fn of_objects(raw: &Raw, objects: Objects, classes: &[Called], dim: Option<&DimSpec>) -> Result<Objects> {
    let Some(dim) = dim else { return Ok(objects.with_classes(|_| 0)) };
    let lookup = Lookup::new(dim);
    let known: Vec<Option<u32>> = classes.iter().map(|class| lookup.text(&class.name)).collect();
    match classes.iter().zip(&known).find(|(_, known)| known.is_none()) {
        None => Ok(objects.with_classes(|class| known.get(class as usize).copied().flatten().unwrap_or(0))),
        Some((class, _)) => {
            let count = known.iter().filter(|known| known.is_none()).count();
            let mut error = unknown(raw, dim, Some(class.name.clone()), count);
            error.file = Some(class.file.clone());
            Err(error)
        }
    }
}

fn count_unknown(values: &Values, dim: &DimSpec) -> usize {
    let lookup = Lookup::new(dim);
    match values {
        Values::Words(words) => {
            let known: Vec<bool> = words.names.iter().map(|word| lookup.text(word).is_some()).collect();
            let is_known =
                |cell: &&Option<u32>| cell.is_some_and(|cell| known.get(cell as usize).copied().unwrap_or(false));
            words.cells.len() - words.cells.iter().filter(is_known).count()
        }
        Values::Boxes(_, classes) => classes.iter().filter(|class| lookup.text(&class.name).is_none()).count(),
        Values::Numbers(numbers) => {
            (0..numbers.len()).filter(|at| lookup.number(f64::from(numbers.get(*at))).is_none()).count()
        }
    }
}

fn unknown(raw: &Raw, dim: &DimSpec, shown: Option<String>, count: usize) -> Box<DataError> {
    let message = match &shown {
        Some(text) => format!("`{}` is not a class of `{}`", quoted(text), dim.name),
        None => format!("a cell is missing where a class of `{}` is needed", dim.name),
    };
    let error = DataError::new("E0507", message).file(&raw.name).note(format!(
        "{} not a class",
        if count == 1 { "1 value is".into() } else { format!("{} values are", grouped(count)) }
    ));
    let size = dim.size.unwrap_or(dim.names.len());
    if let (None, Some(name)) = (&shown, dim.names.first()) {
        return error.help(format!("name a class for missing cells: `column(...) |> fill(\"{name}\")`"));
    }
    match dim.names.is_empty() {
        true => error.help(format!(
            "without names, classes are the numbers 0 to {}; give names: `dim {} = [\"...\"]`",
            size.saturating_sub(1),
            dim.name
        )),
        false => {
            let listed: Vec<String> = dim.names.iter().take(20).map(|n| format!("`{n}`")).collect();
            error.help(format!("`{}` has {}: {}", dim.name, counted(size, "name"), listed.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dim(names: &[&str], size: Option<usize>) -> DimSpec {
        let names = names.iter().map(|name| name.to_string()).collect();
        DimSpec { name: "d".into(), size, names }
    }

    #[test]
    fn names_numbers_and_dots() {
        let species = dim(&["setosa", "versicolor"], Some(2));
        assert_eq!(index_of(&species, "versicolor"), Some(1));
        assert_eq!(index_of(&species, "versicolor."), Some(1));
        assert_eq!(index_of(&species, "1"), Some(1));
        assert_eq!(index_of(&species, "1.0"), Some(1));
        assert_eq!(index_of(&species, "2"), None);
        assert_eq!(index_of(&species, "-1"), None);
        assert_eq!(index_of(&species, "0.5"), None);
        let seeds = dim(&["1", "2", "3"], Some(3));
        assert_eq!(index_of(&seeds, "3"), Some(2));
        assert_eq!(index_of(&seeds, "3.0"), Some(2));
        assert_eq!(index_of(&seeds, "0"), None);
        let digits = dim(&[], Some(10));
        assert_eq!(index_of(&digits, "9"), Some(9));
        assert_eq!(index_of(&digits, "10"), None);
        assert_eq!(index_of(&digits, "nan"), None);
    }
}
