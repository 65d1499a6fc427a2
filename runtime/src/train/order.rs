//! The order of training: a permutation per epoch, or a file.

use std::path::Path;

use super::batches::{Batch, in_order, mixed};
use crate::data::bytes::{Limits, open};
use crate::data::dataset::Dataset;
use crate::data::error::{DataError, Result, grouped};
use crate::data::npy;
use crate::data::order::permutation;
use crate::data::random::Stream;
use crate::data::split::Part;

/// Example numbers of `--order FILE`: one a line, or an `.npy` array.
pub fn read_order(path: &Path, limits: Limits) -> Result<Vec<u32>> {
    let name = path.display().to_string();
    let fail = |message: String| DataError::new("E0506", message).file(&name);
    if name.ends_with(".npy") {
        let numbers = npy::read_file(Path::new(""), &name, limits)?.numbers;
        let whole =
            |number: f32| (number >= 0.0 && number.fract() == 0.0 && number < 16_777_216.0).then_some(number as u32);
        return (0..numbers.len())
            .map(|at| {
                let number = numbers.get(at);
                whole(number).ok_or_else(|| fail(format!("value {at}, {number}, is not the number of an example")))
            })
            .collect();
    }
    let bytes = open(Path::new(""), &name)?.read_all(limits)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(at, line)| {
            line.parse().map_err(|_| {
                let line: String = line.chars().take(40).collect();
                fail(format!("line {at}, `{line}`, is not the number of an example"))
            })
        })
        .collect()
}

/// Which examples each epoch visits, and in which order.
#[derive(Clone, Copy)]
pub enum Order<'a> {
    Shuffled {
        seed: u64,
        train: &'a [u32],
        /// Every epoch moves all examples by up to so much.
        shift: u32,
    },
    /// Given: one epoch, or several of the size of the training part.
    Given { all: &'a [u32], epoch: usize },
}

impl Order<'_> {
    pub fn new<'a>(data: &'a Dataset, seed: u64, given: Option<&'a [u32]>) -> Result<Order<'a>> {
        let train = data.part(Part::Train);
        let Some(all) = given else { return Ok(Order::Shuffled { seed, train, shift: data.shift }) };
        if all.is_empty() {
            return Err(DataError::new("E0506", "the order of examples is empty"));
        }
        if let Some(bad) = all.iter().find(|example| train.binary_search(example).is_err()) {
            let message =
                format!("the order names example {}, which is not in the training part", grouped(*bad as usize));
            return Err(
                DataError::new("E0506", message).help("examples are numbered from 0 in the order of the source")
            );
        }
        let epoch = if all.len().is_multiple_of(train.len()) { train.len() } else { all.len() };
        Ok(Order::Given { all, epoch })
    }

    /// Examples of one epoch.
    pub fn len(&self) -> usize {
        match self {
            Order::Shuffled { train, .. } => train.len(),
            Order::Given { epoch, .. } => *epoch,
        }
    }

    /// The batches of epoch number `epoch`, from 0.
    pub fn batches(&self, data: &Dataset, batch: usize, epoch: usize) -> Vec<Batch> {
        let examples = self.epoch(epoch);
        match self {
            Order::Shuffled { seed, .. } => mixed(data, &examples, batch, (*seed, epoch)),
            Order::Given { .. } => in_order(data, &examples, batch),
        }
    }

    /// Of epoch number `epoch`, from 0.
    fn epoch(&self, epoch: usize) -> Vec<u32> {
        match self {
            Order::Shuffled { seed, train, shift } => {
                let order = permutation(*seed, epoch as u64, train.len());
                let by = Stream::new("shift", &[*seed, epoch as u64]).below(u64::from(*shift) + 1) as u32;
                order.iter().filter_map(|at| train.get(*at as usize)).map(|example| example + by).collect()
            }
            Order::Given { all, epoch: len } => {
                let chunk = epoch % (all.len() / (*len).max(1)).max(1);
                all.chunks(*len).nth(chunk).unwrap_or_default().to_vec()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::split::Parts;

    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("order.txt");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_order(&path, Limits::default())
        };
        assert_eq!(read("3\r\n 1\n\n2").unwrap(), [3, 1, 2]);
        assert_eq!(read("3\nx").unwrap_err().code, "E0506");
        assert_eq!(read("-3").unwrap_err().code, "E0506");
        assert_eq!(read_order(dir.path(), Limits::default()).unwrap_err().code, "E0501");
    }

    #[test]
    fn one_epoch_or_several() {
        let mut data = Dataset::of_fields("d".into(), 4, vec![]);
        data.parts = Parts { train: vec![0, 2], val: vec![1], test: vec![3] };
        let of = |given: &[u32], epoch| Order::new(&data, 0, Some(given)).map(|order| order.epoch(epoch));
        assert_eq!(of(&[2, 0, 0, 2], 1).unwrap(), [0, 2]);
        assert_eq!(of(&[2, 0, 0, 2], 2).unwrap(), [2, 0]);
        assert_eq!(of(&[2, 0, 2], 5).unwrap(), [2, 0, 2]);
        assert_eq!(of(&[2, 1], 0).unwrap_err().code, "E0506");
        assert_eq!(of(&[], 0).unwrap_err().code, "E0506");
        let mut shuffled = Order::new(&data, 7, None).unwrap().epoch(3);
        shuffled.sort_unstable();
        assert_eq!(shuffled, [0, 2]);
    }
}
