//! Compiling: what it costs, what it makes, and every stage on the way.

use std::collections::BTreeMap;
use std::path::Path;

use dlc_compiler::base::Failed;
use dlc_compiler::driver::{self, Solved, Watch};
use dlc_compiler::syntax;
use dlc_runtime::checkpoint::{self, Model};
use dlc_runtime::micro::Isa;
use dlc_runtime::train::Mode;

use super::network::Network;
use super::{Built, Settings, machine_memory, program, spec};
use crate::args::Stage;
use crate::trouble::Trouble;

/// Everything up to machine code, without data. The warnings, or the errors.
pub fn check(file: &Path, sets: &[(String, String)]) -> Result<Failed, Trouble> {
    if program::is_model(file) {
        program::model(file, sets)?;
        return Ok(Failed::default());
    }
    let checked = program::checked(file, sets)?;
    // With open dims the data has the last word; the rest is known to fit.
    if let Ok(solved) = checked.solve(&[]) {
        let target = driver::Target {
            isa: Isa::detect(),
            fuse: true,
            numerics: None,
            memory: machine_memory(),
            verify: false,
            clock: false,
        };
        let (mode, batch) = (mode(&solved), batch(&solved));
        Network::new(solved, target).get(mode, batch)?;
    }
    Ok(program::warnings(&checked))
}

fn mode(solved: &Solved) -> Mode {
    if solved.train().is_some() { Mode::Train } else { Mode::Predict }
}

fn batch(solved: &Solved) -> usize {
    solved.train().map_or(1, |spec| spec.batch)
}

/// Compiles a program or a model file; writes the model to `output` unless stages are only to be printed.
pub fn build(
    file: &Path,
    settings: &Settings,
    wanted_batch: Option<usize>,
    emit: &[Stage],
    output: Option<&Path>,
) -> Result<Built, Trouble> {
    let target = settings.target()?;
    let (solved, stored, warnings) = match program::is_model(file) {
        true => {
            let (model, solved) = program::model(file, &settings.sets)?;
            (solved, Some(model), Failed::default())
        }
        false => {
            let checked = program::checked(file, &settings.sets)?;
            let warnings = program::warnings(&checked);
            (program::solved(&checked, file, settings)?, None, warnings)
        }
    };
    let mode = if stored.is_some() { Mode::Predict } else { mode(&solved) };
    let batch = wanted_batch.unwrap_or_else(|| batch(&solved));
    let mut seen = Seen { wanted: emit, texts: vec![], timings: vec![] };
    if emit.contains(&Stage::Ast) {
        seen.texts.push((Stage::Ast, ast(&solved)));
    }
    let mut network = Network::new(solved, target);
    let executable = network.compile(mode, &batch.into(), &mut seen).map_err(Trouble::Program)?;
    let hir = network.solved().hir();
    let forward = network_cost(&mut Network::new(network.solved().clone(), target))?;
    let built = Built {
        model: hir.model.clone(),
        weights: hir.parameters().unwrap_or(0),
        multiply_adds: forward,
        batch,
        kernels: executable.steps.len(),
        arena_bytes: executable.arena_bytes as u64,
        state_bytes: executable.state_bytes as u64,
        timings: seen.timings,
        emitted: seen.texts,
        written: output.map(Path::to_path_buf),
        warnings,
    };
    if let Some(path) = output {
        write(path, &network, &executable, stored)?;
    }
    Ok(built)
}

/// Multiply-adds of one example, forward.
fn network_cost(network: &mut Network) -> Result<u64, Trouble> {
    let forward = network.get(Mode::Predict, 1)?;
    Ok(forward.steps.iter().map(|step| step.flop() / 2).sum())
}

/// The tree of the program itself, not of the standard library.
fn ast(solved: &Solved) -> String {
    let sources = solved.sources();
    match sources.iter().next() {
        Some((id, _)) => syntax::print::dump(&syntax::parse(sources, id).0),
        None => String::new(),
    }
}

/// Fresh weights with the closed source, or the stored model again.
fn write(
    path: &Path,
    network: &Network,
    executable: &dlc_runtime::abi::Executable,
    stored: Option<Model>,
) -> Result<(), Trouble> {
    let solved = network.solved();
    let model = stored.unwrap_or_else(|| {
        let hir = solved.hir();
        let kept = |path: &str| hir.weights.iter().any(|w| w.path == path) || hir.states.iter().any(|s| s.path == path);
        let tensors = network.initial(executable).into_iter().filter(|(path, _)| kept(path));
        Model {
            tensors: tensors.collect::<BTreeMap<_, _>>(),
            source: solved.canonical_source(),
            dims: spec::dims(solved),
            seed: hir.seed,
            compiler: env!("CARGO_PKG_VERSION").to_string(),
            ..Model::default()
        }
    });
    checkpoint::save(&model, path).map_err(|error| Trouble::usage(format!("cannot write {}: {error}", path.display())))
}

/// Keeps texts and times of a compilation.
struct Seen<'a> {
    wanted: &'a [Stage],
    texts: Vec<(Stage, String)>,
    timings: Vec<(String, f64)>,
}

impl Watch for Seen<'_> {
    fn wants(&self, stage: driver::Stage) -> bool {
        self.wanted.contains(&from_driver(stage))
    }

    fn text(&mut self, stage: driver::Stage, pass: &str, text: String) {
        let title = if pass.is_empty() { String::new() } else { format!("# after {pass}\n") };
        self.texts.push((from_driver(stage), title + &text));
    }

    fn time(&mut self, part: &'static str, seconds: f64) {
        match self.timings.iter_mut().find(|(name, _)| name == part) {
            Some((_, known)) => *known += seconds,
            None => self.timings.push((part.to_string(), seconds)),
        }
    }
}

fn from_driver(stage: driver::Stage) -> Stage {
    match stage {
        driver::Stage::Ast => Stage::Ast,
        driver::Stage::Hir => Stage::Hir,
        driver::Stage::Graph => Stage::Graph,
        driver::Stage::Grad => Stage::Grad,
        driver::Stage::Opt => Stage::Opt,
        driver::Stage::Kernels => Stage::Kernels,
        driver::Stage::Nests => Stage::Nests,
        driver::Stage::Plan => Stage::Plan,
        driver::Stage::Clif => Stage::Clif,
        driver::Stage::Asm => Stage::Asm,
        driver::Stage::Dot => Stage::Dot,
    }
}
