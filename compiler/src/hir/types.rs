//! Written types: what they say of a value, and the tables that they describe.

use super::elab::{Elab, Res};
use super::layer::What;
use super::value::{Axis, Element, LayerId, Size, Table};
use crate::base::Diagnostic;
use crate::syntax::ast::{self, AxisKind};

/// A declared axis: `..`, or a name and the size it must have, if that is said.
pub enum Declared {
    Rest,
    Axis(String, Option<Size>),
}

impl<'a> Elab<'a> {
    /// The value as its declared type says (E0313); axes in the declared order.
    ///
    /// The message points at `name`: where the value was defined.
    pub fn conform(&mut self, x: LayerId, ty: &'a ast::Type, name: &ast::Ident) -> Res<LayerId> {
        let table = self.ty(x).clone();
        let Some(declared) = self.declared_axes(ty)? else { return Ok(x) };
        let mut order = vec![];
        let mut rest = false;
        for d in &declared {
            match d {
                Declared::Rest => rest = true,
                Declared::Axis(n, size) => match table.axis(n) {
                    Some(a) if size.as_ref().is_none_or(|s| s.agrees(&a.size)) => order.push(a.clone()),
                    _ => return Err(self.differs(name, &table, ty, &declared)),
                },
            }
        }
        let dim = ty.element.as_ref().map(|d| self.axis_name(&d.node));
        let element = match (&dim, &table.element) {
            (None, Element::Number) => true,
            (Some(d), Element::Index { dim, .. }) => d == dim,
            _ => false,
        };
        if !element || (!rest && order.len() != table.axes.len()) {
            return Err(self.differs(name, &table, ty, &declared));
        }
        if rest || order == table.axes {
            return Ok(x);
        }
        let ty = Table { axes: order, ..table };
        self.push(What::Permute, &[x], ty, name.span)
    }

    fn differs(
        &mut self,
        name: &ast::Ident,
        table: &Table,
        ty: &ast::Type,
        declared: &[Declared],
    ) -> super::elab::Reported {
        let axes: Vec<_> = declared
            .iter()
            .map(|d| match d {
                Declared::Rest => "..".to_string(),
                Declared::Axis(n, Some(size)) => Axis::new(n.clone(), size.clone()).to_string(),
                Declared::Axis(n, None) => n.clone(),
            })
            .collect();
        let element = ty.element.as_ref().map_or("", |e| e.node.as_str());
        let shown = if axes.is_empty() && !element.is_empty() {
            element.to_string()
        } else {
            format!("{element}[{}]", axes.join(", "))
        };
        let message = format!("`{}` is declared as {shown}, but its value is {table}", name.node);
        let e = Diagnostic::error("E0313", name.span, message).label(ty.span, "the declared type");
        self.report(match shown == table.to_string() {
            true => e.note("as many at most, but not of each example: a stride or a pool has changed how many it has"),
            false => e,
        })
    }

    /// Axes of a written type; `None` where nothing is said (`x: [..]` alone says nothing either).
    pub fn declared_axes(&mut self, ty: &'a ast::Type) -> Res<Option<Vec<Declared>>> {
        let Some(shape) = &ty.shape else {
            return Ok(ty.element.is_some().then(Vec::new));
        };
        let mut all = vec![];
        for axis in shape {
            all.push(match &axis.kind {
                AxisKind::Rest => Declared::Rest,
                AxisKind::Size(n) => {
                    let e = Diagnostic::error("E0301", axis.span, format!("the axis of size {n} has no name"));
                    return Err(self.report(e.help(format!("name it: `c: {n}`"))));
                }
                AxisKind::Named(name, size) => {
                    let size = match size {
                        Some(expr) => {
                            let value = self.eval(expr)?;
                            let size = self.size_of(&value, expr.span, &name.node)?;
                            self.agree_with_dim(&name.node, &size, name.span)?;
                            Some(size)
                        }
                        None => {
                            let bound = self.frame().sizes.get(&name.node).cloned();
                            match bound {
                                Some(size) => Some(size),
                                None => self.dim(&name.node)?.map(|d| d.size),
                            }
                        }
                    };
                    Declared::Axis(self.axis_name(&name.node), size)
                }
            });
        }
        Ok(Some(all))
    }

    /// A type with every size said, as inputs, params and states need it (E0302).
    pub fn full_type(&mut self, ty: &'a ast::Type, batched: bool) -> Res<Table> {
        let mut axes = vec![];
        for (i, d) in self.declared_axes(ty)?.unwrap_or_default().into_iter().enumerate() {
            let span = ty.shape.as_ref().map_or(ty.span, |s| s[i].span);
            match d {
                Declared::Axis(name, Some(size)) => axes.push(Axis::new(name, size)),
                Declared::Axis(name, None) => {
                    let e = Diagnostic::error("E0302", span, format!("the axis `{name}` has no size"));
                    let help = format!("write `{name}: 28` here, or `dim {name} = 28` above");
                    return Err(self.report(e.help(help)));
                }
                Declared::Rest => match self.frame().rest.clone() {
                    Some(rest) => axes.extend(rest),
                    None => return self.fail("E0302", span, "`..` stands for no axes here"),
                },
            }
        }
        let element = match &ty.element {
            None => Element::Number,
            Some(dim) => match self.dim(&dim.node)? {
                Some(info) => Element::Index { dim: dim.node.clone(), size: info.size },
                None => return Err(self.unknown_dim(dim)),
            },
        };
        let table = Table { element, axes, batched };
        self.check_size(&table, ty.span)?;
        Ok(table)
    }

    fn unknown_dim(&mut self, dim: &ast::Ident) -> super::elab::Reported {
        if self.told_enough() {
            return super::elab::Reported;
        }
        let e = Diagnostic::error("E0202", dim.span, format!("unknown dimension `{}`", dim.node));
        let near = super::near::nearest(&dim.node, self.declared.order.iter().copied()).map(str::to_string);
        self.report(match near {
            Some(near) => e.help(format!("a dimension with a similar name exists: `{near}`")),
            None => e.help(format!("declare it: `dim {} = 10`", dim.node)),
        })
    }
}
