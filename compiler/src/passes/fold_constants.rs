//! Folds constants and applies the algebra of zeros, ones, signs and views until nothing changes.
//!
//! A constant tensor is a broadcast number. What is 0 for every finite operand is 0: `x * 0` does not wait
//! for an infinity. Sums are never reassociated, but over what repeats; products with constants are.

use super::UpdateRule;
use super::{algebra, repeated, views};
use crate::base::Value;
use crate::graph::Graph;
use crate::ops::Emit;

/// Enough for any chain seen so far to settle; a longer one stays correct, only longer.
const ROUNDS: usize = 16;

pub(super) fn run(graph: &mut Graph, update: &dyn UpdateRule) {
    for _ in 0..ROUNDS {
        if !round(graph) {
            break;
        }
        super::eliminate_dead::run(graph, update);
    }
}

fn round(graph: &mut Graph) -> bool {
    let mut changed = false;
    for v in graph.order() {
        let unused = graph.users(v).is_empty() && !graph.is_result(v);
        let Some(op) = graph.op(v).cloned() else {
            continue;
        };
        if unused {
            continue;
        }
        graph.set_origin(graph.node(v).origin.clone());
        let operands = graph.operands(v);
        let simpler: Option<Value> = algebra::simplify(graph, v, &op, &operands)
            .or_else(|| views::simplify(graph, v, &op, &operands))
            .or_else(|| repeated::simplify(graph, v, &op, &operands));
        // An index and the number equal to it are different types: rules ignore that, so it is seen to here.
        if let Some(simpler) = simpler
            && graph.ty(simpler) == graph.ty(v)
        {
            graph.replace_uses(v, simpler);
            changed = true;
        }
    }
    changed
}
