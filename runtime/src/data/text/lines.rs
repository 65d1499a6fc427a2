//! Texts in files, one example a line or one a document, as cells of a table that has no numbers.

use std::path::Path;

use super::read;
use crate::data::bytes::{Limits, PATH_HELP, resolve};
use crate::data::csv::clipped;
use crate::data::error::{At, DataError, Result, counted, grouped};
use crate::data::raw::{Raw, RawField, Values, Words, WordsBuilder};
use crate::data::spec::{ColumnRef, DataSpec, FieldSpec, Lines, Selector, Source};

/// Columns of texts by their names, all equally long.
struct Columns {
    names: Vec<String>,
    columns: Vec<Words>,
    files: Option<[usize; 3]>,
}

/// Lines of one file, of a file for each class, or of files whose lines belong together.
pub fn lines(spec: &DataSpec, lines: &Lines, root: &Path, limits: Limits) -> Result<Raw> {
    let named = |field: &FieldSpec| match &field.from {
        Selector::Named(name) => lines.files.iter().any(|(file, _)| file == name),
        _ => false,
    };
    let columns = match spec.fields.iter().any(named) {
        true => side_by_side(lines, root, limits)?,
        false => one_after_the_other(lines, root, limits)?,
    };
    // Any of them may be to blame for what is found later.
    let name = lines.files.iter().map(|(_, path)| path.as_str()).collect::<Vec<_>>().join(", ");
    chosen(&spec.fields, &name, columns)
}

/// The files of each part, with `{part}` replaced by its name; all in one where the paths name no part. Where the program
/// names no parts, they are called as in a split, and validation and test may not be there.
fn parts(lines: &Lines, root: &Path) -> Vec<(usize, Option<String>)> {
    if !lines.files.iter().any(|(_, path)| path.contains("{part}")) {
        return vec![(0, None)];
    }
    if lines.parts.iter().any(Option::is_some) {
        return lines.parts.iter().cloned().enumerate().filter(|(_, part)| part.is_some()).collect();
    }
    let is_there = |part: &String| {
        let mut paths = lines.files.iter().filter(|(_, path)| path.contains("{part}"));
        paths.any(|(_, path)| resolve(root, &path_of(path, Some(part))).exists())
    };
    let named = ["train", "val", "test"].map(String::from).into_iter().enumerate();
    named.filter(|(at, part)| *at == 0 || is_there(part)).map(|(at, part)| (at, Some(part))).collect()
}

fn path_of(path: &str, part: Option<&String>) -> String {
    part.map_or_else(|| path.to_string(), |part| path.replace("{part}", part))
}

fn side_by_side(lines: &Lines, root: &Path, limits: Limits) -> Result<Columns> {
    let mut all: Vec<WordsBuilder> = lines.files.iter().map(|_| WordsBuilder::default()).collect();
    let mut counts = [0; 3];
    for (at, part) in parts(lines, root) {
        let mut first: Option<(String, usize)> = None;
        for ((_, path), into) in lines.files.iter().zip(&mut all) {
            let path = path_of(path, part.as_ref());
            let count = push_lines(&path, lines, root, limits, into)?;
            match &first {
                None => first = Some((path, count)),
                Some((other, known)) if *known != count => {
                    let message =
                        format!("`{path}` has {}, and `{other}` has {}", counted(count, "line"), grouped(*known));
                    return Err(DataError::new("E0502", message)
                        .file(path)
                        .note("lines of parallel files belong together: the first of each, the second, and so on")
                        .help("fetch the files again; an empty line stands for a sentence that is not there"));
                }
                Some(_) => {}
            }
        }
        counts[at] = first.map_or(0, |(_, count)| count);
    }
    let files = lines.files.iter().any(|(_, path)| path.contains("{part}")).then_some(counts);
    let names = lines.files.iter().map(|(name, _)| name.clone()).collect();
    Ok(Columns { names, columns: all.into_iter().map(WordsBuilder::finish).collect(), files })
}

fn one_after_the_other(lines: &Lines, root: &Path, limits: Limits) -> Result<Columns> {
    let (mut line, mut file) = (WordsBuilder::default(), WordsBuilder::default());
    let mut counts = [0; 3];
    for (at, part) in parts(lines, root) {
        for (name, path) in &lines.files {
            let path = path_of(path, part.as_ref());
            let count = push_lines(&path, lines, root, limits, &mut line)?;
            (0..count).for_each(|_| file.push(Some(name.as_bytes())));
            counts[at] += count;
        }
    }
    let files = lines.files.iter().any(|(_, path)| path.contains("{part}")).then_some(counts);
    let names = vec!["line".to_string(), "file".to_string()];
    Ok(Columns { names, columns: vec![line.finish(), file.finish()], files })
}

/// Lines end at `\n` or `\r\n` alone: other encodings have letters where Unicode has ends of lines.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    let whole = text.strip_suffix('\n').unwrap_or(text);
    whole.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

fn push_lines(path: &str, lines: &Lines, root: &Path, limits: Limits, into: &mut WordsBuilder) -> Result<usize> {
    let text = read(root, path, lines.encoding, limits)?;
    let mut count = 0;
    for line in split(&text) {
        into.push(Some(line.as_bytes()));
        count += 1;
    }
    Ok(count)
}

/// One document a file, in a folder for each class.
pub fn documents(spec: &DataSpec, (path, lines): (&str, &Lines), root: &Path, limits: Limits) -> Result<Raw> {
    let (mut text, mut folder) = (WordsBuilder::default(), WordsBuilder::default());
    let source = Lines { files: vec![(String::new(), path.to_string())], ..lines.clone() };
    let mut counts = [0; 3];
    for (at, part) in parts(&source, root) {
        let path = path_of(path, part.as_ref());
        for class in entries(root, &path, true)? {
            let inside = format!("{}/{class}", path.trim_end_matches('/'));
            for file in entries(root, &inside, false)? {
                let name = format!("{inside}/{file}");
                let whole = super::read_any(root, &name, lines.encoding, limits)?;
                text.push(Some(whole.as_bytes()));
                folder.push(Some(class.as_bytes()));
                counts[at] += 1;
            }
        }
    }
    if counts.iter().sum::<usize>() == 0 {
        let message = format!("`{path}` holds no documents");
        return Err(DataError::new("E0502", message)
            .file(path)
            .help("it has a folder for each class, and in each of them one file for each text"));
    }
    let files = path.contains("{part}").then_some(counts);
    let names = vec!["files".to_string(), "folder".to_string()];
    chosen(&spec.fields, path, Columns { names, columns: vec![text.finish(), folder.finish()], files })
}

/// Names in a folder, sorted by bytes, without hidden ones: folders or regular files.
fn entries(root: &Path, path: &str, folders: bool) -> Result<Vec<String>> {
    let fail = |error: std::io::Error| {
        DataError::new("E0501", format!("the folder `{path}` cannot be read: {error}")).file(path)
    };
    let there = resolve(root, path);
    if !there.is_dir() {
        let message = match there.exists() {
            true => format!("`{path}` is a file, and a folder is needed"),
            false => format!("there is no folder `{path}`"),
        };
        return Err(DataError::new("E0501", message).file(path).help(PATH_HELP));
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(there).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_dir = entry.path().is_dir();
        if is_dir == folders && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// One JSON object a line: its texts and numbers by name.
pub fn objects(fields: &[FieldSpec], path: &str, whole: &str) -> Result<Raw> {
    let wanted: Vec<String> = fields.iter().flat_map(keys).collect();
    let mut builders: Vec<WordsBuilder> = wanted.iter().map(|_| WordsBuilder::default()).collect();
    for (at, line) in split(whole).enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fail = |message: String, column: usize| {
            let cell = clipped(line.as_bytes(), (column.saturating_sub(1), column), at + 1, column);
            DataError::new("E0502", format!("line {} {message}", grouped(at + 1))).file(path).at(At::Cell(cell))
        };
        let object = object(line).map_err(|(why, column)| {
            let array = line.trim_start().starts_with('[');
            fail(format!("is not a JSON object: {why}"), column).help(match array {
                true => "each line is one object; a list of them becomes that by `jq -c '.[]' FILE`",
                false => "each line is one object, such as `{\"text\": \"...\"}`",
            })
        })?;
        for (key, into) in wanted.iter().zip(&mut builders) {
            let value = object.get(key).ok_or_else(|| {
                let names = object.keys().take(20).map(|key| format!("`{key}`")).collect::<Vec<_>>();
                fail(format!("has no `{key}`"), 1).help(match names.is_empty() {
                    true => "it has no names at all".to_string(),
                    false => format!("its names are {}", names.join(", ")),
                })
            })?;
            match value {
                serde_json::Value::Null => into.push(None),
                serde_json::Value::String(text) => into.push(Some(text.as_bytes())),
                serde_json::Value::Number(_) | serde_json::Value::Bool(_) => {
                    into.push(Some(value.to_string().as_bytes()))
                }
                _ => {
                    let error = fail(format!("has no text and no number in `{key}`"), 1);
                    return Err(error.help("lists and objects are not read: write the text itself"));
                }
            }
        }
    }
    let columns = builders.into_iter().map(WordsBuilder::finish).collect();
    chosen(fields, path, Columns { names: wanted, columns, files: None })
}

/// One object; or why a line is none, and in which of its bytes that shows, from 1.
fn object(line: &str) -> std::result::Result<serde_json::Map<String, serde_json::Value>, (String, usize)> {
    match serde_json::from_str(line) {
        Ok(serde_json::Value::Object(object)) => Ok(object),
        Ok(serde_json::Value::Array(_)) => Err(("it is a list".to_string(), 1)),
        Ok(_) => Err(("it is one value".to_string(), 1)),
        Err(error) => {
            // Its place counts lines of this one.
            let text = error.to_string();
            let why = text.split(" at line ").next().unwrap_or_default().to_string();
            Err((why, error.column().clamp(1, line.len().max(1))))
        }
    }
}

/// The names that a field reads of each object.
fn keys(field: &FieldSpec) -> Vec<String> {
    let name = |column: &ColumnRef| match column {
        ColumnRef::Named(name) => name.clone(),
        ColumnRef::At(at) => at.to_string(),
    };
    match &field.from {
        Selector::Column(column) => vec![name(column)],
        Selector::Columns(columns) => columns.iter().map(name).collect(),
        Selector::Named(name) => vec![name.clone()],
        Selector::Folder => vec!["folder".to_string()],
        _ => vec![],
    }
}

/// What each field reads.
fn chosen(specs: &[FieldSpec], name: &str, columns: Columns) -> Result<Raw> {
    let count = columns.columns.first().map_or(0, |column| column.cells.len());
    if count == 0 {
        return Err(DataError::new("E0502", format!("`{name}` has no lines")).file(name));
    }
    let mut fields = Vec::new();
    for field in specs {
        let found: Option<Vec<&Words>> = (keys(field).iter())
            .map(|key| columns.columns.get(columns.names.iter().position(|name| name == key)?))
            .collect();
        let found = found.filter(|found| !found.is_empty()).ok_or_else(|| {
            let names: Vec<String> = columns.names.iter().map(|name| format!("`{name}`")).collect();
            DataError::new("E0502", format!("`{}` reads what this source does not have", field.name))
                .file(name)
                .field(field.place)
                .help(format!("it has {}", names.join(" and ")))
        })?;
        let is_column = !matches!(field.from, Selector::Columns(_));
        let shape = if is_column { vec![] } else { vec![found.len()] };
        let values = match crate::data::raw::wants_words(field) {
            true => Values::Words(side(&found, count)),
            false => Values::Numbers(numbers(field, name, &found)?),
        };
        fields.push(RawField { shape, values, columns: vec![] });
    }
    let (files, name) = (columns.files, name.to_string());
    Ok(Raw { count, fields, official: None, files, groups: None, table: None, name, notes: vec![] })
}

/// Cells as words, row after row.
fn side(columns: &[&Words], rows: usize) -> Words {
    if let [column] = columns {
        return (*column).clone();
    }
    let mut all = WordsBuilder::default();
    for row in 0..rows {
        for column in columns {
            all.push(column.cells[row].map(|cell| column.names[cell as usize].as_bytes()));
        }
    }
    all.finish()
}

/// Cells as numbers, row after row.
fn numbers(field: &FieldSpec, name: &str, columns: &[&Words]) -> Result<crate::data::array::Numbers> {
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let mut out = Vec::with_capacity(rows * columns.len());
    for row in 0..rows {
        for column in columns {
            let Some(cell) = column.cells[row] else {
                out.push(f32::NAN);
                continue;
            };
            let text = &column.names[cell as usize];
            let number = text.trim().parse::<f32>().ok().filter(|number| number.is_finite());
            out.push(number.ok_or_else(|| {
                let text = crate::data::error::quoted(text);
                DataError::new("E0506", format!("`{text}` is not a number"))
                    .file(name)
                    .field(field.place)
                    .note(format!("example {}, read by field `{}`", grouped(row + 1), field.name))
            })?);
        }
    }
    Ok(crate::data::array::Numbers::F32(out))
}

/// Reads a source of texts.
pub fn source(spec: &DataSpec, root: &Path, limits: Limits) -> Option<Result<Raw>> {
    match &spec.source {
        Source::Lines(of) => Some(lines(spec, of, root, limits)),
        Source::Documents { path, lines } => Some(documents(spec, (path, lines), root, limits)),
        Source::Jsonl { path, encoding } => {
            Some(read(root, path, *encoding, limits).and_then(|whole| objects(&spec.fields, path, &whole)))
        }
        _ => None,
    }
}
