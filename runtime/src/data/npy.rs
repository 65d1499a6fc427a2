//! NumPy's arrays: one in an `.npy` file, several by name in an `.npz` archive.
//!
//! Only plain numbers are read; pickled objects are programs, and refused.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::array::{self, Array, Element, Numbers, transposed};
use super::bytes::{Input, Limits, from_entry, open, open_file};
use super::error::{At, DataError, Result};

/// Larger headers exist only to do harm.
const LONGEST_HEADER: u64 = 1 << 16;

/// Reads header and numbers, and requires that nothing follows.
pub fn read(mut input: Input<'_>, limits: Limits) -> Result<Array> {
    let name = input.name.clone();
    let fail = |message: &str| DataError::new("E0502", format!("`{name}` {message}")).file(&name).at(At::Byte(0));
    let start = input.read_up_to(8)?;
    if start.len() < 8 || start[..6] != *b"\x93NUMPY" {
        return Err(fail("is not an npy file: it does not begin with `\\x93NUMPY`")
            .help("`numpy.save(file, array)` writes one"));
    }
    let width = match start[6] {
        1 => 2,
        2 | 3 => 4,
        _ => return Err(fail("is an npy file of a version after 3")),
    };
    let length = input.read_up_to(width)?;
    if length.len() as u64 != width {
        return Err(fail("is cut short within its header"));
    }
    let length = length.iter().rev().fold(0u64, |all, byte| (all << 8) | u64::from(*byte));
    if length > LONGEST_HEADER {
        return Err(fail("claims a header of more than 65,536 bytes"));
    }
    let text = input.read_up_to(length)?;
    if text.len() as u64 != length {
        return Err(fail("is cut short within its header"));
    }
    let header = Header::parse(&String::from_utf8_lossy(&text))
        .map_err(|why| fail(&why).help("store plain numbers: `numpy.save(file, array.astype(\"float32\"))`"))?;
    let array = array::read(input, (header.element, header.big), header.shape, limits)?;
    let Array { shape, numbers } = array;
    let numbers = match (header.fortran && shape.len() > 1, numbers) {
        (false, numbers) | (true, numbers @ Numbers::Stored(_)) => numbers,
        (true, Numbers::U8(values)) => Numbers::U8(transposed(&values, &shape)),
        (true, Numbers::F32(values)) => Numbers::F32(transposed(&values, &shape)),
    };
    Ok(Array { shape, numbers })
}

struct Header {
    element: Element,
    big: bool,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// The header is a Python dictionary: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
    fn parse(text: &str) -> std::result::Result<Header, String> {
        let value = |key: &str| -> std::result::Result<&str, String> {
            let missing = || format!("has a header without `{key}`");
            let at = [format!("'{key}'"), format!("\"{key}\"")];
            let start = at.iter().find_map(|k| text.find(k.as_str()).map(|at| at + k.len()));
            let rest = text.get(start.ok_or_else(missing)?..).ok_or_else(missing)?;
            Ok(rest.trim_start().strip_prefix(':').ok_or_else(missing)?.trim_start())
        };
        let (element, big) = element(value("descr")?)?;
        let order = value("fortran_order")?;
        let fortran = match (order.starts_with("True"), order.starts_with("False")) {
            (true, _) => true,
            (_, true) => false,
            _ => return Err("has a header with an unknown `fortran_order`".into()),
        };
        let bad_shape = || "has a header with a shape that cannot be read".to_string();
        let inside = value("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (inside, _) = inside.ok_or_else(bad_shape)?;
        let mut shape = Vec::new();
        for size in inside.split(',').map(|size| size.trim().trim_end_matches('L')) {
            if !size.is_empty() {
                shape.push(size.parse::<usize>().map_err(|_| bad_shape())?);
            }
        }
        if shape.len() > 32 {
            return Err(bad_shape());
        }
        Ok(Header { element, big, fortran, shape })
    }
}

fn element(descr: &str) -> std::result::Result<(Element, bool), String> {
    let Some(quote @ ('\'' | '"')) = descr.chars().next() else {
        return Err("holds records, not plain numbers".into());
    };
    let text = descr[1..].split(quote).next().unwrap_or_default();
    let (big, kind) = match text.chars().next() {
        Some('>') => (true, &text[1..]),
        Some('<' | '|' | '=') => (false, &text[1..]),
        _ => (false, text),
    };
    let element = match kind {
        "u1" => Element::U8,
        "b1" | "?" => Element::Bool,
        "i1" => Element::I8,
        "u2" => Element::U16,
        "i2" => Element::I16,
        "u4" => Element::U32,
        "i4" => Element::I32,
        "u8" => Element::U64,
        "i8" => Element::I64,
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        _ if kind.starts_with('O') => {
            return Err("holds pickled Python objects, which dlc does not execute".into());
        }
        _ => return Err(format!("holds elements of kind `{text}`, not plain numbers")),
    };
    Ok((element, big))
}

/// An `.npz` archive, opened.
pub struct Archive {
    name: String,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    pub fn open(root: &Path, path: &str) -> Result<Archive> {
        let (file, meta) = open_file(root, path)?;
        let fail = |why: String| {
            DataError::new("E0502", format!("`{path}` is not an npz archive: {why}"))
                .file(path)
                .help("`numpy.savez(file, x = x)` writes one")
        };
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| fail(error.to_string()))?;
        // Entries that share their bytes would each unpack to as much.
        let mut held = 0u64;
        for at in 0..zip.len() {
            held =
                held.saturating_add(zip.by_index_raw(at).map_err(|error| fail(error.to_string()))?.compressed_size());
        }
        if held > meta.len() {
            return Err(fail(format!("its entries claim {held} bytes, and it has {}", meta.len())));
        }
        Ok(Archive { name: path.to_string(), zip })
    }

    /// Of the arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let names = self.zip.file_names().flatten();
        let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".npy")?.to_string())).collect();
        names.sort();
        names.dedup();
        names
    }

    pub fn read(&mut self, array: &str, limits: Limits) -> Result<Array> {
        let file = self.name.clone();
        let known = self.names();
        if !known.iter().any(|name| name == array) {
            let listed = known.iter().take(20).map(|name| format!("`{name}`")).collect::<Vec<_>>();
            let held = if listed.is_empty() { "no array at all".into() } else { listed.join(", ") };
            return Err(DataError::new("E0502", format!("`{file}` has no array `{array}`"))
                .file(&file)
                .help(format!("it holds {held}")));
        }
        let shown = format!("{file}:{array}");
        let entry = self
            .zip
            .by_name(&format!("{array}.npy"))
            .map_err(|error| DataError::new("E0502", format!("`{shown}` cannot be unpacked: {error}")).file(&file))?;
        let (held, packed) = (entry.compressed_size(), entry.compression() != CompressionMethod::Stored);
        read(from_entry(&shown, entry, held, packed), limits)
    }
}

/// One array of an `.npy` file.
pub fn read_file(root: &Path, path: &str, limits: Limits) -> Result<Array> {
    read(open(root, path)?, limits)
}

#[cfg(test)]
mod tests;
