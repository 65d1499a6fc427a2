//! The pipeline on one page.

use crate::base::{Diagnostic, Failed, Span, Value};
use crate::codegen;
use crate::graph::{Graph, Init, StateVar};
use crate::loops;
use crate::passes;
use crate::plan;
use crate::schedule;
use dlc_runtime::abi::Executable;
use dlc_runtime::extents::{Extents, length_input};
use dlc_runtime::kept::{Half, Kept};
use dlc_runtime::micro::Isa;
use std::time::Instant;

pub use crate::base::Numerics;
pub use crate::hir::{Checked, Mode, Solved, SolvedDim, Sources, allowed, check};

/// What a program is compiled for. There is no default: every caller says what it wants.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub isa: Isa,
    /// `false` keeps every op's result in memory, for comparison.
    pub fuse: bool,
    /// What the program says, unless it is said here.
    pub numerics: Option<Numerics>,
    /// The most bytes that weights, activations and scratch may take; `None`: no limit.
    pub memory: Option<u64>,
    /// Run Cranelift's verifier as well as our own.
    pub verify: bool,
    /// Make code that keeps time of its parts.
    pub clock: bool,
}

/// What can be looked at, in the order of the pipeline; the names of `--emit`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    Ast,
    Hir,
    Graph,
    Grad,
    Opt,
    Kernels,
    Nests,
    Plan,
    Clif,
    Asm,
    Dot,
}

/// Sees a compilation pass by.
pub trait Watch {
    /// Is the text of this stage wanted? Making it costs time.
    fn wants(&self, stage: Stage) -> bool;
    /// The text of a stage; `pass` names the pass for [`Stage::Opt`], else it is empty.
    fn text(&mut self, stage: Stage, pass: &str, text: String);
    /// How long a part took.
    fn time(&mut self, part: &'static str, seconds: f64);
}

/// Looks away.
impl Watch for () {
    fn wants(&self, _: Stage) -> bool {
        false
    }
    fn text(&mut self, _: Stage, _: &str, _: String) {}
    fn time(&mut self, _: &'static str, _: f64) {}
}

/// A state of a compiled network: its path, shape, first values and kind.
pub use crate::graph::{Init as FirstValues, StateKind};

/// A compiled network and what is needed to start it.
pub struct Compiled {
    pub executable: Executable,
    /// In the order of `executable.state`: how each begins.
    pub first: Vec<(String, Init, StateKind)>,
    /// Bytes of the arena that no plan could save.
    pub lower_bound: usize,
}

/// Checked program to something a session can run. Read this first.
///
/// The only error is E0315: a network that does not fit into `target.memory`.
pub fn compile(
    solved: &Solved,
    mode: Mode,
    extents: impl Into<Extents>,
    target: &Target,
    watch: &mut dyn Watch,
) -> Result<Compiled, Failed> {
    let extents = extents.into();
    let graph = timed(watch, "build", || solved.graph(mode, extents));
    if watch.wants(Stage::Hir) {
        watch.text(Stage::Hir, "", solved.display());
    }
    lower(solved, (graph, mode), target, watch)
}

/// The same for half of a network that tells: programs that keep what they computed of what is known, along the dim in
/// which its input grows; `None` where that cannot be shown to give the same.
pub fn compile_half(
    solved: &Solved,
    half: Half,
    extents: impl Into<Extents>,
    target: &Target,
) -> Result<Option<(Compiled, Kept)>, Failed> {
    let Some(spec) = solved.generate() else { return Ok(None) };
    let graph = solved.graph(Mode::Predict, extents.into());
    let length = spec.along.as_deref().map(length_input);
    let Ok(found) = passes::advance::advance(&graph, &spec.input, length.as_deref(), &spec.output) else {
        return Ok(None);
    };
    let graph = match half {
        Half::Fill(places) => found.fill_of(&spec.input, places),
        Half::Step => found.step,
    };
    Ok(Some((lower(solved, (graph, Mode::Predict), target, &mut ())?, found.kept)))
}

/// A graph to machine code.
fn lower(
    solved: &Solved,
    (graph, mode): (Graph, Mode),
    target: &Target,
    watch: &mut dyn Watch,
) -> Result<Compiled, Failed> {
    let rule = Rule(solved.update_rule());
    let graph = optimize(graph, mode, &rule, watch);
    let numerics = target.numerics.or(solved.train().map(|train| train.numerics)).unwrap_or_default();
    let lowering = schedule::Target { isa: target.isa, fuse: target.fuse, numerics };
    if watch.wants(Stage::Kernels) {
        watch.text(Stage::Kernels, "", schedule::kernels(&graph, &lowering).to_string());
    }
    let mut program = timed(watch, "schedule", || schedule::run(&graph, &lowering));
    let mut plan = timed(watch, "plan", || plan::run(&program));
    if let Some(limit) = target.memory.filter(|limit| plan.bytes() as u64 > *limit) {
        let thrift = schedule::Thrift::new(&graph, &lowering);
        (program, plan) = timed(watch, "thrift", || plan::below(limit, &thrift, (program, plan)));
    }
    timed(watch, "verify", || {
        if let Err(wrong) = loops::verify_nest::verify(&program, target.isa.tiles().lanes) {
            panic!("bug in schedule: {wrong}");
        }
        if let Err(clash) = plan::verify::verify(&program, &plan) {
            panic!("bug in plan: {clash}");
        }
    });
    if watch.wants(Stage::Nests) {
        watch.text(Stage::Nests, "", program.to_string());
    }
    if watch.wants(Stage::Plan) {
        watch.text(Stage::Plan, "", plan::print(&program, &plan));
    }
    fits(solved, &plan, target)?;
    let listings = watch.wants(Stage::Clif) || watch.wants(Stage::Asm);
    let options = codegen::Options { isa: target.isa, listings, verify: target.verify, clock: target.clock };
    let compiled = timed(watch, "codegen", || codegen::compile(&program, &plan, &options));
    if watch.wants(Stage::Clif) {
        watch.text(Stage::Clif, "", compiled.clif);
    }
    if watch.wants(Stage::Asm) {
        watch.text(Stage::Asm, "", compiled.asm);
    }
    let first = graph.state.iter().map(|s: &StateVar| (s.path.clone(), s.init.clone(), s.kind)).collect();
    Ok(Compiled { executable: compiled.executable, first, lower_bound: plan.lower_bound })
}

/// The optimizer of a program, as the passes call it.
struct Rule(crate::hir::UpdateRule);

impl passes::UpdateRule for Rule {
    fn prepare(&self, graph: &mut Graph, gradients: &mut [(usize, Value)]) {
        self.0.prepare(graph, gradients);
    }

    fn apply(&self, graph: &mut Graph, weight: usize, gradient: Value) {
        self.0.apply(graph, weight, gradient);
    }
}

/// The graph passes of a mode, each shown to `watch`.
fn optimize(mut graph: Graph, mode: Mode, rule: &dyn passes::UpdateRule, watch: &mut dyn Watch) -> Graph {
    if watch.wants(Stage::Graph) {
        watch.text(Stage::Graph, "", graph.to_string());
    }
    let list = match mode {
        Mode::Train => passes::TRAINING,
        Mode::Evaluate | Mode::Predict => passes::INFERENCE,
    };
    let start = Instant::now();
    passes::run(&mut graph, list, rule, &mut Each { watch });
    watch.time("passes", start.elapsed().as_secs_f64());
    if watch.wants(Stage::Dot) {
        watch.text(Stage::Dot, "", graph.dot());
    }
    graph
}

/// Shows every graph between passes.
struct Each<'a> {
    watch: &'a mut dyn Watch,
}

impl passes::Watch for Each<'_> {
    fn graph(&mut self, name: &str, graph: &Graph) {
        if name == "differentiate" && self.watch.wants(Stage::Grad) {
            self.watch.text(Stage::Grad, "", graph.to_string());
        }
        if self.watch.wants(Stage::Opt) {
            self.watch.text(Stage::Opt, name, graph.to_string());
        }
    }
}

fn timed<T>(watch: &mut dyn Watch, part: &'static str, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = f();
    watch.time(part, start.elapsed().as_secs_f64());
    result
}

fn fits(solved: &Solved, plan: &plan::Plan, target: &Target) -> Result<(), Failed> {
    let need = plan.bytes() as u64;
    match target.memory {
        Some(limit) if need > limit => {
            let mib = |b: u64| match b {
                b if b < 1 << 10 => format!("{b} bytes"),
                b if b < 1 << 20 => format!("{:.1} KiB", b as f64 / 1024.0),
                b => format!("{:.1} MiB", b as f64 / (1 << 20) as f64),
            };
            let message = format!("the network needs {}, the limit is {}", mib(need), mib(limit));
            let note = format!(
                "weights and their slots {}, activations {}, scratch of each thread {}",
                mib(plan.state_bytes as u64),
                mib(plan.arena_bytes as u64),
                mib(plan.scratch_bytes as u64)
            );
            let d = Diagnostic::error("E0315", Span::default(), message)
                .note(note)
                .note("that is with every table made again that can be, where that saves memory")
                .help("take a smaller batch or narrower layers, or raise `--memory`");
            Err(Failed { sources: solved.sources().clone(), diagnostics: vec![d] })
        }
        Some(_) | None => Ok(()),
    }
}
