//! What `fold_constants` knows of contractions: what repeats along an axis need not be multiplied at every place of it.

use crate::base::Value;
use crate::graph::Graph;
use crate::loops::Fold;
use crate::ops::{Broadcast, Contract, Emit, Op};

/// A simpler value equal to `v`, which is `op` of `x`: the gradient of a mean along an axis repeats along it.
pub(super) fn simplify(g: &mut Graph, v: Value, op: &Op, x: &[Value]) -> Option<Value> {
    let (Op::Contract(op), [a, b]) = (op, x) else { return None };
    let turned = Contract { a: op.b.clone(), b: op.a.clone(), y: op.y.clone() };
    once(g, v, op, [*a, *b]).or_else(|| once(g, v, &turned, [*b, *a]))
}

/// If `a` repeats: the contraction without the axes along which it does. Where they are summed over, `b` is summed first;
/// where only `a` brings them into the result, the result repeats too.
fn once(g: &mut Graph, v: Value, op: &Contract, [a, b]: [Value; 2]) -> Option<Value> {
    let Some(Op::Broadcast(Broadcast { axes, .. })) = g.op(a) else { return None };
    let own: String = op.a.chars().enumerate().filter(|(i, _)| axes.contains(i)).map(|(_, l)| l).collect();
    let repeated = |l: &char| op.a.contains(*l) && !own.contains(*l);
    let summed: Vec<usize> =
        (0..).zip(op.b.chars()).filter(|(_, l)| repeated(l) && !op.y.contains(*l)).map(|x| x.0).collect();
    let others: String = op.b.chars().filter(|l| !repeated(l) || op.y.contains(*l)).collect();
    let made: Vec<(usize, char)> =
        op.y.chars().enumerate().filter(|(_, l)| !repeated(l) || op.b.contains(*l)).collect();
    if own.len() == op.a.len() {
        return None;
    }
    let shape = g.ty(v).shape.clone();
    let a = g.operands(a)[0];
    if own.chars().all(|l| op.y.contains(l)) {
        // No sum is left: of each there is one element for an element of the result.
        let places = |letters: &str| -> Option<Vec<usize>> {
            let found: Vec<usize> = letters.chars().map(|l| op.y.find(l)).collect::<Option<_>>()?;
            found.is_sorted().then_some(found)
        };
        let (of_a, of_b) = (places(&own)?, places(&others)?);
        if summed.is_empty() {
            return None;
        }
        let e = g.emit_here();
        let b = e.reduce(Fold::Add, b, &summed);
        let [a, b] = [(a, of_a), (b, of_b)].map(|(x, places)| e.broadcast(x, &shape, &places));
        return Some(e.mul(a, b));
    }
    let e = g.emit_here();
    let b = if summed.is_empty() { b } else { e.reduce(Fold::Add, b, &summed) };
    let (places, y): (Vec<usize>, String) = made.into_iter().unzip();
    let y = e.contract(a, &own, b, &others, &y);
    Some(if places.len() == shape.len() { y } else { e.broadcast(y, &shape, &places) })
}
