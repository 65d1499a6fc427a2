//! Fields of pairs: `partner(image, by = label)`, `alike(label)`.

use super::args::{Call, Given};
use super::data::FieldInfo;
use super::elab::{Elab, Reported, Res};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Expr};
use dlc_runtime::data::spec::{FieldSpec, Selector};

/// What begins such a field.
pub const PAIRS: &[&str] = &["partner", "alike"];

impl<'a> Elab<'a> {
    pub fn paired(&mut self, e: &'a Expr) -> Res<Selector> {
        let (name, args) = self.named_call(e, "a field of pairs")?;
        let mut c = Call::new(&name, vec![], args, e.span);
        let selector = match name.node.as_str() {
            "partner" => Selector::Partner { of: self.bare_field(&mut c)?, by: self.named_field(&mut c)? },
            _ => Selector::Alike { by: self.bare_field(&mut c)? },
        };
        self.finish(&mut c)?;
        Ok(selector)
    }

    fn bare_field(&mut self, c: &mut Call<'a>) -> Res<String> {
        let found = match c.queue.pop_front() {
            Some(Given::Expr(e)) => Some(self.word(e)?),
            _ => None,
        };
        self.field_name(c, found)
    }

    fn named_field(&mut self, c: &mut Call<'a>) -> Res<String> {
        let found = self.take_word(c, "by")?;
        self.field_name(c, found)
    }

    fn field_name<T>(&mut self, c: &Call<'a>, found: Option<(Result<String, T>, Span)>) -> Res<String> {
        match found {
            Some((Ok(name), _)) => Ok(name),
            Some((Err(_), at)) => self.fail("E0402", at, "the name of a field is needed here"),
            None => {
                let e = Diagnostic::error("E0407", c.span, format!("`{}` needs the names of fields", c.name));
                Err(self.report(e.help("write `partner(image, by = label)` and `alike(label)`")))
            }
        }
    }

    /// What a pair is made of stands above it, and fits.
    pub fn pairs_fit(&mut self, d: &'a ast::Data, specs: &[FieldSpec], fields: &[FieldInfo]) -> Res<()> {
        for (at, spec) in specs.iter().enumerate() {
            let (of, by) = match &spec.from {
                Selector::Partner { of, by } => (Some(of), by),
                Selector::Alike { by } => (None, by),
                _ => continue,
            };
            let mut written = d.fields.iter().filter(|f| f.targets.iter().any(|t| t.name.node == spec.name));
            let value = written.next().map_or(d.name.span, |f| f.value.span);
            if !spec.steps.is_empty() {
                let e = Diagnostic::error("E0410", value, format!("`{}` has no steps of its own", spec.name));
                return Err(self.report(e.help("a partner's values are those of its field, after that field's steps")));
            }
            let own = fields.iter().find(|f| f.name == spec.name).ok_or(Reported)?;
            let classes = self.above((specs, fields), at, by, value)?;
            if !classes.0.ty.is_index() || !classes.0.ty.axes.is_empty() || !is_plain(classes.1) {
                let message = format!("`{by}` is {}, and pairs go by one class of each example", classes.0.ty);
                return self.fail("E0502", value, message);
            }
            match of {
                Some(of) => {
                    let (other, from) = self.above((specs, fields), at, of, value)?;
                    if !is_plain(from) {
                        let message = format!("`{of}` is neither numbers nor classes that each example has");
                        return self.fail("E0502", value, message);
                    }
                    if other.ty != own.ty {
                        let message =
                            format!("`{}` is {}, and the partner's `{of}` is {}", spec.name, own.ty, other.ty);
                        return self.fail("E0511", value, message);
                    }
                }
                None => self.tells_alike(own, by, (specs, value))?,
            }
        }
        Ok(())
    }

    fn above<'f>(
        &mut self,
        (specs, fields): (&'f [FieldSpec], &'f [FieldInfo]),
        at: usize,
        name: &str,
        span: Span,
    ) -> Res<(&'f FieldInfo, &'f FieldSpec)> {
        let spec = specs[..at].iter().find(|spec| spec.name == name);
        if let (Some(spec), Some(info)) = (spec, fields.iter().find(|field| field.name == name)) {
            return Ok((info, spec));
        }
        let e = Diagnostic::error("E0201", span, format!("there is no field `{name}` above this one"));
        Err(self.report(e.help("a pair is made of fields that stand before it")))
    }

    /// `alike` is a number, or one of two classes.
    fn tells_alike(&mut self, own: &FieldInfo, by: &str, (specs, span): (&[FieldSpec], Span)) -> Res<()> {
        let is_pair = |spec: &FieldSpec| matches!(&spec.from, Selector::Partner { by: other, .. } if other == by);
        if !specs.iter().any(is_pair) {
            let e = Diagnostic::error("E0502", span, format!("nobody has a partner by `{by}`"));
            return Err(self.report(e.help(format!("read one: `field other: ... = partner(image, by = {by})`"))));
        }
        let two = match &own.ty.element {
            super::value::Element::Index { size, .. } => size.known() == Some(2),
            super::value::Element::Number => true,
        };
        if two && own.ty.axes.is_empty() {
            return Ok(());
        }
        let e = Diagnostic::error("E0511", span, format!("`alike` is one of two, but the field is {}", own.ty));
        Err(self
            .report(e.help("write `dim verdict = [\"different\", \"same\"]` and `field same: verdict = alike(label)`")))
    }
}

/// Numbers and classes of one size, read of the example itself.
fn is_plain(spec: &FieldSpec) -> bool {
    use dlc_runtime::data::spec::FieldStep;
    let cut = |step: &FieldStep| matches!(step, FieldStep::Text(_) | FieldStep::Windows { .. });
    let other = matches!(
        spec.from,
        Selector::Boxes
            | Selector::Masks
            | Selector::Grid(_)
            | Selector::Partner { .. }
            | Selector::Alike { .. }
            | Selector::Characters { .. }
    );
    !other && !spec.steps.iter().any(cut)
}
