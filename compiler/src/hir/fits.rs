//! Do scores and labels belong together: losses of the library and metrics.

use super::data::DataInfo;
use super::elab::{Elab, Reported, Res};
use super::layer::{Named, What};
use super::near::nearest;
use super::spec::{MetricArg, MetricSpec};
use super::told::TOLD_METRICS;
use super::value::{Element, LayerId, Placed, Table, Val};
use crate::base::{Diagnostic, Span, Spanned};
use crate::loops::Binary;
use crate::syntax::ast::{self, Arg, Expr, ExprKind, Ident};

/// Losses of scores against labels; of values against values.
const CLASS_LOSSES: &[&str] = &["cross_entropy", "nll", "dice", "focal"];
const VALUE_LOSSES: &[&str] = &["mse", "mae", "huber", "bce", "iou", "giou"];
const CLASS_METRICS: &[&str] = &["accuracy", "auc", "confusion", "dice", "f1", "iou", "perplexity", "purity", "top"];
const VALUE_METRICS: &[&str] = &["auc", "mae", "mape", "mean", "mse", "rmse"];

impl<'a> Elab<'a> {
    /// Checks a call of a loss where it is written, before its block is expanded.
    pub fn loss_fits(&mut self, name: &str, bound: &[Option<Placed<'a>>], span: Span) -> Res<()> {
        let class = CLASS_LOSSES.contains(&name);
        if !class && !VALUE_LOSSES.contains(&name) {
            return Ok(());
        }
        let [Some((Val::Table(x), sx)), Some((Val::Table(y), sy)), ..] = bound else { return Ok(()) };
        let (x, y) = ((*x, *sx), (*y, *sy));
        if class { self.labels_fit(name, x, y) } else { self.values_fit(name, x, y, span) }?;
        self.loss_lints(name, x.0, span);
        Ok(())
    }

    /// Points of a mask that no class is said of count neither in the sum nor in its size: `known` weighs the others.
    pub fn without_ignored(&mut self, block: &'a ast::Block, bound: &mut [Option<Placed<'a>>], span: Span) -> Res<()> {
        let [_, Some((Val::Table(y), at)), ..] = bound else { return Ok(()) };
        let ignoring = matches!(&self.hir.layer(*y).what, What::Input(name) if self.hir.ignoring.contains_key(name));
        let weight = block.formals.iter().position(|formal| formal.name.node == "weight");
        let (true, Some(place)) = (ignoring && CLASS_LOSSES.contains(&block.name.node.as_str()), weight) else {
            return Ok(());
        };
        let mut given = vec![(Val::Table(*y), *at)];
        given.extend(bound.get(place).cloned().flatten());
        let name = Spanned { node: "known".to_string(), span };
        let weight = self.standard_block(&name, given, span)?;
        if let Some(slot) = bound.get_mut(place) {
            *slot = Some((weight, span));
        }
        Ok(())
    }

    /// `z` has the labels' dim as an axis, and besides exactly the axes of `y` (E0310).
    fn labels_fit(&mut self, name: &str, z: (LayerId, Span), y: (LayerId, Span)) -> Res<()> {
        let (tz, ty) = (self.number_type(z.0, z.1)?, self.ty(y.0).clone());
        let Element::Index { dim, size } = &ty.element else {
            let e = Diagnostic::error("E0401", y.1, format!("`{name}` needs indices as labels, found numbers: {ty}"));
            return Err(self.report(e.help("for numbers use `mse(p, y)`; for labels declare `field label: digit`")));
        };
        let Some(axis) = tz.axis(dim) else {
            let message = format!("the label indexes `{dim}`, but the logits have no axis `{dim}`");
            let e = Diagnostic::error("E0310", z.1, message).here(tz.to_string());
            let e = e.label(y.1, format!("an index into `{dim}`")).help(format!("end the model with `dense({dim})`"));
            let note = format!("declaring the output, `-> logits: [{dim}]`, would report this at the model (E0313)");
            return Err(self.report(e.note(note)));
        };
        if !axis.size.agrees(size) {
            let message = format!("the label indexes {size} of `{dim}`, but the logits have {}", axis.size);
            return self.fail("E0310", z.1, message);
        }
        let rest = tz.without(std::slice::from_ref(dim));
        self.same_axes("E0310", name, (&rest, z.1), (&ty, y.1))
    }

    fn same_axes(&mut self, code: &'static str, name: &str, a: (&Table, Span), b: (&Table, Span)) -> Res<()> {
        let within =
            |x: &Table, y: &Table| x.axes.iter().all(|p| y.axis(&p.name).is_some_and(|q| q.size.agrees(&p.size)));
        if within(a.0, b.0) && within(b.0, a.0) {
            return Ok(());
        }
        let numbers = |t: &Table| Table::numbers(t.axes.clone(), t.batched);
        let (x, y) = (numbers(a.0), numbers(b.0));
        let message = format!("`{name}` needs the same axes on both sides: left is {x}, right is {y}");
        let e = Diagnostic::error(code, a.1, message).here(x.to_string());
        Err(self.report(e.label(b.1, y.to_string())))
    }

    fn values_fit(&mut self, name: &str, x: (LayerId, Span), y: (LayerId, Span), _span: Span) -> Res<()> {
        let (tx, ty) = (self.number_type(x.0, x.1)?, self.number_type(y.0, y.1)?);
        let differ = tx.axes.iter().any(|a| ty.axis(&a.name).is_some_and(|b| !b.size.agrees(&a.size)));
        self.same_axes(if differ { "E0304" } else { "E0305" }, name, (&tx, x.1), (&ty, y.1))
    }

    /// `metrics = [accuracy(logits, label), ...]`
    pub fn metrics(&mut self, e: &'a Expr) -> Res<Vec<MetricSpec>> {
        let items: Vec<&'a Expr> = match &e.node {
            ExprKind::List(items) => items.iter().collect(),
            _ => vec![e],
        };
        self.frame().prefix = "metrics".into();
        self.here = "metrics".into();
        let all: Vec<Res<MetricSpec>> = items.into_iter().map(|i| self.metric(i)).collect();
        let mut metrics = all.into_iter().collect::<Res<Vec<_>>>()?;
        let labels: Vec<String> = metrics.iter().map(|m| m.label.clone()).collect();
        for m in &mut metrics {
            if labels.iter().filter(|l| **l == m.label).count() > 1 {
                m.label = format!("{}.{}", m.label, m.args.first().map_or("", MetricArg::name));
            }
        }
        Ok(metrics)
    }

    fn metric(&mut self, e: &'a Expr) -> Res<MetricSpec> {
        let (name, args) = self.named_call(e, "a metric, such as `accuracy(logits, label)`,")?;
        let kind = name.node.as_str();
        if kind == "mean_ap" {
            return self.mean_ap(&name, args, e.span);
        }
        if TOLD_METRICS.contains(&kind) {
            return self.told_metric(&name, args, e.span);
        }
        let (of_classes, of_values) = (CLASS_METRICS.contains(&kind), VALUE_METRICS.contains(&kind));
        if !of_classes && !of_values {
            return Err(self.unknown_metric(&name));
        }
        let (mut tables, mut k, mut called) = (vec![], 5, None);
        for arg in args {
            match arg {
                Arg::Positional(a) => {
                    let value = self.eval(a)?;
                    tables.push((self.real_table((value, a.span))?, a));
                }
                Arg::Named(n, a) if n.node == "k" && kind == "top" => {
                    let value = self.eval(a)?;
                    k = self.whole_number((value, a.span), "k", 1)?;
                }
                Arg::Named(n, a) if n.node == "name" => called = Some(self.metric_name(a)?),
                Arg::Named(n, a) if n.node == "where" && kind == "mean" => {
                    let value = self.eval(a)?;
                    tables.push((self.real_table((value, a.span))?, a));
                }
                Arg::Named(n, _) | Arg::Axis(n, _) => {
                    return self.fail("E0408", n.span, format!("`{kind}` has no argument `{}`", n.node));
                }
                Arg::Range(r) => return self.fail("E0408", r.span, "a range has no meaning here"),
            }
        }
        if let ("mean", [(x, a)]) = (kind, &tables[..]) {
            tables.push((self.everywhere(*x, a.span)?, *a));
        }
        let [(x, ax), (y, ay)] = tables[..] else {
            return self.fail("E0602", e.span, format!("`{kind}` compares two tables, found {}", tables.len()));
        };
        let class = self.scores_classes(kind, (of_classes, of_values), (y, ay.span))?;
        if kind == "purity" {
            self.clusters_fit((x, ax.span), (y, ay.span))?;
        } else if class {
            self.labels_fit(kind, (x, ax.span), (y, ay.span))?;
        } else {
            self.values_fit(kind, (x, ax.span), (y, ay.span), e.span)?;
        }
        let element = self.ty(y).element.clone();
        let variable = self.metric_axes(y, e.span)?;
        let ignored = self.ignored_in(y);
        let (classes, names) = self.classes(&element);
        let x = if kind == "purity" { x } else { self.metric_order(x, y, &element, e.span)? };
        let args = vec![self.metric_input(x, ax), self.metric_input(y, ay)];
        let label = called.unwrap_or_else(|| if kind == "top" { format!("top{k}") } else { kind.to_string() });
        Ok(MetricSpec { kind: kind.to_string(), label, args, classes, names, ignored, variable, k, detection: None })
    }

    /// The classes whose points a field leaves out.
    fn ignored_in(&self, y: LayerId) -> Vec<usize> {
        match &self.hir.layer(y).what {
            What::Input(name) => self.hir.ignoring.get(name).cloned().unwrap_or_default(),
            _ => vec![],
        }
    }

    /// `name = "error at night"`
    fn metric_name(&mut self, e: &'a Expr) -> Res<String> {
        match self.eval(e)? {
            Val::Text(name) if !name.trim().is_empty() => Ok(name),
            other => self.fail("E0402", e.span, format!("the name of a metric is a text, found {}", other.kind())),
        }
    }

    /// As many ones as `x` has elements: a mean over all of them.
    fn everywhere(&mut self, x: LayerId, span: Span) -> Res<LayerId> {
        let none = self.table_infix(Binary::Mul, "*", (Val::Table(x), span), (Val::Number(0.0), span), span)?;
        self.table_infix(Binary::Add, "+", (Val::Table(none), span), (Val::Number(1.0), span), span)
    }

    /// One score for each cluster, one label: clusters have no names, and any number.
    fn clusters_fit(&mut self, x: (LayerId, Span), y: (LayerId, Span)) -> Res<()> {
        let (tx, ty) = (self.number_type(x.0, x.1)?, self.ty(y.0).clone());
        if tx.axes.len() == 1 && ty.axes.is_empty() {
            return Ok(());
        }
        let message = format!("`purity` needs a score of each cluster and one label, found {tx} and {ty}");
        self.fail("E0602", x.1, message)
    }

    /// Whether a metric is about classes here; E0602 where the truth is of the other sort.
    fn scores_classes(&mut self, kind: &str, (classes, values): (bool, bool), (y, at): (LayerId, Span)) -> Res<bool> {
        let is_index = self.ty(y).is_index();
        if is_index && classes || !is_index && values {
            return Ok(is_index);
        }
        let needs = if classes { "indices as labels" } else { "numbers" };
        let message = format!("`{kind}` needs {needs}, found {}", self.ty(y));
        let err = Diagnostic::error("E0602", at, message);
        Err(self.report(err.help(match classes {
            true => "for numbers there are `mae`, `mape`, `mean`, `mse` and `rmse`",
            false => "for labels there are `accuracy`, `f1`, `top` and `confusion`",
        })))
    }

    fn unknown_metric(&mut self, name: &Ident) -> Reported {
        let kind = name.node.as_str();
        let err = Diagnostic::error("E0602", name.span, format!("unknown metric `{kind}`"));
        let all = CLASS_METRICS.iter().chain(VALUE_METRICS).chain(TOLD_METRICS).chain(&["mean_ap"]).copied();
        self.report(match nearest(kind, all) {
            Some(near) => err.help(format!("a metric with a similar name exists: `{near}`")),
            None => err,
        })
    }

    /// Per axis the dim of which each example has its own length; a metric knows the lengths of the data alone.
    fn metric_axes(&mut self, y: LayerId, span: Span) -> Res<Vec<Option<String>>> {
        let ty = self.ty(y).clone();
        if let Some((axis, _)) = ty.variable().find(|(_, v)| !v.changes.is_empty()) {
            let message = format!("a metric along `{}`, whose length a layer changed", axis.name);
            let e = Diagnostic::error("E0316", span, message).here(format!("the table is {ty}"));
            return Err(self.report(e.help("measure what has the length of a field, or one number of each example")));
        }
        Ok(ty.axes.iter().map(|a| a.size.variable().map(|v| v.dim.clone())).collect())
    }

    /// Scores with the axes of the truth, then the classes.
    fn metric_order(&mut self, x: LayerId, y: LayerId, element: &Element, span: Span) -> Res<LayerId> {
        let (tx, ty) = (self.ty(x).clone(), self.ty(y).clone());
        let mut axes = ty.axes;
        if let Element::Index { dim, .. } = element {
            axes.extend(tx.axis(dim).cloned());
        }
        if axes == tx.axes {
            return Ok(x);
        }
        self.push(What::Permute, &[x], Table { axes, ..tx }, span)
    }

    /// A field stays a field; everything else becomes an output under its own name.
    pub fn metric_input(&mut self, x: LayerId, e: &'a Expr) -> MetricArg {
        if let What::Input(name) = &self.hir.layer(x).what {
            return MetricArg::Field(name.clone());
        }
        if let Some(known) = self.hir.metric_inputs.iter().find(|n| n.layer == x) {
            return MetricArg::Output(known.name.clone());
        }
        let taken = |n: &str| self.hir.metric_inputs.iter().any(|m| m.name == n);
        let name = match &e.node {
            ExprKind::Name(n) if !taken(n) => n.clone(),
            _ => format!("metric.{}", self.hir.metric_inputs.len()),
        };
        self.hir.metric_inputs.push(Named { name: name.clone(), layer: x, span: e.span });
        MetricArg::Output(name)
    }

    /// Fields that nothing reads.
    pub fn unused_fields(&mut self, data: &DataInfo, used: &[String]) {
        for f in data.fields.iter().filter(|f| !used.contains(&f.name)) {
            let d = Diagnostic::warning("unused_field", f.span, format!("the field `{}` is never used", f.name));
            self.warn(d.help("remove it, or read it in the model, the loss or a metric"));
        }
    }
}
