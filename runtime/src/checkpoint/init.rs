//! Weights from elsewhere, for comparing with another framework: `--init W.npz`.

use std::collections::BTreeMap;
use std::path::Path;

use super::Tensor;
use crate::data::bytes::Limits;
use crate::data::error::Result;
use crate::data::npy::Archive;

/// All arrays of an `.npz` by name: dense weights are `[in, out]`, those of conv `[k..., in, out]`.
pub fn load_weights(path: &Path, limits: Limits) -> Result<BTreeMap<String, Tensor>> {
    let mut archive = Archive::open(Path::new(""), &path.display().to_string())?;
    let mut out = BTreeMap::new();
    for name in archive.names() {
        let array = archive.read(&name, limits)?;
        out.insert(name, Tensor { shape: array.shape, values: array.numbers.into_f32() });
    }
    Ok(out)
}
