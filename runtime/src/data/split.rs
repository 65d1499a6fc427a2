//! Which examples train, which choose the best epoch, and which are kept for the last test.
//!
//! Every example is in exactly one part, and no part that the program asks for is empty.

use super::error::{DataError, Result, counted};
use super::random::Stream;
use super::raw::Words;
use super::spec::Split;

/// Of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Train,
    Val,
    Test,
}

impl Part {
    pub const ALL: [Part; 3] = [Part::Train, Part::Val, Part::Test];

    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Val => "val",
            Part::Test => "test",
        }
    }
}

/// Numbers of examples, increasing in each part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    pub train: Vec<u32>,
    pub val: Vec<u32>,
    pub test: Vec<u32>,
}

impl Parts {
    pub fn part(&self, part: Part) -> &[u32] {
        match part {
            Part::Train => &self.train,
            Part::Val => &self.val,
            Part::Test => &self.test,
        }
    }
}

/// What the source and the fields know about the examples.
pub struct Known<'a> {
    pub count: usize,
    /// Examples at the front that are the official training part.
    pub official: Option<usize>,
    /// Examples of the files of each part, which follow each other.
    pub files: Option<[usize; 3]>,
    /// The class of each example, where the split is stratified.
    pub strata: Option<&'a [u32]>,
    pub groups: Option<&'a Words>,
}

pub fn split(split: &Split, known: &Known<'_>) -> Result<Parts> {
    let too_many = u32::try_from(known.count).is_err();
    if too_many {
        return Err(DataError::new("E0502", "more than 4,294,967,295 examples"));
    }
    let mut parts = match split {
        Split::Ratio { train, val, test, stratify: _, group: _, seed } => {
            let shares = shares(*train, *val, *test)?;
            ratio(shares, known, *seed)?
        }
        Split::Official { val, seed } => official(*val, *seed, known)?,
        Split::Files { val, seed } => files(*val, *seed, known)?,
        Split::InOrder { train, val, test } => in_order(shares(*train, *val, *test)?, known.count),
    };
    parts.train.sort_unstable();
    parts.val.sort_unstable();
    parts.test.sort_unstable();
    let (val, test) = match split {
        Split::Ratio { val, test, .. } | Split::InOrder { val, test, .. } => (*val, *test),
        Split::Official { val, .. } => (*val, 1.0),
        Split::Files { val, .. } => (*val, 0.0),
    };
    for (part, share) in [(Part::Train, 1.0), (Part::Val, val), (Part::Test, test)] {
        if share > 0.0 && parts.part(part).is_empty() {
            let message =
                format!("the {} part is empty: the data has {}", part.name(), counted(known.count, "example"));
            return Err(DataError::new("E0509", message).help("give this part a larger share, or none at all"));
        }
    }
    Ok(parts)
}

/// Train and val; the test part is the rest.
pub fn shares(train: f64, val: f64, test: f64) -> Result<(f64, f64)> {
    let all = train + val + test;
    let whole = (all - 1.0).abs() < 1e-6;
    if !whole || [train, val, test].iter().any(|share| !(0.0..=1.0).contains(share)) {
        let message = format!("the parts add up to {:.4} %, not to 100 %", 100.0 * all);
        return Err(DataError::new("E0509", message)
            .help("every example belongs to one part: `ratio(train = 80%, val = 10%, test = 10%)`"));
    }
    Ok((train, val))
}

/// Ends of train and val among `count` examples.
fn bounds((train, val): (f64, f64), count: usize) -> (usize, usize) {
    let at = |share: f64| ((count as f64 * share).round() as usize).min(count);
    (at(train), at(train + val).max(at(train)))
}

/// As the files are called; without files for validation, a share of those for training.
fn files(val: f64, seed: u64, known: &Known<'_>) -> Result<Parts> {
    let Some([train, own, test]) = known.files else {
        let message = "`split = files` needs files of the parts, and this source has one for all";
        return Err(DataError::new("E0502", message)
            .help("write `{part}` in the path, for `train`, `val` and `test`, or `ratio(train = 80%, val = 20%)`"));
    };
    let range = |from: usize, count: usize| (from as u32..(from + count) as u32).collect::<Vec<u32>>();
    let parts = Parts { train: range(0, train), val: range(train, own), test: range(train + own, test) };
    if own > 0 || val == 0.0 {
        return Ok(parts);
    }
    let mut all = parts.train;
    Stream::new("split", &[seed]).shuffle(&mut all);
    let kept = ((train as f64 * val).round() as usize).min(train);
    let train = all.split_off(kept);
    Ok(Parts { train, val: all, test: parts.test })
}

fn in_order(shares: (f64, f64), count: usize) -> Parts {
    let all: Vec<u32> = (0..count as u32).collect();
    let (train, val) = bounds(shares, count);
    Parts { train: all[..train].into(), val: all[train..val].into(), test: all[val..].into() }
}

fn ratio(shares: (f64, f64), known: &Known<'_>, seed: u64) -> Result<Parts> {
    let mut stream = Stream::new("split", &[seed]);
    let whole = || (0..known.count as u32).collect::<Vec<_>>();
    match (known.strata, known.groups) {
        (Some(_), Some(_)) => Err(DataError::new("E0502", "a split is by class or by group, not both")
            .help("leave out `stratify` or `group`")),
        (None, Some(groups)) => Ok(by_group(shares, known.count, groups, &mut stream)),
        (Some(strata), None) => {
            let classes = strata.iter().max().map_or(0, |most| *most as usize + 1);
            let mut sets = vec![Vec::new(); classes.min(known.count.max(1 << 16))];
            for (example, class) in (0u32..).zip(strata) {
                match sets.get_mut(*class as usize) {
                    Some(set) => set.push(example),
                    None => sets[0].push(example),
                }
            }
            Ok(by_sets(shares, sets, &mut stream))
        }
        (None, None) => Ok(by_sets(shares, vec![whole()], &mut stream)),
    }
}

/// Cuts every set by the shares. What rounding takes from one set the next gets back, so that the
/// sizes of the parts are those of an unstratified split.
fn by_sets(shares: (f64, f64), sets: Vec<Vec<u32>>, stream: &mut Stream) -> Parts {
    let mut parts = Parts::default();
    let mut before = 0;
    for mut set in sets {
        stream.shuffle(&mut set);
        let (train, val) = bounds(shares, before + set.len());
        let more_train = train.saturating_sub(parts.train.len()).min(set.len());
        let done = parts.train.len() + parts.val.len();
        let to_val = val.saturating_sub(done).clamp(more_train, set.len());
        before += set.len();
        parts.train.extend(&set[..more_train]);
        parts.val.extend(&set[more_train..to_val]);
        parts.test.extend(&set[to_val..]);
    }
    parts
}

/// Whole groups: each goes to the part that lacks the largest share of its examples.
fn by_group(shares: (f64, f64), count: usize, groups: &Words, stream: &mut Stream) -> Parts {
    let mut sets = vec![Vec::new(); groups.names.len() + 1];
    for (example, group) in (0u32..).zip(&groups.cells) {
        let at = group.map_or(groups.names.len(), |group| group as usize);
        sets[at].push(example);
    }
    sets.retain(|set| !set.is_empty());
    stream.shuffle(&mut sets);
    let (train, val) = bounds(shares, count);
    let wanted = [train, val - train, count - val];
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for set in sets {
        let lack = |at: &usize| wanted[*at] as f64 - parts[*at].len() as f64;
        let share = |at: &usize| lack(at) / (wanted[*at] as f64).max(1e-9);
        let open = (0..3).filter(|at| wanted[*at] > 0);
        let best = open.max_by(|a, b| share(a).total_cmp(&share(b)).then(b.cmp(a)));
        parts[best.unwrap_or(0)].extend(set);
    }
    let [train, val, test] = parts;
    Parts { train, val, test }
}

fn official(val: f64, seed: u64, known: &Known<'_>) -> Result<Parts> {
    let Some(train) = known.official else {
        return Err(DataError::new("E0502", "this source has no official parts")
            .help("cut it yourself: `split = ratio(train = 80%, val = 10%, test = 10%)`"));
    };
    let (keep, _) = shares(1.0 - val, val, 0.0)?;
    let mut examples: Vec<u32> = (0..train.min(known.count) as u32).collect();
    Stream::new("split", &[seed]).shuffle(&mut examples);
    let (cut, _) = bounds((keep, val), examples.len());
    let held = examples.split_off(cut);
    Ok(Parts { train: examples, val: held, test: (train as u32..known.count as u32).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_ratio(train: f64, val: f64, test: f64, seed: u64) -> Split {
        Split::Ratio { train, val, test, stratify: None, group: None, seed }
    }

    fn known(count: usize) -> Known<'static> {
        Known { count, official: None, files: None, strata: None, groups: None }
    }

    fn sizes(parts: &Parts) -> [usize; 3] {
        [parts.train.len(), parts.val.len(), parts.test.len()]
    }

    fn assert_whole(parts: &Parts, count: usize) {
        let mut all = [&parts.train[..], &parts.val, &parts.test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..count as u32).collect::<Vec<_>>());
    }

    #[test]
    fn sizes_are_what_was_asked_for() {
        let parts = split(&by_ratio(0.7, 0.15, 0.15, 1), &known(150)).unwrap();
        assert_eq!(sizes(&parts), [105, 23, 22]);
        assert_whole(&parts, 150);
        let again = split(&by_ratio(0.7, 0.15, 0.15, 1), &known(150)).unwrap();
        assert_eq!(parts, again);
        assert_ne!(parts, split(&by_ratio(0.7, 0.15, 0.15, 2), &known(150)).unwrap());
        let parts = split(&Split::InOrder { train: 0.8, val: 0.0, test: 0.2 }, &known(10)).unwrap();
        assert_eq!(parts.test, [8, 9]);
    }

    #[test]
    fn classes_keep_their_shares() {
        let strata: Vec<u32> = (0..150).map(|i| i / 50).collect();
        let known = Known { strata: Some(&strata), ..known(150) };
        let parts = split(&by_ratio(0.7, 0.15, 0.15, 1), &known).unwrap();
        assert_eq!(sizes(&parts), [105, 23, 22]);
        assert_whole(&parts, 150);
        for part in Part::ALL {
            for class in 0..3 {
                let n = parts.part(part).iter().filter(|e| strata[**e as usize] == class).count();
                let ideal = parts.part(part).len() as f64 / 3.0;
                assert!((n as f64 - ideal).abs() <= 1.0, "{part:?} {class} {n}");
            }
        }
    }

    #[test]
    fn groups_stay_together() {
        let cells: Vec<Option<u32>> = (0..100).map(|i| Some(i % 20)).collect();
        let names = (0..20).map(|i| i.to_string()).collect();
        let groups = Words { names, cells: cells.clone() };
        let known = Known { groups: Some(&groups), ..known(100) };
        let parts = split(&by_ratio(0.8, 0.1, 0.1, 5), &known).unwrap();
        assert_eq!(sizes(&parts), [80, 10, 10]);
        assert_whole(&parts, 100);
        let of = |part: &[u32]| part.iter().map(|e| cells[*e as usize]).collect::<Vec<_>>();
        assert!(of(&parts.test).iter().all(|group| !of(&parts.train).contains(group)));
    }

    #[test]
    fn official_parts() {
        let known = Known { official: Some(60), ..known(70) };
        let parts = split(&Split::Official { val: 0.1, seed: 0 }, &known).unwrap();
        assert_eq!(sizes(&parts), [54, 6, 10]);
        assert_eq!(parts.test, (60..70).collect::<Vec<_>>());
        assert_whole(&parts, 70);
        let parts = split(&Split::Official { val: 0.0, seed: 0 }, &known).unwrap();
        assert_eq!(sizes(&parts), [60, 0, 10]);
    }

    #[test]
    fn empty_and_incomplete_parts() {
        let code = |kind: &Split, count| split(kind, &known(count)).unwrap_err().code;
        assert_eq!(code(&by_ratio(0.9, 0.05, 0.05, 1), 3), "E0509");
        assert_eq!(code(&by_ratio(0.5, 0.2, 0.2, 1), 100), "E0509");
        assert_eq!(code(&by_ratio(0.0, 0.5, 0.5, 1), 100), "E0509");
        assert_eq!(code(&by_ratio(1.0, 0.0, 0.0, 1), 0), "E0509");
        assert_eq!(code(&Split::Official { val: 0.1, seed: 1 }, 100), "E0502");
    }

    proptest! {
        #[test]
        fn no_example_is_lost(
            count in 1usize..400, a in 0.0f64..1.0, b in 0.0f64..1.0,
            seed in 0u64..50, classes in 1u32..9,
        ) {
            let (train, val) = (a, b * (1.0 - a));
            let strata: Vec<u32> = (0..count as u32).map(|i| i.wrapping_mul(i) % classes).collect();
            for strata in [None, Some(&strata[..])] {
                let known = Known { count, official: None, files: None, strata, groups: None };
                if let Ok(parts) = split(&by_ratio(train, val, 1.0 - train - val, seed), &known) {
                    assert_whole(&parts, count);
                    let plain = bounds((train, val), count);
                    prop_assert!(parts.train.len().abs_diff(plain.0) <= 1);
                }
            }
        }
    }
}
