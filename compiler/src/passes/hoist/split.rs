//! A contraction over a concatenation is a sum of two: then one of them may leave the recurrence.

use crate::base::Value;
use crate::graph::Graph;
use crate::ops::{Concat, Contract, Emit, Op, Recur};
use std::collections::HashMap;

/// Splits those of which one part needs no state, and the other does.
pub fn run(graph: &mut Graph) -> bool {
    let bodies = graph.bodies();
    let mut changed = false;
    for v in graph.order().into_iter().filter(|v| bodies.contains_key(v)) {
        let Some(Op::Contract(c)) = graph.op(v).cloned() else { continue };
        let operands = graph.operands(v);
        for (side, letters) in [(0, &c.a), (1, &c.b)] {
            let Some(Op::Concat(Concat { axis })) = graph.op(operands[side]).cloned() else { continue };
            let parts = graph.operands(operands[side]);
            let summed = letters.chars().nth(axis).filter(|l| !c.y.contains(*l));
            let free = |x: &Value| is_free(graph, *x, &bodies);
            if let Some(letter) = summed
                && free(&parts[0]) != free(&parts[1])
            {
                let sum = split(graph, &c, (side, letter), v, &parts);
                graph.replace_uses(v, sum);
                changed = true;
                break;
            }
        }
    }
    changed
}

/// Is `x` made without the states?
fn is_free(graph: &Graph, x: Value, bodies: &HashMap<Value, Recur>) -> bool {
    !bodies.contains_key(&x)
        || match graph.op(x) {
            Some(Op::Carry(_)) => false,
            Some(Op::Pick(_)) => true,
            _ => graph.operands(x).into_iter().all(|o| is_free(graph, o, bodies)),
        }
}

fn split(graph: &mut Graph, c: &Contract, (side, letter): (usize, char), v: Value, parts: &[Value]) -> Value {
    let operands = graph.operands(v);
    let (own, others) = if side == 0 { (&c.a, &c.b) } else { (&c.b, &c.a) };
    let place = |letters: &str| letters.chars().position(|l| l == letter).expect("a summed letter is in both");
    let (axis, along) = (place(own), place(others));
    graph.set_origin(graph.node(v).origin.clone());
    let mut start = 0;
    let mut terms = vec![];
    for part in parts {
        let e = graph.emit_here();
        let len = e.ty(*part).shape[axis];
        let other = e.slice(operands[1 - side], along, start, len);
        let pair = if side == 0 { [*part, other] } else { [other, *part] };
        terms.push(graph.emit(c.clone().into(), &pair));
        start += len;
    }
    graph.emit_here().add(terms[0], terms[1])
}
