//! From trees to a checked program: names resolved, blocks expanded, every shape known.
//!
//! [`check`] reads a program and tells all its mistakes; [`Checked::solve`] fills in the dims that the data
//! decides; [`Solved::graph`] lowers the flat program to a graph and cannot fail.

mod args;
mod arith;
mod augment;
mod block;
mod build;
mod call;
mod canonical;
mod data;
mod data_lines;
mod data_partners;
mod data_pictures;
mod data_series;
mod data_settings;
mod data_split;
mod data_steps;
mod data_table;
mod data_text;
mod detect;
mod elab;
mod expr;
mod fits;
mod generate;
mod globals;
mod inside;
mod intrinsics;
mod layer;
mod library;
mod lints;
mod mixup;
mod model;
mod near;
mod optimizer;
mod print;
mod program;
mod scan;
mod shape;
mod spec;
mod stmt;
#[cfg(test)]
mod tests;
mod told;
mod train;
mod transfer;
mod types;
mod value;
mod variable;

pub use build::{Mode, UpdateRule};
pub use elab::{SolvedDim, allowed};
pub use inside::{Inside, SHOWN};
pub use layer::{Hir, Layer, Named, Seen, Start, Stored, Weight, What};
pub use library::STDLIB;
pub use program::Program;
pub use spec::{GenerateSpec, Length, MetricArg, MetricSpec, StartFile, Stop, TrainSpec};
pub use value::{Axis, Element, LayerId, Size, Table, Variable};

/// The names of all primitive layers.
pub use intrinsics::names as primitives;

use crate::base::{Diagnostic, Failed, Severity, SourceMap, Span};
use dlc_runtime::data::spec::DataSpec;

/// Where imports are read from.
pub trait Sources {
    /// The text of an imported file, or why there is none.
    fn read(&self, path: &str) -> Result<String, String>;
}

/// Deep recursion of blocks needs more stack than a thread has by default.
const STACK: usize = 256 << 20;

/// A program without mistakes; sizes that come with the data may be open.
#[derive(Clone, Debug)]
pub struct Checked {
    program: Program,
    elaborated: Elaborated,
    /// Lints, sorted by place.
    pub warnings: Vec<Diagnostic>,
}

/// What elaboration gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elaborated {
    pub hir: Hir,
    pub data: Option<DataSpec>,
    pub train: Option<TrainSpec>,
    pub generate: Option<GenerateSpec>,
    /// Dims by name, with what is known of them.
    pub dims: Vec<(String, Option<usize>, Vec<String>)>,
    /// Blocks of the standard library that are used.
    pub standard: Vec<String>,
}

/// A program whose every size is known.
#[derive(Clone, Debug)]
pub struct Solved {
    program: Program,
    elaborated: Elaborated,
}

/// Reads and checks a program; imports come from `sources`, `--set` values from `sets`.
pub fn check(
    main_name: &str,
    main_text: &str,
    sources: &dyn Sources,
    sets: &[(String, String)],
) -> Result<Checked, Failed> {
    let (program, diagnostics) = program::load(main_name, main_text, sources, sets);
    finish(program, diagnostics, &[])
}

fn finish(program: Program, mut diagnostics: Vec<Diagnostic>, solved: &[SolvedDim]) -> Result<Checked, Failed> {
    let (elaborated, more) = match in_deep_stack(|| model::elaborate(&program, solved)) {
        Ok(found) => found,
        Err(error) => {
            let message = format!("checking needs a stack of {} MiB, and the system gives none: {error}", STACK >> 20);
            let e = Diagnostic::error("E0315", Span::default(), message);
            let diagnostics = vec![e.help("allow this process more memory and threads: `ulimit -v`, `ulimit -u`")];
            return Err(Failed { sources: program.sources, diagnostics });
        }
    };
    diagnostics.extend(more);
    diagnostics.sort_by_key(|d| (d.primary.span.source, d.primary.span.start, d.severity, d.code));
    diagnostics.dedup_by(|a, b| a.code == b.code && a.primary.span == b.primary.span);
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        // Lints are about programs that mean something.
        diagnostics.retain(|d| d.severity == Severity::Error);
        return Err(Failed { sources: program.sources, diagnostics });
    }
    Ok(Checked { program, elaborated, warnings: diagnostics })
}

fn in_deep_stack<T: Send>(f: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let handle = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, f)?;
        Ok(handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

impl Checked {
    pub fn sources(&self) -> &SourceMap {
        &self.program.sources
    }

    pub fn hir(&self) -> &Hir {
        &self.elaborated.hir
    }

    /// The data section, if there is one.
    pub fn data(&self) -> Option<&DataSpec> {
        self.elaborated.data.as_ref()
    }

    /// The recipe, if there is one.
    pub fn train(&self) -> Option<&TrainSpec> {
        self.elaborated.train.as_ref()
    }

    /// Number of trained numbers; `None` while a dim is open.
    pub fn parameters(&self) -> Option<u64> {
        self.hir().parameters()
    }

    /// The text of `--emit hir`.
    pub fn display(&self) -> String {
        print::hir(self.hir())
    }

    /// The same program with the sizes and names that the data gave.
    pub fn solve(&self, dims: &[SolvedDim]) -> Result<Solved, Failed> {
        let checked = if dims.is_empty() { self.clone() } else { finish(self.program.clone(), vec![], dims)? };
        let failed = |d: Diagnostic| Failed { sources: self.program.sources.clone(), diagnostics: vec![d] };
        let hir = checked.hir();
        if hir.model.is_empty() {
            let span = crate::base::Span::default();
            return Err(failed(Diagnostic::error("E0101", span, "nothing to compile: the file has no model")));
        }
        if let Some((layer, text)) = hir.unknown() {
            let message = format!("the size of `{text}` is not known");
            let help = "a dim without a size is solved by a field that indexes it or has it as an axis";
            return Err(failed(Diagnostic::error("E0503", layer.span, message).help(help)));
        }
        Ok(Solved { program: checked.program, elaborated: checked.elaborated })
    }
}

impl Solved {
    /// The same program with another seed than its own.
    pub fn with_seed(mut self, seed: u64) -> Solved {
        self.elaborated.hir.seed = seed;
        self
    }

    /// The text of `--emit hir`.
    pub fn display(&self) -> String {
        print::hir(self.hir())
    }

    pub fn sources(&self) -> &SourceMap {
        &self.program.sources
    }

    pub fn hir(&self) -> &Hir {
        &self.elaborated.hir
    }

    pub fn data(&self) -> Option<&DataSpec> {
        self.elaborated.data.as_ref()
    }

    /// How text is generated, if the program says so.
    pub fn generate(&self) -> Option<&GenerateSpec> {
        self.elaborated.generate.as_ref()
    }

    pub fn train(&self) -> Option<&TrainSpec> {
        self.elaborated.train.as_ref()
    }

    /// All dims with their sizes and names.
    pub fn dims(&self) -> &[(String, Option<usize>, Vec<String>)] {
        &self.elaborated.dims
    }

    /// The whole source in one text: imports and the standard blocks that are used are written in.
    pub fn canonical_source(&self) -> String {
        canonical::closed(&self.program, &self.elaborated)
    }
}
