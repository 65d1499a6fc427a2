//! Texts: the source `text`, and the fields `characters |> next_token(t)`.

use super::args::Call;
use super::elab::{Elab, Res};
use super::value::{Element, Size, Table, Val};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Expr, ExprKind};
use dlc_runtime::data::spec::{Encoding, FieldSpec, Selector, Source, Split};

impl<'a> Elab<'a> {
    /// `text("input.txt", encoding = "latin-1")`
    pub fn text(&mut self, c: &mut Call<'a>) -> Res<Source> {
        let path = self.take_text(c, "path")?;
        let encoding = match self.take_word(c, "encoding")? {
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
        };
        Ok(Source::Text { path, encoding })
    }

    /// The length of windows, where a field is `characters |> next_token(t)`.
    pub fn characters(&mut self, e: &'a Expr) -> Res<Option<(usize, Span)>> {
        let (first, stages): (&Expr, &[Expr]) = match &e.node {
            ExprKind::Pipe(first, stages) => (first, stages),
            _ => (e, &[]),
        };
        if !matches!(&first.node, ExprKind::Name(name) if name == "characters") {
            return Ok(None);
        }
        let (step, rest) = match stages {
            [] => {
                let e = Diagnostic::error("E0407", e.span, "characters need a step that cuts the text");
                return Err(self.report(e.help("windows of t characters: `characters |> next_token(t)`")));
            }
            [step, rest @ ..] => (step, rest),
        };
        let (name, args) = self.named_call(step, "a step, such as `next_token(t)`,")?;
        if name.node != "next_token" {
            let e = Diagnostic::error(
                "E0199",
                name.span,
                format!("this version does not have `{}` on characters yet", name.node),
            );
            return Err(self.report(e.help("windows of t characters: `characters |> next_token(t)`")));
        }
        if let Some(after) = rest.first() {
            return self.fail("E0410", after.span, "nothing can follow `next_token`: its values are indices");
        }
        let mut c = Call::new(&name, vec![], args, step.span);
        let length = match self.take_any(&mut c, "length")? {
            Some((value @ (Val::Dim(_) | Val::Number(_)), at)) => (self.whole_number((value, at), "length", 1)?, at),
            Some((other, at)) => {
                return self.fail("E0402", at, format!("`length` is a number, found {}", other.kind()));
            }
            None => {
                return self.fail("E0407", step.span, "`next_token` needs the length of its windows: `next_token(t)`");
            }
        };
        self.finish(&mut c)?;
        Ok(Some(length))
    }

    /// One of the two fields of `next_token`: the window, or what follows each of its characters.
    pub fn next_token(
        &mut self,
        field: &'a ast::Field,
        (at, target): (usize, &'a ast::Target),
        (ty, (length, length_at)): (&Table, (usize, Span)),
    ) -> Res<Selector> {
        if field.targets.len() != 2 {
            let message = format!("`next_token` gives 2 fields, and here are {}", field.targets.len());
            let e = Diagnostic::error("E0409", field.span, message);
            return Err(
                self.report(e.help("write `field tokens: char[t], next: char[t] = characters |> next_token(t)`"))
            );
        }
        let name = &target.name;
        let (Element::Index { .. }, [axis]) = (&ty.element, &ty.axes[..]) else {
            let e = Diagnostic::error(
                "E0511",
                name.span,
                format!("`next_token` gives indices along one axis, and `{}` is {ty}", name.node),
            );
            return Err(self.report(e.help(format!("write `{}: char[t]`, with `dim char`", name.node))));
        };
        if axis.size != Size::Known(length) {
            let message = format!("axis `{}` of `{}` is {}", axis.name, name.node, axis.size);
            let e = Diagnostic::error("E0511", name.span, message).label(length_at, format!("windows of {length}"));
            return Err(self.report(e.help(format!("write `next_token({})`", axis.name))));
        }
        Ok(Selector::Characters { length, ahead: at == 1 })
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
            if is_text && (known.dim != field.dim || known.shape != field.shape) {
                let message =
                    format!("`{}` and `{}` are the same characters with different types", known.name, field.name);
                return self.fail("E0511", span, message);
            }
        }
        if is_text && !matches!(split, Split::InOrder { .. }) {
            let e = Diagnostic::error("E0502", at, "a text is cut in order: its parts follow each other");
            return Err(self.report(e.help("write `split = in_order(train = 90%, val = 10%)`")));
        }
        Ok(())
    }
}
