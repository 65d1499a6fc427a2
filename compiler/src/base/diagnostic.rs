//! What the compiler tells the user: a code, a sentence, places, and a way out.
//!
//! Rendering is not done here: `cli/report.rs` draws for people, editors and programs.

use super::span::{SourceMap, Span};

/// A message's code, `E0304`, or a lint's name, `unused_value`.
pub type Code = &'static str;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    Error,
    Warning,
}

/// A place and what is to be said about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// One message. Build it with [`Diagnostic::error`] and the chained setters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    /// Stands alone: lower case, no full stop, both sides of a mismatch.
    pub message: String,
    /// The culprit; the text may be empty.
    pub primary: Label,
    /// The reasons ("`s` is [h: 32, w: 32, c: 16]").
    pub secondary: Vec<Label>,
    /// Facts; with a span where there is one ("in block `Residual`, called here").
    pub notes: Vec<(String, Option<Span>)>,
    /// What to do, only if it is right for this program.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, code, span, message)
    }

    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, code, span, message)
    }

    fn new(severity: Severity, code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity,
            message: message.into(),
            primary: Label { span, text: String::new() },
            secondary: vec![],
            notes: vec![],
            help: None,
        }
    }

    /// Text at the primary place.
    pub fn here(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.secondary.push(Label { span, text: text.into() });
        self
    }

    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push((text.into(), None));
        self
    }

    pub fn note_at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.notes.push((text.into(), Some(span)));
        self
    }

    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}

/// A compilation that ended with errors, or the warnings of one that did not.
#[derive(Clone, Debug, Default)]
pub struct Failed {
    pub sources: SourceMap,
    /// Sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}
