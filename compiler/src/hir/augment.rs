//! `augment image, mask |> random_flip(w)`: what training does to examples before it sees them.

use super::args::{Call, Given};
use super::data::{DataInfo, FieldInfo};
use super::elab::{Elab, Reported, Res};
use super::mixup::is_mixup;
use super::near::nearest;
use super::value::{Element, Val};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Expr};
use dlc_runtime::data::augment::{Augment, AugmentStep};
use dlc_runtime::data::spec::{ColumnRef, FieldStep, Selector};

const STEPS: &[&str] = &[
    "random_flip",
    "random_shift",
    "random_crop",
    "random_zoom",
    "random_rotate",
    "random_brightness",
    "random_contrast",
    "random_noise",
    "cutout",
    "mixup",
];

impl<'a> Elab<'a> {
    pub fn augments(&mut self, t: &'a ast::Train, data: &Option<DataInfo>) -> Res<Vec<Augment>> {
        let Some(data) = data else { return Ok(vec![]) };
        let all: Vec<Res<Augment>> = t.augments.iter().map(|line| self.augment(line, data)).collect();
        let all: Vec<Augment> = all.into_iter().collect::<Res<_>>()?;
        self.mixes_fit(t, &all, data)?;
        Ok(all)
    }

    fn augment(&mut self, line: &'a ast::Augment, data: &DataInfo) -> Res<Augment> {
        let mut fields: Vec<&FieldInfo> = vec![];
        for name in &line.names {
            let found = data.fields.iter().find(|field| field.name == name.node);
            if data.poisoned.contains(&name.node) {
                return Err(Reported);
            }
            let Some(field) = found else {
                let e = Diagnostic::error("E0201", name.span, format!("`{}` has no field `{}`", data.name, name.node));
                let near = nearest(&name.node, data.fields.iter().map(|field| field.name.as_str()));
                return Err(self.report(match near {
                    Some(near) => e.help(format!("a field with a similar name exists: `{near}`")),
                    None => e,
                }));
            };
            fields.push(field);
        }
        let names = line.names.iter().map(|name| name.node.clone()).collect();
        let mix = self.mix_stage(line)?;
        if mix.is_some() && line.stages.len() == 1 {
            return Ok(Augment { fields: names, steps: Vec::from_iter(mix), edge: true });
        }
        let pictures: Vec<&FieldInfo> = fields.iter().copied().filter(|field| is_picture(field)).collect();
        let Some(first) = pictures.first() else {
            let message = "none of these fields is a picture: rows and columns of points";
            return self.fail("E0605", line.span, message);
        };
        let sides = |field: &FieldInfo| [0, 1].map(|at| field.ty.axes.get(at).and_then(|a| a.size.known()));
        if let Some(other) = pictures.iter().find(|field| sides(field) != sides(first)) {
            let message = format!("`{}` and `{}` differ in size, and move together", first.name, other.name);
            return self.fail("E0605", line.span, message);
        }
        let mut steps = vec![];
        for stage in line.stages.iter().filter(|stage| !is_mixup(stage)) {
            steps.extend(self.augment_step(stage, (&fields, first), data)?);
        }
        let signed = |step: &AugmentStep, name: &str| match step {
            AugmentStep::Flip { negate, .. } => negate.iter().any(|(field, _)| field == name),
            _ => false,
        };
        let still = fields.iter().zip(&line.names).find(|(field, _)| {
            !is_picture(field) && !field.boxes && !steps.iter().any(|step| signed(step, &field.name))
        });
        if let Some((field, name)) = still.filter(|_| mix.is_none()) {
            let message = format!("nothing here changes `{}`: it is {}, and no picture", field.name, field.ty);
            let e = Diagnostic::error("E0605", name.span, message);
            return Err(self.report(e.help("numbers can change their sign: `random_flip(w, negate = \"steer\")`")));
        }
        let crops = steps.iter().any(|step| matches!(step, AugmentStep::Crop { .. }));
        self.boxes_move_too(line, &steps, (first, data))?;
        let edge = !crops || pictures.iter().any(|field| field.ty.is_index());
        steps.extend(mix);
        Ok(Augment { fields: names, steps, edge })
    }

    fn augment_step(
        &mut self,
        e: &'a Expr,
        (fields, picture): (&[&FieldInfo], &FieldInfo),
        data: &DataInfo,
    ) -> Res<Vec<AugmentStep>> {
        let (name, args) = self.named_call(e, "a change, such as `random_flip(w)`,")?;
        let mut c = Call::new(&name, vec![], args, e.span);
        let steps = match name.node.as_str() {
            "random_flip" => self.flips(&mut c, (fields, picture), data)?,
            "random_shift" => {
                let [h, w] = self.shift_sides(&mut c, picture)?;
                vec![AugmentStep::Shift { h, w }]
            }
            "random_crop" => vec![AugmentStep::Crop { pad: self.points(&mut c, "pad")? }],
            "random_zoom" => vec![AugmentStep::Zoom(self.amount(&mut c, 0.9)?)],
            "random_rotate" => vec![AugmentStep::Rotate(self.amount(&mut c, 180.0)?)],
            "random_brightness" => vec![AugmentStep::Brightness(self.amount(&mut c, 1.0)?)],
            "random_contrast" => vec![AugmentStep::Contrast(self.amount(&mut c, 1.0)?)],
            "random_noise" => vec![AugmentStep::Noise(self.amount(&mut c, 1.0)?)],
            "cutout" => vec![AugmentStep::Cutout(self.points(&mut c, "size")?)],
            other => {
                let err = Diagnostic::error("E0203", name.span, format!("unknown change of examples `{other}`"));
                return Err(self.report(match nearest(other, STEPS.iter().copied()) {
                    Some(near) => err.help(format!("one with a similar name exists: `{near}`")),
                    None => err.note(format!("there are {}", STEPS.join(", "))),
                }));
            }
        };
        self.finish(&mut c)?;
        Ok(steps)
    }

    fn amount(&mut self, c: &mut Call<'a>, most: f64) -> Res<f64> {
        let (x, at) = self.take_number(c, "by", None)?;
        if (0.0..=most).contains(&x) {
            return Ok(x);
        }
        self.fail("E0410", at, format!("`{}` is by {x}, and can be by 0 to {most}", c.name))
    }

    fn points(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<usize> {
        let (x, at) = self.take_number(c, name, None)?;
        self.whole_number((Val::Number(x), at), name, 1)
    }

    /// The place of an axis of rows or columns.
    fn side(&mut self, picture: &FieldInfo, (axis, at): (&str, Span)) -> Res<usize> {
        match picture.ty.axes.iter().take(2).position(|known| known.name == axis) {
            Some(place) => Ok(place),
            None => {
                let message = format!("`{axis}` is no side of `{}`, which is {}", picture.name, picture.ty);
                self.fail("E0303", at, message)
            }
        }
    }

    fn shift_sides(&mut self, c: &mut Call<'a>, picture: &FieldInfo) -> Res<[usize; 2]> {
        let mut sides = [0; 2];
        if c.queue.is_empty() {
            let e = Diagnostic::error("E0407", c.span, "`random_shift` needs the most points it moves by");
            return Err(self.report(e.help("write `random_shift(h: 2, w: 2)`")));
        }
        while let Some(given) = c.queue.pop_front() {
            let Given::Axis(name, e) = given else {
                return self.fail("E0407", given.span(), "`random_shift` takes axes: `random_shift(h: 2, w: 2)`");
            };
            let place = self.side(picture, (&name.node, name.span))?;
            let value = self.eval(e)?;
            sides[place] = self.whole_number((value, e.span), &name.node, 0)?;
        }
        Ok(sides)
    }

    /// One for each axis; the signs belong to the first.
    fn flips(
        &mut self,
        c: &mut Call<'a>,
        (fields, picture): (&[&FieldInfo], &FieldInfo),
        data: &DataInfo,
    ) -> Res<Vec<AugmentStep>> {
        let mut negate = match self.take_any_named(c, "negate")? {
            Some((Val::Text(name), at)) => vec![self.signed(&name, at, fields, data)?],
            Some((other, at)) => {
                return self.fail("E0402", at, format!("`negate` names an element, found {}", other.kind()));
            }
            None => vec![],
        };
        let mut steps = vec![];
        while let Some(given) = c.queue.pop_front() {
            let Given::Expr(e) = given else {
                return self.fail("E0407", given.span(), "`random_flip` takes the name of an axis: `random_flip(w)`");
            };
            for (axis, at) in self.axes_of(e)? {
                let axis = self.side(picture, (&axis, at))?;
                steps.push(AugmentStep::Flip { axis, negate: std::mem::take(&mut negate) });
            }
        }
        if steps.is_empty() {
            return self.fail("E0407", c.span, "`random_flip` needs an axis: `random_flip(w)`");
        }
        Ok(steps)
    }

    /// The field and the place of an element that a mirror changes the sign of.
    fn signed(&mut self, name: &str, at: Span, fields: &[&FieldInfo], data: &DataInfo) -> Res<(String, usize)> {
        let Some(spec) = &data.spec else { return Err(Reported) };
        for field in fields.iter().filter(|field| !is_picture(field)) {
            let Some(read) = spec.fields.iter().find(|read| read.name == field.name) else { continue };
            let named = match &read.from {
                Selector::Columns(columns) => {
                    columns.iter().position(|column| *column == ColumnRef::Named(name.to_string()))
                }
                Selector::Column(column) => (*column == ColumnRef::Named(name.to_string())).then_some(0),
                _ => None,
            };
            let axis = field.ty.axes.first().map(|axis| axis.name.clone()).unwrap_or_default();
            let of_dim = || self.dims.get(&axis)?.names.iter().position(|known| known == name);
            let Some(place) = named.or_else(of_dim) else { continue };
            let signed = |step: &FieldStep| matches!(step, FieldStep::Scale { shift, .. } if *shift == 0.0);
            if field.ty.is_index() || !read.steps.iter().all(signed) {
                let message = format!("`{name}` of `{}` has no sign of its own after its steps", field.name);
                let e = Diagnostic::error("E0605", at, message);
                return Err(self.report(e.help("a mirror needs 0 in the middle: leave `standardize` and shifts out")));
            }
            return Ok((field.name.clone(), place));
        }
        let e = Diagnostic::error("E0605", at, format!("no field of this line has an element `{name}`"));
        Err(self.report(e.help("name its field too: `augment camera, action |> random_flip(w, negate = \"steer\")`")))
    }
}

/// Rows and columns, with channels or of classes.
fn is_picture(field: &FieldInfo) -> bool {
    match field.ty.element {
        Element::Number => (2..=3).contains(&field.ty.axes.len()),
        Element::Index { .. } => field.ty.axes.len() == 2,
    }
}
