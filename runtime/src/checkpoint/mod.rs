//! Trained models on disk: `.dlm`, a valid safetensors file that needs no other file.
//!
//! Tensors are `f32`, by path. `__metadata__` holds strings: `format_version`, `source` (canonical),
//! `dims`, `preprocessing` and `metrics` (JSON), `seed`, `compiler`, and `checksum`, which covers every
//! byte of the file but its own digits. The same model gives the same bytes.

mod checksum;
mod fitting;
mod init;
mod read;
mod write;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::data::preprocessing::{Preprocessing, dim_from_json, dim_to_json};
use crate::data::spec::DimSpec;

pub use init::load_weights;
pub use read::{load, parse};
pub(crate) use write::replace;
pub use write::{View, Views, bytes, save, save_views};

/// Of the files that this version writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// What a `.dlm` holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Weights and statistics by path; in `last.dlm` optimizer slots too.
    pub tensors: BTreeMap<String, Tensor>,
    /// The program in canonical form, with the blocks that it uses.
    pub source: String,
    /// Sizes and names that the data decided.
    pub dims: Vec<DimSpec>,
    pub preprocessing: Preprocessing,
    /// `test.accuracy` and its like.
    pub metrics: BTreeMap<String, f64>,
    pub seed: u64,
    /// Version of the compiler that wrote it.
    pub compiler: String,
    /// Further strings, such as `step` and `epoch` of an unfinished run.
    pub more: BTreeMap<String, String>,
}

const KNOWN: [&str; 8] =
    ["format_version", "source", "dims", "preprocessing", "metrics", "seed", "compiler", "checksum"];

/// Stands where the checksum's digits will be.
const BLANK: &str = "0000000000000000";
const CHECKSUM_KEY: &[u8] = b"\"checksum\":\"";

impl Model {
    /// Sorted, without the checksum.
    fn metadata(&self) -> BTreeMap<String, String> {
        let dims = Value::Array(self.dims.iter().map(dim_to_json).collect());
        // JSON has no infinities: what is not finite is left out.
        let finite = self.metrics.iter().filter(|(_, value)| value.is_finite());
        let metrics: Value = finite.map(|(name, value)| (name.clone(), Value::from(*value))).collect();
        let mut all = self.more.clone();
        all.extend(
            [
                ("format_version", FORMAT_VERSION.to_string()),
                ("source", self.source.clone()),
                ("dims", dims.to_string()),
                ("preprocessing", self.preprocessing.to_json().to_string()),
                ("metrics", metrics.to_string()),
                ("seed", self.seed.to_string()),
                ("compiler", self.compiler.clone()),
            ]
            .map(|(key, value)| (key.to_string(), value)),
        );
        all
    }

    /// The first key whose text cannot be understood.
    fn take_metadata(&mut self, all: &BTreeMap<String, String>) -> Result<(), String> {
        let get = |key: &str| all.get(key).ok_or_else(|| key.to_string());
        let json =
            |key: &str| -> Result<Value, String> { serde_json::from_str(get(key)?).map_err(|_| key.to_string()) };
        let bad = |key: &str| key.to_string();
        self.source = get("source")?.clone();
        let dims = json("dims")?;
        let dims = dims.as_array().ok_or_else(|| bad("dims"))?;
        self.dims = dims.iter().map(dim_from_json).collect::<Option<_>>().ok_or_else(|| bad("dims"))?;
        // No network has an axis without elements, and every class of a dim with names has one.
        let sound = |dim: &DimSpec| dim.size != Some(0) && (dim.names.is_empty() || dim.size == Some(dim.names.len()));
        if !self.dims.iter().all(sound) {
            return Err(bad("dims"));
        }
        self.preprocessing = Preprocessing::from_json(&json("preprocessing")?).ok_or_else(|| bad("preprocessing"))?;
        let metrics = json("metrics")?;
        for (name, value) in metrics.as_object().ok_or_else(|| bad("metrics"))? {
            let value = value.as_f64().ok_or_else(|| bad("metrics"))?;
            self.metrics.insert(name.clone(), value);
        }
        self.seed = get("seed")?.parse().map_err(|_| bad("seed"))?;
        self.compiler = get("compiler")?.clone();
        let more = all.iter().filter(|(key, _)| !KNOWN.contains(&key.as_str()));
        self.more = more.map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
