//! `scan`: recurrences.

use super::args::Call;
use super::elab::{Elab, Res};
use super::layer::{Recurrence, What};
use super::value::{Axis, LayerId, Size, Table, Val};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Expr, Ident};
use std::collections::{HashMap, HashSet};

/// The scan whose body is being read.
#[derive(Clone, Debug)]
pub struct Inside {
    /// Which one.
    scan: usize,
    /// Its states by name: which one, and where it is defined.
    states: HashMap<String, (usize, Span)>,
}

impl Inside {
    pub fn number(&self) -> usize {
        self.scan
    }
}

impl<'a> Elab<'a> {
    pub fn scan(&mut self, scan: &'a ast::Scan, span: Span) -> Res<Val<'a>> {
        let reverse = self.scan_reverse(scan, span)?;
        self.outside_of_scans("a `scan`", span)?;
        if self.hir.layers.first().is_some_and(|l| matches!(l.what, What::Given(_))) {
            return self.fail("E0199", span, "this version does not compile a `scan` in an optimizer yet");
        }
        let (axis, inputs) = self.scan_inputs(scan)?;
        let first = self.hir.layers.len();
        let length = axis.size.clone();
        self.hir.scans.push(Recurrence { length, reverse, states: vec![] });
        let number = self.hir.scans.len() - 1;
        let outer: HashSet<String> = self.frame().vars.keys().cloned().collect();
        let frame = self.frame();
        frame.inside = Some(Inside { scan: number, states: HashMap::new() });
        // Definitions of the body have no paths of their own: what they make belongs to the scan.
        let model = frame.model.take();
        let result = self.scan_body(scan, &axis, inputs, first);
        let frame = self.frame();
        frame.model = model;
        frame.inside = None;
        frame.vars.retain(|name, _| outer.contains(name));
        frame.order.retain(|name| outer.contains(name));
        let stacked = result?;
        Ok(match stacked[..] {
            [one] => Val::Table(one),
            _ => Val::Parts(stacked),
        })
    }

    /// `(reverse = true)`
    fn scan_reverse(&mut self, scan: &'a ast::Scan, span: Span) -> Res<bool> {
        let name = Ident { node: "scan".into(), span };
        let mut c = Call::new(&name, vec![], &scan.args, span);
        let reverse = self.take_flag(&mut c, "reverse", false)?;
        self.finish(&mut c)?;
        Ok(reverse)
    }

    /// The axis, and the inputs with their names.
    fn scan_inputs(&mut self, scan: &'a ast::Scan) -> Res<(Axis, Vec<(&'a Ident, LayerId)>)> {
        let over = self.axis_name(&scan.over.node);
        self.note_dim(&scan.over.node);
        let mut found: Option<(Axis, Span)> = None;
        let mut inputs = vec![];
        for (name, expr) in &scan.inputs {
            let value = self.eval(expr)?;
            let x = self.real_table((value, expr.span))?;
            let ty = self.ty(x).clone();
            let Some(axis) = ty.axis(&over).cloned() else { return self.no_axis(&over, &ty, expr.span) };
            if let Some((first, place)) = &found
                && !first.size.agrees(&axis.size)
            {
                let message = format!("axis `{over}` is {} here and {} in another input", axis.size, first.size);
                let e = Diagnostic::error("E0304", expr.span, message).here(format!("this is {ty}"));
                return Err(self.report(e.label(*place, format!("`{over}` is {}", first.size))));
            }
            found.get_or_insert((axis, expr.span));
            inputs.push((name, x));
        }
        match found {
            Some((axis, span)) if axis.size == Size::Known(0) => {
                self.fail("E0307", span, format!("axis `{over}` has no elements to scan over"))
            }
            Some((axis, _)) => Ok((axis, inputs)),
            None => self.fail("E0407", scan.over.span, "`scan` needs an input"),
        }
    }

    /// The yields, stacked.
    fn scan_body(
        &mut self,
        scan: &'a ast::Scan,
        axis: &Axis,
        inputs: Vec<(&'a Ident, LayerId)>,
        first: usize,
    ) -> Res<Vec<LayerId>> {
        let Some(number) = self.frame().inside.as_ref().map(|i| i.scan) else { return Ok(vec![]) };
        for (name, x) in inputs {
            let ty = self.ty(x).without(&[axis.name.clone()]);
            let what = What::Pick { scan: number, axis: axis.name.clone() };
            let picked = self.push(what, &[x], ty, name.span)?;
            self.define_once(name, Val::Table(picked), false)?;
        }
        let before = self.diagnostics.len();
        self.statements(&scan.body);
        let mut yields = vec![];
        for expr in &scan.yields {
            let value = self.eval(expr)?;
            yields.push((self.table((value, expr.span))?, expr.span));
        }
        let open = self.hir.scans[number].states.iter().any(|(_, next)| next.is_none());
        if open || self.diagnostics[before..].iter().any(|d| d.severity == crate::base::Severity::Error) {
            return Err(super::elab::Reported);
        }
        self.batch_states(number, first);
        yields.into_iter().map(|(x, span)| self.stacked(x, axis, number, span)).collect()
    }

    fn stacked(&mut self, x: LayerId, axis: &Axis, scan: usize, span: Span) -> Res<LayerId> {
        let mut ty = self.ty(x).clone();
        ty.axes.insert(0, axis.clone());
        self.push(What::Stack { scan }, &[x], ty, span)
    }

    /// A state depends on the model's inputs if its first or next value does, and with it all that reads it.
    ///
    /// Where each example has its own length, each stops by itself, and every state is its own.
    fn batch_states(&mut self, scan: usize, first: usize) {
        if self.hir.scans[scan].length.variable().is_some() {
            for (carry, _) in self.hir.scans[scan].states.clone() {
                self.hir.layers[carry.index()].ty.batched = true;
            }
        }
        loop {
            let mut changed = false;
            let batched = |e: &Self, id: LayerId| e.ty(id).batched;
            for (carry, next) in self.hir.scans[scan].states.clone() {
                let depends = next.is_some_and(|n| batched(self, n));
                changed |= depends && !batched(self, carry);
                self.hir.layers[carry.index()].ty.batched |= depends;
            }
            for i in first..self.hir.layers.len() {
                let depends = self.hir.layers[i].inputs.iter().any(|x| batched(self, *x));
                changed |= depends && !self.hir.layers[i].ty.batched;
                self.hir.layers[i].ty.batched |= depends;
            }
            if !changed {
                return;
            }
        }
    }

    /// `state h: [c: 8] = 0` in a scan. `None`: there is no scan here.
    pub fn scan_state(&mut self, name: &'a Ident, ty: &'a ast::Type, init: &'a Expr) -> Option<Res<()>> {
        let inside = self.frame().inside.clone()?;
        Some(self.new_state(inside, name, ty, init))
    }

    fn new_state(&mut self, inside: Inside, name: &'a Ident, ty: &'a ast::Type, init: &'a Expr) -> Res<()> {
        let table = self.full_type(ty, false)?;
        let value = self.eval(init)?;
        let first = self.table((value, init.span))?;
        let from = self.ty(first).clone();
        let number = table.element == super::value::Element::Number;
        if !number || !fits(&from, &table) {
            let message = if number {
                format!("the state `{}` is {table}, but its first value is {from}", name.node)
            } else {
                format!("the state `{}` is {table}, but states hold numbers", name.node)
            };
            let e = Diagnostic::error("E0313", init.span, message).label(ty.span, "the declared type");
            return Err(self.report(e));
        }
        let which = self.hir.scans[inside.scan].states.len();
        let table = Table { batched: from.batched, ..table };
        let carry = self.push(What::Carry { scan: inside.scan, which }, &[first], table, name.span)?;
        self.hir.scans[inside.scan].states.push((carry, None));
        self.define_once(name, Val::Table(carry), false)?;
        if let Some(inside) = &mut self.frame().inside {
            inside.states.insert(name.node.clone(), (which, ty.span));
        }
        Ok(())
    }

    /// `h' = ...` in a scan. `None`: no state of a scan has that name.
    pub fn scan_next(&mut self, state: &str, name: &'a Ident, val: &Val<'a>) -> Option<Res<()>> {
        let inside = self.frame().inside.clone()?;
        let (which, declared) = *inside.states.get(state)?;
        Some(self.new_next(&inside, which, declared, name, val))
    }

    fn new_next(&mut self, inside: &Inside, which: usize, declared: Span, name: &'a Ident, val: &Val<'a>) -> Res<()> {
        let Val::Table(x) = val else {
            self.define(name, Val::Poison, false);
            return Ok(());
        };
        let (carry, earlier) = self.hir.scans[inside.scan].states[which];
        if earlier.is_some() {
            let first = self.frame().vars.get(&name.node).map_or(name.span, |l| l.span);
            self.define(name, Val::Poison, false);
            let e = Diagnostic::error("E0205", name.span, format!("`{}` is defined twice", name.node));
            return Err(self.report(e.here("the second").label(first, "the first")));
        }
        let (wanted, found) = (self.ty(carry).clone(), self.ty(*x).clone());
        if !fits(&found, &wanted) || found.axes.len() != wanted.axes.len() {
            self.define(name, Val::Poison, false);
            let state = name.node.trim_end_matches('\'');
            let message = format!("the state `{state}` is {wanted}, but its next value is {found}");
            let e = Diagnostic::error("E0313", name.span, message).label(declared, "the state");
            return Err(self.report(e.help("a state keeps its type from step to step")));
        }
        let mut next = *x;
        if found.axes != wanted.axes {
            let ty = Table { axes: wanted.axes, ..found };
            next = self.push(What::Permute, &[next], ty, name.span)?;
        }
        self.hir.scans[inside.scan].states[which].1 = Some(next);
        self.define(name, Val::Table(next), false);
        Ok(())
    }

    /// E0206 for states of the scan that the body never carries on.
    pub fn scan_states_without_next(&mut self) {
        let Some(inside) = self.frame().inside.clone() else { return };
        let mut names: Vec<_> = inside.states.keys().cloned().collect();
        names.sort();
        for state in names {
            let next = format!("{state}'");
            if !self.frame().vars.contains_key(&next) {
                let (which, _) = inside.states[&state];
                let (carry, _) = self.hir.scans[inside.scan].states[which];
                let span = self.hir.layer(carry).span;
                let e = Diagnostic::error("E0206", span, format!("the state `{state}` has no next value"));
                self.report(e.help(format!("define it: `{next} = ...`")));
            }
        }
    }

    /// Refuses what keeps numbers from step to step in a body that runs many times in one.
    pub fn outside_of_scans(&mut self, what: &str, span: Span) -> Res<()> {
        if self.frames.iter().any(|f| f.inside.is_some()) {
            return self.fail("E0199", span, format!("this version does not compile {what} inside a `scan` yet"));
        }
        Ok(())
    }
}

/// Can a state of type `to` take the values of `from`, repeated along axes that it lacks?
fn fits(from: &Table, to: &Table) -> bool {
    !from.is_index() && from.axes.iter().all(|a| to.axis(&a.name).is_some_and(|b| b.size.agrees(&a.size)))
}
