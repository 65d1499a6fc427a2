//! The axes of a field, solved from its type and the values that are there.

use crate::data::error::{At, DataError, Result, grouped};
use crate::data::raw::Raw;
use crate::data::spec::{AxisSpec, DimSpec, FieldSpec};
use crate::data::steps::Axis;

/// The sizes of the axes: as declared, where the data agrees; solved, where nothing is declared.
pub(super) fn axes(raw: &Raw, at: usize, spec: &FieldSpec, classes: Option<&DimSpec>) -> Result<Vec<Axis>> {
    let field = raw.fields.get(at);
    let mut shape = field.map(|field| field.shape.clone()).unwrap_or_default();
    if let Some(dim) = classes {
        shape.push(dim.size.unwrap_or(dim.names.len()));
    }
    let many = |sizes: &[usize]| crate::data::array::product(sizes);
    let Some(total) = many(&shape) else {
        return Err(DataError::new("E0502", "an example has more values than memory can hold"));
    };
    let unknown = spec.shape.iter().filter(|axis| axis.size.is_none()).count();
    let known: Option<usize> = many(&spec.shape.iter().filter_map(|axis| axis.size).collect::<Vec<_>>());
    let bulky = |shape: &[usize]| shape.iter().copied().filter(|size| *size != 1).collect::<Vec<_>>();
    let sizes: Option<Vec<usize>> = match unknown {
        0 => Some(spec.shape.iter().filter_map(|axis| axis.size).collect()),
        1 => known
            .filter(|known| *known > 0 && total.is_multiple_of(*known))
            .map(|known| spec.shape.iter().map(|axis| axis.size.unwrap_or(total / known)).collect()),
        _ if shape.len() == spec.shape.len() => Some(shape.clone()),
        _ => None,
    };
    // A row of columns may be a picture, a picture may be read as a row; else the axes must agree.
    let agrees = |sizes: &[usize]| {
        let (mine, theirs) = (bulky(sizes), bulky(&shape));
        many(sizes) == Some(total) && (mine.len() <= 1 || theirs.len() <= 1 || mine == theirs)
    };
    match sizes {
        Some(sizes) if agrees(&sizes) => {
            let axis = |(axis, size): (&AxisSpec, usize)| Axis { name: axis.name.clone(), size };
            Ok(spec.shape.iter().zip(sizes).map(axis).collect())
        }
        _ => Err(misfit(raw, at, spec, &shape, total)),
    }
}

fn misfit(raw: &Raw, at: usize, spec: &FieldSpec, shape: &[usize], total: usize) -> Box<DataError> {
    let axis = |axis: &AxisSpec| match axis.size {
        Some(size) => format!("{}: {size}", axis.name),
        None => axis.name.clone(),
    };
    let declared = spec.shape.iter().map(axis).collect::<Vec<_>>().join(", ");
    let read = match raw.fields.get(at).map(|field| field.columns.len()) {
        Some(columns @ 1..) if shape.len() <= 1 => match columns {
            1 => "its column gives 1 value".to_string(),
            _ => format!("its columns give {columns} values"),
        },
        _ => format!("the data gives {shape:?}, {} values", grouped(total)),
    };
    let message = format!("field `{}` is [{declared}], but {read} for each example", spec.name);
    DataError::new("E0511", message).file(&raw.name).at(At::Unknown)
}
