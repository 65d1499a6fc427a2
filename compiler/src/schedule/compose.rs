//! Fusion by composition: the element of a value in terms of what lies in memory.
//!
//! A value that has a buffer answers with a load; any other with its op's element rule, whose operands answer in
//! turn. So a chain of ops becomes one expression, and no fused op exists.

use crate::base::{Buffer, TensorType, Value, Var};
use crate::graph::{Def, Graph};
use crate::loops::{Affine, Coord, Expr, Node, Scope, expr};
use crate::ops::Operand;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Which values have a buffer, and which buffer a view has of its operand's memory.
#[derive(Default)]
pub struct Stored {
    pub buffer: HashMap<Value, Buffer>,
    /// Values of a recurrence that lie in a table of all iterations: its new axis, and the place of this iteration.
    pub place: HashMap<Value, (usize, Affine)>,
}

impl Stored {
    /// Where an element of `value` lies in its buffer.
    pub fn at(&self, value: Value, at: &[Affine]) -> Vec<Affine> {
        let mut at = at.to_vec();
        if let Some((axis, place)) = self.place.get(&value) {
            at.insert(*axis, place.clone());
        }
        at
    }
}

/// Composes the expressions of one kernel; equal elements become one node.
pub struct Composer<'a> {
    pub graph: &'a Graph,
    pub stored: &'a Stored,
    memo: RefCell<HashMap<(Value, Vec<Affine>), Expr>>,
}

impl<'a> Composer<'a> {
    pub fn new(graph: &'a Graph, stored: &'a Stored) -> Composer<'a> {
        Composer { graph, stored, memo: RefCell::default() }
    }

    /// `value[at]`
    pub fn element(&self, s: &mut Scope, value: Value, at: &[Affine]) -> Expr {
        if let Some(buffer) = self.stored.buffer.get(&value) {
            return self.remember(value, at, expr::load(*buffer, &self.stored.at(value, at)));
        }
        if let Some(known) = self.memo.borrow().get(&(value, at.to_vec())) {
            return known.clone();
        }
        let e = self.defined(s, value, at);
        self.remember(value, at, e)
    }

    fn remember(&self, value: Value, at: &[Affine], e: Expr) -> Expr {
        self.memo.borrow_mut().entry((value, at.to_vec())).or_insert(e).clone()
    }

    /// `value[at]` by its definition, whether or not it has a buffer.
    pub fn defined(&self, s: &mut Scope, value: Value, at: &[Affine]) -> Expr {
        let node = self.graph.node(value);
        match &node.def {
            Def::Constant(bits) => expr::constant(f32::from_bits(*bits)),
            Def::Input(name) | Def::State(name) => panic!("bug in schedule: `{name}` has no buffer"),
            Def::Op(op) => {
                let operands = self.graph.operands(value);
                if op.is_view() {
                    let inner = operands[0];
                    let from = &self.graph.node(inner).ty.shape;
                    let at = through_view(from, &node.ty.shape, at)
                        .expect("bug in schedule: a view that merges axes has a buffer");
                    return self.element(s, inner, &at);
                }
                let reads: Vec<Read<'_, 'a>> = operands.iter().map(|v| Read { composer: self, value: *v }).collect();
                let reads: Vec<&dyn Operand> = reads.iter().map(|r| r as &dyn Operand).collect();
                op.element(s, &reads, at)
            }
        }
    }

    /// The operands of `value`, as element rules want them.
    pub fn with_operands<T>(&self, value: Value, f: impl FnOnce(&[&dyn Operand]) -> T) -> T {
        let reads: Vec<Read<'_, 'a>> =
            self.graph.operands(value).iter().map(|v| Read { composer: self, value: *v }).collect();
        let reads: Vec<&dyn Operand> = reads.iter().map(|r| r as &dyn Operand).collect();
        f(&reads)
    }
}

struct Read<'c, 'a> {
    composer: &'c Composer<'a>,
    value: Value,
}

impl Operand for Read<'_, '_> {
    fn ty(&self) -> &TensorType {
        &self.composer.graph.node(self.value).ty
    }

    fn at(&self, s: &mut Scope, at: &[Affine]) -> Expr {
        self.composer.element(s, self.value, at)
    }

    fn at_index(&self, _: &mut Scope, mut at: Vec<Coord>) -> Expr {
        let buffer = self.composer.stored.buffer.get(&self.value);
        if let Some((axis, place)) = self.composer.stored.place.get(&self.value) {
            at.insert(*axis, Coord::Affine(place.clone()));
        }
        let buffer = buffer.expect("bug in schedule: an operand read at indices has no buffer");
        Arc::new(Node::Load(*buffer, at))
    }
}

/// Coordinates before a change of shape from `from` to `to`, where they are affine in those after it: where
/// no axis of `to` merges several of `from`.
pub fn through_view(from: &[usize], to: &[usize], at: &[Affine]) -> Option<Vec<Affine>> {
    let mut result = vec![Affine::default(); from.len()];
    let (mut i, mut j) = (0, 0);
    while i < from.len() {
        if from[i] == 1 {
            // One example stays one: its variable leads.
            if to.get(j) == Some(&1) {
                result[i] = at[j].clone();
                j += 1;
            }
            i += 1;
            continue;
        }
        let mut size = 1;
        let mut position = Affine::default();
        while size < from[i] {
            let n = *to.get(j)?;
            position = &(&position * n as i64) + &at[j];
            size *= n;
            j += 1;
        }
        if size != from[i] {
            return None;
        }
        result[i] = position;
        i += 1;
    }
    Some(result)
}

/// Is the expression only data movement: a load, a constant, a coordinate, behind guards?
pub fn moves_only(e: &Expr) -> bool {
    match &**e {
        Node::Const(_) | Node::Load(..) | Node::Coord(_) => true,
        Node::Guard { body, .. } => moves_only(body),
        Node::Unary(..) | Node::Binary(..) | Node::Select(..) | Node::Reduce { .. } | Node::Random { .. } => false,
    }
}

/// What one op does, seen in its element rule over operands that are plain loads.
pub struct Profile {
    /// Contains a reduction.
    pub reduces: bool,
    /// A reduction over a product: a contraction.
    pub contracts: bool,
    /// Moves data only.
    pub moves: bool,
    /// Reads at places that come from data.
    pub looks_up: bool,
    /// Rough number of machine operations per element; functions count for many.
    pub cost: usize,
    /// For each operand: is every element of it read for at most one element of the result?
    pub once: Vec<bool>,
}

struct Leaf<'a> {
    ty: &'a TensorType,
    buffer: Buffer,
}

impl Operand for Leaf<'_> {
    fn ty(&self) -> &TensorType {
        self.ty
    }

    fn at(&self, _: &mut Scope, at: &[Affine]) -> Expr {
        expr::load(self.buffer, at)
    }

    fn at_index(&self, _: &mut Scope, at: Vec<Coord>) -> Expr {
        Arc::new(Node::Load(self.buffer, at))
    }
}

pub fn profile(graph: &Graph, value: Value) -> Profile {
    let node = graph.node(value);
    let operands = graph.operands(value);
    let all = vec![true; operands.len()];
    let Def::Op(op) = &node.def else {
        return Profile { reduces: false, contracts: false, moves: true, looks_up: false, cost: 0, once: all };
    };
    if op.is_view() {
        return Profile { reduces: false, contracts: false, moves: true, looks_up: false, cost: 0, once: all };
    }
    let leaves: Vec<Leaf<'_>> =
        operands.iter().enumerate().map(|(i, v)| Leaf { ty: &graph.node(*v).ty, buffer: Buffer(i as u32) }).collect();
    let leaves: Vec<&dyn Operand> = leaves.iter().map(|l| l as &dyn Operand).collect();
    let mut s = Scope::default();
    let (axes, at) = s.axes(&node.ty.shape);
    let e = op.element(&mut s, &leaves, &at);
    let mut p =
        Profile { reduces: false, contracts: false, moves: moves_only(&e), looks_up: false, cost: 0, once: all };
    let vars: Vec<Var> = axes.iter().filter(|(_, n)| *n > 1).map(|(v, _)| *v).collect();
    inspect(&e, &vars, &mut p);
    p
}

fn inspect(e: &Expr, vars: &[Var], p: &mut Profile) {
    use crate::loops::{Binary, Unary};
    match &**e {
        Node::Const(_) | Node::Coord(_) => {}
        Node::Load(b, at) => {
            let alone = |v: &Var| {
                at.iter().any(|c| match c {
                    Coord::Affine(a) => a.terms.len() == 1 && a.terms[0].0 == *v,
                    Coord::Index { .. } => false,
                })
            };
            p.once[b.index()] &= vars.iter().all(alone);
            for c in at {
                if let Coord::Index { from, .. } = c {
                    p.looks_up = true;
                    inspect(from, vars, p);
                }
            }
        }
        Node::Unary(op, x) => {
            p.cost += match op {
                Unary::Neg | Unary::Abs | Unary::Floor => 1,
                Unary::Sqrt => 6,
                Unary::Exp | Unary::Log | Unary::Tanh | Unary::Sigmoid | Unary::Erf | Unary::Sin | Unary::Cos => 20,
            };
            inspect(x, vars, p);
        }
        Node::Binary(op, a, b) => {
            p.cost += match op {
                Binary::Div => 6,
                Binary::Pow => 40,
                Binary::Add
                | Binary::Sub
                | Binary::Mul
                | Binary::Max
                | Binary::Min
                | Binary::Lt
                | Binary::Le
                | Binary::Gt
                | Binary::Ge
                | Binary::Eq
                | Binary::Ne => 1,
            };
            inspect(a, vars, p);
            inspect(b, vars, p);
        }
        Node::Select(c, a, b) => {
            p.cost += 1;
            [c, a, b].into_iter().for_each(|x| inspect(x, vars, p));
        }
        Node::Reduce { vars: bound, body, .. } => {
            p.reduces = true;
            let product = match &**body {
                Node::Guard { body, .. } => body,
                _ => body,
            };
            p.contracts |= matches!(&**product, Node::Binary(Binary::Mul, ..));
            let inner: Vec<Var> =
                vars.iter().copied().chain(bound.iter().filter(|(_, n)| *n > 1).map(|(v, _)| *v)).collect();
            inspect(body, &inner, p);
        }
        Node::Guard { body, .. } => {
            p.cost += 1;
            inspect(body, vars, p);
        }
        Node::Random { .. } => p.cost += 12,
    }
}
