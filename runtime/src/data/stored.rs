//! Bytes of examples that stay in a file of the cache: read when a batch needs them, never all at once.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Examples of one length, one after the other. The file stays open: it may be renamed or removed meanwhile.
pub struct Stored {
    path: PathBuf,
    file: Mutex<File>,
    /// Where the first example begins.
    start: u64,
    /// Bytes of one.
    each: usize,
    count: usize,
    /// Where only some are wanted, their places.
    kept: Option<Vec<usize>>,
    /// The example that was read last, for those who ask byte by byte.
    last: Mutex<(usize, Vec<u8>)>,
    failed: AtomicBool,
}

impl Stored {
    pub fn new(path: PathBuf, file: File, start: u64, (count, each): (usize, usize)) -> Stored {
        let last = Mutex::new((usize::MAX, Vec::new()));
        let failed = AtomicBool::new(false);
        Stored { path, file: Mutex::new(file), start, each, count, kept: None, last, failed }
    }

    /// Only the examples at these places.
    pub fn retained(&self, kept: Vec<usize>) -> std::io::Result<Stored> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).try_clone()?;
        let place = |at: usize| self.kept.as_ref().map_or(at, |kept| kept.get(at).copied().unwrap_or(usize::MAX));
        let kept: Vec<usize> = kept.into_iter().map(place).collect();
        let all = Stored::new(self.path.clone(), file, self.start, (kept.len(), self.each));
        Ok(Stored { kept: Some(kept), ..all })
    }

    /// Bytes of all.
    pub fn len(&self) -> usize {
        self.count * self.each
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads one example; zeros where that fails, which [`Stored::failure`] tells.
    pub fn read(&self, example: usize, out: &mut [u8]) {
        let place = self.kept.as_ref().map_or(example, |kept| kept.get(example).copied().unwrap_or(usize::MAX));
        let result = (|| {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(self.start.saturating_add((place as u64).saturating_mul(self.each as u64))))?;
            file.read_exact(out)
        })();
        if result.is_err() || example >= self.count {
            out.fill(0);
            self.failed.store(true, Ordering::Relaxed);
        }
    }

    /// One byte of all.
    pub fn get(&self, at: usize) -> u8 {
        let (example, within) = (at / self.each.max(1), at % self.each.max(1));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != example {
            last.1.resize(self.each, 0);
            last.0 = example;
            self.read(example, &mut last.1);
        }
        last.1.get(within).copied().unwrap_or(0)
    }

    /// The file that could not be read, if there was one.
    pub fn failure(&self) -> Option<String> {
        self.failed.load(Ordering::Relaxed).then(|| self.path.display().to_string())
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} examples of {} bytes in {}", self.count, self.each, self.path.display())
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Stored) -> bool {
        (&self.path, self.count, self.each) == (&other.path, other.count, other.each)
    }
}
