//! Gives every weight with a gradient its next value, by the rule of an optimizer.
//!
//! The outputs `d.*` are taken away: gradients live no longer than the step.

use crate::base::{Origin, Role, Value};
use crate::graph::Graph;

/// An optimizer.
pub trait UpdateRule {
    /// Called once with all gradients, before any is applied: clipping by their common norm.
    fn prepare(&self, _graph: &mut Graph, _gradients: &mut [(usize, Value)]) {}

    /// Emits the next value of `graph.state[weight]` and of the slots it keeps for it.
    fn apply(&self, graph: &mut Graph, weight: usize, gradient: Value);
}

/// Leaves all weights as they are.
pub struct Frozen;

impl UpdateRule for Frozen {
    fn apply(&self, _: &mut Graph, _: usize, _: Value) {}
}

pub(super) fn run(graph: &mut Graph, rule: &dyn UpdateRule) {
    let mut gradients: Vec<(usize, Value)> = vec![];
    for (i, s) in graph.state.iter().enumerate() {
        if let Some(gradient) = graph.output(&format!("d.{}", s.path)) {
            gradients.push((i, gradient));
        }
    }
    graph.outputs.retain(|(name, _)| !name.starts_with("d."));
    graph.set_origin(Origin { path: "gradients".into(), span: None, role: Role::Update });
    rule.prepare(graph, &mut gradients);
    for (weight, gradient) in gradients {
        let path = graph.state[weight].path.clone();
        graph.set_origin(Origin { path, span: None, role: Role::Update });
        rule.apply(graph, weight, gradient);
    }
    graph.set_origin(Origin::default());
}
