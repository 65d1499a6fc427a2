//! Runs a kernel as its definition says: slowly, on dense buffers, checking every access.

use super::affine::Affine;
use super::expr::{Coord, Expr, Fold, Node, random_number};
use super::kernel::{How, Kernel};
use crate::base::{Buffer, Tensor, Var};
use std::collections::BTreeMap;

/// Values of the variables bound so far.
type Bound = BTreeMap<Var, i64>;

/// Runs `kernel` on `buffers`, which must all be there; buffers that are added to begin as given.
///
/// All values of one point are computed before its stores. `Err` names the first access out of bounds.
pub fn run(kernel: &Kernel, buffers: &mut BTreeMap<Buffer, Tensor>) -> Result<(), String> {
    let mut bound = Bound::new();
    each(&kernel.axes, &mut bound, &mut |bound| {
        let mut writes = vec![];
        for store in &kernel.stores {
            let tensor = buffers.get(&store.buffer).ok_or(format!("no buffer {}", store.buffer))?;
            let offset = offset(store.buffer, tensor, &store.at, buffers, bound)?;
            writes.push((store, offset, value(&store.value, buffers, bound)?));
        }
        for (store, offset, value) in writes {
            let tensor = buffers.get_mut(&store.buffer).ok_or("a buffer is gone")?;
            match store.how {
                How::Set => tensor.data[offset] = value,
                How::Add => tensor.data[offset] += value,
            }
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

fn coordinate(at: &Affine, bound: &Bound) -> Result<i64, String> {
    match at.terms.iter().find(|(v, _)| !bound.contains_key(v)) {
        Some((v, _)) => Err(format!("{v} is not bound in {at}")),
        None => Ok(at.eval(&|v| bound[&v])),
    }
}

fn offset(
    buffer: Buffer,
    tensor: &Tensor,
    at: &[Coord],
    buffers: &BTreeMap<Buffer, Tensor>,
    bound: &mut Bound,
) -> Result<usize, String> {
    if at.len() != tensor.shape.len() {
        return Err(format!("{buffer}: {} coordinates for {:?}", at.len(), tensor.shape));
    }
    let mut place = Vec::with_capacity(at.len());
    for (coord, extent) in at.iter().zip(&tensor.shape) {
        let i = match coord {
            Coord::Affine(affine) => coordinate(affine, bound)?,
            Coord::Index { from, .. } => value(from, buffers, bound)? as i64,
        };
        if i < 0 || i >= *extent as i64 {
            return Err(format!("{buffer}: coordinate {coord:?} is {i} of {extent} at {bound:?}"));
        }
        place.push(i as usize);
    }
    Ok(tensor.offset(&place))
}

fn value(expr: &Expr, buffers: &BTreeMap<Buffer, Tensor>, bound: &mut Bound) -> Result<f32, String> {
    Ok(match &**expr {
        Node::Const(bits) => f32::from_bits(*bits),
        Node::Coord(at) => coordinate(at, bound)? as f32,
        Node::Load(buffer, at) => {
            let tensor = buffers.get(buffer).ok_or(format!("no buffer {buffer}"))?;
            tensor.data[offset(*buffer, tensor, at, buffers, bound)?]
        }
        Node::Unary(op, x) => op.apply(value(x, buffers, bound)?),
        Node::Binary(op, a, b) => op.apply(value(a, buffers, bound)?, value(b, buffers, bound)?),
        Node::Select(condition, then, otherwise) => {
            // Both, as machine code may: an access out of bounds on the other side is a bug too.
            let sides = [value(otherwise, buffers, bound)?, value(then, buffers, bound)?];
            sides[usize::from(value(condition, buffers, bound)? != 0.0)]
        }
        Node::Reduce { fold, vars, body } => reduce(*fold, vars, body, buffers, bound)?,
        Node::Guard { inside, body, otherwise } => {
            for (at, extent) in inside {
                if !(0..*extent as i64).contains(&coordinate(at, bound)?) {
                    return Ok(f32::from_bits(*otherwise));
                }
            }
            value(body, buffers, bound)?
        }
        Node::Random { key, step, counter } => {
            let step = value(step, buffers, bound)? as u32;
            random_number(*key, step, coordinate(counter, bound)? as u32)
        }
    })
}

fn reduce(
    fold: Fold,
    vars: &[(Var, usize)],
    body: &Expr,
    buffers: &BTreeMap<Buffer, Tensor>,
    bound: &mut Bound,
) -> Result<f32, String> {
    let mut values = vec![];
    each(vars, bound, &mut |bound| {
        values.push(value(body, buffers, bound)?);
        Ok(())
    })?;
    Ok(fold.apply(values.into_iter()))
}
