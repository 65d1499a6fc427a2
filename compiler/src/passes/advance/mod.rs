//! From a graph over a whole sequence to one for its next element.
//!
//! A value is wanted at the present place of an axis, or as a whole; what is wanted of the output is wanted of its operands
//! (`demand`). A value that is wanted as a whole and changes as the input grows is kept: its element at the present place
//! is computed, all earlier ones lie in a table (`emit`). That is right only where an element never changes again: what
//! lies after the present place in such a table is no number of the network, and has to be known not to count (`beyond`).
//! So causal attention is found by its mask: what lies behind it has an exponential of 0, and 0 times what is not known is 0.
//! Where that cannot be shown, there are no steps, and the whole is computed anew. Where it can, the graph that reads the
//! beginning need not be longer than that (`first`).

mod beyond;
mod demand;
mod emit;
mod first;
mod sources;

use crate::base::Value;
use crate::graph::Graph;
use crate::ops::Stack;
use dlc_runtime::kept::{Kept, Kind, PLACE, fixed, renewed, table};
use emit::{Emitter, Start};
use sources::Sources;
use std::collections::{HashMap, HashSet};

/// Two graphs that compute what one did: over a whole window, and for one more element.
pub struct Advance {
    pub fill: Graph,
    pub step: Graph,
    pub kept: Kept,
}

/// Of a value, what is wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Want {
    Whole,
    /// Its element at the present place of an axis.
    Here(usize),
    /// It is computed anew in each iteration of a recurrence: what it is in the present one.
    Now,
}

/// The steps of `output`, of which axis 1 goes along with axis 1 of the input `grows`; `length` is the input that says how
/// much of it there is. The error says what stands against it.
pub fn advance(graph: &Graph, grows: &str, length: Option<&str>, output: &str) -> Result<Advance, String> {
    let sources = Sources::new(graph, grows, length).ok_or("the input is not read")?;
    if sources.extent < 2 {
        return Err("there is one place only".into());
    }
    let end = graph.output(output).ok_or("there is no such output")?;
    let demands = demand::of(&sources, end);
    let mut emitter = Emitter::new(&sources);
    for v in &sources.order {
        let mut wants: Vec<Want> = demands.get(v).into_iter().flatten().copied().collect();
        if sources.moving.contains(v) {
            // The element first, of which the whole is made.
            wants.reverse();
        }
        wants.into_iter().for_each(|want| emitter.emit(*v, want));
    }
    let result = emitter.final_of(end, Want::Here(1))?;
    let (mut step, starts) = emitter.done();
    step.set_output(output, result);
    let mut fill = graph.clone();
    fill.outputs = vec![(output.to_string(), end)];
    let mut made = Advance { fill, step, kept: Kept::default() };
    made.keep(&sources, starts)?;
    sweep(&mut made.step);
    let rows = made.kept.tables.iter().any(|kind| matches!(kind, Kind::Rows { .. }));
    made.kept.endless = !rows && made.step.find_input(PLACE).is_none();
    Ok(made)
}

impl Advance {
    /// What reads the beginning, for so many elements of the input that grows.
    pub fn fill_of(&self, grows: &str, places: usize) -> Graph {
        first::places(self.fill.clone(), grows, places).unwrap_or_else(|| self.fill.clone())
    }

    /// What is needed of what could be kept; and that may need more that is kept: until nothing is new.
    fn keep(&mut self, sources: &Sources<'_>, mut starts: Vec<Start>) -> Result<(), String> {
        loop {
            let live = live(&self.step);
            let (new, rest): (Vec<Start>, Vec<Start>) = starts.into_iter().partition(|s| live.contains(&s.input));
            starts = rest;
            if new.is_empty() {
                return Ok(());
            }
            for start in new {
                let input = start.input;
                let name = self.begin(sources, start)?;
                self.step.rename_input(input, &name);
            }
        }
    }

    /// One program gives what an input of the other begins as; the name of both.
    fn begin(&mut self, sources: &Sources<'_>, start: Start) -> Result<String, String> {
        let Some((kind, next)) = start.next else {
            let name = fixed(self.kept.fixed);
            self.fill.set_output(&name, start.of);
            self.kept.fixed += 1;
            return Ok(name);
        };
        let number = self.kept.tables.len();
        self.step.set_output(&renewed(number), next?);
        let whole = match kind {
            Kind::State => {
                let of = sources.bodies[&start.of];
                self.fill.emit_here().emit(Stack { of, axis: 1 }.into(), &[start.of])
            }
            Kind::Rows { .. } | Kind::Last { .. } => start.of,
        };
        self.fill.set_output(&table(number), whole);
        self.kept.tables.push(kind);
        Ok(table(number))
    }
}

/// Everything that outputs depend on; a state depends on its next value.
fn live(graph: &Graph) -> HashSet<Value> {
    let next: HashMap<Value, Value> =
        graph.recurrences.iter().flat_map(|r| r.states.iter().flatten().copied()).collect();
    let mut live = HashSet::new();
    let mut open: Vec<Value> = graph.results().collect();
    while let Some(v) = open.pop() {
        if live.insert(v) {
            open.extend(graph.operands(v));
            open.extend(next.get(&v));
        }
    }
    live
}

/// Takes away what was tried without use, inputs too.
fn sweep(graph: &mut Graph) {
    let mut live = live(graph);
    live.extend(graph.state.iter().map(|s| s.value));
    for v in graph.order().into_iter().rev().filter(|v| !live.contains(v)) {
        graph.remove(v);
    }
}
