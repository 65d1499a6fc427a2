//! The passes over a graph, the lists of them, and the runner.
//!
//! The runner verifies before the first pass and after each; a graph that does not verify is a bug of the
//! pass before and a panic that names it.

pub mod advance;
mod algebra;
mod commute_max;
pub mod differentiate;
mod drop_detach;
mod eliminate_common;
mod eliminate_dead;
mod fold_batch_norm;
mod fold_constants;
mod hoist;
mod insert_updates;
mod project_tables;
mod repeated;
mod share_history;
mod share_sums;
mod views;

pub use insert_updates::{Frozen, UpdateRule};

use crate::graph::Graph;

/// One rewrite of a graph.
pub struct Pass {
    /// The name of its module, in dumps and timings.
    pub name: &'static str,
    pub run: fn(&mut Graph, &dyn UpdateRule),
}

macro_rules! passes {
    ($($pass:ident),* $(,)?) => {
        &[$(Pass { name: stringify!($pass), run: $pass::run }),*]
    };
}

/// From a forward graph with the output `loss` to a training step.
pub const TRAINING: &[Pass] = passes![
    fold_constants, // before `differentiate`: the gradient of `x^2` need not know logarithms
    commute_max,    // before `differentiate`: backward then keeps the pooled tensor, not the large one
    hoist,          // before `differentiate`: what is outside a recurrence has a gradient outside
    fold_constants, // copies of copies that `hoist` made
    project_tables, // before `differentiate`: gradients are then summed in the table
    differentiate,  // + output `d.w` for every weight `w` that the loss depends on
    insert_updates, // + next value of every such weight; outputs `d.*` are gone
    drop_detach,    // after `differentiate`, the only reader of `detach`
    fold_constants,
    hoist, // after `insert_updates`: contractions of gradients leave their recurrences
    fold_constants,
    eliminate_common,
    share_sums,    // after `eliminate_common`: sums of the same are one sum
    share_history, // after everything that makes or merges stacks
    eliminate_dead,
];

/// For graphs that are only evaluated.
pub const INFERENCE: &[Pass] = passes![
    drop_detach,
    fold_constants,
    fold_batch_norm, // after `fold_constants`: scales of 1 are gone
    commute_max,
    hoist,
    fold_constants,
    project_tables,
    eliminate_common,
    share_history,
    eliminate_dead,
];

/// Sees the graph after every pass.
pub trait Watch {
    fn graph(&mut self, name: &str, graph: &Graph);
}

/// Looks away.
impl Watch for () {
    fn graph(&mut self, _: &str, _: &Graph) {}
}

/// Runs `passes` in order; `update` says how weights change.
pub fn run(graph: &mut Graph, passes: &[Pass], update: &dyn UpdateRule, watch: &mut dyn Watch) {
    verify(graph, "build");
    for pass in passes {
        (pass.run)(graph, update);
        verify(graph, pass.name);
        watch.graph(pass.name, graph);
    }
}

fn verify(graph: &Graph, pass: &str) {
    if let Err(broken) = graph.verify() {
        panic!("bug in {pass}: {broken}\n{graph}");
    }
}
