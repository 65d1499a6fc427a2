//! COCO: a folder of pictures, and one file of JSON with `images`, `annotations` and `categories`.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::{Mark, Marked, assemble, parts_of};
use crate::data::bytes::{Limits, open, resolve};
use crate::data::error::{DataError, Result, quoted};
use crate::data::pictures::Entry;
use crate::data::raw::Raw;
use crate::data::spec::DataSpec;

/// The most bytes of the file of JSON.
const JSON: u64 = 1 << 30;

/// What the file has.
const FORM: &str = "it has `images` (`id`, `file_name`), `annotations` (`image_id`, `category_id`, `bbox`) and `categories` (`id`, `name`)";

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: i64,
    category_id: i64,
    /// Left, top, width, height.
    bbox: [f64; 4],
    #[serde(default)]
    iscrowd: Flag,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

/// Some write 1, some `true`.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(untagged)]
enum Flag {
    Number(f64),
    Bool(bool),
    #[default]
    Null,
}

pub fn coco(spec: &DataSpec, root: &Path, (images, json, skip): (&str, &str, bool), limits: Limits) -> Result<Raw> {
    let Some(parts) = parts_of(images, json) else {
        let all = part(root, images, json, limits)?;
        return assemble(spec, (json, skip), (vec![all], false), limits);
    };
    let mut all = Vec::new();
    for (at, (images, json)) in parts.iter().enumerate() {
        let there = at == 0 || resolve(root, json).exists();
        all.push(if there { part(root, images, json, limits)? } else { vec![] });
    }
    assemble(spec, (json, skip), (all, true), limits)
}

fn part(root: &Path, images: &str, json: &str, limits: Limits) -> Result<Vec<Marked>> {
    let text = open(root, json)?.read_all(Limits { bytes: limits.bytes.min(JSON), ..limits })?;
    let found = parse(&text).map_err(|error| error.file(json).help(FORM))?;
    let marked = |(file, marks): (String, Vec<Mark>)| {
        let entry = Entry::on_disk(root, &format!("{images}/{file}"));
        Marked { entry, file: json.to_string(), marks, relative: false }
    };
    Ok(found.into_iter().map(marked).collect())
}

/// The pictures by their names, each with its objects, in the order of the file.
pub(super) fn parse(text: &[u8]) -> Result<Vec<(String, Vec<Mark>)>> {
    let fail = |code, message: String| DataError::new(code, message);
    let file: File = serde_json::from_slice(text).map_err(|error| {
        let shown = quoted(&error.to_string().chars().take(200).collect::<String>());
        fail("E0502", format!("this is not what COCO's JSON looks like: {shown}"))
    })?;
    let names: HashMap<i64, String> =
        file.categories.into_iter().map(|category| (category.id, category.name)).collect();
    let mut places = HashMap::new();
    let mut all: Vec<(String, Vec<Mark>)> = Vec::new();
    for image in file.images {
        if places.insert(image.id, all.len()).is_some() {
            return Err(fail("E0502", format!("two images have the id {}", image.id)));
        }
        all.push((image.file_name, Vec::new()));
    }
    for (at, note) in file.annotations.into_iter().enumerate() {
        let picture = places.get(&note.image_id).and_then(|at| all.get_mut(*at));
        let Some((_, marks)) = picture else {
            let message = format!("annotation {} is about the image {}, which is not there", at + 1, note.image_id);
            return Err(fail("E0502", message));
        };
        let Some(class) = names.get(&note.category_id) else {
            let message = format!("annotation {} is of the category {}, which is not there", at + 1, note.category_id);
            return Err(fail("E0507", message));
        };
        let [left, top, w, h] = note.bbox;
        let ignored = match note.iscrowd {
            Flag::Number(number) => number != 0.0,
            Flag::Bool(crowd) => crowd,
            Flag::Null => false,
        };
        marks.push(Mark { class: class.clone(), corners: [left, top, left + w, top + h], ignored });
    }
    Ok(all)
}
