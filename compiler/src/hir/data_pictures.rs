//! Pictures: their sources, and the steps that give them a size.

use super::args::{Call, Given};
use super::elab::{Elab, Res};
use super::value::{Axis, Table, Val};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{Expr, ExprKind};
use dlc_runtime::data::spec::{ColumnRef, FieldSpec, FieldStep, PictureStep, Selector, Source};

/// The longest side of a picture.
const LONGEST: usize = 1 << 15;

/// Steps that come before a picture's points are numbers.
pub const STEPS: &[&str] = &["resize", "letterbox", "crop", "gray", "levels", "ignore"];

impl<'a> Elab<'a> {
    /// `folders("cats-and-dogs/{part}")`
    pub fn folders(&mut self, c: &mut Call<'a>) -> Res<Source> {
        let path = self.take_text(c, "path")?;
        let skip_broken = self.take_flag(c, "skip_broken", false)?;
        Ok(Source::Folders { path, skip_broken })
    }

    /// `pairs(images = "train", masks = "trainannot")`, or a table with columns of pictures
    pub fn pairs(&mut self, c: &mut Call<'a>) -> Res<Source> {
        if c.named.iter().any(|(name, _)| name.node == "table") {
            return self.csv(c, "table", "root");
        }
        let images = self.take_text(c, "images")?;
        let masks = self.take_text(c, "masks")?;
        let skip_broken = self.take_flag(c, "skip_broken", false)?;
        Ok(Source::Pairs { images, masks, skip_broken })
    }

    /// `captions(images, table)` is a table whose first column names pictures and whose second tells of them.
    pub fn captions_are_columns(&mut self, source: &'a Expr, fields: &mut [FieldSpec]) {
        let ExprKind::Call { callee, .. } = &source.node else { return };
        if !matches!(&callee.node, ExprKind::Name(name) if name == "captions") {
            return;
        }
        for field in fields {
            match &field.from {
                Selector::Images => field.from = Selector::Picture(ColumnRef::At(0)),
                Selector::Named(name) if name == "captions" => field.from = Selector::Column(ColumnRef::At(1)),
                _ => {}
            }
        }
    }

    /// One of [`STEPS`].
    pub fn picture_step(&mut self, c: &mut Call<'a>) -> Res<FieldStep> {
        let step = match c.name.as_str() {
            "resize" => {
                let [h, w] = self.sides(c)?;
                let nearest = match self.take_word(c, "by")? {
                    None => false,
                    Some((Ok(word), _)) if word == "nearest" || word == "linear" => word == "nearest",
                    Some((_, at)) => {
                        return self.fail("E0410", at, "`by` is \"linear\", which is meant without it, or \"nearest\"");
                    }
                };
                PictureStep::Resize { h, w, nearest }
            }
            "letterbox" => {
                let [h, w] = self.sides(c)?;
                PictureStep::Letterbox { h, w }
            }
            "crop" => {
                let mut edge = |name| -> Res<usize> {
                    let (x, at) = self.take_number(c, name, Some(0.0))?;
                    self.whole_number((Val::Number(x), at), name, 0)
                };
                let [top, bottom, left, right] = [edge("top")?, edge("bottom")?, edge("left")?, edge("right")?];
                PictureStep::Crop { top, bottom, left, right }
            }
            "gray" => PictureStep::Gray,
            "levels" => {
                let mut levels = vec![];
                while !c.queue.is_empty() {
                    levels.push(self.byte(c, "level")?);
                }
                if levels.is_empty() {
                    return self.fail("E0407", c.span, "`levels` needs the value of each class: `levels(0, 255)`");
                }
                PictureStep::Levels(levels)
            }
            _ => PictureStep::Ignore(self.byte(c, "value")?),
        };
        Ok(FieldStep::Picture(step))
    }

    fn byte(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<u8> {
        let (x, at) = self.take_number(c, name, None)?;
        let value = self.whole_number((Val::Number(x), at), name, 0)?;
        match u8::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => self.fail("E0410", at, format!("`{name}` is {value}, and a mask has values from 0 to 255")),
        }
    }

    /// `h: 96, w: 128`: the height first, whatever the axes are called.
    fn sides(&mut self, c: &mut Call<'a>) -> Res<[usize; 2]> {
        let mut sides = [0; 2];
        for (at, side) in sides.iter_mut().enumerate() {
            let (name, value, span) = match c.queue.pop_front() {
                Some(Given::Axis(name, e)) => (name.node.clone(), self.eval(e)?, e.span),
                _ => {
                    let e = Diagnostic::error("E0407", c.span, format!("`{}` needs a height and a width", c.name));
                    return Err(self.report(e.help(format!("write `{}(h: 96, w: 128)`", c.name))));
                }
            };
            if (at, name.as_str()) == (0, "w") || (at, name.as_str()) == (1, "h") {
                return self.fail("E0410", c.span, format!("`{}` takes the height first: `h: ..., w: ...`", c.name));
            }
            *side = self.whole_number((value, span), &name, 1)?;
            if *side > LONGEST {
                return self.fail("E0315", span, format!("`{name}` is {side}, at most {LONGEST}"));
            }
        }
        Ok(sides)
    }

    /// What the steps say about a picture must be what its field says.
    pub fn picture_fits(&mut self, ty: &Table, from: &Selector, steps: &[FieldStep], span: Span) -> Res<()> {
        let drawn: Vec<&PictureStep> = steps
            .iter()
            .filter_map(|step| match step {
                FieldStep::Picture(step) => Some(step),
                _ => None,
            })
            .collect();
        let is_picture = matches!(from, Selector::Images | Selector::Masks | Selector::Picture(_));
        let Some(last) = drawn.last() else { return Ok(()) };
        if !is_picture {
            return self.fail("E0502", span, "pictures alone have a size: `images`, `masks` and `image(\"column\")`");
        }
        let of_masks = |step: &PictureStep| matches!(step, PictureStep::Levels(_) | PictureStep::Ignore(_));
        if *from != Selector::Masks && drawn.iter().any(|step| of_masks(step)) {
            return self.fail("E0502", span, "`levels` and `ignore` are steps of masks");
        }
        if steps.iter().skip(drawn.len()).any(|step| matches!(step, FieldStep::Picture(_))) {
            let e = Diagnostic::error("E0410", span, "a picture's size comes before its numbers");
            return Err(self.report(e.help("order them: `images |> resize(h: 96, w: 96) |> scale(1 / 255)`")));
        }
        let size = drawn.iter().rev().find_map(|step| match **step {
            PictureStep::Resize { h, w, .. } | PictureStep::Letterbox { h, w } => Some([h, w]),
            _ => None,
        });
        let cut = matches!(last, PictureStep::Crop { .. });
        let side = |axis: Option<&Axis>| axis.and_then(|axis| axis.size.known());
        let declared = [side(ty.axes.first()), side(ty.axes.get(1))];
        match size.filter(|_| !cut) {
            Some([h, w]) if [h, w].iter().zip(declared).any(|(a, b)| b.is_some_and(|b| *a != b)) => {
                let e =
                    Diagnostic::error("E0511", span, format!("the pictures become {h} x {w}, but the field is {ty}"));
                Err(self.report(e.help("the height comes first, then the width")))
            }
            _ => Ok(()),
        }
    }
}

/// The classes whose points are left out, where a step leaves out any value.
pub fn ignored(steps: &[FieldStep]) -> Option<Vec<usize>> {
    let steps = || steps.iter().filter_map(|step| if let FieldStep::Picture(step) = step { Some(step) } else { None });
    let values: Vec<u8> =
        steps().filter_map(|step| if let PictureStep::Ignore(value) = step { Some(*value) } else { None }).collect();
    let levels = steps().find_map(|step| if let PictureStep::Levels(levels) = step { Some(levels) } else { None });
    let class = |value: &u8| match levels {
        Some(levels) => levels.iter().position(|level| level == value),
        None => Some(usize::from(*value)),
    };
    (!values.is_empty()).then(|| values.iter().filter_map(class).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_may_be_a_class() {
        let of = |steps: Vec<PictureStep>| ignored(&steps.into_iter().map(FieldStep::Picture).collect::<Vec<_>>());
        assert_eq!(of(vec![PictureStep::Gray]), None);
        assert_eq!(of(vec![PictureStep::Ignore(2), PictureStep::Ignore(255)]), Some(vec![2, 255]));
        let levels = PictureStep::Levels(vec![0, 128, 255]);
        assert_eq!(of(vec![levels.clone(), PictureStep::Ignore(128), PictureStep::Ignore(7)]), Some(vec![1]));
    }
}
