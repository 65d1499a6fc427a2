//! The optimizer as ops: applied to each weight once its gradient is there.

use super::Mode;
use super::lower::Lower;
use crate::base::{Role, Value};
use crate::graph::{Graph, Init, StateKind};
use crate::hir::layer::{Fragment, Hir, Weight};
use crate::loops::Fold;

/// How weights change. The passes call [`UpdateRule::prepare`] once, then [`UpdateRule::apply`] per weight.
#[derive(Clone, Debug)]
pub struct UpdateRule {
    weights: Vec<Weight>,
    fragments: Vec<Fragment>,
    clip: Option<f64>,
}

impl UpdateRule {
    pub(super) fn new(hir: &Hir) -> UpdateRule {
        UpdateRule { weights: hir.weights.clone(), fragments: hir.updates.clone(), clip: hir.clip }
    }

    /// Scales all gradients so that their common norm is at most `clip`.
    pub fn prepare(&self, graph: &mut Graph, gradients: &mut [(usize, Value)]) {
        let Some(clip) = self.clip else { return };
        let e = graph.emit_here();
        let mut total: Option<Value> = None;
        for (_, g) in gradients.iter() {
            let square = e.mul(*g, *g);
            let axes: Vec<usize> = (0..e.shape(square).len()).collect();
            let sum = if axes.is_empty() { square } else { e.reduce(Fold::Add, square, &axes) };
            total = Some(match total {
                Some(t) => e.add(t, sum),
                None => sum,
            });
        }
        let Some(total) = total else { return };
        let norm = e.sqrt(total);
        let limit = e.constant(clip as f32);
        // Gradients below the limit are divided by the limit and multiplied by it: by 1.
        let larger = e.max(norm, limit);
        let factor = e.div(limit, larger);
        for (_, g) in gradients {
            let shape = e.shape(*g);
            let wide = if shape.is_empty() { factor } else { e.broadcast(factor, &shape, &[]) };
            *g = e.mul(*g, wide);
        }
    }

    /// Emits the next value of `graph.state[weight]` and of the slots it keeps for it.
    pub fn apply(&self, graph: &mut Graph, weight: usize, gradient: Value) {
        let path = graph.state[weight].path.clone();
        let Some(i) = self.weights.iter().position(|w| w.path == path) else { return };
        let Some(fragment) = self.fragments.get(i) else { return };
        let Some(result) = fragment.result else { return };
        let w = graph.state[weight].value;
        let (Some(step), Some(rate)) = (graph.find_input("step"), graph.output("lr")) else { return };
        let mut lower = Lower::new(&fragment.layers, Mode::Train, 1.into(), 0);
        lower.role = Role::Update;
        lower.graph = std::mem::take(graph);
        lower.given = vec![w, gradient, step, rate];
        for (i, s) in fragment.states.iter().enumerate() {
            let init = if s.start == 0.0 { Init::Zeros } else { Init::Constant(s.start as f32) };
            let value = lower.graph.state(&s.path, lower.tensor(&s.ty), init, StateKind::Slot);
            lower.states.insert(i, value);
        }
        lower.run(&vec![true; fragment.layers.len()]);
        let next = lower.value(result);
        for (i, s) in fragment.states.iter().enumerate() {
            let Some(id) = s.next else { continue };
            let value = lower.aligned(id, &s.ty);
            let slot = lower.states[&i];
            if let Some(var) = lower.graph.state.iter_mut().find(|v| v.value == slot) {
                var.next = Some(value);
            }
        }
        lower.graph.state[weight].next = Some(next);
        *graph = lower.graph;
    }
}
