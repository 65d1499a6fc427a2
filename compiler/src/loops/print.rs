//! Text of kernels and nests, for `--emit kernels` and `--emit nests`.

use super::affine::Affine;
use super::expr::{Coord, Expr, Fold, Node};
use super::kernel::{BufferType, Home, How, Kernel, Store};
use super::nest::{Accumulate, Finish, For, Kind, Place, Program, Stmt};
use crate::base::{Buffer, Var};
use dlc_runtime::abi::{Forecast, Part};
use std::fmt::{self, Display, Write};

/// Definitions of what is stored, before anything is decided about loops.
pub struct Kernels {
    /// Buffers, inputs, outputs and state; no steps yet.
    pub program: Program,
    /// Label and kernel, in order of dependence.
    pub items: Vec<(String, Kernel)>,
    /// Which of them run again and again.
    pub repeated: Vec<Repeated>,
}

/// Neighbouring kernels that all run in each of several iterations.
pub struct Repeated {
    pub items: std::ops::Range<usize>,
    /// Counts iterations, in the kernels.
    pub var: Var,
    pub length: usize,
}

impl Kernels {
    /// Every kernel as often as it runs, in order, with iterations put in.
    pub fn each<E>(&self, mut f: impl FnMut(&str, &Kernel) -> Result<(), E>) -> Result<(), E> {
        let mut i = 0;
        while let Some((label, kernel)) = self.items.get(i) {
            let Some(r) = self.repeated.iter().find(|r| r.items.contains(&i)) else {
                f(label, kernel)?;
                i += 1;
                continue;
            };
            for count in 0..r.length {
                let put = |v: Var| if v == r.var { Affine::constant(count as i64) } else { Affine::from(v) };
                self.items[r.items.clone()].iter().try_for_each(|(label, k)| f(label, &k.substituted(&put)))?;
            }
            i = r.items.end;
        }
        Ok(())
    }
}

impl Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (label, kernel)) in self.items.iter().enumerate() {
            if let Some(r) = self.repeated.iter().find(|r| r.items.start == i) {
                writeln!(f, "repeat {} < {}: the next {}", r.var, r.length, r.items.len())?;
            }
            let axes: Vec<String> = kernel.axes.iter().map(|(v, n)| format!("{v} < {n}")).collect();
            writeln!(f, "for {}  ; {label}", axes.join(", "))?;
            for s in &kernel.stores {
                writeln!(f, "  {}", Shown(s))?;
            }
        }
        buffers(f, &self.program.buffers)
    }
}

fn buffers(f: &mut fmt::Formatter<'_>, buffers: &[BufferType]) -> fmt::Result {
    for (i, b) in buffers.iter().enumerate() {
        let home = match b.home {
            Home::State => "state",
            Home::Arena => "arena",
            Home::Scratch => "scratch",
        };
        write!(f, "b{i}: {home} f32{:?}", b.shape)?;
        if let Some(of) = b.alias {
            write!(f, " = {of}")?;
        }
        writeln!(f, "  ; {}", b.name)?;
    }
    Ok(())
}

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, s) in self.steps.iter().enumerate() {
            let together = if s.lockstep { " in lockstep" } else { "" };
            writeln!(f, "step {i}: {} < {} tasks{together}  [{}]  ; {}", s.task, s.tasks, s.algorithm(), s.label)?;
            body(f, &s.parts, &s.body, 1)?;
        }
        buffers(f, &self.buffers)
    }
}

fn body(f: &mut fmt::Formatter<'_>, parts: &[Part], stmts: &[Stmt], depth: usize) -> fmt::Result {
    let pad = "  ".repeat(depth);
    for stmt in stmts {
        match stmt {
            Stmt::For(l) => {
                writeln!(f, "{pad}{}", head(l))?;
                body(f, parts, &l.body, depth + 1)?;
            }
            Stmt::Group(stores) => {
                for s in stores {
                    writeln!(f, "{pad}{}", Shown(s))?;
                }
            }
            Stmt::Tile(t) => {
                let how = how(&t.accumulate);
                write!(f, "{pad}tile {}x{} last {} ", t.rows, t.vectors, t.last)?;
                write!(f, "{} (row {}) {how} ", place(&t.c), t.c_row)?;
                write!(f, "sum {}x{} ", t.batches, t.k)?;
                write!(f, "{} (row {} k {} batch {}) * ", place(&t.a), t.a_row, t.a_k, t.a_batch)?;
                write!(f, "{} (k {} batch {})", place(&t.b), t.b_k, t.b_batch)?;
                let beside = t.beside.iter().map(|b| format!(" + {} (row {})", place(&b.place), b.row));
                let ahead = t.ahead.iter().map(|at| format!(" asking for {}", place(at)));
                writeln!(f, "{}{}", beside.chain(ahead).collect::<String>(), finish(t.finish.as_ref()))?;
            }
            Stmt::Transpose(t) => {
                write!(f, "{pad}transpose {}x{} ", t.rows, t.columns)?;
                writeln!(f, "{} (row {}) -> {} (row {})", place(&t.from), t.from_row, place(&t.to), t.to_row)?;
            }
            Stmt::Transform(t) => {
                write!(f, "{pad}transform {} x{} channels {} ", t.matrix.name(), t.count, t.channels)?;
                if t.matrix.cut() != (false, false) {
                    write!(f, "within {:?}x{:?} ", t.rows, t.cols)?;
                }
                write!(f, "{} (strides {:?}) -> ", place(&t.from), t.from_strides)?;
                writeln!(f, "{} (strides {:?})", place(&t.to), t.to_strides)?;
            }
            Stmt::Filter(t) => {
                write!(f, "{pad}filter x{} channels {} ", t.count, t.channels)?;
                write!(f, "{} (next {}) {} ", place(&t.to), t.to_next, how(&t.accumulate))?;
                write!(f, "sum {}x{} ", t.taps[0], t.taps[1])?;
                write!(f, "{} (strides {:?}) * ", place(&t.from), t.from_strides)?;
                writeln!(f, "{} (strides {:?}){}", place(&t.by), t.by_strides, finish(t.finish.as_ref()))?;
            }
            Stmt::Mark(i) => {
                let part = parts.get(*i).ok_or(fmt::Error)?;
                writeln!(f, "{pad}; {} [{}]{}", part.label, part.algorithm, expected(&part.forecast))?;
            }
        }
    }
    Ok(())
}

/// What the models of cycles said.
fn expected(forecast: &Forecast) -> String {
    let percent = |what: &str, p: Option<f64>| p.map(|p| format!("{what} {p:.0} %"));
    let told: Vec<String> = [percent("expected", forecast.chosen), percent("the other way", forecast.other)]
        .into_iter()
        .flatten()
        .collect();
    if told.is_empty() { String::new() } else { format!(" {} of peak", told.join(", ")) }
}

fn how(accumulate: &Accumulate) -> String {
    match accumulate {
        Accumulate::Always => "+=".to_string(),
        Accumulate::AfterFirst(v) if v.is_empty() => "=".to_string(),
        Accumulate::AfterFirst(v) => format!("+= after {v:?}"),
    }
}

fn finish(finish: Option<&Finish>) -> String {
    finish.map_or(String::new(), |f| format!(" + {} within {:?}", place(&f.add), f.bounds))
}

fn head(l: &For) -> String {
    let kind = match l.kind {
        Kind::Serial => "for",
        Kind::Sequence => "each",
        Kind::Recurrent => "repeat",
        Kind::Vector => "vector",
    };
    match &l.within {
        None => format!("{kind} {} < {}", l.var, l.extent),
        Some((at, n)) => format!("{kind} {} < {} while {at} < {n}", l.var, l.extent),
    }
}

fn place(p: &Place) -> String {
    let at: Vec<String> = p.at.iter().map(ToString::to_string).collect();
    format!("{}[{}]", p.buffer, at.join(", "))
}

struct Shown<'a, T>(&'a T);

impl Display for Shown<'_, Store> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.0.how {
            How::Set => "=",
            How::Add => "+=",
        };
        write!(f, "{} {how} {}", element(self.0.buffer, &self.0.at), Shown(&self.0.value))
    }
}

fn element(buffer: Buffer, at: &[Coord]) -> String {
    let at: Vec<String> = at
        .iter()
        .map(|c| match c {
            Coord::Affine(a) => a.to_string(),
            Coord::Index { from, extent } => format!("{} < {extent}", Shown(from)),
        })
        .collect();
    format!("{buffer}[{}]", at.join(", "))
}

impl Display for Shown<'_, Expr> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &**self.0 {
            Node::Const(bits) => write!(f, "{}", f32::from_bits(*bits)),
            Node::Coord(a) => write!(f, "({a})"),
            Node::Load(b, at) => f.write_str(&element(*b, at)),
            Node::Unary(op, x) => write!(f, "{}({})", op.name(), Shown(x)),
            Node::Binary(op, a, b) => write!(f, "{}({}, {})", op.name(), Shown(a), Shown(b)),
            Node::Select(c, a, b) => write!(f, "({} ? {} : {})", Shown(c), Shown(a), Shown(b)),
            Node::Reduce { fold, vars, body } => {
                let name = match fold {
                    Fold::Add => "sum",
                    Fold::Max => "max",
                    Fold::ArgMax => "argmax",
                };
                let vars: Vec<String> = vars.iter().map(|(v, n)| format!("{v} < {n}")).collect();
                write!(f, "{name}[{}]({})", vars.join(", "), Shown(body))
            }
            Node::Guard { inside, body, otherwise } => {
                write!(f, "({} if ", Shown(body))?;
                for (i, (a, n)) in inside.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{a} in 0..{n}")?;
                }
                write!(f, " else {})", f32::from_bits(*otherwise))
            }
            Node::Random { key, step, counter } => {
                write!(f, "random({key:016x}, {}, ", Shown(step))?;
                write!(f, "{counter}")?;
                f.write_char(')')
            }
        }
    }
}
