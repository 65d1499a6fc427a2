//! Examples in pairs: each gets another one of its own part, every other time one of its class.
//!
//! Which one depends on the epoch and the example alone. Parts without learning are always seen as epoch 0 shows them,
//! and since partners are of the same part, nothing that is tested was seen in training.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::dataset::Dataset;
use super::error::{DataError, Result};
use super::preprocessing::Prepared;
use super::random::Stream;
use super::spec::{DataSpec, FieldSpec, Selector};
use super::split::{Part, Parts};

/// Who can be whose partner.
#[derive(Debug)]
pub struct Partners {
    /// Of each example.
    classes: Vec<u32>,
    /// The part of each example, and its place there.
    places: Vec<Option<(usize, usize)>>,
    parts: [Sorted; 3],
}

/// One part, class by class.
#[derive(Debug, Default)]
struct Sorted {
    examples: Vec<u32>,
    ranges: BTreeMap<u32, Range<usize>>,
}

impl Sorted {
    fn new(examples: &[u32], classes: &[u32]) -> Sorted {
        let class = |example: &u32| classes.get(*example as usize).copied().unwrap_or(0);
        let mut examples = examples.to_vec();
        examples.sort_by_key(class);
        let mut ranges = BTreeMap::new();
        for (at, example) in examples.iter().enumerate() {
            ranges.entry(class(example)).or_insert(at..at).end = at + 1;
        }
        Sorted { examples, ranges }
    }
}

impl Partners {
    pub fn new(classes: &[u32], parts: &Parts) -> Partners {
        let sorted = Part::ALL.map(|part| Sorted::new(parts.part(part), classes));
        let mut places = vec![None; classes.len()];
        for (part, sorted) in sorted.iter().enumerate() {
            for (at, example) in sorted.examples.iter().enumerate() {
                if let Some(place) = places.get_mut(*example as usize) {
                    *place = Some((part, at));
                }
            }
        }
        Partners { classes: classes.to_vec(), places, parts: sorted }
    }

    fn class(&self, example: u32) -> u32 {
        self.classes.get(example as usize).copied().unwrap_or(0)
    }

    /// The partner of an example; itself where its part has no other.
    pub fn of(&self, epoch: u64, example: u32) -> u32 {
        let Some((part, place)) = self.places.get(example as usize).copied().flatten() else { return example };
        let Sorted { examples, ranges } = &self.parts[part];
        let own = ranges.get(&self.class(example)).cloned().unwrap_or(place..place + 1);
        let others = examples.len() - own.len();
        let mut stream = Stream::new("partner", &[epoch, u64::from(example)]);
        let alike = stream.below(2) == 1;
        let found = if (alike && own.len() > 1) || others == 0 {
            // Its own place is left out.
            let at = own.start + stream.below(own.len() as u64 - 1) as usize;
            if at < place || own.len() == 1 { at } else { at + 1 }
        } else {
            let at = stream.below(others as u64) as usize;
            if at < own.start { at } else { at + own.len() }
        };
        examples.get(found).copied().unwrap_or(example)
    }

    /// Whether the partner of an example is of its class.
    pub fn are_alike(&self, epoch: u64, example: u32) -> bool {
        self.class(example) == self.class(self.of(epoch, example))
    }
}

/// Whether a field is read of other examples.
pub fn are_wanted(spec: &DataSpec) -> bool {
    spec.fields.iter().any(is_paired)
}

fn is_paired(field: &FieldSpec) -> bool {
    matches!(field.from, Selector::Partner { .. } | Selector::Alike { .. })
}

/// Loads the other fields, and makes those of pairs of them.
pub fn load(spec: &DataSpec, load: impl Fn(&DataSpec) -> Result<Dataset>) -> Result<Dataset> {
    let fields = spec.fields.iter().filter(|field| !is_paired(field)).cloned().collect();
    let mut data = load(&DataSpec { fields, ..spec.clone() })?;
    let mut known: BTreeMap<String, Arc<Partners>> = BTreeMap::new();
    for (at, field) in spec.fields.iter().enumerate() {
        let (Selector::Partner { by, .. } | Selector::Alike { by }) = &field.from else { continue };
        let none = |name: &str, what: &str| {
            let message = format!("`{}` needs a field `{name}` of {what}", field.name);
            DataError::new("E0502", message).field(field.place).file(&spec.name)
        };
        let classes = data.field(by).and_then(|field| field.classes()).ok_or_else(|| none(by, "one class each"))?;
        let partners = known.entry(by.clone()).or_insert_with(|| Arc::new(Partners::new(classes, &data.parts)));
        let made = match &field.from {
            Selector::Partner { of, .. } => {
                let other = data.field(of).and_then(|other| other.of_partners(&field.name, &field.from, partners));
                other.ok_or_else(|| none(of, "numbers or classes"))?
            }
            from => {
                let prepared = Prepared::plain(&field.name, vec![], field.dim.clone(), from);
                super::fields::Field::alike(prepared, partners)
            }
        };
        data.fields.insert(at.min(data.fields.len()), made);
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partners(classes: &[u32], parts: [Vec<u32>; 3]) -> Partners {
        let [train, val, test] = parts;
        Partners::new(classes, &Parts { train, val, test })
    }

    #[test]
    fn half_are_alike_and_all_of_one_part() {
        let classes: Vec<u32> = (0..600).map(|at| at * 7 % 10).collect();
        let of = |part: u32| (0..600).filter(|at| at % 3 == part).collect::<Vec<u32>>();
        let partners = partners(&classes, [of(0), of(1), of(2)]);
        let (mut alike, mut changed) = (0, 0);
        let mut seen = vec![0; 600];
        for epoch in 0..20 {
            for example in 0..600 {
                let other = partners.of(epoch, example);
                assert!(other != example && other % 3 == example % 3, "{example} {other}");
                assert_eq!(partners.are_alike(epoch, example), classes[other as usize] == classes[example as usize]);
                alike += u32::from(partners.are_alike(epoch, example));
                changed += u32::from(other != partners.of(epoch + 1, example));
                seen[other as usize] += 1;
            }
        }
        assert!((5800..6200).contains(&alike), "{alike}");
        assert!(changed > 11_000, "{changed}");
        // Everyone is somebody's partner, about as often as any other.
        assert!(seen.iter().all(|count| (4..45).contains(count)), "{seen:?}");
    }

    #[test]
    fn where_there_is_nobody_else() {
        let alone = partners(&[0, 1, 1, 1], [vec![0], vec![1, 2], vec![3]]);
        for epoch in 0..9 {
            assert_eq!([0, 1, 2, 3].map(|example| alone.of(epoch, example)), [0, 2, 1, 3]);
            assert_eq!(alone.of(epoch, 17), 17);
        }
        // One of its class, some of another: never alike.
        let single = partners(&[0, 1, 1], [vec![0, 1, 2], vec![], vec![]]);
        assert!((0..20).all(|epoch| !single.are_alike(epoch, 0)));
        assert!((0..20).any(|epoch| single.are_alike(epoch, 1)) && (0..20).any(|epoch| !single.are_alike(epoch, 1)));
    }
}
