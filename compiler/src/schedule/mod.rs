//! Graph to program: what is stored, what runs together, and how each kernel walks its axes.
//!
//! No op is named here: strategies match the expression of a kernel, most specific first. Chunks are fixed by sizes
//! alone, so that any number of threads gives the same bits.

mod bands;
mod chains;
mod compose;
mod contraction;
mod early;
mod ending;
mod epilogue;
mod examples;
mod filters;
mod fuse;
mod group;
mod interior;
mod kernels;
mod lead;
mod light;
mod lockstep;
mod near;
mod packing;
mod padding;
mod parts;
mod prepare;
mod recur;
mod recur_steps;
mod row_parts;
mod scratch;
mod steps;
mod store;
mod strips;
mod sums;
mod thrift;
mod tile_nest;
mod tiling;
mod triangle;
mod winograd;

pub use thrift::Thrift;

use crate::base::Numerics;
use crate::graph::Graph;
use crate::loops::nest::Program;
use crate::loops::print::{Kernels, Repeated};
use dlc_runtime::micro::Isa;

/// What the schedule depends on besides the graph.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub isa: Isa,
    pub fuse: bool,
    pub numerics: Numerics,
}

/// The kernels of a graph, before scheduling, for `--emit kernels` and the tests.
pub fn kernels(graph: &Graph, target: &Target) -> Kernels {
    let lowered = kernels::lower(graph, &store::decide(graph, target.fuse));
    let (mut items, mut repeated) = (vec![], vec![]);
    for item in lowered.items {
        let Some(body) = &item.body else {
            items.push((item.label, item.kernel));
            continue;
        };
        let first = items.len();
        items.extend(body.items.iter().map(|i| (i.label.clone(), i.kernel.clone())));
        repeated.push(Repeated { items: first..items.len(), var: body.of.var(), length: body.of.length });
    }
    Kernels { program: lowered.program, items, repeated }
}

pub fn run(graph: &Graph, target: &Target) -> Program {
    let decision = store::decide(graph, target.fuse);
    let lowered = light::at_no_cost(kernels::lower(graph, &decision), target);
    let mut program = steps::run(lowered, target);
    prepare::run(&mut program);
    program
}
