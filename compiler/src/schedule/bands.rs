//! Large pictures in bands of rows: a product over single points, filters of its channels and the product after them are one
//! step, and what they hand on never leaves the second-level cache. Rows that two bands need are made twice.

use super::contraction::{loose_flop, recognize};
use super::filters;
use super::group::{loads, put, uses};
use super::steps::{Steps, rewrite, root_of};
use super::strips::Then;
use super::tile_nest::{Packing, RowRange, only_where};
use super::winograd::Allowed;
use crate::base::{Buffer, Var};
use crate::loops::nest::{Step, Stmt};
use crate::loops::{Affine, BufferType, Coord, Expr, Home, Kernel, Node, expr};
use dlc_runtime::abi::Part;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Floats of a table that no second-level cache holds.
const FAR: usize = 256 * 1024;
/// Floats of a band that it does.
const NEAR: usize = 256 * 1024;
/// Bands of a picture at least: every thread finds some.
const LEAST_BANDS: usize = 4;

/// An item and the one that follows it point by point.
#[derive(Clone, Debug)]
pub struct Unit {
    pub item: usize,
    pub next: usize,
    pub then: Then,
}

/// Some rows of what a unit makes: from a row on, so many.
#[derive(Clone, Debug)]
struct Rows {
    first: Affine,
    count: usize,
}

/// Bands of the same form: rows of each unit, and the condition under which a task makes one.
struct Form {
    rows: Vec<Rows>,
    tasks: Tasks,
}

/// A step's tasks from one on, so many.
#[derive(Clone, Copy)]
struct Tasks {
    var: Var,
    from: usize,
    count: usize,
}

impl Tasks {
    /// The least and the greatest value for all these tasks.
    fn range(self, at: &Affine, extents: &HashMap<Var, usize>) -> (i64, i64) {
        let later = &Affine::from(self.var) + self.from as i64;
        let at = at.substitute(&|v| if v == self.var { later.clone() } else { Affine::from(v) });
        let many = 1 << 30;
        at.range(&|v| if v == self.var { self.count } else { extents.get(&v).copied().unwrap_or(many) })
    }
}

/// A unit with what it makes in a band.
struct Made {
    /// What earlier units leave, and where it lies in scratch.
    scratch: Option<[Buffer; 2]>,
    packed: Option<(usize, Buffer)>,
}

impl Steps {
    /// Chains of units around filters of large pictures, each as steps: by the place of its last item, with all its items.
    pub(super) fn bands(&mut self, units: &[Unit], order: &[usize]) -> Vec<(HashSet<usize>, Vec<Step>)> {
        let mut found: Vec<(HashSet<usize>, Vec<Step>)> = vec![];
        for middle in units {
            let chain = self.chain(units, middle);
            let items: HashSet<usize> = chain.iter().flat_map(|u| [u.item, u.next]).collect();
            let taken = found.iter().any(|(other, _)| !other.is_disjoint(&items));
            if chain.len() > 1
                && !taken
                && self.may_wait(&items, order)
                && let Some(steps) = self.band_steps(&chain)
            {
                found.push((items, steps));
            }
        }
        found
    }

    /// Filters with the products before and after them, if what lies between is large.
    fn chain(&mut self, units: &[Unit], middle: &Unit) -> Vec<Unit> {
        let is_filter = |s: &Steps, u: &Unit| filters::recognize(&s.items[u.item].kernel).is_some();
        if !is_filter(self, middle) {
            return vec![];
        }
        let hands = |s: &Steps, from: &Unit, to: &Unit| s.handed(from).is_some_and(|(_, reader)| reader == to.item);
        let before = units.iter().find(|u| hands(self, u, middle)).filter(|u| !is_filter(self, u)).cloned();
        let Some(before) = before else { return vec![] };
        let size = |b: Buffer| self.program.buffers[b.index()].shape.iter().product::<usize>();
        if self.handed(&before).is_none_or(|(b, _)| size(b) <= FAR) {
            return vec![];
        }
        let after = units.iter().find(|u| hands(self, middle, u)).filter(|u| !is_filter(self, u)).cloned();
        let mut chain = vec![before, middle.clone()];
        chain.extend(after.filter(|u| self.is_direct(u)));
        if self.is_direct(&chain[0]) { chain } else { vec![] }
    }

    /// Is it a contraction that Winograd's algorithm does not do better?
    fn is_direct(&mut self, u: &Unit) -> bool {
        let kernel = self.items[u.item].kernel.clone();
        let Some(c) = recognize(&kernel.axes, &kernel.stores[0]) else { return false };
        let may = Allowed { numerics: self.numerics, picture: true, parts: true, filter: false };
        self.builder().winograd(&c, 1, may).is_err()
    }

    /// What a unit makes, if one item alone reads it, and that item.
    fn handed(&self, u: &Unit) -> Option<(Buffer, usize)> {
        let buffers = &self.program.buffers;
        let [store] = &self.items[u.next].kernel.stores[..] else { return None };
        let target = store.buffer;
        let [reader] = self.readers.get(&target)?[..] else { return None };
        let kept = self.program.outputs.iter().any(|(_, b)| root_of(buffers, *b) == target);
        let own = root_of(buffers, target) == target && buffers[target.index()].home == Home::Arena && !kept;
        let mut direct = true;
        let kernel = &self.items[reader].kernel;
        for s in &kernel.stores {
            loads(&s.value, &mut HashSet::new(), &mut |b, _| direct &= b == target || root_of(buffers, b) != target);
        }
        (own && direct && self.writers.get(&target)?[..] == [u.next]).then_some((target, reader))
    }

    /// May all these items be done where the last of them is?
    fn may_wait(&self, items: &HashSet<usize>, order: &[usize]) -> bool {
        let root = |b: Buffer| root_of(&self.program.buffers, b);
        let mut reads = HashSet::new();
        let mut left = items.len();
        order.iter().all(|m| {
            let own = items.contains(m);
            left -= usize::from(own);
            let (read, writes) = uses(&self.items[*m].kernel, &root);
            let fine = left == 0 && !own
                || writes.is_disjoint(&reads) && (own || self.items[*m].after.iter().all(|i| !items.contains(i)));
            if own {
                // What the chain hands on is written before it is read.
                reads.extend(
                    read.into_iter()
                        .filter(|b| self.writers.get(b).is_none_or(|w| w.iter().all(|i| !items.contains(i)))),
                );
            }
            fine
        })
    }

    fn band_steps(&mut self, chain: &[Unit]) -> Option<Vec<Step>> {
        let picture = |s: &Steps, u: &Unit| match s.items[u.item].kernel.axes[..] {
            [(_, 1), (_, h), _, _] => Some(h),
            _ => None,
        };
        let heights: Vec<usize> = chain.iter().map(|u| picture(self, u)).collect::<Option<_>>()?;
        let height = *heights.last()?;
        let task = self.scope.var();
        let row = |u: &Unit| {
            let shape = &self.program.buffers[self.items[u.next].kernel.stores[0].buffer.index()].shape;
            shape[2..].iter().product::<usize>()
        };
        let rows: Vec<usize> = chain.iter().map(row).collect();
        let forms = (LEAST_BANDS..=height / 2).filter(|n| height.is_multiple_of(*n)).find_map(|bands| {
            let forms = self.forms(chain, &heights, task, bands)?;
            let floats =
                |form: &Form| form.rows.iter().zip(&rows[..rows.len() - 1]).map(|(r, n)| r.count * n).sum::<usize>();
            forms.iter().all(|form| floats(form) <= NEAR).then_some(forms)
        })?;
        let mut made: Vec<Made> = vec![];
        for (k, u) in chain.iter().enumerate() {
            let most = forms.iter().map(|form| form.rows[k].count).max()?;
            let BufferType { shape, name, .. } =
                self.program.buffers[self.items[u.next].kernel.stores[0].buffer.index()].clone();
            let mut b = self.builder();
            let scratch = (k + 1 < chain.len()).then(|| {
                let whole = b.buffer(&[most, shape[2], shape[3]], Home::Scratch, &name);
                let flat = b.buffer(&[most * shape[2], shape[3]], Home::Scratch, &name);
                b.buffers[flat.index()].alias = Some(whole);
                [whole, flat]
            });
            made.push(Made { scratch, packed: None });
        }
        let (mut steps, mut body, mut parts) = (vec![], vec![], vec![]);
        for form in &forms {
            let mut stmts = vec![];
            parts.clear();
            for k in 0..chain.len() {
                stmts.push(Stmt::Mark(parts.len()));
                stmts.extend(self.band_unit(chain, k, form, &mut made, &mut steps, &mut parts)?);
            }
            let (once, again) = (self.scope.var(), self.scope.var());
            let Tasks { var, from, count } = form.tasks;
            let after = &Affine::constant(from as i64) - &Affine::from(var);
            let inner = only_where(again, after, 1, stmts);
            body.push(only_where(once, var.into(), from + count, vec![inner]));
        }
        let tasks = forms.iter().map(|form| form.tasks.count).sum();
        let label = format!("{} .. {}", self.items[chain[0].item].label, self.items[chain.last()?.next].label);
        steps.push(Step { task, tasks, lockstep: false, body, label, parts });
        Some(steps)
    }

    /// The first band, those inside, and the last.
    fn forms(&self, chain: &[Unit], heights: &[usize], task: Var, bands: usize) -> Option<Vec<Form>> {
        let each = chain.len().checked_sub(1).map(|last| heights[last] / bands)?;
        let inside = &Affine::from(task) * each as i64;
        let last = Affine::constant((heights[chain.len() - 1] - each) as i64);
        let forms = [(Affine::default(), 0, 1), (inside, 1, bands - 2), (last, bands - 1, 1)];
        let form = |(first, from, count): (Affine, usize, usize)| {
            let tasks = Tasks { var: task, from, count };
            let mut rows = vec![Rows { first, count: each }];
            for k in (1..chain.len()).rev() {
                let needed = self.needed(&chain[k], &rows[0], self.handed(&chain[k - 1])?.0, heights[k - 1], tasks)?;
                rows.insert(0, needed);
            }
            Some(Form { rows, tasks })
        };
        forms.into_iter().map(form).collect()
    }

    /// The rows of `source`, which has `height`, that some rows of a unit need.
    fn needed(&self, u: &Unit, rows: &Rows, source: Buffer, height: usize, tasks: Tasks) -> Option<Rows> {
        let kernel = &self.items[u.item].kernel;
        let h = kernel.axes[1].0;
        let mut extents: HashMap<Var, usize> = kernel.axes.iter().copied().collect();
        kernel.stores.iter().for_each(|s| sums(&s.value, &mut extents));
        extents.insert(h, rows.count);
        let extent = |v: Var| extents.get(&v).copied().unwrap_or(1);
        let at_band = HashMap::from([(h, &rows.first + &Affine::from(h))]);
        let mut found: Option<(Affine, i64, i64)> = None;
        let mut fits = true;
        for s in &kernel.stores {
            loads(&s.value, &mut HashSet::new(), &mut |b, at| {
                if b != source {
                    return;
                }
                let Some(Coord::Affine(at)) = at.get(1) else { return fits = false };
                let (own, outer) = put(at, &at_band).terms.into_iter().partition(|(v, _)| *v != tasks.var);
                let own = Affine { terms: own, constant: put(at, &at_band).constant };
                let outer = Affine { terms: outer, constant: 0 };
                let (low, high) = own.range(&extent);
                match &mut found {
                    None => found = Some((outer, low, high)),
                    Some((o, l, h)) if *o == outer => (*l, *h) = (low.min(*l), high.max(*h)),
                    Some(_) => fits = false,
                }
            });
        }
        let (outer, low, high) = found.filter(|_| fits)?;
        let last = height as i64 - 1;
        let (low, high) = if outer.is_constant() { (low.max(0), high.min(last)) } else { (low, high) };
        let (least, most) = tasks.range(&outer, &extents);
        (least + low >= 0 && most + high <= last && low <= high)
            .then(|| Rows { first: &outer + low, count: (high - low + 1) as usize })
    }

    /// A unit of a band: reads scratch, and leaves its rows in scratch if another follows.
    fn band_unit(
        &mut self,
        chain: &[Unit],
        k: usize,
        form: &Form,
        made: &mut [Made],
        steps: &mut Vec<Step>,
        parts: &mut Vec<Part>,
    ) -> Option<Vec<Stmt>> {
        let u = &chain[k];
        let Rows { first, count } = &form.rows[k];
        let source = k
            .checked_sub(1)
            .and_then(|k| Some((self.handed(&chain[k])?.0, made[k].scratch?[0], form.rows[k].first.clone())));
        let whole = self.items[u.item].kernel.clone();
        let label = self.items[u.item].label.clone();
        let kernel = in_band(&whole, (first, *count), source.as_ref(), form.tasks);
        let target = &self.program.buffers[whole.stores[0].buffer.index()].shape;
        let lead = first * target[2] as i64;
        let then = u.then.in_band(made[k].scratch.map(|[_, flat]| (flat, lead)), parts.len());
        let tiles = self.tiles;
        if let Some(mut c) = filters::recognize(&kernel) {
            let mut b = self.builder();
            if !b.follow_filters(&mut c, then) {
                return None;
            }
            parts.push(Part::new(label, "filter", loose_flop(&whole)));
            parts.extend(c.then.as_ref().map(|then| then.part()));
            return Some(b.filter_rows(&c, &[], None).0);
        }
        let flop = recognize(&whole.axes, &whole.stores[0])?.flop();
        let c = recognize(&kernel.axes, &kernel.stores[0])?;
        let pack = self.scope.var();
        let mut b = self.builder();
        let mut plan = b.plan(c, vec![], true, true);
        if plan.packing == Packing::Inside || !b.follow(&mut plan, then) {
            return None;
        }
        if plan.packing == Packing::Before {
            let width = plan.choice.width(tiles);
            match made[k].packed {
                Some((same, packed)) if same == width => plan.packed = Some(packed),
                Some(_) | None => {
                    let (body, tasks) = b.pack_before(&mut plan, pack);
                    made[k].packed = plan.packed.map(|packed| (width, packed));
                    let label = format!("{label} weights");
                    let part = Part::new(&label, "pack", 0);
                    steps.push(Step { task: pack, tasks, lockstep: false, body, label, parts: vec![part] });
                }
            }
        }
        parts.push(Part { flop, ..plan.part(tiles, label, None) });
        parts.extend(plan.after.as_ref().and_then(|after| after.part()));
        Some(b.columns(&mut plan, &RowRange::All))
    }
}

/// The extents of what is summed over.
fn sums(e: &Expr, found: &mut HashMap<Var, usize>) {
    if let Node::Reduce { vars, .. } = &**e {
        found.extend(vars.iter().copied());
    }
    expr::children(e).into_iter().for_each(|x| sums(x, found));
}

/// A kernel for some rows of one picture, without the axis of examples. What it reads of the source lies in scratch, from a row on.
fn in_band(
    kernel: &Kernel,
    (first, count): (&Affine, usize),
    source: Option<&(Buffer, Buffer, Affine)>,
    tasks: Tasks,
) -> Kernel {
    let [(n, _), (h, _), ..] = kernel.axes[..] else { unreachable!("pictures have four axes") };
    let with = HashMap::from([(n, Affine::default()), (h, first + &Affine::from(h))]);
    let mut kernel = rewrite(kernel, &with, &mut |b, at| {
        let Some((_, scratch, lead)) = source.filter(|(from, ..)| *from == b) else {
            return Arc::new(Node::Load(b, at));
        };
        let mut at = at[1..].to_vec();
        if let Coord::Affine(row) = &mut at[0] {
            *row = &*row - lead;
        }
        Arc::new(Node::Load(*scratch, at))
    });
    kernel.axes[1].1 = count;
    kernel.axes.remove(0);
    let mut extents: HashMap<Var, usize> = kernel.axes.iter().copied().collect();
    kernel.stores.iter().for_each(|s| sums(&s.value, &mut extents));
    let sure = |(at, bound): &(Affine, usize)| {
        let (low, high) = tasks.range(at, &extents);
        low >= 0 && high < *bound as i64
    };
    kernel.stores.iter_mut().for_each(|s| s.value = without(&s.value, &sure));
    kernel
}

/// Sums and products without guards that always hold.
fn without(e: &Expr, sure: &dyn Fn(&(Affine, usize)) -> bool) -> Expr {
    match &**e {
        Node::Reduce { fold, vars, body } => expr::reduce(*fold, vars.clone(), without(body, sure)),
        Node::Binary(op, a, b) => expr::binary(*op, without(a, sure), without(b, sure)),
        Node::Guard { inside, body, otherwise } => {
            let inside: Vec<_> = inside.iter().filter(|g| !sure(g)).cloned().collect();
            let body = without(body, sure);
            if inside.is_empty() { body } else { Arc::new(Node::Guard { inside, body, otherwise: *otherwise }) }
        }
        _ => e.clone(),
    }
}
