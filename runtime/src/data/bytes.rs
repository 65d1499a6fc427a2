//! Files as bytes: found, unpacked where they are packed, and never more in memory than is right for their size.
//!
//! A plain file's own length tells how much it can hold, so a header that promises more is refused unread. A packed
//! one is unpacked piece by piece: data packs to a half or a twentieth, and a file that grows more than
//! [`SANE_RATIO`] times is made to fill the memory. Small ones may: blank pictures pack well, and do no harm.

use std::cell::Cell;
use std::fs::{File, Metadata};
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use super::error::{At, DataError, Result};
use super::pictures::Cache;

/// What reading may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that one file may hold or unpack to.
    pub bytes: u64,
    /// Bytes of the decoded pictures of all fields together that are kept in memory; others are read from the cache.
    pub pictures: u64,
    /// Where decoded pictures are kept from run to run, if anywhere.
    pub cache: Option<Cache>,
}

impl Limits {
    /// What is left for other fields after pictures of so many bytes.
    pub fn after(self, bytes: u64) -> Limits {
        Limits { pictures: self.pictures.saturating_sub(bytes), ..self }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 2 << 30, pictures: 1 << 30, cache: None }
    }
}

/// A file that exists and is open.
pub struct Input<'a> {
    /// As the program names it.
    pub name: String,
    reader: Box<dyn Read + 'a>,
    length: Length,
    /// Decoded bytes that were handed out.
    read: u64,
}

/// What is known before the end is reached.
enum Length {
    /// Not packed, and so long.
    Plain(u64),
    /// A stream.
    Unknown,
    Packed {
        /// Bytes before unpacking; of a stream those that came so far.
        held: Held,
        /// How to unpack it by hand.
        remedy: &'static str,
    },
}

enum Held {
    All(u64),
    SoFar(Rc<Cell<u64>>),
}

/// Deflate cannot do better.
const LARGEST_RATIO: u64 = 1032;

/// Data does not pack better; 4.7 for MNIST's pictures.
const SANE_RATIO: u64 = 200;

/// What any file may unpack to.
const ALWAYS_FINE: u64 = 64 << 20;

/// Bytes that are decoded at once; whole words.
const PIECE: usize = 1 << 16;

/// Where a path that is missing was looked for.
pub const PATH_HELP: &str =
    "relative paths start where the program or the model file lies, or at the folder given with `--data-root`";

/// Absolute paths as they are, others below `root`.
pub fn resolve(root: &Path, path: &str) -> PathBuf {
    root.join(path)
}

/// Opens a regular file; gzip is recognised by its first bytes, whatever the name.
pub fn open(root: &Path, path: &str) -> Result<Input<'static>> {
    let (file, meta) = open_file(root, path)?;
    let length = meta.len();
    input(path, file, Some(length))
}

/// A regular file and what the system says about it.
pub fn open_file(root: &Path, path: &str) -> Result<(File, Metadata)> {
    let full = resolve(root, path);
    let missing = |message: String| DataError::new("E0501", message).file(path).help(PATH_HELP);
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => missing(format!("there is no file `{path}`")),
        _ => missing(format!("`{path}` cannot be read: {error}")),
    };
    let regular = |meta: &Metadata| match (meta.is_dir(), meta.is_file()) {
        (true, _) => {
            let message = format!("`{path}` is a folder, and a file is needed");
            Err(DataError::new("E0501", message).file(path).help("name a file in it"))
        }
        (_, false) => {
            let message = format!("`{path}` is a pipe or a device, and a file is needed");
            Err(DataError::new("E0501", message).file(path).help("save the data in a file first"))
        }
        _ => Ok(()),
    };
    // A pipe would be waited for: it is refused before it is opened.
    regular(&std::fs::metadata(&full).map_err(unreadable)?)?;
    let file = File::open(&full).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    regular(&meta)?;
    Ok((file, meta))
}

/// A file that is open; `u64::MAX` bytes are those of a stream, whose length nobody knows.
pub fn from_reader<'a>(name: &str, reader: impl Read + 'a, length: u64) -> Result<Input<'a>> {
    input(name, reader, (length < u64::MAX).then_some(length))
}

/// An entry of an archive, which takes `held` bytes there; the archive unpacks it.
pub fn from_entry<'a>(name: &str, reader: impl Read + 'a, held: u64, packed: bool) -> Input<'a> {
    let remedy = "save it unpacked: `numpy.savez(file, x = x)` instead of `savez_compressed`";
    let length = match packed {
        true => Length::Packed { held: Held::All(held), remedy },
        false => Length::Plain(held),
    };
    Input { name: name.to_string(), reader: Box::new(reader), length, read: 0 }
}

fn input<'a>(name: &str, mut reader: impl Read + 'a, length: Option<u64>) -> Result<Input<'a>> {
    let mut magic = Vec::new();
    reader
        .by_ref()
        .take(2)
        .read_to_end(&mut magic)
        .map_err(|error| DataError::new("E0501", format!("`{name}` cannot be read: {error}")).file(name))?;
    let packed = magic == [0x1f, 0x8b];
    let all = std::io::Cursor::new(magic).chain(reader);
    let name = name.to_string();
    if !packed {
        let length = length.map_or(Length::Unknown, Length::Plain);
        return Ok(Input { name, reader: Box::new(BufReader::new(all)), length, read: 0 });
    }
    let so_far = Rc::new(Cell::new(0));
    let counted = BufReader::new(Counted { inner: all, count: so_far.clone() });
    let held = length.map_or(Held::SoFar(so_far), Held::All);
    let length = Length::Packed { held, remedy: "unpack it first: `gunzip -k FILE.gz`" };
    Ok(Input { name, reader: Box::new(MultiGzDecoder::new(counted)), length, read: 0 })
}

/// Says how much of a stream has come.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(out)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

impl Input<'_> {
    fn broken(&self, error: &std::io::Error) -> Box<DataError> {
        let (message, help) = match &self.length {
            Length::Packed { .. } => ("cannot be unpacked", "fetch the file again: it was damaged or cut on its way"),
            _ => ("cannot be read to its end", "copy it to a disk that can be read"),
        };
        let message = format!("`{}` {message}: {error}", self.name);
        DataError::new("E0502", message).file(&self.name).at(At::Byte(self.read)).help(help)
    }

    /// Fills `out`, but at the end.
    fn fill(&mut self, out: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
        self.read += filled as u64;
        Ok(filled)
    }

    /// Up to `count` bytes; fewer only at the end. Memory grows with what is really there, and what unpacks to far more
    /// than data does is refused.
    pub fn read_up_to(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        while (out.len() as u64) < count {
            let from = out.len();
            let more = (count - from as u64).min(PIECE as u64) as usize;
            out.resize(from + more, 0);
            let filled = self.fill(&mut out[from..])?;
            out.truncate(from + filled);
            self.bearable(self.read)?;
            if filled < more {
                break;
            }
        }
        Ok(out)
    }

    /// The whole rest, or an error where it exceeds the limit.
    pub fn read_all(&mut self, limits: Limits) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.read_rest(&mut out, limits)?;
        Ok(out)
    }

    /// The same of a text: what is none is found out by its beginning.
    pub fn read_text(&mut self, limits: Limits) -> Result<Vec<u8>> {
        let mut out = self.read_up_to(PIECE as u64)?;
        is_text(&self.name, &out)?;
        self.read_rest(&mut out, limits)?;
        Ok(out)
    }

    fn read_rest(&mut self, out: &mut Vec<u8>, limits: Limits) -> Result<()> {
        if let Length::Plain(length) = self.length {
            if length > limits.bytes {
                return Err(self.too_large(limits));
            }
            out.reserve_exact((length.saturating_sub(self.read) as usize).saturating_add(PIECE));
        }
        loop {
            let piece = self.read_up_to(PIECE as u64)?;
            if self.read > limits.bytes {
                return Err(self.too_large(limits));
            }
            if piece.is_empty() {
                return Ok(());
            }
            out.extend_from_slice(&piece);
        }
    }

    /// Refuses a header whose `what` need `count` bytes where the file cannot hold them.
    pub fn promised(&self, count: u64, limits: Limits, what: &str) -> Result<()> {
        match &self.length {
            Length::Plain(length) => self.agrees(count, length.saturating_sub(self.read), what)?,
            Length::Packed { held: Held::All(held), .. } => {
                let most = held.saturating_mul(LARGEST_RATIO).saturating_sub(self.read);
                if count > most {
                    let message = format!(
                        "`{}` is cut short: {what} need {count} bytes, and {held} packed bytes hold at most {most}",
                        self.name
                    );
                    return Err(self.lying(message, self.read));
                }
            }
            Length::Packed { .. } | Length::Unknown => {}
        }
        if count > limits.bytes {
            return Err(self.too_large(limits));
        }
        match self.length {
            // Of a stream, only what comes can be judged.
            Length::Packed { held: Held::SoFar(_), .. } => Ok(()),
            _ => self.bearable(count),
        }
    }

    /// Exactly `count` more bytes and then the end, whole words at a time; `what` the header promised.
    pub fn read_exactly(&mut self, count: u64, what: &str, mut take: impl FnMut(&[u8])) -> Result<()> {
        let start = self.read;
        loop {
            let left = count - (self.read - start);
            // One more than is promised: that the end follows is seen only by reading on.
            let piece = self.read_up_to(left.saturating_add(1).min(PIECE as u64))?;
            if piece.is_empty() || piece.len() as u64 > left {
                return self.agrees(count, self.read - start, what);
            }
            take(&piece);
        }
    }

    /// What the header promised against what is there.
    fn agrees(&self, count: u64, held: u64, what: &str) -> Result<()> {
        let message = match held {
            _ if held < count => {
                format!("`{}` is cut short: {what} need {count} bytes, {held} are there", self.name)
            }
            _ if held > count => format!("`{}` is longer than {what}: {count} bytes are expected", self.name),
            _ => return Ok(()),
        };
        Err(self.lying(message, held.min(count)))
    }

    fn lying(&self, message: String, at: u64) -> Box<DataError> {
        DataError::new("E0502", message)
            .file(&self.name)
            .at(At::Byte(at))
            .help("fetch the file again: its header and its contents do not belong together")
    }

    /// Refuses `count` unpacked bytes of a file that is too small to be data of that size.
    fn bearable(&self, count: u64) -> Result<()> {
        let Length::Packed { held, remedy } = &self.length else { return Ok(()) };
        let held = match held {
            Held::All(held) => *held,
            Held::SoFar(count) => count.get(),
        };
        if count <= ALWAYS_FINE.max(held.saturating_mul(SANE_RATIO)) {
            return Ok(());
        }
        let message = format!("`{}` unpacks to more than {SANE_RATIO} times its size", self.name);
        Err(DataError::new("E0502", message)
            .file(&self.name)
            .note(format!("{held} packed bytes become more than {} MiB: data does not pack so well", count >> 20))
            .help(*remedy))
    }

    fn too_large(&self, limits: Limits) -> Box<DataError> {
        let verb = if matches!(self.length, Length::Packed { .. }) { "unpacks to" } else { "holds" };
        let message = format!("`{}` {verb} more than {} MiB", self.name, limits.bytes >> 20);
        DataError::new("E0502", message).file(&self.name).help("that is the most of one file: give a part of the data")
    }
}

/// Whether a beginning is that of a text that can be read.
pub fn is_text(name: &str, start: &[u8]) -> Result<()> {
    let format = |message: &str| DataError::new("E0502", message).file(name);
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return Err(format("the file is UTF-16 text").help("save it as UTF-8"));
    }
    match start.iter().take(PIECE).position(|byte| *byte == 0) {
        Some(at) => Err(format("the file is not text: it holds a zero byte").at(At::Byte(at as u64))),
        None => Ok(()),
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
        let error = input.read_all(Limits { bytes: 1 << 20, ..Limits::default() }).unwrap_err();
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
