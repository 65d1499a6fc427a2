//! Using a trained model: predictions and scores.

use std::path::{Path, PathBuf};

use dlc_compiler::base::SourceMap;
use dlc_runtime::abi::Executable;
use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::dataset::Dataset;
use dlc_runtime::data::error::DataError;
use dlc_runtime::data::split::Part;
use dlc_runtime::extents::dim_of_input;
use dlc_runtime::predict::{self, Format, Predictions};
use dlc_runtime::train::{self, Compiled, Mode};

use super::fit::confusion;
use super::network::Network;
use super::{Settings, Trained, program, spec};
use crate::output;
use crate::report;
use crate::trouble::{Message, Trouble};

/// Examples that are run at once.
const BATCH: usize = 64;

/// Predictions of a model file for the examples of files.
pub fn predict(model: &Path, inputs: &[PathBuf], settings: &Settings) -> Result<Predictions, Trouble> {
    let target = settings.target()?;
    let (stored, solved) = program::model(model, &settings.sets)?;
    let outputs = spec::outputs(&solved);
    let mut network = Network::new(solved, target);
    let first = network.get(Mode::Predict, 1)?;
    let wanted: Vec<String> = read_inputs(&first).cloned().collect();
    stored.has_inputs(&model.display().to_string(), first.inputs.iter()).map_err(|error| unreadable(&error))?;
    let mut session = network.session(settings.threads(), &first, Some((model, &stored)))?;
    let mut all = Predictions::default();
    for input in inputs {
        let data = predict::read(&stored.preprocessing, &wanted, format(input), Limits::default());
        let data = data.map_err(|error| unreadable(&error))?;
        data.notes.iter().for_each(|note| output::say(&format!("{note}\n")));
        let found = predict::predict(&mut network, &mut session, &data, &outputs, BATCH);
        let found = found.map_err(|text| network.trouble(text))?;
        all.columns = found.columns;
        all.rows.extend(found.rows);
    }
    Ok(all)
}

/// Metrics of a model file on the examples of files, or on the test part of its own data.
pub fn evaluate(model: &Path, inputs: &[PathBuf], settings: &Settings) -> Result<Trained, Trouble> {
    let target = settings.target()?;
    let (stored, solved) = program::model(model, &settings.sets)?;
    let metrics = spec::metrics(&solved);
    let own = match (inputs, solved.data()) {
        ([], Some(data)) => Some(own_data(data, model, settings)?),
        ([], None) => return Err(Trouble::Data(Message::new("the model knows no data; name a file to score"))),
        _ => None,
    };
    let mut network = Network::new(solved, target);
    let first =
        Compiled::executable(&mut network, Mode::Evaluate, &BATCH.into()).map_err(|text| network.trouble(text))?;
    let mut session = network.session(settings.threads(), &first, Some((model, &stored)))?;
    let targets = metrics.iter().map(|m| &m.target).filter(|t| !first.outputs.iter().any(|slot| slot.name == **t));
    let mut wanted: Vec<String> = read_inputs(&first).chain(targets).cloned().collect();
    wanted.sort();
    wanted.dedup();
    let data = match (own, inputs) {
        (Some(data), _) => data,
        (None, [input]) => predict::read(&stored.preprocessing, &wanted, format(input), Limits::default())
            .map_err(|error| unreadable(&error))?,
        (None, _) => return Err(Trouble::usage("one file at a time can be scored")),
    };
    let scored = (&data, data.part(Part::Test));
    let (values, tables) =
        train::evaluate(&mut network, &mut session, scored, BATCH, &metrics).map_err(|text| network.trouble(text))?;
    let named = |(name, value): &(String, f64)| (format!("test.{name}"), *value);
    let best = values.iter().find(|(name, _)| name != "loss").or(values.first());
    Ok(Trained {
        metrics: values.iter().map(named).collect(),
        headline: best.map(|(name, value)| ("test".to_string(), name.clone(), *value)),
        tables: tables.iter().map(confusion).collect(),
        ..Trained::default()
    })
}

/// Inputs that examples are read for; lengths are known with them.
fn read_inputs(executable: &Executable) -> impl Iterator<Item = &String> {
    executable.inputs.iter().map(|slot| &slot.name).filter(|name| dim_of_input(name).is_none())
}

fn own_data(spec: &dlc_runtime::data::spec::DataSpec, model: &Path, settings: &Settings) -> Result<Dataset, Trouble> {
    let root = match &settings.data_root {
        Some(root) => root.clone(),
        None => model.parent().map(Path::to_path_buf).unwrap_or_default(),
    };
    let none = SourceMap::default();
    dlc_runtime::data::dataset::load(spec, &root, Limits::default()).map_err(|e| report::data::trouble(&e, &none))
}

fn format(input: &Path) -> Format<'_> {
    match input.to_str() {
        Some("-") => Format::Stream(Box::new(std::io::stdin())),
        _ => Format::File(input),
    }
}

/// A file of the command line that is not there is wrong usage; one with mistakes is not.
fn unreadable(error: &DataError) -> Trouble {
    match error.code {
        "E0501" => Trouble::usage(error.message.clone()),
        _ => report::data::trouble(error, &SourceMap::default()),
    }
}
