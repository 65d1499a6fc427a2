//! A kernel: the definition of the tensors that one group of ops stores.

use super::affine::Affine;
use super::expr::{Coord, Expr};
use crate::base::{Buffer, Var};

/// Where a buffer lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Home {
    /// Weights, statistics, optimizer slots: kept between steps.
    State,
    /// Within one step, for all threads; placed by the planner.
    Arena,
    /// Within one task, private to a thread.
    Scratch,
}

/// Shape (dense, row-major, `f32`) and home of a buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BufferType {
    pub shape: Vec<usize>,
    pub home: Home,
    /// Another name, with another shape, for the memory of this buffer.
    pub alias: Option<Buffer>,
    /// Name in dumps and profiles: the path of the value it holds.
    pub name: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum How {
    Set,
    /// Onto what is there; the buffer is zeroed before the kernel.
    Add,
}

/// `buffer[at] = value` for every point of the kernel's axes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Store {
    pub buffer: Buffer,
    pub at: Vec<Coord>,
    pub value: Expr,
    pub how: How,
}

/// For every point of `axes`: all values are computed, then all stores are done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kernel {
    pub axes: Vec<(Var, usize)>,
    pub stores: Vec<Store>,
}

/// Gives out fresh variables to element rules.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    next: u32,
}

impl Scope {
    pub fn starting_at(next: u32) -> Scope {
        Scope { next }
    }

    pub fn var(&mut self) -> Var {
        self.next += 1;
        Var(self.next - 1)
    }

    /// Fresh variables for `extents`, and the coordinates that are these variables.
    pub fn axes(&mut self, extents: &[usize]) -> (Vec<(Var, usize)>, Vec<Affine>) {
        let vars: Vec<_> = extents.iter().map(|n| (self.var(), *n)).collect();
        let at = vars.iter().map(|(v, _)| Affine::from(*v)).collect();
        (vars, at)
    }
}

impl Kernel {
    /// Every variable replaced by what `f` gives.
    pub fn substituted(&self, f: &dyn Fn(Var) -> Affine) -> Kernel {
        let affine = |a: &Affine| a.substitute(f);
        let mut load = |b: Buffer, at: Vec<Coord>| std::sync::Arc::new(super::expr::Node::Load(b, at));
        let mut r = super::expr::Rewrite::new(&affine, &mut load);
        let mut store = |s: &Store| Store {
            buffer: s.buffer,
            at: s.at.iter().map(|c| r.coord(c)).collect(),
            value: r.expr(&s.value),
            how: s.how,
        };
        Kernel { axes: self.axes.clone(), stores: self.stores.iter().map(&mut store).collect() }
    }
}
