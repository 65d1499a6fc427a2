//! Pascal VOC: `JPEGImages`, an XML file for each in `Annotations`, and lists of names in `ImageSets/Main`.

use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::{Mark, Marked, NOTES, assemble};
use crate::data::bytes::{Limits, open, resolve};
use crate::data::error::{At, DataError, Result, quoted};
use crate::data::pictures::{Entry, list};
use crate::data::raw::Raw;
use crate::data::spec::DataSpec;

/// What a file looks like.
const FORM: &str = "write `<annotation>` with an `<object>` for each: its `<name>`, and in `<bndbox>` `<xmin>`, `<ymin>`, `<xmax>`, `<ymax>`";

/// Elements within elements; VOC has four.
const DEEPEST: usize = 32;

pub fn voc(spec: &DataSpec, root: &Path, (path, skip): (&str, bool), limits: Limits) -> Result<Raw> {
    let pictures = list(root, &format!("{path}/JPEGImages"), limits)?;
    let has_parts = resolve(root, &format!("{path}/ImageSets/Main/train.txt")).is_file();
    if !has_parts {
        let all = pictures.into_iter().map(|entry| marked(root, path, entry)).collect::<Result<Vec<_>>>()?;
        return assemble(spec, (path, skip), (vec![all], false), limits);
    }
    let mut parts = Vec::new();
    for part in ["train", "val", "test"] {
        let file = format!("{path}/ImageSets/Main/{part}.txt");
        let mut found = Vec::new();
        if resolve(root, &file).is_file() {
            let text = open(root, &file)?.read_text(NOTES)?;
            for line in String::from_utf8_lossy(&text).lines() {
                // A list of one class has a number after each name.
                let Some(name) = line.split_whitespace().next() else { continue };
                let Some(entry) = pictures.iter().find(|entry| entry.stem() == name) else {
                    let message = format!("`{}` names the picture `{}`, which is not there", file, quoted(name));
                    return Err(DataError::new("E0501", message)
                        .file(&file)
                        .help("add the picture, or take the name out of the list"));
                };
                found.push(marked(root, path, entry.clone())?);
            }
        }
        parts.push(found);
    }
    assemble(spec, (path, skip), (parts, true), limits)
}

fn marked(root: &Path, path: &str, entry: Entry) -> Result<Marked> {
    let file = format!("{path}/Annotations/{}.xml", entry.stem());
    let text = open(root, &file)
        .and_then(|mut input| input.read_text(NOTES))
        .map_err(|error| error.note(format!("it says where the objects of `{}` are", entry.name)).help(FORM))?;
    let marks = parse(&text).map_err(|error| error.file(&file).help(FORM))?;
    Ok(Marked { entry, file, marks, relative: false })
}

/// One object on its way.
#[derive(Default)]
struct Open {
    name: Option<String>,
    /// `xmin`, `ymin`, `xmax`, `ymax`
    corners: [Option<f64>; 4],
    difficult: bool,
}

const CORNERS: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

pub(super) fn parse(text: &[u8]) -> Result<Vec<Mark>> {
    let text = String::from_utf8_lossy(text);
    let mut reader = Reader::from_str(&text);
    let mut path: Vec<String> = Vec::new();
    let (mut marks, mut open, mut held) = (Vec::new(), Open::default(), String::new());
    let mut whole = false;
    loop {
        let at = At::Byte(reader.buffer_position());
        let fail = |message: String| DataError::new("E0502", message).at(at.clone());
        let event = reader.read_event().map_err(|error| {
            let text: String = error.to_string().chars().take(200).collect();
            fail(format!("this is no XML: {}", quoted(&text)))
        })?;
        match event {
            Event::Start(start) => {
                path.push(start.name().as_ref().to_string());
                held.clear();
                if path.len() > DEEPEST {
                    return Err(fail(format!("elements lie within elements, more than {DEEPEST} deep")));
                }
            }
            Event::Text(text) => held += &text,
            Event::CData(text) => held += &text,
            Event::GeneralRef(named) => held.extend(character(&named)),
            Event::End(_) => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                match names[..] {
                    ["annotation", "object"] => {
                        let object = std::mem::take(&mut open);
                        marks.push(finished(object, marks.len() + 1).map_err(|error| error.at(at))?);
                    }
                    ["annotation"] => whole = true,
                    _ => take(&mut open, &names, held.trim()).map_err(|error| error.at(at))?,
                }
                path.pop();
                held.clear();
            }
            Event::Eof if whole && path.is_empty() => return Ok(marks),
            Event::Eof if path.is_empty() => return Err(fail("the file has no `annotation`".into())),
            Event::Eof => {
                return Err(fail(format!("the file ends within `{}`", quoted(path.last().map_or("", String::as_str)))));
            }
            _ => {}
        }
    }
}

fn character(named: &BytesRef<'_>) -> Option<char> {
    match named.resolve_char_ref() {
        Ok(Some(character)) => Some(character),
        _ => match &named[..] {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => None,
        },
    }
}

fn take(open: &mut Open, path: &[&str], text: &str) -> Result<()> {
    match path {
        ["annotation", "object", "name"] => open.name = Some(text.to_string()),
        ["annotation", "object", "difficult"] => open.difficult = text == "1",
        ["annotation", "object", "bndbox", side] => {
            let Some(at) = CORNERS.iter().position(|known| known == side) else { return Ok(()) };
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            let Some(number) = number else {
                let message = format!("`{side}` is `{}`, and a number is needed", quoted(text));
                return Err(DataError::new("E0506", message));
            };
            open.corners[at] = Some(number);
        }
        _ => {}
    }
    Ok(())
}

/// The first point is 1, and the last is inside.
fn finished(open: Open, number: usize) -> Result<Mark> {
    let missing = |what: &str| DataError::new("E0502", format!("object {number} has no `{what}`"));
    let class = open.name.filter(|name| !name.is_empty()).ok_or_else(|| missing("name"))?;
    let mut corners = [0.0; 4];
    for ((corner, held), name) in corners.iter_mut().zip(open.corners).zip(CORNERS) {
        *corner = held.ok_or_else(|| missing(name))?;
    }
    // Of one point it would be: a box whose sides meet was drawn by a slip of the hand.
    let empty = corners[0] >= corners[2] || corners[1] >= corners[3];
    if !empty {
        corners[0] -= 1.0;
        corners[1] -= 1.0;
    }
    Ok(Mark { class, corners, ignored: open.difficult })
}
