//! Text out of a trained model.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dlc_compiler::base::SourceMap;
use dlc_runtime::checkpoint::Model;
use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::dataset::Dataset;
use dlc_runtime::data::error::counted;
use dlc_runtime::data::spec::DimSpec;
use dlc_runtime::data::text;
use dlc_runtime::data::text::tokens::{Text, Vocabulary, written};
use dlc_runtime::extents::{Extents, dim_of_input};
use dlc_runtime::generate::{self, Choice};
use dlc_runtime::predict::{self, Cell, Format, Predictions};
use dlc_runtime::session::Session;
use dlc_runtime::train::Mode;

use super::network::Network;
use super::predict::{format, unreadable};
use super::{Settings, program, spec};
use crate::output;
use crate::report;
use crate::trouble::{Message, Trouble};

/// Lines that are told at once.
const ROWS: usize = 128;

/// What is asked for on the command line.
#[derive(Default)]
pub struct Wanted {
    /// Empty: begins as a line does.
    pub prompt: String,
    pub limit: Option<usize>,
    /// Instead of what `generate` says.
    pub seed: Option<u64>,
}

/// How much was told, and how fast.
pub struct Told {
    pub symbols: usize,
    /// What a symbol is called.
    pub noun: &'static str,
    /// From the first symbol to the last; `None` where they did not come one after the other.
    pub per_second: Option<f64>,
}

/// A trained network that tells.
struct Teller {
    network: Network,
    session: Session,
    stored: Model,
    choice: Choice,
    symbols: DimSpec,
    text: Option<Text>,
    /// What it reads besides.
    others: Vec<String>,
}

/// Continues a prompt; tells each piece of text as soon as it is there. Where the network reads one other text, the
/// prompt is that.
pub fn generate(
    file: &Path,
    settings: &Settings,
    wanted: &Wanted,
    tell: &mut dyn FnMut(&str),
) -> Result<Told, Trouble> {
    let mut teller = Teller::new(file, settings, wanted)?;
    let alone = teller.others.is_empty();
    let (data, start) = match alone {
        true => {
            let start = start(&wanted.prompt, teller.text.as_ref(), &teller.symbols)?;
            tell(&wanted.prompt);
            (Dataset::of_fields(String::new(), 1, vec![]), start)
        }
        false => (teller.asked(&wanted.prompt)?, teller.start()),
    };
    let mut first = wanted.prompt.is_empty() || !alone;
    let (text, names) = (teller.text.clone().unwrap_or_default(), teller.symbols.names.clone());
    let (mut symbols, mut began, mut seconds) = (0, None, 0.0);
    let mut each = |index: u32| {
        if let Some(name) = names.get(index as usize) {
            tell(&written(&text, name, std::mem::take(&mut first)));
        }
        symbols += 1;
        seconds = began.get_or_insert_with(Instant::now).elapsed().as_secs_f64();
        true
    };
    let network = (&mut teller.network as _, &mut teller.session as _);
    let told = generate::generate(network, &data, &teller.choice, &start, &mut each);
    told.map_err(|text| teller.network.trouble(text))?;
    let per_second = (symbols > 1 && seconds > 0.0 && teller.choice.width == 1).then(|| (symbols - 1) as f64 / seconds);
    Ok(Told { symbols, noun: teller.text.as_ref().map_or("character", Text::noun), per_second })
}

/// What the network tells of each example of files; nothing where it tells of no examples.
pub fn told_of(
    file: &Path,
    inputs: &[PathBuf],
    settings: &Settings,
    wanted: &Wanted,
) -> Result<Option<Predictions>, Trouble> {
    if program::model(file, &settings.sets)?.1.generate().is_none() {
        return Ok(None);
    }
    let mut teller = Teller::new(file, settings, wanted)?;
    if teller.others.is_empty() {
        return Ok(None);
    }
    let start = teller.start();
    let mut all = Predictions { columns: vec![teller.choice.input.clone()], rows: vec![] };
    for input in inputs {
        let data = predict::read(&teller.stored.preprocessing, &teller.others, format(input), Limits::default());
        let data = data.map_err(|error| unreadable(&error))?;
        data.notes.iter().for_each(|note| output::say(&format!("{note}\n")));
        let examples: Vec<u32> = (0..data.count as u32).collect();
        let network = (&mut teller.network as _, &mut teller.session as _);
        let told = generate::tell_all(network, (&data, &examples), &teller.choice, (&start, ROWS));
        let told = told.map_err(|text| teller.network.trouble(text))?;
        all.rows.extend(told.iter().map(|symbols| vec![Cell::Text(teller.written(symbols))]));
    }
    Ok(Some(all))
}

impl Teller {
    fn new(file: &Path, settings: &Settings, wanted: &Wanted) -> Result<Teller, Trouble> {
        let target = settings.target()?;
        let (stored, solved) = program::model(file, &settings.sets)?;
        let Some(spec) = solved.generate().cloned() else {
            let message = Message::new(format!("the program inside {} has no `generate`", file.display()));
            let help = format!("write `generate {} {{ tokens <- sample(logits) }}` and train", solved.hir().model);
            return Err(Trouble::Data(message.help(help)));
        };
        let prepared = stored.preprocessing.field(&spec.input);
        let symbols = prepared.and_then(|field| field.dim.clone());
        let Some(symbols) = symbols.filter(|dim| !dim.names.is_empty()) else {
            let message = Message::new(format!("{} does not hold the symbols of `{}`", file.display(), spec.dim));
            return Err(Trouble::Data(message.help("train on a text: `source = text(\"input.txt\")`")));
        };
        let text = prepared.and_then(|field| field.text.clone());
        let known = Vocabulary::new(&symbols);
        // A line of its own ends with its symbol.
        let end = known.end().filter(|_| text.as_ref().is_some_and(|text| text.shift.is_some()));
        let (limit, seed) = (wanted.limit.unwrap_or(spec.limit), wanted.seed.or(spec.seed).unwrap_or(0));
        let choice = Choice { limit, seed, never: known.unknown(), end, ..spec::choice(&spec) };
        let mut network = Network::new(solved, target);
        let extents = spec.along.iter().map(|dim| (dim.clone(), spec.window.min(4)));
        let first = network.get(Mode::Predict, Extents::new(1, extents))?;
        let session = network.session(settings.threads(), &first, Some((file, &stored)))?;
        let inputs = first.inputs.iter().map(|slot| &slot.name).filter(|name| dim_of_input(name).is_none());
        let others = inputs.filter(|name| **name != spec.input).cloned().collect();
        Ok(Teller { network, session, stored, choice, symbols, text, others })
    }

    /// How every line begins.
    fn start(&self) -> Vec<u32> {
        let new_line = || self.symbols.names.iter().position(|name| name == "\n").map_or(0, |at| at as u32);
        vec![self.choice.end.unwrap_or_else(new_line)]
    }

    /// The only example: a prompt where the network reads one text besides.
    fn asked(&self, prompt: &str) -> Result<Dataset, Trouble> {
        let is_text = |name: &String| self.stored.preprocessing.field(name).is_some_and(|field| field.text.is_some());
        let one_text = self.others.len() == 1 && self.others.iter().all(is_text);
        if prompt.is_empty() || !one_text {
            let names = self.others.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
            let message = Message::new(format!("the network tells of examples, and needs {names}"));
            return Err(Trouble::Usage(message.help(match one_text {
                true => "give its text: `--prompt TEXT`, or name a file with one a line",
                false => "name a file with examples: `dlc run MODEL.dlm FILE`",
            })));
        }
        let line = prompt.replace(['\n', '\r', '\t'], " ") + "\n";
        let from = Format::Stream(Box::new(Cursor::new(line.into_bytes())));
        let data = predict::read(&self.stored.preprocessing, &self.others, from, Limits::default());
        let data = data.map_err(|error| unreadable(&error))?;
        data.notes.iter().for_each(|note| output::say(&format!("{note}\n")));
        Ok(data)
    }

    fn written(&self, symbols: &[u32]) -> String {
        let text = self.text.clone().unwrap_or_default();
        let names = symbols.iter().filter_map(|at| self.symbols.names.get(*at as usize)).enumerate();
        names.map(|(place, name)| written(&text, name, place == 0)).collect()
    }
}

/// What stands before the first symbol that is chosen: the prompt, or how a line begins.
fn start(prompt: &str, text: Option<&Text>, symbols: &DimSpec) -> Result<Vec<u32>, Trouble> {
    let known = Vocabulary::new(symbols);
    let new_line = || symbols.names.iter().position(|name| name == "\n").unwrap_or(0) as u32;
    let Some(text) = text else {
        if prompt.is_empty() {
            return Ok(vec![new_line()]);
        }
        let indices = text::indices(prompt, "--prompt", symbols);
        return indices.map_err(|error| report::data::trouble(&error, &SourceMap::default()));
    };
    let (mut indices, unknown) = known.symbols(text, prompt, usize::MAX);
    if unknown > 0 {
        let all = counted(indices.len(), text.noun());
        let read = if known.unknown().is_some() { "read as unknown" } else { "left out" };
        output::say(&format!("note: {unknown} of {all} of the prompt are not in `{}`, and are {read}\n", symbols.name));
    }
    if let Some(end) = known.end().filter(|_| text.shift.is_some()) {
        indices.insert(0, end);
    }
    if indices.is_empty() {
        indices.push(new_line());
    }
    Ok(indices)
}
