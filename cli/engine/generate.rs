//! Text out of a trained model.

use std::path::Path;

use dlc_compiler::base::SourceMap;
use dlc_runtime::data::error::counted;
use dlc_runtime::data::spec::DimSpec;
use dlc_runtime::data::text;
use dlc_runtime::data::text::tokens::{Text, Vocabulary, written};
use dlc_runtime::predict::{self, Choice};
use dlc_runtime::train::Mode;

use super::network::Network;
use super::{Settings, program};
use crate::output;
use crate::report;
use crate::trouble::{Message, Trouble};

/// What is asked for on the command line.
pub struct Wanted {
    /// Empty: begins as a line does.
    pub prompt: String,
    pub limit: Option<usize>,
    pub seed: u64,
}

/// Continues a prompt; tells each piece of text as soon as it is there.
pub fn generate(file: &Path, settings: &Settings, wanted: &Wanted, tell: &mut dyn FnMut(&str)) -> Result<(), Trouble> {
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
    let start = start(&wanted.prompt, text.as_ref(), &symbols)?;
    // A line of its own ends with its symbol.
    let end = known.end().filter(|_| text.as_ref().is_some_and(|text| text.shift.is_some()));
    let text = text.unwrap_or_default();
    let choice = Choice {
        input: spec.input.clone(),
        output: spec.output.clone(),
        temperature: spec.temperature,
        top: spec.top,
        limit: wanted.limit.unwrap_or(spec.limit),
        seed: wanted.seed,
        never: known.unknown(),
    };
    let mut network = Network::new(solved, target);
    let first = network.get(Mode::Predict, 1)?;
    let mut session = network.session(settings.threads(), &first, Some((file, &stored)))?;
    tell(&wanted.prompt);
    let mut first = wanted.prompt.is_empty();
    let mut each = |index: u32| {
        if Some(index) == end {
            return false;
        }
        if let Some(name) = symbols.names.get(index as usize) {
            tell(&written(&text, name, std::mem::take(&mut first)));
        }
        true
    };
    predict::generate(&mut network, &mut session, &choice, &start, &mut each).map_err(|text| network.trouble(text))
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
