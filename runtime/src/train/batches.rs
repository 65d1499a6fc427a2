//! How examples are put together: where each has its own length, those of like lengths.

use crate::data::dataset::{Dataset, Ragged};
use crate::data::random::Stream;
use crate::extents::{Extents, rounded};

/// Examples that are run at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub examples: Vec<u32>,
    pub extents: Extents,
}

/// Among so many batches those of like lengths are looked for: chance still decides most of what comes together.
const MIXED: usize = 64;

/// The examples in the order given, `batch` at once, the last batch smaller.
pub fn in_order(data: &Dataset, examples: &[u32], batch: usize) -> Vec<Batch> {
    let ragged: Vec<&Ragged> = data.ragged.iter().collect();
    examples.chunks(batch.max(1)).map(|examples| of(&ragged, examples.to_vec())).collect()
}

/// The same where order does not matter: the shortest first, so that few are padded.
pub fn by_length(data: &Dataset, examples: &[u32], batch: usize) -> Vec<Batch> {
    alike(data, examples, batch, None)
}

/// The same without regard to the lengths along one dim: no extent is said of it.
pub fn alike(data: &Dataset, examples: &[u32], batch: usize, but: Option<&str>) -> Vec<Batch> {
    let ragged: Vec<&Ragged> = data.ragged.iter().filter(|ragged| Some(ragged.dim.as_str()) != but).collect();
    let sorted = sorted(&ragged, examples);
    sorted.chunks(batch.max(1)).map(|examples| of(&ragged, examples.to_vec())).collect()
}

/// Each example once, in batches of like lengths; a function of (seed, epoch) and of the order given.
pub fn mixed(data: &Dataset, examples: &[u32], batch: usize, (seed, epoch): (u64, usize)) -> Vec<Batch> {
    if data.ragged.is_empty() {
        return in_order(data, examples, batch);
    }
    let ragged: Vec<&Ragged> = data.ragged.iter().collect();
    let mut all = Vec::new();
    for (part, examples) in examples.chunks(batch.max(1).saturating_mul(MIXED)).enumerate() {
        let mut batches = in_order(data, &sorted(&ragged, examples), batch);
        Stream::new("batches", &[seed, epoch as u64, part as u64]).shuffle(&mut batches);
        all.append(&mut batches);
    }
    all
}

/// By extents, then as they were: what chance put side by side stays so.
fn sorted(ragged: &[&Ragged], examples: &[u32]) -> Vec<u32> {
    let mut sorted = examples.to_vec();
    let key = |example: &u32| -> Vec<usize> {
        ragged.iter().map(|ragged| rounded(length(ragged, *example), ragged.most)).collect()
    };
    sorted.sort_by_cached_key(key);
    sorted
}

fn of(ragged: &[&Ragged], examples: Vec<u32>) -> Batch {
    let extents = Extents::new(
        examples.len(),
        ragged.iter().map(|ragged| {
            let longest = examples.iter().map(|example| length(ragged, *example)).max().unwrap_or(1);
            (ragged.dim.clone(), rounded(longest, ragged.most))
        }),
    );
    Batch { examples, extents }
}

/// The length of an example.
pub fn length(ragged: &Ragged, example: u32) -> usize {
    ragged.lengths.get(example as usize).map_or(1, |length| *length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Dataset {
        let mut data = Dataset::of_fields("d".into(), 1000, vec![]);
        let lengths = |by: u32, most: u32| (0..1000).map(|i| 1 + i * by % most).collect();
        data.ragged = vec![
            Ragged { dim: "s".into(), most: 20, lengths: lengths(7, 20) },
            Ragged { dim: "t".into(), most: 37, lengths: lengths(11, 37) },
        ];
        data
    }

    fn checked(data: &Dataset, examples: &[u32], batches: &[Batch]) {
        let mut met: Vec<u32> = batches.iter().flat_map(|batch| batch.examples.clone()).collect();
        met.sort_unstable();
        let mut wanted = examples.to_vec();
        wanted.sort_unstable();
        assert_eq!(met, wanted);
        for batch in batches {
            assert_eq!(batch.extents.batch, batch.examples.len());
            for ragged in &data.ragged {
                let longest = batch.examples.iter().map(|e| length(ragged, *e)).max().unwrap();
                let extent = batch.extents.get(&ragged.dim).unwrap();
                assert!(longest <= extent && extent <= ragged.most && extent < longest + 4 + longest / 4);
            }
        }
        assert_eq!(batches.iter().filter(|batch| batch.examples.len() < 16).count(), 1);
    }

    #[test]
    fn each_example_once() {
        let data = data();
        let examples: Vec<u32> = (0..999).rev().collect();
        checked(&data, &examples, &in_order(&data, &examples, 16));
        checked(&data, &examples, &by_length(&data, &examples, 16));
        let first = mixed(&data, &examples, 16, (1, 0));
        checked(&data, &examples, &first);
        assert_eq!(first, mixed(&data, &examples, 16, (1, 0)));
        assert_ne!(first, mixed(&data, &examples, 16, (1, 1)));
        let padded = |batches: &[Batch]| -> usize {
            batches.iter().map(|b| b.extents.batch * b.extents.get("t").unwrap() * b.extents.get("s").unwrap()).sum()
        };
        assert!(padded(&first) * 3 < padded(&in_order(&data, &examples, 16)) * 2);
    }

    #[test]
    fn without_lengths_the_order_is_kept() {
        let data = Dataset::of_fields("d".into(), 10, vec![]);
        let batches = mixed(&data, &[3, 1, 2], 2, (0, 0));
        let examples: Vec<_> = batches.into_iter().map(|batch| batch.examples).collect();
        assert_eq!(examples, [vec![3, 1], vec![2]]);
    }
}
