//! What a field reads, and the steps of pictures and texts, as JSON.

use serde_json::{Value, json};

use super::count;
use crate::data::objects::grid::{Grid, Told};
use crate::data::spec::{ColumnRef, PictureStep, Selector};
use crate::data::text::tokens::{Shift, Text, Unit};

pub fn text_to_json(text: &Text) -> Value {
    let unit = match text.unit {
        Unit::Characters => "characters",
        Unit::Words => "words",
        Unit::Subwords => "subwords",
    };
    let shift = text.shift.map(|shift| if shift == Shift::Ahead { "ahead" } else { "before" });
    json!({ "unit": unit, "lowercase": text.lowercase, "next_token": shift })
}

pub fn text_from_json(value: &Value) -> Option<Text> {
    let unit = match value.get("unit")?.as_str()? {
        "characters" => Unit::Characters,
        "words" => Unit::Words,
        "subwords" => Unit::Subwords,
        _ => return None,
    };
    let shift = match value.get("next_token")? {
        Value::Null => None,
        shift if shift.as_str()? == "ahead" => Some(Shift::Ahead),
        _ => Some(Shift::Before),
    };
    Some(Text { unit, lowercase: value.get("lowercase")?.as_bool()?, shift })
}

fn column_to_json(column: &ColumnRef) -> Value {
    match column {
        ColumnRef::At(at) => json!(at),
        ColumnRef::Named(name) => json!(name),
    }
}

fn column_from_json(value: &Value) -> Option<ColumnRef> {
    match value.as_str() {
        Some(name) => Some(ColumnRef::Named(name.to_string())),
        None => Some(ColumnRef::At(count(value)?)),
    }
}

pub fn from_to_json(from: &Selector) -> Value {
    match from {
        Selector::Columns(columns) => {
            json!({ "columns": columns.iter().map(column_to_json).collect::<Vec<_>>() })
        }
        Selector::ColumnsFrom(first) => json!({ "columns_from": first }),
        Selector::Column(column) => json!({ "column": column_to_json(column) }),
        Selector::Images => json!("images"),
        Selector::Labels => json!("labels"),
        Selector::Folder => json!("folder"),
        Selector::Masks => json!("masks"),
        Selector::Boxes => json!("boxes"),
        Selector::Grid(grid) => json!({
            "grid": grid.of, "told": told_name(grid.told), "rows": grid.rows, "columns": grid.columns,
            "reach": grid.reach,
        }),
        Selector::Partner { of, by } => json!({ "partner": of, "by": by }),
        Selector::Alike { by } => json!({ "alike": by }),
        Selector::Picture(column) => json!({ "picture": column_to_json(column) }),
        Selector::Array(name) => json!({ "array": name }),
        Selector::Named(name) => json!({ "named": name }),
        Selector::Characters { length, ahead } => json!({ "characters": length, "ahead": ahead }),
    }
}

pub fn from_from_json(value: &Value) -> Option<Selector> {
    match value.as_str() {
        Some("images") => return Some(Selector::Images),
        Some("labels") => return Some(Selector::Labels),
        Some("folder") => return Some(Selector::Folder),
        Some("boxes") => return Some(Selector::Boxes),
        Some("masks") => return Some(Selector::Masks),
        _ => {}
    }
    // It has columns too.
    if let Some(of) = value.get("grid") {
        return grid_from_json(of, value).map(Selector::Grid);
    }
    let text = |key: &str| Some(value.get(key)?.as_str()?.to_string());
    if value.get("partner").is_some() {
        return Some(Selector::Partner { of: text("partner")?, by: text("by")? });
    }
    if value.get("alike").is_some() {
        return Some(Selector::Alike { by: text("alike")? });
    }
    if let Some(columns) = value.get("columns") {
        let columns = columns.as_array()?.iter().map(column_from_json).collect::<Option<_>>()?;
        return Some(Selector::Columns(columns));
    }
    if let Some(first) = value.get("columns_from") {
        return Some(Selector::ColumnsFrom(count(first)?));
    }
    if let Some(column) = value.get("column") {
        return Some(Selector::Column(column_from_json(column)?));
    }
    if let Some(name) = value.get("named") {
        return Some(Selector::Named(name.as_str()?.to_string()));
    }
    if let Some(column) = value.get("picture") {
        return Some(Selector::Picture(column_from_json(column)?));
    }
    if let Some(length) = value.get("characters") {
        let ahead = value.get("ahead")?.as_bool()?;
        return Some(Selector::Characters { length: count(length)?, ahead });
    }
    Some(Selector::Array(value.get("array")?.as_str()?.to_string()))
}

fn told_name(told: Told) -> &'static str {
    match told {
        Told::Has => "has",
        Told::Place => "place",
        Told::What => "what",
    }
}

fn grid_from_json(of: &Value, value: &Value) -> Option<Grid> {
    let told = value.get("told")?.as_str()?;
    let told = [Told::Has, Told::Place, Told::What].into_iter().find(|known| told_name(*known) == told)?;
    // A lying size would cost memory.
    let side = |key: &str| count(value.get(key)?).filter(|side| (1..=1 << 12).contains(side));
    let reach = value.get("reach")?.as_f64().filter(|reach| (0.0..=64.0).contains(reach))?;
    Some(Grid { of: of.as_str()?.to_string(), told, rows: side("rows")?, columns: side("columns")?, reach })
}

pub fn picture_to_json(step: &PictureStep) -> Value {
    match step {
        PictureStep::Resize { h, w, nearest } => json!({ "step": "resize", "h": h, "w": w, "nearest": nearest }),
        PictureStep::Letterbox { h, w } => json!({ "step": "letterbox", "h": h, "w": w }),
        PictureStep::Crop { top, bottom, left, right } => {
            json!({ "step": "crop", "top": top, "bottom": bottom, "left": left, "right": right })
        }
        PictureStep::Gray => json!({ "step": "gray" }),
        PictureStep::Levels(levels) => json!({ "step": "levels", "levels": levels }),
        PictureStep::Ignore(value) => json!({ "step": "ignore", "value": value }),
    }
}

pub fn picture_from_json(value: &Value) -> Option<PictureStep> {
    let size = |key: &str| count(value.get(key)?);
    // A lying size would cost memory.
    let side = |key: &str| size(key).filter(|side| (1..=1 << 15).contains(side));
    let byte = |value: &Value| u8::try_from(value.as_u64()?).ok();
    Some(match value.get("step")?.as_str()? {
        "resize" => PictureStep::Resize { h: side("h")?, w: side("w")?, nearest: value.get("nearest")?.as_bool()? },
        "letterbox" => PictureStep::Letterbox { h: side("h")?, w: side("w")? },
        "crop" => {
            PictureStep::Crop { top: size("top")?, bottom: size("bottom")?, left: size("left")?, right: size("right")? }
        }
        "gray" => PictureStep::Gray,
        "levels" => PictureStep::Levels(value.get("levels")?.as_array()?.iter().map(byte).collect::<Option<_>>()?),
        "ignore" => PictureStep::Ignore(byte(value.get("value")?)?),
        _ => return None,
    })
}
