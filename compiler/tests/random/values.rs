//! Values of a graph that is being drawn, with their numbers: evaluated at once, to keep them tame.

use dlc_compiler::base::{Element, Tensor, TensorType, Value};
use dlc_compiler::graph::{Graph, Init, StateKind};
use dlc_compiler::ops::{Emit, Op};
use std::collections::BTreeMap;

/// A sequence of decisions; zeros when it runs out.
pub struct Choices<'a> {
    rest: &'a [u32],
    mixed: u64,
}

impl<'a> Choices<'a> {
    pub fn new(all: &'a [u32]) -> Choices<'a> {
        Choices { rest: all, mixed: all.len() as u64 }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes one decision from the sequence; those until the next one follow from it.
    pub fn turn(&mut self) {
        if let Some((first, rest)) = self.rest.split_first() {
            self.mixed = u64::from(*first);
            self.rest = rest;
        }
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.mixed = self.mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.mixed >> 33) % n as u64) as usize
    }

    pub fn of<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        &all[self.below(all.len())]
    }
}

/// A value and what it is with the drawn inputs.
#[derive(Clone)]
pub struct Known {
    pub value: Value,
    pub ty: TensorType,
    pub tensor: Tensor,
    /// Small whole numbers computed without rounding: every engine has exactly these, so jumps and ties are safe.
    pub exact: bool,
}

impl Known {
    pub fn largest(&self) -> f32 {
        self.tensor.data.iter().fold(0.0, |m, x| m.max(x.abs()))
    }
}

/// A graph with the inputs it is drawn for.
#[derive(Default)]
pub struct Drawing {
    pub graph: Graph,
    pub known: Vec<Known>,
    pub inputs: BTreeMap<String, Tensor>,
    pub state: BTreeMap<String, Tensor>,
    /// Are sources weights rather than inputs?
    pub weights: bool,
}

impl Drawing {
    /// An input, or a weight in a graph for training; whole numbers if `exact`.
    pub fn source(&mut self, c: &mut Choices<'_>, ty: &TensorType, exact: bool) -> Known {
        let tensor = Tensor::from_fn(&ty.shape, |_| match ty.element {
            Element::Index { extent } => c.below(extent) as f32,
            Element::Number if exact => c.below(5) as f32 - 2.0,
            Element::Number => c.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0,
        });
        let is_weight = self.weights && ty.element == Element::Number;
        let value = if is_weight {
            let path = format!("w{}", self.state.len());
            self.state.insert(path.clone(), tensor.clone());
            self.graph.state(&path, ty.clone(), Init::Zeros, StateKind::Weight)
        } else {
            let name = format!("x{}", self.inputs.len());
            self.inputs.insert(name.clone(), tensor.clone());
            self.graph.input(&name, ty.clone())
        };
        let exact = exact || ty.element != Element::Number;
        let known = Known { value, ty: ty.clone(), tensor, exact };
        self.known.push(known.clone());
        known
    }

    /// `op` of `operands`; exact if they are and no partial sum can have been rounded.
    pub fn apply(&mut self, op: Op, operands: &[&Known]) -> Known {
        let tensors: Vec<&Tensor> = operands.iter().map(|k| &k.tensor).collect();
        let tensor = op.eval(&tensors);
        let values: Vec<Value> = operands.iter().map(|k| k.value).collect();
        let value = self.graph.emit(op, &values);
        let terms = tensors.iter().map(|t| t.data.len()).max().unwrap_or(1);
        let largest_sum = operands.iter().map(|k| k.largest().max(1.0)).product::<f32>() * terms as f32;
        let whole = tensor.data.iter().all(|x| x.fract() == 0.0 && x.abs() < 65536.0);
        let exact = operands.iter().all(|k| k.exact) && largest_sum < 4e6 && whole;
        Known { value, ty: self.graph.ty(value).clone(), tensor, exact }
    }

    /// Everything between the ops that `apply` made, as a value of the drawing.
    pub fn keep(&mut self, known: Known) {
        let tame = self.tame(known);
        self.known.push(tame);
    }

    /// Scaled to a size where neither overflow nor a tolerance can hide an error.
    fn tame(&mut self, known: Known) -> Known {
        let largest = known.largest();
        let fits = known.exact || (0.05..16.0).contains(&largest) || largest == 0.0;
        if fits || known.ty.element != Element::Number {
            return known;
        }
        let factor = Tensor::filled(&known.ty.shape, largest.recip().min(1e6));
        let number = self.graph.constant(factor.data.first().copied().unwrap_or(1.0));
        let value = match known.ty.shape[..] {
            [] => number,
            _ => self.graph.emit_here().broadcast(number, &known.ty.shape, &[]),
        };
        let factor = Known { value, ty: known.ty.clone(), tensor: factor, exact: false };
        let product = dlc_compiler::ops::Zip(dlc_compiler::loops::Binary::Mul);
        self.apply(product.into(), &[&known, &factor])
    }
}
