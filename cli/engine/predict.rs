//! Using a trained model: predictions and scores.

use std::path::{Path, PathBuf};

use dlc_compiler::base::SourceMap;
use dlc_runtime::abi::Executable;
use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::dataset::Dataset;
use dlc_runtime::data::error::DataError;
use dlc_runtime::data::split::Part;
use dlc_runtime::draw::Canvas;
use dlc_runtime::extents::dim_of_input;
use dlc_runtime::metrics::{MetricKind, MetricSpec};
use dlc_runtime::predict::{self, Format, Kept, Predictions, Said};
use dlc_runtime::session::Session;
use dlc_runtime::train::{self, Compiled, Judge, Mode, Telling};

use super::fit::confusion;
use super::generate::{Wanted, told_of};
use super::network::Network;
use super::{Settings, Trained, program, results, spec};
use crate::output;
use crate::report;
use crate::trouble::{Message, Trouble};

/// Examples on a map.
const MOST_ON_MAP: usize = 5000;
/// Examples that are run at once.
const BATCH: usize = 64;

/// Answers and, of the first examples, what is drawn.
pub struct Answers {
    pub predictions: Predictions,
    pub drawn: Vec<Drawn>,
}

/// One example and what the network says of it.
pub struct Drawn {
    pub title: String,
    pub picture: Canvas,
    /// The best classes and their probabilities.
    pub best: Vec<(String, f64)>,
}

/// Predictions of a model file for the examples of files; the first `most` are drawn. What tells by itself does as is wanted.
pub fn predict(
    model: &Path,
    inputs: &[PathBuf],
    settings: &Settings,
    (most, wanted): (usize, &Wanted),
) -> Result<Answers, Trouble> {
    if let Some(predictions) = told_of(model, inputs, settings, wanted)? {
        return Ok(Answers { predictions, drawn: vec![] });
    }
    let target = settings.target()?;
    let (stored, solved) = program::model(model, &settings.sets)?;
    let outputs = spec::outputs(&solved);
    let (drawable, scores) = spec::drawable(&solved);
    let mut network = Network::new(solved, target);
    let first = network.get(Mode::Predict, 1)?;
    let wanted: Vec<String> = read_inputs(&first).cloned().collect();
    stored.has_inputs(&model.display().to_string(), first.inputs.iter()).map_err(|error| unreadable(&error))?;
    let mut session = network.session(settings.threads(), &first, Some((model, &stored)))?;
    let mut all = Predictions::default();
    let mut drawn = vec![];
    for input in inputs {
        let data = predict::read(&stored.preprocessing, &wanted, format(input), Limits::default());
        let data = data.map_err(|error| unreadable(&error))?;
        data.notes.iter().for_each(|note| output::say(&format!("{note}\n")));
        let mut kept = Kept::new(&drawable, scores.clone(), 0..(most - drawn.len()) as u32);
        let found = predict::predict_keeping(&mut network, &mut session, &data, &outputs, (BATCH, &mut kept));
        let found = found.map_err(|text| network.trouble(text))?;
        all.columns = found.columns;
        all.rows.extend(found.rows);
        draw(&kept, &data, input, &mut drawn)?;
    }
    Ok(Answers { predictions: all, drawn })
}

fn draw(kept: &Kept, data: &Dataset, input: &Path, drawn: &mut Vec<Drawn>) -> Result<(), Trouble> {
    for example in kept.examples() {
        let own = predict::picture_of(data, Some(input), example).map_err(|error| unreadable(&error))?;
        let said = kept.said(example, own.as_ref().map(|(_, placing)| *placing));
        let name = input.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned());
        let title = if data.count > 1 { format!("{name} {example}") } else { name };
        let best = said.iter().find_map(|part| match part {
            Said::Classes(best) => Some(best.clone()),
            _ => None,
        });
        let picture = predict::drawn(&said, own.as_ref(), data);
        drawn.push(Drawn { title, picture, best: best.unwrap_or_default() });
    }
    Ok(())
}

/// A confusion is drawn where any metric compares classes, asked for or not.
fn with_confusion(mut metrics: Vec<MetricSpec>) -> Vec<MetricSpec> {
    let counted = metrics.iter().any(|metric| metric.kind == MetricKind::Confusion);
    // Clusters are no classes.
    let compared = metrics.iter().find(|metric| metric.class_axis.is_some() && metric.kind != MetricKind::Purity);
    if let Some(metric) = compared.cloned().filter(|_| !counted) {
        metrics.push(MetricSpec { name: "confusion".into(), kind: MetricKind::Confusion, ..metric });
    }
    metrics
}

/// Metrics of a model file on the examples of files, or on the test part of its own data; with a folder, files of them.
pub fn evaluate(
    model: &Path,
    inputs: &[PathBuf],
    settings: &Settings,
    folder: Option<&Path>,
) -> Result<Trained, Trouble> {
    let target = settings.target()?;
    let (stored, solved) = program::model(model, &settings.sets)?;
    let metrics = match folder {
        Some(_) => with_confusion(spec::metrics(&solved)),
        None => spec::metrics(&solved),
    };
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
    let mut judge = folder.and_then(|_| Judge::new(&metrics));
    let found = train::evaluate(&mut network, &mut session, scored, BATCH, &metrics, judge.as_mut());
    let mut found = found.map_err(|text| network.trouble(text))?;
    if let Some(telling) = spec::telling(network.solved(), 0) {
        let told = telling.measure((&mut network, &mut session), scored);
        found.values.extend(told.map_err(|text| network.trouble(text))?);
    }
    let files = match folder {
        Some(folder) => {
            let kept = kept(&mut network, &mut session, &data, judge.as_ref())?;
            let results = results::Results { data: &data, found: &found, judge: judge.as_ref(), kept: &kept };
            results::write(folder, &results)?
        }
        None => vec![],
    };
    let named = |(name, value): &(String, f64)| (format!("test.{name}"), *value);
    let values = found.values;
    let best = values.iter().find(|(name, _)| name != "loss").or(values.first());
    Ok(Trained {
        metrics: values.iter().map(named).collect(),
        headline: best.map(|(name, value)| ("test".to_string(), name.clone(), *value)),
        tables: found.tables.iter().map(confusion).collect(),
        folder: folder.map(Path::to_path_buf),
        files,
        ..Trained::default()
    })
}

/// What the network says of the examples of the test part that are drawn: the first, and the worst.
fn kept(network: &mut Network, session: &mut Session, data: &Dataset, judge: Option<&Judge>) -> Result<Kept, Trouble> {
    let (drawable, scores) = spec::drawable(network.solved());
    let most = match Kept::new(&drawable, scores.clone(), []).has_map() {
        true => MOST_ON_MAP,
        false => results::EXAMPLES,
    };
    let wanted = data.part(Part::Test).iter().take(most).copied();
    let worst = judge.map_or_else(Vec::new, |judge| judge.worst(results::SHOWN));
    let wanted = wanted.chain(worst.into_iter().map(|judged| judged.example));
    let mut kept = Kept::new(&drawable, scores, wanted);
    let run = predict::keep(network, session, data, (BATCH, &mut kept));
    run.map_err(|text| network.trouble(text))?;
    Ok(kept)
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
    dlc_runtime::data::dataset::load(spec, &root, settings.limits).map_err(|e| report::data::trouble(&e, &none))
}

pub(super) fn format(input: &Path) -> Format<'_> {
    match input.to_str() {
        Some("-") => Format::Stream(Box::new(std::io::stdin())),
        _ => Format::File(input),
    }
}

/// A file of the command line that is not there is wrong usage; one with mistakes is not.
pub(super) fn unreadable(error: &DataError) -> Trouble {
    match error.code {
        "E0501" => Trouble::usage(error.message.clone()),
        _ => report::data::trouble(error, &SourceMap::default()),
    }
}
