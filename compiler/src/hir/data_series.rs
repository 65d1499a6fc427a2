//! Series: `columns("Passengers") |> log |> windows(past, future)`.

use super::args::Call;
use super::elab::{Elab, Res};
use super::value::{Size, Table, Val};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Expr, ExprKind};
use dlc_runtime::data::spec::{FieldStep, Selector};

impl<'a> Elab<'a> {
    /// A field of windows: rows from the first on, or those that follow them.
    pub fn windows_value(
        &mut self,
        field: &'a ast::Field,
        (at, target): (usize, &'a ast::Target),
        ty: &Table,
    ) -> Res<Option<(Selector, Vec<FieldStep>)>> {
        let ExprKind::Pipe(first, stages) = &field.value.node else { return Ok(None) };
        let Some(place) = stages.iter().position(is_windows) else { return Ok(None) };
        if let Some(after) = stages.get(place + 1) {
            let e = Diagnostic::error("E0410", after.span, "nothing can follow `windows`");
            return Err(self.report(e.help("write the steps of a row before it: `columns(...) |> log |> windows(n)`")));
        }
        let from = self.selector(first)?;
        let steps: Res<Vec<_>> = stages[..place].iter().map(|stage| self.step(stage)).collect();
        let mut steps = steps?;
        let window = self.window(field, at, &stages[place])?;
        self.rows_fit(target, ty, (&from, &window), stages[place].span)?;
        steps.push(window);
        Ok(Some((from, steps)))
    }

    /// `windows(past, future)` for two fields, `windows(n)` and `windows(n, after = m)` for one.
    fn window(&mut self, field: &ast::Field, at: usize, e: &'a Expr) -> Res<FieldStep> {
        let (name, args) = self.named_call(e, "`windows`")?;
        let mut c = Call::new(&name, vec![], args, e.span);
        let length = self.take_length(&mut c, "length")?;
        let more = c.queue.front().is_some();
        let step = match (field.targets.len(), more) {
            (2, true) => {
                let next = self.take_length(&mut c, "next")?;
                match at {
                    0 => FieldStep::Windows { length, after: 0 },
                    _ => FieldStep::Windows { length: next, after: length },
                }
            }
            (1, false) => {
                let after = self.take_number(&mut c, "after", Some(0.0))?;
                let after = self.whole_number((Val::Number(after.0), after.1), "after", 0)?;
                FieldStep::Windows { length, after }
            }
            (found, _) => {
                let fields = if found == 1 { "1 name".to_string() } else { format!("{found} names") };
                let e = Diagnostic::error("E0409", e.span, format!("{fields}, and other windows than that"));
                return Err(self.report(e.help(
                    "`field seen: [past], coming: [future] = ... |> windows(past, future)`, \
                     or for one field `windows(n, after = m)`",
                )));
            }
        };
        self.finish(&mut c)?;
        Ok(step)
    }

    fn take_length(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<usize> {
        match self.take_any(c, name)? {
            Some(placed) => self.whole_number(placed, name, 1),
            None => self.fail("E0407", c.span, "`windows` needs the number of its rows: `windows(24)`"),
        }
    }

    /// The first axis counts the rows, the others the values of one.
    fn rows_fit(
        &mut self,
        target: &ast::Target,
        ty: &Table,
        (from, window): (&Selector, &FieldStep),
        at: Span,
    ) -> Res<()> {
        let FieldStep::Windows { length, .. } = window else { return Ok(()) };
        let name = &target.name;
        let Some((rows, rest)) = ty.axes.split_first().filter(|_| !ty.is_index()) else {
            let message = format!("windows are numbers along an axis, and `{}` is {ty}", name.node);
            let e = Diagnostic::error("E0511", name.span, message);
            return Err(self.report(e.help(format!("write `{}: [past, v: 1]`", name.node))));
        };
        if rows.size != Size::Known(*length) {
            let message = format!("axis `{}` of `{}` is {}", rows.name, name.node, rows.size);
            let e = Diagnostic::error("E0511", name.span, message).label(at, format!("windows of {length}"));
            return Err(self.report(e.help(format!("write `windows({})`", rows.name))));
        }
        let found = match from {
            Selector::Columns(list) => list.len(),
            Selector::Column(_) => 1,
            _ => return Ok(()),
        };
        let wanted = rest.iter().try_fold(1usize, |all, axis| Some(all * axis.size.known()?));
        if wanted.is_none_or(|wanted| wanted == found) {
            return Ok(());
        }
        let columns = if found == 1 { "1 column gives".to_string() } else { format!("{found} columns give") };
        self.fail("E0511", name.span, format!("{columns} {found} values a row, but `{}` is {ty}", name.node))
    }
}

fn is_windows(e: &Expr) -> bool {
    let callee = match &e.node {
        ExprKind::Call { callee, .. } => callee,
        _ => e,
    };
    matches!(&callee.node, ExprKind::Name(name) if name == "windows")
}
