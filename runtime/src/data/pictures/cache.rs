//! Decoded pictures kept on disk, so that the second run begins at once.
//!
//! A file is called by a hash of what it was made of: names, sizes and times of the pictures (of those in archives size
//! and time of the archive), and what the field wants of them. It is written under another name and renamed, and its check sum is
//! looked at before it is used: one that is cut short or damaged is made anew. That it cannot be written is no error.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::data::array::Numbers;
use crate::data::stored::Stored;
use crate::init::mix;

/// Where decoded pictures are kept, and how much is asked of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    pub folder: &'static str,
    /// The bytes of all pictures are compared with what was decoded, not their times alone.
    pub verify: bool,
}

/// Fewer bytes are decoded faster than anyone could notice.
pub const LEAST: u64 = 1 << 20;

/// Bytes that all files of the cache may take; those not used longest go first.
const MOST: u64 = 16 << 30;

const MAGIC: &[u8; 8] = b"dlcpix\x01\n";
/// Magic, key (2), examples, bytes of each, sum of the pictures' files, sum of what follows, sum of the header.
const HEADER: usize = 64;

/// Bytes that are read at a time.
const PIECE: usize = 4 << 20;

/// One file of the cache.
pub struct Cached {
    folder: PathBuf,
    path: PathBuf,
    key: [u64; 2],
    count: usize,
    each: usize,
}

impl Cached {
    pub fn new(cache: Cache, key: [u64; 2], (count, each): (usize, usize)) -> Cached {
        let folder = PathBuf::from(cache.folder);
        let path = folder.join(format!("{:016x}{:016x}", key[0], key[1]));
        Cached { folder, path, key, count, each }
    }

    fn header(&self, contents: u64, body: u64) -> Vec<u8> {
        let numbers = [self.key[0], self.key[1], self.count as u64, self.each as u64, contents, body];
        let mut header = MAGIC.to_vec();
        numbers.iter().for_each(|number| header.extend(number.to_le_bytes()));
        header.extend(hash(&header).to_le_bytes());
        header
    }

    /// What is kept, if it is whole: in memory where it takes at most `memory` bytes, else in its file.
    /// `contents` is what the sum of the pictures' files must be, where that is asked for.
    pub fn load(&self, memory: u64, contents: Option<u64>) -> Option<Numbers> {
        let mut file = File::open(&self.path).ok()?;
        let total = self.count * self.each;
        let mut header = [0; HEADER];
        file.read_exact(&mut header).ok()?;
        let number = |at: usize| Some(u64::from_le_bytes(header.get(8 * at..8 * at + 8)?.try_into().ok()?));
        let (made_of, body) = (number(5)?, number(6)?);
        let fits = header[..] == self.header(made_of, body)[..] && contents.is_none_or(|contents| contents == made_of);
        if !fits || file.metadata().ok()?.len() != (HEADER + total) as u64 {
            return None;
        }
        let found = if total as u64 <= memory {
            let mut values = Vec::new();
            values.try_reserve_exact(total).ok()?;
            file.read_to_end(&mut values).ok()?;
            let sum = values.chunks(self.each.max(1)).enumerate().fold(0, |sum, (at, one)| sum_with(sum, at, one));
            (sum == body && values.len() == total).then_some(Numbers::U8(values))?
        } else {
            let pieces = (PIECE / self.each.max(1)).max(1);
            let mut piece = vec![0; pieces * self.each];
            let mut sum = 0;
            for first in (0..self.count).step_by(pieces) {
                let piece = &mut piece[..pieces.min(self.count - first) * self.each];
                file.read_exact(piece).ok()?;
                let each = piece.chunks(self.each.max(1)).enumerate();
                sum = each.fold(sum, |sum, (at, one)| sum_with(sum, first + at, one));
            }
            (sum == body).then(|| self.stored(file))?
        };
        // What was used lately stays longest.
        let _ = File::options().append(true).open(&self.path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(found)
    }

    fn stored(&self, file: File) -> Numbers {
        Numbers::Stored(Arc::new(Stored::new(self.path.clone(), file, HEADER as u64, (self.count, self.each))))
    }

    /// A file to be filled.
    pub fn create(&self) -> std::io::Result<Writing<'_>> {
        make(&self.folder)?;
        let path = self.path.with_extension(format!("{}.tmp", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        let file = Mutex::new((file, 0));
        Ok(Writing { of: self, path, file, done: false })
    }

    /// Keeps what is in memory; nothing is wrong if that is not possible.
    pub fn keep(&self, values: &[u8], contents: u64) {
        let _ = self.create().and_then(|writing| {
            writing.put(0, values)?;
            writing.finish(contents).map(drop)
        });
    }
}

/// A file of the cache before it has its name; it is removed if it never gets one.
pub struct Writing<'a> {
    of: &'a Cached,
    path: PathBuf,
    file: Mutex<(File, u64)>,
    done: bool,
}

impl Writing<'_> {
    /// Some examples, the first of which has this number; in any order.
    pub fn put(&self, first: usize, values: &[u8]) -> std::io::Result<()> {
        let each = values.chunks(self.of.each.max(1)).enumerate();
        let sum = each.fold(0, |sum, (at, one)| sum_with(sum, first + at, one));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.1 = file.1.wrapping_add(sum);
        file.0.seek(SeekFrom::Start((HEADER + first * self.of.each) as u64))?;
        file.0.write_all(values)
    }

    /// Gives it its name; the numbers that it holds.
    pub fn finish(mut self, contents: u64) -> std::io::Result<Numbers> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let header = self.of.header(contents, file.1);
        file.0.seek(SeekFrom::Start(0))?;
        file.0.write_all(&header)?;
        fs::rename(&self.path, &self.of.path)?;
        let handle = file.0.try_clone()?;
        drop(file);
        self.done = true;
        sweep(&self.of.folder, MOST, &self.of.path);
        Ok(self.of.stored(handle))
    }
}

impl Writing<'_> {
    /// What it holds, without a name: another run makes it anew.
    pub fn unnamed(self) -> std::io::Result<Numbers> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).0.try_clone()?;
        Ok(self.of.stored(file))
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the folder of a cache.
pub fn make(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    if let Some(parent) = folder.parent().filter(|parent| parent.ends_with(".dlc")) {
        // Of no use to anyone else.
        let ignore = parent.join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n")?;
        }
    }
    Ok(())
}

/// Removes what was not used longest, until the rest takes at most `most` bytes.
fn sweep(folder: &Path, most: u64, but: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let of = |entry: fs::DirEntry| {
        let known = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((known.modified().ok()?, known.len(), entry.path()))
    };
    let mut all: Vec<_> = entries.flatten().filter_map(of).collect();
    all.sort();
    let mut total: u64 = all.iter().map(|(_, len, _)| len).sum();
    for (_, len, path) in all.iter().filter(|(_, _, path)| path != but) {
        if total <= most {
            return;
        }
        if fs::remove_file(path).is_ok() {
            total -= len;
        }
    }
}

/// Adds one example to a sum that does not depend on the order.
pub fn sum_with(sum: u64, at: usize, bytes: &[u8]) -> u64 {
    sum.wrapping_add(mix(hash(bytes) ^ mix(at as u64 + 1)))
}

/// Of bytes, to tell damage and differences; no secret.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut lanes = [1u64, 2, 3, 4].map(mix);
    let mut step = |lane: usize, word: u64| {
        lanes[lane] = (lanes[lane] ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    };
    let (words, rest) = bytes.as_chunks::<32>();
    for four in words {
        for (lane, word) in four.as_chunks::<8>().0.iter().enumerate() {
            step(lane, u64::from_le_bytes(*word));
        }
    }
    for (at, byte) in rest.iter().enumerate() {
        step(at % 4, u64::from(*byte) + 1);
    }
    lanes.iter().fold(mix(bytes.len() as u64), |all, lane| mix(all ^ *lane))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 700;
    const EACH: usize = 1600;

    fn values() -> Vec<u8> {
        (0..COUNT * EACH).map(|at| (mix(at as u64) >> 40) as u8).collect()
    }

    fn cached(folder: &Path) -> Cached {
        // Programs live as long as their cache; a test does not.
        let folder: &'static str = Box::leak(folder.to_str().unwrap().to_string().into_boxed_str());
        Cached::new(Cache { folder, verify: false }, [1, 2], (COUNT, EACH))
    }

    #[test]
    fn what_is_kept_is_found_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let cached = cached(&dir.path().join(".dlc/cache"));
        assert!(cached.load(u64::MAX, None).is_none());
        cached.keep(&values(), 7);
        assert_eq!(cached.load(u64::MAX, None), Some(Numbers::U8(values())));
        assert_eq!(cached.load(u64::MAX, Some(7)), Some(Numbers::U8(values())));
        assert!(cached.load(u64::MAX, Some(8)).is_none(), "other pictures of the same names");
        assert!(dir.path().join(".dlc/.gitignore").exists());
        assert_eq!(fs::read_dir(&cached.folder).unwrap().count(), 1);
        let whole = fs::read(&cached.path).unwrap();
        let mut damaged =
            vec![whole[..whole.len() - 1].to_vec(), whole[..20].to_vec(), vec![], [&whole[..], b"x"].concat()];
        for at in [0, 9, 30, 57, HEADER, HEADER + COUNT * EACH / 2, whole.len() - 1] {
            let mut other = whole.clone();
            other[at] ^= 4;
            damaged.push(other);
        }
        for bytes in damaged {
            fs::write(&cached.path, bytes).unwrap();
            assert!(cached.load(u64::MAX, None).is_none() && cached.load(0, None).is_none());
        }
    }

    #[test]
    fn more_than_the_memory_stays_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let cached = cached(dir.path());
        let writing = cached.create().unwrap();
        // In any order.
        let all = values();
        writing.put(400, &all[400 * EACH..]).unwrap();
        writing.put(0, &all[..400 * EACH]).unwrap();
        let first = writing.finish(3).unwrap();
        let again = cached.load(EACH as u64, None).unwrap();
        for numbers in [first, again] {
            let Numbers::Stored(stored) = &numbers else { panic!("{numbers:?}") };
            let mut one = vec![0; EACH];
            for example in [0, 699, 399, 400] {
                stored.read(example, &mut one);
                assert_eq!(one, all[example * EACH..(example + 1) * EACH]);
            }
            assert_eq!(numbers.get(5 * EACH + 3), f32::from(all[5 * EACH + 3]));
            let some = stored.retained(vec![3, 600]).unwrap();
            some.read(1, &mut one);
            assert_eq!((some.len(), &one[..]), (2 * EACH, &all[600 * EACH..601 * EACH]));
            assert_eq!(stored.failure(), None);
            stored.read(COUNT, &mut one);
            assert!(stored.failure().is_some());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let cached = cached(&dir.path().join("file/cache"));
        cached.keep(&values(), 1);
        assert!(cached.load(u64::MAX, None).is_none() && cached.create().is_err());
    }

    #[test]
    fn what_was_not_used_longest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        for (at, name) in ["c", "a", "b"].iter().enumerate() {
            let path = dir.path().join(name);
            fs::write(&path, [0; 100]).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at as u64);
            File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
        }
        sweep(dir.path(), 250, &dir.path().join("c"));
        let left = |name: &str| dir.path().join(name).exists();
        assert!(left("c") && !left("a") && left("b"));
    }
}
