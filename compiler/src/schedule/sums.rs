//! Sums over the examples of a group: each task keeps its own, and they are added up in a fixed order.

use super::contraction::{Contraction, loose_flop, recognize};
use super::examples::Examples;
use super::filters;
use super::group::{loads, put};
use super::kernels::Item;
use super::steps::{Steps, plain, rewrite, root_of};
use super::winograd::{Allowed, Winograd};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Step, Stmt};
use crate::loops::{Affine, BufferType, Coord, Expr, Fold, Home, How, Kernel, Node, Scope, Store, expr};
use dlc_runtime::abi::Part;
use std::collections::{HashMap, HashSet};

impl Steps {
    /// A sum over the examples: each task has its own, added up afterwards in a fixed order.
    pub(super) fn sum(&mut self, e: &mut Examples, mut kernel: Kernel, var: Var, m: usize) {
        let store = &mut kernel.stores[0];
        let target = store.buffer;
        let Node::Reduce { fold, vars, body } = &*store.value else { return };
        let mut vars: Vec<(Var, usize)> = vars.iter().filter(|(v, _)| *v != var).copied().collect();
        if e.block > 1 {
            vars.insert(0, (var, e.block));
        }
        store.value = if vars.is_empty() { body.clone() } else { expr::reduce(*fold, vars, body.clone()) };
        if let Some(c) = recognize(&kernel.axes, store)
            && self.spread_sum(e, &c, m)
        {
            return;
        }
        if e.tasks > 1 {
            let ty = self.program.buffers[target.index()].clone();
            let shape = [&[e.tasks], &ty.shape[..]].concat();
            self.program.buffers.push(BufferType { shape, home: Home::Arena, alias: None, name: ty.name });
            let partial = Buffer(self.program.buffers.len() as u32 - 1);
            store.buffer = partial;
            store.at.insert(0, Coord::Affine(Affine::from(e.task)));
            e.sums.push((target, partial));
        }
        let store = store.clone();
        if recognize(&kernel.axes, &store).is_some() || filters::recognize(&kernel).is_some() {
            let label = self.items[m].label.clone();
            return self.each(e, &kernel, vec![e.i], &label);
        }
        // Zero, then add every example's share.
        let fresh: HashMap<Var, Affine> =
            kernel.axes.iter().map(|(v, _)| (*v, Affine::from(self.scope.var()))).collect();
        let zero = Store {
            buffer: store.buffer,
            at: store.at.iter().map(|c| moved(c, &fresh)).collect(),
            value: expr::constant(0.0),
            how: How::Set,
        };
        let axes = kernel.axes.iter().map(|(v, n)| (fresh[v].terms[0].0, *n)).collect();
        let add = Kernel { axes: kernel.axes, stores: vec![Store { how: How::Add, ..store }] };
        let flop = loose_flop(&add) * (self.program.batch / e.block) as u64;
        let part = Part::new(&self.items[m].label, "loops", flop);
        let before = e
            .adding
            .take_if(|(at, _)| *at + 1 == e.body.len() && e.parts.last().is_some_and(|p| p.label == part.label));
        let both = before.as_ref().and_then(|(_, kernel)| beside(kernel, &add));
        if let (Some(_), Some((at, _))) = (&both, before) {
            e.body.truncate(at);
        }
        let number = e.begin(part);
        e.head.push(Stmt::Mark(number));
        e.head.extend(plain(&Kernel { axes, stores: vec![zero] }));
        let add = both.unwrap_or(add);
        let at = e.body.len();
        e.body.extend(plain(&add));
        e.adding = (e.body.len() == at + 1).then_some((at, add));
    }

    /// A weight gradient whose sum no core can keep to itself: only its pictures are transformed here, and the sum is
    /// made in steps afterwards.
    fn spread_sum(&mut self, e: &mut Examples, c: &Contraction, m: usize) -> bool {
        let (batch, tiles) = (self.program.batch, self.tiles);
        let label = self.items[m].label.clone();
        let may = Allowed { numerics: self.numerics, picture: false, parts: false, filter: true };
        let tasks = [self.scope.var(), self.scope.var()];
        let mut b = self.builder();
        let Some(w) = b.winograd(c, batch / e.block, may).ok().filter(Winograd::is_spread) else { return false };
        let flop = c.flop() * (batch / e.block) as u64;
        let parts = [w.part(tiles, &label, flop), Part::new(&label, "winograd sums", 0)];
        e.begin(Part::new(&label, "winograd tiles", 0));
        let spread = b.winograd_spread(w, &e.example, batch, tasks);
        e.body.extend(spread.body);
        for ((task, (body, tasks)), part) in tasks.into_iter().zip([spread.products, spread.back]).zip(parts) {
            e.after.push(Step { task, tasks, lockstep: false, body, label: part.label.clone(), parts: vec![part] });
        }
        true
    }

    /// Adds up the tasks' sums: inside the one kernel that reads them if it is element-wise, else in a step.
    pub(super) fn finish_sum(&mut self, target: Buffer, partial: Buffer, tasks: usize) {
        let total = |s: &mut Scope, at: &[Coord]| {
            let c = s.var();
            let mut coords = vec![Coord::Affine(Affine::from(c))];
            coords.extend(at.iter().cloned());
            expr::reduce(Fold::Add, vec![(c, tasks)], std::sync::Arc::new(Node::Load(partial, coords)))
        };
        let buffers = &self.program.buffers;
        let root = |b: Buffer| root_of(buffers, b);
        let readers = self.readers.get(&target).map_or(&[][..], Vec::as_slice);
        let plain_reader = |i: usize| {
            let mut direct = self.items[i].body.is_none();
            for st in &self.items[i].kernel.stores {
                direct &= !has_reduce(&st.value);
                loads(&st.value, &mut HashSet::new(), &mut |b, _| direct &= b == target || root(b) != target);
            }
            direct
        };
        let kept = self.program.outputs.iter().any(|(_, b)| root(*b) == target)
            || self.program.state.iter().any(|(_, b)| *b == target);
        if let [only] = readers[..]
            && !kept
            && plain_reader(only)
        {
            let mut scope = self.scope.clone();
            let kernel = rewrite(&self.items[only].kernel, &HashMap::new(), &mut |b, at| {
                if b == target { total(&mut scope, &at) } else { std::sync::Arc::new(Node::Load(b, at)) }
            });
            self.scope = scope;
            self.items[only].kernel = kernel;
            return;
        }
        let shape = self.program.buffers[target.index()].shape.clone();
        let (axes, at) = self.scope.axes(&shape);
        let at: Vec<Coord> = at.into_iter().map(Coord::Affine).collect();
        let value = total(&mut self.scope, &at);
        let kernel = Kernel { axes, stores: vec![Store { buffer: target, at, value, how: How::Set }] };
        let label = format!("{} sum", self.program.buffers[target.index()].name);
        self.items.push(Item::new(kernel, label));
        self.whole(self.items.len() - 1);
        // It is done: nothing may count it among the readers of anything later.
        self.items.pop();
    }
}

/// Sums over the same elements, in the loops of the first: what both read is read once.
fn beside(first: &Kernel, second: &Kernel) -> Option<Kernel> {
    let sum = |kernel: &Kernel| match &*kernel.stores.first()?.value {
        Node::Reduce { fold: Fold::Add, vars, body } => Some((vars.clone(), body.clone())),
        _ => None,
    };
    let ((vars, _), (own, body)) = (sum(first)?, sum(second)?);
    let all = |kernel: &Kernel, vars: &[(Var, usize)]| [&kernel.axes[..], vars].concat();
    let (to, from) = (all(first, &vars), all(second, &own));
    if first.axes.len() != second.axes.len() || !from.iter().map(|x| x.1).eq(to.iter().map(|x| x.1)) {
        return None;
    }
    let with: HashMap<Var, Affine> = from.iter().zip(&to).map(|(from, to)| (from.0, Affine::from(to.0))).collect();
    let store = Store { value: body, ..second.stores.first()?.clone() };
    let second = Kernel { axes: second.axes.clone(), stores: vec![store] };
    let second = rewrite(&second, &with, &mut |b, at| std::sync::Arc::new(Node::Load(b, at)));
    let mut both = first.clone();
    let summed = |s: Store| Store { value: expr::reduce(Fold::Add, vars.clone(), s.value), ..s };
    both.stores.extend(second.stores.into_iter().map(summed));
    Some(both)
}

pub(super) fn has_reduce(e: &Expr) -> bool {
    matches!(**e, Node::Reduce { .. }) || expr::children(e).into_iter().any(has_reduce)
}

fn moved(c: &Coord, with: &HashMap<Var, Affine>) -> Coord {
    match c {
        Coord::Affine(a) => Coord::Affine(put(a, with)),
        Coord::Index { .. } => c.clone(),
    }
}
