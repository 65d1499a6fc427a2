//! The order of examples: a permutation that is a pure function of (seed, epoch).

use super::random::Stream;

/// Positions `0..count` as epoch `epoch` visits them.
pub fn permutation(seed: u64, epoch: u64, count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    Stream::new("order", &[seed, epoch]).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_once_and_every_epoch_another_order() {
        for count in [0, 1, 2, 7, 1000] {
            let order = permutation(3, 1, count);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..count as u32).collect::<Vec<_>>());
            assert_eq!(order, permutation(3, 1, count));
        }
        assert_ne!(permutation(3, 1, 100), permutation(3, 2, 100));
        assert_ne!(permutation(3, 1, 100), permutation(4, 1, 100));
    }
}
