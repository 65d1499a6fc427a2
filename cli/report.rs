//! Messages to people, editors and programs: the three forms of a diagnostic.

pub mod data;
mod human;
mod json;
pub mod kernels;
mod short;

use dlc_compiler::base::{Diagnostic, Failed, Severity};

use crate::args::Format;
use crate::output;
use crate::style::Style;
use crate::trouble::{Message, Trouble};

/// Writes what ended a command.
pub fn trouble(trouble: &Trouble, format: Format, style: &Style) {
    match trouble {
        Trouble::Program(failed) => diagnostics(failed, format, style),
        Trouble::Data(message) | Trouble::Usage(message) | Trouble::Goal(message) => {
            output::say(&loose(message, format));
        }
        Trouble::Interrupted(text) => output::say(&format!("{text}\n")),
    }
}

/// Writes all messages of a compilation; `short` and `json` are results for other programs.
pub fn diagnostics(failed: &Failed, format: Format, style: &Style) {
    match format {
        Format::Human => output::say(&format!("{}{}", human::render(failed, style), summary(failed))),
        Format::Short => output::write(&short::render(failed)),
        Format::Json => output::write(&json::render(failed)),
    }
}

/// `2 errors, 1 warning`, after the last message.
fn summary(failed: &Failed) -> String {
    let errors = count(failed, Severity::Error);
    let warnings = count(failed, Severity::Warning);
    let part = |n: usize, what: &str| match n {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{n} {what}s")),
    };
    let parts: Vec<String> = [part(errors, "error"), part(warnings, "warning")].into_iter().flatten().collect();
    let first = failed.diagnostics.iter().find(|d| d.severity == Severity::Error);
    let more = first.map_or_else(String::new, |d| format!("; `dlc explain {}` says more", d.code));
    if parts.is_empty() { String::new() } else { format!("{}{more}\n", parts.join(", ")) }
}

/// How many messages of one severity there are.
pub fn count(failed: &Failed, severity: Severity) -> usize {
    failed.diagnostics.iter().filter(|d| d.severity == severity).count()
}

/// A message without a place.
fn loose(message: &Message, format: Format) -> String {
    if format == Format::Json {
        return json::loose(message);
    }
    let code = message.code.map_or_else(String::new, |code| format!("[{code}]"));
    let mut text = format!("error{code}: {}\n", message.text);
    for note in &message.notes {
        text += &format!("  = note: {note}\n");
    }
    if let Some(help) = &message.help {
        text += &format!("  = help: {help}\n");
    }
    text
}

/// `error[E0304]`, `warning[unused_value]`.
fn heading(diagnostic: &Diagnostic) -> String {
    format!("{}[{}]", severity(diagnostic.severity), diagnostic.code)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
