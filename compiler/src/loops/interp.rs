//! Runs a kernel as its definition says: slowly, on dense buffers, checking every access.
//!
//! Nests ([`super::interp_nest`]) share the evaluation of expressions; where elements lie is up to [`Memory`].

use super::affine::Affine;
use super::expr::{Coord, Expr, Fold, Node, random_number};
use super::kernel::{How, Kernel};
use crate::base::{Buffer, Tensor, Var};
use std::collections::BTreeMap;

/// Values of the variables bound so far.
pub(super) type Bound = BTreeMap<Var, i64>;

/// What kernels load from and store to.
pub trait Memory {
    /// The position of an element, from its coordinates; `Err` if one is out of bounds.
    fn offset(&self, buffer: Buffer, at: &[i64]) -> Result<usize, String>;
    /// The element at a position that [`Memory::offset`] gave.
    fn read(&self, buffer: Buffer, offset: usize) -> f32;
    /// Replaces the element at a position that [`Memory::offset`] gave.
    fn write(&mut self, buffer: Buffer, offset: usize, value: f32);
}

/// The position of the element `at` in a dense buffer of `shape`.
pub(super) fn dense(buffer: Buffer, shape: &[usize], at: &[i64]) -> Result<usize, String> {
    if at.len() != shape.len() {
        return Err(format!("{buffer}: {} coordinates for {shape:?}", at.len()));
    }
    at.iter().zip(shape).try_fold(0, |offset, (i, n)| match usize::try_from(*i) {
        Ok(i) if i < *n => Ok(offset * n + i),
        Ok(_) | Err(_) => Err(format!("{buffer}: {at:?} is not in {shape:?}")),
    })
}

impl Memory for BTreeMap<Buffer, Tensor> {
    fn offset(&self, buffer: Buffer, at: &[i64]) -> Result<usize, String> {
        let tensor = self.get(&buffer).ok_or(format!("no buffer {buffer}"))?;
        dense(buffer, &tensor.shape, at)
    }

    fn read(&self, buffer: Buffer, offset: usize) -> f32 {
        self[&buffer].data[offset]
    }

    fn write(&mut self, buffer: Buffer, offset: usize, value: f32) {
        if let Some(tensor) = self.get_mut(&buffer) {
            tensor.data[offset] = value;
        }
    }
}

/// Runs `kernel` in `memory`, whose buffers must all be there; buffers that are added to begin as given.
///
/// All values of one point are computed before its stores. `Err` names the first access out of bounds.
pub fn run(kernel: &Kernel, memory: &mut dyn Memory) -> Result<(), String> {
    let mut bound = Bound::new();
    each(&kernel.axes, &mut bound, &mut |bound| {
        let mut writes = vec![];
        for store in &kernel.stores {
            let offset = offset(store.buffer, &store.at, memory, bound)?;
            writes.push((store, offset, value(&store.value, memory, bound)?));
        }
        for (store, offset, value) in writes {
            let value = match store.how {
                How::Set => value,
                How::Add => memory.read(store.buffer, offset) + value,
            };
            memory.write(store.buffer, offset, value);
        }
        Ok(())
    })
}

/// Calls `body` for every point of `axes`, row-major.
fn each(
    axes: &[(Var, usize)],
    bound: &mut Bound,
    body: &mut dyn FnMut(&mut Bound) -> Result<(), String>,
) -> Result<(), String> {
    let Some(((var, extent), rest)) = axes.split_first() else {
        return body(bound);
    };
    for i in 0..*extent {
        bound.insert(*var, i as i64);
        each(rest, bound, body)?;
    }
    bound.remove(var);
    Ok(())
}

pub(super) fn coordinate(at: &Affine, bound: &Bound) -> Result<i64, String> {
    match at.terms.iter().find(|(v, _)| !bound.contains_key(v)) {
        Some((v, _)) => Err(format!("{v} is not bound in {at}")),
        None => Ok(at.eval(&|v| bound[&v])),
    }
}

pub(super) fn offset(buffer: Buffer, at: &[Coord], memory: &dyn Memory, bound: &mut Bound) -> Result<usize, String> {
    let mut place = Vec::with_capacity(at.len());
    for coord in at {
        place.push(match coord {
            Coord::Affine(affine) => coordinate(affine, bound)?,
            Coord::Index { from, .. } => value(from, memory, bound)? as i64,
        });
    }
    memory.offset(buffer, &place).map_err(|e| format!("{e} at {bound:?}"))
}

pub(super) fn value(expr: &Expr, memory: &dyn Memory, bound: &mut Bound) -> Result<f32, String> {
    Ok(match &**expr {
        Node::Const(bits) => f32::from_bits(*bits),
        Node::Coord(at) => coordinate(at, bound)? as f32,
        Node::Load(buffer, at) => {
            let offset = offset(*buffer, at, memory, bound)?;
            memory.read(*buffer, offset)
        }
        Node::Unary(op, x) => op.apply(value(x, memory, bound)?),
        Node::Binary(op, a, b) => op.apply(value(a, memory, bound)?, value(b, memory, bound)?),
        Node::Select(condition, then, otherwise) => {
            // Both, as machine code may: an access out of bounds on the other side is a bug too.
            let sides = [value(otherwise, memory, bound)?, value(then, memory, bound)?];
            sides[usize::from(value(condition, memory, bound)? != 0.0)]
        }
        Node::Reduce { fold, vars, body } => reduce(*fold, vars, body, memory, bound)?,
        Node::Guard { inside, body, otherwise } => {
            for (at, extent) in inside {
                if !(0..*extent as i64).contains(&coordinate(at, bound)?) {
                    return Ok(f32::from_bits(*otherwise));
                }
            }
            value(body, memory, bound)?
        }
        Node::Random { key, step, counter } => {
            let step = value(step, memory, bound)? as u32;
            random_number(*key, step, coordinate(counter, bound)? as u32)
        }
    })
}

fn reduce(
    fold: Fold,
    vars: &[(Var, usize)],
    body: &Expr,
    memory: &dyn Memory,
    bound: &mut Bound,
) -> Result<f32, String> {
    let mut values = vec![];
    each(vars, bound, &mut |bound| {
        values.push(value(body, memory, bound)?);
        Ok(())
    })?;
    Ok(fold.apply(values.into_iter()))
}
