//! From a nest to the list of what its function computes.

use super::rows::{Put, Stand};
use super::values::{Id, Op, Values};
use super::{LEAST, is_plain};
use crate::base::{Buffer, Var};
use crate::codegen::free::Free;
use crate::codegen::math::Machine;
use crate::loops::nest::{For, Kind, Program, Stmt};
use crate::loops::{Affine, Coord, Expr, Fold, Home, How, Node, Store, expr};
use std::collections::{HashMap, HashSet};

/// A sum of at most this many terms is written out.
pub(super) const UNROLL: usize = 16;
/// Fewer iterations in all do not pay for a call.
const LEAST_WORK: usize = 16;

/// A place in memory.
pub struct Pointer {
    pub buffer: Buffer,
    /// The memory that the buffer is.
    pub(super) root: Buffer,
    pub at: Vec<Coord>,
    pub(super) position: Affine,
}

/// A loop around what is done for a row, and how far it moves each pointer.
pub struct Loop {
    pub extent: usize,
    pub steps: Vec<i64>,
    /// The place of the one loop that it is, where its rounds are counted.
    pub counted: Option<u16>,
}

/// Neighbouring columns, each folded over all rows.
pub struct Column {
    pub to: u16,
    pub fold: Fold,
    pub of: Id,
    /// Is it added to what is there?
    pub adds: bool,
}

/// A loop over vectors: folded, or stored.
pub struct Phase {
    pub extent: usize,
    pub folds: Option<(Fold, Id)>,
}

/// Elements of a nest for which it pays to ask for what comes in two pages.
const LONG: usize = 4096;
const PAGES_AHEAD: i32 = 2048;
/// Elements of a table that no cache of a core holds from one step to the next.
const FAR_TABLE: usize = 1 << 19;

/// Pointers move by less at once, and in all rounds of a loop.
const NEAR: i64 = 1 << 28;
/// Columns of so many tables are folded at once.
const MOST_COLUMNS: usize = 4;

/// Everything about one function.
pub struct Plan {
    pub values: Values,
    pub pointers: Vec<Pointer>,
    pub scalars: Vec<Expr>,
    /// In their order; those that fold come before the one that stores.
    pub phases: Vec<Phase>,
    /// Pointers and values; by vectors in the last phase, or one number for each row.
    pub stores: Vec<(u16, Id)>,
    pub by_vectors: bool,
    /// In place of stores: what is folded over rows. The one phase counts columns.
    pub columns: Vec<Column>,
    /// In place of phases and stores: what is stored in a row, which is straight code.
    pub straight: Vec<Put>,
    /// From the outside; the last counts rows.
    pub loops: Vec<Loop>,
    pub vars: Vec<(Var, usize)>,
    /// Floats from what a pointer shows to what is fetched from memory meanwhile.
    pub ahead: Vec<(u16, i32)>,
}

/// Rounds of a loop before it is copied that something is fetched.
const ROUNDS_AHEAD: i64 = 24;
/// Floats between what neighbouring rounds copy, from where on the processor does not see by itself what comes next.
const FAR: i64 = 256;

impl Plan {
    /// How far a plan that does nothing but copy looks ahead, if the next iteration of the loop `around` reads far away.
    fn ahead(&self, around: Var) -> Option<(u16, i32)> {
        let [(_, id)] = self.stores[..] else { return None };
        let (Op::Load(from), true) = (self.values.ops[id as usize].0, self.by_vectors) else { return None };
        let step = self.pointers[from as usize].position.coefficient(around);
        let far = (FAR..1 << 20).contains(&step.abs());
        far.then_some((from, (ROUNDS_AHEAD * step) as i32))
    }

    /// Do two pointers show the same memory?
    pub fn overlap(&self, a: u16, b: u16) -> bool {
        self.pointers[a as usize].root == self.pointers[b as usize].root
    }
}

/// What all plans of a program share.
pub struct Context<'a> {
    pub program: &'a Program,
    /// Of the vectors: 8 or 16.
    pub(super) lanes: usize,
    pub free: Free<'a>,
    /// What was rewritten stays alive: `free` goes by address.
    pub(super) kept: Vec<Expr>,
}

impl<'a> Context<'a> {
    /// `roots`: the buffer whose memory each buffer is.
    pub fn new(program: &'a Program, roots: &'a [Buffer], lanes: usize) -> Context<'a> {
        Context { program, lanes, free: Free::new(roots), kept: vec![] }
    }
}

/// The plan of a nest, if it can be a function.
pub fn plan(context: &mut Context<'_>, f: &For, extents: &HashMap<Var, usize>, around: Var) -> Option<Plan> {
    let mut inner = f;
    let mut loops = vec![];
    let stores = loop {
        if !is_plain(inner) {
            return None;
        }
        loops.push((inner.var, inner.extent));
        match &inner.body[..] {
            [Stmt::For(g)] => inner = g,
            [Stmt::Group(stores)] => break stores,
            _ => return None,
        }
    };
    let (last, outer) = loops.split_last()?;
    if inner.kind == Kind::Vector
        && let Some(mut plan) = Planner::run(context, extents, outer, Some(*last), stores)
    {
        // Around the outermost loop there are tasks: the next one may be another thread's.
        let around = match outer {
            [.., (around, _), _] => Some(*around),
            _ => Some(around).filter(|_| extents.len() > 1),
        };
        if let Some(ahead) = around.and_then(|around| plan.ahead(around)) {
            plan.ahead = vec![ahead];
        }
        return Some(plan);
    }
    if !stores.iter().any(|s| folds(&s.value)) {
        return None;
    }
    let by_rows = Planner::run(context, extents, &loops, None, stores);
    if by_rows.is_some() || inner.kind != Kind::Vector || !outer.is_empty() {
        return by_rows;
    }
    Planner::columns(context, extents, *last, stores)
}

/// Is there a long fold in an expression?
pub(super) fn folds(e: &Expr) -> bool {
    let long = |vars: &[(Var, usize)]| vars.iter().map(|(_, n)| n).product::<usize>() > UNROLL;
    matches!(&**e, Node::Reduce { vars, .. } if long(vars)) || expr::children(e).into_iter().any(folds)
}

pub(super) struct Planner<'a, 'p> {
    pub(super) context: &'a mut Context<'p>,
    pub(super) extents: HashMap<Var, usize>,
    /// The loops that move pointers, from the outside; the last one counts rows.
    pub(super) moving: Vec<(Var, usize)>,
    /// Are rows folded, column by column?
    pub(super) of_columns: bool,
    /// The variable of the loop over vectors that is being filled, if any is.
    pub(super) inner: Option<Var>,
    pub(super) written: HashSet<Buffer>,
    pub(super) known: HashMap<(*const Node, u16), Id>,
    pub(super) plan: Plan,
    /// In straight code.
    pub(super) stand: Option<Stand>,
}

impl<'a, 'p> Planner<'a, 'p> {
    pub(super) fn new(
        context: &'a mut Context<'p>,
        extents: &HashMap<Var, usize>,
        moving: &[(Var, usize)],
        inner: Option<(Var, usize)>,
        stores: &[Store],
    ) -> Option<Planner<'a, 'p>> {
        let all: Vec<(Var, usize)> = moving.iter().copied().chain(inner).collect();
        let work: usize = all.iter().map(|(_, n)| n).product();
        if work == 0 || inner.is_some_and(|(_, n)| n < LEAST || work < LEAST_WORK) {
            return None;
        }
        let mut extents = extents.clone();
        extents.extend(all.iter().copied());
        let plan = Plan {
            values: Values::new(context.lanes == 16),
            pointers: vec![],
            scalars: vec![],
            phases: vec![],
            stores: vec![],
            by_vectors: inner.is_some(),
            columns: vec![],
            straight: vec![],
            loops: vec![],
            vars: all,
            ahead: vec![],
        };
        let written = stores.iter().map(|s| context.free.root(s.buffer)).collect();
        let mut p = Planner {
            context,
            extents,
            moving: moving.to_vec(),
            of_columns: false,
            inner: inner.map(|(v, _)| v),
            written,
            known: HashMap::new(),
            plan,
            stand: None,
        };
        // The phase of the stores has the number of all that fold, which are found on the way.
        p.plan.values.phase = u16::MAX;
        Some(p)
    }

    fn run(
        context: &'a mut Context<'p>,
        extents: &HashMap<Var, usize>,
        moving: &[(Var, usize)],
        inner: Option<(Var, usize)>,
        stores: &[Store],
    ) -> Option<Plan> {
        let mut p = Planner::new(context, extents, moving, inner, stores)?;
        for s in stores {
            p.store(s)?;
        }
        if let Some((_, extent)) = inner {
            p.plan.phases.push(Phase { extent, folds: None });
        }
        p.finish()
    }

    /// Sums over rows, for vectors of neighbouring columns.
    fn columns(
        context: &'a mut Context<'p>,
        extents: &HashMap<Var, usize>,
        column: (Var, usize),
        stores: &[Store],
    ) -> Option<Plan> {
        let first = stores.first()?;
        let Node::Reduce { vars, .. } = &*first.value else { return None };
        let rows: Vec<(Var, usize)> = vars.iter().copied().filter(|(_, n)| *n > 1).collect();
        if stores.len() > MOST_COLUMNS || rows.is_empty() {
            return None;
        }
        let mut p = Planner::new(context, extents, &rows, Some(column), stores)?;
        p.of_columns = true;
        p.plan.vars.extend(vars.iter().filter(|(_, n)| *n == 1));
        p.extents.extend(vars.iter().copied());
        for s in stores {
            let Node::Reduce { fold: fold @ (Fold::Add | Fold::Max), vars: own, body } = &*s.value else { return None };
            if own != vars || reads(body, &p.context.free, &p.written) {
                return None;
            }
            let of = p.value(body)?;
            let (to, step) = p.pointer(s.buffer, &s.at)?;
            if step != 1 {
                return None;
            }
            p.plan.columns.push(Column { to, fold: *fold, of, adds: s.how == How::Add });
        }
        p.plan.phases.push(Phase { extent: column.1, folds: None });
        p.finish()
    }

    /// Asks for what a long nest reads from memory in order: the processor sees by itself what comes next, but not beyond
    /// the page.
    fn streams(&mut self) {
        let plan = &self.plan;
        let (Some(rows), Some(phase), true) = (plan.loops.last(), plan.phases.last(), plan.by_vectors) else { return };
        let work = plan.loops.iter().map(|l| l.extent).product::<usize>() * phase.extent;
        if work < LONG {
            return;
        }
        let in_order = |pointer: &u16| {
            let of = plan.pointers[*pointer as usize].root;
            let step = rows.steps[*pointer as usize];
            let close = step != 0 && step.unsigned_abs() as usize <= 2 * phase.extent;
            let table = &self.context.program.buffers[of.index()];
            close && table.home == Home::Arena && table.shape.iter().product::<usize>() >= FAR_TABLE
        };
        let loads = plan.values.ops.iter().filter_map(|(op, _)| if let Op::Load(p) = op { Some(*p) } else { None });
        self.plan.ahead = loads.filter(in_order).map(|pointer| (pointer, PAGES_AHEAD)).collect();
    }

    /// Puts the loops together; those that walk on evenly are one.
    pub(super) fn finish(mut self) -> Option<Plan> {
        let counted = |k: u16| self.plan.values.ops.iter().any(|(op, _)| *op == Op::Round(k)).then_some(k);
        let mut loops: Vec<Loop> = vec![];
        for (k, (var, extent)) in self.moving.iter().enumerate().rev() {
            let counted = counted(k as u16);
            if *extent == 1 && counted.is_none() {
                continue;
            }
            let steps: Vec<i64> = self.plan.pointers.iter().map(|p| p.position.coefficient(*var)).collect();
            if steps.iter().any(|step| step.saturating_mul(*extent as i64).abs() >= NEAR) {
                return None;
            }
            let goes_on =
                |next: &Loop| steps.iter().zip(&next.steps).all(|(step, inner)| *step == inner * next.extent as i64);
            match loops.first_mut() {
                Some(next) if counted.or(next.counted).is_none() && goes_on(next) => next.extent *= extent,
                _ => loops.insert(0, Loop { extent: *extent, steps, counted }),
            }
        }
        self.plan.loops = loops;
        self.streams();
        Some(self.plan)
    }

    fn store(&mut self, s: &Store) -> Option<()> {
        let mut value = self.value(&s.value)?;
        let (pointer, step) = self.pointer(s.buffer, &s.at)?;
        if step != i64::from(self.plan.by_vectors) {
            return None;
        }
        if s.how == How::Add {
            let op = if self.plan.by_vectors { Op::Load(pointer) } else { Op::Shown(pointer) };
            let old = self.plan.values.get(op);
            value = self.plan.values.add(old, value);
        }
        self.plan.stores.push((pointer, value));
        Some(())
    }

    /// A pointer to a place, and how far it moves with the loop over vectors.
    pub(super) fn pointer(&mut self, buffer: Buffer, at: &[Coord]) -> Option<(u16, i64)> {
        for c in at {
            if let Coord::Index { from, .. } = c {
                let reads_written = reads(from, &self.context.free, &self.written);
                if reads_written || !self.is_fixed(from) {
                    return None;
                }
            }
        }
        let strides = strides(self.context.program, buffer);
        let mut position = Affine::default();
        for (c, s) in at.iter().zip(strides) {
            if let Coord::Affine(a) = c {
                position = &position + &(a * s);
            }
        }
        let step = self.inner.map_or(0, |v| position.coefficient(v));
        let same = |p: &Pointer| p.buffer == buffer && p.position == position && indices(&p.at).eq(indices(at));
        let found = self.plan.pointers.iter().position(same);
        let root = self.context.free.root(buffer);
        let i = found.unwrap_or_else(|| {
            self.plan.pointers.push(Pointer { buffer, root, at: at.to_vec(), position });
            self.plan.pointers.len() - 1
        });
        if self.of_columns {
            let moves = self.moving.iter().any(|(v, _)| self.plan.pointers[i].position.coefficient(*v) != 0);
            self.plan.values.moves.insert(i as u16, moves);
        }
        Some((i as u16, step))
    }

    /// Does nothing in `e` change with the rows or the vectors?
    pub(super) fn is_fixed(&mut self, e: &Expr) -> bool {
        let moving: Vec<Var> = self.inner.into_iter().chain(self.plan.vars.iter().map(|v| v.0)).collect();
        moving.into_iter().all(|v| !self.context.free.depends(e, v))
    }
}

fn indices(at: &[Coord]) -> impl Iterator<Item = &Coord> {
    at.iter().filter(|c| matches!(c, Coord::Index { .. }))
}

pub(super) fn strides(program: &Program, buffer: Buffer) -> Vec<i64> {
    let shape = &program.buffers[buffer.index()].shape;
    let mut strides = vec![1i64; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1] as i64;
    }
    strides
}

/// Does `e` load from a buffer that is written?
pub(super) fn reads(e: &Expr, free: &Free<'_>, written: &HashSet<Buffer>) -> bool {
    let own = matches!(&**e, Node::Load(b, _) if written.contains(&free.root(*b)));
    own || expr::children(e).into_iter().any(|x| reads(x, free, written))
}
