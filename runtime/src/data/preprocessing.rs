//! What must be done to new data before a trained model sees it; stored in the model as JSON.

mod fields;

use serde_json::{Value, json};

use super::error::{DataError, Result};
use super::spec::{DimSpec, PictureStep, Selector};
use super::steps::{Axis, Chain, Fitted};
use super::text::tokens::Text;
use fields::{from_from_json, from_to_json, picture_from_json, picture_to_json, text_from_json, text_to_json};

/// How one field is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    pub name: String,
    pub axes: Vec<Axis>,
    /// The field is indices into this dim.
    pub dim: Option<DimSpec>,
    /// Each cell becomes one number per class.
    pub one_hot: Option<DimSpec>,
    pub from: Selector,
    pub chain: Chain,
    /// The class that a missing cell becomes.
    pub fill: Option<String>,
    /// How a text becomes symbols.
    pub text: Option<Text>,
    /// An example is so many rows, and the steps are those of one row.
    pub window: Option<Window>,
    /// What is done to pictures before their points are numbers.
    pub picture: Vec<PictureStep>,
}

impl Prepared {
    /// A field without steps.
    pub fn plain(name: &str, axes: Vec<Axis>, dim: Option<DimSpec>, from: &Selector) -> Prepared {
        let (name, from, chain) = (name.to_string(), from.clone(), Chain::default());
        let (one_hot, fill, text, window, picture) = (None, None, None, None, Vec::new());
        Prepared { name, axes, dim, one_hot, from, chain, fill, text, window, picture }
    }
}

/// Rows of one example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub length: usize,
    /// Rows before them, from the first of the example on.
    pub after: usize,
}

/// How the table of the training data was written.
#[derive(Clone, Debug, PartialEq)]
pub struct TableFormat {
    pub columns: usize,
    /// Titles; empty without a header.
    pub header: Vec<String>,
    pub skip: usize,
    pub missing: Vec<String>,
    pub decimal: char,
}

/// Of a data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preprocessing {
    /// Where the source is a table of text.
    pub table: Option<TableFormat>,
    pub fields: Vec<Prepared>,
}

impl Preprocessing {
    pub fn field(&self, name: &str) -> Option<&Prepared> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// How the field of an input is made; E0505 where the file does not say.
    pub fn made(&self, name: &str) -> Result<&Prepared> {
        let unknown = || {
            let error = DataError::new("E0505", format!("the model file does not say how to read `{name}`"));
            if self.fields.is_empty() {
                return error
                    .help("`dlc build` writes a model that has seen no data; train it: `dlc run PROGRAM.dl --train`");
            }
            error
        };
        self.field(name).ok_or_else(unknown)
    }

    pub fn to_json(&self) -> Value {
        json!({
            "table": self.table.as_ref().map(table_to_json),
            "fields": self.fields.iter().map(field_to_json).collect::<Vec<_>>(),
        })
    }

    /// Nothing where the JSON says something else; never panics.
    pub fn from_json(value: &Value) -> Option<Preprocessing> {
        let table = match value.get("table")? {
            Value::Null => None,
            table => Some(table_from_json(table)?),
        };
        let fields = value.get("fields")?.as_array()?;
        let fields = fields.iter().map(field_from_json).collect::<Option<_>>()?;
        Some(Preprocessing { table, fields })
    }
}

fn table_to_json(table: &TableFormat) -> Value {
    json!({
        "columns": table.columns, "header": table.header, "skip": table.skip,
        "missing": table.missing, "decimal": table.decimal.to_string(),
    })
}

fn table_from_json(value: &Value) -> Option<TableFormat> {
    Some(TableFormat {
        columns: count(value.get("columns")?)?,
        header: texts(value.get("header")?)?,
        skip: count(value.get("skip")?)?,
        missing: texts(value.get("missing")?)?,
        decimal: value.get("decimal")?.as_str()?.chars().next()?,
    })
}

fn field_to_json(field: &Prepared) -> Value {
    json!({
        "name": field.name,
        "axes": field.axes.iter().map(|axis| json!([axis.name, axis.size])).collect::<Vec<_>>(),
        "dim": field.dim.as_ref().map(dim_to_json),
        "one_hot": field.one_hot.as_ref().map(dim_to_json),
        "from": from_to_json(&field.from),
        "steps": field.chain.steps().iter().map(step_to_json).collect::<Vec<_>>(),
        "fill": field.fill,
        "text": field.text.as_ref().map(text_to_json),
        "window": field.window.map(|window| json!([window.length, window.after])),
        "picture": field.picture.iter().map(picture_to_json).collect::<Vec<_>>(),
    })
}

fn field_from_json(value: &Value) -> Option<Prepared> {
    let axis = |axis: &Value| {
        let (name, size) = (axis.get(0)?.as_str()?.to_string(), count(axis.get(1)?)?);
        Some(Axis { name, size })
    };
    let axes: Vec<Axis> = value.get("axes")?.as_array()?.iter().map(axis).collect::<Option<_>>()?;
    // Statistics are spread over the elements, so a lying size would cost memory.
    let sizes: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
    super::array::product(&sizes).filter(|elements| *elements <= 1 << 28)?;
    let window = match value.get("window") {
        None | Some(Value::Null) => None,
        Some(window) => Some(Window { length: count(window.get(0)?)?, after: count(window.get(1)?)? }),
    };
    if window.is_some_and(|window| axes.first().is_none_or(|axis| axis.size != window.length)) {
        return None;
    }
    let of_row = axes.get(usize::from(window.is_some())..)?;
    let mut chain = Chain::default();
    for step in value.get("steps")?.as_array()? {
        let step = step_from_json(step)?;
        if !has_its_statistics(&step, of_row) {
            return None;
        }
        chain.push(step, of_row);
    }
    Some(Prepared {
        name: value.get("name")?.as_str()?.to_string(),
        axes,
        dim: optional_dim(value.get("dim")?)?,
        one_hot: optional_dim(value.get("one_hot")?)?,
        from: from_from_json(value.get("from")?)?,
        chain,
        fill: match value.get("fill") {
            None | Some(Value::Null) => None,
            Some(class) => Some(class.as_str()?.to_string()),
        },
        text: match value.get("text") {
            None | Some(Value::Null) => None,
            Some(text) => Some(text_from_json(text)?),
        },
        window,
        picture: match value.get("picture") {
            None => Vec::new(),
            Some(steps) => steps.as_array()?.iter().map(picture_from_json).collect::<Option<_>>()?,
        },
    })
}

/// Whether a step holds one statistic for all elements, or one for each group of them.
fn has_its_statistics(step: &Fitted, axes: &[Axis]) -> bool {
    let none = Vec::new();
    let (over, counts) = match step {
        Fitted::Scale { .. } | Fitted::Log => return true,
        Fitted::Standardize { over, mean, spread } => (over, vec![mean.len(), spread.len()]),
        Fitted::MinMax { low, high } => (&none, vec![low.len(), high.len()]),
        Fitted::Fill { values } => (&none, vec![values.len()]),
    };
    let apart = axes.iter().filter(|axis| !over.contains(&axis.name)).map(|axis| axis.size);
    let sizes: Vec<usize> = apart.collect();
    let groups = super::array::product(&sizes);
    let spread_out = !over.is_empty() && axes.iter().map(|axis| axis.size).product::<usize>() > 1 << 24;
    counts.iter().all(|count| *count == 1 || (Some(*count) == groups && !spread_out))
}

/// A dim in metadata: name, size, names.
pub fn dim_to_json(dim: &DimSpec) -> Value {
    json!({ "name": dim.name, "size": dim.size, "names": dim.names })
}

pub fn dim_from_json(value: &Value) -> Option<DimSpec> {
    let size = match value.get("size")? {
        Value::Null => None,
        size => Some(count(size)?),
    };
    let name = value.get("name")?.as_str()?.to_string();
    Some(DimSpec { name, size, names: texts(value.get("names")?)? })
}

fn optional_dim(value: &Value) -> Option<Option<DimSpec>> {
    match value {
        Value::Null => Some(None),
        dim => Some(Some(dim_from_json(dim)?)),
    }
}

fn step_to_json(step: &Fitted) -> Value {
    match step {
        Fitted::Scale { by, shift } => json!({ "step": "scale", "by": by, "shift": shift }),
        Fitted::Standardize { over, mean, spread } => {
            json!({ "step": "standardize", "over": over, "mean": mean, "spread": spread })
        }
        Fitted::MinMax { low, high } => json!({ "step": "minmax", "low": low, "high": high }),
        Fitted::Log => json!({ "step": "log" }),
        Fitted::Fill { values } => json!({ "step": "fill", "values": values }),
    }
}

fn step_from_json(value: &Value) -> Option<Fitted> {
    let get = |key: &str| value.get(key);
    Some(match get("step")?.as_str()? {
        "scale" => Fitted::Scale { by: get("by")?.as_f64()?, shift: get("shift")?.as_f64()? },
        "standardize" => Fitted::Standardize {
            over: texts(get("over")?)?,
            mean: numbers(get("mean")?)?,
            spread: numbers(get("spread")?)?,
        },
        "minmax" => Fitted::MinMax { low: numbers(get("low")?)?, high: numbers(get("high")?)? },
        "log" => Fitted::Log,
        "fill" => Fitted::Fill { values: numbers(get("values")?)? },
        _ => return None,
    })
}

fn count(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| Some(text.as_str()?.to_string())).collect()
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::spec::ColumnRef;
    use crate::data::text::tokens::{Shift, Unit};

    #[test]
    fn json_and_back() {
        let axes = vec![Axis { name: "f".into(), size: 2 }];
        let dim = DimSpec { name: "k".into(), size: Some(2), names: vec!["a".into(), "b".into()] };
        let mut chain = Chain::default();
        let steps = [
            Fitted::Fill { values: vec![0.1, 0.2] },
            Fitted::Log,
            Fitted::Scale { by: 1.0 / 255.0, shift: -1.0 },
            Fitted::Standardize { over: vec![], mean: vec![0.1, 1e-300], spread: vec![1.0, 1.0 / 3.0] },
            Fitted::MinMax { low: vec![0.0, 1.0], high: vec![2.0, 3.0] },
        ];
        steps.into_iter().for_each(|step| chain.push(step, &axes));
        let columns = vec![ColumnRef::At(3), ColumnRef::Named("x".into())];
        let field = |from, chain, dim: Option<DimSpec>| Prepared {
            name: "x".into(),
            axes: axes.clone(),
            one_hot: dim.clone(),
            dim,
            from,
            chain,
            fill: Some("a".into()),
            text: Some(Text { lowercase: true, unit: Unit::Subwords, shift: Some(Shift::Ahead) }),
            window: None,
            picture: vec![
                PictureStep::Crop { top: 1, bottom: 2, left: 3, right: 4 },
                PictureStep::Resize { h: 5, w: 6, nearest: true },
                PictureStep::Letterbox { h: 7, w: 8 },
                PictureStep::Gray,
                PictureStep::Levels(vec![0, 255]),
                PictureStep::Ignore(11),
            ],
        };
        let told = crate::data::objects::grid::Told::Place;
        let grid = crate::data::objects::grid::Grid { of: "o".into(), told, rows: 3, columns: 4, reach: 0.5 };
        let whole = Preprocessing {
            table: Some(TableFormat {
                columns: 4,
                header: vec!["a".into()],
                skip: 1,
                missing: vec!["?".into()],
                decimal: ',',
            }),
            fields: vec![
                field(Selector::Columns(columns), chain, None),
                field(Selector::ColumnsFrom(4), Chain::default(), Some(dim)),
                field(Selector::Column(ColumnRef::At(1)), Chain::default(), None),
                field(Selector::Images, Chain::default(), None),
                field(Selector::Folder, Chain::default(), None),
                field(Selector::Masks, Chain::default(), None),
                field(Selector::Boxes, Chain::default(), None),
                field(Selector::Grid(grid), Chain::default(), None),
                field(Selector::Partner { of: "a".into(), by: "b".into() }, Chain::default(), None),
                field(Selector::Alike { by: "b".into() }, Chain::default(), None),
                field(Selector::Picture(ColumnRef::At(1)), Chain::default(), None),
                field(Selector::Array("a".into()), Chain::default(), None),
                field(Selector::Named("line".into()), Chain::default(), None),
            ],
        };
        let text = whole.to_json().to_string();
        let read = Preprocessing::from_json(&serde_json::from_str(&text).unwrap());
        assert_eq!(read, Some(whole));
    }

    #[test]
    fn other_json_is_refused() {
        for text in ["{}", "[]", r#"{"table":1,"fields":[]}"#, r#"{"table":null,"fields":[{}]}"#] {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(Preprocessing::from_json(&value), None, "{text}");
        }
    }

    #[test]
    fn lying_statistics_are_refused() {
        let text = |axis: usize, mean: &str| {
            format!(
                r#"{{"table":null,"fields":[{{"name":"x","axes":[["f",{axis}]],"dim":null,"one_hot":null,
                "from":{{"columns_from":0}},"steps":[{{"step":"fill","values":{mean}}}]}}]}}"#
            )
        };
        let read = |text: String| Preprocessing::from_json(&serde_json::from_str(&text).unwrap());
        assert!(read(text(2, "[1,2]")).is_some() && read(text(2, "[1]")).is_some());
        for (axis, mean) in [(2, "[]"), (3, "[1,2]"), (1 << 27, "[1,2]"), (0, "[1,2]")] {
            assert!(read(text(axis, mean)).is_none(), "{axis} {mean}");
        }
    }
}
