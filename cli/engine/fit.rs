//! Training: a program, its data, the trainer, and what comes back.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use dlc_compiler::base::{Diagnostic, Failed, SourceMap};
use dlc_compiler::driver::{Checked, Target, allowed};
use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::dataset::Dataset;
use dlc_runtime::data::seen::{Odd, odd_classes};
use dlc_runtime::session::Session;
use dlc_runtime::train::{
    Ended, EpochRow, Mode, NotFinite, Options, Outcome, Progress, Requirement, Run, Start, Step, Table, TrainError,
    read_order,
};
use dlc_runtime::{checkpoint, train};

use super::network::Network;
use super::{Recipe, Settings, Trained, Watch, program, spec, start};
use crate::progress;
use crate::report;
use crate::trouble::{Message, Trouble};

/// Trains; looks at `interrupted` after every step.
pub fn train(
    file: &Path,
    settings: &Settings,
    recipe: &Recipe,
    interrupted: &AtomicBool,
    watch: &mut dyn Watch,
) -> Result<Trained, Trouble> {
    let target = settings.target()?;
    let mut options = options(recipe)?;
    let checked = program::checked(file, &settings.sets)?;
    watch.warnings(&program::warnings(&checked));
    if checked.train().is_none() {
        let message = Message::new(format!("{} has no `train`", file.display()));
        return Err(Trouble::Data(message.help("say how the model learns: `train MODEL on DATA { loss = ... }`")));
    }
    let (data, solved) = program::with_data(&checked, file, settings)?;
    let solved = match recipe.seed {
        Some(seed) => solved.with_seed(seed),
        None => solved,
    };
    let Some(spec) = spec::train(&solved, recipe) else {
        return Err(Trouble::usage("the program lost its `train`"));
    };
    if let Some(from) = solved.train().and_then(|train| train.start.as_ref()) {
        let (weights, note) = start::weights(&solved, from, file, settings)?;
        watch.note(&note);
        // What the command line gives comes last.
        let given = std::mem::replace(&mut options.init, weights);
        options.init.extend(given);
    }
    let measured = spec.measured(&data);
    if let Some(goal) = options.require.iter().find(|goal| !measured.contains(&goal.metric)) {
        let message = Message::new(format!("`--require {goal}`: this run does not measure `{}`", goal.metric));
        return Err(Trouble::Usage(message.help(format!("it measures `{}`", measured.join("`, `")))));
    }
    watch.about_data(&data.notes);
    tell_odd_classes(&checked, &data, watch);
    let threads = settings.threads();
    add_facts(&mut options, threads, &target);
    let mut network = Network::new(solved, target);
    let extents = train::first_extents(&spec, &options, &data).map_err(|error| trouble(error, &mut network))?;
    let first = network.get(Mode::Train, extents)?;
    let mut session = Session::new(threads, &first).map_err(Trouble::usage)?;
    let initial = network.initial(&first);
    let telling = spec::telling(network.solved(), spec.seed);
    let outcome = train::train(Run {
        spec: &spec,
        options: &options,
        data: &data,
        compiled: &mut network,
        engine: &mut session,
        progress: &mut Relay { watch, threads },
        interrupted,
        initial,
        telling: telling.as_ref().map(|telling| telling as &dyn train::Telling),
    });
    let outcome = outcome.map_err(|error| trouble(error, &mut network))?;
    Ok(trained(outcome))
}

/// What the record of a run says of the machine and of the command.
fn add_facts(options: &mut Options, threads: usize, target: &Target) {
    options.facts.insert("threads".into(), threads.into());
    options.facts.insert("cpu".into(), target.isa.name().into());
    options.facts.insert("arguments".into(), std::env::args().skip(1).collect::<Vec<_>>().into());
}

/// What the data holds that can be read, and hardly learned from.
fn tell_odd_classes(checked: &Checked, data: &Dataset, watch: &mut dyn Watch) {
    let mut found = Failed { sources: checked.sources().clone(), diagnostics: vec![] };
    for odd in checked.data().map_or_else(Vec::new, |spec| odd_classes(spec, data)) {
        match odd {
            Odd::Note(text) => watch.note(&text),
            Odd::OneClass { message, note, help, place } => {
                let span = report::data::in_program(place);
                if !allowed(&found.sources, "one_class", span) {
                    let warning = Diagnostic::warning("one_class", span, message).help(help);
                    found.diagnostics.push(note.into_iter().fold(warning, |warning, note| warning.note(note)));
                }
            }
        }
    }
    watch.warnings(&found);
}

fn options(recipe: &Recipe) -> Result<Options, Trouble> {
    let none = SourceMap::default();
    let data = |error: Box<dlc_runtime::data::error::DataError>| match error.code {
        // A file named on the command line.
        "E0501" => Trouble::usage(error.message.clone()),
        _ => report::data::trouble(&error, &none),
    };
    let order = match &recipe.order {
        Some(path) => Some(read_order(path, Limits::default()).map_err(data)?),
        None => None,
    };
    let init = match &recipe.init {
        Some(path) => checkpoint::load_weights(path, Limits::default()).map_err(data)?,
        None => Default::default(),
    };
    let require = recipe.require.iter().map(|text| Requirement::parse(text));
    Ok(Options {
        out: recipe.out.clone(),
        dry_run: recipe.dry_run,
        order,
        log_steps: recipe.log_steps.clone(),
        init,
        require: require.collect::<Result<_, _>>().map_err(Trouble::usage)?,
        ..Options::default()
    })
}

fn trouble(error: TrainError, network: &mut Network) -> Trouble {
    match error {
        TrainError::Data(error) => report::data::trouble(&error, network.solved().sources()),
        TrainError::Io(text) => Trouble::usage(text),
        TrainError::Internal(text) => network.trouble(text),
        TrainError::NotFinite(bad) => Trouble::Goal(Message {
            code: Some(NotFinite::CODE),
            text: bad.message(),
            notes: bad.notes(),
            help: Some(bad.help().to_string()),
        }),
    }
}

fn trained(outcome: Outcome) -> Trained {
    Trained {
        waited: outcome.waited(),
        headline: outcome.headline,
        metrics: outcome.metrics,
        best_epoch: outcome.best_epoch,
        tables: outcome.tables.iter().map(confusion).collect(),
        folder: outcome.folder,
        files: outcome.files,
        missed: outcome.missed.iter().map(ToString::to_string).collect(),
        interrupted: outcome.ended == Ended::Interrupted,
    }
}

/// The most classes whose confusion is a table that can be read.
const READABLE: usize = 12;

/// A confusion of classes as text: rows are the truth, columns the answers.
pub fn confusion(table: &Table) -> String {
    let count = table.counts.classes;
    if count > READABLE {
        return format!("{}: {count} classes, see the run folder", table.name);
    }
    let name = |class: usize| table.classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    let widest = (0..count).map(|c| name(c).chars().count()).max().unwrap_or(1);
    let cell = |text: String| format!(" {text:>width$}", width = widest.max(5));
    let heading: String = (0..count).map(|c| cell(name(c))).collect();
    let mut text = format!("{} (rows: what it is, columns: what it was taken for)\n", table.name);
    text += &format!("{:widest$} {heading}\n", "");
    for is in 0..count {
        let row: String = (0..count).map(|taken| cell(table.counts.get(is, taken).to_string())).collect();
        text += &format!("{:>widest$} {row}\n", name(is));
    }
    text
}

/// Tells the command line what the trainer tells.
struct Relay<'a> {
    watch: &'a mut dyn Watch,
    threads: usize,
}

impl Progress for Relay<'_> {
    fn start(&mut self, start: &Start) {
        self.watch.start(&progress::Start {
            model: start.model.clone(),
            weights: start.weights as u64,
            data: start.data.clone(),
            train: start.train,
            val: start.val,
            test: start.test,
            threads: self.threads,
            seed: start.seed,
            epochs: start.epochs,
        });
    }

    fn step(&mut self, step: &Step) {
        let speed = step.examples as f64 / step.seconds.max(1e-9);
        self.watch.step(&progress::Step {
            epoch: step.epoch,
            done: step.done,
            of: step.of,
            loss: f64::from(step.loss),
            examples_s: speed,
            waited: step.waited,
        });
    }

    fn epoch(&mut self, row: &EpochRow) {
        self.watch.epoch(&progress::Epoch {
            number: row.epoch,
            values: row.values.clone(),
            lr: row.lr.unwrap_or(f64::NAN),
            examples_s: row.examples as f64 / row.train_seconds.max(1e-9),
            waited: row.waited,
            seconds: row.seconds,
        });
    }

    fn note(&mut self, text: &str) {
        self.watch.note(text);
    }
}
