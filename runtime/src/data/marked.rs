//! Pictures with boxes around objects, in the three forms that people have: Pascal VOC, YOLO, COCO.

mod coco;
mod voc;
mod yolo;

#[cfg(test)]
mod tests;

pub use coco::coco;
pub use voc::voc;
pub use yolo::yolo;

use std::collections::HashMap;

use super::bytes::Limits;
use super::error::{DataError, Result, counted, quoted};
use super::objects::grid::{Grid, Told};
use super::objects::{Called, Object, Objects, area, clipped};
use super::pictures::{Entry, Placing, assembled, picture, size, steps, wanted};
use super::raw::{Raw, RawField, Values};
use super::spec::{DataSpec, FieldSpec, Selector};

/// The most bytes of what says where the objects of one picture are.
const NOTES: Limits = Limits { bytes: 16 << 20, pictures: 0, cache: None };

/// Files that a note lists.
const LISTED: usize = 8;

/// One box as a file has it.
#[derive(Clone, Debug, PartialEq)]
struct Mark {
    class: String,
    /// Left, top, right, bottom.
    corners: [f64; 4],
    ignored: bool,
}

/// One picture and its boxes.
struct Marked {
    entry: Entry,
    /// What the boxes were read from.
    file: String,
    marks: Vec<Mark>,
    /// The corners are shares of the picture's width and height.
    relative: bool,
}

type Broken = Vec<(usize, Box<DataError>)>;

/// Puts the fields of a source together. With `has_parts`, `parts` are those of the split.
fn assemble(
    spec: &DataSpec,
    (name, skip): (&str, bool),
    (parts, has_parts): (Vec<Vec<Marked>>, bool),
    limits: Limits,
) -> Result<Raw> {
    let counts = parts.iter().map(Vec::len).collect();
    let marked: Vec<Marked> = parts.into_iter().flatten().collect();
    let entries: Vec<Entry> = marked.iter().map(|marked| marked.entry.clone()).collect();
    let mut notes = Vec::new();
    let (mut fields, mut left) = (Vec::new(), limits);
    for field in &spec.fields {
        let made = match &field.from {
            Selector::Images => wanted(field, None, skip).fill(&entries, left).map(picture),
            Selector::Boxes => boxes(field, &marked, (skip, limits), &mut notes),
            Selector::Grid(grid) => Ok((on_grid(grid), vec![])),
            _ => Err(DataError::new("E0502", format!("`{name}` has `images` and `boxes`, no columns"))),
        };
        let made = made.map_err(|error| error.field(field.place))?;
        left = left.after(made.0.held());
        fields.push(made);
    }
    let mut raw = assembled(name, fields, counts, has_parts);
    raw.notes.extend(notes);
    Ok(raw)
}

/// What is made of another field has nothing of its own to read.
pub fn on_grid(grid: &Grid) -> RawField {
    let mut shape = vec![grid.rows, grid.columns];
    shape.extend((grid.told == Told::Place).then_some(4));
    RawField { shape, values: Values::none(), columns: Vec::new() }
}

/// The boxes of all pictures, where the steps of their field put them.
fn boxes(
    field: &FieldSpec,
    marked: &[Marked],
    (skip, limits): (bool, Limits),
    notes: &mut Vec<String>,
) -> Result<(RawField, Broken)> {
    let steps = steps(field);
    let (mut objects, mut broken) = (Objects::default(), Vec::new());
    let mut classes = Classes::default();
    let (mut empty, mut outside, mut cut) = (Left::default(), Left::default(), Left::default());
    for (at, marked) in marked.iter().enumerate() {
        let bytes = marked.entry.bytes(limits);
        let (h, w) = match bytes.and_then(|bytes| size(&marked.entry.name, &bytes)) {
            Ok(size) => size,
            Err(error) if skip => {
                broken.push((at, error));
                objects.push([], [1.0, 1.0]);
                continue;
            }
            Err(error) => return Err(error),
        };
        let placing = Placing::new(&steps, (h, w));
        let whole = [h as f64, w as f64];
        let mut kept = Vec::new();
        for mark in &marked.marks {
            let corners = if marked.relative { scaled(mark.corners, whole) } else { mark.corners };
            if corners.iter().any(|corner| !corner.is_finite()) {
                let message = format!("a box of `{}` has a corner that is no finite number", quoted(&mark.class));
                return Err(DataError::new("E0506", message).file(&marked.file).help("mend the box, or take it out"));
            }
            let inside = clipped(corners, whole);
            match (area(&corners) > 0.0, area(&inside) > 0.0) {
                (false, _) => empty.add(&marked.file),
                (true, false) => outside.add(&marked.file),
                (true, true) => {
                    // Half a point is what rounding does.
                    if corners.iter().zip(inside).any(|(a, b)| (a - b).abs() > 0.5 + 1e-6) {
                        cut.add(&marked.file);
                    }
                    let corners = clipped(placing.place(inside), placing.size);
                    let class = classes.index(&mark.class, &marked.file);
                    if area(&corners) > 0.0 {
                        kept.push(Object { class, corners, ignored: mark.ignored });
                    }
                }
            }
        }
        objects.push(kept, placing.size);
    }
    notes.extend(empty.note("left out", "of no area"));
    notes.extend(outside.note("left out", "outside of the picture"));
    notes.extend(cut.note("cut off", "that reaches out of the picture"));
    Ok((RawField { shape: vec![], values: Values::Boxes(objects, classes.names), columns: Vec::new() }, broken))
}

fn scaled(corners: [f64; 4], [h, w]: [f64; 2]) -> [f64; 4] {
    [corners[0] * w, corners[1] * h, corners[2] * w, corners[3] * h]
}

/// Names of classes as they come.
#[derive(Default)]
struct Classes {
    names: Vec<Called>,
    known: HashMap<String, u32>,
}

impl Classes {
    fn index(&mut self, name: &str, file: &str) -> u32 {
        if let Some(index) = self.known.get(name) {
            return *index;
        }
        let index = self.names.len() as u32;
        self.names.push(Called { name: name.to_string(), file: file.to_string() });
        self.known.insert(name.to_string(), index);
        index
    }
}

/// Boxes that were not taken as they stand, and the first files that have some.
#[derive(Default)]
struct Left {
    count: usize,
    files: Vec<String>,
}

impl Left {
    fn add(&mut self, file: &str) {
        self.count += 1;
        if self.files.len() < LISTED && self.files.last().is_none_or(|last| last != file) {
            self.files.push(file.to_string());
        }
    }

    fn note(self, done: &str, what: &str) -> Option<String> {
        let files = self.files.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ");
        let boxes = if self.count == 1 { "1 box".into() } else { counted(self.count, "box").replace("boxs", "boxes") };
        (self.count > 0).then(|| format!("note: {done} {boxes} {what}: {files}"))
    }
}

/// Where `{part}` of a path may stand for a part of the split.
const PART: &str = "{part}";

fn parts_of(path: &str, more: &str) -> Option<[(String, String); 3]> {
    let of = |part: &str| (path.replace(PART, part), more.replace(PART, part));
    (path.contains(PART) || more.contains(PART)).then(|| ["train", "val", "test"].map(of))
}
