//! All pictures of a field, decoded on every core and laid one after the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::cache::{self, Cached, hash, sum_with};
use super::geometry::{Mixing, apply};
use super::mask::decode_mask;
use super::{Entry, Picture, decode};
use crate::data::array::Numbers;
use crate::data::bytes::Limits;
use crate::data::error::{DataError, Result, counted, grouped};
use crate::data::spec::{AxisSpec, PictureStep};

/// Broken files that a message lists.
const LISTED: usize = 8;

/// Pictures that a thread takes at a time.
const BLOCK: usize = 16;

/// Entries that cannot be used, with the reason.
pub type Broken = Vec<(usize, Box<DataError>)>;
type Put<'a> = &'a (dyn Fn(usize, &[u8]) -> Result<()> + Sync);

/// What a field needs of each file.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub field: String,
    /// The axes of the field.
    pub shape: Vec<AxisSpec>,
    pub steps: Vec<PictureStep>,
    /// Masks: the number of classes.
    pub classes: Option<usize>,
    pub skip_broken: bool,
}

/// Pictures of one size.
pub struct Fill {
    pub shape: Vec<usize>,
    pub values: Numbers,
    /// Entries that cannot be read, with the reason; theirs are zeros.
    pub broken: Broken,
}

impl Wanted {
    /// Decodes all entries, or takes them from the cache; without `skip_broken` the first that cannot be read is an error.
    pub fn fill(&self, entries: &[Entry], limits: Limits) -> Result<Fill> {
        let size @ [h, w, c] = self.size(entries, limits)?;
        let shape = if self.shape.len() == 2 && c == 1 { vec![h, w] } else { vec![h, w, c] };
        let (each, count) = (h * w * c, entries.len());
        let total = (each as u64).saturating_mul(count as u64);
        let fill = |values, broken| Ok(Fill { shape: shape.clone(), values, broken });
        let cache = limits.cache.filter(|_| total >= cache::LEAST);
        let cached = cache.map(|cache| Cached::new(cache, self.key(entries, size), (count, each)));
        if let (Some(cache), Some(cached)) = (cache, &cached) {
            let contents = if cache.verify { Some(contents(entries, limits)?) } else { None };
            if let Some(values) = cached.load(limits.pictures, contents) {
                return fill(values, vec![]);
            }
        }
        if total > limits.pictures {
            let (values, broken) = self.to_disk((entries, size), limits, cached.as_ref())?;
            return fill(values, broken);
        }
        let values = Mutex::new(vec![0u8; each * count]);
        let put = |first: usize, some: &[u8]| {
            let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(out) = values.get_mut(first * each..first * each + some.len()) {
                out.copy_from_slice(some);
            }
            Ok(())
        };
        let (broken, contents) = self.decode_all(entries, size, limits, &put)?;
        let values = values.into_inner().unwrap_or_default();
        if broken.is_empty() {
            cached.iter().for_each(|cached| cached.keep(&values, contents));
        } else if !self.skip_broken || broken.len() == count {
            return Err(first_broken(broken));
        }
        fill(Numbers::U8(values), broken)
    }

    /// What decoded pictures depend on, besides the bytes of their files.
    fn key(&self, entries: &[Entry], size: [usize; 3]) -> [u64; 2] {
        let wanted = format!("{size:?} {:?} {:?} {}", self.steps, self.classes, env!("CARGO_PKG_VERSION"));
        let marks =
            entries.iter().enumerate().fold(0, |sum, (at, entry)| sum_with(sum, at, &entry.mark().to_le_bytes()));
        [hash(wanted.as_bytes()), marks]
    }

    /// Decodes more pictures than the memory is for into a file of the cache.
    fn to_disk(
        &self,
        (entries, size): (&[Entry], [usize; 3]),
        limits: Limits,
        cached: Option<&Cached>,
    ) -> Result<(Numbers, Broken)> {
        let [h, w, c] = size;
        let mib = |bytes: u64| grouped((bytes >> 20) as usize);
        let total = (h * w * c) as u64 * entries.len() as u64;
        let fail = |why: String| {
            let message = format!(
                "{} of {h} x {w} x {c} take {} MiB, {} MiB are left of the memory for those of all fields, and {why}",
                counted(entries.len(), "picture"),
                mib(total),
                mib(limits.pictures)
            );
            let help = "make them smaller, `images |> resize(h: 96, w: 96)`, or allow more: `--cache-limit 4GB`";
            DataError::new("E0502", message).help(help)
        };
        let Some(cached) = cached else { return Err(fail("there is no cache on disk for the rest".into())) };
        let unwritten = |error: std::io::Error| fail(format!("the cache on disk cannot be written: {error}"));
        let writing = cached.create().map_err(unwritten)?;
        let (broken, contents) =
            self.decode_all(entries, size, limits, &|first, some| writing.put(first, some).map_err(unwritten))?;
        match (broken.len(), self.skip_broken) {
            (0, _) => Ok((writing.finish(contents).map_err(unwritten)?, broken)),
            (some, true) if some < entries.len() => Ok((writing.unnamed().map_err(unwritten)?, broken)),
            _ => Err(first_broken(broken)),
        }
    }

    /// Decodes on every core; `put` takes pictures from the one with this number on. What cannot be read, and the sum
    /// of all files.
    fn decode_all(&self, entries: &[Entry], size: [usize; 3], limits: Limits, put: Put<'_>) -> Result<(Broken, u64)> {
        let each = size.iter().product::<usize>();
        let (broken, failed, sum) = (Mutex::new(Vec::new()), Mutex::new(None), AtomicU64::new(0));
        if each > 0 {
            let work = Mutex::new(entries.chunks(BLOCK).enumerate());
            let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(8);
            let one = || {
                let mut some = Vec::new();
                loop {
                    let next = work.lock().ok().and_then(|mut work| work.next());
                    let Some((block, entries)) = next else { return };
                    some.clear();
                    some.resize(each * entries.len(), 0);
                    for (at, (entry, out)) in entries.iter().zip(some.chunks_exact_mut(each)).enumerate() {
                        let at = block * BLOCK + at;
                        let read = entry.bytes(limits).and_then(|bytes| {
                            sum.fetch_add(sum_with(0, at, &bytes), Ordering::Relaxed);
                            self.one(entry, &bytes, size)
                        });
                        match read {
                            Ok(picture) => out.copy_from_slice(&picture.values),
                            Err(error) => {
                                if let Ok(mut broken) = broken.lock() {
                                    broken.push((at, error));
                                }
                            }
                        }
                    }
                    if let Err(error) = put(block * BLOCK, &some) {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        return;
                    }
                }
            };
            std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(one))));
        }
        if let Some(error) = failed.into_inner().unwrap_or_default() {
            return Err(error);
        }
        let mut broken: Broken = broken.into_inner().unwrap_or_default();
        broken.sort_by_key(|(at, _)| *at);
        Ok((broken, sum.into_inner()))
    }

    /// The size that all pictures must have: declared, or that of the first one.
    fn size(&self, entries: &[Entry], limits: Limits) -> Result<[usize; 3]> {
        let axis = |at: usize| self.shape.get(at).and_then(|axis| axis.size);
        let spatial = (2..=3).contains(&self.shape.len());
        let channels = match (self.shape.len(), self.classes) {
            (_, Some(_)) | (2, None) => Some(1),
            (3, None) => axis(2),
            _ => None,
        };
        if let Some(c) = channels.filter(|c| ![1, 3, 4].contains(c)) {
            let message = format!("field `{}` has {c} channels, and pictures have 1, 3 or 4", self.field);
            return Err(DataError::new("E0511", message));
        }
        match (axis(0).filter(|_| spatial), axis(1).filter(|_| spatial), channels) {
            (Some(h), Some(w), Some(c)) if h.checked_mul(w).is_some_and(|n| n as u64 <= super::MOST_POINTS) => {
                Ok([h, w, c])
            }
            (Some(h), Some(w), Some(_)) => {
                let message = format!("field `{}` has pictures of {h} x {w} points", self.field);
                let most = grouped(super::MOST_POINTS as usize);
                Err(DataError::new("E0502", message).help(format!("a picture has at most {most} points")))
            }
            _ => {
                let decoded = entries.iter().find_map(|entry| {
                    match entry.bytes(limits).and_then(|bytes| self.stepped(entry, &bytes, channels)) {
                        Err(_) if self.skip_broken => None,
                        result => Some(result),
                    }
                });
                match decoded {
                    Some(Ok(picture)) => Ok([picture.h, picture.w, picture.c]),
                    Some(Err(error)) => Err(error),
                    None => Err(DataError::new("E0510", "no picture can be read")),
                }
            }
        }
    }

    fn stepped(&self, entry: &Entry, bytes: &[u8], channels: Option<usize>) -> Result<Picture> {
        if let Some(classes) = self.classes {
            let picture = decode_mask(&entry.name, bytes)?;
            let picture = self.steps.iter().fold(picture, |picture, step| apply(picture, step, Mixing::Nearest));
            return self.indices(entry, picture, classes);
        }
        let channels = if self.steps.contains(&PictureStep::Gray) { None } else { channels };
        let picture = decode(&entry.name, bytes, channels)?;
        Ok(self.steps.iter().fold(picture, |picture, step| apply(picture, step, Mixing::Linear)))
    }

    fn one(&self, entry: &Entry, bytes: &[u8], [h, w, c]: [usize; 3]) -> Result<Picture> {
        let picture = self.stepped(entry, bytes, Some(c))?;
        if (picture.h, picture.w, picture.c) == (h, w, c) {
            return Ok(picture);
        }
        let what = if self.classes.is_some() { "masks" } else { "images" };
        let by = if self.classes.is_some() { ", by = \"nearest\"" } else { "" };
        let message = format!(
            "the picture is {} x {} x {}, and `{}` is {h} x {w} x {c}",
            picture.h, picture.w, picture.c, self.field
        );
        Err(DataError::new("E0511", message)
            .file(&entry.name)
            .help(format!("bring all to one size: `{what} |> resize(h: {h}, w: {w}{by})`")))
    }

    /// Values of a mask to classes; what is ignored becomes one class too many, which is no class.
    fn indices(&self, entry: &Entry, mut picture: Picture, classes: usize) -> Result<Picture> {
        let levels = self.steps.iter().find_map(|step| match step {
            PictureStep::Levels(levels) => Some(levels),
            _ => None,
        });
        let ignored = |value: u8| self.steps.contains(&PictureStep::Ignore(value));
        let class = |value: u8| match levels {
            _ if ignored(value) => Some(classes),
            Some(levels) => levels.iter().position(|level| *level == value),
            None => Some(usize::from(value)).filter(|class| *class < classes),
        };
        let mut table = [None; 256];
        (0u8..=255).zip(&mut table).for_each(|(value, out)| *out = class(value).and_then(|c| u8::try_from(c).ok()));
        let bad = picture.values.iter().position(|value| table[usize::from(*value)].is_none());
        if let Some(at) = bad {
            let value = picture.values.get(at).copied().unwrap_or(0);
            let error = match levels {
                Some(levels) => DataError::new("E0507", format!("the mask has the value {value}, which is no level"))
                    .help(format!("its levels are {levels:?}; leave a value out: `masks |> ignore({value})`")),
                None => DataError::new("E0507", format!("the mask has the class {value}, and there are {classes}"))
                    .help(format!(
                        "give all values a class, `masks |> levels(0, 255)`, or leave one out: `masks |> ignore({value})`"
                    )),
            };
            let place = format!("row {}, column {}", at / picture.w.max(1), at % picture.w.max(1));
            return Err(error.file(&entry.name).note(place));
        }
        picture.values.iter_mut().for_each(|value| *value = table[usize::from(*value)].unwrap_or(0));
        Ok(picture)
    }
}

/// The sum of all files, as decoding finds it.
fn contents(entries: &[Entry], limits: Limits) -> Result<u64> {
    entries.iter().enumerate().try_fold(0, |sum, (at, entry)| Ok(sum_with(sum, at, &entry.bytes(limits)?)))
}

/// The first of them, with a list of the others.
pub(super) fn first_broken(broken: Broken) -> Box<DataError> {
    let more = broken.len().saturating_sub(1);
    let mut all = broken.into_iter().map(|(_, error)| error);
    let Some(mut first) = all.next() else { return DataError::new("E0510", "no picture can be read") };
    if more > 0 {
        let shown = |error: Box<DataError>| format!("`{}`: {}", error.file.unwrap_or_default(), error.message);
        let listed: Vec<String> = all.take(LISTED).map(shown).collect();
        first = first.note(format!("{} more cannot be used:", grouped(more)));
        first = listed.into_iter().fold(first, |error, line| error.note(line));
    }
    if first.code == "E0510" && (first.help.is_none() || more > 0) {
        let all = if more > 0 { "them" } else { "it" };
        first.help = Some(format!("mend or remove {all}, or leave out what cannot be read: `skip_broken = true`"));
    }
    first
}
