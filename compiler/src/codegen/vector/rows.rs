//! Loops one after the other along the same rows as one function: softmax and the norms walk over each row several times.
//! A short row is straight code, in which what one loop makes another reads in registers. The operations are those of the
//! loops one by one, in the same order.

#[cfg(test)]
mod tests;

use super::is_plain;
use super::plan::{Context, Plan, Planner, Pointer, folds, reads, strides};
use super::values::{Id, Level, Op, Two};
use crate::base::{Buffer, Var};
use crate::codegen::math::Machine;
use crate::loops::nest::{For, Kind, Stmt};
use crate::loops::{Affine, Binary, Coord, Expr, Fold, Home, How, Node, Store, expr};
use std::collections::{HashMap, HashSet};

/// Longer functions do not pay for the time that it takes to make them.
const LONGEST: usize = 1000;

/// A place in a row: floats behind a pointer, a vector or one number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Spot {
    pub pointer: u16,
    pub floats: i32,
    pub wide: bool,
}

impl Spot {
    fn end(self, lanes: usize) -> i32 {
        self.floats + if self.wide { lanes as i32 } else { 1 }
    }

    fn meets(self, other: Spot, lanes: usize) -> bool {
        self.pointer == other.pointer && self.floats < other.end(lanes) && other.floats < self.end(lanes)
    }
}

/// What is stored in a row, once so many operations are listed.
pub struct Put {
    pub after: usize,
    pub to: Spot,
    pub id: Id,
}

/// Where the planner of such a function stands.
pub(super) struct Stand {
    /// How many turns there were: a turn is one vector of one loop. An expression is another one in each.
    turns: u16,
    /// Which vector of the row.
    pub(super) vector: usize,
    /// The loops around rows by those of the first nest.
    same: HashMap<Var, Var>,
    stored: HashMap<Spot, Id>,
    used: Vec<Spot>,
}

/// Loops around rows, then perhaps one along them.
struct Nest<'a> {
    f: &'a For,
    rows: Vec<(Var, usize)>,
    column: Option<(Var, usize)>,
    stores: &'a [Store],
}

/// The function of as many loops as can be one, from the first statement on; those loops; and how many statements they take.
/// `timed`: the statements are those by which the lives of scratch are counted.
pub fn plan<'s>(
    context: &mut Context<'_>,
    stmts: &'s [Stmt],
    extents: &HashMap<Var, usize>,
    timed: bool,
) -> Option<(Plan, Vec<&'s For>, usize)> {
    let deepest = loops(stmts.first()?)?.1.len();
    let runs = [deepest, deepest - 1].into_iter().filter(|count| *count > 0).map(|count| nests(stmts, count));
    let (mut run, taken): (Vec<Nest<'_>>, Vec<usize>) = runs.max_by_key(Vec::len)?.into_iter().unzip();
    if timed {
        run.truncate(alive_together(context, &run));
    }
    while run.len() > 1 && run.iter().any(|n| n.stores.iter().any(|s| folds(&s.value))) {
        match Planner::rows(context, extents, &run) {
            Ok(plan) => return Some((plan, run.iter().map(|n| n.f).collect(), taken[run.len() - 1])),
            Err(most) => run.truncate(most.min(run.len() - 1)),
        }
    }
    None
}

/// How many nests write no scratch but what is alive from the first one on. Other scratch may lie where an earlier nest
/// finds something, which is gone when rows are walked over together.
fn alive_together(context: &Context<'_>, run: &[Nest<'_>]) -> usize {
    let scratch = |b: Buffer| {
        let root = context.free.root(b);
        (context.program.buffers[root.index()].home == Home::Scratch).then_some(root)
    };
    let Some((first, later)) = run.split_first() else { return 0 };
    let mut alive: HashSet<Buffer> = first.stores.iter().filter_map(|s| scratch(s.buffer)).collect();
    let mut open: Vec<&Expr> = first.stores.iter().map(|s| &s.value).collect();
    while let Some(e) = open.pop() {
        if let Node::Load(b, _) = &**e {
            alive.extend(scratch(*b));
        }
        open.extend(expr::children(e));
    }
    let fits = |n: &&Nest<'_>| n.stores.iter().filter_map(|s| scratch(s.buffer)).all(|root| alive.contains(&root));
    1 + later.iter().take_while(fits).count()
}

/// The loops of a nest, and what it stores.
fn loops(stmt: &Stmt) -> Option<(&For, Vec<(Var, usize)>, &[Store], bool)> {
    let Stmt::For(f) = stmt else { return None };
    let (mut inner, mut loops) = (f, vec![]);
    loop {
        if !is_plain(inner) {
            return None;
        }
        loops.push((inner.var, inner.extent));
        match &inner.body[..] {
            [Stmt::For(g)] => inner = g,
            [Stmt::Group(stores)] => return Some((f, loops, stores, inner.kind == Kind::Vector)),
            _ => return None,
        }
    }
}

/// Nests with the same `count` loops around rows, and after how many statements each ends.
fn nests(stmts: &[Stmt], count: usize) -> Vec<(Nest<'_>, usize)> {
    let mut found: Vec<(Nest<'_>, usize)> = vec![];
    for (at, stmt) in stmts.iter().enumerate() {
        if let Stmt::Mark(_) = stmt {
            continue;
        }
        let Some((f, mut loops, stores, is_vector)) = loops(stmt) else { break };
        let column = (is_vector && loops.len() == count + 1).then(|| loops.pop()).flatten();
        let same = |(first, _): &(Nest<'_>, usize)| first.rows.iter().zip(&loops).all(|(a, b)| a.1 == b.1);
        if loops.len() != count || !found.first().is_none_or(same) || stores.iter().any(|s| s.how != How::Set) {
            break;
        }
        found.push((Nest { f, rows: loops, column, stores }, at + 1));
    }
    found
}

impl Planner<'_, '_> {
    /// The plan of a run, or how many of its nests may be one.
    fn rows(context: &mut Context<'_>, extents: &HashMap<Var, usize>, run: &[Nest<'_>]) -> Result<Plan, usize> {
        let first = &run[0].rows;
        let stores: Vec<Store> = run.iter().flat_map(|n| n.stores.iter().cloned()).collect();
        let mut p = Planner::new(context, extents, first, None, &stores).ok_or(0usize)?;
        p.stand = Some(Stand { turns: 0, vector: 0, same: HashMap::new(), stored: HashMap::new(), used: vec![] });
        for (at, nest) in run.iter().enumerate() {
            p.nest(nest, first).ok_or(at)?;
        }
        if !p.are_apart() {
            return Err(run.len() - 1);
        }
        p.moving = first.clone();
        p.finish().ok_or(0)
    }

    fn nest(&mut self, nest: &Nest<'_>, first: &[(Var, usize)]) -> Option<()> {
        let lanes = self.context.lanes;
        self.plan.vars.extend(nest.rows.iter().chain(&nest.column));
        self.extents.extend(nest.rows.iter().chain(&nest.column).copied());
        self.moving = nest.rows.clone();
        self.stand.as_mut()?.same = nest.rows.iter().zip(first).map(|(own, first)| (own.0, first.0)).collect();
        self.inner = nest.column.map(|c| c.0);
        let vectors = nest.column.map_or(Some(1), |(_, n)| vectors(n, lanes))?;
        for k in 0..vectors {
            self.next_turn(k)?;
            let values: Vec<Id> = nest.stores.iter().map(|s| self.value(&s.value)).collect::<Option<_>>()?;
            for (s, id) in nest.stores.iter().zip(values) {
                self.put(s, id)?;
            }
        }
        (self.plan.values.ops.len() <= LONGEST).then_some(())
    }

    fn next_turn(&mut self, vector: usize) -> Option<()> {
        let stand = self.stand.as_mut()?;
        (stand.turns, stand.vector) = (stand.turns.checked_add(1)?, vector);
        self.plan.values.turn = stand.turns;
        Some(())
    }

    fn put(&mut self, s: &Store, id: Id) -> Option<()> {
        let to = self.spot(s.buffer, &s.at)?;
        let level = self.plan.values.ops[id as usize].1;
        let lanes = self.context.lanes;
        if to.wide != self.inner.is_some() || !to.wide && level > Level::Row {
            return None;
        }
        let stand = self.stand.as_mut()?;
        stand.used.push(to);
        if stand.stored.keys().any(|other| *other != to && other.meets(to, lanes)) {
            return None;
        }
        stand.stored.insert(to, id);
        // What is stored over before anybody looks is not stored at all.
        self.plan.straight.retain(|put| put.to != to);
        self.plan.straight.push(Put { after: self.plan.values.ops.len(), to, id });
        Some(())
    }

    /// A load: what was stored there, if anything was.
    pub(super) fn load_in_row(&mut self, buffer: Buffer, at: &[Coord]) -> Option<Id> {
        let spot = self.spot(buffer, at)?;
        let lanes = self.context.lanes;
        let stand = self.stand.as_mut()?;
        stand.used.push(spot);
        if let Some(id) = stand.stored.get(&spot) {
            return Some(*id);
        }
        if stand.stored.keys().any(|other| other.meets(spot, lanes)) {
            return None;
        }
        let Spot { pointer, floats, wide } = spot;
        Some(self.plan.values.get(if wide { Op::LoadAt(pointer, floats) } else { Op::ShownAt(pointer, floats) }))
    }

    /// Where a place in the row lies.
    fn spot(&mut self, buffer: Buffer, at: &[Coord]) -> Option<Spot> {
        let mut position = Affine::default();
        for (c, s) in at.iter().zip(strides(self.context.program, buffer)) {
            match c {
                Coord::Affine(a) => position = &position + &(a * s),
                Coord::Index { from, .. } if reads(from, &self.context.free, &self.written) || !self.is_fixed(from) => {
                    return None;
                }
                Coord::Index { .. } => {}
            }
        }
        let step = self.inner.map_or(0, |v| position.coefficient(v));
        if !matches!(step, 0 | 1) {
            return None;
        }
        let stand = self.stand.as_ref()?;
        let further = step * (stand.vector * self.context.lanes) as i64;
        let position = position.substitute(&|v| match stand.same.get(&v) {
            _ if Some(v) == self.inner => Affine::default(),
            Some(first) => Affine::from(*first),
            None => Affine::from(v),
        });
        let root = self.context.free.root(buffer);
        let is_plain = |at: &[Coord]| at.iter().all(|c| matches!(c, Coord::Affine(_)));
        let same =
            |p: &Pointer| p.root == root && p.position.terms == position.terms && is_plain(&p.at) && is_plain(at);
        let found = self.plan.pointers.iter().position(same);
        let pointer = found.unwrap_or_else(|| {
            self.plan.pointers.push(Pointer { buffer, root, at: at.to_vec(), position: position.clone() });
            self.plan.pointers.len() - 1
        });
        let floats = position.constant - self.plan.pointers[pointer].position.constant + further;
        Some(Spot { pointer: pointer as u16, floats: i32::try_from(floats).ok()?, wide: step == 1 })
    }

    /// Does no row touch what another one writes? Then they may be computed one after the other.
    fn are_apart(&self) -> bool {
        let Some(stand) = &self.stand else { return false };
        let lanes = self.context.lanes;
        let pointers = &self.plan.pointers;
        stand.stored.keys().all(|spot| {
            let own = &pointers[spot.pointer as usize];
            let alone = pointers.iter().enumerate().all(|(i, p)| i == usize::from(spot.pointer) || p.root != own.root);
            let used = || stand.used.iter().filter(|u| u.pointer == spot.pointer);
            let first = used().map(|u| u.floats).min().unwrap_or(0);
            let end = used().map(|u| u.end(lanes)).max().unwrap_or(0);
            let mut width = i64::from(end - first);
            let mut apart = alone;
            for (var, extent) in self.stand_rows().iter().rev().filter(|(_, n)| *n > 1) {
                let step = own.position.coefficient(*var).abs();
                apart &= step >= width;
                width += (*extent as i64 - 1) * step;
            }
            apart
        })
    }

    /// The loops around rows, by the names of the first nest.
    fn stand_rows(&self) -> Vec<(Var, usize)> {
        let same = |v: &Var| self.stand.as_ref().and_then(|s| s.same.get(v).copied()).unwrap_or(*v);
        self.moving.iter().map(|(v, n)| (same(v), *n)).collect()
    }

    /// A fold along the row, vector by vector.
    pub(super) fn fold_in_row(&mut self, fold: Fold, vars: &[(Var, usize)], body: &Expr) -> Option<Id> {
        let [(var, n)] = vars[..] else { return None };
        let count = vectors(n, self.context.lanes)?;
        if self.inner.is_some_and(|inner| self.context.free.depends(body, inner)) {
            return None;
        }
        self.extents.insert(var, n);
        self.plan.vars.push((var, n));
        let outside = (self.inner.replace(var), self.plan.values.turn, self.stand.as_ref()?.vector);
        let mut sum = None;
        for k in 0..count {
            self.next_turn(k)?;
            sum = Some(match (fold, &**body, sum) {
                (Fold::Add, Node::Binary(Binary::Mul, p, q), Some(sum)) => {
                    let (p, q) = (self.value(p)?, self.value(q)?);
                    self.plan.values.fma(p, q, sum)
                }
                (_, _, None) => self.value(body)?,
                (_, _, Some(sum)) => {
                    let x = self.value(body)?;
                    let v = &mut self.plan.values;
                    if fold == Fold::Add { v.add(sum, x) } else { v.get(Op::Two(Two::Max, sum, x)) }
                }
            });
        }
        self.stand.as_mut()?.vector = outside.2;
        (self.inner, self.plan.values.turn) = (outside.0, outside.1);
        Some(self.plan.values.get(Op::Across(fold == Fold::Max, sum?)))
    }

    /// The places of the vector's lanes, which are known.
    pub(super) fn lanes_in_row(&mut self) -> Option<Id> {
        let first = self.stand.as_ref()?.vector * self.context.lanes;
        Some(self.plan.values.lanes(|i| (first + i) as f32))
    }

    /// What a comparison of coordinates gives, where it gives the same for all rows and lanes.
    pub(super) fn decided(&self, c: &Expr) -> Option<bool> {
        let stand = self.stand.as_ref()?;
        let Node::Binary(op @ (Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge), a, b) = &**c else { return None };
        let (Node::Coord(a), Node::Coord(b)) = (&**a, &**b) else { return None };
        let mut less = a - b;
        let mut more = 0;
        if let Some(inner) = self.inner {
            let by = less.coefficient(inner);
            less = less.substitute(&|v| if v == inner { Affine::default() } else { Affine::from(v) });
            less = &less + by * (stand.vector * self.context.lanes) as i64;
            more = by * (self.context.lanes as i64 - 1);
        }
        if !less.terms.iter().all(|(v, _)| self.extents.contains_key(v)) {
            return None;
        }
        let (low, high) = less.range(&|v| self.extents[&v]);
        let (low, high) = (low + more.min(0), high + more.max(0));
        let [always, never] = match op {
            Binary::Lt => [high < 0, low >= 0],
            Binary::Le => [high <= 0, low > 0],
            Binary::Gt => [low > 0, high <= 0],
            _ => [low >= 0, high < 0],
        };
        if always || never { Some(always) } else { None }
    }
}

/// How many vectors a row is, if it is some whole ones and not too many for the registers.
fn vectors(extent: usize, lanes: usize) -> Option<usize> {
    (extent.is_multiple_of(lanes) && (1..=lanes).contains(&(extent / lanes))).then_some(extent / lanes)
}
