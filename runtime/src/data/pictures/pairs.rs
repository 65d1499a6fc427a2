//! Pictures and their masks, which have the same names.

use std::collections::HashMap;
use std::path::Path;

use super::Entry;
use super::sources::{assembled, listed, picture, wanted};
use crate::data::bytes::Limits;
use crate::data::error::{DataError, Result, counted};
use crate::data::raw::Raw;
use crate::data::spec::{DataSpec, Selector};

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
    let mut fields = Vec::new();
    for field in &spec.fields {
        let filled = match &field.from {
            Selector::Images => wanted(field, None, skip).fill(&pictures, limits),
            Selector::Masks => classes(field).and_then(|n| wanted(field, Some(n), skip).fill(&below, limits)),
            _ => Err(DataError::new("E0502", "pairs have `images` and `masks`, no columns")),
        };
        fields.push(filled.map(picture).map_err(|error| error.field(field.place))?);
    }
    Ok(assembled(images, fields, counts, has_parts))
}

fn classes(field: &crate::data::spec::FieldSpec) -> Result<usize> {
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
