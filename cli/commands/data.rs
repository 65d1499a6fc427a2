//! `dlc data FILE`: what the data of a program holds.

mod text;

use serde_json::{Value, json};

use crate::args::DataArgs;
use crate::engine::{self, FieldLook, Kind, LookedAt, PartLook, Range};
use crate::output;
use crate::trouble::{Message, Trouble};

pub fn run(args: &DataArgs) -> Result<(), Trouble> {
    let is_png = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
    if let Some(path) = args.sheet.as_ref().filter(|path| !is_png(path)) {
        let message = Message::new(format!("{}: pictures are written as PNG", path.display()));
        return Err(Trouble::Usage(message.help("name a file that ends in .png")));
    }
    let seen = engine::look(args)?;
    if let (Some(path), Some(sheet)) = (&args.sheet, &seen.sheet) {
        let written = sheet.write(path);
        written.map_err(|error| Trouble::usage(format!("cannot write {}: {error}", path.display())))?;
    }
    if args.json {
        output::line(&object(&seen).to_string());
        return Ok(());
    }
    seen.notes.iter().for_each(|note| output::say(&format!("{note}\n")));
    output::write(&text::all(&seen));
    Ok(())
}

fn object(seen: &LookedAt) -> Value {
    let parts: serde_json::Map<String, Value> =
        seen.parts.iter().map(|(part, count)| ((*part).to_string(), json!(count))).collect();
    let doubles = seen.doubles.iter().map(|d| {
        json!({
            "first": d.first.name(), "second": d.second.name(), "equal": d.equal,
            "equal_inputs_only": d.alike, "pairs": d.pairs,
        })
    });
    let head = seen.head.iter().map(|(example, fields)| {
        let fields: serde_json::Map<String, Value> = fields.iter().map(|(name, x)| (name.clone(), json!(x))).collect();
        json!({ "example": example, "fields": fields })
    });
    json!({
        "data": seen.name, "examples": seen.examples, "parts": parts,
        "fields": seen.fields.iter().map(field).collect::<Vec<_>>(),
        "duplicates": doubles.collect::<Vec<_>>(), "head": head.collect::<Vec<_>>(), "notes": seen.notes,
    })
}

fn field(field: &FieldLook) -> Value {
    let mut all = json!({
        "name": field.name,
        "axes": field.axes.iter().map(|(name, size)| json!({ "name": name, "size": size })).collect::<Vec<_>>(),
        "kind": match &field.kind {
            Kind::Numbers(_) => "numbers",
            Kind::Classes { .. } => "classes",
            Kind::Texts { .. } => "texts",
            Kind::Boxes { .. } => "boxes",
        },
        "parts": field.parts.iter().map(|look| (look.part.name().to_string(), part(&field.kind, look))).collect::<serde_json::Map<_, _>>(),
    });
    if let Kind::Classes { dim, names } | Kind::Texts { dim, names, .. } = &field.kind {
        all["dim"] = json!(dim);
        all["size"] = json!(names.len());
    }
    all
}

fn part(kind: &Kind, look: &PartLook) -> Value {
    let mut all = json!({ "missing": look.missing });
    let counted = |names: &[String]| -> Value {
        let counts = names.iter().zip(&look.counts).map(|(name, count)| json!({ "name": name, "count": count }));
        counts.collect()
    };
    match kind {
        Kind::Numbers(titles) => {
            let ranges = titles.iter().zip(&look.numbers);
            all["numbers"] = ranges.map(|(title, numbers)| range(Some(title), numbers)).collect();
        }
        Kind::Classes { names, .. } => {
            all["classes"] = counted(names);
            all["ignored"] = json!(look.ignored);
        }
        Kind::Texts { names, .. } => {
            all["lengths"] = range(None, &look.lengths);
            all["unknown"] = json!(look.unknown);
            all["symbols"] = counted(names);
        }
        Kind::Boxes { names } => {
            all["per_picture"] = range(None, &look.lengths);
            all["without"] = json!(look.empty);
            all["ignored"] = json!(look.ignored);
            all["classes"] = counted(names);
        }
    }
    all
}

fn range(title: Option<&String>, range: &Range) -> Value {
    let mut all = json!({
        "count": range.count, "least": range.least, "most": range.most, "mean": range.mean(), "spread": range.spread(),
    });
    if let Some(title) = title.filter(|title| !title.is_empty()) {
        all["name"] = json!(title);
    }
    all
}
