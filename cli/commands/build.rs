//! `dlc build FILE`: size, cost and compile time of a network; its model file, or any stage on the way.

use std::path::PathBuf;

use serde_json::json;

use crate::args::{BuildArgs, Format};
use crate::engine::{self, Built, Settings};
use crate::style::Style;
use crate::trouble::Trouble;
use crate::{number, output, report};

pub fn run(args: &BuildArgs, style: &Style) -> Result<(), Trouble> {
    let output = match &args.output {
        Some(path) => Some(path.clone()),
        None if args.emit.is_empty() => Some(beside(args)?),
        None => None,
    };
    let settings = Settings::new(&args.program, &args.machine);
    let batch = args.batch.map(|b| b as usize);
    let built = engine::build(&args.file, &settings, batch, &args.emit, output.as_deref())?;
    let format = if args.json { Format::Json } else { Format::Human };
    if !args.json {
        report::diagnostics(&built.warnings, format, style);
    }
    match (args.json, args.emit.is_empty()) {
        (true, _) => output::line(&object(&built).to_string()),
        (false, true) => output::write(&table(&built, style)),
        (false, false) => {
            for (_, text) in &built.emitted {
                output::line(text.trim_end_matches('\n'));
            }
        }
    }
    Ok(())
}

/// `lenet.dlm` beside `lenet.dl`; a model file is not written onto itself.
fn beside(args: &BuildArgs) -> Result<PathBuf, Trouble> {
    let path = args.file.with_extension("dlm");
    match path == args.file {
        true => Ok(args.file.with_extension("built.dlm")),
        false => Ok(path),
    }
}

fn table(built: &Built, style: &Style) -> String {
    let mut text = format!("{}\n", style.bold(&built.model));
    let mut row = |name: &str, value: String| text += &format!("  {name:<16}{value}\n");
    let weights = built.weights;
    row("weights", format!("{} ({})", number::grouped(weights), number::bytes(weights * 4)));
    row("multiply-adds", format!("{} per example", number::scaled(built.multiply_adds)));
    row("kernels", format!("{} at batch {}", built.kernels, built.batch));
    row("arena", number::bytes(built.arena_bytes));
    row("state", number::bytes(built.state_bytes));
    let total: f64 = built.timings.iter().map(|(_, s)| s).sum();
    let stages: Vec<String> = built.timings.iter().map(|(name, s)| format!("{name} {:.1}", s * 1e3)).collect();
    row("compile time", format!("{:.1} ms ({})", total * 1e3, stages.join(", ")));
    if let Some(path) = &built.written {
        row("written", path.display().to_string());
    }
    text
}

fn object(built: &Built) -> serde_json::Value {
    let timings: serde_json::Map<String, serde_json::Value> =
        built.timings.iter().map(|(name, s)| (name.clone(), json!(s * 1e3))).collect();
    let emitted: serde_json::Map<String, serde_json::Value> =
        built.emitted.iter().map(|(stage, text)| (format!("{stage:?}").to_lowercase(), json!(text))).collect();
    json!({
        "model": built.model, "weights": built.weights, "multiply_adds": built.multiply_adds, "batch": built.batch,
        "kernels": built.kernels, "arena_bytes": built.arena_bytes, "state_bytes": built.state_bytes,
        "compile_ms": timings, "compile_total_ms": built.timings.iter().map(|(_, s)| s * 1e3).sum::<f64>(),
        "emit": emitted, "written": built.written,
    })
}
