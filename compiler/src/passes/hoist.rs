//! What does not need the states of a recurrence leaves its body.
//!
//! Before it: what is made of slices of tables alone is made once for all iterations, and sliced then. So an input
//! projection becomes one contraction over all of them. After it: a contraction that only feeds what is stacked works
//! on what it reads, stacked. So the gradient of a recurrent weight is one contraction after the loop.

mod batched;
mod split;

use super::UpdateRule;
use crate::base::Value;
use crate::graph::{Graph, recur::closes};
use crate::loops::Fold;
use crate::ops::{Carry, Contract, Emit, Op, Pick, Recur, Reduce, Stack};
use batched::{Table, moved_axis};
use std::collections::HashSet;

/// Enough for any chain seen so far to settle; what is left in a body stays correct.
const ROUNDS: usize = 16;

pub(super) fn run(graph: &mut Graph, update: &dyn UpdateRule) {
    if graph.recurrences.is_empty() {
        return;
    }
    for _ in 0..ROUNDS {
        let mut changed = still_states(graph);
        changed |= split::run(graph);
        changed |= lift(graph);
        changed |= sink(graph);
        changed |= sums(graph);
        super::eliminate_dead::run(graph, update);
        if !changed {
            break;
        }
    }
}

/// A state that never changes is its first value.
fn still_states(graph: &mut Graph) -> bool {
    let mut changed = false;
    for v in graph.order() {
        if let Some(Op::Carry(Carry { of, which })) = graph.op(v)
            && graph.recurrences[of.id as usize].states[*which].is_some_and(|(carry, next)| carry == next)
        {
            let (of, which, init) = (*of, *which, graph.operands(v)[0]);
            graph.recurrences[of.id as usize].states[which] = None;
            graph.replace_uses(v, init);
            graph.remove(v);
            changed = true;
        }
    }
    changed
}

/// Computes for all iterations at once what needs none of the states.
fn lift(graph: &mut Graph) -> bool {
    let bodies = graph.bodies();
    let mut changed = false;
    for v in graph.order() {
        let (Some(of), Some(op)) = (bodies.get(&v).copied(), graph.op(v).cloned()) else { continue };
        if matches!(op, Op::Pick(_) | Op::Carry(_)) {
            continue;
        }
        let operands = graph.operands(v);
        let tables: Option<Vec<Table>> = operands
            .iter()
            .map(|x| match graph.op(*x) {
                Some(Op::Pick(p)) => Some(Table { value: graph.operands(*x)[0], axis: Some(p.axis) }),
                _ => (!bodies.contains_key(x)).then_some(Table { value: *x, axis: None }),
            })
            .collect();
        let Some(tables) = tables else { continue };
        graph.set_origin(graph.node(v).origin.clone());
        if let Some((all, axis)) = batched::apply(graph, &op, &operands, &tables, of.length) {
            let pick = graph.emit_here().pick(all, of, axis);
            graph.replace_uses(v, pick);
            changed = true;
        }
    }
    changed
}

/// Values of the body that some next value depends on.
fn recurrent(graph: &Graph) -> HashSet<Value> {
    let mut found = HashSet::new();
    let mut open: Vec<Value> = graph.recurrences.iter().flat_map(|r| r.next_values()).collect();
    while let Some(v) = open.pop() {
        let ends = graph.op(v).is_none_or(|op| matches!(op, Op::Pick(_) | Op::Carry(_)) || closes(op).is_some());
        if found.insert(v) && !ends {
            open.extend(graph.operands(v));
        }
    }
    found
}

/// Computes after the loop what no later iteration needs.
fn sink(graph: &mut Graph) -> bool {
    let (bodies, needed) = (graph.bodies(), recurrent(graph));
    let mut changed = false;
    for v in graph.order() {
        let Some(Op::Stack(Stack { of, axis })) = graph.op(v).cloned() else { continue };
        let x = graph.operands(v)[0];
        graph.set_origin(graph.node(v).origin.clone());
        let op = graph.op(x).cloned();
        let all = match &op {
            Some(Op::Pick(Pick { axis: from, .. })) => {
                let table = graph.operands(x)[0];
                Some(moved_axis(graph, table, *from, axis))
            }
            _ if !bodies.contains_key(&x) => {
                let shape = graph.node(v).ty.shape.clone();
                let places: Vec<usize> = (0..shape.len()).filter(|i| *i != axis).collect();
                Some(graph.emit_here().broadcast(x, &shape, &places))
            }
            Some(op) if !needed.contains(&x) && !matches!(op, Op::Carry(_)) => after(graph, op, x, of, axis),
            _ => None,
        };
        if let Some(all) = all.filter(|all| graph.node(*all).ty == graph.node(v).ty) {
            graph.replace_uses(v, all);
            changed = true;
        }
    }
    changed
}

/// `x` of the body for all iterations, from its operands stacked, where that takes no more memory.
fn after(graph: &mut Graph, op: &Op, x: Value, of: Recur, axis: usize) -> Option<Value> {
    let operands = graph.operands(x);
    let bodies = graph.bodies();
    let inside: Vec<Value> = operands
        .iter()
        .copied()
        .filter(|o| bodies.contains_key(o) && !matches!(graph.op(*o), Some(Op::Pick(_))))
        .collect();
    let stacked =
        |o: &Value| graph.users(*o).into_iter().any(|u| matches!(graph.op(u), Some(Op::Stack(s)) if s.of == of));
    let open = inside.iter().filter(|o| !stacked(o)).count();
    let free = match op {
        Op::Contract(_) => true,
        Op::Reduce(_) => open == 0,
        _ => open <= 1,
    };
    if !free {
        return None;
    }
    let batch = graph.batch;
    let tables: Vec<Table> = operands
        .iter()
        .map(|o| match graph.op(*o) {
            Some(Op::Pick(p)) => Table { value: graph.operands(*o)[0], axis: Some(p.axis) },
            _ if bodies.contains_key(o) => {
                let axis = usize::from(batch > 0 && graph.node(*o).ty.shape.first() == Some(&batch));
                let known = graph.users(*o).into_iter().find(|u| graph.op(*u) == Some(&Stack { of, axis }.into()));
                let value = known.unwrap_or_else(|| graph.emit_here().stack(*o, of, axis));
                Table { value, axis: Some(axis) }
            }
            _ => Table { value: *o, axis: None },
        })
        .collect();
    let (all, from) = batched::apply(graph, op, &operands, &tables, of.length)?;
    Some(moved_axis(graph, all, from, axis))
}

/// A sum over an axis that both factors of a contraction have is a part of the contraction.
fn sums(graph: &mut Graph) -> bool {
    let mut changed = false;
    for v in graph.order() {
        let Some(Op::Reduce(Reduce { fold: Fold::Add, axes })) = graph.op(v).cloned() else { continue };
        let x = graph.operands(v)[0];
        let Some(Op::Contract(c)) = graph.op(x).cloned() else { continue };
        let gone: Vec<char> = axes.iter().filter_map(|i| c.y.chars().nth(*i)).collect();
        let both = gone.iter().all(|l| c.a.contains(*l) && c.b.contains(*l));
        if both && graph.users(x) == [v] && !graph.is_result(x) {
            graph.set_origin(graph.node(v).origin.clone());
            let y = c.y.chars().filter(|l| !gone.contains(l)).collect();
            let sum = graph.emit(Contract { y, ..c }.into(), &graph.operands(x));
            graph.replace_uses(v, sum);
            changed = true;
        }
    }
    changed
}
