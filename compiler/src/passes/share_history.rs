//! Whoever stacks a state, or its next value, reads the history that the state lies in.

use super::UpdateRule;
use crate::base::Value;
use crate::graph::Graph;
use crate::ops::{Emit, History, Op, Stack};

pub(super) fn run(graph: &mut Graph, _: &dyn UpdateRule) {
    for v in graph.order() {
        let Some(Op::Stack(Stack { of, axis })) = graph.op(v).cloned() else { continue };
        let x = graph.operands(v)[0];
        let states = graph.recurrences[of.id as usize].states.iter().enumerate();
        let found = states.filter_map(|(which, s)| Some((which, (*s)?))).find(|(_, (c, n))| *c == x || *n == x);
        let Some((which, (carry, next))) = found else { continue };
        graph.set_origin(graph.node(v).origin.clone());
        // What comes in lies one place before what goes out.
        let start = usize::from((x == next) != of.reverse);
        if x == carry && x == next {
            continue;
        }
        let Some(all) = table(graph, next, History { of, which, axis }) else { continue };
        let stacked = graph.emit_here().slice(all, axis, start, of.length);
        graph.replace_uses(v, stacked);
    }
}

/// The table of a state: one that is there already if it has the same axes. A state has no second.
fn table(graph: &mut Graph, next: Value, history: History) -> Option<Value> {
    let same = |h: &History| h.of == history.of && h.which == history.which;
    for user in graph.users(next) {
        match graph.op(user) {
            Some(Op::History(h)) if same(h) => return (*h == history).then_some(user),
            _ => {}
        }
    }
    Some(graph.emit(history.into(), &[next]))
}
