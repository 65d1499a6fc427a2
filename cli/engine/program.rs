//! Programs and model files, from a path to something checked.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use dlc_compiler::base::{Failed, SourceMap};
use dlc_compiler::driver::{self, Checked, Solved, Sources};
use dlc_runtime::checkpoint::{self, Model};
use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::dataset::{self, Dataset};

use super::Settings;
use crate::report;
use crate::trouble::{Message, Trouble};

/// A program is written by hand; what is longer than this is something else.
const LONGEST_PROGRAM: u64 = 16 << 20;

/// Imported files, from disk.
struct Files;

impl Sources for Files {
    fn read(&self, path: &str) -> Result<String, String> {
        let bytes = read_at_most(Path::new(path))?;
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_string())
    }
}

/// A model file imports nothing: it is closed.
struct NoFiles;

impl Sources for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("a model file cannot import".into())
    }
}

pub fn is_model(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "dlm")
}

/// Reads and checks a program.
pub fn checked(file: &Path, sets: &[(String, String)]) -> Result<Checked, Trouble> {
    let text = read_text(file)?;
    let name = file.to_string_lossy().replace('\\', "/");
    driver::check(&name, &text, &Files, sets).map_err(Trouble::Program)
}

/// The file of the command line: unreadable is wrong usage.
fn read_text(file: &Path) -> Result<String, Trouble> {
    let unreadable = |why: String| Trouble::usage(format!("cannot read {}: {why}", file.display()));
    let known = file.metadata().map_err(|error| unreadable(error.to_string()))?;
    if known.is_dir() {
        return Err(unreadable("it is a folder".into()));
    }
    let bytes = read_at_most(file).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = Message::new(format!("{} is not UTF-8 text: byte {at} begins no character", file.display()));
        Trouble::Data(message.help("save the program as UTF-8"))
    })
}

/// The bytes of a program; devices without an end have a length of 0.
fn read_at_most(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(file).map_err(|error| error.to_string())?;
    file.take(LONGEST_PROGRAM + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match bytes.len() as u64 > LONGEST_PROGRAM {
        true => Err("it is too long for a program".into()),
        false => Ok(bytes),
    }
}

/// A model file and its program, every size known.
pub fn model(file: &Path, sets: &[(String, String)]) -> Result<(Model, Solved), Trouble> {
    if let Some((name, _)) = sets.first() {
        let message = Message::new(format!("`--set {name}` changes a program, and {} is trained", file.display()));
        return Err(Trouble::Usage(message.help("its weights fit one set of sizes: train again with `--set`")));
    }
    let unreadable = |why: String| Trouble::usage(format!("cannot read {}: {why}", file.display()));
    let known = file.metadata().map_err(|error| unreadable(error.to_string()))?;
    if known.is_dir() {
        return Err(unreadable("it is a folder".into()));
    }
    let none = SourceMap::default();
    let model = checkpoint::load(file, Limits::default()).map_err(|e| report::data::trouble(&e, &none))?;
    let name = format!("{} (the program inside)", file.display());
    // Its seal is whole, so this is no damage: it was made so.
    let wrong = |mut failed: Failed| {
        if let Some(last) = failed.diagnostics.last_mut() {
            let note = "the model file holds a program with mistakes: use the file that dlc wrote, or train again";
            last.notes.push((note.into(), None));
        }
        Trouble::Program(failed)
    };
    let checked = driver::check(&name, &model.source, &NoFiles, &[]).map_err(wrong)?;
    let dims = model.dims.iter().filter_map(|dim| Some((dim.name.clone(), dim.size?, dim.names.clone())));
    let solved = checked.solve(&dims.collect::<Vec<_>>()).map_err(wrong)?;
    Ok((model, solved))
}

/// Where relative paths of a program start.
pub fn root(file: &Path, settings: &Settings) -> PathBuf {
    match &settings.data_root {
        Some(root) => root.clone(),
        None => file.parent().map(Path::to_path_buf).unwrap_or_default(),
    }
}

/// The data of a program and the program with what the data decides.
pub fn with_data(checked: &Checked, file: &Path, settings: &Settings) -> Result<(Dataset, Solved), Trouble> {
    let Some(spec) = checked.data() else {
        let message = Message::new(format!("{} has no `data`", file.display()));
        return Err(Trouble::Data(
            message.help("training reads what a `data` section names; `dlc help run` says more"),
        ));
    };
    let data = dataset::load(spec, &root(file, settings), settings.limits)
        .map_err(|e| report::data::trouble(&e, checked.sources()))?;
    let solved = checked.solve(&dataset::fetch_solved(&data)).map_err(Trouble::Program)?;
    Ok((data, solved))
}

/// Every size known: from the text, or from the data where the text leaves dims open.
pub fn solved(checked: &Checked, file: &Path, settings: &Settings) -> Result<Solved, Trouble> {
    match checked.solve(&[]) {
        Ok(solved) => Ok(solved),
        Err(_) if checked.data().is_some() => Ok(with_data(checked, file, settings)?.1),
        Err(failed) => Err(Trouble::Program(failed)),
    }
}

/// Lints of a checked program.
pub fn warnings(checked: &Checked) -> Failed {
    Failed { sources: checked.sources().clone(), diagnostics: checked.warnings.clone() }
}
