//! What an op does to tables of all iterations: the same to each.

use crate::base::Value;
use crate::graph::Graph;
use crate::ops::{Broadcast, Concat, Contract, Emit, Op, Pad, Reduce, Slice, Transpose};

/// An operand: for all iterations, along an axis, or the same in each.
#[derive(Clone, Copy)]
pub struct Table {
    pub value: Value,
    pub axis: Option<usize>,
}

/// `op` of `tables` and the axis of its result that counts iterations. `operands` are those of one iteration.
pub fn apply(
    graph: &mut Graph,
    op: &Op,
    operands: &[Value],
    tables: &[Table],
    length: usize,
) -> Option<(Value, usize)> {
    let axis = tables.iter().find_map(|t| t.axis)?;
    let shape = |x: &Value| graph.node(*x).ty.shape.clone();
    let behind = |i: usize| i + usize::from(i >= axis);
    let one = tables[0].value;
    match op {
        Op::Map(_) | Op::Zip(_) | Op::Select(_) | Op::Detach(_) => {
            let mut all = shape(&operands[0]);
            all.insert(axis, length);
            let same: Vec<Value> = tables.iter().map(|t| along(graph, *t, axis, &all)).collect();
            Some((graph.emit(op.clone(), &same), axis))
        }
        Op::Concat(Concat { axis: own }) => {
            let mut same = vec![];
            for (x, t) in operands.iter().zip(tables) {
                let mut all = shape(x);
                all.insert(axis, length);
                same.push((*t, all));
            }
            let same: Vec<Value> = same.into_iter().map(|(t, all)| along(graph, t, axis, &all)).collect();
            Some((graph.emit(Concat { axis: behind(*own) }.into(), &same), axis))
        }
        Op::Slice(s) => Some((graph.emit(Slice { axis: behind(s.axis), ..s.clone() }.into(), &[one]), axis)),
        Op::Pad(p) => Some((graph.emit(Pad { axis: behind(p.axis), ..p.clone() }.into(), &[one]), axis)),
        Op::Reduce(r) => {
            let kept = axis - r.axes.iter().filter(|a| **a < axis).count();
            let axes = r.axes.iter().map(|a| behind(*a)).collect();
            Some((graph.emit(Reduce { fold: r.fold, axes }.into(), &[one]), kept))
        }
        Op::Transpose(t) => {
            let mut perm: Vec<usize> = t.perm.iter().map(|i| behind(*i)).collect();
            perm.insert(axis, axis);
            Some((graph.emit(Transpose { perm }.into(), &[one]), axis))
        }
        Op::Broadcast(b) => Some(broadcast(graph, b, one, axis, length)),
        Op::Reshape(r) => reshape(graph, &shape(&operands[0]), &r.shape, one, axis, length),
        Op::Contract(c) => contract(graph, c, tables),
        Op::Gather(_) => match tables {
            [Table { value: table, axis: None }, Table { value: index, .. }] => {
                Some((graph.emit_here().gather(*table, *index), axis))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The table with iterations along `axis`, of shape `all`.
fn along(graph: &mut Graph, t: Table, axis: usize, all: &[usize]) -> Value {
    match t.axis {
        Some(from) => moved_axis(graph, t.value, from, axis),
        None => {
            let places: Vec<usize> = (0..all.len()).filter(|i| *i != axis).collect();
            graph.emit_here().broadcast(t.value, all, &places)
        }
    }
}

/// `x` with its axis `from` at `to`, the others in their order.
pub fn moved_axis(graph: &mut Graph, x: Value, from: usize, to: usize) -> Value {
    if from == to {
        return x;
    }
    let mut perm: Vec<usize> = (0..graph.node(x).ty.rank()).filter(|i| *i != from).collect();
    perm.insert(to, from);
    graph.emit_here().transpose(x, &perm)
}

fn broadcast(graph: &mut Graph, b: &Broadcast, x: Value, axis: usize, length: usize) -> (Value, usize) {
    // Behind the axis that comes before it in the operand.
    let new = if axis == 0 { 0 } else { b.axes[axis - 1] + 1 };
    let mut shape = b.shape.clone();
    shape.insert(new, length);
    let mut axes: Vec<usize> = b.axes.iter().map(|i| i + usize::from(*i >= new)).collect();
    axes.insert(axis, new);
    (graph.emit_here().broadcast(x, &shape, &axes), new)
}

fn reshape(
    graph: &mut Graph,
    from: &[usize],
    to: &[usize],
    x: Value,
    axis: usize,
    length: usize,
) -> Option<(Value, usize)> {
    let before: usize = from[..axis].iter().product();
    let new = (0..=to.len()).find(|i| to[..*i].iter().product::<usize>() == before)?;
    let mut shape = to.to_vec();
    shape.insert(new, length);
    Some((graph.emit_here().reshape(x, &shape), new))
}

/// One more letter, which stands behind the first letter of the result where that is also the operand's.
fn contract(graph: &mut Graph, c: &Contract, tables: &[Table]) -> Option<(Value, usize)> {
    let used = format!("{}{}{}", c.a, c.b, c.y);
    let letter = ('a'..='z').chain('A'..='Z').find(|l| !used.contains(*l))?;
    let with = |letters: &str, axis: Option<usize>| {
        let mut letters: Vec<char> = letters.chars().collect();
        if let Some(axis) = axis {
            letters.insert(axis, letter);
        }
        letters.into_iter().collect::<String>()
    };
    let (a, b) = (with(&c.a, tables[0].axis), with(&c.b, tables[1].axis));
    let lead = |letters: &str, axis: Option<usize>| axis == Some(1) && letters.chars().next() == c.y.chars().next();
    let new = usize::from(lead(&c.a, tables[0].axis) || lead(&c.b, tables[1].axis));
    let y = with(&c.y, Some(new));
    let value = graph.emit_here().contract(tables[0].value, &a, tables[1].value, &b, &y);
    Some((value, new))
}
