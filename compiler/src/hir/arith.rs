//! Prefix and infix operators, on compile-time numbers and on tables.

use super::elab::{Elab, Res};
use super::layer::{Clock, What};
use super::value::{LayerId, Placed, Size, Table, Val, opaque, show_number, whole};
use crate::base::{Diagnostic, Span};
use crate::loops::{Binary, Unary};
use crate::syntax::ast::{Infix, Unit};

/// Spelling of an operator.
pub fn symbol(op: Infix) -> &'static str {
    match op {
        Infix::Add => "+",
        Infix::Sub => "-",
        Infix::Mul => "*",
        Infix::Div => "/",
        Infix::Pow => "^",
        Infix::Lt => "<",
        Infix::Le => "<=",
        Infix::Gt => ">",
        Infix::Ge => ">=",
        Infix::Eq => "==",
        Infix::Ne => "!=",
        Infix::And => "and",
        Infix::Or => "or",
    }
}

fn binary_of(op: Infix) -> Option<Binary> {
    Some(match op {
        Infix::Add => Binary::Add,
        Infix::Sub => Binary::Sub,
        Infix::Mul => Binary::Mul,
        Infix::Div => Binary::Div,
        Infix::Pow => Binary::Pow,
        Infix::Lt => Binary::Lt,
        Infix::Le => Binary::Le,
        Infix::Gt => Binary::Gt,
        Infix::Ge => Binary::Ge,
        Infix::Eq => Binary::Eq,
        Infix::Ne => Binary::Ne,
        Infix::And | Infix::Or => return None,
    })
}

impl<'a> Elab<'a> {
    /// A duration: as it is, or in steps where a schedule asks for it.
    pub fn quantity(&mut self, x: f64, unit: Unit, span: Span) -> Res<Val<'a>> {
        let Some(epochs) = self.clock else { return Ok(Val::Quantity(x, unit)) };
        match unit {
            Unit::Steps => Ok(Val::Number(x)),
            // A share of the planned run, so that `--epochs` rescales it; or true epochs in a run of steps.
            Unit::Epochs if epochs > 0.0 && x > epochs => {
                let e = Diagnostic::error("E0604", span, format!("{x} epochs, but training lasts {epochs}"));
                Err(self.report(e.help("durations in percent of the run, such as `10%`, always fit")))
            }
            Unit::Epochs if epochs > 0.0 => self.share_of_run(x / epochs, span),
            Unit::Epochs => {
                let one = self.clock_layer(Clock::StepsPerEpoch, span)?;
                self.infix(Infix::Mul, (Val::Number(x), span), (Val::Table(one), span), span)
            }
            Unit::Minutes | Unit::Hours => {
                self.fail("E0410", span, "a schedule is told in epochs, steps or percent, not in time")
            }
        }
    }

    /// This share of all steps.
    pub fn share_of_run(&mut self, share: f64, span: Span) -> Res<Val<'a>> {
        let all = self.clock_layer(Clock::Steps, span)?;
        self.infix(Infix::Mul, (Val::Number(share), span), (Val::Table(all), span), span)
    }

    pub fn clock_layer(&mut self, clock: Clock, span: Span) -> Res<LayerId> {
        self.push(What::Clock(clock), &[], Table::numbers(vec![], false), span)
    }

    pub fn negate(&mut self, (value, at): Placed<'a>, span: Span) -> Res<Val<'a>> {
        match value {
            Val::Number(x) => Ok(Val::Number(-x)),
            Val::Percent(x) => Ok(Val::Percent(-x)),
            Val::Opaque(t) => Ok(Val::Opaque(opaque(format!("-{t}")))),
            Val::Quantity(..) => self.fail("E0410", span, "a duration is not below 0"),
            other => {
                let x = self.real_table((other, at))?;
                self.unary(Unary::Neg, x, span).map(Val::Table)
            }
        }
    }

    pub fn unary(&mut self, op: Unary, x: LayerId, span: Span) -> Res<LayerId> {
        let ty = self.number_type(x, span)?;
        self.push(What::Unary(op), &[x], ty, span)
    }

    /// The type of a table of numbers; E0401 for indices.
    pub fn number_type(&mut self, x: LayerId, span: Span) -> Res<Table> {
        let ty = self.ty(x).clone();
        if ty.is_index() {
            let e = Diagnostic::error("E0401", span, format!("numbers needed, indices found: {ty}"));
            return Err(self.report(e.help("make numbers of them: `embed(size)` or `one_hot`")));
        }
        Ok(ty)
    }

    pub fn infix(&mut self, op: Infix, a: Placed<'a>, b: Placed<'a>, span: Span) -> Res<Val<'a>> {
        if matches!(a.0, Val::Table(_)) || matches!(b.0, Val::Table(_)) {
            let Some(binary) = binary_of(op) else {
                return self.fail("E0402", span, format!("`{}` needs truth values, found tables", symbol(op)));
            };
            return self.table_infix(binary, symbol(op), a, b, span).map(Val::Table);
        }
        if let (Val::Bool(x), Val::Bool(y)) = (&a.0, &b.0) {
            let (x, y) = (*x, *y);
            return match op {
                Infix::And => Ok(Val::Bool(x && y)),
                Infix::Or => Ok(Val::Bool(x || y)),
                Infix::Eq => Ok(Val::Bool(x == y)),
                Infix::Ne => Ok(Val::Bool(x != y)),
                _ => self.fail("E0402", span, format!("`{}` needs numbers, found truth values", symbol(op))),
            };
        }
        if let (Val::Text(x), Val::Text(y)) = (&a.0, &b.0) {
            match op {
                Infix::Eq => return Ok(Val::Bool(x == y)),
                Infix::Ne => return Ok(Val::Bool(x != y)),
                _ => {}
            }
        }
        let x = self.scalar(&a, op)?;
        let y = self.scalar(&b, op)?;
        self.scalar_infix(op, x, y, span)
    }

    /// A compile-time number, or the text of one that comes with the data.
    fn scalar(&mut self, (value, span): &Placed<'a>, op: Infix) -> Res<Result<f64, String>> {
        match value {
            Val::Number(x) => Ok(Ok(*x)),
            Val::Percent(x) => Ok(Ok(x / 100.0)),
            Val::Opaque(t) => Ok(Err(t.clone())),
            Val::Dim(name) => Ok(match self.dim_size(name, *span)? {
                Size::Known(n) => Ok(n as f64),
                Size::Unknown(t) => Err(t),
                Size::Variable(v) => return self.no_number(&v, *span),
            }),
            Val::Poison => Err(super::elab::Reported),
            other => {
                let message = format!("`{}` needs numbers or tables, found {}", symbol(op), other.kind());
                self.fail("E0402", *span, message)
            }
        }
    }

    fn scalar_infix(&mut self, op: Infix, x: Result<f64, String>, y: Result<f64, String>, span: Span) -> Res<Val<'a>> {
        let (x, y) = match (x, y) {
            (Ok(x), Ok(y)) => (x, y),
            (x, y) => {
                let show = |v: Result<f64, String>| v.map_or_else(|t| t, show_number);
                return Ok(Val::Opaque(opaque(format!("{} {} {}", show(x), symbol(op), show(y)))));
            }
        };
        let number = match op {
            Infix::Add => x + y,
            Infix::Sub => x - y,
            Infix::Mul => x * y,
            Infix::Div if y == 0.0 => return self.fail("E0410", span, "division by zero"),
            Infix::Div => x / y,
            Infix::Pow => x.powf(y),
            Infix::Lt => return Ok(Val::Bool(x < y)),
            Infix::Le => return Ok(Val::Bool(x <= y)),
            Infix::Gt => return Ok(Val::Bool(x > y)),
            Infix::Ge => return Ok(Val::Bool(x >= y)),
            Infix::Eq => return Ok(Val::Bool(x == y)),
            Infix::Ne => return Ok(Val::Bool(x != y)),
            Infix::And | Infix::Or => {
                return self.fail("E0402", span, format!("`{}` needs truth values, found numbers", symbol(op)));
            }
        };
        self.finite(number, span)
    }

    /// Compile-time arithmetic that leaves the numbers is E0410.
    pub fn finite(&mut self, x: f64, span: Span) -> Res<Val<'a>> {
        if x.is_finite() {
            return Ok(Val::Number(x));
        }
        self.fail("E0410", span, "the result of this arithmetic is not a finite number")
    }

    /// Element by element; one side's axes include the other's.
    pub fn table_infix(&mut self, op: Binary, shown: &str, a: Placed<'a>, b: Placed<'a>, span: Span) -> Res<LayerId> {
        if let (Binary::Pow, Val::Number(n)) = (op, &b.0) {
            let n = *n;
            let x = self.table(a)?;
            return self.power(x, n, span);
        }
        let (x, y) = (self.table(a.clone())?, self.table(b.clone())?);
        let (tx, ty) = (self.ty(x).clone(), self.ty(y).clone());
        let same_dim = tx.is_index() && tx.element == ty.element && matches!(op, Binary::Eq | Binary::Ne);
        if !same_dim {
            self.number_type(x, a.1)?;
            self.number_type(y, b.1)?;
        }
        let result = self.join(shown, (&tx, a.1), (&ty, b.1), span)?;
        self.push(What::Binary(op), &[x, y], Table { element: super::value::Element::Number, ..result }, span)
    }

    /// The larger side's type (E0304, E0305).
    pub fn join(&mut self, shown: &str, a: (&Table, Span), b: (&Table, Span), span: Span) -> Res<Table> {
        let (x, y) = (a.0, b.0);
        for axis in &x.axes {
            if let Some(other) = y.axis(&axis.name)
                && !axis.size.agrees(&other.size)
            {
                return Err(self.differ(&axis.name, &axis.size, &other.size, a, b, span));
            }
        }
        let within = |small: &Table, large: &Table| small.axes.iter().all(|s| large.axis(&s.name).is_some());
        let large = if within(y, x) {
            x
        } else if within(x, y) {
            y
        } else {
            return Err(self.outer(shown, a, b, span));
        };
        Ok(Table { batched: x.batched || y.batched, ..large.clone() })
    }

    fn differ(
        &mut self,
        name: &str,
        left: &Size,
        right: &Size,
        a: (&Table, Span),
        b: (&Table, Span),
        span: Span,
    ) -> super::elab::Reported {
        let message = format!("axis `{name}` is {left} on the left and {right} on the right");
        let (sa, sb) = (self.shown(a.1), self.shown(b.1));
        let e = Diagnostic::error("E0304", span, message).here(format!("{sa} is {}", a.0));
        let place = self.defined_at(b.1);
        let e = e.label(place, format!("{sb} is {}", b.0));
        self.report(match self.shortcut(a, b, span) {
            Some(help) => e.help(help),
            None => e,
        })
    }

    /// Where a sum differs by a stride and the number of features: the projection that makes it fit.
    fn shortcut(&self, a: (&Table, Span), b: (&Table, Span), span: Span) -> Option<String> {
        let (small, large) = (a.0.sizes()?, b.0.sizes()?);
        let names = |t: &Table| t.axes.iter().map(|x| x.name.clone()).collect::<Vec<_>>();
        let sum = self.program.sources.slice(span).contains('+');
        if !sum || names(a.0) != names(b.0) || small.len() < 2 {
            return None;
        }
        let last = small.len() - 1;
        let stride = large[0].div_ceil(small[0].max(1));
        if stride < 2 || (0..last).any(|i| large[i].div_ceil(stride) != small[i]) {
            return None;
        }
        // In the words of the block: its name of the table, of the features, and of the stride.
        let frame = self.frames.last()?;
        let vars = &frame.vars;
        let id = |name: &str| match vars.get(name).map(|l| &l.val) {
            Some(Val::Table(id)) => Some(*id),
            _ => None,
        };
        let own = self.program.sources.slice(b.1);
        let wanted = id(own)?;
        let formal = frame.order.iter().map(String::as_str).find(|n| !vars[*n].defined && id(n) == Some(wanted));
        let number = |n: usize| {
            let is = |name: &&String| matches!(vars[*name].val, Val::Number(x) if x == n as f64);
            frame.order.iter().find(is).map_or_else(|| n.to_string(), String::clone)
        };
        let (source, features, by) = (formal.unwrap_or(own), number(small[last]), number(stride));
        Some(format!("project the shortcut: `{source} |> conv({features}, 1, stride = {by})`"))
    }

    /// The text of a short expression, in quotes; or which side it is.
    fn shown(&self, span: Span) -> String {
        let text = self.program.sources.slice(span);
        if text.len() <= 24 && !text.contains('\n') { format!("`{text}`") } else { "this side".to_string() }
    }

    /// Where the name that stands at `span` was defined; else `span` itself.
    fn defined_at(&self, span: Span) -> Span {
        let text = self.program.sources.slice(span);
        let local = self.frames.last().and_then(|f| f.vars.get(text));
        local.map(|l| l.span).filter(|s| s.source == span.source && s.end > s.start).unwrap_or(span)
    }

    fn outer(&mut self, shown: &str, a: (&Table, Span), b: (&Table, Span), span: Span) -> super::elab::Reported {
        let (x, y) = (a.0, b.0);
        let mut all = x.axes.clone();
        all.extend(y.axes.iter().filter(|a| x.axis(&a.name).is_none()).cloned());
        let names: Vec<_> = all.iter().map(|a| a.name.as_str()).collect();
        let message = format!("`{shown}` would make a new table of [{}]", names.join(", "));
        let mut e = Diagnostic::error("E0305", span, message).here(format!("left is {x}, right is {y}"));
        let common: Vec<_> = x.axes.iter().filter(|a| y.axis(&a.name).is_some()).collect();
        if let ("*", [axis]) = (shown, &common[..]) {
            let written = |span| Some(self.program.sources.slice(span)).filter(|t| !t.contains([' ', '\n']));
            let (l, r) = (written(a.1).unwrap_or("a"), written(b.1).unwrap_or("b"));
            e = e.help(format!("to multiply and sum over `{0}`, write `dot({l}, {r}, over = {0})`", axis.name));
        }
        self.report(e)
    }

    /// `x ^ n`; small whole exponents become products.
    pub fn power(&mut self, x: LayerId, n: f64, span: Span) -> Res<LayerId> {
        let ty = self.number_type(x, span)?;
        if n == 0.5 {
            return self.push(What::Unary(Unary::Sqrt), &[x], ty, span);
        }
        match whole(n.abs()) {
            Some(0) => self.constant(1.0, span),
            Some(k) if k <= 16 => {
                let mut y = x;
                for _ in 1..k {
                    y = self.push(What::Binary(Binary::Mul), &[y, x], ty.clone(), span)?;
                }
                if n > 0.0 {
                    return Ok(y);
                }
                let one = self.constant(1.0, span)?;
                self.push(What::Binary(Binary::Div), &[one, y], ty, span)
            }
            _ => {
                let n = self.constant(n, span)?;
                self.push(What::Binary(Binary::Pow), &[x, n], ty, span)
            }
        }
    }

    /// E0308 for a size that is a fraction.
    pub fn not_whole<T>(&mut self, x: f64, span: Span, what: &str) -> Res<T> {
        let text = self.program.sources.slice(span);
        let shown = show_number(x);
        let value = if text == shown || text.contains('\n') { shown } else { format!("{text} = {shown}") };
        if x > 0.0 && x.is_finite() && x.fract() == 0.0 {
            let shown = if x < 1e15 { show_number(x) } else { format!("{x:e}") };
            return self.fail("E0315", span, format!("`{what}` is {shown}, which is too large"));
        }
        let rule = if x < 0.0 { "it must be at least 1" } else { "not a whole number" };
        self.fail("E0308", span, format!("the size of `{what}` is {value}, {rule}"))
    }
}
