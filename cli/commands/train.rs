//! `dlc run FILE --train`: trains, shows how it goes, ends with the one number that matters.

use dlc_compiler::base::Failed;
use serde_json::json;

use crate::args::{Format, RunArgs};
use crate::engine::{self, Recipe, Settings, Trained, Watch};
use crate::progress::{Epoch, Progress, Start, Step, decimal};
use crate::style::Style;
use crate::trouble::{Message, Trouble};
use crate::{interrupt, output, report};

pub fn run(args: &RunArgs, style: &Style) -> Result<(), Trouble> {
    if args.file.extension().is_some_and(|e| e == "dlm") {
        return Err(Trouble::usage("a model file is not a program: train the .dl file that made it"));
    }
    if !args.inputs.is_empty() {
        return Err(Trouble::usage("training takes no inputs: the program names its data"));
    }
    let settings = Settings::new(&args.program, &args.machine);
    let interrupted = interrupt::listen();
    let mut watch =
        Live { progress: Progress::new(style, args.recipe.quiet), style, silent: args.json || args.recipe.quiet };
    let trained = engine::train(&args.file, &settings, &recipe(args), interrupted, &mut watch);
    watch.progress.finish();
    let trained = trained?;
    watch.progress.line(&ending(&trained));
    if trained.interrupted {
        return Err(Trouble::Interrupted("interrupted; what was learned is saved".into()));
    }
    print_result(&trained, args.json, args.recipe.quiet);
    if trained.missed.is_empty() {
        return Ok(());
    }
    let text = "a required metric was not reached".to_string();
    Err(Trouble::Goal(Message { code: Some("E0903"), text, notes: trained.missed, help: None }))
}

/// The last lines on standard output: tables, then every metric, last of all the first one: `test  accuracy 0.9012`.
pub fn print_result(trained: &Trained, json: bool, quiet: bool) {
    if json {
        output::line(&object(trained).to_string());
        return;
    }
    for table in trained.tables.iter().filter(|_| !quiet) {
        output::line(&format!("{}\n", table.trim_end()));
    }
    if let Some((part, name, value)) = &trained.headline {
        let others = trained
            .metrics
            .iter()
            .filter_map(|(full, value)| Some((full.strip_prefix(part)?.strip_prefix('.')?, value)));
        for (other, value) in others.filter(|(other, _)| !quiet && other != name && !other.starts_with("loss")) {
            output::line(&format!("{part}  {other} {}", decimal(*value)));
        }
        output::line(&format!("{part}  {name} {}", decimal(*value)));
    }
}

fn recipe(args: &RunArgs) -> Recipe {
    let recipe = &args.recipe;
    Recipe {
        epochs: recipe.epochs.map(|n| n as usize),
        batch: recipe.batch.map(|n| n as usize),
        seed: recipe.seed,
        out: recipe.out.clone(),
        dry_run: recipe.dry_run,
        require: recipe.require.clone(),
        init: recipe.init.clone(),
        order: recipe.order.clone(),
        log_steps: recipe.log_steps.clone(),
    }
}

/// `best of epoch 9    runs/LeNet-1/best.dlm  last.dlm  results.csv`
fn ending(trained: &Trained) -> String {
    let best = trained.best_epoch.map_or_else(String::new, |epoch| format!("best of epoch {epoch}    "));
    match &trained.folder {
        Some(folder) => format!("{best}{}  {}", folder.display(), trained.files.join("  ")),
        None => format!("{best}a dry run writes no files"),
    }
}

fn object(trained: &Trained) -> serde_json::Value {
    let metrics: serde_json::Map<String, serde_json::Value> =
        trained.metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let (folder, files) = (&trained.folder, &trained.files);
    let (best_epoch, waited) = (trained.best_epoch, trained.waited);
    json!({ "metrics": metrics, "best_epoch": best_epoch, "folder": folder, "files": files, "waited": waited })
}

/// Shows a training on the terminal or in a log.
struct Live<'a> {
    progress: Progress,
    style: &'a Style,
    /// Results only.
    silent: bool,
}

impl Watch for Live<'_> {
    fn start(&mut self, start: &Start) {
        self.progress.start(start);
    }

    fn warnings(&mut self, warnings: &Failed) {
        if !self.silent {
            report::diagnostics(warnings, Format::Human, self.style);
        }
    }

    fn step(&mut self, step: &Step) {
        self.progress.step(step);
    }

    fn epoch(&mut self, epoch: &Epoch) {
        self.progress.epoch(epoch);
    }

    fn note(&mut self, text: &str) {
        self.progress.line(text);
    }

    fn about_data(&mut self, notes: &[String]) {
        self.progress.about_data(notes);
    }
}
