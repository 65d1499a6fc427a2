//! YOLO: `images`, and beside it `labels` with a text for each: `class x y w h`, the middle and the size as shares.

use std::path::Path;

use super::{Mark, Marked, NOTES, assemble};
use crate::data::bytes::{Limits, open, resolve};
use crate::data::error::{DataError, Result, counted, quoted};
use crate::data::pictures::{Entry, list};
use crate::data::raw::Raw;
use crate::data::spec::DataSpec;

/// What a line looks like.
const FORM: &str = "write a line for each object: `class x y w h`, the class as its number from 0, the others as shares of the picture";

pub fn yolo(spec: &DataSpec, root: &Path, (path, skip): (&str, bool), limits: Limits) -> Result<Raw> {
    let names = names(root, path)?;
    let is_dir = |path: &str| resolve(root, path).is_dir();
    let below = |part: &str| (format!("{path}/images/{part}"), format!("{path}/labels/{part}"));
    let above = |part: &str| (format!("{path}/{part}/images"), format!("{path}/{part}/labels"));
    let parted = is_dir(&below("train").0);
    let has_parts = parted || (is_dir(&above("train").0) && !is_dir(&format!("{path}/images")));
    if !has_parts {
        let folders = (format!("{path}/images"), format!("{path}/labels"));
        return assemble(spec, (path, skip), (vec![part(root, &folders, &names, limits)?], false), limits);
    }
    let mut parts = Vec::new();
    for called in [&["train"][..], &["val", "valid"], &["test"]] {
        let folders = called.iter().map(|part| if parted { below(part) } else { above(part) });
        let found = folders.into_iter().find(|(images, _)| is_dir(images));
        parts.push(found.map_or(Ok(vec![]), |folders| part(root, &folders, &names, limits))?);
    }
    assemble(spec, (path, skip), (parts, true), limits)
}

fn part(root: &Path, (images, labels): &(String, String), names: &[String], limits: Limits) -> Result<Vec<Marked>> {
    let marked = |entry: Entry| {
        let file = format!("{labels}/{}.txt", entry.stem());
        // No file, no objects.
        let marks = match resolve(root, &file).exists() {
            true => {
                let text = open(root, &file)?.read_text(NOTES)?;
                parse(&String::from_utf8_lossy(&text), names).map_err(|error| error.file(&file).help(FORM))?
            }
            false => Vec::new(),
        };
        Ok(Marked { entry, file, marks, relative: true })
    };
    list(root, images, limits)?.into_iter().map(marked).collect()
}

pub(super) fn parse(text: &str, names: &[String]) -> Result<Vec<Mark>> {
    let mut marks = Vec::new();
    for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let fail = |code, message: String| Err(DataError::new(code, format!("line {}: {message}", line + 1)));
        let cells: Vec<&str> = text.split_whitespace().collect();
        let [class, place @ ..] = &cells[..] else { continue };
        if place.len() != 4 {
            let message = format!("{}, and `class x y w h` are needed", counted(cells.len(), "cell"));
            return fail("E0502", message);
        }
        let mut numbers = [0.0; 4];
        for (number, cell) in numbers.iter_mut().zip(place) {
            match cell.parse::<f64>().ok().filter(|number| number.is_finite()) {
                Some(found) => *number = found,
                None => return fail("E0506", format!("`{}` is not a number", quoted(cell))),
            }
        }
        let Ok(class) = class.parse::<usize>() else {
            return fail("E0507", format!("`{}` is not the number of a class", quoted(class)));
        };
        let class = match names.get(class) {
            Some(name) => name.clone(),
            None if names.is_empty() => class.to_string(),
            None => {
                let message = format!("line {}: class {class} has no name: there are {}", line + 1, names.len());
                return Err(DataError::new("E0507", message).help("name it in `data.yaml` or `classes.txt`"));
            }
        };
        let [x, y, w, h] = numbers;
        let corners = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
        marks.push(Mark { class, corners, ignored: false });
    }
    Ok(marks)
}

/// The names of the classes in `data.yaml` or `classes.txt`; none where there is no such file.
fn names(root: &Path, path: &str) -> Result<Vec<String>> {
    let read = |file: &str| -> Result<Option<String>> {
        match resolve(root, file).is_file() {
            true => Ok(Some(String::from_utf8_lossy(&open(root, file)?.read_text(NOTES)?).into_owned())),
            false => Ok(None),
        }
    };
    for file in ["data.yaml", "data.yml"].map(|file| format!("{path}/{file}")) {
        if let Some(text) = read(&file)? {
            return of_yaml(&text).ok_or_else(|| {
                let help = "write `names: [cat, dog]`, or a line for each";
                DataError::new("E0502", format!("`{file}` has no `names` that can be read")).file(&file).help(help)
            });
        }
    }
    let lines = read(&format!("{path}/classes.txt"))?.unwrap_or_default();
    Ok(lines.lines().map(|line| line.trim().to_string()).filter(|line| !line.is_empty()).collect())
}

/// `names: [a, b]`, or below it `- a` or `0: a`.
pub(super) fn of_yaml(text: &str) -> Option<Vec<String>> {
    let plain = |name: &str| {
        let name = name.trim();
        let inner = |quote: char| name.strip_prefix(quote).and_then(|name| name.strip_suffix(quote));
        inner('"').or(inner('\'')).unwrap_or(name).to_string()
    };
    let uncommented = |line: &str| line.split(" #").next().unwrap_or_default().trim_end().to_string();
    let mut lines = text.lines().map(uncommented).skip_while(|line| !line.starts_with("names:"));
    let mut first = lines.next()?.trim_start_matches("names:").trim().to_string();
    if first.starts_with('[') {
        while !first.ends_with(']') {
            first += lines.next()?.trim();
        }
        let inner = first.trim_start_matches('[').trim_end_matches(']');
        return Some(inner.split(',').map(plain).filter(|name| !name.is_empty()).collect());
    }
    let mut names = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let item = line.trim();
        let listed = item.strip_prefix("- ").map(plain);
        let keyed = || item.split_once(':').filter(|(key, _)| key.trim().parse() == Ok(names.len()));
        match listed.or_else(|| keyed().map(|(_, name)| plain(name))) {
            Some(name) => names.push(name),
            None => break,
        }
    }
    (!names.is_empty()).then_some(names)
}
