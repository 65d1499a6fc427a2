//! CIFAR-10 and CIFAR-100 as their authors distribute them for C programs: records of labels and three planes of bytes.
//!
//! The files lie in a folder, or in the archive as it was fetched. Classes are called as the files of names beside them
//! call them; without these files, and for a dim without names, they are numbers.

use std::collections::HashMap;
use std::path::Path;

use super::array::Numbers;
use super::bytes::{Limits, open, resolve};
use super::error::{At, DataError, Result, counted, grouped};
use super::pictures::archive;
use super::raw::{Raw, RawField, Values, Words};
use super::spec::{Cifar, DataSpec, FieldSpec, Selector};

/// Rows and columns of a picture.
const SIDE: usize = 32;
const POINTS: usize = SIDE * SIDE;
/// What fields call the coarse classes of CIFAR-100.
pub const COARSE: &str = "coarse";

/// How one of the two is laid out.
struct Layout {
    /// The folder that the archive holds, and the archive.
    folder: &'static str,
    archive: &'static str,
    train: &'static [&'static str],
    test: &'static str,
    /// Of each label of a record, in their order: how many classes, and the file of their names.
    labels: &'static [(usize, &'static str)],
}

const TEN: Layout = Layout {
    folder: "cifar-10-batches-bin",
    archive: "cifar-10-binary.tar.gz",
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: "test_batch.bin",
    labels: &[(10, "batches.meta.txt")],
};

const HUNDRED: Layout = Layout {
    folder: "cifar-100-binary",
    archive: "cifar-100-binary.tar.gz",
    train: &["train.bin"],
    test: "test.bin",
    labels: &[(20, "coarse_label_names.txt"), (100, "fine_label_names.txt")],
};

impl Layout {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let labels = self.labels.iter().map(|(_, file)| *file);
        self.train.iter().copied().chain([self.test]).chain(labels)
    }
}

/// Pictures and labels of all files so far.
#[derive(Default)]
struct Held {
    /// Rows, columns, colours.
    images: Vec<u8>,
    /// For each label of a record one of each picture.
    labels: Vec<Vec<u8>>,
}

/// Reads what the fields of `spec` ask for, the training part first.
pub fn read(spec: &DataSpec, root: &Path, (path, which): (&str, Cifar), limits: Limits) -> Result<Raw> {
    let layout = if which == Cifar::Ten { &TEN } else { &HUNDRED };
    let mut files = Files::new(layout, root, path, limits)?;
    let mut held = Held { images: vec![], labels: vec![vec![]; layout.labels.len()] };
    for name in layout.train {
        held.add(layout, &files.called(name), &files.needed(name)?)?;
    }
    let train = held.count();
    held.add(layout, &files.called(layout.test), &files.needed(layout.test)?)?;
    let mut names = vec![];
    for (count, name) in layout.labels {
        let listed = files.take(name)?.map(|text| listed(&files.called(name), &text, *count));
        names.push(listed.transpose()?);
    }
    let count = held.count();
    let mut fields = vec![];
    for (at, field) in spec.fields.iter().enumerate() {
        let later = spec.fields.iter().skip(at + 1).any(|later| later.from == Selector::Images);
        let label = match &field.from {
            Selector::Images => {
                let images = if later { held.images.clone() } else { std::mem::take(&mut held.images) };
                let values = Values::Numbers(Numbers::U8(images));
                fields.push(RawField { shape: vec![SIDE, SIDE, 3], values, columns: vec![] });
                continue;
            }
            Selector::Labels => layout.labels.len() - 1,
            Selector::Named(name) if name == COARSE && layout.labels.len() > 1 => 0,
            _ => {
                let error = DataError::new("E0502", format!("`{path}` has `images` and `labels`, no columns"));
                return Err(error.file(path).field(field.place));
            }
        };
        fields.push(labels(field, &held.labels[label], names[label].as_deref(), layout.labels[label].0));
    }
    let (official, files) = (Some(train), Some([train, 0, count - train]));
    Ok(Raw { count, fields, official, files, groups: None, table: None, name: path.to_string(), notes: vec![] })
}

/// By their names; numbers where there are none, or where the dim of the field has none.
fn labels(field: &FieldSpec, labels: &[u8], names: Option<&[String]>, classes: usize) -> RawField {
    let plain = field.dim.as_ref().is_some_and(|dim| dim.size.is_some() && dim.names.is_empty());
    let values = match names.filter(|_| !plain) {
        None => Values::Numbers(Numbers::U8(labels.to_vec())),
        Some(names) => {
            let cells = labels.iter().map(|label| Some(u32::from(*label))).collect();
            Values::Words(Words { names: names.iter().take(classes).cloned().collect(), cells })
        }
    };
    RawField { shape: vec![], values, columns: vec![] }
}

/// Names, one a line.
fn listed(file: &str, text: &[u8], count: usize) -> Result<Vec<String>> {
    let text = String::from_utf8_lossy(text);
    let names: Vec<String> = text.lines().map(|line| line.trim().to_string()).filter(|line| !line.is_empty()).collect();
    if names.len() == count {
        return Ok(names);
    }
    let message = format!("`{file}` has {}, and there are {count} classes", counted(names.len(), "name"));
    Err(DataError::new("E0502", message).file(file).help("one name a line: fetch the file again"))
}

impl Held {
    fn count(&self) -> usize {
        self.labels.first().map_or(0, Vec::len)
    }

    /// Appends the records of one file: labels, then the planes of red, green and blue.
    fn add(&mut self, layout: &Layout, file: &str, bytes: &[u8]) -> Result<()> {
        let labels = layout.labels.len();
        let record = labels + 3 * POINTS;
        let fail = |message: String, at: usize| {
            let error = DataError::new("E0502", message).file(file).at(At::Byte(at as u64));
            error.help(format!("fetch the file again: `{}` holds it", layout.archive))
        };
        let whole = bytes.len() / record;
        if bytes.is_empty() || bytes.len() % record != 0 {
            let message = format!(
                "`{file}` is cut short: after {} of {} bytes come {} more bytes",
                counted(whole, "picture"),
                grouped(record),
                grouped(bytes.len() % record)
            );
            return Err(fail(message, whole * record));
        }
        self.images.reserve_exact(whole * 3 * POINTS);
        for (at, record) in bytes.chunks_exact(record).enumerate() {
            let (own, planes) = record.split_at(labels);
            for ((label, (classes, _)), all) in own.iter().zip(layout.labels).zip(&mut self.labels) {
                if usize::from(*label) >= *classes {
                    let message = format!(
                        "picture {} of `{file}` has the label {label}, and there are {classes} classes",
                        grouped(at + 1)
                    );
                    return Err(fail(message, at * record.len()));
                }
                all.push(*label);
            }
            let (red, rest) = planes.split_at(POINTS);
            let (green, blue) = rest.split_at(POINTS);
            self.images.extend(red.iter().zip(green).zip(blue).flat_map(|((r, g), b)| [*r, *g, *b]));
        }
        Ok(())
    }
}

/// Where the files lie.
enum Place {
    /// A folder.
    Disk(String),
    /// What an archive held.
    Archive(HashMap<String, Vec<u8>>),
}

struct Files<'a> {
    layout: &'static Layout,
    root: &'a Path,
    path: &'a str,
    limits: Limits,
    place: Place,
}

impl<'a> Files<'a> {
    fn new(layout: &'static Layout, root: &'a Path, path: &'a str, limits: Limits) -> Result<Files<'a>> {
        let full = resolve(root, path);
        let place = if full.is_dir() {
            let trimmed = path.trim_end_matches('/');
            let below = full.join(layout.folder);
            Place::Disk(if below.is_dir() { format!("{trimmed}/{}", layout.folder) } else { trimmed.to_string() })
        } else if full.exists() {
            let last = |name: &str| name.rsplit('/').next().unwrap_or(name).to_string();
            let held = archive::read(root, path, limits, &|name| layout.names().any(|known| known == last(name)))?;
            Place::Archive(held.into_iter().map(|(name, bytes)| (last(&name), bytes)).collect())
        } else {
            let message = format!("there is no folder and no archive `{path}`");
            let help = format!("name the folder of `{}`, or `{}`", layout.train[0], layout.archive);
            return Err(DataError::new("E0501", message).file(path).help(help));
        };
        Ok(Files { layout, root, path, limits, place })
    }

    /// As messages call a file.
    fn called(&self, name: &str) -> String {
        match &self.place {
            Place::Disk(folder) => format!("{folder}/{name}"),
            Place::Archive(_) => format!("{}/{name}", self.path),
        }
    }

    /// A file, if it is there; an archive gives it once.
    fn take(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let called = self.called(name);
        match &mut self.place {
            Place::Archive(held) => Ok(held.remove(name)),
            Place::Disk(_) if !resolve(self.root, &called).exists() => Ok(None),
            Place::Disk(_) => open(self.root, &called)?.read_all(self.limits).map(Some),
        }
    }

    fn needed(&mut self, name: &str) -> Result<Vec<u8>> {
        if let Some(bytes) = self.take(name)? {
            return Ok(bytes);
        }
        let of_python = match &self.place {
            Place::Disk(folder) => {
                let name = name.trim_end_matches(".bin");
                resolve(self.root, &format!("{folder}/{name}")).exists()
            }
            Place::Archive(_) => false,
        };
        let error = DataError::new("E0501", format!("`{}` lacks the file `{name}`", self.path)).file(self.path);
        Err(match of_python {
            true => error.help(format!("these are the files for Python: fetch `{}`", self.layout.archive)),
            false => error.help(format!("`{}` holds it: name that archive, or unpack all of it", self.layout.archive)),
        })
    }
}

#[cfg(test)]
mod tests;
