//! Operands to try ops on.

use dlc_compiler::base::{Element, Tensor, TensorType};

/// A small deterministic generator (a 64-bit linear congruence, upper bits).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as usize
    }

    /// In [-1, 1).
    pub fn unit(&mut self) -> f32 {
        self.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0
    }
}

/// What the numbers of an operand look like.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// All different, of both signs, none near zero.
    Mixed,
    /// All different, positive.
    Positive,
    /// Few different ones, many zeros.
    Ties,
}

/// Between two different numbers of `Mixed` or `Positive` data with `count` numbers.
pub fn gap(count: usize) -> f32 {
    1.4 / count as f32
}

/// Operands of the given types. Numbers are different across all of them together.
pub fn operands(types: &[TensorType], kind: Kind, seed: u64) -> Vec<Tensor> {
    let mut numbers = Numbers(seed);
    let count: usize = types.iter().map(TensorType::count).sum();
    let mut ranks: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        ranks.swap(i, numbers.below(i + 1));
    }
    let mut next = ranks.into_iter();
    let mut number = |numbers: &mut Numbers, element: Element| match (element, kind) {
        (Element::Index { extent }, _) => numbers.below(extent) as f32,
        (Element::Number, Kind::Ties) => [-1.0, 0.0, 0.0, 1.0, 2.0][numbers.below(5)],
        (Element::Number, Kind::Mixed | Kind::Positive) => {
            let rank = next.next().expect("one rank per number");
            let size = 0.3 + gap(count) * rank as f32;
            // Away from 1, where `floor` jumps.
            let size = if size > 0.95 { size + 0.1 } else { size };
            if kind == Kind::Mixed && numbers.below(2) == 0 { -size } else { size }
        }
    };
    let tensor = |ty: &TensorType| Tensor::from_fn(&ty.shape, |_| number(&mut numbers, ty.element));
    types.iter().map(tensor).collect()
}

/// Equal up to `tolerance`, relative for large numbers; NaN equals NaN.
pub fn close(a: f32, b: f32, tolerance: f32) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
}

pub fn assert_close(a: &Tensor, b: &Tensor, tolerance: f32, what: &str) {
    assert_eq!(a.shape, b.shape, "{what}: shapes");
    for (i, (x, y)) in a.data.iter().zip(&b.data).enumerate() {
        assert!(close(*x, *y, tolerance), "{what}: element {i} is {x}, should be {y}");
    }
}
