//! Pictures and their masks, which have the same names.

use std::collections::HashMap;
use std::path::Path;

use super::Entry;
use super::fill::{Broken, Fill, first_broken};
use super::sources::{assembled, listed, picture, steps, wanted};
use crate::data::bytes::Limits;
use crate::data::error::{DataError, Result, counted};
use crate::data::raw::Raw;
use crate::data::spec::{DataSpec, FieldSpec, PictureStep, Selector};

/// How many times a side of a mask may go into that of its picture, or the other way.
const LARGEST: usize = 8;

pub fn pairs(spec: &DataSpec, root: &Path, (images, masks, skip): (&str, &str, bool), limits: Limits) -> Result<Raw> {
    let (image_parts, has_parts) = listed(root, images, limits)?;
    let (mask_parts, masks_have) = listed(root, masks, limits)?;
    if has_parts != masks_have {
        let (with, without) = if has_parts { (images, masks) } else { (masks, images) };
        let message = format!("`{with}` has `{{part}}` in it, and `{without}` has not");
        return Err(DataError::new("E0502", message).help("write `{part}` in both"));
    }
    let counts: Vec<usize> = image_parts.iter().map(Vec::len).collect();
    let mut below = Vec::new();
    for (pictures, masks_of) in image_parts.iter().zip(mask_parts) {
        below.extend(partners(pictures, masks_of, (images, masks))?);
    }
    let pictures: Vec<Entry> = image_parts.into_iter().flatten().collect();
    let brought =
        spec.fields.iter().any(changes_sizes) && spec.fields.iter().any(|field| field.from == Selector::Images);
    let unfit = || if brought { unfit(&pictures, &below, limits) } else { vec![] };
    let (mut fields, mut left) = (Vec::new(), limits);
    for field in &spec.fields {
        let filled = match &field.from {
            Selector::Images => wanted(field, None, skip).fill(&pictures, left),
            Selector::Masks => masks_of(field, &below, (unfit(), skip), left),
            _ => Err(DataError::new("E0502", "pairs have `images` and `masks`, no columns")),
        };
        let made = filled.map(picture).map_err(|error| error.field(field.place))?;
        left = left.after(made.0.held());
        fields.push(made);
    }
    Ok(assembled(images, fields, counts, has_parts))
}

fn masks_of(field: &FieldSpec, masks: &[Entry], (unfit, skip): (Broken, bool), limits: Limits) -> Result<Fill> {
    let classes = classes(field)?;
    if !skip && !unfit.is_empty() {
        return Err(first_broken(unfit));
    }
    let mut fill = wanted(field, Some(classes), skip).fill(masks, limits)?;
    fill.broken.extend(unfit);
    Ok(fill)
}

/// Whether any step may change the sizes of pictures.
fn changes_sizes(field: &FieldSpec) -> bool {
    steps(field).iter().any(|step| !matches!(step, PictureStep::Gray | PictureStep::Levels(_) | PictureStep::Ignore(_)))
}

fn classes(field: &FieldSpec) -> Result<usize> {
    let Some(dim) = &field.dim else {
        return Err(DataError::new("E0502", format!("masks are classes, and `{}` is numbers", field.name))
            .help("give it a dim: `field mask: area[h: 96, w: 96] = masks`, with `dim area = 2`"));
    };
    match dim.size {
        Some(size) if size < 256 => Ok(size),
        Some(size) => Err(DataError::new("E0502", format!("`{}` has {size}, and a mask has at most 255", dim.name))),
        None => Err(DataError::new("E0503", format!("masks do not say how many classes `{}` has", dim.name))
            .help(format!("say it: `dim {} = 2`, or with names", dim.name))),
    }
}

/// Masks that belong to another picture, by their sizes: brought to one size, they would lie beside what they mark. A mask may be smaller or larger in
/// proportion.
fn unfit(pictures: &[Entry], masks: &[Entry], limits: Limits) -> Broken {
    let fits = |(h, w): (usize, usize), (high, wide): (usize, usize)| {
        let near = |a: usize, b: usize| a <= b.saturating_mul(LARGEST) && b <= a.saturating_mul(LARGEST);
        near(h, high) && near(w, wide) && (h * wide).abs_diff(w * high) <= high.midpoint(wide)
    };
    let one = |(at, (picture, mask)): (usize, (&Entry, &Entry))| {
        // What cannot be read is told where it is decoded.
        let (own, of) = (mask.size(limits).ok()?, picture.size(limits).ok()?);
        let message =
            format!("the mask is {} x {}, and its picture `{}` is {} x {}", own.0, own.1, picture.name, of.0, of.1);
        let help = "a mask has the size of its picture: mend it, or leave both out";
        (!fits(own, of)).then(|| (at, DataError::new("E0511", message).file(&mask.name).help(help)))
    };
    pictures.iter().zip(masks).enumerate().filter_map(one).collect()
}

/// The mask of each picture.
fn partners(pictures: &[Entry], masks: Vec<Entry>, (images, of): (&str, &str)) -> Result<Vec<Entry>> {
    let count = masks.len();
    let mut known: HashMap<String, Entry> = masks.into_iter().map(|mask| (mask.stem(), mask)).collect();
    let mut found = Vec::new();
    for picture in pictures {
        let Some(mask) = known.remove(&picture.stem()) else {
            let message = format!("`{}` has no mask", picture.name);
            return Err(DataError::new("E0502", message)
                .file(of)
                .note(format!(
                    "`{images}` has {}, `{of}` {}",
                    counted(pictures.len(), "picture"),
                    counted(count, "mask")
                ))
                .help("a mask is called like its picture"));
        };
        found.push(mask);
    }
    let mut left: Vec<&Entry> = known.values().collect();
    left.sort_by(|a, b| a.name.cmp(&b.name));
    match left.first() {
        None => Ok(found),
        Some(mask) => Err(DataError::new("E0502", format!("the mask `{}` has no picture", mask.name))
            .file(images)
            .note(counted(left.len(), "mask") + " without a picture")),
    }
}
