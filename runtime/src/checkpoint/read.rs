//! Reading model files that may be damaged or made to do harm.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::checksum::Checksum;
use super::{BLANK, CHECKSUM_KEY, FORMAT_VERSION, Model, Tensor};
use crate::data::bytes::{Limits, open};
use crate::data::error::{At, DataError, Result};

/// As the safetensors format says.
const LONGEST_HEADER: u64 = 100_000_000;

/// Reads and checks a model file; memory stays near the file's own size.
pub fn load(path: &Path, limits: Limits) -> Result<Model> {
    let name = path.display().to_string();
    let bytes = open(Path::new(""), &name).and_then(|mut input| input.read_all(limits)).map_err(|mut error| {
        // Paths of the command line do not start at the program's folder.
        error.help = error.help.take().filter(|_| error.code != "E0501");
        error
    })?;
    parse(&name, &bytes)
}

/// `name` is for messages.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Model> {
    let fail = |code, message: String| DataError::new(code, message).file(name);
    let not_a_model = |why: String| {
        // The header of another file may be quoted whole.
        let why: String = why.chars().take(200).collect();
        fail("E0701", format!("`{name}` is not a model file: {why}"))
            .help("`dlc run FILE.dl --train` and `dlc build FILE.dl` write model files")
    };
    let (length, rest) =
        bytes.split_first_chunk::<8>().ok_or_else(|| not_a_model("it is shorter than its header".into()))?;
    let length = u64::from_le_bytes(*length);
    if length > LONGEST_HEADER.min(rest.len() as u64) {
        let why = format!("it claims a header of {length} bytes, and {} follow", rest.len());
        return Err(not_a_model(why).at(At::Byte(0)));
    }
    let (header, data) = rest.split_at(length as usize);
    let stored = stored_checksum(header);
    // Damage explains every later complaint, so it is looked for first.
    if let Some((at, digits)) = stored
        && digits != computed(bytes, header, data, at).as_bytes()
    {
        return Err(fail("E0705", format!("`{name}` is damaged: its checksum does not match"))
            .help("copy it again, or train again"));
    }
    let (_, info) =
        SafeTensors::read_metadata(bytes).map_err(|error| not_a_model(format!("{error}")).at(At::Byte(8)))?;
    let metadata: BTreeMap<String, String> = info.metadata().clone().unwrap_or_default().into_iter().collect();
    let version = metadata.get("format_version").and_then(|text| text.parse::<u32>().ok());
    match version {
        None => return Err(not_a_model("safetensors without dlc's metadata".into())),
        Some(version) if version > FORMAT_VERSION => {
            let message = format!("`{name}` is written in format {version}, and this dlc reads up to {FORMAT_VERSION}");
            return Err(fail("E0702", message).help("use a newer dlc"));
        }
        Some(_) => {}
    }
    if stored.is_none() {
        return Err(fail("E0705", format!("`{name}` has no checksum"))
            .note("dlc seals each model file that it writes: another program has written this one again")
            .help("use the file that dlc wrote; to bring in changed weights, save them as `W.npz` and train with `--init W.npz`"));
    }
    let tensors = tensors(bytes).map_err(not_a_model)?;
    let mut model = Model { tensors, ..Model::default() };
    model
        .take_metadata(&metadata)
        .map_err(|key| not_a_model(format!("`{key}` of its metadata is missing or cannot be read")))?;
    Ok(model)
}

fn tensors(bytes: &[u8]) -> std::result::Result<BTreeMap<String, Tensor>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut tensors = BTreeMap::new();
    for (path, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(format!("`{path}` is {:?}, not F32", view.dtype()));
        }
        let words = view.data().chunks_exact(4);
        let values = words.map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        let tensor = Tensor { shape: view.shape().to_vec(), values: values.collect() };
        tensors.insert(path.to_string(), tensor);
    }
    Ok(tensors)
}

/// Where the digits stand in the header. The key cannot occur inside a JSON text, whose quotes are escaped.
fn stored_checksum(header: &[u8]) -> Option<(usize, &[u8])> {
    let key = header.windows(CHECKSUM_KEY.len()).position(|window| window == CHECKSUM_KEY)?;
    let at = key + CHECKSUM_KEY.len();
    Some((at, header.get(at..at + BLANK.len())?))
}

fn computed(bytes: &[u8], header: &[u8], data: &[u8], at: usize) -> String {
    let mut header = header.to_vec();
    if let Some(digits) = header.get_mut(at..at + BLANK.len()) {
        digits.copy_from_slice(BLANK.as_bytes());
    }
    let mut sum = Checksum::default();
    [bytes.get(..8).unwrap_or_default(), &header, data].iter().for_each(|part| sum.part(part));
    sum.digits()
}
