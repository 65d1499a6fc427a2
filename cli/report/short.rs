//! `file:line:column: error[E0304]: message`, one line each.

use dlc_compiler::base::Failed;

pub fn render(failed: &Failed) -> String {
    let mut text = String::new();
    for diagnostic in &failed.diagnostics {
        let span = diagnostic.primary.span;
        let (line, column) = failed.sources.line_column(span.source, span.start);
        let name = &failed.sources.get(span.source).name;
        let message = diagnostic.message.replace('\n', " ");
        text += &format!("{name}:{line}:{column}: {}: {message}\n", super::heading(diagnostic));
    }
    text
}
