//! The value of a field: which cells, and the steps they go through.

use super::args::Call;
use super::data_partners::PAIRS;
use super::data_pictures;
use super::elab::{Elab, Res};
use super::near::nearest;
use super::value::{Val, whole};
use crate::base::{Diagnostic, Span, Spanned};
use crate::syntax::ast::{self, Arg, Expr, ExprKind};
use dlc_runtime::data::spec::{ColumnRef, FieldStep, Place, Selector};

const SELECTORS: &[&str] =
    &["columns", "column", "images", "labels", "array", "folder", "masks", "image", "boxes", "partner", "alike"];
const STEPS: &[&str] = &[
    "scale",
    "standardize",
    "minmax",
    "log",
    "fill",
    "one_hot",
    "resize",
    "letterbox",
    "crop",
    "gray",
    "levels",
    "ignore",
];

/// A span as the loaders know it.
pub fn place(span: Span) -> Place {
    (span.start as usize, span.end as usize)
}

impl<'a> Elab<'a> {
    /// `columns(0..4) |> standardize`
    pub fn field_value(&mut self, e: &'a Expr) -> Res<(Selector, Vec<FieldStep>)> {
        let (first, stages): (&Expr, &[Expr]) = match &e.node {
            ExprKind::Pipe(first, stages) => (first, stages),
            _ => (e, &[]),
        };
        let from = self.selector(first)?;
        let steps: Res<Vec<_>> = stages.iter().map(|s| self.step(s)).collect();
        Ok((from, steps?))
    }

    pub fn selector(&mut self, e: &'a Expr) -> Res<Selector> {
        let (name, args) = self.named_call(e, "what to read, such as `columns(0..4)`,")?;
        if PAIRS.contains(&name.node.as_str()) {
            return self.paired(e);
        }
        match (name.node.as_str(), args) {
            ("images", []) => Ok(Selector::Images),
            ("labels", []) => Ok(Selector::Labels),
            ("folder", []) => Ok(Selector::Folder),
            ("masks", []) => Ok(Selector::Masks),
            ("boxes", []) => Ok(Selector::Boxes),
            ("image", [Arg::Positional(c)]) => self.column(c).map(Selector::Picture),
            (named, []) if super::data_lines::NAMED.contains(&named) => Ok(Selector::Named(named.to_string())),
            ("column", [Arg::Positional(c)]) => self.column(c).map(Selector::Column),
            ("columns", [Arg::Range(r)]) => self.column_range(r),
            ("columns", [_, ..]) => self.column_list(args, e.span),
            ("array", [Arg::Positional(n)]) => match self.eval(n)? {
                Val::Text(t) => Ok(Selector::Array(t)),
                other => self.fail("E0402", n.span, format!("the name of an array is a text, found {}", other.kind())),
            },
            (known, _) if SELECTORS.contains(&known) => self.fail(
                "E0407",
                e.span,
                format!("`{known}` needs other arguments: `columns(0..4)`, `column(\"name\")`, `images`"),
            ),
            _ => self.unknown_step(&name, SELECTORS, "selection"),
        }
    }

    fn column_list(&mut self, args: &'a [Arg], span: Span) -> Res<Selector> {
        let mut all = vec![];
        for arg in args {
            match arg {
                Arg::Positional(e) => all.push(self.column(e)?),
                Arg::Range(r) => match self.column_range(r)? {
                    Selector::Columns(more) => all.extend(more),
                    _ => return self.fail("E0410", r.span, "an open range of columns stands alone"),
                },
                _ => return self.fail("E0408", span, "`columns` takes numbers, names and ranges"),
            }
        }
        Ok(Selector::Columns(all))
    }

    /// `4`, `"steer"`
    pub fn column(&mut self, e: &'a Expr) -> Res<ColumnRef> {
        match self.eval(e)? {
            Val::Text(name) => Ok(ColumnRef::Named(name)),
            Val::Number(x) => match whole(x) {
                Some(n) => Ok(ColumnRef::At(n)),
                None => self.fail("E0410", e.span, "a column is a whole number from 0, or a name"),
            },
            // The name of a dim is its size: the column after `columns(0..feature)`.
            size @ Val::Dim(_) => Ok(ColumnRef::At(self.whole_number((size, e.span), "column", 0)?)),
            other => self.fail("E0402", e.span, format!("a column is a number or a name, found {}", other.kind())),
        }
    }

    fn column_range(&mut self, r: &'a ast::Range) -> Res<Selector> {
        let start = match &r.start {
            Some(e) => self.column_number(e)?,
            None => 0,
        };
        let Some(end) = &r.end else { return Ok(Selector::ColumnsFrom(start)) };
        let stop = self.column_number(end)?;
        if stop <= start || stop > 1 << 20 {
            return self.fail("E0410", r.span, format!("the range {start}..{stop} holds no columns or too many"));
        }
        Ok(Selector::Columns((start..stop).map(ColumnRef::At).collect()))
    }

    fn column_number(&mut self, e: &'a Expr) -> Res<usize> {
        let value = self.eval(e)?;
        self.whole_number((value, e.span), "column", 0)
    }

    pub fn step(&mut self, e: &'a Expr) -> Res<FieldStep> {
        let (name, args) = self.named_call(e, "a step, such as `scale(1 / 255)`,")?;
        let mut c = Call::new(&name, vec![], args, e.span);
        let step = match name.node.as_str() {
            "scale" => {
                let (by, _) = self.take_number(&mut c, "by", None)?;
                let (shift, _) = self.take_number(&mut c, "shift", Some(0.0))?;
                FieldStep::Scale { by, shift }
            }
            "standardize" => {
                let over = self.take_axes(&mut c, "over")?.unwrap_or_default();
                FieldStep::Standardize { over: over.into_iter().map(|(n, _)| n).collect() }
            }
            "minmax" => FieldStep::MinMax,
            "log" => FieldStep::Log,
            "fill" => self.fill(&mut c)?,
            "one_hot" => FieldStep::OneHot {
                size: match self.take_any(&mut c, "size")? {
                    None => None,
                    Some((Val::Dim(d), at)) => self.dim_size(&d, at)?.known(),
                    Some(placed) => Some(self.whole_number(placed, "size", 1)?),
                },
            },
            drawn if data_pictures::STEPS.contains(&drawn) => self.picture_step(&mut c)?,
            _ => return self.unknown_step(&name, STEPS, "step"),
        };
        self.finish(&mut c)?;
        Ok(step)
    }

    /// `fill`, `fill(mean)`, `fill(0)`; of classes `fill("unknown")`
    fn fill(&mut self, c: &mut Call<'a>) -> Res<FieldStep> {
        use super::args::Given;
        match c.queue.pop_front() {
            Some(Given::Expr(e)) => match self.word(e)? {
                (Ok(w), _) if w == "mean" => Ok(FieldStep::Fill(None)),
                (Ok(class), _) if !matches!(e.node, ExprKind::Name(_)) => Ok(FieldStep::FillClass(class)),
                (Ok(_), at) => {
                    self.fail("E0410", at, "missing cells are filled with `mean`, a number or a class in quotes")
                }
                (Err(value), at) => Ok(FieldStep::Fill(Some(self.number((value, at))?))),
            },
            None => Ok(FieldStep::Fill(None)),
            _ => self.fail("E0407", c.span, "`fill` needs a number, `mean` or a class in quotes"),
        }
    }

    fn unknown_step<T>(&mut self, name: &ast::Ident, known: &[&str], what: &str) -> Res<T> {
        let Spanned { node, span } = name;
        let e = Diagnostic::error("E0203", *span, format!("unknown {what} `{node}`"));
        Err(self.report(match nearest(node, known.iter().copied()) {
            Some(near) => e.help(format!("a {what} with a similar name exists: `{near}`")),
            None => e.note(format!("there are {}", known.join(", "))),
        }))
    }
}
