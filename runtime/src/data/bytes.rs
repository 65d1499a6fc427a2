//! Files as bytes: found, unpacked where they are gzip, and never larger in memory than a limit.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::{At, DataError, Result};

/// What reading may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that one file may unpack to.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 2 << 30 }
    }
}

/// A file that exists and is open.
pub struct Input<'a> {
    /// As the program names it.
    pub name: String,
    reader: Box<dyn Read + 'a>,
    /// Decoded bytes that the file cannot exceed: its length, or what deflate can make of it.
    pub most: u64,
}

/// Deflate cannot do better.
const LARGEST_RATIO: u64 = 1032;

const PATH_HELP: &str = "relative paths start at the folder of the program, or at the folder given with `--data-root`";

/// Absolute paths as they are, others below `root`.
pub fn resolve(root: &Path, path: &str) -> PathBuf {
    root.join(path)
}

/// Opens a regular file; gzip is recognised by its first bytes, whatever the name.
pub fn open(root: &Path, path: &str) -> Result<Input<'static>> {
    let full = resolve(root, path);
    let missing = |message: String| DataError::new("E0501", message).file(path).help(PATH_HELP);
    let meta = match std::fs::metadata(&full) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(missing(format!("there is no file `{path}`")));
        }
        Err(error) => return Err(missing(format!("`{path}` cannot be read: {error}"))),
    };
    if meta.is_dir() {
        return Err(missing(format!("`{path}` is a folder, and a file is needed")));
    }
    if !meta.is_file() {
        return Err(missing(format!("`{path}` is not a regular file")));
    }
    let file = File::open(&full).map_err(|error| missing(format!("`{path}` cannot be read: {error}")))?;
    input(path, file, meta.len())
}

/// A stream that is not a file of the data root: standard input, an entry of an archive.
pub fn from_reader<'a>(name: &str, reader: impl Read + 'a, length: u64) -> Result<Input<'a>> {
    input(name, reader, length)
}

fn input<'a>(name: &str, mut reader: impl Read + 'a, length: u64) -> Result<Input<'a>> {
    let mut magic = Vec::new();
    reader
        .by_ref()
        .take(2)
        .read_to_end(&mut magic)
        .map_err(|error| DataError::new("E0501", format!("`{name}` cannot be read: {error}")).file(name))?;
    let packed = magic == [0x1f, 0x8b];
    let all = std::io::Cursor::new(magic).chain(reader);
    let name = name.to_string();
    Ok(match packed {
        true => Input {
            name,
            reader: Box::new(MultiGzDecoder::new(BufReader::new(all))),
            most: length.saturating_mul(LARGEST_RATIO),
        },
        false => Input { name, reader: Box::new(BufReader::new(all)), most: length },
    })
}

impl Input<'_> {
    fn broken(&self, error: &std::io::Error, read: u64) -> Box<DataError> {
        let message = format!("`{}` cannot be unpacked: {error}", self.name);
        DataError::new("E0502", message).file(&self.name).at(At::Byte(read))
    }

    /// Up to `count` bytes; fewer only at the end. Memory grows with what is really there.
    pub fn read_up_to(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let reserve = count.min(self.most).min(1 << 26);
        out.reserve(reserve as usize);
        match self.reader.by_ref().take(count).read_to_end(&mut out) {
            Ok(_) => Ok(out),
            Err(error) => Err(self.broken(&error, out.len() as u64)),
        }
    }

    /// The whole rest, or an error where it exceeds the limit.
    pub fn read_all(&mut self, limits: Limits) -> Result<Vec<u8>> {
        let out = self.read_up_to(limits.bytes.saturating_add(1))?;
        if out.len() as u64 > limits.bytes {
            return Err(self.too_large(limits));
        }
        Ok(out)
    }

    /// Exactly `count` more bytes and then the end; `what` the header promised.
    pub fn read_exactly(&mut self, count: u64, limits: Limits, what: &str) -> Result<Vec<u8>> {
        if count > limits.bytes {
            return Err(self.too_large(limits));
        }
        let out = self.read_up_to(count.saturating_add(1))?;
        let held = out.len() as u64;
        if held == count {
            return Ok(out);
        }
        let message = match held < count {
            true => format!("`{}` is cut short: {what} need {count} bytes, {held} are there", self.name),
            false => format!("`{}` is longer than {what}: {count} bytes are expected", self.name),
        };
        Err(DataError::new("E0502", message)
            .file(&self.name)
            .at(At::Byte(held.min(count)))
            .help("fetch the file again: its header and its contents do not belong together"))
    }

    fn too_large(&self, limits: Limits) -> Box<DataError> {
        let message = format!("`{}` unpacks to more than {} MiB", self.name, limits.bytes >> 20);
        DataError::new("E0502", message).file(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_missing_file_and_a_folder_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let code = |path: &str| open(dir.path(), path).err().unwrap().code;
        assert_eq!(code("none.csv"), "E0501");
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        assert_eq!(code("sub"), "E0501");
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("a.gz")).unwrap();
        let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::best());
        for _ in 0..64 {
            packer.write_all(&vec![0; 1 << 20]).unwrap();
        }
        packer.finish().unwrap();
        let mut input = open(dir.path(), "a.gz").unwrap();
        let error = input.read_all(Limits { bytes: 1 << 20 }).unwrap_err();
        assert_eq!(error.code, "E0502");
    }

    #[test]
    fn a_broken_gzip_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.gz"), [0x1f, 0x8b, 8, 0, 1, 2, 3]).unwrap();
        let mut input = open(dir.path(), "a.gz").unwrap();
        assert_eq!(input.read_all(Limits::default()).unwrap_err().code, "E0502");
    }
}
