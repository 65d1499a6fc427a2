//! Recurrences of drawn graphs: along any axis, in both directions, one state or two.

use crate::values::{Choices, Drawing, Known};
use dlc_compiler::base::{TensorType, Value};
use dlc_compiler::graph::interp;
use dlc_compiler::loops::{Fold, Unary};
use dlc_compiler::ops::Emit;

/// A recurrence over an axis of `x`; `init` and `shared` have its shape without that axis.
pub fn scan(c: &mut Choices<'_>, d: &mut Drawing, x: &Known, axis: usize, init: &Known, shared: &Known) -> Known {
    let g = &mut d.graph;
    let of = g.recurrence(x.ty.shape[axis], c.below(2) == 0);
    let states: Vec<Value> = (0..1 + c.below(2)).map(|_| g.carry(of, init.value)).collect();
    let e = g.emit_here();
    let slice = e.pick(x.value, of, axis);
    let mut known = vec![slice, shared.value];
    known.extend(&states);
    for _ in 0..2 + c.below(4) {
        let (a, b) = (*c.of(&known), *c.of(&known));
        let made = one(c, e, a, b);
        known.push(made);
    }
    let next: Vec<Value> = states
        .iter()
        .map(|s| {
            // Bounded, so that many iterations do not grow.
            let (a, b) = (*c.of(&known), *c.of(&known));
            let sum = e.add(a, b);
            if c.below(4) == 0 { *c.of(&[slice, *s]) } else { e.unary(Unary::Tanh, sum) }
        })
        .collect();
    known.extend(&next);
    let (from, place) = (*c.of(&known), c.below(init.ty.rank() + 1));
    let y = e.stack(from, of, place);
    states.iter().zip(next).for_each(|(s, n)| g.set_next(*s, n));
    evaluated(d, y)
}

fn one(c: &mut Choices<'_>, e: &mut dyn Emit, a: Value, b: Value) -> Value {
    let shape = e.ty(a).shape.clone();
    match c.below(7) {
        0 => e.add(a, b),
        1 => e.sub(a, b),
        2 => {
            let a = e.unary(Unary::Tanh, a);
            e.mul(a, b)
        }
        3 => e.unary(Unary::Sigmoid, a),
        4 if !shape.is_empty() => {
            // The same axis of both, summed: every element with every other along it.
            let axis = c.below(shape.len());
            let letters: String = ('a'..).take(shape.len()).collect();
            let gone = letters.chars().nth(axis).expect("an axis");
            let kept: String = letters.chars().filter(|l| *l != gone).collect();
            let a = e.unary(Unary::Tanh, a);
            let sum = e.contract(a, &letters, b, &letters, &kept);
            let places: Vec<usize> = (0..shape.len()).filter(|i| *i != axis).collect();
            let sum = e.unary(Unary::Tanh, sum);
            e.broadcast(sum, &shape, &places)
        }
        5 if !shape.is_empty() => {
            let axis = c.below(shape.len());
            let sum = e.reduce(Fold::Add, a, &[axis]);
            let sum = e.unary(Unary::Sin, sum);
            let places: Vec<usize> = (0..shape.len()).filter(|i| *i != axis).collect();
            e.broadcast(sum, &shape, &places)
        }
        6 if shape.len() > 1 => {
            let flat = vec![shape.iter().product()];
            let flat = e.reshape(a, &flat);
            let wave = e.unary(Unary::Cos, flat);
            e.reshape(wave, &shape)
        }
        _ => e.neg(a),
    }
}

/// `y` with its numbers, by the reference interpreter.
fn evaluated(d: &Drawing, y: Value) -> Known {
    let mut g = d.graph.clone();
    g.set_output("y", y);
    let tensor = interp::run(&g, &d.inputs, &d.state).outputs.remove("y").expect("an output");
    let ty = TensorType::new(&tensor.shape);
    Known { value: y, ty, tensor, exact: false }
}
