//! What `dlc data` says to people: tables with one column for each part.

use crate::engine::{Doubles, FieldLook, Kind, LookedAt, PartLook, Range};
use crate::number::grouped;

/// Classes and symbols that are listed.
const LISTED: usize = 24;
/// Letters of a cell that `--head` prints.
const WIDE: usize = 48;

pub fn all(seen: &LookedAt) -> String {
    let parts: Vec<String> =
        seen.parts.iter().map(|(part, count)| format!("{} {part}", grouped(*count as u64))).collect();
    let mut text = format!("{}  {} examples: {}\n", seen.name, grouped(seen.examples as u64), parts.join(", "));
    seen.fields.iter().for_each(|field| text += &format!("\n{}", of_field(field)));
    text += &format!("\n{}", duplicates(&seen.doubles));
    if !seen.head.is_empty() {
        text += &format!("\n{}", head(seen));
    }
    text
}

fn of_field(field: &FieldLook) -> String {
    let axes: Vec<String> = field.axes.iter().map(|(name, size)| format!("{name}: {size}")).collect();
    let shape = if axes.is_empty() { String::new() } else { format!("[{}]  ", axes.join(", ")) };
    let said = match &field.kind {
        Kind::Numbers(_) => "numbers, after the steps of the field".to_string(),
        Kind::Classes { dim, names } => format!("{} classes of `{dim}`", grouped(names.len() as u64)),
        Kind::Texts { dim, names, most } => {
            let most = grouped(*most as u64);
            format!("texts of at most {most} symbols, {} in the vocabulary `{dim}`", grouped(names.len() as u64))
        }
        Kind::Boxes { names } => format!("boxes of {} classes", names.len()),
    };
    let mut rows: Vec<Vec<String>> = vec![];
    let titles = std::iter::once(String::new()).chain(field.parts.iter().map(|look| look.part.name().to_string()));
    rows.push(titles.collect());
    let mut row = |name: &str, cell: &dyn Fn(&PartLook) -> String| {
        rows.push(std::iter::once(name.to_string()).chain(field.parts.iter().map(cell)).collect());
    };
    let any = |of: &dyn Fn(&PartLook) -> u64| field.parts.iter().any(|look| of(look) > 0);
    match &field.kind {
        Kind::Numbers(names) => {
            for (at, name) in names.iter().enumerate() {
                let range = move |look: &PartLook| spanned(look.numbers.get(at));
                let name = if name.is_empty() { "least .. most, mean, spread" } else { name };
                row(name, &range);
            }
        }
        Kind::Boxes { names } => {
            row("boxes", &|look| grouped(look.counts.iter().sum::<u64>()));
            row("in a picture, mean", &|look| {
                format!("{} .. {}, {}", look.lengths.least, look.lengths.most, short(look.lengths.mean()))
            });
            row("pictures without", &|look| grouped(look.empty as u64));
            counts(field, names, &mut row);
        }
        Kind::Classes { names, .. } => counts(field, names, &mut row),
        Kind::Texts { names, .. } => {
            row("symbols", &|look| grouped(look.counts.iter().sum::<u64>()));
            row("in a text, mean", &|look| {
                format!("{} .. {}, {}", look.lengths.least, look.lengths.most, short(look.lengths.mean()))
            });
            row("not in the vocabulary", &|look| grouped(look.unknown));
            counts(field, names, &mut row);
        }
    }
    if any(&|look| look.ignored) {
        row("(left out)", &|look| grouped(look.ignored));
    }
    if any(&|look| look.missing as u64) {
        row("(was missing)", &|look| grouped(look.missing as u64));
    }
    let note = match &field.kind {
        Kind::Numbers(names) if names.len() > 1 || !names[0].is_empty() => ": least .. most, mean, spread",
        _ => "",
    };
    format!("{}  {shape}{said}{note}\n{}", field.name, table(&rows))
}

/// The classes with their counts, the most frequent of many.
fn counts(field: &FieldLook, names: &[String], row: &mut dyn FnMut(&str, &dyn Fn(&PartLook) -> String)) {
    let sum = |class: usize| field.parts.iter().map(|look| look.counts.get(class).copied().unwrap_or(0)).sum::<u64>();
    let mut order: Vec<usize> = (0..names.len()).collect();
    if names.len() > LISTED {
        order.sort_by_key(|class| std::cmp::Reverse(sum(*class)));
    }
    let (listed, rest) = order.split_at(order.len().min(LISTED));
    for class in listed {
        let of = |look: &PartLook| {
            let (count, all) = (look.counts.get(*class).copied().unwrap_or(0), look.counts.iter().sum::<u64>());
            format!("{}  {:4.1} %", grouped(count), 100.0 * count as f64 / all.max(1) as f64)
        };
        row(&visible(&names[*class]), &of);
    }
    if !rest.is_empty() {
        let of = |look: &PartLook| {
            grouped(rest.iter().map(|class| look.counts.get(*class).copied().unwrap_or(0)).sum::<u64>())
        };
        row(&format!("... {} more", grouped(rest.len() as u64)), &of);
    }
}

/// A name that is white space, so that it is seen.
fn visible(name: &str) -> String {
    let blank = name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control());
    let short: String = name.chars().take(WIDE).collect();
    if blank { format!("{short:?}") } else { short }
}

fn spanned(range: Option<&Range>) -> String {
    match range.filter(|range| range.count > 0) {
        Some(range) => {
            // What is left of a sum of roundings is no mean.
            let size = range.least.abs().max(range.most.abs());
            let mean = if range.mean().abs() < 1e-6 * size { 0.0 } else { range.mean() };
            let numbers = [range.least, range.most, mean, range.spread()].map(short);
            let [least, most, mean, spread] = numbers;
            format!("{least} .. {most}, {mean}, {spread}")
        }
        None => "-".into(),
    }
}

/// Four digits.
fn short(x: f64) -> String {
    match x.abs() {
        _ if x == 0.0 => "0".into(),
        size if (1e-3..1e6).contains(&size) => {
            let places = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            let text = format!("{x:.places$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
        }
        _ => format!("{x:.2e}"),
    }
}

fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells =
            cells.map(|(at, (cell, w))| if at == 0 { format!("  {cell:<w$}") } else { format!("  {cell:>w$}") });
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

fn duplicates(all: &[Doubles]) -> String {
    if all.is_empty() {
        return "duplicates: none\n".into();
    }
    let mut text = "duplicates\n".to_string();
    for found in all {
        let (first, second) = (found.first.name(), found.second.name());
        let place = if first == second { format!("twice in {first}") } else { format!("{second} and {first}") };
        let mut said = vec![];
        if found.equal > 0 {
            said.push(format!("{} equal", grouped(found.equal as u64)));
        }
        if found.alike > 0 {
            said.push(format!("{} with equal inputs and other answers", grouped(found.alike as u64)));
        }
        let pairs: Vec<String> = found.pairs.iter().map(|(a, b)| format!("{a} = {b}")).collect();
        let more = if found.equal + found.alike > found.pairs.len() { ", ..." } else { "" };
        text += &format!("  {place}: {} ({}{more})\n", said.join(", "), pairs.join(", "));
    }
    text
}

fn head(seen: &LookedAt) -> String {
    let mut rows = vec![];
    let names = seen.head.first().map_or(&[][..], |(_, fields)| fields);
    rows.push(std::iter::once("example".to_string()).chain(names.iter().map(|(name, _)| name.clone())).collect());
    for (example, fields) in &seen.head {
        let cut = |text: &String| match text.chars().count() > WIDE {
            true => format!("{}...", text.chars().take(WIDE - 3).collect::<String>()),
            false => text.clone(),
        };
        rows.push(
            std::iter::once(example.to_string()).chain(fields.iter().map(|(_, text)| cut(text))).collect::<Vec<_>>(),
        );
    }
    table(&rows)
}
