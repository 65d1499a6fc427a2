//! Sources of texts, one a line or one a file, and what fields may read of a source by its name.

use super::args::{Call, Given};
use super::elab::{Elab, Res};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast;
use dlc_runtime::data::cifar;
use dlc_runtime::data::spec::{Cifar, FieldSpec, FieldStep, Lines, Selector, Source};
use dlc_runtime::data::synthetic::{drawn, scenes};

const PARTS: [&str; 3] = ["train", "val", "test"];

/// What fields read by a name of its own; parallel files have names that the program gives.
pub const NAMED: &[&str] =
    &["coarse", "line", "file", "files", "frames", "place", "pairs", "total", "numbers", "passed", "captions"];

impl<'a> Elab<'a> {
    /// `lines("names.txt")`, `lines(neg = "a.txt", pos = "b.txt")`, `lines(de = "{part}.de.gz", train = "train", ...)`
    pub fn lines(&mut self, c: &mut Call<'a>) -> Res<Source> {
        let (parts, encoding) = (self.parts(c)?, self.encoding(c)?);
        let mut files = vec![];
        if let Some(given) = c.queue.pop_front() {
            files.push((String::new(), self.path(given)?));
        }
        for (name, e) in std::mem::take(&mut c.named) {
            if files.iter().any(|(other, _)| other.is_empty()) {
                let e = Diagnostic::error("E0408", name.span, "a file without a name stands alone");
                return Err(self.report(e.help("name each: `lines(neg = \"a.txt\", pos = \"b.txt\")`")));
            }
            files.push((name.node.clone(), self.path(Given::Expr(e))?));
        }
        if files.is_empty() {
            let e = Diagnostic::error("E0407", c.span, "`lines` needs a file");
            return Err(self.report(e.help("write `lines(\"names.txt\")`")));
        }
        Ok(Source::Lines(Lines { files, parts, encoding }))
    }

    /// `folders("reviews")` of texts.
    pub fn documents(&mut self, c: &mut Call<'a>) -> Res<Source> {
        let path = self.take_text(c, "path")?;
        let (parts, encoding) = (self.parts(c)?, self.encoding(c)?);
        Ok(Source::Documents { path, lines: Lines { files: vec![], parts, encoding } })
    }

    fn path(&mut self, given: Given<'a>) -> Res<String> {
        match self.given(given)? {
            (super::value::Val::Text(path), _) => Ok(path),
            (other, at) => self.fail("E0402", at, format!("a path is a text, found {}", other.kind())),
        }
    }

    /// What `{part}` stands for, where that is said.
    fn parts(&mut self, c: &mut Call<'a>) -> Res<[Option<String>; 3]> {
        let mut parts = [None, None, None];
        for (part, name) in parts.iter_mut().zip(PARTS) {
            match self.take_word(c, name)? {
                None => {}
                Some((Ok(text), _)) => *part = Some(text),
                Some((Err(other), at)) => {
                    return self.fail("E0402", at, format!("`{name}` is a text, found {}", other.kind()));
                }
            }
        }
        Ok(parts)
    }

    /// E0502: folders hold texts where a field reads `files`, and then no pictures.
    fn texts_alone(&mut self, d: &ast::Data, fields: &[FieldSpec]) -> Res<()> {
        let texts = fields.iter().find(|field| matches!(&field.from, Selector::Named(name) if name == "files"));
        for field in fields {
            let span = value_of(d, &field.name);
            let drawn = matches!(field.from, Selector::Images | Selector::Masks | Selector::Boxes);
            if let (true, Some(texts)) = (drawn, texts) {
                let message =
                    format!("`{}` reads pictures, and `{}` reads the same files as texts", field.name, texts.name);
                let e = Diagnostic::error("E0502", span, message).label(value_of(d, &texts.name), "these are texts");
                return Err(self.report(e.help("give texts and pictures folders and a `data` each")));
            }
            let symbols = field.dim.is_some() || field.steps.iter().any(|step| matches!(step, FieldStep::Text(_)));
            if matches!(&field.from, Selector::Named(name) if name == "files") && !symbols {
                let message = format!("`files` are texts, and `{}` is numbers", field.name);
                let e = Diagnostic::error("E0502", span, message);
                return Err(self.report(e.help(
                    "pictures are `images`; texts become symbols by `files |> words` or `files |> characters`",
                )));
            }
        }
        Ok(())
    }

    /// E0502: a source has only so many names to read.
    pub fn named_fit(&mut self, d: &ast::Data, source: &Source, fields: &[FieldSpec]) -> Res<()> {
        if matches!(source, Source::Documents { .. }) {
            self.texts_alone(d, fields)?;
        }
        let has = names(source, fields);
        for field in fields {
            let Selector::Named(name) = &field.from else { continue };
            if has.contains(name) {
                continue;
            }
            let span = value_of(d, &field.name);
            let e = Diagnostic::error("E0502", span, format!("this source has no `{name}`"));
            let known = has.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
            return Err(self.report(match has.is_empty() {
                true if matches!(source, Source::Cifar { .. }) => e.help("it has `images` and `labels`"),
                true => e.help("texts come from `lines`, `folders`, `jsonl`, and from columns of `csv`"),
                false => e.help(format!("it has {known}")),
            }));
        }
        Ok(())
    }
}

/// Where the value of a field is written.
fn value_of(d: &ast::Data, name: &str) -> Span {
    let mut written = d.fields.iter().filter(|f| f.targets.iter().any(|t| t.name.node == name));
    written.next().map_or(d.name.span, |f| f.value.span)
}

/// What a source can be asked for by name.
fn names(source: &Source, fields: &[FieldSpec]) -> Vec<String> {
    let texts = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    match source {
        Source::Lines(lines) => {
            let named: Vec<String> =
                lines.files.iter().map(|(name, _)| name.clone()).filter(|n| !n.is_empty()).collect();
            let parallel = fields.iter().any(|f| matches!(&f.from, Selector::Named(name) if named.contains(name)));
            if parallel { named } else { texts(&["line", "file"]) }
        }
        Source::Documents { .. } => texts(&["files", "folder"]),
        Source::Cifar { which: Cifar::Hundred, .. } => texts(&[cifar::COARSE]),
        Source::Synthetic { name, .. } if name == "scenes" => texts(&scenes::PARTS),
        Source::Synthetic { name, .. } => texts(drawn::parts(name)),
        _ => vec![],
    }
}

/// The paths of a source of texts.
pub fn paths(source: &Source) -> Vec<&String> {
    match source {
        Source::Lines(lines) => lines.files.iter().map(|(_, path)| path).collect(),
        Source::Documents { path, .. } | Source::Jsonl { path, .. } => vec![path],
        _ => vec![],
    }
}

/// Whether the parts of the split are files of their own.
pub fn has_parts(source: &Source) -> bool {
    matches!(source, Source::Lines(_) | Source::Documents { .. }) && paths(source).iter().any(|p| p.contains("{part}"))
}
