//! Messages with the lines they are about, drawn by miette.

use std::fmt;

use dlc_compiler::base::{Diagnostic, Failed, Label, Severity, SourceMap, Span};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, NamedSource, SourceCode,
    SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};

use crate::style::Style;

/// The width is fixed, so that the same text comes out everywhere.
const WIDTH: usize = 100;

/// A longer line (a program on one line, ten thousand brackets) is not drawn: the short form says enough.
const LONGEST_LINE: usize = 400;

pub fn render(failed: &Failed, style: &Style) -> String {
    let handler = handler(style);
    failed.diagnostics.iter().map(|d| one(d, &failed.sources, &handler) + "\n").collect()
}

fn handler(style: &Style) -> GraphicalReportHandler {
    let theme = GraphicalTheme {
        characters: if style.unicode { ThemeCharacters::unicode() } else { ThemeCharacters::ascii() },
        styles: if style.color { ThemeStyles::ansi() } else { ThemeStyles::none() },
    };
    GraphicalReportHandler::new_themed(theme)
        .with_width(WIDTH)
        .with_links(false)
        .with_wrap_lines(false)
        .without_syntax_highlighting()
}

/// The message itself, then every note that has a place, then those without.
fn one(diagnostic: &Diagnostic, sources: &SourceMap, handler: &GraphicalReportHandler) -> String {
    let here = diagnostic.primary.span.source;
    let (same, elsewhere): (Vec<&Label>, Vec<&Label>) =
        diagnostic.secondary.iter().partition(|l| l.span.source == here);
    let mut labels = vec![label(&diagnostic.primary, sources, true)];
    labels.extend(same.iter().map(|l| label(l, sources, false)));
    let severity = match diagnostic.severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
    };
    let drawable = drawable(diagnostic.primary.span, sources);
    let at = if drawable { String::new() } else { format!("\n{}", position(diagnostic.primary.span, sources)) };
    let mut text = draw(
        handler,
        &View {
            heading: format!("{}: {}{at}", super::heading(diagnostic), diagnostic.message),
            severity,
            help: diagnostic.help.clone(),
            drawable,
            source: Shown(named(diagnostic.primary.span, sources)),
            labels,
        },
    );
    for other in elsewhere {
        text += &note(&other.text, Some(other.span), sources, handler);
    }
    for (note_text, span) in &diagnostic.notes {
        text += &note(note_text, *span, sources, handler);
    }
    text
}

fn note(text: &str, span: Option<Span>, sources: &SourceMap, handler: &GraphicalReportHandler) -> String {
    let Some(span) = span else {
        return format!("  note: {}\n", text.replace('\n', "\n        "));
    };
    draw(
        handler,
        &View {
            heading: format!("note: {text}"),
            severity: miette::Severity::Advice,
            help: None,
            drawable: drawable(span, sources),
            source: Shown(named(span, sources)),
            labels: vec![label(&Label { span, text: String::new() }, sources, true)],
        },
    )
}

fn draw(handler: &GraphicalReportHandler, view: &View) -> String {
    let mut text = String::new();
    match handler.render_report(&mut text, view) {
        Ok(()) => text,
        // Nothing that miette cannot draw may hide the message.
        Err(_) => format!("{}\n", view.heading),
    }
}

/// Whether the line and its neighbours, which miette shows too, are short enough to be of use.
fn drawable(span: Span, sources: &SourceMap) -> bool {
    sources.get(span.source).text.lines().all(|line| line.len() <= LONGEST_LINE)
}

/// `--> lenet.dl:3:7`
fn position(span: Span, sources: &SourceMap) -> String {
    let (line, column) = sources.line_column(span.source, span.start);
    format!("--> {}:{line}:{column}", sources.get(span.source).name)
}

fn named(span: Span, sources: &SourceMap) -> NamedSource<String> {
    let source = sources.get(span.source);
    NamedSource::new(&source.name, source.text.clone())
}

/// Labels stay on their first line: what runs over many lines is marked where it begins.
fn label(label: &Label, sources: &SourceMap, primary: bool) -> LabeledSpan {
    let text = &sources.get(label.span.source).text;
    let start = (label.span.start as usize).min(text.len());
    let mut end = (label.span.end as usize).clamp(start, text.len());
    if let Some(newline) = text.get(start..end).and_then(|t| t.find('\n')) {
        end = start + newline;
    }
    let words = (!label.text.is_empty()).then(|| label.text.clone());
    match primary {
        true => LabeledSpan::new_primary_with_span(words, (start, end - start)),
        false => LabeledSpan::new_with_span(words, (start, end - start)),
    }
}

/// One message in miette's terms.
#[derive(Debug)]
struct View {
    heading: String,
    severity: miette::Severity,
    help: Option<String>,
    drawable: bool,
    source: Shown,
    labels: Vec<LabeledSpan>,
}

/// A text of which miette shows some lines.
#[derive(Debug)]
struct Shown(NamedSource<String>);

impl SourceCode for Shown {
    /// A line of data stands alone in its text, behind empty lines that make its number right: these are not shown.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = self.0.inner();
        let line = text.trim_start_matches('\n');
        let exact = before == 0 && after == 0;
        if exact || line.is_empty() || line.contains('\n') || text.len() == line.len() {
            return self.0.read_span(span, before, after);
        }
        let start = text.len() - line.len();
        let whole = SourceSpan::new(start.into(), line.len());
        let name = self.0.name().to_string();
        Ok(Box::new(MietteSpanContents::new_named(name, line.as_bytes(), whole, start, 0, 1)))
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.heading)
    }
}

impl std::error::Error for View {}

impl miette::Diagnostic for View {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.drawable.then_some(&self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.drawable.then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}
