//! Removes every value that no result depends on. Inputs and states stay: they are the graph's signature.

use super::UpdateRule;
use crate::base::Value;
use crate::graph::{Def, Graph};
use crate::ops::Op;
use std::collections::BTreeSet;

pub(super) fn run(graph: &mut Graph, _: &dyn UpdateRule) {
    let mut live: BTreeSet<Value> = BTreeSet::new();
    let mut open: Vec<Value> = graph.results().collect();
    while let Some(v) = open.pop() {
        if live.insert(v) {
            open.extend(graph.operands(v));
            let state = match graph.op(v) {
                Some(Op::Carry(c)) => Some((c.of, c.which)),
                Some(Op::History(h)) => Some((h.of, h.which)),
                _ => None,
            };
            let state = state.and_then(|(of, which)| graph.recurrences[of.id as usize].states[which]);
            open.extend(state.into_iter().flat_map(|(carry, next)| [carry, next]));
        }
    }
    for state in graph.recurrences.iter_mut().flat_map(|r| &mut r.states) {
        state.take_if(|(carry, _)| !live.contains(carry));
    }
    for v in graph.order() {
        match graph.node(v).def {
            Def::Constant(_) | Def::Op(_) if !live.contains(&v) => graph.remove(v),
            Def::Constant(_) | Def::Op(_) | Def::Input(_) | Def::State(_) => {}
        }
    }
}
