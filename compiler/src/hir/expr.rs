//! Expressions: names, pipelines, `if`, `repeat`, members, slices.

use super::elab::{Elab, Local, Reported, Res};
use super::layer::What;
use super::near::nearest;
use super::program::Global;
use super::value::{LayerId, Placed, Size, Val, show_number, whole};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Expr, ExprKind, Prefix};

/// Expressions within expressions, so that no program overflows the stack.
const DEEP: usize = 4000;
/// Values of a list, those of lists within it included.
const LONGEST_LIST: usize = 10_000;
/// Rounds of one `repeat`.
const ROUNDS: usize = 10_000;

impl<'a> Elab<'a> {
    pub fn eval(&mut self, expr: &'a Expr) -> Res<Val<'a>> {
        if self.depth >= DEEP {
            return self.fail("E0311", expr.span, "the expression is nested too deeply");
        }
        self.depth += 1;
        let value = self.eval_kind(expr);
        self.depth -= 1;
        value
    }

    fn eval_kind(&mut self, expr: &'a Expr) -> Res<Val<'a>> {
        let span = expr.span;
        match &expr.node {
            ExprKind::Number(x) => Ok(Val::Number(*x)),
            ExprKind::Quantity(x, unit) => self.quantity(*x, *unit, span),
            ExprKind::Percent(x) => Ok(Val::Percent(*x)),
            ExprKind::Text(t) => Ok(Val::Text(t.clone())),
            ExprKind::Bool(b) => Ok(Val::Bool(*b)),
            ExprKind::Name(name) => self.name(name, span),
            ExprKind::List(items) => {
                let values = items.iter().map(|i| self.eval(i)).collect::<Res<Vec<_>>>()?;
                if values.iter().map(Val::count).sum::<usize>() > LONGEST_LIST {
                    return self.fail("E0315", span, format!("the list holds more than {LONGEST_LIST} values"));
                }
                Ok(Val::List(values))
            }
            ExprKind::Prefix(Prefix::Neg, x) => {
                let value = self.eval(x)?;
                self.negate((value, x.span), span)
            }
            ExprKind::Prefix(Prefix::Not, x) => match self.eval(x)? {
                Val::Bool(b) => Ok(Val::Bool(!b)),
                other => self.fail("E0402", x.span, format!("`not` needs a truth value, found {}", other.kind())),
            },
            ExprKind::Infix(op, a, b) => {
                let left = self.eval(a);
                let right = self.eval(b);
                self.infix(*op, (left?, a.span), (right?, b.span), span)
            }
            ExprKind::If { condition, then, otherwise } => match self.eval(condition)? {
                Val::Bool(true) => self.eval(then),
                Val::Bool(false) => self.eval(otherwise),
                other => self.not_known(&other, condition.span),
            },
            ExprKind::Pipe(first, stages) => {
                let mut value = (self.eval(first)?, first.span);
                for stage in stages {
                    value = (self.stage(stage, value)?, stage.span);
                }
                Ok(value.0)
            }
            ExprKind::Repeat { .. } => self.fail("E0402", span, "`repeat` needs a value: `x |> repeat 3 { ... }`"),
            ExprKind::Call { callee, args } => self.call(callee, args, None, span),
            ExprKind::Map { callee, from, to } => self.map(callee, None, from, to, span),
            ExprKind::Index { base, axes } => self.index(base, axes, span),
            ExprKind::Member(base, member) => self.member(base, member, span),
            ExprKind::Scan(scan) => self.scan(scan, span),
        }
    }

    fn not_known<T>(&mut self, value: &Val<'a>, span: Span) -> Res<T> {
        match value {
            Val::Poison => Err(Reported),
            Val::Table(_) | Val::Opaque(_) => {
                let e = Diagnostic::error("E0403", span, "the condition is not known when the program is compiled");
                Err(self.report(e.help("choose between tables element by element with `select(condition, a, b)`")))
            }
            other => self.fail("E0402", span, format!("`if` needs a truth value, found {}", other.kind())),
        }
    }

    /// One stage of a pipeline, applied to `value`.
    pub fn stage(&mut self, stage: &'a Expr, value: Placed<'a>) -> Res<Val<'a>> {
        match &stage.node {
            ExprKind::Name(_) => self.call(stage, &[], Some(value), stage.span),
            ExprKind::Call { callee, args } => self.call(callee, args, Some(value), stage.span),
            ExprKind::Map { callee, from, to } => self.map(callee, Some(value), from, to, stage.span),
            ExprKind::Repeat { var, over, stages } => self.repeat(var.as_ref(), over, stages, value),
            _ => self.fail("E0404", stage.span, "this cannot be a stage of a pipeline: a layer is needed"),
        }
    }

    fn repeat(
        &mut self,
        var: Option<&'a ast::Ident>,
        over: &'a Expr,
        stages: &'a [Expr],
        mut value: Placed<'a>,
    ) -> Res<Val<'a>> {
        let rounds = match (self.eval(over)?, var) {
            (Val::List(items), Some(_)) => items,
            (Val::Number(n), None) => match whole(n) {
                Some(n) if n <= ROUNDS => vec![Val::Number(0.0); n],
                Some(_) => return self.fail("E0410", over.span, format!("at most {ROUNDS} rounds")),
                None => return self.not_whole(n, over.span, "repeat"),
            },
            (Val::Dim(d), None) => match self.dim_size(&d, over.span)? {
                Size::Known(n) if n <= ROUNDS => vec![Val::Number(0.0); n],
                Size::Variable(v) => return self.no_number(&v, over.span),
                _ => return self.fail("E0403", over.span, "the number of rounds is not known or too large"),
            },
            (other, Some(_)) => {
                return self.fail("E0402", over.span, format!("`repeat ... in` needs a list, found {}", other.kind()));
            }
            (other, None) => {
                return self.fail("E0402", over.span, format!("`repeat` needs a number, found {}", other.kind()));
            }
        };
        for round in rounds {
            let shadowed = var.map(|v| {
                let local = Local { val: round, span: v.span, used: true, defined: false };
                (v, self.frame().vars.insert(v.node.clone(), local))
            });
            let result = stages.iter().try_fold(value.clone(), |v, s| Ok((self.stage(s, v)?, s.span)));
            match shadowed {
                Some((v, Some(old))) => self.frame().vars.insert(v.node.clone(), old),
                Some((v, None)) => self.frame().vars.remove(&v.node),
                None => None,
            };
            value = result?;
        }
        Ok(value.0)
    }

    /// A name that is used as a value.
    fn name(&mut self, name: &str, span: Span) -> Res<Val<'a>> {
        if let Some(local) = self.frame().vars.get_mut(name) {
            local.used = true;
            return match local.val.clone() {
                Val::Poison => Err(Reported),
                val => Ok(val),
            };
        }
        if let Some(i) = self.frame().states.get(name).copied() {
            let ty = self.hir.states[i].ty.clone();
            return self.push(What::State(i), &[], ty, span).map(Val::Table);
        }
        if !self.frame().standard
            && let Some(global) = self.declared.globals.get(name).copied()
        {
            self.used.insert(name.to_string());
            return match global {
                Global::Dim(d) => self.dim_info(d).map(|_| Val::Dim(name.to_string())),
                Global::Const(c) => self.constant_value(c),
            };
        }
        Err(self.unknown_name(name, span))
    }

    fn unknown_name(&mut self, name: &str, span: Span) -> Reported {
        if self.broken.contains(name) {
            return Reported;
        }
        let e = Diagnostic::error("E0201", span, format!("unknown name `{name}`"));
        if self.callable(name) {
            return self.report(e.here("a layer, not a value").help(format!("apply it: `x |> {name}` or `{name}(x)`")));
        }
        if self.declared.models.iter().any(|model| model.name.node == name) {
            return self.report(e.here("a model, not a value"));
        }
        if self.declared.data.iter().any(|data| data.name.node == name) {
            let help = "a model reads what stands in its brackets: `model M(x: ...)`, and `x` is a field of the data";
            return self.report(e.here("a data section, not a value").help(help));
        }
        let frame = self.frames.last().expect("never empty");
        if frame.sizes.contains_key(name) {
            return self.report(e.here("an axis").help(format!("its size is `x.{name}`, of a table `x` that has it")));
        }
        if self.told_enough() {
            return Reported;
        }
        let locals = frame.vars.keys().map(String::as_str);
        let globals = self.declared.order.iter().copied().filter(|_| !frame.standard);
        let mut all: Vec<&str> = locals.chain(globals).collect();
        all.sort_unstable();
        let help = nearest(name, all).map(|near| format!("a name that is similar exists: `{near}`"));
        self.report(match help {
            Some(help) => e.help(help),
            None => e,
        })
    }

    /// A table, where one is needed: numbers become tables of their own.
    pub fn table(&mut self, (value, span): Placed<'a>) -> Res<LayerId> {
        match value {
            Val::Table(id) => Ok(id),
            Val::Number(x) => self.constant(x, span),
            Val::Percent(x) => self.constant(x / 100.0, span),
            // The value comes with the data; the type is all that matters until then.
            Val::Opaque(_) => self.constant(1.0, span),
            Val::Dim(name) => match self.dim_size(&name, span)? {
                Size::Known(n) => self.constant(n as f64, span),
                Size::Unknown(_) => self.constant(1.0, span),
                Size::Variable(v) => self.no_number(&v, span),
            },
            Val::Poison => Err(Reported),
            Val::Parts(parts) => {
                let e = Diagnostic::error("E0409", span, format!("a table is needed, found {} parts", parts.len()));
                Err(self.report(e.help("name them: `a, b = ...`")))
            }
            other => self.fail("E0402", span, format!("a table is needed, found {}", other.kind())),
        }
    }

    /// A true table: a plain number is E0402.
    pub fn real_table(&mut self, value: Placed<'a>) -> Res<LayerId> {
        match value {
            (Val::Number(x), span) => {
                let message = format!("a table is needed, found the number {}", show_number(x));
                self.fail("E0402", span, message)
            }
            (Val::Dim(name), span) => {
                self.fail("E0402", span, format!("a table is needed, found the dimension `{name}`"))
            }
            other => self.table(other),
        }
    }

    pub fn constant(&mut self, x: f64, span: Span) -> Res<LayerId> {
        let ty = super::value::Table::numbers(vec![], false);
        self.push(What::Constant(x), &[], ty, span)
    }

    fn member(&mut self, base: &'a Expr, member: &'a ast::Ident, span: Span) -> Res<Val<'a>> {
        let name = &member.node;
        match self.eval(base)? {
            Val::Table(id) => {
                let ty = self.ty(id).clone();
                let wanted = self.axis_name(name);
                match ty.axis(&wanted) {
                    Some(axis) => match &axis.size {
                        Size::Known(n) => Ok(Val::Number(*n as f64)),
                        Size::Unknown(text) => Ok(Val::Opaque(text.clone())),
                        Size::Variable(v) => self.no_number(v, member.span),
                    },
                    None => self.no_axis(&wanted, &ty, member.span),
                }
            }
            Val::Layer(_, path) => {
                let full = format!("{path}.{name}");
                match self.weight_index.get(&full).copied() {
                    Some(i) => {
                        let ty = self.hir.weights[i].ty.clone();
                        self.push(What::Weight(i), &[], ty, span).map(Val::Table)
                    }
                    None => self.no_weight(&path, name, span),
                }
            }
            Val::Poison => Err(Reported),
            other => self.fail("E0404", member.span, format!("{} has no member `{name}`", other.kind())),
        }
    }

    fn no_weight<T>(&mut self, path: &str, name: &str, span: Span) -> Res<T> {
        let start = format!("{path}.");
        let made: Vec<_> =
            self.hir.weights.iter().filter_map(|w| w.path.strip_prefix(&start)).map(|n| format!("`{n}`")).collect();
        let e = if made.is_empty() {
            Diagnostic::error("E0406", span, format!("`{name}` is used before the layer"))
                .help("apply the layer to a table first: its weights get their sizes there")
        } else {
            Diagnostic::error("E0404", span, format!("the layer has no weight `{name}`"))
                .note(format!("it has {}", made.join(", ")))
        };
        Err(self.report(e))
    }
}
