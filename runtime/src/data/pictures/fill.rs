//! All pictures of a field, decoded on every core and laid one after the other.

use std::sync::Mutex;

use super::geometry::{Mixing, apply};
use super::mask::decode_mask;
use super::{Entry, Picture, decode};
use crate::data::bytes::Limits;
use crate::data::error::{DataError, Result, counted, grouped};
use crate::data::spec::{AxisSpec, PictureStep};

/// Broken files that a message lists.
const LISTED: usize = 8;

/// Pictures that a thread takes at a time.
const BLOCK: usize = 16;

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
    pub values: Vec<u8>,
    /// Entries that cannot be read, with the reason; theirs are zeros.
    pub broken: Vec<(usize, Box<DataError>)>,
}

impl Wanted {
    /// Decodes all entries; without `skip_broken` the first that cannot be read is an error.
    pub fn fill(&self, entries: &[Entry], limits: Limits) -> Result<Fill> {
        let [h, w, c] = self.size(entries, limits)?;
        let each = h * w * c;
        let total = (each as u64).saturating_mul(entries.len() as u64);
        if total > limits.bytes {
            let message = format!(
                "{} of {h} x {w} x {c} take {} MiB, at most {} MiB are kept in memory",
                counted(entries.len(), "picture"),
                grouped((total >> 20) as usize),
                grouped((limits.bytes >> 20) as usize)
            );
            return Err(DataError::new("E0502", message).help("make them smaller: `images |> resize(h: 96, w: 96)`"));
        }
        let mut values = vec![0u8; each * entries.len()];
        let broken = Mutex::new(Vec::new());
        if each > 0 {
            let work = Mutex::new(entries.chunks(BLOCK).zip(values.chunks_mut(each * BLOCK)).enumerate());
            let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(8);
            let one = || {
                loop {
                    let next = work.lock().ok().and_then(|mut work| work.next());
                    let Some((block, (entries, values))) = next else { return };
                    for (at, (entry, out)) in entries.iter().zip(values.chunks_exact_mut(each)).enumerate() {
                        match self.one(entry, [h, w, c], limits) {
                            Ok(picture) => out.copy_from_slice(&picture.values),
                            Err(error) => {
                                if let Ok(mut broken) = broken.lock() {
                                    broken.push((block * BLOCK + at, error));
                                }
                            }
                        }
                    }
                }
            };
            std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(one))));
        }
        let mut broken = broken.into_inner().unwrap_or_default();
        broken.sort_by_key(|(at, _)| *at);
        let shape = if self.shape.len() == 2 && c == 1 { vec![h, w] } else { vec![h, w, c] };
        match self.skip_broken && broken.len() < entries.len() {
            true => Ok(Fill { shape, values, broken }),
            false => first_broken(broken).map_or(Ok(Fill { shape, values, broken: vec![] }), Err),
        }
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
                let decoded = entries.iter().find_map(|entry| match self.stepped(entry, channels, limits) {
                    Err(_) if self.skip_broken => None,
                    result => Some(result),
                });
                match decoded {
                    Some(Ok(picture)) => Ok([picture.h, picture.w, picture.c]),
                    Some(Err(error)) => Err(error),
                    None => Err(DataError::new("E0510", "no picture can be read")),
                }
            }
        }
    }

    fn stepped(&self, entry: &Entry, channels: Option<usize>, limits: Limits) -> Result<Picture> {
        let bytes = entry.bytes(limits)?;
        if let Some(classes) = self.classes {
            let picture = decode_mask(&entry.name, &bytes)?;
            let picture = self.steps.iter().fold(picture, |picture, step| apply(picture, step, Mixing::Nearest));
            return self.indices(entry, picture, classes);
        }
        let channels = if self.steps.contains(&PictureStep::Gray) { None } else { channels };
        let picture = decode(&entry.name, &bytes, channels)?;
        Ok(self.steps.iter().fold(picture, |picture, step| apply(picture, step, Mixing::Linear)))
    }

    fn one(&self, entry: &Entry, [h, w, c]: [usize; 3], limits: Limits) -> Result<Picture> {
        let picture = self.stepped(entry, Some(c), limits)?;
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

fn first_broken(broken: Vec<(usize, Box<DataError>)>) -> Option<Box<DataError>> {
    let more = broken.len().saturating_sub(1);
    let mut all = broken.into_iter().map(|(_, error)| error);
    let mut first = all.next()?;
    if more > 0 {
        let shown = |error: Box<DataError>| format!("`{}`: {}", error.file.unwrap_or_default(), error.message);
        let listed: Vec<String> = all.take(LISTED).map(shown).collect();
        first = first.note(format!("{} more cannot be used:", grouped(more)));
        first = listed.into_iter().fold(first, |error, line| error.note(line));
    }
    if first.code == "E0510" && first.help.is_none() {
        first = first.help("mend or remove it, or leave out what cannot be read: `skip_broken = true`");
    }
    Some(first)
}
