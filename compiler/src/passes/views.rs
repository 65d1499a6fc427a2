//! What `fold_constants` knows of shapes: views and copies that change nothing, or that merge.

use crate::base::Value;
use crate::graph::Graph;
use crate::loops::Fold;
use crate::ops::{Broadcast, Emit, Op, Pad, Reduce, Slice, Transpose};

/// A simpler value equal to `v`, which is `op` of `x`.
pub(super) fn simplify(g: &mut Graph, v: Value, op: &Op, x: &[Value]) -> Option<Value> {
    let x = *x.first()?;
    let same_shape = g.ty(v).shape == g.ty(x).shape;
    match op {
        Op::Broadcast(_) | Op::Slice(_) | Op::Pad(_) | Op::Reshape(_) if same_shape => Some(x),
        Op::Transpose(Transpose { perm }) if perm.iter().copied().eq(0..perm.len()) => Some(x),
        Op::Broadcast(outer) => broadcast(g, outer, x),
        Op::Reshape(outer) => {
            if !matches!(g.op(x), Some(Op::Reshape(_))) {
                return None;
            }
            let x = g.operands(x)[0];
            Some(g.emit_here().reshape(x, &outer.shape))
        }
        Op::Transpose(outer) => transpose(g, outer, x),
        Op::Slice(outer) => slice(g, outer, x),
        Op::Reduce(op) => reduce(g, op, v, x),
        _ => None,
    }
}

fn broadcast(g: &mut Graph, outer: &Broadcast, x: Value) -> Option<Value> {
    let Some(Op::Broadcast(inner)) = g.op(x) else {
        return None;
    };
    let axes: Vec<usize> = inner.axes.iter().map(|i| outer.axes[*i]).collect();
    let x = g.operands(x)[0];
    Some(g.emit_here().broadcast(x, &outer.shape, &axes))
}

fn transpose(g: &mut Graph, outer: &Transpose, x: Value) -> Option<Value> {
    let Some(Op::Transpose(inner)) = g.op(x) else {
        return None;
    };
    let perm: Vec<usize> = outer.perm.iter().map(|i| inner.perm[*i]).collect();
    let x = g.operands(x)[0];
    Some(g.emit_here().transpose(x, &perm))
}

/// Of what repeats, of a slice along the same axis, or of a padded tensor within what was there before.
fn slice(g: &mut Graph, outer: &Slice, x: Value) -> Option<Value> {
    if let Some(Op::Broadcast(Broadcast { mut shape, axes })) = g.op(x).cloned() {
        shape[outer.axis] = outer.len;
        let x = g.operands(x)[0];
        let own = axes.iter().position(|axis| *axis == outer.axis);
        let e = g.emit_here();
        let x = own.map_or(x, |own| e.slice(x, own, outer.start, outer.len));
        return Some(e.broadcast(x, &shape, &axes));
    }
    let start = match g.op(x)? {
        Op::Slice(Slice { axis, start, .. }) if *axis == outer.axis => start + outer.start,
        Op::Pad(Pad { axis, before, .. }) if *axis == outer.axis => {
            let inner = g.ty(g.operands(x)[0]).shape[*axis];
            let start = outer.start.checked_sub(*before)?;
            (start + outer.len <= inner).then_some(start)?
        }
        _ => return None,
    };
    let x = g.operands(x)[0];
    Some(g.emit_here().slice(x, outer.axis, start, outer.len))
}

/// Over axes of extent 1 it is a view; a sum over axes that a broadcast added is a multiple.
fn reduce(g: &mut Graph, op: &Reduce, v: Value, x: Value) -> Option<Value> {
    let shape = g.emit_here().shape(x);
    let result = g.emit_here().shape(v);
    if op.axes.iter().all(|a| shape[*a] == 1) {
        return Some(g.emit_here().reshape(x, &result));
    }
    let Some(Op::Broadcast(inner)) = g.op(x).cloned() else {
        return None;
    };
    if op.axes.iter().any(|a| inner.axes.contains(a)) {
        return None;
    }
    let kept: Vec<usize> = (0..shape.len()).filter(|a| !op.axes.contains(a)).collect();
    let place = |axis: &usize| kept.iter().position(|k| k == axis);
    let axes: Vec<usize> = inner.axes.iter().filter_map(place).collect();
    let count: usize = op.axes.iter().map(|a| shape[*a]).product();
    let x = g.operands(x)[0];
    let e = g.emit_here();
    let scaled = if op.fold == Fold::Add { e.scale(x, count as f32) } else { x };
    Some(e.broadcast(scaled, &result, &axes))
}
