//! Text out of a trained model.

use std::path::Path;

use dlc_compiler::base::SourceMap;
use dlc_runtime::data::text;
use dlc_runtime::predict::{self, Choice};
use dlc_runtime::train::Mode;

use super::network::Network;
use super::{Settings, program};
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
    let symbols = stored.preprocessing.field(&spec.input).and_then(|field| field.dim.clone());
    let Some(symbols) = symbols.filter(|dim| !dim.names.is_empty()) else {
        let message = Message::new(format!("{} does not hold the symbols of `{}`", file.display(), spec.dim));
        return Err(Trouble::Data(message.help("train on a text: `source = text(\"input.txt\")`")));
    };
    let start = match (wanted.prompt.as_str(), symbols.names.iter().position(|name| name == "\n")) {
        ("", at) => vec![at.unwrap_or(0) as u32],
        (prompt, _) => {
            let indices = text::indices(prompt, "--prompt", &symbols);
            indices.map_err(|error| report::data::trouble(&error, &SourceMap::default()))?.to_vec()
        }
    };
    let choice = Choice {
        input: spec.input.clone(),
        output: spec.output.clone(),
        temperature: spec.temperature,
        top: spec.top,
        limit: wanted.limit.unwrap_or(spec.limit),
        seed: wanted.seed,
    };
    let mut network = Network::new(solved, target);
    let first = network.get(Mode::Predict, 1)?;
    let mut session = network.session(settings.threads(), &first, Some((file, &stored)))?;
    tell(&wanted.prompt);
    let mut each = |index: u32| {
        if let Some(name) = symbols.names.get(index as usize) {
            tell(name);
        }
        true
    };
    predict::generate(&mut network, &mut session, &choice, &start, &mut each).map_err(|text| network.trouble(text))
}
