//! `max_pool(max(x, c))` becomes `max(max_pool(x), c)` for a constant `c`, if nothing else reads the inner
//! maximum.
//!
//! Exact, since a maximum is monotone; the first largest element is the same wherever `max(x, c)` has a
//! slope. Worth it because backward then needs the pooled tensor, not the one before pooling.

use super::UpdateRule;
use super::algebra::splat;
use crate::base::Value;
use crate::graph::Graph;
use crate::loops::Binary;
use crate::ops::{MaxPool, Op, Zip};

pub(super) fn run(graph: &mut Graph, _: &dyn UpdateRule) {
    for pool in graph.order() {
        if let Some((op, inner)) = candidate(graph, pool) {
            rewrite(graph, pool, op, inner);
        }
    }
}

/// The pool at `pool`, and the `max` it reads alone.
fn candidate(graph: &Graph, pool: Value) -> Option<(MaxPool, Value)> {
    let Some(Op::MaxPool(op)) = graph.op(pool) else {
        return None;
    };
    let inner = graph.operands(pool)[0];
    let Some(Op::Zip(Zip(Binary::Max))) = graph.op(inner) else {
        return None;
    };
    splat(graph, graph.operands(inner)[1])?;
    let alone = graph.users(inner) == [pool] && !graph.is_result(inner);
    alone.then(|| (op.clone(), inner))
}

fn rewrite(graph: &mut Graph, pool: Value, op: MaxPool, inner: Value) {
    let [x, c] = graph.operands(inner)[..] else {
        return;
    };
    let Some(c) = splat(graph, c) else {
        return;
    };
    let (origin, relu) = (graph.node(pool).origin.clone(), graph.node(inner).origin.clone());
    graph.set_origin(origin);
    let pooled = graph.emit_here().max_pool(x, &op.spec);
    graph.set_origin(relu);
    let e = graph.emit_here();
    let c = e.filled_like(c, pooled);
    let y = e.max(pooled, c);
    graph.replace_uses(pool, y);
    graph.remove(pool);
    graph.remove(inner);
}
