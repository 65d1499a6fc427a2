//! Archives of pictures, unpacked when the first of them is read: what is decoded already needs their names alone, which
//! the cache keeps.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::cache::{Cache, LEAST, hash};
use super::{archive, is_picture};
use crate::data::bytes::{Limits, open_file};
use crate::data::error::{DataError, Result};
use crate::init::mix;

const MAGIC: &[u8; 8] = b"dlcnam\x01\n";
/// Bytes of a list; a longer one is not kept.
const LONGEST: u64 = 256 << 20;

/// One archive of pictures.
#[derive(Debug)]
pub struct Archive {
    root: PathBuf,
    path: String,
    limits: Limits,
    /// Of its size and time.
    mark: u64,
    names: Vec<String>,
    /// In the order of the names.
    files: OnceLock<Result<Vec<Vec<u8>>>>,
}

impl Archive {
    /// The names of its pictures, from the cache if they are there.
    pub fn open(root: &Path, path: &str, limits: Limits) -> Result<Arc<Archive>> {
        let (_, known) = open_file(root, path)?;
        let since = known.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let mark = mix(known.len() ^ mix(since.map_or(0, |since| since.as_nanos() as u64)));
        let kept = limits.cache.filter(|_| known.len() >= LEAST).map(|cache| kept_in(cache, root, path, mark));
        let of = |names, files| Archive { root: root.into(), path: path.into(), limits, mark, names, files };
        if let Some(names) = kept.as_ref().and_then(|file| read(file)) {
            return Ok(Arc::new(of(names, OnceLock::new())));
        }
        let (names, files): (Vec<String>, Vec<Vec<u8>>) =
            archive::read(root, path, limits, &is_picture)?.into_iter().unzip();
        if let Some(file) = kept {
            // The next run unpacks it again then.
            let _ = write(&file, &names);
        }
        Ok(Arc::new(of(names, OnceLock::from(Ok(files)))))
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What tells it from others of its name.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// One file.
    pub fn bytes(&self, at: usize) -> Result<Vec<u8>> {
        let files = self.files.get_or_init(|| {
            let (names, files): (Vec<String>, Vec<Vec<u8>>) =
                archive::read(&self.root, &self.path, self.limits, &is_picture)?.into_iter().unzip();
            match names == self.names {
                true => Ok(files),
                false => Err(changed(&self.path)),
            }
        });
        match files {
            Ok(files) => files.get(at).cloned().ok_or_else(|| changed(&self.path)),
            Err(error) => Err(error.clone()),
        }
    }
}

fn changed(path: &str) -> Box<DataError> {
    let error = DataError::new("E0502", format!("`{path}` holds other files than it did a moment ago"));
    error.file(path).help("start again, or without the cache: `--no-cache`")
}

/// Where the names of an archive are kept.
fn kept_in(cache: Cache, root: &Path, path: &str, mark: u64) -> PathBuf {
    let full = root.join(path);
    let full = full.canonicalize().unwrap_or(full);
    let called = hash(format!("{} {}", full.display(), env!("CARGO_PKG_VERSION")).as_bytes());
    Path::new(cache.folder).join(format!("{called:016x}{mark:016x}.names"))
}

/// Magic, a hash of what follows, and each name after its length; nothing where it is not whole.
fn read(file: &Path) -> Option<Vec<String>> {
    let known = fs::metadata(file).ok().filter(|known| known.len() <= LONGEST)?;
    let all = fs::read(file).ok().filter(|all| all.len() as u64 == known.len())?;
    let (sum, mut rest) = all.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*sum) != hash(rest) {
        return None;
    }
    let mut names = Vec::new();
    while let Some((len, more)) = rest.split_first_chunk::<4>() {
        let (name, more) = more.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        names.push(String::from_utf8(name.to_vec()).ok()?);
        rest = more;
    }
    // What was used lately stays longest.
    let _ = fs::File::options().append(true).open(file).and_then(|file| file.set_modified(SystemTime::now()));
    rest.is_empty().then_some(names)
}

fn write(file: &Path, names: &[String]) -> std::io::Result<()> {
    let mut rest = Vec::new();
    for name in names {
        let len = u32::try_from(name.len()).map_err(std::io::Error::other)?;
        rest.extend(len.to_le_bytes());
        rest.extend(name.as_bytes());
    }
    if let Some(folder) = file.parent() {
        super::cache::make(folder)?;
    }
    let beside = file.with_extension(format!("{}.tmp", std::process::id()));
    let all = [&MAGIC[..], &hash(&rest).to_le_bytes(), &rest].concat();
    let done = fs::write(&beside, all).and_then(|()| fs::rename(&beside, file));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".dlc/cache/a.names");
        assert_eq!(read(&file), None);
        let names = ["train/cat/1.png", "", "ünï/2.jpg"].map(String::from);
        write(&file, &names).unwrap();
        assert_eq!(read(&file), Some(names.to_vec()));
        assert!(dir.path().join(".dlc/.gitignore").exists());
        let whole = fs::read(&file).unwrap();
        for cut in 0..whole.len() {
            fs::write(&file, &whole[..cut]).unwrap();
            assert_eq!(read(&file), None, "{cut}");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 0x81;
            fs::write(&file, other).unwrap();
            assert_eq!(read(&file), None, "{at}");
        }
    }
}
