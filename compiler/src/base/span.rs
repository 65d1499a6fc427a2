//! Places in source text.

use std::fmt;

/// Which text of a [`SourceMap`] a span points into.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SourceId(pub u32);

/// A range of bytes of one source text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span {
    pub source: SourceId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The smallest span that covers both (of the same source).
    pub fn to(self, other: Span) -> Span {
        Span { source: self.source, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A thing and where it was written.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Spanned<T> {
    pub node: T,
    pub span: Span,
}

/// One text: a file of the user or of the standard library.
#[derive(Clone, Debug)]
pub struct SourceText {
    /// As shown in messages: `lenet.dl`, `stdlib/attention.dl`.
    pub name: String,
    pub text: String,
}

/// All texts of one compilation.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    texts: Vec<SourceText>,
}

impl SourceMap {
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.texts.push(SourceText { name: name.into(), text: text.into() });
        SourceId(self.texts.len() as u32 - 1)
    }

    pub fn get(&self, id: SourceId) -> &SourceText {
        &self.texts[id.0 as usize]
    }

    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source).text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn line_column(&self, source: SourceId, byte: u32) -> (usize, usize) {
        let text = &self.get(source).text;
        let mut end = (byte as usize).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &SourceText)> {
        self.texts.iter().enumerate().map(|(i, t)| (SourceId(i as u32), t))
    }
}

/// Which half of a training step a value belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Role {
    #[default]
    Forward,
    Backward,
    Update,
}

/// Where a value comes from: the answer to "which line is `%41`?", kept to the profile.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Origin {
    /// Path of definitions: `LeNet.logits/conv[1]`.
    pub path: String,
    pub span: Option<Span>,
    pub role: Role,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Forward => write!(f, "{}", self.path),
            Role::Backward => write!(f, "{} backward", self.path),
            Role::Update => write!(f, "{} update", self.path),
        }
    }
}
