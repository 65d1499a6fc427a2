//! Which column of a new table is which of the training table.

use std::collections::BTreeSet;

use csv::ByteRecord;

use crate::data::csv::{Table, text_of};
use crate::data::error::{DataError, Result, counted};
use crate::data::labels;
use crate::data::preprocessing::{Prepared, TableFormat};
use crate::data::spec::Selector;
use crate::data::table::columns_of;

/// Per field its columns in the new table.
pub type Columns = Vec<Vec<usize>>;

/// By title where the table has them, else by position: all columns of the training table, or only those
/// that the fields read, in the same order.
pub fn columns(
    fields: &[&Prepared],
    format: Option<&TableFormat>,
    table: &Table,
    titles: &[String],
) -> Result<Columns> {
    // Of pairs, one after the other.
    let paired = fields.iter().any(|field| matches!(field.from, Selector::Partner { .. }));
    let Some(format) = format.filter(|_| !paired) else { return in_order(fields, table) };
    let trained: Columns = fields
        .iter()
        .map(|field| match field.from {
            Selector::Images
            | Selector::Labels
            | Selector::Array(_)
            | Selector::Named(_)
            | Selector::Characters { .. } => Ok(Vec::new()),
            _ => columns_of(&field.from, format.columns, &format.header),
        })
        .collect::<Result<_>>()?;
    if let Some(found) = by_title(&trained, format, titles) {
        return Ok(found);
    }
    if table.columns == format.columns {
        return Ok(trained);
    }
    let read: BTreeSet<usize> = trained.iter().flatten().copied().collect();
    if table.columns == read.len() {
        let place = |column: &usize| read.range(..column).count();
        return Ok(trained.iter().map(|columns| columns.iter().map(place).collect()).collect());
    }
    let message = format!(
        "`{}` has {}, and the model reads {} of a table of {}",
        table.name,
        counted(table.columns, "column"),
        read.len(),
        format.columns
    );
    Err(DataError::new("E0902", message)
        .file(&table.name)
        .help("give all columns of the training table, or only those that are read, in their order"))
}

/// The model was trained on arrays or pictures: rows of as many numbers.
fn in_order(fields: &[&Prepared], table: &Table) -> Result<Columns> {
    let width = |field: &&Prepared| {
        let classes = field.one_hot.as_ref().and_then(|dim| dim.size).unwrap_or(1).max(1);
        field.axes.iter().map(|axis| axis.size).product::<usize>() / classes
    };
    let needed: usize = fields.iter().map(width).sum();
    if needed != table.columns {
        let message = format!(
            "`{}` has {}, and the model reads {needed} numbers for each example",
            table.name,
            counted(table.columns, "column")
        );
        return Err(DataError::new("E0902", message).file(&table.name));
    }
    let mut next = 0;
    let take = |field: &&Prepared| {
        let first = next;
        next += width(field);
        (first..next).collect()
    };
    Ok(fields.iter().map(take).collect())
}

/// Whether a line names every column that is read: where texts are read, it would pass for data.
pub fn are_titles(fields: &[&Prepared], format: &TableFormat, titles: &[String]) -> bool {
    let columns = |field: &&Prepared| columns_of(&field.from, format.columns, &format.header);
    let trained: Result<Columns> = fields.iter().map(columns).collect();
    fields.iter().any(|field| field.text.is_some())
        && trained.is_ok_and(|trained| by_title(&trained, format, titles).is_some())
}

fn by_title(trained: &Columns, format: &TableFormat, titles: &[String]) -> Option<Columns> {
    if titles.is_empty() || format.header.is_empty() {
        return None;
    }
    let find = |column: &usize| {
        let title = format.header.get(*column)?;
        titles.iter().position(|other| other == title)
    };
    trained.iter().map(|columns| columns.iter().map(find).collect()).collect()
}

/// Whether a row can be data: numbers where numbers are read, classes where classes are.
pub fn reads_as_data(fields: &[&Prepared], columns: &Columns, table: &Table, row: &ByteRecord) -> bool {
    fields.iter().zip(columns).all(|(field, columns)| {
        let dim = field.dim.as_ref().or(field.one_hot.as_ref());
        columns.iter().all(|column| {
            let cell = row.get(*column).unwrap_or_default();
            table.is_missing(cell)
                || field.text.is_some()
                || match dim {
                    Some(dim) => labels::index_of(dim, &text_of(cell)).is_some(),
                    None => table.number(cell).is_some(),
                }
        })
    })
}
