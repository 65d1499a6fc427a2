//! `start = "base.dlm"`: weights and statistics of another model, found by their paths.

use std::collections::BTreeMap;

use dlc_compiler::driver::Solved;
use dlc_compiler::hir::StartFile;
use dlc_runtime::checkpoint::{self, Tensor};
use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::error::DataError;

use super::{Settings, program};
use crate::report;
use crate::trouble::Trouble;
use std::path::Path;

/// Paths in a message.
const LISTED: usize = 12;

/// What a training starts from, by the paths of this program, and a sentence about it.
pub fn weights(
    solved: &Solved,
    start: &StartFile,
    file: &Path,
    settings: &Settings,
) -> Result<(BTreeMap<String, Tensor>, String), Trouble> {
    let failed = |error: Box<DataError>| {
        let place = (start.span.start as usize, start.span.end as usize);
        report::data::trouble(&error.field(place), solved.sources())
    };
    let full = program::root(file, settings).join(&start.path);
    let stored = checkpoint::load(&full, Limits::default()).map_err(failed)?;
    let known: BTreeMap<&str, &Tensor> = stored.tensors.iter().map(|(path, tensor)| (inner(path), tensor)).collect();
    let hir = solved.hir();
    let weights = hir.weights.iter().map(|w| (&w.path, w.shape()));
    let statistics = hir.states.iter().map(|s| (&s.path, s.ty.sizes().unwrap_or_default()));
    let (mut found, mut fresh, mut wrong) = (BTreeMap::new(), vec![], vec![]);
    for (path, shape) in weights.chain(statistics) {
        match known.get(inner(path)) {
            Some(tensor) if tensor.shape == shape => {
                found.insert(path.clone(), (*tensor).clone());
            }
            Some(tensor) => wrong.push(format!("`{path}` is {shape:?}, and {:?} is stored", tensor.shape)),
            None if hir.is_frozen(path) => wrong.push(format!("`{path}` is frozen, and it is not stored")),
            None => fresh.push(format!("`{path}`")),
        }
    }
    if wrong.is_empty() && found.is_empty() {
        let stored: Vec<String> = known.keys().take(LISTED).map(|path| format!("`{path}`")).collect();
        wrong.push(format!("no path is the same; stored are {}", stored.join(", ")));
    }
    if !wrong.is_empty() {
        let message = format!("the weights of `{}` do not fit the program", start.path);
        let error = wrong.into_iter().take(LISTED).fold(DataError::new("E0703", message), |e, why| e.note(why));
        let help = "paths without the model's name must be the same, and so must shapes: use the same blocks and names in both programs";
        return Err(failed(error.help(help)));
    }
    let more = if fresh.len() > LISTED { format!(" and {} more", fresh.len() - LISTED) } else { String::new() };
    let listed = fresh.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    let rest = if fresh.is_empty() { String::new() } else { format!("; fresh: {listed}{more}") };
    let note = format!("{} of {} start from {}{rest}", found.len(), found.len() + fresh.len(), start.path);
    Ok((found, note))
}

/// A path without the name of its model.
fn inner(path: &str) -> &str {
    path.split_once('.').map_or(path, |(_, inner)| inner)
}
