//! Fields out of a table of text: numbers where numbers are needed, words where classes are.

use super::array::Numbers;
use super::csv::{Table, text_of};
use super::error::{DataError, Result, counted, grouped, quoted};
use super::raw::{RawField, Values, Words, WordsBuilder, shown, wants_words};
use super::spec::{ColumnRef, FieldSpec, Place, Selector};

/// The numbers of the columns that a selector means.
pub fn columns_of(from: &Selector, width: usize, header: &[String]) -> Result<Vec<usize>> {
    let one = |column: &ColumnRef| -> Result<usize> {
        if let ColumnRef::Named(name) = column
            && header.iter().filter(|title| *title == name).count() > 1
        {
            let message = format!("{} columns are called `{name}`", header.iter().filter(|t| *t == name).count());
            return Err(DataError::new("E0511", message).help("name them by their numbers, from 0: `column(2)`"));
        }
        let found = match column {
            ColumnRef::At(at) => (*at < width).then_some(*at),
            ColumnRef::Named(name) => header.iter().position(|title| title == name),
        };
        found.ok_or_else(|| no_such_column(column, width, header))
    };
    match from {
        Selector::Columns(columns) => columns.iter().map(one).collect(),
        Selector::Column(column) | Selector::Picture(column) => Ok(vec![one(column)?]),
        Selector::ColumnsFrom(first) if *first < width => Ok((*first..width).collect()),
        Selector::ColumnsFrom(first) => Err(no_such_column(&ColumnRef::At(*first), width, header)),
        Selector::Images
        | Selector::Labels
        | Selector::Array(_)
        | Selector::Named(_)
        | Selector::Folder
        | Selector::Masks
        | Selector::Boxes
        | Selector::Grid(_)
        | Selector::Partner { .. }
        | Selector::Alike { .. }
        | Selector::Characters { .. } => Err(DataError::new("E0502", "a table has columns, no pictures and no arrays")
            .help("`columns(0..4)` or `column(\"name\")`")),
    }
}

fn no_such_column(column: &ColumnRef, width: usize, header: &[String]) -> Box<DataError> {
    let error = DataError::new("E0511", format!("the data has no {}", shown(column)));
    match (column, header) {
        (ColumnRef::Named(_), []) => {
            error.help("the table has no header: count columns from 0, or say `header = true`")
        }
        (ColumnRef::Named(_), titles) => {
            let listed: Vec<String> = titles.iter().take(30).map(|t| format!("`{t}`")).collect();
            error.help(format!("its columns are {}", listed.join(", ")))
        }
        _ => error.help(format!("it has {}, counted from 0", counted(width, "column"))),
    }
}

struct Reading<'a> {
    spec: &'a FieldSpec,
    columns: Vec<usize>,
    into: Into,
}

enum Into {
    Numbers(Vec<f32>),
    Words(WordsBuilder),
}

/// A word among numbers: the first place, and how often the same word stands there.
struct BadCell {
    field: usize,
    row: usize,
    column: usize,
    text: Vec<u8>,
    count: usize,
}

/// All fields in one pass over the table.
pub fn read_fields(
    table: &Table,
    specs: &[FieldSpec],
    group: Option<(&ColumnRef, Place)>,
) -> Result<(Vec<RawField>, Option<Words>)> {
    let mut fields = Vec::new();
    for spec in specs {
        let columns = columns_of(&spec.from, table.columns, &table.header)
            .map_err(|error| error.file(&table.name).field(spec.place))?;
        let into = match wants_words(spec) {
            true => Into::Words(WordsBuilder::default()),
            false => Into::Numbers(Vec::with_capacity(columns.len() * table.rows)),
        };
        fields.push(Reading { spec, columns, into });
    }
    let group_column = match group {
        None => None,
        Some((column, place)) => {
            let from = Selector::Column(column.clone());
            let columns = columns_of(&from, table.columns, &table.header)
                .map_err(|error| error.file(&table.name).field(place))?;
            columns.first().copied()
        }
    };
    let mut groups = WordsBuilder::default();
    let mut bad: Option<BadCell> = None;
    let mut rows = table.rows();
    let mut row = 0;
    while let Some(record) = rows.next()? {
        for reading in fields.iter().filter(|reading| matches!(reading.into, Into::Words(_))) {
            is_utf8(table, reading, record, row)?;
        }
        for (field, reading) in fields.iter_mut().enumerate() {
            read_row(table, reading, record, (field, row), &mut bad);
        }
        if let Some(column) = group_column {
            groups.push(Some(record.get(column).unwrap_or_default()));
        }
        row += 1;
    }
    if let Some(bad) = bad {
        return Err(not_a_number(table, &fields, &bad));
    }
    let fields = fields.into_iter().map(finished).collect();
    Ok((fields, group_column.map(|_| groups.finish())))
}

/// E0502: words of another encoding would be read as others, without a word about it.
fn is_utf8(table: &Table, reading: &Reading<'_>, record: &csv::ByteRecord, row: usize) -> Result<()> {
    for column in &reading.columns {
        let cell = record.get(*column).unwrap_or_default();
        let Err(error) = std::str::from_utf8(cell) else { continue };
        let byte = cell.get(error.valid_up_to()).copied().unwrap_or(0);
        return Err(DataError::new("E0502", format!("byte 0x{byte:02x} in row {} is not UTF-8", grouped(row + 1)))
            .file(&table.name)
            .at(table.place(row, *column))
            .field(reading.spec.place)
            .help("name the encoding, `csv(\"...\", encoding = \"latin-1\")`, or save the file as UTF-8"));
    }
    Ok(())
}

fn read_row(
    table: &Table,
    reading: &mut Reading<'_>,
    record: &csv::ByteRecord,
    (field, row): (usize, usize),
    bad: &mut Option<BadCell>,
) {
    for column in &reading.columns {
        let cell = record.get(*column).unwrap_or_default();
        let missing = table.is_missing(cell);
        let numbers = match &mut reading.into {
            Into::Words(words) => {
                words.push((!missing).then_some(cell));
                continue;
            }
            Into::Numbers(numbers) => numbers,
        };
        match (missing, table.number(cell)) {
            (true, _) => numbers.push(f32::NAN),
            (false, Some(number)) => numbers.push(number),
            (false, None) => match bad {
                Some(bad) if bad.text == cell => bad.count += 1,
                Some(_) => {}
                None => {
                    let (column, text) = (*column, cell.to_vec());
                    *bad = Some(BadCell { field, row, column, text, count: 1 });
                }
            },
        }
    }
}

fn not_a_number(table: &Table, fields: &[Reading<'_>], bad: &BadCell) -> Box<DataError> {
    let text = quoted(&text_of(&bad.text));
    let numeric = fields.iter().filter(|reading| matches!(reading.into, Into::Numbers(_)));
    let cells = numeric.map(|reading| reading.columns.len()).sum::<usize>() * table.rows;
    let mut error = DataError::new("E0506", format!("`{text}` is not a number"))
        .file(&table.name)
        .at(table.place(bad.row, bad.column))
        .note(format!("row {}, `column({})`, read by field `{}`", bad.row + 1, bad.column, fields[bad.field].spec.name))
        .note(format!("{} of {} values in these columns are `{text}`", grouped(bad.count), grouped(cells)))
        .field(fields[bad.field].spec.place);
    let comma = text.contains(',') && super::csv::number(&bad.text, ',').is_some();
    error = match text.as_str() {
        _ if text.parse::<f64>().is_ok_and(f64::is_infinite) => {
            error.help("numbers are 32 bits long and at most 3.4e38: correct the cell, or leave the column out")
        }
        "?" | "NA" | "NaN" | "nan" | "-" | "null" => error
            .help(format!("say what it means: `csv(\"...\", missing = \"{text}\")` and `columns(...) |> fill(mean)`")),
        _ if bad.row == 0 && table.header.is_empty() && bad.count == 1 => {
            error.help("where the first line names the columns, say `header = true`; where it is no data, `skip = 1`")
        }
        _ if comma => error.help("numbers with a comma need `decimal = \",\"`"),
        _ if bad.count > 1 => error
            .help(format!("say what it means: `csv(\"...\", missing = \"{text}\")` and `columns(...) |> fill(mean)`")),
        _ => error,
    };
    error
}

fn finished(reading: Reading<'_>) -> RawField {
    let shape = match reading.spec.from {
        Selector::Column(_) => vec![],
        _ => vec![reading.columns.len()],
    };
    let values = match reading.into {
        Into::Numbers(numbers) => Values::Numbers(Numbers::F32(numbers)),
        Into::Words(words) => Values::Words(words.finish()),
    };
    RawField { shape, values, columns: reading.columns }
}
