//! Detection: fields of boxes, what grids tell of them in training, predictions that are boxes, and their metric.

use super::args::Call;
use super::data::{DataInfo, FieldInfo};
use super::elab::{Elab, Res};
use super::layer::Seen;
use super::spec::MetricSpec;
use super::value::{Axis, Element, LayerId, Table, Val};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Arg, Expr, ExprKind};
use dlc_runtime::data::augment::AugmentStep;
use dlc_runtime::data::objects::grid::{Grid, Told};
use dlc_runtime::data::spec::{AxisSpec, DataSpec, DimSpec, FieldSpec, FieldStep, PictureStep, Selector, Source};
use dlc_runtime::metrics::{ApRule, Points};

/// Cells along one side of a grid.
const MOST_CELLS: usize = 1 << 12;
/// What a place says, in this order.
const SIDES: [&str; 4] = ["x", "y", "w", "h"];

impl<'a> Elab<'a> {
    /// `voc("bccd")`, `yolo("traffic")`, `coco(images = "train2017", json = "instances.json")`
    pub fn marked(&mut self, c: &mut Call<'a>) -> Res<Source> {
        let source = match c.name.as_str() {
            "coco" => {
                let (images, json) = (self.take_text(c, "images")?, self.take_text(c, "json")?);
                Source::Coco { images, json, skip_broken: false }
            }
            "voc" => Source::Voc { path: self.take_text(c, "path")?, skip_broken: false },
            _ => Source::Yolo { path: self.take_text(c, "path")?, skip_broken: false },
        };
        let skip_broken = self.take_flag(c, "skip_broken", false)?;
        Ok(match source {
            Source::Coco { images, json, .. } => Source::Coco { images, json, skip_broken },
            Source::Voc { path, .. } => Source::Voc { path, skip_broken },
            Source::Yolo { path, .. } => Source::Yolo { path, skip_broken },
            other => other,
        })
    }

    /// `field objects: boxes = boxes |> letterbox(h: 224, w: 224)`
    pub fn boxes_field(
        &mut self,
        field: &'a ast::Field,
        target: &'a ast::Target,
        ty: &'a ast::Type,
    ) -> Res<Option<(Table, FieldSpec)>> {
        let is_boxes = ty.element.as_ref().is_some_and(|e| e.node == "boxes") && self.dim("boxes")?.is_none();
        let callee = |e: &Expr| matches!(&e.node, ExprKind::Name(name) if name == "boxes");
        let reads = match &field.value.node {
            ExprKind::Pipe(first, _) => callee(first),
            _ => callee(&field.value),
        };
        if !is_boxes && !reads {
            return Ok(None);
        }
        let name = &target.name;
        if !(is_boxes && reads && ty.shape.is_none()) {
            let e = Diagnostic::error("E0511", ty.span, "boxes are a type and a value of their own");
            return Err(self.report(e.help(format!("write `field {}: boxes = boxes`", name.node))));
        }
        if field.targets.len() > 1 {
            let message = format!("{} names, but the value is one field", field.targets.len());
            return self.fail("E0409", field.value.span, message);
        }
        let (from, steps) = self.field_value(&field.value)?;
        let moves = |s: &FieldStep| {
            use PictureStep::{Crop, Letterbox, Resize};
            matches!(s, FieldStep::Picture(Resize { .. } | Letterbox { .. } | Crop { .. }))
        };
        if !steps.iter().all(moves) {
            let e = Diagnostic::error("E0502", field.value.span, "boxes only go where their picture goes");
            return Err(self.report(e.help("their steps are `resize`, `letterbox` and `crop`")));
        }
        let (name, span) = (name.node.clone(), name.span);
        let spec = FieldSpec { name, place: super::data_steps::place(span), dim: None, shape: vec![], from, steps };
        Ok(Some((Table::numbers(vec![], true), spec)))
    }

    /// E0502: the pictures must go where the boxes go.
    pub fn boxes_go_with_pictures(&mut self, d: &'a ast::Data, fields: &[FieldSpec]) -> Res<()> {
        let moves = |field: &FieldSpec| {
            let steps = field.steps.iter().filter_map(|step| match step {
                FieldStep::Picture(PictureStep::Resize { h, w, .. }) => {
                    Some(PictureStep::Resize { h: *h, w: *w, nearest: false })
                }
                FieldStep::Picture(step @ (PictureStep::Letterbox { .. } | PictureStep::Crop { .. })) => {
                    Some(step.clone())
                }
                _ => None,
            });
            steps.collect::<Vec<_>>()
        };
        let span = |name: &str| {
            let all = d.fields.iter().flat_map(|f| &f.targets);
            all.map(|t| &t.name).find(|n| n.node == name).map_or(d.name.span, |n| n.span)
        };
        for boxes in fields.iter().filter(|f| f.from == Selector::Boxes) {
            let pictures: Vec<&FieldSpec> = fields.iter().filter(|f| f.from == Selector::Images).collect();
            let Some(first) = pictures.first() else { continue };
            if pictures.iter().all(|picture| moves(picture) != moves(boxes)) {
                let message = format!("`{}` goes through other steps than `{}`", boxes.name, first.name);
                let e = Diagnostic::error("E0502", span(&boxes.name), message).label(span(&first.name), "the pictures");
                return Err(self.report(e.help("write the same `resize`, `letterbox` and `crop` for both")));
            }
        }
        Ok(())
    }

    /// A field of boxes is known to metrics and to fields of `train`, not to the model.
    pub fn boxes_in_scope(&mut self, name: &ast::Ident, t: &'a ast::Train) {
        if let Some(input) = self.inputs.get(&name.node).copied() {
            let layer = self.hir.layer(input).clone();
            let message = format!("the model reads `{}` as {}, but the field is boxes", name.node, layer.ty);
            let e = Diagnostic::error("E0504", name.span, message).here("the field");
            self.report(e.label(layer.span, "the input").label(t.model.span, "trained here"));
        }
        self.define(name, Val::Boxes(name.node.clone()), false);
    }

    /// `field has: [gy, gx], place: [gy, gx, side], what: kind[gy, gx] = objects |> to_grid(gy, gx)`
    pub fn late_fields(&mut self, t: &'a ast::Train, data: &Option<DataInfo>) -> Res<()> {
        let mut result = Ok(());
        for field in &t.fields {
            result = self.late_field(field, data).and(result);
            if result.is_err() {
                for target in &field.targets {
                    if !self.frame().vars.contains_key(&target.name.node) {
                        self.define(&target.name, Val::Poison, false);
                    }
                }
            }
        }
        result
    }

    fn late_field(&mut self, field: &'a ast::Field, data: &Option<DataInfo>) -> Res<()> {
        let (of, stage) = match &field.value.node {
            ExprKind::Pipe(of, stages) if stages.len() == 1 => (&**of, &stages[0]),
            _ => {
                let e = Diagnostic::error("E0404", field.value.span, "a field of `train` puts boxes on a grid");
                return Err(self.report(e.help("write `objects |> to_grid(gy, gx)`")));
            }
        };
        let of = match self.eval(of)? {
            Val::Boxes(name) => name,
            other => return self.fail("E0402", of.span, format!("boxes are needed here, found {}", other.kind())),
        };
        let (name, args) = self.named_call(stage, "`to_grid(gy, gx)`")?;
        if name.node != "to_grid" {
            let e = Diagnostic::error("E0203", name.span, format!("unknown step `{}` of boxes", name.node));
            return Err(self.report(e.note("there is `to_grid`")));
        }
        let mut c = Call::new(&name, vec![], args, stage.span);
        let axes = [self.take_out(&mut c, "rows")?, self.take_out(&mut c, "columns")?];
        let (reach, at) = self.take_number(&mut c, "reach", Some(0.0))?;
        self.finish(&mut c)?;
        if !(0.0..=64.0).contains(&reach) {
            return self.fail("E0410", at, format!("`reach` is {reach}: it lies between 0 and 64 cells"));
        }
        let mut sizes = [0; 2];
        for (size, axis) in sizes.iter_mut().zip(&axes) {
            *size = match axis.size.known() {
                Some(n) if (1..=MOST_CELLS).contains(&n) => n,
                Some(n) => {
                    return self.fail("E0315", stage.span, format!("the grid has {n} cells along `{}`", axis.name));
                }
                None => return self.fail("E0503", stage.span, format!("nothing tells the size of `{}`", axis.name)),
            };
        }
        for target in &field.targets {
            self.on_grid(target, (&axes, sizes), (&of, reach), data)?;
        }
        Ok(())
    }

    fn on_grid(
        &mut self,
        target: &'a ast::Target,
        (axes, [rows, columns]): (&[Axis; 2], [usize; 2]),
        (of, reach): (&str, f64),
        data: &Option<DataInfo>,
    ) -> Res<()> {
        let name = &target.name;
        let Some(ty) = &target.ty else {
            let e = Diagnostic::error("E0302", name.span, format!("the field `{}` has no type", name.node));
            return Err(
                self.report(e.help(format!("write `field {}: [{}, {}]`", name.node, axes[0].name, axes[1].name)))
            );
        };
        let taken = data.as_ref().is_some_and(|data| data.fields.iter().any(|f| f.name == name.node));
        if taken || self.inputs.contains_key(&name.node) || self.frame().vars.contains_key(&name.node) {
            return self.fail("E0207", name.span, format!("the field `{}` has a name that is taken", name.node));
        }
        let table = self.full_type(ty, true)?;
        let told = match (&table.element, &table.axes[..]) {
            (Element::Number, [_, _]) => Some(Told::Has),
            (Element::Number, [_, _, side]) if side.size.known() == Some(4) => Some(Told::Place),
            (Element::Index { .. }, [_, _]) => Some(Told::What),
            _ => None,
        };
        let Some(told) = told.filter(|_| table.axes[..2] == axes[..]) else {
            let message = format!("the field is {table}, and the grid has [{}, {}]", axes[0], axes[1]);
            let e = Diagnostic::error("E0511", ty.span, message);
            let (r, c) = (&axes[0].name, &axes[1].name);
            return Err(self.report(e.help(format!(
                "a grid tells whether there is an object, `has: [{r}, {c}]`, where, `place: [{r}, {c}, side]` with 4 sides, \
                 and what, `what: kind[{r}, {c}]`"
            ))));
        };
        if told == Told::Place {
            self.sides_fit(&table.axes[2], ty.span)?;
        }
        let dim = self.dim_spec(&table.element);
        let shape = table.axes.iter().map(|a| AxisSpec { name: a.name.clone(), size: a.size.known(), most: None });
        let from = Selector::Grid(Grid { of: of.to_string(), told, rows, columns, reach });
        self.late.push(FieldSpec {
            name: name.node.clone(),
            place: super::data_steps::place(name.span),
            dim,
            shape: shape.collect(),
            from,
            steps: vec![],
        });
        let input = self.input(&name.node, table, name.span)?;
        self.define(name, Val::Table(input), false);
        Ok(())
    }

    /// E0605: boxes would stay where their objects were.
    pub fn boxes_move_too(
        &mut self,
        line: &'a ast::Augment,
        steps: &[AugmentStep],
        (picture, data): (&FieldInfo, &DataInfo),
    ) -> Res<()> {
        use AugmentStep::{Crop, Flip, Rotate, Shift, Zoom};
        let moves = |s: &AugmentStep| matches!(s, Flip { .. } | Shift { .. } | Crop { .. } | Zoom(_) | Rotate(_));
        let named = |field: &FieldInfo| line.names.iter().any(|name| name.node == field.name);
        let left = data.fields.iter().find(|field| field.boxes && !named(field));
        let Some(boxes) = left.filter(|_| steps.iter().any(moves)) else { return Ok(()) };
        let message = format!("`{}` moves, and its boxes `{}` stay where they are", picture.name, boxes.name);
        let e = Diagnostic::error("E0605", line.span, message);
        Err(self.report(e.help(format!("move them together: `augment {}, {} |> ...`", picture.name, boxes.name))))
    }

    /// A dim with other names would be read as something else.
    fn sides_fit(&mut self, axis: &Axis, span: Span) -> Res<()> {
        let names = self.dims.get(&axis.name).map(|d| d.names.clone()).unwrap_or_default();
        if names.is_empty() || names == SIDES {
            return Ok(());
        }
        let e = Diagnostic::error("E0511", span, format!("`{}` is {names:?}, and a place is x, y, w, h", axis.name));
        Err(self.report(e.help(format!("write `dim {} = [\"x\", \"y\", \"w\", \"h\"]`", axis.name))))
    }

    fn dim_spec(&self, element: &Element) -> Option<DimSpec> {
        let Element::Index { dim, size } = element else { return None };
        let names = self.dims.get(dim).map(|d| d.names.clone()).unwrap_or_default();
        Some(DimSpec { name: dim.clone(), size: size.known(), names })
    }

    /// Whether the classes of boxes tell the size of a dim.
    pub fn boxes_solve(&self, dim: &str) -> bool {
        self.late.iter().any(|f| f.dim.as_ref().is_some_and(|d| d.name == dim))
    }

    /// The data with the fields that `train` makes of it; boxes are of the classes that it says they are.
    pub fn with_late_fields(&mut self, mut spec: DataSpec) -> DataSpec {
        let seen = self.hir.seen.first().map(|seen| seen.dim.clone());
        for boxes in spec.fields.iter_mut().filter(|f| f.from == Selector::Boxes) {
            let told = self.late.iter().filter(|f| matches!(&f.from, Selector::Grid(grid) if grid.of == boxes.name));
            boxes.dim = told.filter_map(|f| f.dim.clone()).next();
            if let (None, Some(name)) = (&boxes.dim, &seen) {
                let info = self.dims.get(name);
                let names = info.map(|d| d.names.clone()).unwrap_or_default();
                boxes.dim = info.map(|d| DimSpec { name: name.clone(), size: d.size.known(), names });
            }
        }
        spec.fields.append(&mut self.late);
        spec
    }

    /// A prediction by `boxes(...)`: what to show of them.
    pub fn note_boxes(&mut self, name: &'a ast::Ident, value: &'a Expr, layer: LayerId) -> Res<()> {
        let ExprKind::Call { callee, args } = &value.node else { return Ok(()) };
        let is_boxes = matches!(&callee.node, ExprKind::Name(n) if n == "boxes");
        if !is_boxes || self.declared.blocks.contains_key("boxes") {
            return Ok(());
        }
        let mut share = |key: &str, default: f64| -> Res<f64> {
            let given = args.iter().find_map(|arg| match arg {
                Arg::Named(n, e) if n.node == key => Some(e),
                _ => None,
            });
            let Some(e) = given else { return Ok(default) };
            let value = self.eval(e)?;
            let x = self.number((value, e.span))?;
            if (0.0..=1.0).contains(&x) {
                return Ok(x);
            }
            self.fail("E0410", e.span, format!("`{key}` is {x}: it lies between 0 and 1"))
        };
        let (score, overlap) = (share("score", 0.4)?, share("overlap", 0.5)?);
        let class = args.iter().find_map(|arg| match arg {
            Arg::Named(n, e) if n.node == "class" => Some(e),
            _ => None,
        });
        let class = class.or_else(|| args.iter().filter_map(positional).nth(2));
        let Some(class) = class else { return Ok(()) };
        let scores = self.eval(class)?;
        let scores = self.real_table((scores, class.span))?;
        let dim = self.ty(scores).axes.last().map(|a| a.name.clone()).unwrap_or_default();
        self.hir.seen.push(Seen { name: name.node.clone(), layer, score, overlap, dim });
        Ok(())
    }

    /// `mean_ap(seen, objects, iou = 0.5, rule = voc)`
    pub fn mean_ap(&mut self, name: &ast::Ident, args: &'a [Arg], span: Span) -> Res<MetricSpec> {
        let mut c = Call::new(name, vec![], args, span);
        let (seen, at) = self.take_real_table(&mut c, "seen")?;
        let Some(found) = self.hir.seen.iter().find(|known| known.layer == seen).cloned() else {
            let e = Diagnostic::error("E0602", at, "`mean_ap` needs a prediction that is boxes");
            return Err(self.report(e.help("write `predict seen = boxes(found, where, class)` in the model")));
        };
        let of = match self.take_any(&mut c, "objects")? {
            Some((Val::Boxes(of), _)) => of,
            Some((Val::Poison, _)) => return Err(super::elab::Reported),
            Some((other, at)) => {
                let e =
                    Diagnostic::error("E0602", at, format!("`mean_ap` needs a field of boxes, found {}", other.kind()));
                return Err(self.report(e.help("declare it in `data`: `field objects: boxes = boxes`")));
            }
            None => return self.fail("E0602", span, "`mean_ap` compares a prediction and a field of boxes"),
        };
        let points = match self.take_word(&mut c, "rule")? {
            None => Points::Coco,
            Some((Ok(word), _)) if word == "coco" => Points::Coco,
            Some((Ok(word), _)) if word == "voc" => Points::Voc,
            Some((Ok(word), _)) if word == "voc11" => Points::Voc11,
            Some((_, at)) => {
                return self.fail("E0410", at, "`rule` is `coco`, which is meant without it, `voc` or `voc11`");
            }
        };
        let iou = match self.take_any(&mut c, "iou")? {
            None => None,
            Some((value, at)) => match self.number((value, at))? {
                x if x > 0.0 && x <= 1.0 => Some(x),
                x => return self.fail("E0410", at, format!("`iou` is {x}: it lies above 0 and is at most 1")),
            },
        };
        self.finish(&mut c)?;
        let told = |f: &&FieldSpec| matches!(&f.from, Selector::Grid(grid) if grid.of == of) && f.dim.is_some();
        if let Some(dim) = self.late.iter().find(told).and_then(|f| f.dim.clone())
            && dim.name != found.dim
        {
            let message = format!("`{}` is of `{}`, and `{of}` of `{}`", found.name, found.dim, dim.name);
            return self.fail("E0602", span, message);
        }
        let names = self.dims.get(&found.dim).map(|d| d.names.clone()).unwrap_or_default();
        let classes = self.dims.get(&found.dim).and_then(|d| d.size.known());
        let Some(first) = args.iter().find_map(positional) else {
            return self.fail("E0602", span, "`mean_ap` compares a prediction and a field of boxes");
        };
        let scores = self.metric_input(seen, first);
        let args = vec![scores, super::spec::MetricArg::Field(of)];
        let (kind, label) = ("mean_ap".to_string(), "mean_ap".to_string());
        let detection = Some(ApRule { points, iou, overlap: found.overlap });
        Ok(MetricSpec { kind, label, args, classes, names, ignored: vec![], variable: vec![], k: 0, detection })
    }
}

fn positional(arg: &Arg) -> Option<&Expr> {
    match arg {
        Arg::Positional(e) => Some(e),
        _ => None,
    }
}
