//! How large one batch is: its examples, and the elements along each dim of which every example has its own length.

/// The extents of one executable. A dim that is not named has the most elements that the program allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extents {
    pub batch: usize,
    /// Sorted by name.
    dims: Vec<(String, usize)>,
}

impl Extents {
    pub fn new(batch: usize, dims: impl IntoIterator<Item = (String, usize)>) -> Extents {
        let mut dims: Vec<_> = dims.into_iter().collect();
        dims.sort();
        Extents { batch, dims }
    }

    /// Says how many elements there are along a dim.
    pub fn set(&mut self, dim: &str, extent: usize) {
        self.dims.retain(|(name, _)| name != dim);
        self.dims.push((dim.to_string(), extent));
        self.dims.sort();
    }

    /// Elements along a dim of variable length, where they were said.
    pub fn get(&self, dim: &str) -> Option<usize> {
        self.dims.iter().find(|(name, _)| name == dim).map(|(_, extent)| *extent)
    }
}

impl From<usize> for Extents {
    /// So many examples, and the most elements that the program allows.
    fn from(batch: usize) -> Extents {
        Extents { batch, dims: Vec::new() }
    }
}

/// The name of the input that holds each example's length along a dim; no name of a program looks like it.
pub fn length_input(dim: &str) -> String {
    format!("length({dim})")
}

/// The dim whose lengths an input holds.
pub fn dim_of_input(input: &str) -> Option<&str> {
    input.strip_prefix("length(")?.strip_suffix(')')
}

/// The output that says of how many elements a loss is the mean; without it, the mean is one over the examples.
pub fn count_output(loss: &str) -> String {
    format!("count({loss})")
}

/// The least extent that executables are compiled for, at least `length` and at most `most`.
///
/// Multiples of 4, beyond 32 of an eighth of the power of two above: a table has at most a quarter more elements than
/// its longest example needs (beyond 16), and a dim of 200 has 17 extents, so that few programs are compiled.
pub fn rounded(length: usize, most: usize) -> usize {
    let grain = (length.max(1).next_power_of_two() / 8).max(4);
    length.max(1).next_multiple_of(grain).min(most.max(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_close() {
        let mut all: Vec<usize> = (1..=200).map(|length| rounded(length, 200)).collect();
        assert!(
            all.iter()
                .zip(1..)
                .all(|(extent, length)| *extent >= length && *extent <= (length + 3).max(length * 5 / 4))
        );
        all.dedup();
        assert_eq!(all, [4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 200]);
        assert_eq!(rounded(3, 3), 3);
    }

    #[test]
    fn names() {
        assert_eq!(dim_of_input(&length_input("t")), Some("t"));
        assert_eq!(dim_of_input("length"), None);
        let extents = Extents::new(2, [("t".to_string(), 5), ("s".to_string(), 3)]);
        assert_eq!((extents.get("s"), extents.get("t"), extents.get("u")), (Some(3), Some(5), None));
    }
}
