//! Writing a model file: deterministic bytes, and never half a file under the final name.

use std::io::{Error, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::{BLANK, CHECKSUM_KEY, Model, checksum};

/// The whole file in memory.
pub fn bytes(model: &Model) -> Vec<u8> {
    let mut data = Vec::new();
    // serde_json keeps objects sorted by key.
    let mut header = serde_json::Map::new();
    for (path, tensor) in &model.tensors {
        let start = data.len();
        tensor.values.iter().for_each(|value| data.extend(value.to_le_bytes()));
        header.insert(
            path.clone(),
            json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, data.len()] }),
        );
    }
    let mut metadata = model.metadata();
    metadata.insert("checksum".into(), BLANK.into());
    header.insert("__metadata__".into(), json!(metadata));
    let mut text = Value::Object(header).to_string().into_bytes();
    // Data begins at a multiple of eight bytes.
    while !text.len().is_multiple_of(8) {
        text.push(b' ');
    }
    let length = (text.len() as u64).to_le_bytes();
    let digits = checksum(&[&length, &text, &data]);
    let key = text.windows(CHECKSUM_KEY.len()).position(|window| window == CHECKSUM_KEY);
    if let Some(at) = key.map(|at| at + CHECKSUM_KEY.len())
        && let Some(place) = text.get_mut(at..at + BLANK.len())
    {
        place.copy_from_slice(digits.as_bytes());
    }
    [&length[..], &text, &data].concat()
}

/// Writes beside the target and renames, so that an interruption leaves the old file or the new one.
pub fn save(model: &Model, path: &Path) -> Result<(), Error> {
    save_bytes(&bytes(model), path)
}

pub(super) fn save_bytes(bytes: &[u8], path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Ok(there) = path.metadata()
        && !there.is_file()
    {
        let kind = if there.is_dir() { "it is a folder" } else { "it is not a regular file" };
        return Err(Error::other(kind));
    }
    if !folder.is_dir() {
        return Err(Error::other(format!("there is no folder `{}`", folder.display())));
    }
    // Without the name of the temporary file, which says nothing to anyone.
    let plain = |error: Error| Error::from(error.kind());
    let mut file = tempfile::Builder::new().prefix(".dlm-").tempfile_in(folder).map_err(plain)?;
    file.write_all(bytes).map_err(plain)?;
    readable(file.as_file())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Temporary files are private to their owner; models are not.
#[cfg(unix)]
fn readable(file: &std::fs::File) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &std::fs::File) -> Result<(), Error> {
    Ok(())
}
