//! What `--eval -o DIR` leaves: the confusion, the scores of classes, the worst examples, as pictures and for programs.

use std::fmt::Write;
use std::path::Path;

use dlc_runtime::data::augment::Augmenter;
use dlc_runtime::data::dataset::Dataset;
use dlc_runtime::data::split::Part;
use dlc_runtime::draw::{self, Canvas};
use dlc_runtime::predict::{self, Kept, Said};
use dlc_runtime::train::{Evaluated, Judge, Precisions, Table};
use serde_json::{Value, json};

use crate::trouble::Trouble;

/// Examples of `examples.png`.
pub const EXAMPLES: usize = 16;
/// Examples of `worst.png`, and lines of `worst.csv`.
pub const SHOWN: usize = 25;
/// The same of those that are drawn twice, as they are and as they were told.
const DRAWN: usize = 12;
const LISTED: usize = 200;

/// What an evaluation came to.
pub struct Results<'a> {
    pub data: &'a Dataset,
    pub found: &'a Evaluated,
    pub judge: Option<&'a Judge>,
    /// What the network says of the first examples, and of the worst.
    pub kept: &'a Kept,
}

/// Writes all files; their names.
pub fn write(folder: &Path, results: &Results<'_>) -> Result<Vec<String>, Trouble> {
    let Results { data, found: Evaluated { values, tables, precisions }, judge, kept } = results;
    let unwritable = |error: std::io::Error| Trouble::usage(format!("cannot write {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let mut files: Vec<(String, Vec<u8>)> = vec![];
    let numbers: serde_json::Map<String, Value> = values.iter().map(|(name, x)| (name.clone(), json!(x))).collect();
    files.push(("metrics.json".into(), format!("{:#}\n", Value::Object(numbers)).into_bytes()));
    let numbered = |at: usize| if at == 0 { String::new() } else { format!("_{}", at + 1) };
    for (at, table) in tables.iter().enumerate() {
        let more = numbered(at);
        let picture = draw::confusion(&table.name, &table.classes, &table.counts);
        files.push((format!("confusion{more}.png"), picture.png().map_err(unwritable)?));
        files.push((format!("confusion{more}.csv"), confusion(table).into_bytes()));
        files.push((format!("classes{more}.txt"), classes_text(table).into_bytes()));
        files.push((format!("classes{more}.json"), format!("{:#}\n", classes_json(table)).into_bytes()));
    }
    for (at, precisions) in precisions.iter().enumerate() {
        files.push((format!("objects{}.txt", numbered(at)), objects_text(precisions).into_bytes()));
        files.push((format!("objects{}.json", numbered(at)), format!("{:#}\n", objects_json(precisions)).into_bytes()));
    }
    let names = tables.first().map_or(&[][..], |table| &table.classes);
    if let Some(judge) = judge.filter(|judge| !judge.all.is_empty()) {
        files.push(("worst.csv".into(), worst_list(judge, names).into_bytes()));
        if let Some(picture) = worst(judge, (kept, data), names) {
            files.push(("worst.png".into(), picture.png().map_err(unwritable)?));
        }
    }
    for (name, picture) in [("examples.png", examples(kept, data)), ("map.png", map(kept, data))] {
        if let Some(picture) = picture {
            files.push((name.into(), picture.png().map_err(unwritable)?));
        }
    }
    for (name, bytes) in &files {
        std::fs::write(folder.join(name), bytes).map_err(unwritable)?;
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

/// The first of the test part and what was said of them, where examples are pictures.
fn examples(kept: &Kept, data: &Dataset) -> Option<Canvas> {
    let mut cells = vec![];
    let test = data.part(Part::Test);
    for example in kept.examples().filter(|example| test.contains(example)).take(EXAMPLES) {
        let own = predict::picture_of(data, None, example).ok().flatten()?;
        let said = kept.said(example, Some(own.1));
        let picture = predict::drawn(&said, Some(&own), data);
        cells.push(draw::Cell::new(picture, vec![format!("example {example}")]));
    }
    (!cells.is_empty()).then(|| draw::sheet("the first of the test part", &cells, 4))
}

/// Where the test part lies in an output of two numbers, coloured by the first field that is a class.
fn map(kept: &Kept, data: &Dataset) -> Option<Canvas> {
    let (name, places) = kept.map()?;
    let field = data.fields.iter().find_map(|field| Some((field, field.classes()?)));
    let test: std::collections::BTreeSet<&u32> = data.part(Part::Test).iter().collect();
    let class =
        |example: u32| field.and_then(|(_, classes)| classes.get(example as usize)).map(|class| *class as usize);
    let points: Vec<([f32; 2], Option<usize>)> =
        places.into_iter().filter(|(e, _)| test.contains(e)).map(|(e, place)| (place, class(e))).collect();
    let mut known: Vec<usize> = points.iter().filter_map(|(_, class)| *class).collect();
    known.sort_unstable();
    known.dedup();
    let names = field.and_then(|(field, _)| field.prepared.dim.as_ref()).map_or(&[][..], |dim| &dim.names);
    let legend: Vec<(Option<usize>, String)> =
        known.into_iter().map(|class| (Some(class), self::name(names, class))).collect();
    Some(draw::scatter(name, &points, &legend))
}

fn name(classes: &[String], class: usize) -> String {
    classes.get(class).cloned().unwrap_or_else(|| class.to_string())
}

fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_string(),
    }
}

/// Rows are what it is, columns what it was taken for.
fn confusion(table: &Table) -> String {
    let count = table.counts.classes;
    let names: Vec<String> = (0..count).map(|class| quoted(&name(&table.classes, class))).collect();
    let mut text = format!("is,{}\n", names.join(","));
    for is in 0..count {
        let cells: Vec<String> = (0..count).map(|taken| table.counts.get(is, taken).to_string()).collect();
        text += &format!("{},{}\n", names[is], cells.join(","));
    }
    text
}

fn classes_text(table: &Table) -> String {
    let names: Vec<String> = (0..table.counts.classes).map(|class| name(&table.classes, class)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    let mut text =
        format!("{:wide$}  {:>8}  {:>9}  {:>7}  {:>7}  {:>7}\n", "class", "count", "precision", "recall", "f1", "iou");
    for (class, name) in names.iter().enumerate() {
        let score = table.counts.of_class(class);
        let shown = |x: Option<f64>| x.map_or_else(|| "-".to_string(), |x| format!("{x:.4}"));
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{name:wide$}  {:>8}  {:>9}  {:>7}  {:>7}  {:>7}",
            score.is,
            shown(score.precision),
            shown(score.recall),
            shown(score.f1),
            shown(score.iou)
        );
    }
    text
}

fn classes_json(table: &Table) -> Value {
    let one = |class: usize| {
        let score = table.counts.of_class(class);
        json!({
            "class": name(&table.classes, class), "count": score.is, "taken": score.taken,
            "precision": score.precision, "recall": score.recall, "f1": score.f1, "iou": score.iou,
        })
    };
    (0..table.counts.classes).map(one).collect()
}

/// Numbered as in the source.
fn worst_list(judge: &Judge, names: &[String]) -> String {
    let mut text = "example,cost,is,taken_for\n".to_string();
    for judged in judge.worst(LISTED) {
        let (is, taken) = match judged.classes {
            Some((is, taken)) => (quoted(&name(names, is)), quoted(&name(names, taken))),
            None => Default::default(),
        };
        text += &format!("{},{},{is},{taken}\n", judged.example, judged.cost as f32);
    }
    text
}

/// Of each class how many objects there are and how well they are found.
fn objects_text(precisions: &Precisions) -> String {
    let names: Vec<String> = (0..precisions.each.len()).map(|class| name(&precisions.classes, class)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!("{:wide$}  {:>8}  {:>17}\n", "class", "objects", "average precision");
    for (name, (objects, precision)) in names.iter().zip(&precisions.each) {
        let shown = precision.map_or_else(|| "-".to_string(), |x| format!("{x:.4}"));
        text += &format!("{name:wide$}  {objects:>8}  {shown:>17}\n");
    }
    text
}

fn objects_json(precisions: &Precisions) -> Value {
    let one = |(class, (objects, precision)): (usize, &(usize, Option<f64>))| json!({ "class": name(&precisions.classes, class), "objects": objects, "average_precision": precision });
    precisions.each.iter().enumerate().map(one).collect()
}

/// The worst examples, where examples are pictures: as they are, and where something is drawn of it what was said of them.
fn worst(judge: &Judge, (kept, data): (&Kept, &Dataset), names: &[String]) -> Option<Canvas> {
    let field = data.fields.iter().find(|field| draw::picture_shape(field).is_some())?;
    let single = judge.all.iter().any(|judged| judged.classes.is_some());
    let mut cells = vec![];
    for judged in judge.worst(if single { SHOWN } else { DRAWN }) {
        let mut lines = match judged.classes {
            Some((is, taken)) if is == taken => vec![format!("{}, rightly", name(names, is))],
            Some((is, taken)) => vec![format!("{}, taken for {}", name(names, is), name(names, taken))],
            None => draw::said(data, &Augmenter::default(), judged.example, true),
        };
        lines.push(format!("cost {:.3}", judged.cost));
        let own = predict::picture_of(data, None, judged.example).ok().flatten();
        let answer = kept.said(judged.example, own.as_ref().map(|(_, placing)| *placing));
        let picture = match own.filter(|_| judged.classes.is_none() && !answer.is_empty()) {
            Some(own) => {
                let drawn = predict::drawn(&answer, Some(&own), data);
                let marked = answer.iter().any(Said::is_marked);
                if marked { draw::beside(&draw::truth(data, judged.example)?, &drawn) } else { drawn }
            }
            None => draw::canvas_of_example(field, judged.example)?,
        };
        cells.push(draw::Cell::new(picture, lines));
    }
    let title = if single {
        "the worst: what they are, and what they were taken for"
    } else {
        "the worst: as they are, and what was said of them"
    };
    let widest = cells.iter().map(|cell| cell.picture.width).max().unwrap_or(1);
    Some(draw::sheet(title, &cells, (2400 / (widest + 8)).clamp(1, 5)))
}
