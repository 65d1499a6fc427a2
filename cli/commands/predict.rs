//! `dlc run MODEL.dlm INPUT...`: predictions, or with `--eval` a score.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::args::{RunArgs, Table};
use crate::commands::train::print_result;
use crate::engine::{self, Cell, Drawn, Predictions, Settings, ShownBox, Wanted, draw, is_picture};
use crate::number;
use crate::output;
use crate::style::Style;
use crate::trouble::{Message, Trouble};

/// Examples of one sheet.
const MOST_DRAWN: usize = 64;

pub fn run(args: &RunArgs, _: &Style) -> Result<(), Trouble> {
    if args.file.extension().is_some_and(|e| e == "dl") {
        let message = Message::new(format!("{} is a program without trained weights", args.file.display()));
        return Err(Trouble::Usage(message.help("train it first: `dlc run FILE.dl --train`")));
    }
    let settings = Settings::new(&args.program, &args.machine);
    if args.eval {
        let scored = engine::evaluate(&args.file, &args.inputs, &settings, args.output.as_deref())?;
        if let Some(folder) = &scored.folder {
            output::say(&format!("{}  {}\n", folder.display(), scored.files.join("  ")));
        }
        print_result(&scored, args.json, false);
        return Ok(());
    }
    let wanted = Wanted {
        prompt: args.prompt.clone().unwrap_or_default(),
        limit: args.limit.map(|limit| limit as usize),
        seed: args.recipe.seed,
    };
    if args.generate || args.prompt.is_some() || args.limit.is_some() {
        return generate(args, &settings, &wanted);
    }
    if let Some(path) = args.output.as_deref().filter(|path| !is_png(path)) {
        let message = Message::new(format!("{}: pictures are written as PNG", path.display()));
        return Err(Trouble::Usage(message.help("name a file that ends in .png")));
    }
    if let (Some(layer), Some(path)) = (&args.show, &args.output) {
        return show(args, layer, path, &settings);
    }
    if args.inputs.is_empty() {
        let message = Message::new("nothing to predict for");
        return Err(Trouble::Usage(message.help(
            "name a file with examples, or `-` for standard input; `--generate` and `--prompt TEXT` let a text go on",
        )));
    }
    let pictures = args.inputs.iter().any(|input| is_picture(&input.to_string_lossy()));
    let most = if args.output.is_some() || pictures { MOST_DRAWN } else { 0 };
    let answers = engine::predict(&args.file, &args.inputs, &settings, (most, &wanted))?;
    let predictions = answers.predictions;
    warn_of_no_numbers(&predictions);
    let table = write_table(args, &predictions);
    if pictures && matches!(table, Table::Text) {
        output::write(&best(&answers.drawn));
    }
    match &args.output {
        Some(path) => write_pictures(path, answers.drawn, predictions.rows.len()),
        None => Ok(()),
    }
}

/// What `generate` says: of a prompt, or of the examples of files.
fn generate(args: &RunArgs, settings: &Settings, wanted: &Wanted) -> Result<(), Trouble> {
    if let Some(path) = &args.output {
        let message = Message::new(format!("{}: `-o` is for pictures and for `--eval`", path.display()));
        return Err(Trouble::Usage(message.help("text goes to standard output: `> FILE`")));
    }
    if args.inputs.is_empty() {
        return tell(args, settings, wanted);
    }
    if args.prompt.is_some() {
        let message = Message::new("a file and a prompt are two things to go on from");
        return Err(Trouble::Usage(message.help("leave one of them out")));
    }
    let Some(told) = engine::told_of(&args.file, &args.inputs, settings, wanted)? else {
        let message = Message::new("the network tells of no examples: it continues a prompt");
        return Err(Trouble::Usage(message.help("leave out the file, and give `--prompt TEXT`")));
    };
    write_table(args, &told);
    Ok(())
}

/// Text as soon as it is there, or as one object with how fast it came.
fn tell(args: &RunArgs, settings: &Settings, wanted: &Wanted) -> Result<(), Trouble> {
    if matches!(args.format, Table::Csv) {
        let message = Message::new("one text is no table: `--format csv` is for the examples of a file");
        return Err(Trouble::Usage(message.help("leave it out, or write `--json`")));
    }
    if args.json || matches!(args.format, Table::Json) {
        let mut text = String::new();
        let told = engine::generate(&args.file, settings, wanted, &mut |piece| text += piece)?;
        let rate = told.per_second.map_or(Value::Null, |rate| json!(rate.round()));
        output::line(&json!({ "text": text, "symbols": told.symbols, "per_second": rate }).to_string());
        return Ok(());
    }
    let told = engine::generate(&args.file, settings, wanted, &mut output::write)?;
    output::write("\n");
    if let Some(rate) = told.per_second.filter(|_| !args.recipe.quiet) {
        let (count, noun) = (number::grouped(told.symbols as u64), told.noun);
        output::say(&format!("{count} {noun}s, {} a second\n", number::grouped(rate.round() as u64)));
    }
    Ok(())
}

/// One layer, and no predictions.
fn show(args: &RunArgs, layer: &str, path: &Path, settings: &Settings) -> Result<(), Trouble> {
    let input = match &args.inputs[..] {
        [] => None,
        [input] => Some(input.as_path()),
        _ => return Err(Trouble::usage("a layer is shown for one file at a time")),
    };
    let (said, picture) = engine::show_layer(&args.file, input, layer, settings)?;
    picture.write(path).map_err(|error| unwritable(path, &error))?;
    output::write(&format!("{said}\n"));
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::usage(format!("cannot write {}: {error}", path.display()))
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"))
}

/// The best classes of each picture.
fn best(drawn: &[Drawn]) -> String {
    let mut text = String::new();
    for one in drawn.iter().filter(|one| !one.best.is_empty()) {
        let wide = one.best.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        text += &format!("\n{}\n", one.title);
        for (name, share) in &one.best {
            text += &format!("  {name:<wide$}  {:>5.1} %\n", share * 100.0);
        }
    }
    text
}

/// One example fills the picture, several are a sheet.
fn write_pictures(path: &Path, drawn: Vec<Drawn>, all: usize) -> Result<(), Trouble> {
    if all > drawn.len() {
        output::say(&format!("note: {} shows the first {} of {all} examples\n", path.display(), drawn.len()));
    }
    let cells: Vec<draw::Cell> = drawn.into_iter().map(|one| draw::Cell::new(one.picture, vec![one.title])).collect();
    let columns = (cells.len() as f64).sqrt().ceil() as usize;
    let written = draw::sheet("", &cells, columns).write(path);
    written.map_err(|error| unwritable(path, &error))
}

fn write_table(args: &RunArgs, predictions: &Predictions) -> Table {
    let table = if args.json { Table::Json } else { args.format };
    output::write(&match table {
        Table::Text => {
            let (short, note) = in_short(predictions);
            if let Some(note) = note {
                output::say(&format!("note: {note}; `--format csv` and `--json` print them all\n"));
            }
            text(&short)
        }
        Table::Json => json_lines(predictions),
        Table::Csv => csv(predictions),
    });
    table
}

/// Infinite or no number at all: the weights or the input are to blame, and JSON can only say `null`.
fn warn_of_no_numbers(predictions: &Predictions) {
    let is_bad = |cell: &Cell| matches!(cell, Cell::Number(number) if !number.is_finite());
    let bad = predictions.rows.iter().filter(|row| row.iter().any(is_bad)).count();
    if bad > 0 {
        let all = predictions.rows.len();
        output::say(&format!(
            "warning: {bad} of {all} answers hold values that are not finite numbers\n\
             \x20 = help: where it is all of them, the model's weights are not finite: train again, \
             with a smaller learning rate\n"
        ));
    }
}

/// Columns of one output that are written out: of those with names, and of those with numbers. A mask has thousands.
const WIDEST: [usize; 2] = [128, 32];

/// Outputs of very many values in a few words each, and how many values those have.
fn in_short(predictions: &Predictions) -> (Predictions, Option<String>) {
    let name = |column: &String| column.split(['[', '.']).next().unwrap_or_default().to_string();
    let (mut short, mut note) = (Predictions { columns: vec![], rows: vec![vec![]; predictions.rows.len()] }, None);
    let mut at = 0;
    for columns in predictions.columns.chunk_by(|a, b| name(a) == name(b)) {
        let own = at..at + columns.len();
        at = own.end;
        let long = columns.len() > WIDEST[usize::from(columns[0].contains('['))];
        match long {
            true => short.columns.push(name(&columns[0])),
            false => short.columns.extend_from_slice(columns),
        }
        for (row, out) in predictions.rows.iter().zip(&mut short.rows) {
            let cells = row.get(own.clone()).unwrap_or_default();
            match long {
                true => out.push(Cell::Text(summed(cells))),
                false => out.extend_from_slice(cells),
            }
        }
        if long {
            note = Some(format!("`{}` has {} values", name(&columns[0]), number::grouped(columns.len() as u64)));
        }
    }
    (short, note)
}

/// The commonest of texts with their shares, or the range of numbers.
fn summed(cells: &[Cell]) -> String {
    let mut counts: std::collections::BTreeMap<&str, usize> = Default::default();
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for cell in cells {
        match cell {
            Cell::Text(text) if !text.is_empty() => *counts.entry(text).or_default() += 1,
            Cell::Number(number) => (least, most) = (least.min(*number), most.max(*number)),
            _ => {}
        }
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let share = |(text, count): &(&str, usize)| format!("{text} {:.1} %", *count as f64 * 100.0 / all as f64);
    match counts.is_empty() {
        true => format!("{} .. {}", least as f32, most as f32),
        false => counts.iter().take(5).map(share).collect::<Vec<_>>().join(", "),
    }
}

/// Columns of equal width under a heading.
fn text(predictions: &Predictions) -> String {
    let rows: Vec<Vec<String>> = predictions.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> =
        predictions.columns.iter().enumerate().map(|(i, name)| name.chars().count().max(width(i))).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, &w)| format!("{cell:<w$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    line(&predictions.columns) + &rows.iter().map(|row| line(row)).collect::<String>()
}

/// One object a line.
fn json_lines(predictions: &Predictions) -> String {
    let object = |row: &Vec<Cell>| {
        let cells = predictions.columns.iter().zip(row).map(|(name, cell)| (name.clone(), value(cell)));
        format!("{}\n", Value::Object(cells.collect::<Map<_, _>>()))
    };
    predictions.rows.iter().map(object).collect()
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Number(number) => self::number(*number),
        Cell::Text(text) => json!(text),
        Cell::Boxes(boxes) => boxes.iter().map(object).collect(),
    }
}

/// One box: class, score, and left, top, right, bottom in points of the picture.
fn object(found: &ShownBox) -> Value {
    let place = found.corners.map(|x| number((x * 100.0).round() / 100.0));
    json!({ "class": found.class, "score": number(found.score), "box": place })
}

/// With the digits of the 32-bit number that it is; whole numbers without a point.
fn number(value: f64) -> Value {
    match value {
        x if x.fract() == 0.0 && x.abs() < 1e15 => json!(x as i64),
        x => format!("{}", x as f32).parse::<f64>().map_or(Value::Null, |x| json!(x)),
    }
}

fn csv(predictions: &Predictions) -> String {
    let line = |cells: Vec<String>| cells.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(",") + "\n";
    let rows = predictions.rows.iter().map(|row| line(row.iter().map(shown).collect()));
    line(predictions.columns.clone()) + &rows.collect::<String>()
}

fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_string(),
    }
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Number(number) => format!("{}", *number as f32),
        Cell::Text(text) => text.clone(),
        Cell::Boxes(boxes) => {
            let one = |found: &ShownBox| {
                let [left, top, right, bottom] = found.corners.map(f64::round);
                format!("{} {:.2} [{left} {top} {right} {bottom}]", found.class, found.score)
            };
            boxes.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms_of_one_table() {
        let table = Predictions {
            columns: vec!["answer".into(), "sure".into()],
            rows: vec![
                vec![Cell::Text("not X".into()), Cell::Number(0.5)],
                vec![Cell::Text("a,b".into()), Cell::Number(1.0)],
            ],
        };
        assert_eq!(text(&table), "answer  sure\nnot X   0.5\na,b     1\n");
        let many = |cell: Cell| {
            let columns = (0..200).map(|i| format!("mask[0,{i}]")).chain(["sure".into()]).collect();
            let other = Cell::Text("b".into());
            let row = (0..200).map(|i| if i < 50 { other.clone() } else { cell.clone() }).chain([Cell::Number(0.5)]);
            in_short(&Predictions { columns, rows: vec![row.collect()] })
        };
        let (short, note) = many(Cell::Text("a".into()));
        assert_eq!(text(&short), "mask                sure\na 75.0 %, b 25.0 %  0.5\n");
        assert_eq!(note.as_deref(), Some("`mask` has 200 values"));
        assert_eq!(in_short(&table).0, table);
        assert_eq!(summed(&[Cell::Number(2.0), Cell::Number(-1.0)]), "-1 .. 2");
        assert_eq!(csv(&table), "answer,sure\nnot X,0.5\n\"a,b\",1\n");
        assert_eq!(json_lines(&table), "{\"answer\":\"not X\",\"sure\":0.5}\n{\"answer\":\"a,b\",\"sure\":1}\n");
    }
}
