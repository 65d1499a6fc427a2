//! From the flat program to a graph; types were checked, so nothing here can fail.

mod losses;
mod lower;
mod moving;
mod normal;
mod recur;
mod update;
mod variable;
mod window;

pub use update::UpdateRule;

use super::layer::{Clock, Hir, Named, Start, What};
use super::value::LayerId;
use super::{Solved, lints};
use crate::base::Value;
use crate::graph::{Graph, Init, StateKind};
use dlc_runtime::extents::{Extents, count_output};
use lower::Lower;

/// What a graph is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// Loss, rate and metric inputs; the forward half of a step.
    Train,
    /// Loss and metric inputs as users would see them: no dropout, running statistics.
    Evaluate,
    /// Model outputs and predictions.
    Predict,
}

/// A number from a text and the seed: keys of generators.
pub(super) fn key(seed: u64, path: &str) -> u64 {
    let mut x = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in path.bytes() {
        x = (x ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub(super) fn init(start: &Start, seed: u64, path: &str) -> Init {
    match start {
        Start::Constant(x) if *x == 0.0 => Init::Zeros,
        Start::Constant(x) => Init::Constant(*x as f32),
        Start::Uniform(limit) => Init::Uniform { limit: *limit as f32, key: key(seed, path) },
        Start::Normal(std) => Init::Normal { std: *std as f32, key: key(seed, path) },
    }
}

impl Solved {
    /// The graph of one step on a batch of these extents; a number means so many examples.
    pub fn graph(&self, mode: Mode, extents: impl Into<Extents>) -> Graph {
        let (extents, seed) = (extents.into(), self.hir().seed);
        let hir = self.hir();
        let results = results(hir, mode);
        let mut roots: Vec<LayerId> = results.iter().map(|(_, id)| *id).collect();
        let clocks = mode == Mode::Train;
        if clocks {
            add_next_states(hir, &mut roots);
        }
        let mut lower = Lower::new(&hir.layers, mode, extents, seed);
        lower.graph.batch = lower.extents.batch;
        lower.scans = &hir.scans;
        lower.ignoring = hir.ignoring.keys().cloned().collect();
        if mode == Mode::Train {
            lower.mixed = hir.mixed.clone();
        }
        if clocks {
            for clock in [Clock::Step, Clock::Steps, Clock::StepsPerEpoch] {
                lower.clock(clock);
            }
        }
        let reached = lints::reachable(hir, &roots, lints::Through::All);
        states(&mut lower, hir, seed);
        lower.run(&reached);
        next_states(&mut lower, hir, &reached);
        outputs(&mut lower, hir, mode, &results);
        lower.graph
    }

    /// How weights change in a training step.
    pub fn update_rule(&self) -> UpdateRule {
        UpdateRule::new(self.hir())
    }
}

/// What the graph must compute, by name.
fn results(hir: &Hir, mode: Mode) -> Vec<(String, LayerId)> {
    let named = |list: &[Named]| list.iter().map(|n| (n.name.clone(), n.layer)).collect::<Vec<_>>();
    if mode == Mode::Predict {
        return [named(&hir.outputs), named(&hir.predicts)].concat();
    }
    let losses = hir.losses.iter().map(|l| {
        let name = if l.name.is_empty() { "loss".to_string() } else { format!("loss.{}", l.name) };
        (name, l.layer)
    });
    let mut all: Vec<_> = losses.collect();
    if let (Mode::Train, Some(rate)) = (mode, hir.rate) {
        all.push(("lr".into(), rate));
    }
    all.extend(named(&hir.metric_inputs));
    all
}

/// Next values of stored tables that are read are computed too.
fn add_next_states(hir: &Hir, roots: &mut Vec<LayerId>) {
    loop {
        let reached = lints::reachable(hir, roots, lints::Through::All);
        let mut more = vec![];
        for (layer, reached) in hir.layers.iter().zip(reached) {
            if let (true, What::State(i)) = (reached, &layer.what) {
                more.extend(hir.states[*i].next.filter(|n| !roots.contains(n)));
            }
        }
        if more.is_empty() {
            return;
        }
        roots.extend(more);
    }
}

/// All weights and stored tables, in the order of the program: also those that nothing here reads, so that what is stored
/// after training fits whatever is asked of the model later, and each has the same place in every program.
fn states(lower: &mut Lower<'_>, hir: &Hir, seed: u64) {
    for (i, w) in hir.weights.iter().enumerate() {
        let start = init(&w.start, seed, &w.path);
        let value = lower.graph.state(
            &w.path,
            lower.tensor(&w.ty),
            start,
            if hir.is_frozen(&w.path) { StateKind::Statistic } else { StateKind::Weight },
        );
        lower.weights.insert(i, value);
    }
    for (i, s) in hir.states.iter().enumerate() {
        let start = init(&Start::Constant(s.start), seed, &s.path);
        let value = lower.graph.state(&s.path, lower.tensor(&s.ty), start, StateKind::Statistic);
        lower.states.insert(i, value);
        if hir.is_frozen(&s.path) {
            lower.frozen.insert(i);
        }
    }
}

fn next_states(lower: &mut Lower<'_>, hir: &Hir, reached: &[bool]) {
    if lower.mode != Mode::Train {
        return;
    }
    for (i, s) in hir.states.iter().enumerate() {
        if let Some(next) = s.next.filter(|next| reached[next.index()] && !lower.frozen.contains(&i)) {
            let value = lower.aligned(next, &s.ty);
            lower.next.insert(i, value);
        }
    }
    for (i, next) in lower.next.clone() {
        let value = lower.states[&i];
        if let Some(var) = lower.graph.state.iter_mut().find(|s| s.value == value) {
            var.next = Some(next);
        }
    }
}

/// Names the results; losses become means over the batch, and their sum.
fn outputs(lower: &mut Lower<'_>, hir: &Hir, mode: Mode, results: &[(String, LayerId)]) {
    let mut total: Option<Value> = None;
    let mut parts = vec![];
    for (name, id) in results {
        let is_loss = mode != Mode::Predict && hir.losses.iter().any(|l| l.layer == *id) && name.starts_with("loss");
        if !is_loss {
            parts.push((name.clone(), lower.value(*id)));
            continue;
        }
        let mean = lower.batch_mean(*id);
        if let Some(elements) = lower.elements(*id) {
            parts.push((count_output(name), elements));
        }
        total = Some(match total {
            Some(sum) => lower.graph.emit_here().add(sum, mean),
            None => mean,
        });
        if name != "loss" {
            parts.push((name.clone(), mean));
        }
    }
    if let Some(total) = total {
        lower.graph.set_output("loss", total);
    }
    for (name, value) in parts {
        lower.graph.set_output(&name, value);
    }
}
