//! Draws graphs: ops from their samples, operands from what is there already, made to fit.

use crate::scans;
use crate::values::{Choices, Drawing, Known};
use dlc_compiler::base::{Element, Tensor, TensorType};
use dlc_compiler::graph::Graph;
use dlc_compiler::loops::{Binary, Fold, Unary};
use dlc_compiler::ops::{Emit, Map, Op, Pad, Reshape, Select, Slice, Zip};
use std::collections::BTreeMap;

pub struct Drawn {
    pub graph: Graph,
    pub inputs: BTreeMap<String, Tensor>,
    pub state: BTreeMap<String, Tensor>,
}

/// The graph that `choices` stand for. With `training` it has the output `loss`, and its sources are weights.
pub fn draw(choices: &[u32], training: bool) -> Drawn {
    let mut c = Choices::new(choices);
    let mut d = Drawing { weights: training, ..Drawing::default() };
    let samples = Op::samples();
    let mut names: Vec<&str> = samples.iter().map(|(op, _)| op.name()).collect();
    names.dedup();
    names.push("scan");
    c.turn();
    d.source(&mut c, &TensorType::new(&[2, 4, 4, 3]), training);
    d.source(&mut c, &TensorType::new(&[2, 3]), training);
    while !c.is_empty() {
        c.turn();
        let name = *c.of(&names);
        if name == "scan" {
            recurrence(&mut c, &mut d);
            continue;
        }
        let instances: Vec<&(Op, Vec<TensorType>)> = samples.iter().filter(|(op, _)| op.name() == name).collect();
        let (op, types) = *c.of(&instances);
        step(&mut c, &mut d, op, types, training);
    }
    results(&mut d, training);
    Drawn { graph: d.graph, inputs: d.inputs, state: d.state }
}

/// A recurrence over what is there.
fn recurrence(c: &mut Choices<'_>, d: &mut Drawing) {
    let x = any(c, d);
    if x.ty.rank() == 0 || x.ty.element != Element::Number {
        return;
    }
    let axis = c.below(x.ty.rank());
    if !(1..=6).contains(&x.ty.shape[axis]) || x.ty.count() > 500 {
        return;
    }
    let mut ty = x.ty.clone();
    ty.shape.remove(axis);
    let (init, shared) = (fit(c, d, &ty, false), fit(c, d, &ty, false));
    let known = scans::scan(c, d, &x, axis, &init, &shared);
    if known.tensor.data.iter().all(|x| x.is_finite()) {
        d.keep(known);
    }
}

fn step(c: &mut Choices<'_>, d: &mut Drawing, op: &Op, types: &[TensorType], training: bool) {
    let known = match op {
        Op::Map(Map(f)) => {
            let x = any(c, d);
            unary(c, d, *f, x, training)
        }
        Op::Zip(Zip(f)) => {
            let a = any(c, d);
            let b = like(c, d, &a);
            binary(c, d, *f, a, b, training)
        }
        Op::Select(_) => {
            let a = any(c, d);
            let b = like(c, d, &a);
            let ty = TensorType::new(&a.ty.shape);
            let condition = exact(c, d, &ty);
            d.apply(Select.into(), &[&condition, &a, &b])
        }
        _ => {
            let operands: Vec<Known> = types.iter().map(|ty| fit(c, d, ty, jumps(op, training))).collect();
            d.apply(op.clone(), &operands.iter().collect::<Vec<_>>())
        }
    };
    if known.tensor.data.iter().all(|x| x.is_finite()) {
        d.keep(known);
    }
}

/// Would a rounding error of its operands change the result, or the gradient, by more than rounding?
fn jumps(op: &Op, training: bool) -> bool {
    let has_kinks = matches!(op.name(), "maximum" | "max_pool");
    matches!(op.name(), "argmax" | "pool_argmax") || (training && has_kinks)
}

fn any(c: &mut Choices<'_>, d: &Drawing) -> Known {
    // The latest are the most interesting: chains get long.
    let recent = d.known.len().saturating_sub(6);
    let from = if c.below(3) == 0 { 0 } else { recent };
    c.of(&d.known[from..]).clone()
}

fn like(c: &mut Choices<'_>, d: &mut Drawing, x: &Known) -> Known {
    fit(c, d, &TensorType::new(&x.ty.shape), false)
}

/// A value of whole numbers.
fn exact(c: &mut Choices<'_>, d: &mut Drawing, ty: &TensorType) -> Known {
    fit(c, d, ty, true)
}

/// A value of type `ty`: one that is there, one that is cut to size, or a new source.
fn fit(c: &mut Choices<'_>, d: &mut Drawing, ty: &TensorType, exact: bool) -> Known {
    if let Element::Index { extent } = ty.element {
        let fits =
            |k: &&Known| matches!(k.ty.element, Element::Index { extent: e } if e <= extent) && k.ty.shape == ty.shape;
        let found: Vec<Known> = d.known.iter().filter(fits).cloned().collect();
        return if found.is_empty() { d.source(c, ty, true) } else { c.of(&found).clone() };
    }
    let usable = |k: &&Known| (!exact || k.exact) && k.ty.element == Element::Number && !k.tensor.data.is_empty();
    let found: Vec<Known> = d.known.iter().filter(usable).cloned().collect();
    let same: Vec<Known> = found.iter().filter(|k| k.ty.shape == ty.shape).cloned().collect();
    match c.below(4) {
        0 | 1 if !same.is_empty() => c.of(&same).clone(),
        0..=2 if !found.is_empty() => {
            let x = c.of(&found).clone();
            resize(d, x, ty)
        }
        _ => {
            let whole = exact || c.below(2) == 0;
            d.source(c, ty, whole)
        }
    }
}

/// Axis by axis where the ranks agree, otherwise by way of one axis.
fn resize(d: &mut Drawing, x: Known, ty: &TensorType) -> Known {
    let direct = x.ty.rank() == ty.rank();
    let flat = |shape: &[usize]| vec![shape.iter().product::<usize>()];
    let (mut x, goal) = if direct {
        (x, ty.shape.clone())
    } else {
        let shape = flat(&x.ty.shape);
        (d.apply(Reshape { shape }.into(), &[&x]), flat(&ty.shape))
    };
    for (axis, extent) in goal.iter().enumerate() {
        let have = x.ty.shape[axis];
        if have > *extent {
            x = d.apply(Slice { axis, start: (have - extent) / 2, len: *extent }.into(), &[&x]);
        } else if have < *extent {
            let before = (extent - have) / 2;
            x = d.apply(Pad { axis, before, after: extent - have - before }.into(), &[&x]);
        }
    }
    if direct { x } else { d.apply(Reshape { shape: ty.shape.clone() }.into(), &[&x]) }
}

fn constant(d: &mut Drawing, x: &Known, value: f32) -> Known {
    let filled = d.graph.emit_here().filled(value, &x.ty.shape);
    let ty = TensorType::new(&x.ty.shape);
    Known { value: filled, tensor: Tensor::filled(&ty.shape, value), ty, exact: value.fract() == 0.0 }
}

/// `x * x + 1`
fn positive(d: &mut Drawing, x: &Known) -> Known {
    let square = d.apply(Zip(Binary::Mul).into(), &[x, x]);
    let one = constant(d, x, 1.0);
    d.apply(Zip(Binary::Add).into(), &[&square, &one])
}

/// Between -1 and 1.
fn small(d: &mut Drawing, x: &Known) -> Known {
    d.apply(Map(Unary::Tanh).into(), &[x])
}

fn unary(c: &mut Choices<'_>, d: &mut Drawing, f: Unary, x: Known, training: bool) -> Known {
    let x = match f {
        Unary::Log | Unary::Sqrt => positive(d, &x),
        Unary::Exp | Unary::Sin | Unary::Cos if x.largest() > 4.0 => small(d, &x),
        Unary::Floor => exact(c, d, &x.ty.clone()),
        Unary::Abs if training => exact(c, d, &TensorType::new(&x.ty.shape)),
        Unary::Neg | Unary::Abs | Unary::Exp | Unary::Tanh | Unary::Sigmoid | Unary::Erf | Unary::Sin | Unary::Cos => x,
    };
    d.apply(Map(f).into(), &[&x])
}

fn binary(c: &mut Choices<'_>, d: &mut Drawing, f: Binary, a: Known, b: Known, training: bool) -> Known {
    let ty = TensorType::new(&a.ty.shape);
    let (a, b) = match f {
        Binary::Div => (a, positive(d, &b)),
        Binary::Pow => {
            let base = if a.largest() > 4.0 { small(d, &a) } else { a };
            (positive(d, &base), small(d, &b))
        }
        Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => {
            (exact(c, d, &ty), exact(c, d, &ty))
        }
        Binary::Max | Binary::Min if training => (exact(c, d, &ty), exact(c, d, &ty)),
        Binary::Add | Binary::Sub | Binary::Mul | Binary::Max | Binary::Min => (a, b),
    };
    d.apply(Zip(f).into(), &[&a, &b])
}

/// Everything that nobody reads is an output; in training the loss is the sum of their squares.
fn results(d: &mut Drawing, training: bool) {
    let unread: Vec<Known> =
        d.known.iter().filter(|k| d.graph.users(k.value).is_empty() && !k.ty.shape.is_empty()).cloned().collect();
    for (i, k) in unread.iter().enumerate() {
        d.graph.set_output(&format!("y{i}"), k.value);
    }
    if !training {
        return;
    }
    let mut loss = d.graph.constant(0.0);
    for k in unread {
        let e = d.graph.emit_here();
        let square = e.mul(k.value, k.value);
        let axes: Vec<usize> = (0..k.ty.rank()).collect();
        let sum = e.reduce(Fold::Add, square, &axes);
        loss = e.add(loss, sum);
    }
    d.graph.set_output("loss", loss);
}
