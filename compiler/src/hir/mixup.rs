//! `augment image, label |> mixup(0.2)`: examples mixed with others, their targets too.

use super::args::Call;
use super::data::{DataInfo, FieldInfo};
use super::elab::{Elab, Res};
use super::layer::What;
use super::lints::{Through, reachable};
use super::value::{LayerId, Size};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Expr, ExprKind};
use dlc_runtime::data::augment::{Augment, AugmentStep};

/// The strength where nothing is said, and the most.
const USUAL: f64 = 0.2;
const MOST: f64 = 100.0;

/// Whether a stage of a line mixes.
pub fn is_mixup(stage: &Expr) -> bool {
    let callee = match &stage.node {
        ExprKind::Call { callee, .. } => callee,
        _ => stage,
    };
    matches!(&callee.node, ExprKind::Name(name) if name == "mixup")
}

/// The stage of a line that mixes.
fn stage_of(line: &ast::Augment) -> Option<Span> {
    line.stages.iter().find(|stage| is_mixup(stage)).map(|stage| stage.span)
}

impl<'a> Elab<'a> {
    /// `mixup`, `mixup(0.4)`: the last stage of a line, if it has one.
    pub fn mix_stage(&mut self, line: &'a ast::Augment) -> Res<Option<AugmentStep>> {
        let Some(place) = line.stages.iter().position(is_mixup) else { return Ok(None) };
        let stage = &line.stages[place];
        if let Some(next) = line.stages.get(place + 1) {
            let e = Diagnostic::error("E0605", next.span, "this changes what is mixed already");
            return Err(self.report(e.label(stage.span, "mixed here").help("write `mixup` after all other changes")));
        }
        let (name, args) = self.named_call(stage, "`mixup(0.2)`")?;
        let mut c = Call::new(&name, vec![], args, stage.span);
        let (alpha, at) = self.take_number(&mut c, "alpha", Some(USUAL))?;
        self.finish(&mut c)?;
        if alpha > 0.0 && alpha <= MOST {
            return Ok(Some(AugmentStep::Mixup(alpha)));
        }
        self.fail("E0410", at, format!("`mixup` of strength {alpha}: it is above 0 and at most {MOST}"))
    }

    /// E0605: examples are mixed as they would be seen, once, and whatever is compared with them is mixed too.
    pub fn mixes_fit(&mut self, t: &'a ast::Train, lines: &[Augment], data: &DataInfo) -> Res<()> {
        let mut mixing = t.augments.iter().enumerate().filter_map(|(at, line)| Some((at, line, stage_of(line)?)));
        let Some((at, line, span)) = mixing.next() else { return Ok(()) };
        if let Some((_, _, again)) = mixing.next() {
            let e = Diagnostic::error("E0605", again, "`mixup` stands twice").label(span, "the first");
            return Err(self.report(e.help("one line mixes all fields: `augment image, label |> mixup(0.2)`")));
        }
        let after = t.augments.iter().zip(lines).skip(at + 1);
        let mut later = after.filter(|(_, later)| later.fields.iter().any(|name| lines[at].fields.contains(name)));
        if let Some((later, _)) = later.next() {
            let message = "this changes what is mixed already";
            let e = Diagnostic::error("E0605", later.span, message).label(span, "mixed here");
            return Err(self.report(e.help("write `mixup` after all other changes")));
        }
        for name in &line.names {
            if let Some(field) = data.fields.iter().find(|field| field.name == name.node) {
                self.can_be_mixed(field, name.span)?;
            }
        }
        self.all_are_mixed(&lines[at], span, data)?;
        let indices = data.fields.iter().filter(|field| lines[at].fields.contains(&field.name) && field.ty.is_index());
        for field in indices {
            self.read_as_one_hot(field, span)?;
            self.hir.mixed.insert(field.name.clone());
        }
        Ok(())
    }

    fn can_be_mixed(&mut self, field: &FieldInfo, span: Span) -> Res<()> {
        let name = &field.name;
        let message = if field.boxes {
            format!("the boxes `{name}` cannot be mixed: their pictures have different ones")
        } else if field.ty.axes.iter().any(|axis| matches!(axis.size, Size::Variable(_))) {
            format!("`{name}` cannot be mixed: its examples differ in length")
        } else if field.ty.is_index() && field.ty.axes.len() > 1 {
            format!("the mask `{name}` cannot be mixed: each of its points is one class")
        } else {
            return Ok(());
        };
        let e = Diagnostic::error("E0605", span, message);
        Err(self.report(e.help("numbers and classes of whole examples can be mixed; leave `mixup` out here")))
    }

    /// What the loss reads besides would belong to one of two examples.
    fn all_are_mixed(&mut self, line: &Augment, span: Span, data: &DataInfo) -> Res<()> {
        let roots: Vec<LayerId> = self.hir.losses.iter().map(|loss| loss.layer).collect();
        let reached = reachable(&self.hir, &roots, Through::All);
        let read = |name: &String| self.inputs.get(name).is_some_and(|id| reached[id.index()]);
        let known = data.fields.iter().find(|field| read(&field.name) && !line.fields.contains(&field.name));
        let made = self.late.iter().find(|field| read(&field.name)).map(|field| field.name.clone());
        let (message, help) = match (known, made) {
            (Some(field), _) => {
                let all = [&line.fields[..], &[field.name.clone()]].concat().join(", ");
                let message = format!("examples are mixed, and their `{}` would stay that of one of them", field.name);
                (message, format!("mix it too: `augment {all} |> mixup`"))
            }
            (None, Some(name)) => {
                let message = format!("examples are mixed, and `{name}` is made of the boxes of one of them");
                (message, "boxes cannot be mixed: leave `mixup` out".to_string())
            }
            (None, None) => return Ok(()),
        };
        let e = Diagnostic::error("E0605", span, message);
        Err(self.report(e.help(help)))
    }

    /// A class is mixed where `one_hot` makes numbers of it; nothing else may read it.
    fn read_as_one_hot(&mut self, field: &FieldInfo, span: Span) -> Res<()> {
        let Some(id) = self.inputs.get(&field.name).copied() else { return Ok(()) };
        let roots: Vec<LayerId> = self.hir.losses.iter().map(|loss| loss.layer).collect();
        let reached = reachable(&self.hir, &roots, Through::All);
        let layers = self.hir.layers.iter().zip(reached);
        let mut readers = layers.filter(|(layer, reached)| *reached && layer.inputs.contains(&id));
        let Some(other) = readers.find(|(layer, _)| layer.what != What::OneHot).map(|(layer, _)| layer.span) else {
            return Ok(());
        };
        let message = format!("`{}` is an index where it is read, and two indices cannot be mixed", field.name);
        let mut e = Diagnostic::error("E0605", span, message);
        if other != field.span {
            e = e.label(other, "read here");
        }
        Err(self.report(e.help(
            "losses that compare classes can: `cross_entropy`, `nll`, `focal`, `dice`; else read `one_hot(...)` of it",
        )))
    }
}
