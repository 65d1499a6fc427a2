//! The `train` section: scope, loss, metrics, and the numbers of the recipe.

use super::args::Call;
use super::data::DataInfo;
use super::elab::{Elab, Frame, Reported, Res};
use super::layer::{Named, What};
use super::lints::{Through, reachable};
use super::spec::{Length, Stop, TrainSpec};
use super::value::{Element, LayerId, Val, whole};
use crate::base::{Diagnostic, Numerics, Span};
use crate::syntax::ast::{self, Expr, ExprKind, Unit};
use dlc_runtime::data::spec::Selector;

const SETTINGS: &[&str] = &[
    "loss",
    "optimizer",
    "schedule",
    "batch",
    "epochs",
    "steps",
    "metrics",
    "stop",
    "seed",
    "numerics",
    "start",
    "freeze",
];
const LATER: &[&str] = &["average", "accumulate", "balance", "keep"];

impl<'a> Elab<'a> {
    /// Checks the recipe; `scope` is the frame of the model.
    pub fn train(
        &mut self,
        t: &'a ast::Train,
        model: &'a ast::Block,
        scope: Frame<'a>,
        data: &Option<DataInfo>,
    ) -> Option<TrainSpec> {
        self.train_later(t);
        self.frames.push(Frame { prefix: "loss".into(), ..Frame::default() });
        self.train_scope(t, model, scope, data);
        let late = self.late_fields(t, data);
        let setting = |name: &str| t.settings.iter().find(|s| s.name.node == name).map(|s| &s.value);
        let seed = self.recipe_number(setting("seed"), "seed", 0, 0.0);
        let batch = self.recipe_number(setting("batch"), "batch", 1, 32.0);
        let length = self.length(setting("epochs"), setting("steps"));
        let numerics = setting("numerics").map_or(Ok(Numerics::Fast), |e| self.numerics(e));
        let stop = setting("stop").map_or(Ok(vec![]), |e| self.stops(e));
        let start = setting("start").map_or(Ok(None), |e| self.start_file(e));
        let frozen = setting("freeze").map_or(Ok(()), |e| self.freeze(e));
        let loss = self.losses(t, setting("loss"));
        let metrics = setting("metrics").map_or(Ok(vec![]), |e| self.metrics(e));
        self.hir.seed = *seed.as_ref().unwrap_or(&0) as u64;
        let planned = match length {
            Ok(Length::Epochs(n)) => n as f64,
            _ => 0.0,
        };
        let rule = self.optimizer(setting("optimizer"), setting("schedule"), planned, t.span);
        self.frames.pop();
        let augment = self.augments(t, data);
        if let (Some(data), Ok(metrics)) = (data, &metrics) {
            self.fields_used(model, data, metrics);
            let _ = self.told_fits(metrics, data);
        }
        let (
            Ok(seed),
            Ok(batch),
            Ok(length),
            Ok(numerics),
            Ok(stop),
            Ok(()),
            Ok(metrics),
            Ok(()),
            Ok(()),
            Ok(augment),
            Ok(start),
            Ok(()),
        ) = (seed, batch, length, numerics, stop, loss, metrics, rule, late, augment, start, frozen)
        else {
            return None;
        };
        let loss_parts = self.hir.losses.iter().map(|l| l.name.clone()).filter(|n| !n.is_empty()).collect();
        let (model, data) = (t.model.node.clone(), t.data.node.clone());
        let seed = seed as u64;
        Some(TrainSpec { model, data, batch, length, seed, numerics, stop, metrics, start, augment, loss_parts })
    }

    fn fields_used(&mut self, model: &'a ast::Block, data: &DataInfo, metrics: &[super::spec::MetricSpec]) {
        let mut used: Vec<String> = model.formals.iter().map(|f| f.name.node.clone()).collect();
        used.extend(metrics.iter().flat_map(|m| &m.args).map(|a| a.name().to_string()));
        let roots: Vec<LayerId> = self.hir.losses.iter().map(|l| l.layer).collect();
        let reached = reachable(&self.hir, &roots, Through::All);
        used.extend(self.late.iter().filter_map(|f| match &f.from {
            Selector::Grid(grid) => Some(grid.of.clone()),
            _ => None,
        }));
        used.extend(self.inputs.iter().filter(|(_, id)| reached[id.index()]).map(|(n, _)| n.clone()));
        used.extend(data.spec.iter().flat_map(|spec| &spec.fields).flat_map(|field| match &field.from {
            Selector::Partner { of, by } => vec![of.clone(), by.clone()],
            Selector::Alike { by } => vec![by.clone()],
            _ => vec![],
        }));
        if let Some(dlc_runtime::data::spec::Split::Ratio { stratify, .. }) = data.spec.as_ref().map(|s| &s.split) {
            used.extend(stratify.clone());
        }
        self.unused_fields(data, &used);
    }

    fn train_later(&mut self, t: &'a ast::Train) {
        for s in &t.settings {
            let name = s.name.node.as_str();
            if LATER.contains(&name) {
                let _ = self.fail::<()>(
                    "E0199",
                    s.name.span,
                    format!("this version does not have the setting `{name}` yet"),
                );
            } else if !SETTINGS.contains(&name) {
                let all: Vec<&str> = SETTINGS.iter().chain(LATER).copied().collect();
                self.unknown_setting(&s.name, "train", &all);
            }
        }
        for g in t.groups.iter().filter(|g| g.name.node != "loss") {
            self.unknown_setting(&g.name, "train", &["loss"]);
        }
    }

    /// Outputs, predictions and fields by name; fields must fit the model's inputs.
    fn train_scope(&mut self, t: &'a ast::Train, model: &'a ast::Block, scope: Frame<'a>, data: &Option<DataInfo>) {
        let visible: Vec<(String, Val<'a>, Span)> = scope
            .vars
            .iter()
            .filter(|(n, _)| {
                let n = n.as_str();
                model.outputs.iter().any(|o| o.name.node == n)
                    || self.hir.predicts.iter().any(|p| p.name == n)
                    || model.body.iter().any(|s| matches!(s, ast::Stmt::Predict { name, .. } if name.node == n))
            })
            .map(|(n, l)| (n.clone(), l.val.clone(), l.span))
            .collect();
        for (node, val, span) in visible {
            self.define(&ast::Ident { node, span }, val, false);
        }
        let Some(data) = data else { return };
        for name in &data.poisoned {
            self.define(&ast::Ident { node: name.clone(), span: data.span }, Val::Poison, false);
        }
        for field in &data.fields {
            let ident = ast::Ident { node: field.name.clone(), span: field.span };
            if let Some(first) = self.frame().vars.get(&field.name).map(|l| l.span) {
                let e = Diagnostic::error("E0207", first, format!("`{}` is also a field of the data", field.name));
                self.report(
                    e.label(field.span, "the field").help("give it another name: a metric cannot say which it means"),
                );
                continue;
            }
            if field.boxes {
                self.boxes_in_scope(&ident, t);
                continue;
            }
            let val = match self.inputs.get(&field.name).copied() {
                Some(id) => self.field_fits(id, field, t),
                None => self.input(&field.name, field.ty.clone(), field.span),
            };
            self.define(&ident, val.map_or(Val::Poison, Val::Table), false);
        }
        for formal in &model.formals {
            let name = &formal.name.node;
            if !data.fields.iter().any(|f| f.name == *name) && !data.poisoned.contains(name) {
                let message = format!("the model reads `{name}`, but `{}` has no such field", data.name);
                let e = Diagnostic::error("E0505", t.data.span, message).label(formal.name.span, "the input");
                let near = super::near::nearest(name, data.fields.iter().map(|f| f.name.as_str()));
                self.report(match near {
                    Some(near) => e.help(format!("a field with a similar name exists: `{near}`")),
                    None => e.help(format!("add `field {name}: ... = ...`")),
                });
            }
        }
    }

    /// E0504: a field and the input of that name must agree.
    fn field_fits(&mut self, input: LayerId, field: &super::data::FieldInfo, t: &'a ast::Train) -> Res<LayerId> {
        let layer = self.hir.layer(input).clone();
        let same = layer.ty.axes.len() == field.ty.axes.len()
            && layer.ty.axes.iter().zip(&field.ty.axes).all(|(a, b)| a.name == b.name && a.size.agrees(&b.size))
            && layer.ty.element == field.ty.element;
        if same {
            return Ok(input);
        }
        let message = format!("the model reads `{}` as {}, but the field is {}", field.name, layer.ty, field.ty);
        let e = Diagnostic::error("E0504", field.span, message).here("the field");
        Err(self.report(e.label(layer.span, "the input").label(t.model.span, "trained here")))
    }

    fn recipe_number(&mut self, e: Option<&'a Expr>, name: &str, least: usize, default: f64) -> Res<usize> {
        let Some(e) = e else { return Ok(default as usize) };
        match self.eval(e)? {
            Val::Quantity(x, Unit::Epochs) if name == "epochs" => {
                self.whole_number((Val::Number(x), e.span), name, least)
            }
            Val::Quantity(x, Unit::Steps) if name == "steps" => {
                self.whole_number((Val::Number(x), e.span), name, least)
            }
            Val::Number(x) if whole(x).is_some_and(|n| n > 1 << 32) => {
                self.fail("E0315", e.span, format!("`{name}` is {x}, which is too large"))
            }
            other => self.whole_number((other, e.span), name, least),
        }
    }

    fn numerics(&mut self, e: &Expr) -> Res<Numerics> {
        match &e.node {
            ExprKind::Name(name) if name == "fast" => Ok(Numerics::Fast),
            ExprKind::Name(name) if name == "strict" => Ok(Numerics::Strict),
            _ => self.fail("E0402", e.span, "`numerics` is `fast` or `strict`"),
        }
    }

    fn length(&mut self, epochs: Option<&'a Expr>, steps: Option<&'a Expr>) -> Res<Length> {
        match (epochs, steps) {
            (Some(e), Some(s)) => {
                let err = Diagnostic::error("E0410", s.span, "a run lasts so many epochs or so many steps, not both");
                Err(self.report(err.label(e.span, "the epochs")))
            }
            (_, None) => self.recipe_number(epochs, "epochs", 1, 10.0).map(Length::Epochs),
            (None, steps) => self.recipe_number(steps, "steps", 1, 1.0).map(Length::Steps),
        }
    }

    fn stops(&mut self, e: &'a Expr) -> Res<Vec<Stop>> {
        match &e.node {
            ExprKind::List(items) => items.iter().map(|i| self.stop(i)).collect(),
            _ => Ok(vec![self.stop(e)?]),
        }
    }

    fn stop(&mut self, e: &'a Expr) -> Res<Stop> {
        let (name, args) = self.named_call(e, "`patience(10 epochs)` or `target(0.99)`")?;
        let mut c = Call::new(&name, vec![], args, e.span);
        let first = self.take_any(&mut c, "count")?;
        let on = self.take_word(&mut c, "on")?;
        self.finish(&mut c)?;
        let on = match on {
            None => None,
            Some((Ok(text), _)) => Some(text),
            Some((Err(v), at)) => return self.fail("E0402", at, format!("`on` is a text, found {}", v.kind())),
        };
        match (name.node.as_str(), first) {
            ("patience", Some((Val::Quantity(count, unit), _))) if count > 0.0 => {
                Ok(Stop::Patience { count, unit, on: on.unwrap_or_else(|| "val.loss".into()) })
            }
            ("patience", Some((Val::Number(x), at))) => {
                let err = Diagnostic::error("E0109", at, "the unit of time is missing");
                Err(self.report(err.help(format!("write `{x} epochs` or `{x} steps`"))))
            }
            ("target", Some((Val::Number(value), _))) => match on {
                Some(on) => Ok(Stop::Target { value, on }),
                None => self.fail("E0407", e.span, "`target` needs what it is about: `on = \"val.accuracy\"`"),
            },
            ("patience" | "target", _) => self.fail("E0410", e.span, format!("`{}` needs a value above 0", name.node)),
            _ => self.fail(
                "E0203",
                name.span,
                format!("unknown stop `{}`: there are `patience` and `target`", name.node),
            ),
        }
    }

    fn losses(&mut self, t: &'a ast::Train, single: Option<&'a Expr>) -> Res<()> {
        let group = t.groups.iter().find(|g| g.name.node == "loss");
        let parts: Vec<(String, &'a Expr, Span)> = match (group, single) {
            (Some(g), None) => g.settings.iter().map(|s| (s.name.node.clone(), &s.value, s.name.span)).collect(),
            (None, Some(e)) => vec![(String::new(), e, e.span)],
            (Some(g), Some(e)) => {
                let err =
                    Diagnostic::error("E0108", g.name.span, "`loss` is given twice").label(e.span, "first given here");
                return Err(self.report(err));
            }
            (None, None) => vec![],
        };
        if parts.is_empty() {
            let e = Diagnostic::error("E0407", t.model.span, "`train` needs a `loss`");
            return Err(self.report(e.help("for classes: `loss = cross_entropy(logits, label)`")));
        }
        let mut failed = None;
        for (name, e, span) in parts {
            if !name.is_empty() {
                self.frame().prefix = format!("loss.{name}");
                self.frame().counters.clear();
            }
            match self.loss(e) {
                Ok(layer) => self.hir.losses.push(Named { name, layer, span }),
                Err(r) => failed = Some(r),
            }
        }
        let place = single.map_or(group.map_or(t.model.span, |g| g.name.span), |e| e.span);
        failed.map_or_else(|| self.loss_reaches_weights(place), Err)
    }

    /// One loss: a number per example (E0601).
    fn loss(&mut self, e: &'a Expr) -> Res<LayerId> {
        self.here = self.frame().prefix.clone();
        let value = self.eval(e)?;
        let x = self.real_table((value, e.span))?;
        let ty = self.number_type(x, e.span)?;
        if !ty.axes.is_empty() {
            let err = Diagnostic::error("E0601", e.span, format!("the loss is {ty}, not a number per example"));
            let axes: Vec<_> = ty.axes.iter().map(|a| a.name.clone()).collect();
            return Err(self.report(err.help(format!("take the mean: `mean(..., over = [{}])`", axes.join(", ")))));
        }
        if !ty.batched {
            let err = Diagnostic::error("E0601", e.span, "the loss does not depend on the data");
            return Err(self.report(err));
        }
        Ok(x)
    }

    /// E0606 where no weight plays a part; E0411 where one does, but not in a way that has a gradient.
    fn loss_reaches_weights(&mut self, span: Span) -> Res<()> {
        let roots: Vec<LayerId> = self.hir.losses.iter().map(|l| l.layer).collect();
        let all = reachable(&self.hir, &roots, Through::All);
        let smooth = reachable(&self.hir, &roots, Through::Gradients);
        let layers = self.hir.layers.iter().enumerate();
        let weights: Vec<usize> = layers
            .filter(|(i, l)| all[*i] && matches!(l.what, What::Weight(_)) && !self.hir.is_frozen(&l.path))
            .map(|(i, _)| i)
            .collect();
        if weights.is_empty() {
            let e = Diagnostic::error("E0606", span, "no weight depends on the loss: there is nothing to train");
            return Err(self.report(e));
        }
        let Some(stuck) = weights.iter().find(|i| !smooth[**i]) else { return Ok(()) };
        let layer = self.hir.layers[*stuck].clone();
        let message = format!("no gradient can reach the weight `{}`", layer.path);
        let e = Diagnostic::error("E0411", layer.span, message).label(span, "the loss");
        let e = e.note("between them is an operation without a gradient, such as `argmax`, `floor` or a comparison");
        Err::<(), Reported>(self.report(e))
    }

    /// Number of classes and names of what a table indexes.
    pub fn classes(&self, element: &Element) -> (Option<usize>, Vec<String>) {
        match element {
            Element::Number => (None, vec![]),
            Element::Index { dim, size } => {
                let names = self.dims.get(dim).map(|d| d.names.clone()).unwrap_or_default();
                (size.known(), names)
            }
        }
    }
}
