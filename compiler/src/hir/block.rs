//! Blocks, expanded at each call: arguments bound, axes renamed to the block's names and back.

use super::args::{Call, Given};
use super::elab::{DEPTH, Elab, Frame, Local, Res};
use super::layer::What;
use super::near::nearest;
use super::value::{Axis, Element, LayerId, Placed, Size, Table, Val, show_axes};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, AxisKind};
use std::collections::HashMap;

/// Expansions of one program.
const CALLS: usize = 100_000;

/// Local names of axes and what the caller calls them.
type Names = Vec<(String, String)>;

impl<'a> Elab<'a> {
    pub fn expand(&mut self, block: &'a ast::Block, standard: bool, c: Call<'a>) -> Res<Val<'a>> {
        self.calls += 1;
        let name = &block.name.node;
        if self.frames.len() > DEPTH || self.calls > CALLS {
            // Blocks around a block are all different, unless one of them calls itself.
            let around = || self.frames.iter().map(|frame| &frame.name).chain([name]);
            let again = around().find(|block| !block.is_empty() && around().filter(|other| other == block).count() > 1);
            let (message, help) = match again {
                Some(again) => (
                    format!("`{again}` calls itself without end"),
                    "stop at some depth: `if depth == 0 then x else ...`",
                ),
                None => (format!("`{name}` is called too deep inside other blocks, or too often"), "use fewer blocks"),
            };
            let e = Diagnostic::error("E0311", c.name_span, message);
            return Err(self.report(e.help(help)));
        }
        let (span, path) = (c.span, c.path.clone());
        let mut bound = self.bind(block, c)?;
        if standard {
            self.loss_fits(name, &bound, span)?;
            self.without_ignored(block, &mut bound, span)?;
        }
        let frame = Frame { name: name.clone(), call: span, prefix: path.clone(), standard, ..Frame::default() };
        let outer = std::mem::replace(&mut self.here, path);
        self.frames.push(frame);
        let mut names = vec![];
        let result = self.enter(block, bound, &mut names).and_then(|()| self.body_of(block));
        self.frames.pop();
        let result = result.and_then(|outs| self.leave(outs, &names, span));
        self.here = outer;
        result
    }

    /// Arguments to formals, evaluated in the caller's frame.
    fn bind(&mut self, block: &'a ast::Block, mut c: Call<'a>) -> Res<Vec<Option<Placed<'a>>>> {
        let mut bound: Vec<Option<Placed<'a>>> = vec![];
        for formal in &block.formals {
            let key = &formal.name.node;
            // `over` is a reserved word: a block that takes axes calls them `axes`.
            let axes = key == "axes";
            let named = c.named.iter().position(|(n, _)| n.node == *key || (axes && n.node == "over"));
            let given = match named {
                Some(i) => Some(Given::Expr(c.named.remove(i).1)),
                None => c.queue.pop_front(),
            };
            bound.push(match given {
                Some(Given::Expr(e)) if axes => {
                    let names = self.axes_of(e)?;
                    let table = bound.iter().find_map(|b| match b {
                        Some((Val::Table(x), _)) => Some(*x),
                        _ => None,
                    });
                    if let Some(x) = table {
                        let ty = self.ty(x).clone();
                        self.have_axes(&ty, &names)?;
                    }
                    Some((Val::Axes(names.into_iter().map(|(n, _)| n).collect()), e.span))
                }
                Some(given) => {
                    let (value, span) = self.given(given)?;
                    Some((self.duration(key, value, span)?, span))
                }
                None if formal.default.is_none() => {
                    let shown = if axes { "over" } else { key };
                    let message = format!("`{}` needs the argument `{shown}`", block.name.node);
                    return self.fail("E0407", c.span, message);
                }
                None => None,
            });
        }
        if let Some((name, _)) = c.named.first() {
            let message = format!("`{}` has no argument `{}`", block.name.node, name.node);
            let e = Diagnostic::error("E0408", name.span, message);
            let near = nearest(&name.node, block.formals.iter().map(|f| f.name.node.as_str()));
            return Err(self.report(match near {
                Some(near) => e.help(format!("an argument with a similar name exists: `{near}`")),
                None => e,
            }));
        }
        self.finish(&mut c)?;
        Ok(bound)
    }

    /// Defines the formals in the new frame.
    fn enter(&mut self, block: &'a ast::Block, bound: Vec<Option<Placed<'a>>>, names: &mut Names) -> Res<()> {
        let mut axes_values = vec![];
        for (formal, value) in block.formals.iter().zip(bound) {
            let value = match (value, &formal.default, &formal.ty) {
                (Some(placed), _, Some(ty)) => {
                    let x = self.real_table(placed.clone())?;
                    let x = self.enter_table(block, formal, ty, (x, placed.1), names)?;
                    Val::Table(x)
                }
                (Some((value @ Val::Axes(_), _)), ..) => {
                    axes_values.push(formal.name.node.clone());
                    value
                }
                (Some((value, _)), ..) => value,
                (None, Some(default), _) if formal.name.node == "axes" => {
                    Val::Axes(self.axes_of(default)?.into_iter().map(|(n, _)| n).collect())
                }
                (None, Some(default), _) => {
                    let value = self.eval(default)?;
                    self.duration(&formal.name.node, value, default.span)?
                }
                (None, None, _) => Val::Poison,
            };
            self.define(&formal.name, value, false);
        }
        for key in axes_values {
            let frame = self.frame();
            if let Some(Local { val: Val::Axes(list), .. }) = frame.vars.get_mut(&key) {
                for name in list {
                    if let Some((local, _)) = names.iter().find(|(_, caller)| caller == name) {
                        *name = local.clone();
                    }
                }
            }
        }
        self.signature_sizes(block)
    }

    /// Binds one table: its axes get the names of the signature.
    fn enter_table(
        &mut self,
        block: &'a ast::Block,
        formal: &'a ast::Formal,
        ty: &'a ast::Type,
        (x, span): (LayerId, Span),
        names: &mut Names,
    ) -> Res<LayerId> {
        let table = self.ty(x).clone();
        let shape: &[ast::Axis] = ty.shape.as_deref().unwrap_or(&[]);
        let wanted = self.matched(shape, &table.axes);
        let Some(local) = wanted else {
            let message = format!(
                "`{}` takes `{}` with the axes {}, found {table}",
                block.name.node,
                formal.name.node,
                show_shape(shape)
            );
            let call = self.frame().call;
            let e = Diagnostic::error("E0312", if span.source == call.source { span } else { call }, message);
            return Err(self.report(e.label(formal.name.span, "declared here")));
        };
        let element = self.enter_element(ty, &table, span)?;
        for (axis, name) in table.axes.iter().zip(&local) {
            self.bind_size(name, &axis.size, span)?;
            if names.iter().all(|(l, _)| l != name) {
                names.push((name.clone(), axis.name.clone()));
            }
        }
        let axes: Vec<_> = local.into_iter().zip(&table.axes).map(|(n, a)| Axis::new(n, a.size.clone())).collect();
        let inner = Table { element, axes, batched: table.batched };
        if inner == table { Ok(x) } else { self.push(What::Rename, &[x], inner, span) }
    }

    /// Names of the signature for each axis of a table; `None` if the numbers of axes differ.
    fn matched(&mut self, shape: &'a [ast::Axis], axes: &[Axis]) -> Option<Vec<String>> {
        let rest = shape.iter().position(|a| matches!(a.kind, AxisKind::Rest));
        let fixed = shape.len() - usize::from(rest.is_some());
        if axes.len() < fixed || (rest.is_none() && axes.len() != fixed) {
            return None;
        }
        let own: Vec<&str> = shape
            .iter()
            .filter_map(|a| match &a.kind {
                AxisKind::Named(n, _) => Some(n.node.as_str()),
                _ => None,
            })
            .collect();
        let middle = axes.len() - fixed;
        let mut local = vec![];
        for axis in shape {
            match &axis.kind {
                AxisKind::Named(n, _) => local.push(n.node.clone()),
                AxisKind::Rest => {
                    let start = local.len();
                    let kept: Vec<Axis> = axes[start..start + middle]
                        .iter()
                        .map(|a| {
                            // A name of the rest that the signature uses otherwise is set apart.
                            let clash = own.contains(&a.name.as_str());
                            Axis::new(if clash { format!("{}'", a.name) } else { a.name.clone() }, a.size.clone())
                        })
                        .collect();
                    local.extend(kept.iter().map(|a| a.name.clone()));
                    let frame = self.frame();
                    if frame.rest.is_none() {
                        frame.rest = Some(kept);
                    }
                }
                AxisKind::Size(_) => return None,
            }
        }
        Some(local)
    }

    fn enter_element(&mut self, ty: &'a ast::Type, table: &Table, span: Span) -> Res<Element> {
        match (&ty.element, &table.element) {
            (None, Element::Number) => Ok(Element::Number),
            (None, Element::Index { .. }) => {
                self.fail("E0401", span, format!("numbers needed, indices found: {table}"))
            }
            (Some(dim), Element::Number) => {
                let message = format!("indices into `{}` needed, numbers found: {table}", dim.node);
                self.fail("E0401", span, message)
            }
            (Some(dim), Element::Index { dim: actual, size }) => {
                if self.frame().sizes.contains_key(&dim.node) {
                    return Ok(Element::Index { dim: dim.node.clone(), size: size.clone() });
                }
                if self.dim(&dim.node)?.is_some() && dim.node != *actual {
                    let message = format!("indices into `{}` needed, found indices into `{actual}`", dim.node);
                    return self.fail("E0313", span, message);
                }
                self.frame().aliases.insert(dim.node.clone(), actual.clone());
                Ok(table.element.clone())
            }
        }
    }

    /// One name of the signature stands for one size (E0314), the dim's if it is one (E0304).
    fn bind_size(&mut self, name: &str, size: &Size, span: Span) -> Res<()> {
        self.agree_with_dim(name, size, span)?;
        let first = self.frame().sizes.entry(name.to_string()).or_insert_with(|| size.clone()).clone();
        if first.agrees(size) {
            return Ok(());
        }
        self.fail("E0314", span, format!("axis `{name}` of the block is {first} in one table and {size} in another"))
    }

    /// Sizes written in the signature are checked once every formal has its value.
    fn signature_sizes(&mut self, block: &'a ast::Block) -> Res<()> {
        for formal in &block.formals {
            let Some(shape) = formal.ty.as_ref().and_then(|t| t.shape.as_ref()) else { continue };
            for axis in shape {
                let AxisKind::Named(name, Some(expr)) = &axis.kind else { continue };
                let value = self.eval(expr)?;
                let wanted = self.size_of(&value, expr.span, &name.node)?;
                let found = self.frame().sizes.get(&name.node).cloned();
                if let Some(found) = found.filter(|f| !f.agrees(&wanted)) {
                    let message = format!("axis `{}` is {found}, but the signature says {wanted}", name.node);
                    let call = self.frame().call;
                    let e = Diagnostic::error("E0304", call, message).label(axis.span, "declared here");
                    return Err(self.report(e));
                }
            }
        }
        Ok(())
    }

    /// Evaluates the body and gives the outputs.
    fn body_of(&mut self, block: &'a ast::Block) -> Res<Vec<LayerId>> {
        self.statements(&block.body);
        self.outputs(block)
    }

    /// The caller's names back on the results.
    fn leave(&mut self, outs: Vec<LayerId>, names: &Names, span: Span) -> Res<Val<'a>> {
        let back: HashMap<&str, &str> = names.iter().map(|(l, c)| (l.as_str(), c.as_str())).collect();
        let mut results = vec![];
        for x in outs {
            let table = self.ty(x).clone();
            let named = |n: &String| back.get(n.as_str()).map_or_else(|| n.clone(), |s| s.to_string());
            let axes = table.axes.iter().map(|a| Axis::new(named(&a.name), a.size.clone())).collect();
            let element = match &table.element {
                Element::Number => Element::Number,
                Element::Index { dim, size } => Element::Index { dim: named(dim), size: size.clone() },
            };
            let outer = Table { element, axes, batched: table.batched };
            results.push(if outer == table { x } else { self.push(What::Rename, &[x], outer, span)? });
        }
        Ok(match results[..] {
            [one] => Val::Table(one),
            _ => Val::Parts(results),
        })
    }
}

/// `[h, w, c]`, as written.
pub fn show_shape(shape: &[ast::Axis]) -> String {
    let inner: Vec<_> = shape
        .iter()
        .map(|a| match &a.kind {
            AxisKind::Rest => "..".to_string(),
            AxisKind::Named(n, _) => n.node.clone(),
            AxisKind::Size(x) => x.to_string(),
        })
        .collect();
    if inner.is_empty() { show_axes(&[]) } else { format!("[{}]", inner.join(", ")) }
}
