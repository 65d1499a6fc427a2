//! A group of examples as one step: its kernels one after the other for each example, with what only the group needs
//! in scratch, and sums over the examples kept apart for each task and added up in a fixed order.

use super::contraction::{Contraction, loose_flop, recognize};
use super::filters;
use super::group::{Along, loads, put, rest};
use super::kernels::Item;
use super::parts::separate;
use super::steps::{SMALL, Steps, TASKS, plain, rewrite, root_of, work};
use super::tile_nest::{Packing, RowRange};
use super::winograd::{Allowed, Winograd};
use crate::base::{Buffer, Var};
use crate::loops::nest::{For, Kind, Step, Stmt};
use crate::loops::{Affine, BufferType, Coord, Expr, Fold, Home, How, Kernel, Node, Scope, Store, expr};
use dlc_runtime::abi::Part;
use std::collections::{HashMap, HashSet};

/// Tasks of a group that keeps sums: each task has its own.
const TASKS_WITH_SUMS: usize = 8;

/// Rows of so many columns lie close enough together to be read as they are.
const CLOSE_COLUMNS: usize = 64;
/// Points and terms of a group of one block that are worth sharing out.
const LEAST_SHARED: usize = 256 * 1024;

pub(super) struct Examples {
    pub(super) task: Var,
    /// Counts the blocks of a task.
    pub(super) i: Var,
    pub(super) tasks: usize,
    /// Examples of a block.
    pub(super) block: usize,
    /// Has every task the same number of blocks?
    pub(super) exact: bool,
    /// The first example of a block.
    pub(super) example: Affine,
    pub(super) scratch: HashMap<Buffer, Buffer>,
    /// Before the loop over examples.
    pub(super) head: Vec<Stmt>,
    pub(super) body: Vec<Stmt>,
    /// After it.
    pub(super) tail: Vec<Stmt>,
    /// Steps after this one.
    pub(super) after: Vec<Step>,
    pub(super) parts: Vec<Part>,
    /// Targets and the buffers of their parts.
    pub(super) sums: Vec<(Buffer, Buffer)>,
    /// The last loops that add to sums, and where in the body they stand.
    adding: Option<(usize, Kernel)>,
    /// Counts the iterations of a recurrence, where the body is one of it.
    pub(super) repeated: Option<Var>,
}

impl Examples {
    /// Nothing yet: `tasks` of `each` blocks of `block` examples.
    pub(super) fn new(task: Var, i: Var, [tasks, each, block]: [usize; 3], exact: bool) -> Examples {
        let example = &(&Affine::from(task) * (each * block) as i64) + &(&Affine::from(i) * block as i64);
        Examples {
            task,
            i,
            tasks,
            block,
            exact,
            example,
            scratch: HashMap::new(),
            head: vec![],
            body: vec![],
            tail: vec![],
            after: vec![],
            parts: vec![],
            sums: vec![],
            adding: None,
            repeated: None,
        }
    }

    /// Begins a part, or goes on with the last one if it is of the same kind; says which it is.
    fn begin(&mut self, part: Part) -> usize {
        match self.parts.last_mut() {
            Some(last) if last.label == part.label && last.algorithm == part.algorithm => last.flop += part.flop,
            Some(_) | None => self.parts.push(part),
        }
        let number = self.parts.len() - 1;
        self.body.push(Stmt::Mark(number));
        number
    }
}

impl Steps {
    pub(super) fn examples(&mut self, members: &[(usize, Along)], block: usize, fuse: bool) {
        let n = self.program.batch;
        let sums = members.iter().any(|(_, a)| matches!(a, Along::Sum(_)));
        let total: usize = members.iter().map(|(i, _)| work(&self.items[*i].kernel)).sum();
        let most = if total <= SMALL {
            1
        } else if sums {
            TASKS_WITH_SUMS
        } else {
            TASKS
        };
        let blocks = n / block;
        if blocks == 1 && !sums && total > LEAST_SHARED {
            return self.all_in_parts(&members.iter().map(|(m, _)| *m).collect::<Vec<_>>());
        }
        let each = blocks.div_ceil(most.min(blocks));
        let tasks = blocks.div_ceil(each);
        let (task, i) = (self.scope.var(), self.scope.var());
        let mut e = Examples::new(task, i, [tasks, each, block], blocks.is_multiple_of(each));
        let example = e.example.clone();
        if fuse {
            e.scratch = self.scratch(members, block);
        }
        for (m, along) in members {
            self.member(&mut e, *m, *along);
        }
        let mut body = e.head;
        // Blocks are whole: the last begins with so many examples before the end.
        let within = (!e.exact).then_some((example, n - block + 1));
        body.push(Stmt::For(For { var: i, extent: each, kind: Kind::Sequence, within, body: e.body }));
        body.extend(e.tail);
        let first = &self.items[members[0].0].label;
        let last = &self.items[members[members.len() - 1].0].label;
        let label = if members.len() == 1 { first.clone() } else { format!("{first} .. {last}") };
        self.program.steps.push(Step { task, tasks, body, label, parts: e.parts });
        self.program.steps.extend(e.after);
        for (buffer, partial) in e.sums {
            self.finish_sum(buffer, partial, tasks);
        }
    }

    pub(super) fn member(&mut self, e: &mut Examples, m: usize, along: Along) {
        let kernel = self.items[m].kernel.clone();
        let parts = if matches!(along, Along::Each(_)) { self.strips_below_diagonal(&kernel) } else { vec![kernel] };
        parts.iter().for_each(|part| self.member_part(e, part, m, along));
    }

    fn member_part(&mut self, e: &mut Examples, kernel: &Kernel, m: usize, along: Along) {
        let (Along::Each(var) | Along::Sum(var)) = along;
        let several = e.block > 1;
        let own = if several { Affine::from(var) } else { Affine::default() };
        let with = HashMap::from([(var, &e.example + &own)]);
        let scratch = &e.scratch;
        let inside = |at: Vec<Coord>| {
            let first = several.then(|| Coord::Affine(own.clone()));
            first.into_iter().chain(rest(at)).collect::<Vec<_>>()
        };
        let mut kernel = rewrite(kernel, &with, &mut |b, at| match scratch.get(&b) {
            Some(b) => std::sync::Arc::new(Node::Load(*b, inside(at))),
            None => std::sync::Arc::new(Node::Load(b, at)),
        });
        for s in &mut kernel.stores {
            if let Some(b) = scratch.get(&s.buffer) {
                s.buffer = *b;
                s.at = inside(std::mem::take(&mut s.at));
            }
        }
        match along {
            Along::Each(_) => {
                kernel.axes[0].1 = e.block;
                kernel.axes.drain(..usize::from(!several));
                self.each(e, &kernel, vec![], &self.items[m].label.clone());
            }
            Along::Sum(_) => self.sum(e, kernel, var, m),
        }
    }

    /// A kernel for one example.
    pub(super) fn each(&mut self, e: &mut Examples, kernel: &Kernel, first: Vec<Var>, label: &str) {
        for part in separate(kernel) {
            let found = match &part.stores[..] {
                [store] => recognize(&part.axes, store),
                _ => None,
            };
            match found {
                Some(c) => self.example_contraction(e, c, first.clone(), label),
                None => {
                    let flop = loose_flop(&part) * (self.program.batch / e.block) as u64;
                    match filters::recognize(&part) {
                        Some(c) => {
                            e.begin(Part::new(label, "filter", flop));
                            e.body.extend(self.builder().filter_rows(&c, &first, None).0);
                        }
                        None => {
                            e.begin(Part::new(label, "loops", flop));
                            e.body.extend(plain(&part));
                        }
                    }
                }
            }
        }
    }

    fn example_contraction(&mut self, e: &mut Examples, c: Contraction, first: Vec<Var>, label: &str) {
        for part in self.below_diagonal(&e.scratch, c) {
            self.contraction_part(e, part, first.clone(), label);
        }
    }

    fn contraction_part(&mut self, e: &mut Examples, c: Contraction, first: Vec<Var>, label: &str) {
        let flop = c.flop() * (self.program.batch / e.block) as u64;
        let varies = [e.task, e.i].iter().chain(&e.repeated).any(|v| c.b.depends(*v));
        let made = matches!(self.program.buffers[c.b.buffer.index()].home, Home::Scratch);
        let before = !varies && !made;
        let tiles = self.tiles;
        let task = self.scope.var();
        let runs = self.program.batch / e.block;
        let may = Allowed { numerics: self.numerics, picture: before, parts: false, filter: e.exact };
        let mut b = self.builder();
        let found = if e.repeated.is_none() { b.winograd(&c, runs, may) } else { Err(None) };
        let other = found.as_ref().err().copied().flatten();
        if let Ok(w) = found {
            let number = e.begin(w.part(tiles, label, flop));
            if w.is_summed() {
                let summed = b.winograd_filter(w, &first);
                e.body.extend(summed.body);
                e.tail.push(Stmt::Mark(number));
                e.tail.extend(summed.tail);
            } else {
                let (body, weights, tasks) = b.winograd_picture(w, task);
                e.body.extend(body);
                self.push(task, tasks, weights, Part::new(format!("{label} weights"), "winograd filters", 0));
            }
            return;
        }
        let summed = !first.is_empty();
        let mut plan = b.plan(c, first, before, false);
        if e.repeated.is_some() && before && plan.packing == Packing::Direct && plan.c.column.1 > CLOSE_COLUMNS {
            // Read again in every iteration, be it for one row.
            plan.packing = Packing::Before;
        }
        let mut pack = None;
        if plan.packing == Packing::Before {
            pack = Some(b.pack_before(&mut plan, task));
        }
        let together = summed && b.fits_together(&plan);
        e.begin(Part { flop, ..plan.part(tiles, label, other) });
        e.body.extend(if together { b.together(&mut plan) } else { b.columns(&mut plan, &RowRange::All) });
        if let Some((body, tasks)) = pack {
            self.push(task, tasks, body, Part::new(format!("{label} weights"), "pack", 0));
        }
    }

    /// A sum over the examples: each task has its own, added up afterwards in a fixed order.
    fn sum(&mut self, e: &mut Examples, mut kernel: Kernel, var: Var, m: usize) {
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
            e.after.push(Step { task, tasks, body, label: part.label.clone(), parts: vec![part] });
        }
        true
    }

    /// Adds up the tasks' sums: inside the one kernel that reads them if it is element-wise, else in a step.
    fn finish_sum(&mut self, target: Buffer, partial: Buffer, tasks: usize) {
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
