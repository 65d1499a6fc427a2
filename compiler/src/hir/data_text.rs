//! Texts: the source `text`, and the fields of symbols, `characters |> next_token(t)` and `line |> words`.

use super::args::Call;
use super::elab::{Elab, Res};
use super::value::{Element, Size, Table, Val};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Arg, Expr, ExprKind};
use dlc_runtime::data::spec::{Encoding, FieldSpec, FieldStep, Selector, Source, Split, TextStep};

const STEPS: &[&str] = &["lowercase", "characters", "words", "subwords", "next_token"];

/// What the steps of a text come to.
struct Cut {
    steps: Vec<TextStep>,
    next: Option<Next>,
}

/// `next_token`, `next_token(t)`
struct Next {
    length: Option<(usize, Span)>,
    span: Span,
}

fn is_step(e: &Expr) -> bool {
    let callee = match &e.node {
        ExprKind::Call { callee, .. } => callee,
        _ => e,
    };
    matches!(&callee.node, ExprKind::Name(name) if STEPS.contains(&name.as_str()))
}

fn text_steps(steps: Vec<TextStep>) -> Vec<FieldStep> {
    steps.into_iter().map(FieldStep::Text).collect()
}

impl<'a> Elab<'a> {
    /// `text("input.txt", encoding = "latin-1")`
    pub fn text(&mut self, c: &mut Call<'a>) -> Res<Source> {
        let path = self.take_text(c, "path")?;
        Ok(Source::Text { path, encoding: self.encoding(c)? })
    }

    pub fn encoding(&mut self, c: &mut Call<'a>) -> Res<Encoding> {
        Ok(match self.take_word(c, "encoding")? {
            None => Encoding::Utf8,
            Some((Ok(name), at)) => match name.to_ascii_lowercase().as_str() {
                "utf-8" => Encoding::Utf8,
                "latin-1" => Encoding::Latin1,
                _ => {
                    let e = Diagnostic::error("E0410", at, format!("unknown encoding `{name}`"));
                    return Err(self.report(e.help("there are \"utf-8\", which is meant without it, and \"latin-1\"")));
                }
            },
            Some((Err(other), at)) => {
                return self.fail("E0402", at, format!("`encoding` is a text, found {}", other.kind()));
            }
        })
    }

    /// Fields of symbols: of a whole text, `words |> next_token(t)`, or of the texts of a column, `line |> words`.
    pub fn text_value(
        &mut self,
        field: &'a ast::Field,
        (at, target): (usize, &'a ast::Target),
        ty: &Table,
    ) -> Res<Option<(Selector, Vec<FieldStep>)>> {
        let (first, stages): (&'a Expr, &'a [Expr]) = match &field.value.node {
            ExprKind::Pipe(first, stages) => (first, stages),
            _ => (&field.value, &[]),
        };
        let is_whole = is_step(first);
        if !is_whole && !stages.iter().any(is_step) {
            return Ok(None);
        }
        let written = is_whole.then_some(first).into_iter().chain(stages);
        let Cut { mut steps, next } = self.cut(field.value.span, written)?;
        self.symbols_fit(field, target, ty, next.is_some())?;
        let ahead = at == 1;
        if is_whole {
            let length = self.window_length(&field.value, next)?;
            self.window_fits(target, ty, length)?;
            if steps == [TextStep::Characters] {
                steps.clear();
            }
            return Ok(Some((Selector::Characters { length: length.0, ahead }, text_steps(steps))));
        }
        if let Some(Next { length: Some((_, span)), .. }) = next {
            let e = Diagnostic::error("E0410", span, "each text has its own length, and `next_token` takes none");
            return Err(self.report(e.help("write `next_token`; the dim says how many symbols there are at most")));
        }
        self.own_length(target, ty)?;
        if next.is_some() {
            steps.push(TextStep::NextToken { ahead });
        }
        Ok(Some((self.text_column(first)?, text_steps(steps))))
    }

    /// `line`, `column("text")`: where each example has a text.
    fn text_column(&mut self, e: &'a Expr) -> Res<Selector> {
        let (name, args) = self.named_call(e, "a column of texts, such as `line` or `column(\"text\")`,")?;
        match (name.node.as_str(), args) {
            ("column", [Arg::Positional(c)]) => self.column(c).map(Selector::Column),
            ("images" | "labels" | "masks", _) => {
                self.fail("E0502", name.span, format!("`{}` are no texts", name.node))
            }
            (_, []) => Ok(Selector::Named(name.node)),
            _ => self.fail("E0407", e.span, "a column of texts has no arguments, but `column(\"name\")`"),
        }
    }

    /// The steps from a text to symbols: first its letters, then what a symbol is, then which of them.
    fn cut(&mut self, span: Span, stages: impl Iterator<Item = &'a Expr>) -> Res<Cut> {
        let mut cut = Cut { steps: vec![], next: None };
        let mut unit = false;
        for stage in stages {
            let (name, args) = self.named_call(stage, "a step, such as `words`,")?;
            if cut.next.is_some() {
                return self.fail("E0410", stage.span, "nothing can follow `next_token`: its values are indices");
            }
            let mut c = Call::new(&name, vec![], args, stage.span);
            let step = match name.node.as_str() {
                "next_token" => {
                    cut.next = Some(Next { length: self.optional_size(&mut c, "length")?, span: stage.span });
                    self.finish(&mut c)?;
                    continue;
                }
                "lowercase" => TextStep::Lowercase,
                "characters" => TextStep::Characters,
                "words" => TextStep::Words {
                    keep: self.optional_size(&mut c, "keep")?.map(|(keep, _)| keep),
                    min_count: self.optional_size(&mut c, "min_count")?.map_or(1, |(count, _)| count),
                },
                "subwords" => match self.optional_size(&mut c, "keep")? {
                    Some((keep, _)) => TextStep::Subwords { keep },
                    None => {
                        let e = Diagnostic::error("E0407", stage.span, "`subwords` needs the number of its pieces");
                        return Err(self.report(e.help("write `subwords(keep = 8000)`")));
                    }
                },
                "bucket" => {
                    let e = Diagnostic::error(
                        "E0410",
                        stage.span,
                        "`bucket` is no step: batches are formed by length anyway",
                    );
                    return Err(self.report(e.help("leave it out; a dim `t <= n` is all that is needed")));
                }
                other => {
                    let e = Diagnostic::error("E0203", name.span, format!("`{other}` is no step of a text"));
                    return Err(self.report(e.note(format!("there are {}", STEPS.join(", ")))));
                }
            };
            self.finish(&mut c)?;
            if unit {
                return self.fail("E0410", stage.span, "a text is cut into symbols once");
            }
            unit = step != TextStep::Lowercase;
            cut.steps.push(step);
        }
        if !unit {
            let e = Diagnostic::error("E0407", span, "a text needs a step that says what its symbols are");
            return Err(self.report(e.help("write `characters`, `words` or `subwords(keep = 8000)`")));
        }
        Ok(cut)
    }

    fn optional_size(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<Option<(usize, Span)>> {
        match self.take_any(c, name)? {
            None => Ok(None),
            Some((value @ (Val::Dim(_) | Val::Number(_)), at)) => {
                Ok(Some((self.whole_number((value, at), name, 1)?, at)))
            }
            Some((other, at)) => self.fail("E0402", at, format!("`{name}` is a number, found {}", other.kind())),
        }
    }

    /// Indices along one axis, in two fields where the next symbol is told.
    fn symbols_fit(&mut self, field: &ast::Field, target: &ast::Target, ty: &Table, next: bool) -> Res<()> {
        let wanted = if next { 2 } else { 1 };
        let found = field.targets.len();
        if found != wanted && next {
            let message = format!("`next_token` gives 2 fields, and here are {found}");
            let e = Diagnostic::error("E0409", field.span, message);
            return Err(self.report(e.help("write `field tokens: word[t], next: word[t] = ... |> next_token`")));
        }
        if found != wanted {
            let e = Diagnostic::error("E0409", field.value.span, format!("{found} names, but the value is one field"));
            return Err(self.report(e.help("`... |> next_token` gives two; else write a field for each")));
        }
        if let (Element::Index { .. }, [_]) = (&ty.element, &ty.axes[..]) {
            return Ok(());
        }
        let name = &target.name;
        let message = format!("a text gives indices along one axis, and `{}` is {ty}", name.node);
        let e = Diagnostic::error("E0511", name.span, message);
        Err(self.report(e.help(format!("write `{}: word[t]`, with `dim word`", name.node))))
    }

    /// E0511 where an axis has one length for all texts.
    fn own_length(&mut self, target: &ast::Target, ty: &Table) -> Res<()> {
        let Some(axis) = ty.axes.first().filter(|axis| axis.size.variable().is_none()) else { return Ok(()) };
        let message =
            format!("each text has its own length, and axis `{}` of `{}` has one for all", axis.name, target.name.node);
        let e = Diagnostic::error("E0511", target.name.span, message);
        Err(self.report(e.help(format!("say how many symbols it has at most: `dim {} <= 100`", axis.name))))
    }

    fn window_length(&mut self, value: &Expr, next: Option<Next>) -> Res<(usize, Span)> {
        let (span, message) = match next {
            Some(Next { length: Some(length), .. }) => return Ok(length),
            Some(Next { span, .. }) => (span, "`next_token` needs the length of its windows: `next_token(t)`"),
            None => (value.span, "a whole text needs a step that cuts it into windows"),
        };
        let e = Diagnostic::error("E0407", span, message);
        Err(self.report(e.help("windows of t symbols: `characters |> next_token(t)`")))
    }

    fn window_fits(&mut self, target: &ast::Target, ty: &Table, (length, at): (usize, Span)) -> Res<()> {
        let Some(axis) = ty.axes.first().filter(|axis| axis.size != Size::Known(length)) else { return Ok(()) };
        let message = format!("axis `{}` of `{}` is {}", axis.name, target.name.node, axis.size);
        let e = Diagnostic::error("E0511", target.name.span, message).label(at, format!("windows of {length}"));
        Err(self.report(e.help(format!("write `next_token({})`", axis.name))))
    }

    /// A text has characters alone, all fields count the same ones, and its parts follow each other.
    pub fn text_fits(
        &mut self,
        d: &'a ast::Data,
        (source, (split, at)): (&Source, (&Split, Span)),
        fields: &[FieldSpec],
    ) -> Res<()> {
        let is_text = matches!(source, Source::Text { .. });
        let mut first: Option<&FieldSpec> = None;
        for field in fields {
            let span = d
                .fields
                .iter()
                .flat_map(|f| &f.targets)
                .find(|t| t.name.node == field.name)
                .map_or(d.name.span, |t| t.name.span);
            if is_text != matches!(field.from, Selector::Characters { .. }) {
                let message = match is_text {
                    true => format!("a text has no rows, and `{}` reads them", field.name),
                    false => format!("`{}` reads characters, and the source is no text", field.name),
                };
                let e = Diagnostic::error("E0502", span, message);
                return Err(self.report(match is_text {
                    true => e.help("read its characters: `characters |> next_token(t)`"),
                    false => e.help("characters come from `text(\"input.txt\")`"),
                }));
            }
            let known = *first.get_or_insert(field);
            if is_text && (known.dim != field.dim || known.shape != field.shape || known.steps != field.steps) {
                let message =
                    format!("`{}` and `{}` are the same text with different types or steps", known.name, field.name);
                return self.fail("E0511", span, message);
            }
        }
        if !is_text {
            return self.named_fit(d, source, fields);
        }
        if !matches!(split, Split::InOrder { .. }) {
            let e = Diagnostic::error("E0502", at, "a text is cut in order: its parts follow each other");
            return Err(self.report(e.help("write `split = in_order(train = 90%, val = 10%)`")));
        }
        Ok(())
    }
}
