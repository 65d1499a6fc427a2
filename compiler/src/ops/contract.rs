//! `contract(a, "nf", b, "fo", "no")`: the sum of products over all letters that the result lacks.
//!
//! # Shape
//! One letter per axis; a letter has one extent wherever it stands, stands at most once in an operand,
//! and at least in two of the three: so no operand is summed by itself.
//!
//! # Gradient
//! Two more contractions, with the letters exchanged.

use super::rules::{demand, fold, misfit, pick};
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value, tensor::for_each_index};
use crate::loops::{Affine, Binary, Expr, Fold, Scope, expr};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Contract {
    pub a: String,
    pub b: String,
    pub y: String,
}

impl dyn Emit + '_ {
    pub fn contract(&mut self, a: Value, la: &str, b: Value, lb: &str, ly: &str) -> Value {
        let op = Contract { a: la.into(), b: lb.into(), y: ly.into() };
        self.emit(op.into(), &[a, b])
    }
}

impl Contract {
    /// The letters summed over, in the order of the first operand.
    pub fn summed(&self) -> Vec<char> {
        self.a.chars().filter(|l| !self.y.contains(*l)).collect()
    }

    fn extent(&self, letter: char, a: &[usize], b: &[usize]) -> usize {
        let find =
            |letters: &str, shape: &[usize]| letters.chars().zip(shape).find(|(l, _)| *l == letter).map(|(_, n)| *n);
        find(&self.a, a).or_else(|| find(&self.b, b)).expect("every letter is one of an operand")
    }
}

/// The value of each letter of `letters`: from `y` where it is one of the result's, else from the sum.
fn lookup<T: Clone>(letters: &str, known: &[(char, T)]) -> Vec<T> {
    let find = |l: char| known.iter().find(|(k, _)| *k == l).expect("every letter is known").1.clone();
    letters.chars().map(find).collect()
}

impl OpDef<2> for Contract {
    const NAME: &'static str = "contract";

    fn attributes(&self) -> String {
        format!("{},{}->{}", self.a, self.b, self.y)
    }

    fn infer(&self, [a, b]: [&TensorType; 2]) -> Result<TensorType, Misfit> {
        for (operand, letters, ty) in [(0, &self.a, a), (1, &self.b, b)] {
            demand(letters.chars().count() == ty.rank(), operand, || format!("the axes {letters}"))?;
        }
        let all = [&self.a, &self.b, &self.y];
        for (operand, letters) in all.iter().enumerate() {
            for l in letters.chars() {
                let once = letters.matches(l).count() == 1;
                let shared = all.iter().filter(|other| other.contains(l)).count() >= 2;
                demand(once && shared, operand.min(1), || format!("letters other than {l}"))?;
            }
        }
        for (l, n) in self.b.chars().zip(&b.shape) {
            if self.extent(l, &a.shape, &b.shape) != *n {
                return misfit(1, format!("{l} = {}", self.extent(l, &a.shape, &b.shape)));
            }
        }
        let shape: Vec<usize> = self.y.chars().map(|l| self.extent(l, &a.shape, &b.shape)).collect();
        Ok(TensorType::new(&shape))
    }

    fn element(&self, s: &mut Scope, [a, b]: [&dyn Operand; 2], at: &[Affine]) -> Expr {
        let summed = self.summed();
        let extents: Vec<usize> = summed.iter().map(|l| self.extent(*l, &a.ty().shape, &b.ty().shape)).collect();
        fold(s, Fold::Add, &extents, |s, over| {
            let known: Vec<(char, Affine)> = self.y.chars().chain(summed).zip(at.iter().chain(over).cloned()).collect();
            let a = a.at(s, &lookup(&self.a, &known));
            let b = b.at(s, &lookup(&self.b, &known));
            expr::binary(Binary::Mul, a, b)
        })
    }

    fn grad(&self, e: &mut dyn Emit, [a, b]: [Value; 2], _: Value, dy: Value) -> [Option<Value>; 2] {
        let da = e.contract(dy, &self.y, b, &self.b, &self.a);
        let db = e.contract(a, &self.a, dy, &self.y, &self.b);
        [Some(da), Some(db)]
    }

    fn eval(&self, [a, b]: [&Tensor; 2]) -> Tensor {
        let extents =
            |letters: &[char]| -> Vec<usize> { letters.iter().map(|l| self.extent(*l, &a.shape, &b.shape)).collect() };
        let kept: Vec<char> = self.y.chars().collect();
        let summed = self.summed();
        Tensor::from_fn(&extents(&kept), |at| {
            let mut sum = 0.0f64;
            for_each_index(&extents(&summed), |over| {
                let known: Vec<(char, usize)> =
                    kept.iter().chain(&summed).copied().zip(at.iter().chain(over).copied()).collect();
                let a = a.get(&lookup(&self.a, &known));
                let b = b.get(&lookup(&self.b, &known));
                sum += f64::from(a) * f64::from(b);
            });
            sum as f32
        })
    }

    fn samples() -> Vec<(Self, [TensorType; 2])> {
        let letters = "nmkabc";
        let extents = [2, 3, 4, 3, 1, 2];
        let ty = |of: &str| {
            let axes: Vec<usize> = of.chars().filter_map(|l| letters.find(l)).collect();
            TensorType::new(&pick(&extents, &axes))
        };
        let sample =
            |(a, b, y): (&str, &str, &str)| (Contract { a: a.into(), b: b.into(), y: y.into() }, [ty(a), ty(b)]);
        [
            ("nk", "km", "nm"),
            ("kn", "mk", "mn"),
            ("ank", "akm", "anm"),
            ("nk", "nk", "n"),
            ("nk", "nk", ""),
            ("n", "m", "nm"),
            ("ncak", "kamb", "ncmb"),
            ("nk", "k", "kn"),
        ]
        .into_iter()
        .map(sample)
        .collect()
    }
}
