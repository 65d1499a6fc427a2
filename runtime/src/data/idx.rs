//! IDX, the format of MNIST: big-endian header with kind and sizes, then the numbers.

use std::path::Path;

use super::array::{self, Array, Element, Numbers};
use super::bytes::{Input, Limits, open, resolve};
use super::error::{At, DataError, Result, grouped};

/// Pictures and labels of one part.
#[derive(Debug)]
pub struct LabelledImages {
    pub images: Array,
    pub labels: Array,
}

/// The training part and, where its files exist, the test part.
pub fn read_folder(root: &Path, path: &str, limits: Limits) -> Result<(LabelledImages, Option<LabelledImages>)> {
    let names = names(root, path)?;
    let find = |part: &str, kind: &str| {
        let end = format!("{part}-{kind}-ubyte");
        names.iter().find(|name| name.strip_suffix(".gz").unwrap_or(name).replace(".idx", "-idx").ends_with(&end))
    };
    let mut parts = Vec::new();
    for part in ["train", "t10k", "test"] {
        let pair = (find(part, "images-idx3"), find(part, "labels-idx1"));
        match pair {
            (Some(images), Some(labels)) if parts.len() < 2 => {
                parts.push(read_part(root, path, (images, labels), limits)?);
            }
            _ if part == "train" => break,
            _ => {}
        }
    }
    let mut parts = parts.into_iter();
    match parts.next() {
        Some(train) => Ok((train, parts.next())),
        None => Err(DataError::new("E0501", format!("`{path}` holds no IDX training files"))
            .file(path)
            .help("it needs `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, with or without `.gz`")),
    }
}

fn names(root: &Path, path: &str) -> Result<Vec<String>> {
    let full = resolve(root, path);
    let fail = |message: String| {
        DataError::new("E0501", message)
            .file(path)
            .help("`idx(...)` names a folder that holds `train-images-idx3-ubyte.gz` and its companions")
    };
    if full.is_file() {
        return Err(fail(format!("`{path}` is a file, and a folder is needed")));
    }
    let entries = std::fs::read_dir(&full).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => fail(format!("there is no folder `{path}`")),
        _ => fail(format!("`{path}` cannot be read: {error}")),
    })?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn read_part(root: &Path, path: &str, (images, labels): (&String, &String), limits: Limits) -> Result<LabelledImages> {
    let file = |name: &str| format!("{}/{name}", path.trim_end_matches('/'));
    let heads = (Head::read(open(root, &file(images))?)?, Head::read(open(root, &file(labels))?)?);
    let held = |head: &Head| head.shape.first().copied().unwrap_or(0);
    let counts = (held(&heads.0), held(&heads.1));
    if heads.1.shape.len() != 1 || heads.0.shape.len() < 2 || counts.0 != counts.1 {
        let message = format!(
            "`{images}` holds {} pictures, but `{labels}` holds {} labels",
            grouped(counts.0),
            grouped(counts.1)
        );
        return Err(DataError::new("E0502", message)
            .file(file(labels))
            .help("fetch both files again: each picture has one label"));
    }
    // The labels are small: what is wrong with them is known before the pictures are unpacked.
    let labels = heads.1.rest(limits)?;
    let mut part = LabelledImages { images: heads.0.rest(limits)?, labels };
    if images.starts_with("emnist") {
        turn(&mut part.images);
    }
    Ok(part)
}

/// EMNIST's pictures lie on their side.
fn turn(images: &mut Array) {
    let (Numbers::U8(values), [_, h, w]) = (&mut images.numbers, &images.shape[..]) else { return };
    if h != w || *h == 0 {
        return;
    }
    for picture in values.chunks_exact_mut(h * w) {
        for y in 0..*h {
            for x in 0..y {
                picture.swap(y * w + x, x * w + y);
            }
        }
    }
}

/// One file; every promise of its header is checked.
pub fn read(input: Input<'_>, limits: Limits) -> Result<Array> {
    Head::read(input)?.rest(limits)
}

/// A file whose header was read.
struct Head<'a> {
    element: Element,
    shape: Vec<usize>,
    input: Input<'a>,
}

impl<'a> Head<'a> {
    fn read(mut input: Input<'a>) -> Result<Head<'a>> {
        let name = input.name.clone();
        let fail = |at: u64, message: String| DataError::new("E0502", message).file(&name).at(At::Byte(at));
        let magic = input.read_up_to(4)?;
        let [0, 0, kind, axes] = magic[..] else {
            return Err(fail(0, format!("`{name}` is not an IDX file: it does not begin with two zero bytes")));
        };
        let element = match kind {
            0x08 => Element::U8,
            0x09 => Element::I8,
            0x0b => Element::I16,
            0x0c => Element::I32,
            0x0d => Element::F32,
            0x0e => Element::F64,
            _ => return Err(fail(2, format!("`{name}` holds numbers of unknown kind {kind}"))),
        };
        let header = input.read_up_to(4 * u64::from(axes))?;
        if header.len() != 4 * usize::from(axes) || axes == 0 {
            return Err(fail(4, format!("`{name}` is cut short within its header")));
        }
        let size = |size: &[u8]| size.iter().fold(0, |all, byte| (all << 8) | usize::from(*byte));
        let shape = header.chunks_exact(4).map(size).collect();
        Ok(Head { element, shape, input })
    }

    fn rest(self, limits: Limits) -> Result<Array> {
        array::read(self.input, (self.element, true), self.shape, limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::bytes::from_reader;

    fn file(shape: &[u32], data: &[u8]) -> Vec<u8> {
        let mut out = vec![0, 0, 8, shape.len() as u8];
        shape.iter().for_each(|size| out.extend(size.to_be_bytes()));
        out.extend(data);
        out
    }

    fn parse(bytes: Vec<u8>) -> Result<Array> {
        let length = bytes.len() as u64;
        read(from_reader("x", std::io::Cursor::new(bytes), length)?, Limits::default())
    }

    #[test]
    fn headers_that_lie() {
        assert_eq!(parse(file(&[2, 1, 2], &[1, 2, 3, 4])).unwrap().shape, [2, 1, 2]);
        let cases = [
            file(&[2, 1, 2], &[1, 2, 3]),
            file(&[2, 1, 2], &[1, 2, 3, 4, 5]),
            file(&[u32::MAX, u32::MAX, u32::MAX], &[1]),
            file(&[u32::MAX, 28, 28], &[1]),
            file(&[], &[]),
            vec![0, 0, 8],
            vec![0, 0, 7, 1, 0, 0, 0, 0],
            vec![0, 0, 8, 200, 1],
            vec![1, 2, 3, 4, 5],
            vec![],
        ];
        for bytes in cases {
            assert_eq!(parse(bytes.clone()).unwrap_err().code, "E0502", "{bytes:?}");
        }
    }

    #[test]
    fn folders_with_the_usual_names() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: Vec<u8>| std::fs::write(dir.path().join(name), bytes).unwrap();
        let load = || read_folder(dir.path(), ".", Limits::default());
        assert_eq!(load().unwrap_err().code, "E0501");
        write("train-images-idx3-ubyte", file(&[2, 1, 2], &[1, 2, 3, 4]));
        write("t10k-images.idx3-ubyte", file(&[1, 1, 2], &[5, 6]));
        write("t10k-labels.idx1-ubyte", file(&[1], &[9]));
        assert_eq!(load().unwrap_err().code, "E0501");
        write("train-labels-idx1-ubyte", file(&[2], &[7, 8]));
        let (train, test) = load().unwrap();
        assert_eq!(train.labels.numbers, Numbers::U8(vec![7, 8]));
        assert_eq!(test.unwrap().images.numbers, Numbers::U8(vec![5, 6]));
        write("train-labels-idx1-ubyte", file(&[3], &[7, 8, 9]));
        assert_eq!(load().unwrap_err().code, "E0502");
        assert_eq!(read_folder(dir.path(), "none", Limits::default()).unwrap_err().code, "E0501");
    }
}
