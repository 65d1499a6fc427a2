//! New examples out of files: tables, arrays, pictures.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{mapping, texts};
use crate::data::array::Array;
use crate::data::bytes::{Input, Limits, from_reader, open};
use crate::data::csv::{Dialect, Separator, Table, number};
use crate::data::dataset::Dataset;
use crate::data::error::{DataError, Result};
use crate::data::preprocessing::{Prepared, Preprocessing};
use crate::data::raw::{Raw, RawField, Values};
use crate::data::spec::{AxisSpec, ColumnRef, FieldSpec, Selector};
use crate::data::steps::Axis;
use crate::data::{idx, npy, pictures, table};

/// Where examples come from.
pub enum Format<'a> {
    /// `.csv` and its like, `.npy`, `.npz`, IDX pictures; any of them gzipped but npz.
    File(&'a Path),
    /// A table on standard input.
    Stream(Box<dyn Read>),
}

/// Reads the named fields of all examples and prepares them as in training.
pub fn read(preprocessing: &Preprocessing, wanted: &[String], from: Format<'_>, limits: Limits) -> Result<Dataset> {
    let prepared = wanted.iter().map(|name| preprocessing.made(name)).collect::<Result<Vec<_>>>()?;
    let (name, raw) = match from {
        Format::Stream(reader) => {
            let input = from_reader("standard input", reader, u64::MAX)?;
            (input.name.clone(), from_text(preprocessing, &prepared, input, limits)?)
        }
        Format::File(path) if is_pipe(path) => {
            let name = path.display().to_string();
            let file = File::open(path)
                .map_err(|error| DataError::new("E0501", format!("`{name}` cannot be read: {error}")).file(&name))?;
            let input = from_reader(&name, file, u64::MAX)?;
            (name, from_text(preprocessing, &prepared, input, limits)?)
        }
        Format::File(path) => {
            let name = path.display().to_string();
            let raw = from_file(preprocessing, &prepared, &name, limits)?;
            (name, raw)
        }
    };
    let mut raw = raw;
    let placings = match &prepared[..] {
        [field] if pictures::is_picture(&name) => vec![pictures::placed(&name, &field.picture, limits)?],
        _ => vec![],
    };
    let mut made = Vec::new();
    let mut count = usize::MAX;
    for (at, field) in prepared.into_iter().enumerate() {
        let (field, examples) = texts::store(&mut raw, at, field).map_err(|error| error.file(&name))?;
        count = count.min(examples);
        made.push(field);
    }
    // Without a field every row is an example.
    let count = if count == usize::MAX { raw.count } else { count };
    let mut data = Dataset::of_fields(name, count, made);
    data.notes = raw.notes;
    data.placings = placings;
    Ok(data)
}

fn from_file(preprocessing: &Preprocessing, prepared: &[&Prepared], name: &str, limits: Limits) -> Result<Raw> {
    let root = Path::new("");
    let ends = |ending: &str| name.to_ascii_lowercase().trim_end_matches(".gz").ends_with(ending);
    if ends(".npz") {
        let mut archive = npy::Archive::open(root, name)?;
        let arrays = prepared.iter().map(|field| archive.read(&field.name, limits));
        return from_arrays(prepared, name, arrays.collect::<Result<_>>()?);
    }
    if pictures::is_picture(name) {
        return from_picture(prepared, name, limits);
    }
    let input = open(root, name)?;
    if ends(".npy") {
        return from_array(preprocessing, prepared, name, npy::read(input, limits)?);
    }
    if ends("-ubyte") || ends(".idx") {
        return from_array(preprocessing, prepared, name, idx::read(input, limits)?);
    }
    from_text(preprocessing, prepared, input, limits)
}

/// One picture: the only field that is read.
fn from_picture(prepared: &[&Prepared], name: &str, limits: Limits) -> Result<Raw> {
    let drawn = |from: &Selector| matches!(from, Selector::Images | Selector::Picture(_));
    let [field] = prepared else {
        let message = format!("`{name}` is a picture, and the model reads {} fields", prepared.len());
        return Err(DataError::new("E0902", message).file(name));
    };
    if !drawn(&field.from) || !(2..=3).contains(&field.axes.len()) {
        let message = format!("`{name}` is a picture, and the model reads no pictures");
        return Err(DataError::new("E0902", message).file(name));
    }
    let axis = |axis: &Axis| AxisSpec { name: axis.name.clone(), size: Some(axis.size), most: None };
    let wanted = pictures::Wanted {
        field: field.name.clone(),
        shape: field.axes.iter().map(axis).collect(),
        steps: field.picture.clone(),
        classes: None,
        skip_broken: false,
    };
    let fields = vec![pictures::single(name, &wanted, limits)?];
    let (name, notes) = (name.to_string(), vec![]);
    Ok(Raw { count: 1, fields, official: None, files: None, groups: None, table: None, name, notes })
}

/// What a shell makes of `<(command)`: read once, from its beginning, as standard input is.
fn is_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        path.metadata().is_ok_and(|meta| meta.file_type().is_fifo())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

fn from_text(
    preprocessing: &Preprocessing,
    prepared: &[&Prepared],
    mut input: Input<'_>,
    limits: Limits,
) -> Result<Raw> {
    if texts::are_lines(preprocessing, prepared) {
        return texts::from_lines(prepared, input, limits);
    }
    let text = input.read_text(limits).map_err(|error| {
        error.help("examples come as a table of text, as `.npy` or `.npz`, or as IDX (`...-ubyte`)")
    })?;
    from_table(preprocessing, prepared, &input.name, text)
}

/// A whole table, whose first lines may be titles or what the training file began with.
fn from_table(preprocessing: &Preprocessing, prepared: &[&Prepared], name: &str, text: Vec<u8>) -> Result<Raw> {
    let format = preprocessing.table.as_ref();
    let decimal = format.map_or('.', |format| format.decimal);
    let separator = prepared.iter().any(|field| field.text.is_some()).then(|| of_texts(&text));
    let dialect = |skip| Dialect {
        header: false,
        skip,
        separator,
        missing: format.map(|format| format.missing.clone()).unwrap_or_default(),
        decimal,
        texts: separator.is_some(),
    };
    let most = format.map_or(0, |format| format.skip) + 1;
    // Enough to see where the data begins, cut at a line's end; rows may be long.
    let line_ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let lines = line_ends.take(most + 1).last().unwrap_or(text.len());
    let some = text.get(..lines.max(1 << 16)).unwrap_or(&text);
    let cut = some.iter().rposition(|byte| *byte == b'\n').filter(|_| some.len() < text.len());
    let some = some.get(..cut.map_or(some.len(), |at| at + 1)).unwrap_or(some);
    // Titles of the training table are titles again, even if they are numbers.
    let header = format.map_or(&[][..], |format| &format.header);
    let known = (1..=most).find(|skip| {
        let titles = titles(some, *skip);
        let of_texts = format.is_some_and(|format| mapping::are_titles(prepared, format, &titles));
        !header.is_empty() && (titles == header || of_texts)
    });
    for skip in known.unwrap_or(0)..=most {
        let trial = Table::from_text(name.to_string(), some.to_vec(), dialect(skip));
        let titles = titles(some, skip);
        let found = trial.and_then(|trial| {
            let columns = mapping::columns(prepared, format, &trial, &titles)?;
            let mut rows = trial.rows();
            let first = rows.next()?.map(|row| mapping::reads_as_data(prepared, &columns, &trial, row));
            Ok(first.unwrap_or(false).then_some((columns, trial.separator, trial.columns)))
        });
        if let Ok(Some((columns, separator, width))) = found {
            let passed = if known == Some(skip) { 0 } else { skip };
            let trained = |line| line < most && !is_mostly_data(some, line, (separator, width), decimal);
            let is_titles = |line| !numbers(some, line, separator, decimal).contains(&true);
            if !(1..=passed).all(|line| trained(line) || is_titles(line)) {
                break;
            }
            let table = Table::from_text(name.to_string(), text, dialect(skip))?;
            return of_columns(prepared, columns, table);
        }
    }
    // No line reads as data: the message about the first of them says why.
    let table = Table::from_text(name.to_string(), text, dialect(0))?;
    if table.rows == 1 && only_words(prepared, &table)? {
        let message = format!("`{name}` has no rows: its only line holds no number");
        return Err(DataError::new("E0502", message)
            .file(name)
            .help("write the examples below the titles, one a line"));
    }
    let columns = mapping::columns(prepared, format, &table, &[])?;
    of_columns(prepared, columns, table)
}

/// What separates texts, by the first line: never spaces, which stand between words.
fn of_texts(text: &[u8]) -> char {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |separator: &char| line.iter().filter(|byte| char::from(**byte) == *separator).count();
    let found = ['\t', ';', ','].into_iter().filter(|separator| count(separator) > 0).max_by_key(count);
    found.unwrap_or(',')
}

/// Whether the first row has no number, and numbers are read.
fn only_words(prepared: &[&Prepared], table: &Table) -> Result<bool> {
    let reads_numbers = prepared.iter().any(|field| field.dim.is_none() && field.one_hot.is_none());
    let mut rows = table.rows();
    let words = rows.next()?.is_some_and(|row| row.iter().all(|cell| table.number(cell).is_none()));
    Ok(reads_numbers && words)
}

/// Whether a line that the training table may have begun with is an example with a mistake: as wide, and most of it numbers.
fn is_mostly_data(text: &[u8], line: usize, (separator, width): (Separator, usize), decimal: char) -> bool {
    let numbers = numbers(text, line, separator, decimal);
    numbers.len() >= width && numbers.iter().filter(|is_number| **is_number).count() * 2 > numbers.len()
}

/// Which cells of a line, from 1, are numbers.
fn numbers(text: &[u8], line: usize, separator: Separator, decimal: char) -> Vec<bool> {
    let line = text.split(|byte| *byte == b'\n').nth(line - 1).unwrap_or_default().trim_ascii();
    let cells: Vec<&[u8]> = match separator {
        Separator::Byte(separator) => line.split(|byte| *byte == separator).collect(),
        Separator::Spaces => line.split(u8::is_ascii_whitespace).filter(|cell| !cell.is_empty()).collect(),
    };
    cells.into_iter().map(|cell| number(cell.trim_ascii(), decimal).is_some()).collect()
}

/// The cells of the line before the data.
fn titles(text: &[u8], skip: usize) -> Vec<String> {
    let line = match skip.checked_sub(1) {
        Some(line) => text.split(|byte| *byte == b'\n').nth(line).unwrap_or_default(),
        None => return Vec::new(),
    };
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let dialect = Dialect { header: true, skip: 0, separator: None, missing: vec![], decimal: '.', texts: false };
    let twice = [line, b"\n", line].concat();
    let table = Table::from_text(String::new(), twice, dialect);
    table.map(|table| table.header).unwrap_or_default()
}

fn of_columns(prepared: &[&Prepared], columns: mapping::Columns, table: Table) -> Result<Raw> {
    let spec = |(field, columns): (&&Prepared, Vec<usize>)| FieldSpec {
        name: field.name.clone(),
        place: (0, 0),
        dim: field.dim.clone().or_else(|| field.one_hot.clone()),
        shape: Vec::new(),
        from: Selector::Columns(columns.into_iter().map(ColumnRef::At).collect()),
        steps: Vec::new(),
    };
    let specs: Vec<FieldSpec> = prepared.iter().zip(columns).map(spec).collect();
    let (fields, _) = table::read_fields(&table, &specs, None).map_err(|mut error| {
        // The help is for whoever writes the program.
        (error.field, error.help) = (None, None);
        match error.code {
            "E0502" => error.help("save the file as UTF-8, such as by `iconv -f latin1 -t utf-8 FILE`"),
            _ => error,
        }
    })?;
    let (count, name) = (table.rows, table.name.clone());
    Ok(Raw { count, fields, official: None, files: None, groups: None, table: Some(table), name, notes: vec![] })
}

/// One array: the only field, or a table of numbers.
fn from_array(preprocessing: &Preprocessing, prepared: &[&Prepared], name: &str, array: Array) -> Result<Raw> {
    if let [_] = prepared {
        return from_arrays(prepared, name, vec![array]);
    }
    let [rows, width] = array.shape[..] else {
        let message = format!("`{name}` is one array, and the model reads {} fields", prepared.len());
        return Err(DataError::new("E0902", message)
            .file(name)
            .help("give an `.npz` with one array per field, named like it"));
    };
    let mut text = String::new();
    for row in 0..rows {
        let cells = (0..width).map(|column| array.numbers.get(row * width + column).to_string());
        text += &cells.collect::<Vec<_>>().join(",");
        text.push('\n');
    }
    from_table(preprocessing, prepared, name, text.into_bytes())
}

/// One array per field; the first axis counts examples, or is missing for a single one.
fn from_arrays(prepared: &[&Prepared], name: &str, arrays: Vec<Array>) -> Result<Raw> {
    let mut count = None;
    let mut fields = Vec::new();
    for (field, array) in prepared.iter().zip(arrays) {
        let elements = crate::data::steps::elements(&field.axes).max(1);
        let held = array.numbers.len();
        let examples = held / elements;
        let first = array.shape.first().copied().unwrap_or(1);
        let single = held == elements && first != 1;
        let fits = held.is_multiple_of(elements) && (single || first == examples) && held > 0;
        if array.shape.first() == Some(&0) {
            return Err(DataError::new("E0902", format!("`{name}` holds no examples: its shape is {:?}", array.shape))
                .file(name)
                .help("the first axis counts the examples: give at least one"));
        }
        if !fits || count.is_some_and(|count| count != examples) {
            let wanted: Vec<String> = field.axes.iter().map(|axis| axis.size.to_string()).collect();
            let message = format!(
                "`{name}` has the shape {:?}, and `{}` is [examples, {}]",
                array.shape,
                field.name,
                wanted.join(", ")
            );
            return Err(DataError::new("E0902", message).file(name).help(
                "the first axis counts the examples; the others are those of the field, or one of all its numbers",
            ));
        }
        count = Some(examples);
        let shape = field.axes.iter().map(|axis| axis.size).collect();
        fields.push(RawField { shape, values: Values::Numbers(array.numbers), columns: Vec::new() });
    }
    let (count, name) = (count.unwrap_or(0), name.to_string());
    Ok(Raw { count, fields, official: None, files: None, groups: None, table: None, name, notes: vec![] })
}
