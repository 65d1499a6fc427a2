//! The whole program: models, then the train section that is about one of them.

use super::Elaborated;
use super::elab::{Elab, Frame, Res, SolvedDim};
use super::layer::{Named, What};
use super::program::{self, Program};
use super::value::{Element, LayerId, Size, Table, Val};
use crate::base::{Diagnostic, Severity};
use crate::syntax::ast;

/// Elaborates a program; what is missing in the result is told in the messages.
pub fn elaborate(program: &Program, solved: &[SolvedDim]) -> (Elaborated, Vec<Diagnostic>) {
    let (declared, diagnostics) = program::declare(program);
    let mut e = Elab::new(program, declared, solved);
    e.diagnostics = diagnostics;
    for unit in &program.units {
        let names = crate::syntax::declared_names(&program.sources, unit.source);
        e.broken.extend(names.into_iter().filter(|name| !e.declared.has(name)));
    }
    e.globals();
    let mut result = Elaborated::default();
    e.program_parts(&mut result);
    let errors = e.diagnostics.iter().any(|d| d.severity == Severity::Error);
    if !errors {
        e.lints();
    }
    if !errors {
        result.generate = e.generates();
    }
    for name in &e.declared.order {
        if let Some(info) = e.dims.get(*name) {
            result.dims.push((name.to_string(), info.size.known(), info.names.clone()));
        }
    }
    result.standard = e.used_standard.iter().map(|s| s.to_string()).collect();
    result.standard.sort();
    result.hir = e.hir;
    (result, e.diagnostics)
}

impl<'a> Elab<'a> {
    fn program_parts(&mut self, result: &mut Elaborated) {
        let train = self.declared.trains.first().copied();
        let wanted = train.map(|t| t.model.node.as_str());
        let models = self.declared.models.clone();
        let chosen = models.iter().position(|m| Some(m.name.node.as_str()) == wanted);
        let chosen = if wanted.is_some() { chosen } else { (!models.is_empty()).then_some(0) };
        for extra in self.declared.trains.clone().iter().skip(1) {
            let _ = self.fail::<()>("E0199", extra.model.span, "this version compiles one `train` of a file");
        }
        // Other models are checked alone and forgotten; the chosen one comes last and stays.
        for (i, model) in models.iter().enumerate() {
            if Some(i) != chosen {
                let _ = self.model(model);
                self.forget();
            }
        }
        let data = self.data_sections(train);
        let frame = chosen.map(|i| self.model(models[i]));
        if let (Some(t), None) = (train, chosen) {
            let _ = self.unknown_model(t);
        }
        result.train = match (train, frame) {
            (Some(t), Some((frame, sound))) => {
                self.train(t, models[chosen.unwrap_or(0)], frame, &data).filter(|_| sound)
            }
            _ => None,
        };
        if let (Some(data), Some(_)) = (&data, train) {
            self.unsolvable(data);
        }
        result.data = data.and_then(|d| d.spec).map(|spec| self.with_late_fields(spec));
    }

    /// E0503: a dim without a size that no field can solve, where it is used.
    fn unsolvable(&mut self, data: &super::data::DataInfo) {
        if !data.poisoned.is_empty() {
            return;
        }
        for name in self.declared.order.clone() {
            let open = |size: &Size| matches!(size, Size::Unknown(text) if text == name);
            if !self.dims.get(name).is_some_and(|d| open(&d.size)) {
                continue;
            }
            let indexed = |t: &Table| matches!(&t.element, Element::Index { size, .. } if open(size));
            let has = |t: &Table| indexed(t) || t.axes.iter().any(|a| open(&a.size));
            if data.fields.iter().any(|f| has(&f.ty)) || self.boxes_solve(name) {
                continue;
            }
            if let Some(span) = self.hir.layers.iter().find(|l| has(&l.ty)).map(|l| l.span) {
                let e = Diagnostic::error("E0503", span, format!("nothing tells the size of `{name}`"));
                self.report(e.help(format!("write `dim {name} = 10`, or a field that indexes `{name}`")));
            }
        }
    }

    fn forget(&mut self) {
        self.hir = Default::default();
        self.inputs.clear();
        self.weight_index.clear();
        self.state_index.clear();
    }

    fn unknown_model(&mut self, t: &'a ast::Train) -> super::elab::Reported {
        if self.broken.contains(&t.model.node) {
            return super::elab::Reported;
        }
        let e = Diagnostic::error("E0201", t.model.span, format!("unknown model `{}`", t.model.node));
        let names: Vec<_> = self.declared.models.iter().map(|m| m.name.node.clone()).collect();
        let near = super::near::nearest(&t.model.node, names.iter().map(String::as_str)).map(str::to_string);
        self.report(match near {
            Some(near) => e.help(format!("a model with a similar name exists: `{near}`")),
            None => e,
        })
    }

    /// Elaborates a model; its frame holds what `train` may speak of. `false`: something in it is wrong.
    fn model(&mut self, model: &'a ast::Block) -> (Frame<'a>, bool) {
        let name = model.name.node.clone();
        self.hir.model = name.clone();
        let frame = Frame { model: Some(name.clone()), prefix: name.clone(), ..Frame::default() };
        self.frames.push(frame);
        let inputs = self.model_inputs(model);
        self.here = name;
        self.statements(&model.body);
        let outs = self.outputs(model);
        self.here = String::new();
        let sound = inputs.is_ok() && outs.is_ok();
        if outs.is_err() {
            // `train` may speak of outputs that failed, in silence.
            for target in &model.outputs {
                self.define(&target.name, Val::Poison, false);
            }
        }
        for (target, layer) in model.outputs.iter().zip(outs.unwrap_or_default()) {
            let named = Named { name: target.name.node.clone(), layer, span: target.name.span };
            self.hir.outputs.push(named);
        }
        (self.frames.pop().unwrap_or_default(), sound)
    }

    fn model_inputs(&mut self, model: &'a ast::Block) -> Res<()> {
        let mut result = Ok(());
        for formal in &model.formals {
            let ty = match &formal.ty {
                Some(ty) => self.full_type(ty, true),
                None => {
                    let e = Diagnostic::error(
                        "E0302",
                        formal.name.span,
                        format!("the input `{}` has no type", formal.name.node),
                    );
                    Err(self.report(e.help(format!("write `{}: [h: 28, w: 28, c: 1]`", formal.name.node))))
                }
            };
            let x = ty.and_then(|ty| self.input(&formal.name.node, ty, formal.name.span));
            if let Err(r) = x {
                result = Err(r);
            }
            self.define(&formal.name, x.map_or(Val::Poison, Val::Table), false);
        }
        result
    }

    /// The input of that name, made when it is first needed.
    pub fn input(&mut self, name: &str, ty: Table, span: crate::base::Span) -> Res<LayerId> {
        if let Some(id) = self.inputs.get(name) {
            return Ok(*id);
        }
        let here = std::mem::replace(&mut self.here, name.to_string());
        let id = self.push(What::Input(name.to_string()), &[], ty, span);
        self.here = here;
        let id = id?;
        self.inputs.insert(name.to_string(), id);
        Ok(id)
    }
}
