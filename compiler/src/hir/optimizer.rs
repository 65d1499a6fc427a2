//! The optimizer and the schedule: blocks of the library, applied to every weight and to the rate.

use super::args::Call;
use super::elab::{Elab, Res};
use super::layer::{Fragment, What};
use super::near::nearest;
use super::value::{Axis, LayerId, Table, Val};
use crate::base::{Diagnostic, Span, Spanned};
use crate::loops::Binary;
use crate::syntax::ast::{self, Arg, Expr, ExprKind, Infix, Unit};

/// Formals that every optimizer begins with.
const UPDATE: [&str; 4] = ["w", "g", "step", "lr"];
/// Formals that every schedule begins with.
const SCHEDULE: [&str; 2] = ["step", "total"];

/// The first formals of a block are these.
fn begins(block: &ast::Block, names: &[&str]) -> bool {
    block.formals.len() >= names.len() && block.formals.iter().zip(names).all(|(f, n)| f.name.node == *n)
}

impl<'a> Elab<'a> {
    /// Fills in rate, clipping, and the update of each weight.
    pub fn optimizer(
        &mut self,
        optimizer: Option<&'a Expr>,
        schedule: Option<&'a Expr>,
        epochs: f64,
        span: Span,
    ) -> Res<()> {
        let none: &'a [Arg] = &[];
        let (name, args, at) = match optimizer {
            Some(e) => {
                let (name, args) = self.named_call(e, "an optimizer, such as `adam(lr = 0.001)`,")?;
                (name, args, e.span)
            }
            None => (Spanned { node: "adam".into(), span }, none, span),
        };
        let block = self.library_block(&name, &UPDATE, "optimizer")?;
        let mut call = Call::new(&name, vec![], args, at);
        let rate = self.base_rate(&mut call, block);
        self.hir.clip = self.clip(&mut call, block)?;
        if let Some(extra) = call.queue.pop_front() {
            return self.fail("E0408", extra.span(), format!("`{}` takes the rate and named settings", name.node));
        }
        // A wrong rate does not hide what is wrong with the schedule.
        self.rate(*rate.as_ref().unwrap_or(&(1.0, at)), schedule, epochs, at)?;
        rate?;
        self.updates(block, &call)
    }

    /// A block of the program or of the library that begins as it must (E0603).
    fn library_block(&mut self, name: &ast::Ident, formals: &[&str], what: &str) -> Res<&'a ast::Block> {
        let own = self.declared.blocks.get(name.node.as_str()).copied();
        let standard = self.program.standard_block(&name.node);
        if let Some((key, _)) = standard.filter(|_| own.is_none()) {
            self.used_standard.insert(key);
        }
        match own.or(standard.map(|(_, b)| b)) {
            Some(b) if begins(b, formals) => return Ok(b),
            _ if self.broken.contains(&name.node) => return Err(super::elab::Reported),
            _ => {}
        }
        let e = Diagnostic::error("E0603", name.span, format!("unknown {what} `{}`", name.node));
        let own = self.declared.blocks.iter().map(|(name, block)| (*name, *block));
        let all = own.chain(self.program.library.names().filter_map(|name| self.program.standard_block(name)));
        let mut names: Vec<&str> = all.filter(|(_, b)| begins(b, formals)).map(|(n, _)| n).collect();
        names.sort_unstable();
        let list: Vec<_> = names.iter().map(|n| format!("`{n}`")).collect();
        let e = e.note(format!("there are {}", list.join(", ")));
        Err(self.report(match nearest(&name.node, names) {
            Some(near) => {
                e.help(format!("an {what} with a similar name exists: `{near}`").replace("an schedule", "a schedule"))
            }
            None => e,
        }))
    }

    /// `lr = 0.001`, or the block's own default.
    fn base_rate(&mut self, c: &mut Call<'a>, block: &'a ast::Block) -> Res<(f64, Span)> {
        let default = block.formals[3].default.as_ref();
        let given = self.take_any(c, "lr")?;
        let (value, span) = match (given, default) {
            (Some(placed), _) => placed,
            (None, Some(e)) => (self.eval(e)?, e.span),
            (None, None) => return self.fail("E0407", c.span, format!("`{}` needs the argument `lr`", c.name)),
        };
        let x = self.number((value, span))?;
        if x < 0.0 {
            return self.fail("E0410", span, format!("the learning rate is {x}, it must not be below 0"));
        }
        Ok((x, span))
    }

    /// `clip = 1.0`: the largest global norm of the gradients.
    fn clip(&mut self, c: &mut Call<'a>, block: &'a ast::Block) -> Res<Option<f64>> {
        if block.formals.iter().any(|f| f.name.node == "clip") {
            return Ok(None);
        }
        let Some(i) = c.named.iter().position(|(n, _)| n.node == "clip") else { return Ok(None) };
        let e = c.named.remove(i).1;
        let value = self.eval(e)?;
        let x = self.number((value, e.span))?;
        if x <= 0.0 {
            return self.fail("E0410", e.span, format!("`clip` is {x}, it must be above 0"));
        }
        Ok(Some(x))
    }

    /// The rate of a step: the base times the schedule's factor.
    fn rate(&mut self, (base, at): (f64, Span), schedule: Option<&'a Expr>, epochs: f64, span: Span) -> Res<()> {
        self.here = "lr".into();
        self.frame().prefix = "lr".into();
        self.frame().counters.clear();
        let mut rate = self.constant(base, at)?;
        if let Some(e) = schedule {
            self.clock = Some(epochs);
            let factor = self.schedule(e);
            self.clock = None;
            let (a, b) = ((Val::Table(rate), at), (Val::Table(factor?), e.span));
            if let Val::Table(x) = self.infix(Infix::Mul, a, b, span)? {
                rate = x;
            }
        }
        let ty = self.ty(rate).clone();
        if !ty.axes.is_empty() || ty.batched {
            return self.fail("E0601", span, format!("the learning rate is {ty}, not one number"));
        }
        self.hir.rate = Some(rate);
        Ok(())
    }

    fn schedule(&mut self, e: &'a Expr) -> Res<LayerId> {
        let (name, args) = self.named_call(e, "a schedule, such as `cosine(warmup = 1 epoch)`,")?;
        self.library_block(&name, &SCHEDULE, "schedule")?;
        let step = self.clock_layer(super::layer::Clock::Step, e.span)?;
        let total = self.clock_layer(super::layer::Clock::Steps, e.span)?;
        let given = vec![(Val::Table(step), e.span), (Val::Table(total), e.span)];
        let value = self.apply(&name, given, args, e.span, None)?;
        self.late_points(args);
        self.table((value, e.span))
    }

    /// A warm-up longer than half of the run, or a first step in its last tenth.
    fn late_points(&mut self, args: &'a [Arg]) {
        for arg in args {
            let Arg::Named(name, e) = arg else { continue };
            let (point, limit) = match (name.node.as_str(), &e.node) {
                ("warmup", _) => (e, 0.5),
                ("at", ExprKind::List(items)) if !items.is_empty() => (&items[0], 0.9),
                _ => continue,
            };
            let share = match (&point.node, self.clock) {
                (ExprKind::Quantity(x, Unit::Epochs), Some(epochs)) if epochs > 0.0 => x / epochs,
                (ExprKind::Percent(x), _) => x / 100.0,
                _ => continue,
            };
            if share > limit {
                let message = format!("`{}` lies at {}% of the run", name.node, (share * 100.0).round());
                let d = Diagnostic::warning("schedule_too_short", point.span, message);
                self.warn(d.help("give points in percent of the run, or train longer"));
            }
        }
    }

    /// Elaborates the block once for each weight, in layers of its own.
    fn updates(&mut self, block: &'a ast::Block, call: &Call<'a>) -> Res<()> {
        let standard = !self.declared.blocks.contains_key(block.name.node.as_str());
        let shapes: Vec<(String, Table)> = self.hir.weights.iter().map(|w| (w.path.clone(), w.ty.clone())).collect();
        for (path, ty) in shapes {
            let layers = std::mem::take(&mut self.hir.layers);
            let states = std::mem::take(&mut self.hir.states);
            let index = std::mem::take(&mut self.state_index);
            let result = self.update(block, standard, call, &path, ty);
            let mut fragment = Fragment {
                layers: std::mem::replace(&mut self.hir.layers, layers),
                states: std::mem::replace(&mut self.hir.states, states),
                result: None,
            };
            self.state_index = index;
            fragment.result = Some(result?);
            self.hir.updates.push(fragment);
        }
        Ok(())
    }

    fn update(
        &mut self,
        block: &'a ast::Block,
        standard: bool,
        call: &Call<'a>,
        path: &str,
        ty: Table,
    ) -> Res<LayerId> {
        let span = call.span;
        // Names of the weight's axes may repeat or be strange; positions are what counts.
        let axes = ty.axes.iter().enumerate();
        let axes: Vec<Axis> = axes.map(|(i, a)| Axis::new(format!("a{i}"), a.size.clone())).collect();
        let table = Table::numbers(axes, false);
        let number = Table::numbers(vec![], false);
        self.here = path.to_string();
        let mut given = vec![];
        for (i, ty) in [table.clone(), table.clone(), number.clone(), number].into_iter().enumerate() {
            given.push((Val::Table(self.push(What::Given(i), &[], ty, span)?), span));
        }
        let name = Spanned { node: block.name.node.clone(), span: call.name_span };
        let mut inner = Call::new(&name, given, &[], span);
        inner.named = call.named.clone();
        inner.path = format!("{path}#");
        let value = self.expand(block, standard, inner)?;
        let mut next = self.table((value, span))?;
        let found = self.ty(next).clone();
        if found.axes.len() < table.axes.len() && found.axes.iter().all(|a| table.axis(&a.name).is_some()) {
            // A constant update still has the shape of the weight.
            let zero = self.constant(0.0, span)?;
            let zeros = self.push(What::Binary(Binary::Mul), &[LayerId(0), zero], table.clone(), span)?;
            next = self.push(What::Binary(Binary::Add), &[zeros, next], table, span)?;
        } else if found.axes.iter().map(|a| &a.name).ne(table.axes.iter().map(|a| &a.name)) {
            let message = format!("`{}` gives {found} for a weight of {table}", block.name.node);
            return self.fail("E0313", span, message);
        }
        Ok(next)
    }

    /// In a schedule, a share of the run where a duration is asked for.
    pub fn duration(&mut self, formal: &str, value: Val<'a>, span: Span) -> Res<Val<'a>> {
        const DURATIONS: [&str; 3] = ["warmup", "at", "every"];
        if self.clock.is_none() || !DURATIONS.contains(&formal) {
            return Ok(value);
        }
        match value {
            Val::Percent(x) => self.share_of_run(x / 100.0, span),
            Val::Number(x) if x != 0.0 && self.frames.len() == 2 && !self.from_steps(span) => {
                let e = Diagnostic::error("E0109", span, "the unit of time is missing");
                Err(self.report(e.help(format!("write `{x} epochs`, `{x} steps` or a percentage of the run"))))
            }
            Val::List(items) => {
                let all: Res<Vec<_>> = items.into_iter().map(|i| self.duration(formal, i, span)).collect();
                all.map(Val::List)
            }
            other => Ok(other),
        }
    }

    /// Was the number written in steps?
    fn from_steps(&self, span: Span) -> bool {
        self.program.sources.slice(span).contains("step")
    }
}
