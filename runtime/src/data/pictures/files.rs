//! Files of a folder or an archive, in an order that people expect: 2 before 10.

use std::cmp::Ordering;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archived::Archive;
use super::cache::hash;
use super::decode::size;
use crate::data::bytes::{Limits, open, resolve};
use crate::data::error::{DataError, Result};
use crate::init::mix;

/// Endings of pictures.
const PICTURES: &[&str] = &["png", "jpg", "jpeg", "bmp", "gif", "pnm", "pbm", "pgm", "ppm"];

/// Bytes in which most pictures say how large they are.
const HEADER: u64 = 1 << 16;

/// Folders within folders.
const DEEPEST: usize = 16;

/// One file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As messages call it.
    pub name: String,
    /// Folders below the one that was named, then the file.
    pub path: Vec<String>,
    from: From,
}

#[derive(Clone, Debug)]
enum From {
    Disk(PathBuf),
    /// Which of its pictures.
    Archive(Arc<Archive>, usize),
}

impl Entry {
    /// One file of a disk, as a program or a table names it.
    pub fn on_disk(root: &Path, name: &str) -> Entry {
        Entry { name: name.to_string(), path: vec![name.to_string()], from: From::Disk(resolve(root, name)) }
    }

    /// The whole file.
    pub fn bytes(&self, limits: Limits) -> Result<Vec<u8>> {
        match &self.from {
            From::Archive(archive, at) => archive.bytes(*at),
            From::Disk(path) => {
                let path = path.to_string_lossy();
                let read = open(Path::new(""), &path).and_then(|mut input| input.read_all(limits));
                read.map_err(|mut error| {
                    error.file = Some(self.name.clone());
                    error
                })
            }
        }
    }

    /// Height and width of the picture as it is shown; of a file on a disk no more is read than that takes.
    pub fn size(&self, limits: Limits) -> Result<(usize, usize)> {
        if let From::Disk(path) = &self.from {
            let mut start = Vec::new();
            let read = std::fs::File::open(path).and_then(|file| file.take(HEADER).read_to_end(&mut start));
            if let (Ok(_), Ok(size)) = (read, size(&self.name, &start)) {
                return Ok(size);
            }
        }
        size(&self.name, &self.bytes(limits)?)
    }

    /// What tells it from others: its name, and size and time of its file, which may be an archive.
    pub fn mark(&self) -> u64 {
        let known = match &self.from {
            From::Archive(archive, _) => archive.mark(),
            From::Disk(path) => {
                let known = std::fs::metadata(path).ok();
                let time = known.as_ref().and_then(|known| known.modified().ok());
                let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
                let nanos = since.map_or(0, |since| since.as_nanos() as u64);
                mix(known.map_or(0, |known| known.len()) ^ mix(nanos))
            }
        };
        mix(hash(self.name.as_bytes()) ^ known)
    }

    /// The path without the ending: what a picture and its mask have in common.
    pub fn stem(&self) -> String {
        let whole = self.path.join("/");
        match whole.rsplit_once('.') {
            Some((stem, _)) => stem.to_string(),
            None => whole,
        }
    }
}

/// By its ending.
pub fn is_picture(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let hidden = name.rsplit('/').next().is_some_and(|file| file.starts_with('.'));
    !hidden && ending.is_some_and(|ending| PICTURES.contains(&ending.as_str()))
}

/// All pictures of a folder or an archive.
pub fn list(root: &Path, path: &str, limits: Limits) -> Result<Vec<Entry>> {
    let full = resolve(root, path);
    let mut all = Vec::new();
    if full.is_dir() {
        walk(&full, path, &mut Vec::new(), &mut all)?;
    } else {
        let lower = path.to_ascii_lowercase();
        if full.is_file() && ![".tar", ".tar.gz", ".tgz", ".zip"].iter().any(|ending| lower.ends_with(ending)) {
            let message = format!("`{path}` is neither a folder nor an archive");
            return Err(DataError::new("E0502", message).file(path).help("`.tar`, `.tar.gz` and `.zip` can be read"));
        }
        let archive = Archive::open(root, path, limits)?;
        for (at, name) in archive.names().iter().enumerate() {
            let parts = name.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_string).collect();
            all.push(Entry { name: format!("{path}/{name}"), path: parts, from: From::Archive(archive.clone(), at) });
        }
    }
    if all.is_empty() {
        let message = format!("`{path}` holds no pictures");
        return Err(DataError::new("E0502", message)
            .file(path)
            .help("files that end in `.png`, `.jpg`, `.bmp`, `.gif` or `.ppm` are pictures"));
    }
    all.sort_by(|a, b| by_path(&a.path, &b.path));
    Ok(all)
}

fn walk(full: &Path, name: &str, below: &mut Vec<String>, all: &mut Vec<Entry>) -> Result<()> {
    let fail = |error: std::io::Error| DataError::new("E0501", format!("`{name}` cannot be read: {error}")).file(name);
    if below.len() > DEEPEST {
        let message = format!("`{name}` has folders within folders, more than {DEEPEST} deep");
        return Err(DataError::new("E0501", message).file(name));
    }
    for entry in std::fs::read_dir(full).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let (path, shown) = (entry.path(), format!("{name}/{file}"));
        below.push(file.clone());
        if path.is_dir() && !file.starts_with('.') {
            walk(&path, &shown, below, all)?;
        } else if is_picture(&file) {
            all.push(Entry { name: shown, path: below.clone(), from: From::Disk(path) });
        }
        below.pop();
    }
    Ok(())
}

fn by_path(a: &[String], b: &[String]) -> Ordering {
    let parts = a.iter().zip(b).map(|(a, b)| natural(a, b)).find(|order| order.is_ne());
    parts.unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// Runs of digits are compared as numbers, the rest byte by byte.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    let digits = |s: &[u8]| s.iter().take_while(|byte| byte.is_ascii_digit()).count();
    loop {
        let (dx, dy) = (digits(x), digits(y));
        let order = if dx > 0 && dy > 0 {
            let value = |s: &[u8]| s.iter().skip_while(|byte| **byte == b'0').copied().collect::<Vec<u8>>();
            let (nx, ny) = (value(&x[..dx]), value(&y[..dy]));
            (x, y) = (&x[dx..], &y[dy..]);
            nx.len().cmp(&ny.len()).then_with(|| nx.cmp(&ny))
        } else {
            match (x.split_first(), y.split_first()) {
                (None, None) => return a.cmp(b),
                (p, q) => {
                    let order = p.map(|(p, _)| p).cmp(&q.map(|(q, _)| q));
                    (x, y) = (p.map_or(&[][..], |(_, rest)| rest), q.map_or(&[][..], |(_, rest)| rest));
                    order
                }
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}
