//! Entries of `.tar`, `.tar.gz` and `.zip`, read without unpacking them to a disk.

use std::io::Read;
use std::path::Path;

use crate::data::bytes::{Input, Limits, from_entry, open, open_file};
use crate::data::error::{DataError, Result};

/// What a header of a tar archive says.
struct Header {
    name: String,
    size: u64,
    kind: u8,
}

const BLOCK: u64 = 512;

/// Names and contents of the files whose names `wanted` likes.
pub fn read(root: &Path, path: &str, limits: Limits, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<(String, Vec<u8>)>> {
    match path.to_ascii_lowercase().ends_with(".zip") {
        true => zip(root, path, limits, wanted),
        false => tar(&mut open(root, path)?, path, limits, wanted),
    }
}

fn tar(
    input: &mut Input<'_>,
    path: &str,
    limits: Limits,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    let mut long = None;
    let mut held = 0;
    loop {
        let block = input.read_up_to(BLOCK)?;
        if block.is_empty() || block.iter().all(|byte| *byte == 0) {
            return Ok(all);
        }
        let Some(header) = header(&block) else {
            let message = format!("`{path}` is no archive of files, or is damaged");
            return Err(DataError::new("E0502", message).file(path).help("`.tar`, `.tar.gz` and `.zip` can be read"));
        };
        if header.size > limits.bytes {
            let message = format!("an entry of `{path}` says it has {} bytes", header.size);
            return Err(DataError::new("E0502", message).file(path));
        }
        let body = input.read_up_to(header.size)?;
        let pad = header.size.next_multiple_of(BLOCK) - header.size;
        if (body.len() as u64) < header.size || (input.read_up_to(pad)?.len() as u64) < pad {
            let message = format!("`{path}` is cut short");
            return Err(DataError::new("E0502", message).file(path).help("fetch the file again"));
        }
        let text = |body: &[u8]| String::from_utf8_lossy(body).trim_end_matches('\0').to_string();
        match header.kind {
            b'L' => long = Some(text(&body)),
            b'x' => long = pax_path(&body).or(long),
            b'0' | 0 => {
                let name = long.take().unwrap_or(header.name);
                if wanted(&name) {
                    held += header.size;
                    room(path, held, limits)?;
                    all.push((name, body));
                }
            }
            _ => long = None,
        }
    }
}

fn room(path: &str, held: u64, limits: Limits) -> Result<()> {
    if held <= limits.bytes {
        return Ok(());
    }
    let message = format!("the files of `{path}` take more than {} MiB", limits.bytes >> 20);
    Err(DataError::new("E0502", message).file(path).help("unpack it, and name the folder"))
}

fn header(block: &[u8]) -> Option<Header> {
    let text = |from: usize, len: usize| {
        let bytes = block.get(from..from + len)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(len);
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    };
    let octal = |from: usize, len: usize| u64::from_str_radix(text(from, len)?.trim(), 8).ok();
    // The sum of the block's bytes, its own field read as spaces.
    let sum: u64 =
        block.iter().enumerate().map(|(i, x)| if (148..156).contains(&i) { 32 } else { u64::from(*x) }).sum();
    if octal(148, 8)? != sum {
        return None;
    }
    let (name, prefix) = (text(0, 100)?, text(345, 155)?);
    let ustar = block.get(257..262)? == b"ustar";
    let name = if ustar && !prefix.is_empty() { format!("{prefix}/{name}") } else { name };
    Some(Header { name, size: octal(124, 12)?, kind: *block.get(156)? })
}

/// `30 path=a/b.png\n` among the records of an extended header.
fn pax_path(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    text.lines().find_map(|line| Some(line.split_once(" path=")?.1.to_string()))
}

fn zip(root: &Path, path: &str, limits: Limits, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<(String, Vec<u8>)>> {
    let fail = |error: zip::result::ZipError| {
        DataError::new("E0502", format!("`{path}` is no zip archive, or is damaged: {error}")).file(path)
    };
    let (file, _) = open_file(root, path)?;
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(fail)?;
    let (mut all, mut held) = (Vec::new(), 0);
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(fail)?;
        let name = entry.name().map_err(fail)?.to_string();
        if !entry.is_file() || !wanted(&name) {
            continue;
        }
        let (packed, full) = (entry.compressed_size(), format!("{path}/{name}"));
        let left = Limits { bytes: limits.bytes.saturating_sub(held), ..limits };
        let is_packed = entry.compression() != zip::CompressionMethod::Stored;
        let mut input = from_entry(&full, entry.take(limits.bytes), packed, is_packed);
        let body = input.read_all(left)?;
        held += body.len() as u64;
        all.push((name, body));
    }
    Ok(all)
}
