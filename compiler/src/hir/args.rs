//! Arguments of a call, taken one by one by the layer that is called.

use super::elab::{Elab, Reported, Res};
use super::near::nearest;
use super::value::{Axis, LayerId, Placed, Size, Val, whole};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};
use std::collections::VecDeque;

/// A bare argument: by position.
#[derive(Clone, Debug)]
pub enum Given<'a> {
    Value(Placed<'a>),
    Expr(&'a Expr),
    Axis(&'a Ident, &'a Expr),
    Range(Span),
}

impl Given<'_> {
    pub fn span(&self) -> Span {
        match self {
            Given::Value((_, span)) | Given::Range(span) => *span,
            Given::Expr(e) => e.span,
            Given::Axis(name, e) => name.span.to(e.span),
        }
    }
}

/// A call whose arguments are being taken.
#[derive(Debug)]
pub struct Call<'a> {
    pub name: String,
    /// The whole call.
    pub span: Span,
    /// The name in it.
    pub name_span: Span,
    pub path: String,
    pub queue: VecDeque<Given<'a>>,
    pub named: Vec<(&'a Ident, &'a Expr)>,
    /// Names that were asked for, for the message about an unknown one.
    pub asked: Vec<&'static str>,
}

impl<'a> Call<'a> {
    pub fn new(name: &Ident, given: Vec<Placed<'a>>, args: &'a [Arg], span: Span) -> Call<'a> {
        let mut queue: VecDeque<_> = given.into_iter().map(Given::Value).collect();
        let mut named = vec![];
        for arg in args {
            match arg {
                Arg::Positional(e) => queue.push_back(Given::Expr(e)),
                Arg::Axis(name, e) => queue.push_back(Given::Axis(name, e)),
                Arg::Range(r) => queue.push_back(Given::Range(r.span)),
                Arg::Named(name, e) => named.push((name, e)),
            }
        }
        let path = String::new();
        Call { name: name.node.clone(), span, name_span: name.span, path, queue, named, asked: vec![] }
    }

    fn named(&mut self, name: &'static str) -> Option<&'a Expr> {
        self.asked.push(name);
        let i = self.named.iter().position(|(n, _)| n.node == name)?;
        Some(self.named.remove(i).1)
    }

    /// The argument `name`: named, or the next bare one.
    fn next(&mut self, name: &'static str) -> Option<Given<'a>> {
        match self.named(name) {
            Some(e) => Some(Given::Expr(e)),
            None => self.queue.pop_front(),
        }
    }
}

impl<'a> Elab<'a> {
    pub fn given(&mut self, given: Given<'a>) -> Res<Placed<'a>> {
        match given {
            Given::Value(placed) => Ok(placed),
            Given::Expr(e) => Ok((self.eval(e)?, e.span)),
            Given::Axis(name, e) => {
                let shown = name.node.clone();
                self.fail("E0408", name.span.to(e.span), format!("`{shown}: ...` names no axis here"))
            }
            Given::Range(span) => self.fail("E0408", span, "a range has no meaning here"),
        }
    }

    fn missing<T>(&mut self, c: &Call<'a>, name: &str) -> Res<T> {
        self.fail("E0407", c.span, format!("`{}` needs the argument `{name}`", c.name))
    }

    pub fn take_any(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<Option<Placed<'a>>> {
        c.next(name).map(|g| self.given(g)).transpose()
    }

    /// The argument `name`, never a bare one.
    pub fn take_any_named(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<Option<Placed<'a>>> {
        match c.named(name) {
            Some(e) => Ok(Some((self.eval(e)?, e.span))),
            None => Ok(None),
        }
    }

    /// The next table; numbers become tables.
    pub fn take_table(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<(LayerId, Span)> {
        match self.take_any(c, name)? {
            Some(placed) => Ok((self.table(placed.clone())?, placed.1)),
            None => self.missing(c, name),
        }
    }

    /// The next table; a plain number is E0402.
    pub fn take_real_table(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<(LayerId, Span)> {
        match self.take_any(c, name)? {
            Some(placed) => Ok((self.real_table(placed.clone())?, placed.1)),
            None => self.missing(c, name),
        }
    }

    pub fn take_number(&mut self, c: &mut Call<'a>, name: &'static str, default: Option<f64>) -> Res<(f64, Span)> {
        match (self.take_any(c, name)?, default) {
            (Some(placed), _) => Ok((self.number(placed.clone())?, placed.1)),
            (None, Some(x)) => Ok((x, c.span)),
            (None, None) => self.missing(c, name),
        }
    }

    /// A number known when the program is compiled.
    pub fn number(&mut self, (value, span): Placed<'a>) -> Res<f64> {
        match value {
            Val::Number(x) => Ok(x),
            Val::Percent(x) => Ok(x / 100.0),
            Val::Dim(name) => match self.dim_size(&name, span)? {
                Size::Known(n) => Ok(n as f64),
                Size::Unknown(_) => Ok(1.0),
                Size::Variable(v) => self.no_number(&v, span),
            },
            Val::Opaque(_) => Ok(1.0),
            Val::Poison => Err(Reported),
            other => self.fail("E0402", span, format!("a number is needed, found {}", other.kind())),
        }
    }

    pub fn whole_number(&mut self, placed: Placed<'a>, name: &str, least: usize) -> Res<usize> {
        let span = placed.1;
        let x = self.number(placed)?;
        match whole(x) {
            Some(n) if n < least => self.fail("E0410", span, format!("`{name}` is {n}, it must be at least {least}")),
            Some(n) if n > 1 << 40 => self.fail("E0315", span, format!("`{name}` is {n}, which is too large")),
            Some(n) => Ok(n),
            None if x < 0.0 => self.fail("E0410", span, format!("`{name}` is {x}, it must be at least {least}")),
            None => self.not_whole(x, span, name),
        }
    }

    /// A whole number, or one for each of `count` axes.
    pub fn take_sizes(
        &mut self,
        c: &mut Call<'a>,
        name: &'static str,
        count: usize,
        default: Option<usize>,
    ) -> Res<Vec<usize>> {
        match (self.take_any(c, name)?, default) {
            (Some((Val::List(items), span)), _) => {
                if items.len() != count {
                    let message = format!("`{name}` has {} entries for {count} sliding axes", items.len());
                    return self.fail("E0410", span, message);
                }
                items.into_iter().map(|i| self.whole_number((i, span), name, 1)).collect()
            }
            (Some(placed), _) => Ok(vec![self.whole_number(placed, name, 1)?; count]),
            (None, Some(n)) => Ok(vec![n; count]),
            (None, None) => self.missing(c, name),
        }
    }

    pub fn take_flag(&mut self, c: &mut Call<'a>, name: &'static str, default: bool) -> Res<bool> {
        let Some(e) = c.named(name) else { return Ok(default) };
        match self.eval(e)? {
            Val::Bool(b) => Ok(b),
            other => self.fail("E0402", e.span, format!("`{name}` is true or false, found {}", other.kind())),
        }
    }

    /// A bare word or a text, such as `none` and `"nearest"`; a number is given back as it is.
    pub fn take_word(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<Option<(Result<String, Val<'a>>, Span)>> {
        let Some(e) = c.named(name) else { return Ok(None) };
        self.word(e).map(Some)
    }

    pub fn word(&mut self, e: &'a Expr) -> Res<(Result<String, Val<'a>>, Span)> {
        // The standard library sees no dims and constants of the program: there `past` is a word, whatever is called so.
        if let ExprKind::Name(word) = &e.node
            && !self.frame().vars.contains_key(word)
            && (self.frame().standard || !self.declared.globals.contains_key(word.as_str()))
        {
            return Ok((Ok(word.clone()), e.span));
        }
        Ok(match self.eval(e)? {
            Val::Text(t) => (Ok(t), e.span),
            other => (Err(other), e.span),
        })
    }

    /// Axes by name: `over = c`, `over = [h, w]`.
    pub fn take_axes(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<Option<Vec<(String, Span)>>> {
        c.named(name).map(|e| self.axes_of(e)).transpose()
    }

    pub fn axes_of(&mut self, e: &'a Expr) -> Res<Vec<(String, Span)>> {
        match &e.node {
            ExprKind::Name(name) => {
                if let Some(local) = self.frame().vars.get_mut(name)
                    && let Val::Axes(names) = &local.val
                {
                    local.used = true;
                    return Ok(names.iter().map(|n| (n.clone(), e.span)).collect());
                }
                self.note_dim(name);
                Ok(vec![(self.axis_name(name), e.span)])
            }
            ExprKind::List(items) => {
                let mut all = vec![];
                for item in items {
                    all.extend(self.axes_of(item)?);
                }
                Ok(all)
            }
            _ => self.fail("E0303", e.span, "the name of an axis is needed"),
        }
    }

    /// An axis name that is a dim counts as a use of the dim.
    pub fn note_dim(&mut self, name: &str) {
        if !self.frame().standard && self.declared.globals.contains_key(name) {
            self.used.insert(name.to_string());
        }
    }

    /// A name of this text as a name of tables here.
    pub fn axis_name(&mut self, name: &str) -> String {
        self.frame().aliases.get(name).cloned().unwrap_or_else(|| name.to_string())
    }

    /// One output axis: `64`, `class`, `head: 4`.
    pub fn out_axis(&mut self, given: Given<'a>) -> Res<Axis> {
        match given {
            Given::Axis(name, e) => {
                let size = self.sized(e, &name.node)?;
                let axis = self.axis_name(&name.node);
                self.agree_with_dim(&axis, &size, name.span)?;
                Ok(Axis::new(axis, size))
            }
            Given::Expr(e) => {
                if let ExprKind::Name(name) = &e.node {
                    let frame = self.frame();
                    let bound = frame.sizes.get(name).cloned().filter(|_| !frame.vars.contains_key(name));
                    if let Some(size) = bound {
                        return Ok(Axis::new(self.axis_name(name), size));
                    }
                }
                let value = self.eval(e)?;
                if let Val::Number(x) = value
                    && whole(x).is_none()
                {
                    return Ok(Axis::new("c", self.sized(e, "c")?));
                }
                self.out_axis(Given::Value((value, e.span)))
            }
            Given::Value((Val::Dim(name), span)) => Ok(Axis::new(name.clone(), self.dim_size(&name, span)?)),
            Given::Value((Val::Axes(names), span)) => match &names[..] {
                [name] if self.frame().sizes.contains_key(name) => {
                    let size = self.frame().sizes[name].clone();
                    Ok(Axis::new(name.clone(), size))
                }
                _ => self.fail("E0302", span, "an axis without a size"),
            },
            Given::Value((value, span)) => {
                let size = self.size_of(&value, span, "c")?;
                Ok(Axis::new("c", size))
            }
            Given::Range(span) => self.fail("E0408", span, "a range has no meaning here"),
        }
    }

    /// An axis called as a dim has the size of the dim (E0304).
    pub fn agree_with_dim(&mut self, name: &str, size: &super::value::Size, span: Span) -> Res<()> {
        let Some(info) = self.dim(name)? else { return Ok(()) };
        if info.size.agrees(size) {
            return Ok(());
        }
        let message = format!("axis `{name}` is {size} here, but `dim {name}` is {}", info.size);
        let e = Diagnostic::error("E0304", span, message);
        Err(self.report(e.label(info.span, format!("`{name}` is {}", info.size))))
    }

    pub fn take_out(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<Axis> {
        match c.queue.pop_front() {
            Some(g) => self.out_axis(g),
            None => self.missing(c, name),
        }
    }

    /// Arguments that nobody asked for.
    pub fn finish(&mut self, c: &mut Call<'a>) -> Res<()> {
        if let Some((name, _)) = c.named.first() {
            let message = format!("`{}` has no argument `{}`", c.name, name.node);
            let mut e = Diagnostic::error("E0408", name.span, message);
            if let Some(near) = nearest(&name.node, c.asked.iter().copied()) {
                e = e.help(format!("an argument with a similar name exists: `{near}`"));
            }
            return Err(self.report(e));
        }
        match c.queue.pop_front() {
            Some(g) => self.fail("E0408", g.span(), format!("`{}` takes no further bare argument", c.name)),
            None => Ok(()),
        }
    }
}
