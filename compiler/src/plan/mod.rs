//! Where every buffer lies: lifetimes over the steps, then best fit, largest first.

mod below;
pub mod verify;

pub use below::below;

use crate::base::Buffer;
use crate::loops::Home;
use crate::loops::nest::{Accumulate, Filter, Program, Step, Stmt, Tile};

/// Cache lines: no buffer shares one with another.
const ALIGN: usize = 64;

/// Byte offsets of all buffers in their homes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Of each buffer; of an alias, its root's.
    pub offsets: Vec<usize>,
    pub state_bytes: usize,
    pub arena_bytes: usize,
    pub scratch_bytes: usize,
    /// The most bytes of the arena that are alive at once: no plan can be smaller.
    pub lower_bound: usize,
}

impl Plan {
    /// Everything, with one thread's scratch.
    pub fn bytes(&self) -> usize {
        self.state_bytes + self.arena_bytes + self.scratch_bytes
    }
}

/// First and last step (or statement) in which a buffer is alive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Life {
    pub first: usize,
    pub last: usize,
}

pub fn run(program: &Program) -> Plan {
    let mut plan = Plan { offsets: vec![0; program.buffers.len()], ..Plan::default() };
    for (_, b) in &program.state {
        plan.offsets[b.index()] = plan.state_bytes;
        plan.state_bytes += size(program, *b);
    }
    let lives = lives(program);
    plan.lower_bound = lower_bound(program, &lives);
    plan.arena_bytes = place(program, &lives, &mut plan.offsets);
    for step in &program.steps {
        let lives = scratch_lives(program, step);
        let bytes = place(program, &lives, &mut plan.offsets);
        plan.scratch_bytes = plan.scratch_bytes.max(bytes);
    }
    for i in 0..program.buffers.len() {
        plan.offsets[i] = plan.offsets[root(program, Buffer(i as u32)).index()];
    }
    plan
}

/// The buffer whose memory `b` is.
pub fn root(program: &Program, mut b: Buffer) -> Buffer {
    while let Some(of) = program.buffers[b.index()].alias {
        b = of;
    }
    b
}

/// Bytes of a buffer, up to whole cache lines.
pub fn size(program: &Program, b: Buffer) -> usize {
    (4 * program.buffers[b.index()].shape.iter().product::<usize>()).next_multiple_of(ALIGN)
}

/// Lifetimes of the buffers of the arena, in steps. Inputs live from the start, outputs to the end.
pub fn lives(program: &Program) -> Vec<(Buffer, Life)> {
    let mut found: Vec<Option<Life>> = vec![None; program.buffers.len()];
    let mut touch = |b: Buffer, at: usize| {
        let b = root(program, b);
        if program.buffers[b.index()].home == Home::Arena {
            let life = found[b.index()].get_or_insert(Life { first: at, last: at });
            life.first = life.first.min(at);
            life.last = life.last.max(at);
        }
    };
    let end = program.steps.len();
    for (_, b, _) in &program.inputs {
        // Inputs are written between runs and may be read by the first step of any: alive throughout.
        touch(*b, 0);
        touch(*b, end);
    }
    for (i, step) in program.steps.iter().enumerate() {
        let (reads, writes) = step.buffers();
        reads.iter().chain(&writes).for_each(|b| touch(*b, i));
    }
    for (_, b) in &program.outputs {
        touch(*b, end);
    }
    // What is prepared once is read by every later run.
    for life in found.iter_mut().flatten() {
        if life.first < program.prepared && life.last >= program.prepared {
            *life = Life { first: 0, last: end };
        }
    }
    collect(found)
}

fn collect(found: Vec<Option<Life>>) -> Vec<(Buffer, Life)> {
    found.into_iter().enumerate().filter_map(|(i, l)| l.map(|l| (Buffer(i as u32), l))).collect()
}

/// Lifetimes of scratch inside one step, in its leaf statements; what crosses a loop lives through all of it.
pub fn scratch_lives(program: &Program, step: &Step) -> Vec<(Buffer, Life)> {
    let mut found: Vec<Option<Life>> = vec![None; program.buffers.len()];
    let mut at = 0;
    walk(program, &step.body, &mut at, &mut found, true);
    collect(found)
}

/// Buffers whose tiles add up over the iterations of `var`: they live through all of them.
fn accumulated(body: &[Stmt], var: crate::base::Var, found: &mut Vec<Buffer>) {
    for stmt in body {
        match stmt {
            Stmt::For(f) => accumulated(&f.body, var, found),
            Stmt::Tile(Tile { accumulate, c: to, .. }) | Stmt::Filter(Filter { accumulate, to, .. }) => {
                match accumulate {
                    Accumulate::AfterFirst(vars) if !vars.contains(&var) => {}
                    Accumulate::AfterFirst(_) | Accumulate::Always => found.push(to.buffer),
                }
            }
            Stmt::Group(_) | Stmt::Transpose(_) | Stmt::Transform(_) | Stmt::Mark(_) => {}
        }
    }
}

/// Statements of the outermost level (inside the loops over tasks and examples) are the units of time.
fn walk(program: &Program, body: &[Stmt], at: &mut usize, found: &mut [Option<Life>], outer: bool) {
    for stmt in body {
        match stmt {
            Stmt::For(f) if outer && f.is_sequence() => {
                let first = *at;
                walk(program, &f.body, at, found, true);
                let mut kept = vec![];
                accumulated(&f.body, f.var, &mut kept);
                for b in kept {
                    if let Some(life) = &mut found[root(program, b).index()] {
                        life.first = life.first.min(first);
                        life.last = life.last.max(at.saturating_sub(1));
                    }
                }
            }
            Stmt::Mark(_) => {}
            Stmt::For(_)
            | Stmt::Group(_)
            | Stmt::Tile(_)
            | Stmt::Transpose(_)
            | Stmt::Transform(_)
            | Stmt::Filter(_) => {
                let unit = Step {
                    task: crate::base::Var(0),
                    tasks: 1,
                    lockstep: false,
                    body: vec![stmt.clone()],
                    label: String::new(),
                    parts: vec![],
                };
                let (reads, writes) = unit.buffers();
                for b in reads.iter().chain(&writes) {
                    let b = root(program, *b);
                    if program.buffers[b.index()].home == Home::Scratch {
                        let life = found[b.index()].get_or_insert(Life { first: *at, last: *at });
                        life.last = *at;
                    }
                }
                *at += 1;
            }
        }
    }
}

fn lower_bound(program: &Program, lives: &[(Buffer, Life)]) -> usize {
    let end = lives.iter().map(|(_, l)| l.last + 1).max().unwrap_or(0);
    let mut change = vec![0i64; end + 1];
    for (b, l) in lives {
        change[l.first] += size(program, *b) as i64;
        change[l.last + 1] -= size(program, *b) as i64;
    }
    let mut now = 0;
    change
        .iter()
        .map(|c| {
            now += c;
            now
        })
        .max()
        .unwrap_or(0) as usize
}

/// Places buffers so that no two that are alive together overlap; returns the bytes needed.
fn place(program: &Program, lives: &[(Buffer, Life)], offsets: &mut [usize]) -> usize {
    let mut order: Vec<_> = lives.to_vec();
    order.sort_by_key(|(b, l)| (std::cmp::Reverse(size(program, *b)), l.first, *b));
    let mut placed: Vec<(usize, usize, Life)> = vec![];
    let mut total = 0;
    for (b, life) in order {
        let bytes = size(program, b);
        let mut busy: Vec<(usize, usize)> = placed
            .iter()
            .filter(|(_, _, l)| l.first <= life.last && life.first <= l.last)
            .map(|(start, end, _)| (*start, *end))
            .collect();
        busy.sort_unstable();
        let (mut best, mut cursor) = (None, 0);
        for (start, end) in busy {
            if start >= cursor + bytes {
                let gap = start - cursor;
                if best.is_none_or(|(g, _)| gap < g) {
                    best = Some((gap, cursor));
                }
            }
            cursor = cursor.max(end);
        }
        let at = best.map_or(cursor, |(_, at)| at);
        offsets[b.index()] = at;
        placed.push((at, at + bytes, life));
        total = total.max(at + bytes);
    }
    total
}

/// The text of `--emit plan`: sizes, steps, and where and how long every buffer lives.
pub fn print(program: &Program, plan: &Plan) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "state {} bytes, arena {} bytes (at least {}), scratch {} bytes a thread\n",
        plan.state_bytes, plan.arena_bytes, plan.lower_bound, plan.scratch_bytes
    );
    let line = |b: Buffer, home: &str, life: String| {
        let ty = &program.buffers[b.index()];
        let at = plan.offsets[b.index()];
        format!("  {b} {home} {at}..{} f32{:?} {life}  ; {}\n", at + size(program, b), ty.shape, ty.name)
    };
    for (_, b) in &program.state {
        text.push_str(&line(*b, "state", String::new()));
    }
    for (b, l) in lives(program) {
        text.push_str(&line(b, "arena", format!("steps {}..={}", l.first, l.last)));
    }
    for (i, step) in program.steps.iter().enumerate() {
        let (reads, writes) = step.buffers();
        let names = |list: &[Buffer]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            text,
            "step {i}: {} tasks [{}] reads {} writes {}  ; {}",
            step.tasks,
            step.algorithm(),
            names(&reads),
            names(&writes),
            step.label
        );
        for (b, l) in scratch_lives(program, step) {
            text.push_str(&line(b, "scratch", format!("statements {}..={}", l.first, l.last)));
        }
    }
    text
}
