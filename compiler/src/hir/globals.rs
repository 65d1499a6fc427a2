//! Dims and constants: worked out when first asked for, in any order.

use super::elab::{DimInfo, Elab, Frame, Res};
use super::near::nearest;
use super::program::Global;
use super::value::{Size, Val, Variable, show_number, whole};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast;

/// Indices live in `f32`: whole numbers beyond this are not exact.
const LARGEST_DIM: usize = 1 << 24;

impl<'a> Elab<'a> {
    /// Works out every dim and constant, so that each mistake is told once.
    pub fn globals(&mut self) {
        for name in self.declared.order.clone() {
            match self.declared.globals[name] {
                Global::Dim(d) => {
                    let _ = self.dim_info(d);
                }
                Global::Const(c) => {
                    let _ = self.constant_value(c);
                }
            }
        }
        self.unknown_sets();
    }

    fn unknown_sets(&mut self) {
        for (name, _) in self.program.sets.clone() {
            if self.declared.globals.contains_key(name.as_str()) {
                continue;
            }
            let near = nearest(&name, self.declared.order.iter().copied()).map(str::to_string);
            let e =
                Diagnostic::error("E0201", Span::default(), format!("`--set {name}`: no const or dim has this name"));
            self.report(match near {
                Some(near) => e.help(format!("a name that is similar exists: `{near}`")),
                None => e,
            });
        }
    }

    fn set_value(&self, name: &str) -> Option<&'a str> {
        self.program.sets.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn constant_value(&mut self, c: &'a ast::Const) -> Res<Val<'a>> {
        let name = &c.name.node;
        match self.constants.get(name) {
            Some(Some(Val::Poison)) => return Err(super::elab::Reported),
            Some(Some(v)) => return Ok(v.clone()),
            Some(None) => {
                return self.fail("E0201", c.name.span, format!("`{name}` is defined by itself"));
            }
            None => {}
        }
        self.constants.insert(name.clone(), None);
        let given = self.set_value(name).map(text_value);
        let value = match given {
            Some(v) => Ok(v),
            None => self.outside(|e| e.eval(&c.value)),
        };
        let stored = value.as_ref().cloned().unwrap_or(Val::Poison);
        self.constants.insert(name.clone(), Some(stored));
        value
    }

    /// Runs `f` with no block around it.
    fn outside<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let frames = std::mem::replace(&mut self.frames, vec![Frame::default()]);
        let result = f(self);
        self.frames = frames;
        result
    }

    /// The dim's size and names.
    pub fn dim_info(&mut self, d: &'a ast::Dim) -> Res<DimInfo> {
        let name = &d.name.node;
        if let Some(info) = self.dims.get(name) {
            return Ok(info.clone());
        }
        if matches!(self.constants.get(name), Some(Some(Val::Poison))) {
            return Err(super::elab::Reported);
        }
        if self.constants.insert(name.clone(), None).is_some() {
            return self.fail("E0201", d.name.span, format!("`{name}` is defined by itself"));
        }
        let info = self.outside(|e| e.work_out(d));
        match &info {
            Ok(info) => self.dims.insert(name.clone(), info.clone()).map(|_| ()),
            Err(_) => self.constants.insert(name.clone(), Some(Val::Poison)).map(|_| ()),
        };
        info
    }

    fn work_out(&mut self, d: &'a ast::Dim) -> Res<DimInfo> {
        let name = &d.name.node;
        let span = d.name.span;
        let fixed = |n| DimInfo { size: Size::Known(n), names: vec![], span };
        match &d.size {
            ast::DimSize::Solved => {
                if let Some(given) = self.set_value(name) {
                    let message = format!("`--set {name}={given}`: the data decides the size of `{name}`");
                    let e = Diagnostic::error("E0201", span, message).here("it has no size to change");
                    return Err(self.report(e.help(format!("give it one in the program: `dim {name} = {given}`"))));
                }
                let found = self.solved.iter().find(|(n, ..)| n == name);
                Ok(match found {
                    Some((_, n, names)) => DimInfo { names: names.clone(), ..fixed(*n) },
                    None => DimInfo { size: Size::Unknown(name.clone()), names: vec![], span },
                })
            }
            ast::DimSize::AtMost(expr) => {
                let value = match self.set_value(name) {
                    Some(text) => text_value(text),
                    None => self.eval(expr)?,
                };
                match self.size_of(&value, expr.span, name)? {
                    Size::Known(most) if most <= LARGEST_DIM => {
                        let size = Size::Variable(Variable { dim: name.clone(), most, changes: vec![] });
                        Ok(DimInfo { size, names: vec![], span })
                    }
                    Size::Known(n) => {
                        self.fail("E0315", expr.span, format!("dim `{name}` of {n} is too large: at most 2^24"))
                    }
                    _ => self.fail("E0403", expr.span, "the most that a dim may have must be known without the data"),
                }
            }
            ast::DimSize::Equal(expr) => {
                let value = match self.set_value(name) {
                    Some(text) => text_value(text),
                    None => self.eval(expr)?,
                };
                match value {
                    Val::List(items) => self.named_dim(d, items, expr.span),
                    other => {
                        let n = self.size_of(&other, expr.span, name)?.known();
                        match n {
                            Some(n) if n <= LARGEST_DIM => Ok(fixed(n)),
                            Some(n) => {
                                self.fail("E0315", expr.span, format!("dim `{name}` of {n} is too large: at most 2^24"))
                            }
                            None => self.fail("E0403", expr.span, "the size of a dim must be known without the data"),
                        }
                    }
                }
            }
        }
    }

    fn named_dim(&mut self, d: &'a ast::Dim, items: Vec<Val<'a>>, span: Span) -> Res<DimInfo> {
        let mut names: Vec<String> = vec![];
        for item in items {
            let Val::Text(name) = item else {
                return self.fail("E0410", span, format!("names of a dim are texts, found {}", item.kind()));
            };
            if names.contains(&name) {
                return self.fail("E0205", span, format!("the name \"{name}\" is given twice"));
            }
            names.push(name);
        }
        if names.is_empty() {
            return self.fail("E0410", span, format!("dim `{}` has no names", d.name.node));
        }
        Ok(DimInfo { size: Size::Known(names.len()), names, span: d.name.span })
    }

    /// A value as the size of something: E0308 where it is not whole, E0410 where it is zero.
    pub fn size_of(&mut self, value: &Val<'a>, span: Span, what: &str) -> Res<Size> {
        match value {
            Val::Number(x) => match whole(*x) {
                Some(0) => self.fail("E0410", span, format!("the size of `{what}` is 0, it must be at least 1")),
                Some(n) => Ok(Size::Known(n)),
                None => self.not_whole(*x, span, what),
            },
            Val::Opaque(text) => Ok(Size::Unknown(text.clone())),
            Val::Dim(name) => self.dim_size(name, span),
            Val::Poison => Err(super::elab::Reported),
            other => {
                let kind = other.kind();
                self.fail("E0402", span, format!("the size of `{what}` must be a number, found {kind}"))
            }
        }
    }

    /// An expression as a size; a quotient that is not whole shows its numbers and the divisors.
    pub fn sized(&mut self, e: &'a ast::Expr, what: &str) -> Res<Size> {
        let value = self.eval(e)?;
        let (Val::Number(x), ast::ExprKind::Infix(ast::Infix::Div, a, b)) = (&value, &e.node) else {
            return self.size_of(&value, e.span, what);
        };
        let x = *x;
        if whole(x).is_some() {
            return self.size_of(&value, e.span, what);
        }
        let (a, b) = ((self.eval(a)?, a.span), (self.eval(b)?, b.span));
        let (a, b) = (self.number(a)?, self.number(b)?);
        let text = self.program.sources.slice(e.span);
        let message = format!("the size of `{what}` is {text} = {}, not a whole number", show_number(x));
        let mut d =
            Diagnostic::error("E0308", e.span, message).here(format!("{} / {}", show_number(a), show_number(b)));
        if let Some(n) = whole(a).filter(|n| (1..100_000).contains(n)) {
            let divisors: Vec<_> = (1..=n.min(16)).filter(|i| n % i == 0).map(|i| i.to_string()).collect();
            d = d.help(format!("{n} is divisible by {}", divisors.join(", ")));
        }
        Err(self.report(d))
    }

    pub fn dim_size(&mut self, name: &str, span: Span) -> Res<Size> {
        match self.dims.get(name) {
            Some(info) => Ok(info.size.clone()),
            None => self.fail("E0202", span, format!("unknown dimension `{name}`")),
        }
    }
}

/// The value of a `--set`: a number, a truth value, or a text.
fn text_value<'a>(text: &str) -> Val<'a> {
    match (text, text.parse::<f64>()) {
        ("true", _) => Val::Bool(true),
        ("false", _) => Val::Bool(false),
        (_, Ok(x)) if x.is_finite() => Val::Number(x),
        _ => Val::Text(text.to_string()),
    }
}
