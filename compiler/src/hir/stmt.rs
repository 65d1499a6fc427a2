//! Statements of a body, and the outputs of a signature.

use super::elab::{Elab, Res};
use super::layer::{Start, What};
use super::value::{LayerId, Size, Val};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Expr, ExprKind, Stmt};

impl<'a> Elab<'a> {
    pub fn statements(&mut self, body: &'a [Stmt]) {
        for stmt in body {
            // A failed definition is silent from here on: its names are poisoned.
            let _ = self.statement(stmt);
        }
        self.states_without_next(body);
        self.scan_states_without_next();
    }

    fn statement(&mut self, stmt: &'a Stmt) -> Res<()> {
        match stmt {
            Stmt::Layer { name, value } => {
                let path = format!("{}.{}", self.scope(), name.node);
                self.define_once(name, Val::Layer(value, path), true)
            }
            Stmt::Param { name, ty, init } => {
                let value = self.param(name, ty, init).map_or(Val::Poison, Val::Table);
                self.define_once(name, value, true)
            }
            Stmt::State { name, ty, init } => self.state(name, ty, init),
            Stmt::Predict { name, .. } if self.frame().model.is_none() => {
                self.fail("E0101", name.span, "`predict` belongs into a model")
            }
            Stmt::Predict { name, value } => {
                if let Some(first) = self.frame().vars.get(&name.node).map(|l| l.span) {
                    let message = format!("the prediction `{}` has a name that is taken", name.node);
                    let e = Diagnostic::error("E0207", name.span, message).label(first, "defined here");
                    return Err(self.report(e.help("give it another name, such as `answer`")));
                }
                self.start_definition(&name.node);
                let result = self.eval(value).and_then(|v| self.table((v, value.span)));
                let id = *result.as_ref().unwrap_or(&LayerId(0));
                let val = result.map_or(Val::Poison, Val::Table);
                if let Val::Table(_) = val {
                    self.note_boxes(name, value, id)?;
                    let named = super::layer::Named { name: name.node.clone(), layer: id, span: name.span };
                    self.hir.predicts.push(named);
                }
                self.define_once(name, val, false)
            }
            Stmt::Def { targets, value } => self.def(targets, value),
        }
    }

    /// The path of this body: `Compare`, or that of the block.
    fn scope(&mut self) -> String {
        let frame = self.frame();
        frame.model.clone().unwrap_or_else(|| frame.prefix.clone())
    }

    /// In a model each definition has a path and counters of its own.
    fn start_definition(&mut self, name: &str) {
        let frame = self.frame();
        if let Some(model) = &frame.model {
            frame.prefix = format!("{model}.{name}");
            frame.counters.clear();
            self.here = self.frame().prefix.clone();
        }
    }

    /// E0205 for a second definition.
    pub fn define_once(&mut self, name: &'a ast::Ident, val: Val<'a>, defined: bool) -> Res<()> {
        if let Some(first) = self.frame().vars.get(&name.node).map(|l| l.span) {
            let e = Diagnostic::error("E0205", name.span, format!("`{}` is defined twice", name.node));
            return Err(self.report(e.here("the second").label(first, "the first")));
        }
        self.shadow_lint(name);
        self.define(name, val, defined);
        Ok(())
    }

    fn def(&mut self, targets: &'a [ast::Target], value: &'a Expr) -> Res<()> {
        let again = targets.iter().map(|t| &t.name).filter(|n| !n.node.ends_with('\''));
        for name in again {
            if let Some(first) = self.frame().vars.get_mut(&name.node) {
                first.val = Val::Poison;
                return self.define_once(name, Val::Poison, true);
            }
        }
        self.start_definition(&targets[0].name.node);
        let result = self.eval(value);
        let parts: Vec<Val<'a>> = match (result, targets.len()) {
            (Err(_), n) => vec![Val::Poison; n],
            (Ok(Val::Parts(parts)), n) if parts.len() == n => parts.into_iter().map(Val::Table).collect(),
            (Ok(Val::List(items)), n) if items.len() == n && n > 1 => items,
            (Ok(Val::Parts(parts)), n) if n > 1 => {
                let message = format!("{n} names for {} parts", parts.len());
                let span = targets[0].name.span.to(targets[n - 1].name.span);
                let _ = self.fail::<()>("E0409", span, message);
                vec![Val::Poison; n]
            }
            (Ok(value), 1) => vec![value],
            (Ok(other), n) => {
                let message = format!("{n} names, but the value is {}", other.kind());
                let _ = self.fail::<()>("E0409", value.span, message);
                vec![Val::Poison; n]
            }
        };
        for (target, val) in targets.iter().zip(parts) {
            let val = self.declared(target, val, value.span).unwrap_or(Val::Poison);
            let _ = match target.name.node.strip_suffix('\'') {
                Some(state) => self.next_value(state, &target.name, val),
                None => self.define_once(&target.name, val, true),
            };
        }
        Ok(())
    }

    fn declared(&mut self, target: &'a ast::Target, val: Val<'a>, span: Span) -> Res<Val<'a>> {
        match (&target.ty, val) {
            (_, Val::Poison) => Ok(Val::Poison),
            (None, val) => Ok(val),
            (Some(ty), val) => {
                let x = self.table((val, span))?;
                self.conform(x, ty, &target.name).map(Val::Table)
            }
        }
    }

    fn param(&mut self, name: &'a ast::Ident, ty: &'a ast::Type, init: &'a Expr) -> Res<LayerId> {
        let table = self.full_type(ty, false)?;
        let start = self.start_of(init)?;
        let path = format!("{}.{}", self.scope(), name.node);
        // Along an axis of variable length a weight has the most that any example needs; each takes its own part.
        let mut whole = table.clone();
        for axis in &mut whole.axes {
            axis.size = axis.size.most().map_or(axis.size.clone(), Size::Known);
        }
        let mut x = self.weight(path, whole.clone(), start, name.span)?;
        for (i, axis) in table.axes.iter().enumerate().filter(|(_, a)| a.size.variable().is_some()) {
            whole.axes[i] = axis.clone();
            x = self.push(What::Slice { axis: axis.name.clone(), start: 0 }, &[x], whole.clone(), name.span)?;
        }
        Ok(x)
    }

    /// `normal(0.02)`, `uniform(0.1)`, `zeros`, `ones`, a number.
    fn start_of(&mut self, init: &'a Expr) -> Res<Start> {
        let (name, arg) = match &init.node {
            ExprKind::Name(n) => (n.as_str(), None),
            ExprKind::Call { callee, args } => match (&callee.node, &args[..]) {
                (ExprKind::Name(n), []) => (n.as_str(), None),
                (ExprKind::Name(n), [ast::Arg::Positional(e)]) => (n.as_str(), Some(e)),
                _ => ("", None),
            },
            _ => ("", None),
        };
        let amount = |e: &mut Self| match arg {
            Some(a) => e.eval(a).and_then(|v| e.number((v, a.span))),
            None => Ok(1.0),
        };
        match name {
            "zeros" => Ok(Start::Constant(0.0)),
            "ones" => Ok(Start::Constant(1.0)),
            "normal" => amount(self).map(Start::Normal),
            "uniform" => amount(self).map(Start::Uniform),
            _ => {
                let value = self.eval(init)?;
                match value {
                    Val::Number(x) => Ok(Start::Constant(x)),
                    other => {
                        let message = format!("a weight cannot begin as {}", other.kind());
                        let e = Diagnostic::error("E0402", init.span, message);
                        Err(self.report(e.help("write `normal(0.02)`, `uniform(0.1)`, `zeros`, `ones` or a number")))
                    }
                }
            }
        }
    }

    fn state(&mut self, name: &'a ast::Ident, ty: &'a ast::Type, init: &'a Expr) -> Res<()> {
        if let Some(result) = self.scan_state(name, ty, init) {
            if result.is_err() {
                self.define(name, Val::Poison, false);
            }
            return result;
        }
        if let Err(reported) = self.outside_of_scans("a stored table", name.span) {
            self.define(name, Val::Poison, false);
            return Err(reported);
        }
        let table = self.full_type(ty, false)?;
        self.one_size(&table, "a stored table", name.span)?;
        let value = self.eval(init)?;
        let start = self.number((value, init.span))?;
        let scope = self.scope();
        // Slots of an optimizer are `<weight>#m`, statistics `<block>.m`.
        let path =
            if scope.ends_with('#') { format!("{scope}{}", name.node) } else { format!("{scope}.{}", name.node) };
        let index = self.stored(path, table, start);
        if self.frame().states.insert(name.node.clone(), index).is_some() {
            return self.fail("E0205", name.span, format!("`{}` is defined twice", name.node));
        }
        Ok(())
    }

    /// `m' = ...`
    fn next_value(&mut self, state: &str, name: &'a ast::Ident, val: Val<'a>) -> Res<()> {
        if let Some(result) = self.scan_next(state, name, &val) {
            return result;
        }
        if matches!(self.frame().vars.get(state).map(|l| &l.val), Some(Val::Poison)) {
            self.define(name, Val::Poison, false);
            return Ok(());
        }
        let Some(i) = self.frame().states.get(state).copied() else {
            self.define(name, Val::Poison, false);
            let e = Diagnostic::error("E0206", name.span, format!("there is no state `{state}` for its next value"));
            return Err(self.report(e.help(format!("say what it is at first: `state {state}: [c: 8] = 0`"))));
        };
        if let Val::Table(mut x) = val {
            let (wanted, found) = (self.hir.states[i].ty.clone(), self.ty(x).clone());
            let fits = found.axes.iter().all(|a| wanted.axis(&a.name).is_some_and(|w| w.size.agrees(&a.size)));
            if !fits || found.batched || found.is_index() {
                let message = format!("the state `{state}` is {wanted}, but its next value is {found}");
                return self.fail("E0313", name.span, message);
            }
            if found.axes.len() < wanted.axes.len() {
                let current = self.push(What::State(i), &[], wanted.clone(), name.span)?;
                let zero = self.constant(0.0, name.span)?;
                let mul = What::Binary(crate::loops::Binary::Mul);
                let zeros = self.push(mul, &[current, zero], wanted.clone(), name.span)?;
                x = self.push(What::Binary(crate::loops::Binary::Add), &[zeros, x], wanted, name.span)?;
            }
            self.hir.states[i].next = Some(x);
            self.define(name, Val::Table(x), false);
        } else {
            self.define(name, Val::Poison, false);
        }
        Ok(())
    }

    fn states_without_next(&mut self, body: &'a [Stmt]) {
        for stmt in body {
            let Stmt::State { name, .. } = stmt else { continue };
            let next = format!("{}'", name.node);
            if self.frame().states.contains_key(&name.node) && !self.frame().vars.contains_key(&next) {
                let message = format!("the state `{}` has no next value", name.node);
                let e = Diagnostic::error("E0206", name.span, message);
                self.report(e.help(format!("define it: `{next} = ...`")));
            }
        }
    }

    /// The outputs that the signature promises (E0204).
    pub fn outputs(&mut self, block: &'a ast::Block) -> Res<Vec<LayerId>> {
        let mut outs = vec![];
        let mut failed = None;
        for target in &block.outputs {
            match self.output(block, target) {
                Ok(x) => outs.push(x),
                Err(r) => failed = Some(r),
            }
        }
        self.unused_lint();
        failed.map_or(Ok(outs), Err)
    }

    fn output(&mut self, block: &'a ast::Block, target: &'a ast::Target) -> Res<LayerId> {
        let name = &target.name.node;
        let Some(local) = self.frame().vars.get_mut(name) else {
            let message = format!("`{}` promises `{name}`, but never defines it", block.name.node);
            let e = Diagnostic::error("E0204", target.name.span, message);
            let near = self.frame().vars.keys().cloned().collect::<Vec<_>>();
            let near = super::near::nearest(name, near.iter().map(String::as_str)).map(str::to_string);
            return Err(self.report(match near {
                Some(near) => e.help(format!("a name that is similar is defined: `{near}`")),
                None => e.help(format!("define it in the body: `{name} = ...`")),
            }));
        };
        local.used = true;
        let place = ast::Ident { node: name.clone(), span: local.span };
        let placed = (local.val.clone(), local.span);
        let x = self.table(placed)?;
        match &target.ty {
            Some(ty) => self.conform(x, ty, &place),
            None => Ok(x),
        }
    }
}
