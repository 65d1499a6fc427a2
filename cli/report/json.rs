//! One JSON object a line.

use dlc_compiler::base::{Diagnostic, Failed, Label, SourceMap, Span};
use serde_json::{Value, json};

use crate::trouble::Message;

pub fn render(failed: &Failed) -> String {
    failed.diagnostics.iter().map(|d| format!("{}\n", object(d, &failed.sources))).collect()
}

/// A message without a place, in the same form.
pub fn loose(message: &Message) -> String {
    let notes: Vec<Value> = message.notes.iter().map(|n| json!({ "text": n })).collect();
    let object = json!({
        "code": message.code, "severity": "error", "message": message.text, "place": null,
        "labels": [], "notes": notes, "help": message.help,
    });
    format!("{object}\n")
}

fn object(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let labels: Vec<Value> = diagnostic.secondary.iter().map(|l| label(l, sources)).collect();
    let note = |(text, span): &(String, Option<Span>)| match span {
        Some(span) => json!({ "text": text, "place": place(*span, sources) }),
        None => json!({ "text": text }),
    };
    let notes: Vec<Value> = diagnostic.notes.iter().map(note).collect();
    json!({
        "code": diagnostic.code,
        "severity": super::severity(diagnostic.severity),
        "message": diagnostic.message,
        "place": place(diagnostic.primary.span, sources),
        "label": diagnostic.primary.text,
        "labels": labels,
        "notes": notes,
        "help": diagnostic.help,
    })
}

fn label(label: &Label, sources: &SourceMap) -> Value {
    json!({ "text": label.text, "place": place(label.span, sources) })
}

/// Lines and columns from 1, columns in characters, the end exclusive; bytes from 0.
fn place(span: Span, sources: &SourceMap) -> Value {
    let (line, column) = sources.line_column(span.source, span.start);
    let (end_line, end_column) = sources.line_column(span.source, span.end);
    json!({
        "file": sources.get(span.source).name, "line": line, "column": column,
        "end_line": end_line, "end_column": end_column, "bytes": [span.start, span.end],
    })
}
