//! Examples that stand in two parts: what is tested was seen in training then.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use crate::data::dataset::Dataset;
use crate::data::fields::Field;
use crate::data::split::Part;

/// Pairs that are named.
const NAMED: usize = 5;

/// Examples of one part that another has too.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubles {
    pub first: Part,
    pub second: Part,
    /// Examples of the second part that equal one of the first in every field.
    pub equal: usize,
    /// Examples that one of the first equals in all inputs, but in no case in all other fields.
    pub alike: usize,
    /// Some of them: numbers of the examples, as in the source.
    pub pairs: Vec<(u32, u32)>,
}

/// Compares the parts with each other, and each with itself (there the later example counts). `inputs`: the fields that a network reads; of
/// none, all.
pub fn doubles(data: &Dataset, inputs: &[String]) -> Vec<Doubles> {
    let all: Vec<&Field> = data.fields.iter().filter(|field| field.grid().is_none()).collect();
    let read: Vec<&Field> =
        all.iter().copied().filter(|field| inputs.iter().any(|name| name == field.name())).collect();
    let read = if read.is_empty() { &all } else { &read };
    let keys = |part: Part| -> Vec<Keys> { data.part(part).iter().map(|at| Keys::of(*at, read, &all)).collect() };
    let parts = Part::ALL.map(|part| (part, keys(part)));
    let mut found = vec![];
    for (at, (first, from)) in parts.iter().enumerate() {
        for (second, to) in &parts[at..] {
            found.extend(between((*first, from), (*second, to)));
        }
    }
    found
}

/// One example: hashes of 128 bits.
struct Keys {
    example: u32,
    inputs: u128,
    all: u128,
}

impl Keys {
    fn of(example: u32, inputs: &[&Field], all: &[&Field]) -> Keys {
        Keys { example, inputs: hash(example, inputs), all: hash(example, all) }
    }
}

fn hash(example: u32, fields: &[&Field]) -> u128 {
    let mut hashers = [DefaultHasher::new(), DefaultHasher::new()];
    hashers[1].write_u8(1);
    let mut add = |x: u64| hashers.iter_mut().for_each(|hasher| hasher.write_u64(x));
    for field in fields {
        if let Some(objects) = field.objects() {
            for object in objects.of(example as usize) {
                add(u64::from(object.class));
                object.corners.iter().for_each(|x| add(x.to_bits()));
            }
        } else if let Some(text) = field.text(example) {
            text.bytes().for_each(|byte| add(u64::from(byte)));
        } else if let Some(lists) = field.lists() {
            lists.get(example as usize).iter().for_each(|x| add(u64::from(*x)));
        } else {
            let mut values = vec![0.0; field.per_example()];
            field.write(&[example], &mut values);
            values.iter().for_each(|x| add(u64::from(x.to_bits())));
        }
        add(u64::MAX);
    }
    let [low, high] = hashers.map(|hasher| u128::from(hasher.finish()));
    high << 64 | low
}

fn between((first, from): (Part, &[Keys]), (second, to): (Part, &[Keys])) -> Option<Doubles> {
    let mut equal: HashMap<u128, u32> = HashMap::new();
    let mut alike: HashMap<u128, u32> = HashMap::new();
    let mut found = Doubles { first, second, equal: 0, alike: 0, pairs: vec![] };
    let learn = |equal: &mut HashMap<u128, u32>, alike: &mut HashMap<u128, u32>, keys: &Keys| {
        equal.entry(keys.all).or_insert(keys.example);
        alike.entry(keys.inputs).or_insert(keys.example);
    };
    if first != second {
        from.iter().for_each(|keys| learn(&mut equal, &mut alike, keys));
    }
    for keys in to {
        let same = match (equal.get(&keys.all), alike.get(&keys.inputs)) {
            (Some(other), _) => {
                found.equal += 1;
                Some(*other)
            }
            (None, Some(other)) => {
                found.alike += 1;
                Some(*other)
            }
            (None, None) => None,
        };
        if let Some(other) = same.filter(|_| found.pairs.len() < NAMED) {
            found.pairs.push((other, keys.example));
        }
        if first == second {
            learn(&mut equal, &mut alike, keys);
        }
    }
    (found.equal + found.alike > 0).then_some(found)
}
