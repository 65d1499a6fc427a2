//! Axes of which each example has its own length: what a program cannot do with them, and why (E0316).

use super::elab::{Elab, Res};
use super::layer::What;
use super::value::{Axis, LayerId, Size, Table, Variable};
use crate::base::{Diagnostic, Span};

impl<'a> Elab<'a> {
    /// A length that differs from example to example is no number of the program.
    pub fn no_number<T>(&mut self, v: &Variable, span: Span) -> Res<T> {
        let message = format!("each example has its own length along `{}`: it is no number of the program", v.dim);
        let e = Diagnostic::error("E0316", span, message).here(format!("{v}"));
        Err(self.report(
            e.help(format!("`mean(over = ...)` divides by it; for one length of all: `dim {} = {}`", v.dim, v.most)),
        ))
    }

    /// Refuses a table, such as a weight, with an axis of variable length.
    pub fn one_size(&mut self, ty: &Table, what: &str, span: Span) -> Res<()> {
        let Some((axis, v)) = ty.variable().next().map(|(a, v)| (a.clone(), v.clone())) else { return Ok(()) };
        let message = format!("{what} cannot have the axis `{}`: each example has its own length", axis.name);
        let e = Diagnostic::error("E0316", span, message).here(format!("this needs {ty}"));
        let help = format!(
            "fold the axis away before: `mean(over = {0})`, `last(over = {0})`; or one length of all: `dim {1} = {2}`",
            axis.name, v.dim, v.most
        );
        Err(self.report(e.help(help)))
    }

    /// Refuses to take a table apart, or put it together, along an axis of variable length.
    pub fn no_cut<T>(&mut self, name: &str, axis: &str, ty: &Table, span: Span) -> Res<T> {
        let message = format!("`{name}` cannot work along `{axis}`: each example has its own length");
        let e = Diagnostic::error("E0316", span, message).here(format!("the table is {ty}"));
        Err(self
            .report(e.help(format!("`first`, `last`, `mean`, `max` or `scan` over `{axis}` know every example's end"))))
    }

    /// Axes become others: one of variable length stays alone, beside axes of size 1. E0316 else.
    pub fn splits_alone(&mut self, name: &str, axes: &[Axis], span: Span) -> Res<()> {
        let Some(at) = axes.iter().position(|a| a.size.variable().is_some()) else { return Ok(()) };
        let alone = axes.iter().enumerate().all(|(i, a)| i == at || a.size == Size::Known(1));
        if alone {
            return Ok(());
        }
        let ty = Table::numbers(axes.to_vec(), true);
        let axis = axes[at].name.clone();
        let message = format!("`{name}` cannot merge `{axis}` with other axes: each example has its own length");
        let e = Diagnostic::error("E0316", span, message).here(format!("the axes are {ty}"));
        Err(self.report(e.help(format!("fold it away before: `mean(over = {axis})`, `last(over = {axis})`"))))
    }

    /// How many elements each example has along the axes of these sizes.
    pub fn count(&mut self, of: Vec<Size>, span: Span) -> Res<LayerId> {
        self.push(What::Count(of), &[], Table::numbers(vec![], true), span)
    }

    /// The last element of each example along `axis`.
    pub fn true_last(&mut self, x: LayerId, axis: &str, span: Span) -> Res<LayerId> {
        let ty = self.ty(x).clone();
        if ty.is_index() {
            let message = format!("`last` of indices along `{axis}`, where each example has its own length");
            let e = Diagnostic::error("E0316", span, message).here(format!("the table is {ty}"));
            return Err(self.report(e.help("take it of what a layer made of them: `embed(64) |> last(...)`")));
        }
        let left = Table { batched: true, ..ty.without(&[axis.to_string()]) };
        self.push(What::Last(axis.to_string()), &[x], left, span)
    }
}
