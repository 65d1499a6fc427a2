//! Writing a model file: deterministic bytes, and never half a file under the final name.

use std::collections::BTreeMap;
use std::io::{BufWriter, Error, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::checksum::Checksum;
use super::{BLANK, CHECKSUM_KEY, Model, Tensor};

/// A tensor where it lies.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub shape: &'a [usize],
    pub values: &'a [f32],
}

impl Tensor {
    pub fn view(&self) -> View<'_> {
        View { shape: &self.shape, values: &self.values }
    }
}

/// Tensors by path.
pub type Views<'a> = BTreeMap<&'a str, View<'a>>;

fn views(model: &Model) -> Views<'_> {
    model.tensors.iter().map(|(path, tensor)| (path.as_str(), tensor.view())).collect()
}

/// The whole file in memory.
pub fn bytes(model: &Model) -> Vec<u8> {
    let mut out = Vec::new();
    // Memory does not refuse to be written.
    let _ = write(model, &views(model), &mut out);
    out
}

/// Writes beside the target and renames, so that an interruption leaves the old file or the new one.
pub fn save(model: &Model, path: &Path) -> Result<(), Error> {
    save_views(model, &views(model), path)
}

/// The same with tensors that lie elsewhere: weights are large, and training holds them already.
pub fn save_views(model: &Model, tensors: &Views<'_>, path: &Path) -> Result<(), Error> {
    replace(path, |file| write(model, tensors, file))
}

fn write(model: &Model, tensors: &Views<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let text = header(model, tensors);
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)?;
    tensors.values().try_for_each(|tensor| pieces(tensor.values, |bytes| out.write_all(bytes)))
}

/// With the checksum of the whole file in its place.
fn header(model: &Model, tensors: &Views<'_>) -> Vec<u8> {
    // serde_json keeps objects sorted by key.
    let mut header = serde_json::Map::new();
    let mut start = 0;
    for (path, tensor) in tensors {
        let end = start + size_of_val(tensor.values);
        header.insert(path.to_string(), json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end] }));
        start = end;
    }
    let mut metadata = model.metadata();
    metadata.insert("checksum".into(), BLANK.into());
    header.insert("__metadata__".into(), json!(metadata));
    let mut text = Value::Object(header).to_string().into_bytes();
    // Data begins at a multiple of eight bytes.
    while !text.len().is_multiple_of(8) {
        text.push(b' ');
    }
    let mut sum = Checksum::default();
    sum.part(&(text.len() as u64).to_le_bytes());
    sum.part(&text);
    for tensor in tensors.values() {
        let _ = pieces(tensor.values, |bytes| {
            sum.update(bytes);
            Ok(())
        });
    }
    sum.end_part();
    let key = text.windows(CHECKSUM_KEY.len()).position(|window| window == CHECKSUM_KEY);
    if let Some(at) = key.map(|at| at + CHECKSUM_KEY.len())
        && let Some(place) = text.get_mut(at..at + BLANK.len())
    {
        place.copy_from_slice(sum.digits().as_bytes());
    }
    text
}

/// The bytes of numbers, a few at a time.
fn pieces(values: &[f32], mut each: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    const NUMBERS: usize = 4096;
    let mut bytes = Vec::with_capacity(4 * NUMBERS);
    for values in values.chunks(NUMBERS) {
        bytes.clear();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        each(&bytes)?;
    }
    Ok(())
}

/// Writes a file that is there whole or, where anything fails, not at all.
pub fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<(), Error>) -> Result<(), Error> {
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
    let mut out = BufWriter::with_capacity(1 << 16, &mut file);
    write(&mut out).and_then(|()| out.flush()).map_err(plain)?;
    drop(out);
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
