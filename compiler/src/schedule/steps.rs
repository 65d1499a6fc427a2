//! Groups to steps: tasks, nests, scratch, and partial sums.

use super::Target;
use super::contraction::{Contraction, loose_flop, recognize};
use super::epilogue;
use super::filters::{self, Channels};
use super::group::{Group, Grouping, put};
use super::interior;
use super::kernels::{Item, Lowered};
use super::near;
use super::scratch;
use super::strips::Then;
use super::tile_nest::{Builder, Packing, Plan, RowRange, for_each, only_where};
use super::triangle::{self, Known};
use crate::base::{Buffer, Numerics, Var};
use crate::loops::nest::{For, Kind, Program, Step, Stmt};
use crate::loops::{Affine, BufferType, Coord, Expr, Home, How, Kernel, Node, Scope, Store, expr};
use dlc_runtime::abi::Part;
use dlc_runtime::micro::Tiles;
use std::collections::{HashMap, HashSet};

/// Tasks of a group of examples; fewer where partial sums have to be kept for each.
pub(super) const TASKS: usize = 32;
/// Tasks of a kernel of little work: starting more would take longer than it saves.
const FEW_TASKS: usize = 8;
/// Tasks that panels are shared out to at least, before several go to one task.
const PANEL_TASKS: usize = 8;
/// Tasks of filters of single channels.
const FILTER_TASKS: usize = 16;
/// Columns that a task takes at least, where there is nothing but columns: the most that divide them.
const COLUMNS: [usize; 4] = [64, 32, 16, 8];
/// A kernel with fewer points is one task.
pub(super) const SMALL: usize = 4096;

pub(super) struct Steps {
    pub(super) program: Program,
    pub(super) items: Vec<Item>,
    pub(super) scope: Scope,
    pub(super) tiles: &'static Tiles,
    pub(super) numerics: Numerics,
    /// Memory whose contents are the same at every run: weights and what is made of them, where nothing trains them.
    pub(super) lasting: HashSet<Buffer>,
    /// Items that read and that write each memory.
    pub(super) readers: HashMap<Buffer, Vec<usize>>,
    pub(super) writers: HashMap<Buffer, Vec<usize>>,
    /// Tables that are 0 beyond a diagonal.
    pub(super) zeros: Known,
}

pub fn run(lowered: Lowered, target: &Target) -> Program {
    let Lowered { mut program, items, scope } = lowered;
    if target.fuse && program.batch == 1 {
        scratch::apart_in_arena(&mut program);
    }
    let roots = program.buffers.clone();
    let root = |b: Buffer| root_of(&roots, b);
    let kept = |b: Buffer| roots[b.index()].home == Home::State;
    let counts: Vec<usize> = roots.iter().map(|b| b.shape.iter().product()).collect();
    let grouping = Grouping::new(&items, program.batch, &root, &counts, &kept);
    let groups = grouping.run(target.fuse);
    let mut lasting: HashSet<Buffer> = grouping.made_of_weights().collect();
    lasting.extend((0..roots.len() as u32).map(Buffer).filter(|b| kept(*b)));
    let (mut readers, mut writers) = (HashMap::new(), HashMap::new());
    for i in 0..items.len() {
        let (reads, writes) = grouping.uses(i);
        reads.iter().for_each(|b| readers.entry(*b).or_insert(vec![]).push(i));
        writes.iter().for_each(|b| writers.entry(*b).or_insert(vec![]).push(i));
    }
    let followers = grouping.into_followers();
    if writers.keys().any(|b| kept(*b)) {
        lasting.clear();
    }
    let (tiles, numerics) = (target.isa.tiles(), target.numerics);
    let zeros = triangle::zeros(&items, &writers, &root);
    let mut s = Steps { program, items, scope, tiles, numerics, lasting, readers, writers, zeros };
    let updates = if target.fuse { epilogue::pairs(&s, &groups, &followers) } else { HashMap::new() };
    let gradients: HashSet<usize> = updates.values().copied().collect();
    for g in (0..groups.len()).filter(|g| !gradients.contains(g)) {
        match &groups[g] {
            Group::Whole(j) => match updates.get(&g).and_then(|from| groups[*from].single()) {
                Some(i) => s.with_update(i, *j),
                None => s.whole(*j),
            },
            Group::Examples(members, block) => s.examples(members, *block, target.fuse),
        }
    }
    if target.fuse {
        near::run(&mut s.program, &mut s.scope, tiles.lanes);
    }
    s.program
}

pub(super) fn root_of(buffers: &[BufferType], mut b: Buffer) -> Buffer {
    while let Some(of) = buffers[b.index()].alias {
        b = of;
    }
    b
}

fn points(axes: &[(Var, usize)]) -> usize {
    axes.iter().map(|(_, n)| n).product()
}

/// Points of a kernel times the terms of its reductions.
pub(super) fn work(kernel: &Kernel) -> usize {
    fn terms(e: &Expr) -> usize {
        let inner = expr::children(e).into_iter().map(terms).max().unwrap_or(1);
        match &**e {
            Node::Reduce { vars, .. } => inner * points(vars),
            _ => inner,
        }
    }
    points(&kernel.axes) * kernel.stores.iter().map(|s| terms(&s.value)).max().unwrap_or(1)
}

impl Steps {
    pub(super) fn builder(&mut self) -> Builder<'_> {
        let (buffers, scope) = (&mut self.program.buffers, &mut self.scope);
        Builder { buffers, scope, tiles: self.tiles, lasting: &self.lasting }
    }

    /// A step of one kernel.
    pub(super) fn push(&mut self, task: Var, tasks: usize, body: Vec<Stmt>, part: Part) {
        self.push_parts(task, tasks, body, vec![part]);
    }

    /// A step of kernels that are marked in it, called by the first.
    pub(super) fn push_parts(&mut self, task: Var, tasks: usize, body: Vec<Stmt>, parts: Vec<Part>) {
        self.program.steps.push(Step { task, tasks, lockstep: false, body, label: parts[0].label.clone(), parts });
    }

    // ---- one kernel ----------------------------------------------------------------------------

    pub(super) fn whole(&mut self, i: usize) {
        let Item { kernel, label, body, .. } = self.items[i].clone();
        if let Some(body) = body {
            return self.recurrence(&body, label);
        }
        if let [store] = &kernel.stores[..]
            && let Some(c) = recognize(&kernel.axes, store)
        {
            return self.whole_contraction(c, label);
        }
        self.loops(&kernel, label);
    }

    /// A kernel of element-wise loops.
    pub(super) fn loops(&mut self, kernel: &Kernel, label: String) {
        if let Some(c) = filters::recognize(kernel) {
            self.filters(c, kernel, label, None);
            return;
        }
        let adds = kernel.stores.iter().any(|s| s.how == How::Add);
        let task = self.scope.var();
        let split = kernel.axes.iter().position(|(_, n)| *n > 1).filter(|_| !adds && work(kernel) > SMALL);
        let (mut tasks, mut body) = (1, vec![]);
        for part in self.strips_below_diagonal(kernel) {
            let stmts = match split {
                Some(axis) => {
                    let (count, stmts) = self.split(&part, axis, task);
                    tasks = count;
                    stmts
                }
                None => plain(&part),
            };
            body.extend(stmts);
        }
        self.push(task, tasks, body, Part::new(label, "loops", loose_flop(kernel)));
    }

    /// A kernel whose channels do not mix.
    pub(super) fn filters(&mut self, mut c: Channels, kernel: &Kernel, label: String, then: Option<Then>) -> bool {
        let task = self.scope.var();
        let most = if work(kernel) > SMALL { FILTER_TASKS } else { 1 };
        let mut b = self.builder();
        let followed = then.is_some_and(|then| b.follow_filters(&mut c, then));
        let (body, tasks) = b.filter_rows(&c, &[], Some((task, most)));
        let part = Part::new(label, "filter", loose_flop(kernel));
        self.push_parts(task, tasks, body, [part].into_iter().chain(c.then.map(|then| then.part())).collect());
        followed
    }

    /// Tasks take equal parts of one axis.
    pub(super) fn split(&mut self, kernel: &Kernel, axis: usize, task: Var) -> (usize, Vec<Stmt>) {
        let (var, n) = kernel.axes[axis];
        let most = (work(kernel) / SMALL).clamp(FEW_TASKS, TASKS);
        let alone = kernel.axes.iter().enumerate().all(|(i, (_, n))| i == axis || *n == 1);
        // Of what runs in vector lanes a task takes whole vectors.
        let size = if alone { COLUMNS.into_iter().find(|size| n.is_multiple_of(*size)) } else { Some(1) };
        let Some(size) = size else { return (1, plain(kernel)) };
        let parts = n / size;
        let each = parts.div_ceil(most);
        let tasks = parts.div_ceil(each);
        let (i, lane) = (self.scope.var(), self.scope.var());
        let part = &(&Affine::from(task) * each as i64) + &Affine::from(i);
        let at = if alone { &(&part * size as i64) + &Affine::from(lane) } else { part.clone() };
        let with = HashMap::from([(var, at)]);
        let mut kernel = rewrite(kernel, &with, &mut |b, at| std::sync::Arc::new(Node::Load(b, at)));
        kernel.axes.remove(axis);
        if alone {
            kernel.axes.push((lane, size));
        }
        let body = plain(&kernel);
        let within = (parts % each != 0).then_some((part, parts));
        (tasks, vec![Stmt::For(For { var: i, extent: each, kind: Kind::Serial, within, body })])
    }

    fn whole_contraction(&mut self, c: Contraction, label: String) {
        if let Some(tasks) = epilogue::strips(self.tiles, &c).filter(|_| epilogue::is_deep(&c)) {
            return self.deep(c, tasks, label);
        }
        let before = self.builder().lasts(c.b.buffer);
        let plan = self.planned(c, before, &label);
        self.panels_or_rows(plan, label, None);
    }

    /// A plan whose `b` is packed by a step of its own, where it is packed before.
    pub(super) fn planned(&mut self, c: Contraction, before: bool, label: &str) -> Plan {
        let task = self.scope.var();
        let mut b = self.builder();
        let mut plan = b.plan(c, vec![], before, true);
        if plan.packing == Packing::Before {
            let (body, tasks) = b.pack_before(&mut plan, task);
            self.push(task, tasks, body, Part::new(format!("{label} weights"), "pack", 0));
        }
        plan
    }

    /// A step whose tasks are panels of columns or blocks of rows. `other`: the forecast of another algorithm.
    pub(super) fn panels_or_rows(&mut self, mut plan: Plan, label: String, other: Option<f64>) {
        let flop = plan.c.flop();
        let task = self.scope.var();
        let tiles = self.tiles;
        let mut b = self.builder();
        let (panels, tail) = b.panels(&plan);
        let count = panels + usize::from(tail > 0);
        let blocks = b.row_blocks(&plan);
        let part = plan.part(tiles, label, other);
        let simple = plan.c.outer.is_empty() && !plan.has_row_loops();
        // Of several groups of columns each has panels of its own.
        let grouped = plan.c.c_at.last().is_none_or(|at| at.as_var() != Some(plan.c.column.0));
        let (tasks, body) = if flop < 200_000 || grouped || !(simple || count >= 2) {
            (1, b.columns(&mut plan, &RowRange::All))
        } else if count >= 4 || blocks < 2 || !simple {
            let (body, tasks) = by_panels(&mut b, &mut plan, task, panels, tail);
            (tasks, body)
        } else {
            let tasks = blocks.min(8);
            let tasks = blocks.div_ceil(blocks.div_ceil(tasks));
            (tasks, b.columns(&mut plan, &RowRange::Task { task, tasks }))
        };
        let follows = plan.after.and_then(|after| after.part());
        self.push_parts(task, tasks, body, [part].into_iter().chain(follows).collect());
    }
}

/// Every task takes some neighbouring panels; the last, smaller panel is a task of its own.
fn by_panels(b: &mut Builder<'_>, plan: &mut Plan, task: Var, whole: usize, tail: usize) -> (Vec<Stmt>, usize) {
    let width = plan.choice.width(b.tiles);
    let outer = plan.c.outer.clone();
    let each = [4, 2].into_iter().find(|n| whole % n == 0 && whole / n >= PANEL_TASKS).unwrap_or(1);
    let tasks = whole / each;
    let mut body = plan.fill();
    if whole > 0 {
        let first = &Affine::from(task) * each as i64;
        let stmts = b.neighbours(plan, &first, (each, width), &RowRange::All);
        let once = b.scope.var();
        body.push(only_where(once, Affine::from(task), tasks, stmts));
    }
    if tail > 0 {
        let stmts = b.panel(plan, &Affine::constant(whole as i64), tail, &RowRange::All);
        let once = b.scope.var();
        let at = &Affine::constant(tasks as i64) - &Affine::from(task);
        body.push(only_where(once, at, 1, stmts));
    }
    (for_each(&outer, Kind::Serial, body), tasks + usize::from(tail > 0))
}

/// Loops in the order of the axes, the last in vector lanes.
pub(super) fn plain(kernel: &Kernel) -> Vec<Stmt> {
    let axes: Vec<_> = kernel.axes.iter().filter(|(_, n)| *n > 1).copied().collect();
    let ones: HashMap<Var, Affine> =
        kernel.axes.iter().filter(|(_, n)| *n == 1).map(|(v, _)| (*v, Affine::default())).collect();
    let kernel = rewrite(kernel, &ones, &mut |b, at| std::sync::Arc::new(Node::Load(b, at)));
    let parts = interior::cut(Kernel { axes, ..kernel });
    parts.into_iter().flat_map(|part| for_each(&part.axes, Kind::Vector, vec![Stmt::Group(part.stores)])).collect()
}

/// The kernel with variables replaced and loads rewritten.
pub(super) fn rewrite(
    kernel: &Kernel,
    with: &HashMap<Var, Affine>,
    load: &mut dyn FnMut(Buffer, Vec<Coord>) -> Expr,
) -> Kernel {
    let affine = |a: &Affine| put(a, with);
    let mut r = expr::Rewrite::new(&affine, load);
    let stores = kernel
        .stores
        .iter()
        .map(|s| Store {
            buffer: s.buffer,
            at: s.at.iter().map(|c| r.coord(c)).collect(),
            value: r.expr(&s.value),
            how: s.how,
        })
        .collect();
    Kernel { axes: kernel.axes.clone(), stores }
}
