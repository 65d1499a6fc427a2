//! Steps that do the same to other tables: they share one function, which is told where the tables lie.
//!
//! Each step is written down with its variables and buffers numbered in the order of their mention, so that equal lists
//! of words mean equal code.

use crate::base::{Buffer, Var};
use crate::loops::nest::{
    Accumulate, Beside, Filter, Finish, For, Place, Program, Step, Stmt, Tile, Transform, Transpose,
};
use crate::loops::{Affine, Coord, Expr, Node, Store};
use std::collections::HashMap;
use std::sync::Arc;

/// Which steps share a function.
pub struct Alike {
    /// For each step: the first one that does the same.
    pub first: Vec<usize>,
    /// For each step: the memories that its function reads and writes, in the order in which it knows them.
    pub memories: Vec<Vec<Buffer>>,
    /// For each step that is the first: does another one run its function?
    shared: Vec<bool>,
}

impl Alike {
    /// `roots`: the buffer whose memory each buffer is.
    pub fn find(program: &Program, roots: &[Buffer]) -> Alike {
        let mut known: HashMap<Vec<u64>, usize> = HashMap::new();
        let mut alike = Alike { first: vec![], memories: vec![], shared: vec![false; program.steps.len()] };
        for (i, step) in program.steps.iter().enumerate() {
            let mut text = Text::new(program, roots);
            text.step(step);
            let first = *known.entry(text.words).or_insert(i);
            alike.shared[first] |= first != i;
            alike.first.push(first);
            alike.memories.push(text.memories);
        }
        alike
    }

    /// The steps that are the first to run their function.
    pub fn own(&self) -> impl Iterator<Item = usize> {
        (0..self.first.len()).filter(|i| self.first[*i] == *i)
    }

    /// Do several steps run the function of this one?
    pub fn is_shared(&self, step: usize) -> bool {
        self.shared[self.first[step]]
    }
}

/// A step in words.
struct Text<'a> {
    program: &'a Program,
    roots: &'a [Buffer],
    words: Vec<u64>,
    buffers: HashMap<Buffer, u64>,
    memories: Vec<Buffer>,
    vars: HashMap<Var, u64>,
    /// A node is written once, and its number after that: code is made for it once, too.
    nodes: HashMap<*const Node, u64>,
}

impl<'a> Text<'a> {
    fn new(program: &'a Program, roots: &'a [Buffer]) -> Text<'a> {
        Text {
            program,
            roots,
            words: vec![],
            buffers: HashMap::new(),
            memories: vec![],
            vars: HashMap::new(),
            nodes: HashMap::new(),
        }
    }

    fn number(&mut self, number: i64) {
        self.words.push(number as u64);
    }

    fn numbers(&mut self, numbers: &[i64]) {
        numbers.iter().for_each(|n| self.number(*n));
    }

    fn size(&mut self, size: usize) {
        self.words.push(size as u64);
    }

    fn sizes(&mut self, sizes: &[usize]) {
        sizes.iter().for_each(|n| self.size(*n));
    }

    fn step(&mut self, step: &Step) {
        let Step { task, tasks, lockstep, body, label: _, parts: _ } = step;
        self.var(*task);
        self.sizes(&[*tasks, usize::from(*lockstep)]);
        self.stmts(body);
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        self.size(stmts.len());
        for stmt in stmts {
            match stmt {
                Stmt::For(f) => self.for_loop(f),
                Stmt::Group(stores) => {
                    self.sizes(&[1, stores.len()]);
                    stores.iter().for_each(|s| self.store(s));
                }
                Stmt::Tile(t) => self.tile(t),
                Stmt::Transpose(t) => self.transpose(t),
                Stmt::Transform(t) => self.transform(t),
                Stmt::Filter(t) => self.filter(t),
                Stmt::Mark(part) => self.sizes(&[6, *part]),
            }
        }
    }

    fn for_loop(&mut self, f: &For) {
        let For { var, extent, kind, within, body } = f;
        self.sizes(&[0, *extent, *kind as usize]);
        self.var(*var);
        self.size(within.iter().len());
        if let Some((at, bound)) = within {
            self.affine(at);
            self.size(*bound);
        }
        self.stmts(body);
    }

    fn store(&mut self, store: &Store) {
        let Store { buffer, at, value, how } = store;
        self.expr(value);
        self.buffer(*buffer);
        self.coords(at);
        self.size(*how as usize);
    }

    fn tile(&mut self, t: &Tile) {
        let Tile {
            rows,
            vectors,
            last,
            k,
            batches,
            a,
            a_row,
            a_k,
            a_batch,
            b,
            b_k,
            b_batch,
            c,
            c_row,
            accumulate,
            finish,
            beside,
            ahead,
        } = t;
        self.sizes(&[2, *rows, *vectors, *last, *k, *batches]);
        self.numbers(&[*a_row, *a_k, *a_batch, *b_k, *b_batch, *c_row]);
        [a, b, c].into_iter().for_each(|place| self.place(place));
        self.accumulate(accumulate);
        self.finish(finish.as_ref());
        self.size(beside.iter().len());
        if let Some(Beside { place, row }) = beside {
            self.place(place);
            self.number(*row);
        }
        self.size(ahead.iter().len());
        ahead.iter().for_each(|place| self.place(place));
    }

    fn transpose(&mut self, t: &Transpose) {
        let Transpose { from, from_row, to, to_row, rows, columns } = t;
        self.sizes(&[3, *rows, *columns]);
        self.numbers(&[*from_row, *to_row]);
        self.place(from);
        self.place(to);
    }

    fn transform(&mut self, t: &Transform) {
        let Transform { matrix, from, from_strides, to, to_strides, count, channels, rows, cols, step } = t;
        self.sizes(&[4, *matrix as usize, *count, *channels, rows[0], rows[1], cols[0], cols[1], *step]);
        self.numbers(from_strides);
        self.numbers(to_strides);
        self.place(from);
        self.place(to);
    }

    fn filter(&mut self, t: &Filter) {
        let Filter { from, from_strides, by, by_strides, to, to_next, taps, count, channels, accumulate, finish } = t;
        self.sizes(&[5, taps[0], taps[1], *count, *channels]);
        self.numbers(from_strides);
        self.numbers(by_strides);
        self.number(*to_next);
        [from, by, to].into_iter().for_each(|place| self.place(place));
        self.accumulate(accumulate);
        self.finish(finish.as_ref());
    }

    fn accumulate(&mut self, accumulate: &Accumulate) {
        match accumulate {
            Accumulate::Always => self.size(0),
            Accumulate::AfterFirst(vars) => {
                self.size(1 + vars.len());
                vars.iter().for_each(|v| self.var(*v));
            }
        }
    }

    fn finish(&mut self, finish: Option<&Finish>) {
        self.size(finish.iter().len());
        if let Some(Finish { add, bounds }) = finish {
            self.place(add);
            bounds.iter().for_each(|bound| self.words.push(u64::from(bound.to_bits())));
        }
    }

    fn place(&mut self, place: &Place) {
        let Place { buffer, at } = place;
        self.buffer(*buffer);
        at.iter().for_each(|a| self.affine(a));
    }

    fn var(&mut self, var: Var) {
        let next = self.vars.len() as u64;
        let number = *self.vars.entry(var).or_insert(next);
        self.words.push(number);
    }

    /// The first mention says all that code depends on: the shape, and which memory it is.
    fn buffer(&mut self, buffer: Buffer) {
        let next = self.buffers.len() as u64;
        let number = *self.buffers.entry(buffer).or_insert(next);
        self.words.push(number);
        if number < next {
            return;
        }
        let root = self.roots[buffer.index()];
        let memory = self.memories.iter().position(|b| *b == root).unwrap_or_else(|| {
            self.memories.push(root);
            self.memories.len() - 1
        });
        let shape = &self.program.buffers[buffer.index()].shape;
        self.sizes(&[memory, self.program.buffers[root.index()].home as usize, shape.len()]);
        self.sizes(shape);
    }

    fn affine(&mut self, a: &Affine) {
        let Affine { terms, constant } = a;
        self.number(*constant);
        self.size(terms.len());
        let next = self.vars.len();
        let numbered = terms.iter().map(|(v, c)| (self.vars.get(v).map_or(next, |n| *n as usize), *v, *c));
        let mut terms: Vec<(usize, Var, i64)> = numbered.collect();
        terms.sort_unstable();
        for (_, var, coefficient) in terms {
            self.var(var);
            self.number(coefficient);
        }
    }

    fn coords(&mut self, at: &[Coord]) {
        for c in at {
            match c {
                Coord::Affine(a) => {
                    self.size(0);
                    self.affine(a);
                }
                Coord::Index { from, extent } => {
                    self.sizes(&[1, *extent]);
                    self.expr(from);
                }
            }
        }
    }

    fn vars(&mut self, vars: &[(Var, usize)]) {
        self.size(vars.len());
        for (var, extent) in vars {
            self.var(*var);
            self.size(*extent);
        }
    }

    fn expr(&mut self, e: &Expr) {
        if let Node::Const(bits) = **e {
            return self.words.extend([u64::MAX, u64::from(bits)]);
        }
        let next = self.nodes.len() as u64;
        let number = *self.nodes.entry(Arc::as_ptr(e)).or_insert(next);
        self.words.push(number);
        if number < next {
            return;
        }
        match &**e {
            Node::Const(_) => {}
            Node::Coord(a) => {
                self.size(1);
                self.affine(a);
            }
            Node::Load(b, at) => {
                self.size(2);
                self.buffer(*b);
                self.coords(at);
            }
            Node::Unary(op, x) => {
                self.sizes(&[3, *op as usize]);
                self.expr(x);
            }
            Node::Binary(op, x, y) => {
                self.sizes(&[4, *op as usize]);
                self.expr(x);
                self.expr(y);
            }
            Node::Select(c, x, y) => {
                self.size(5);
                [c, x, y].into_iter().for_each(|part| self.expr(part));
            }
            Node::Reduce { fold, vars, body } => {
                self.sizes(&[6, *fold as usize]);
                self.vars(vars);
                self.expr(body);
            }
            Node::Guard { inside, body, otherwise } => {
                self.sizes(&[7, *otherwise as usize, inside.len()]);
                for (a, extent) in inside {
                    self.affine(a);
                    self.size(*extent);
                }
                self.expr(body);
            }
            Node::Random { key, step, counter } => {
                self.size(8);
                self.words.push(*key);
                self.expr(step);
                self.affine(counter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::expr::{binary, constant, load};
    use crate::loops::nest::Kind;
    use crate::loops::{Binary, BufferType, Home, How};

    fn buffer(home: Home, extent: usize, alias: Option<Buffer>) -> BufferType {
        BufferType { shape: vec![extent], home, alias, name: String::new() }
    }

    /// `to[i] = a[i] * scale - b[i]` for eight tasks of one loop, in variables from `var` on.
    fn step([a, b, to]: [u32; 3], scale: f32, var: u32) -> Step {
        let (task, i) = (Var(var + 1), Var(var));
        let at = [Affine { terms: vec![(i, 1), (task, 4)], constant: 0 }];
        let scaled = binary(Binary::Mul, load(Buffer(a), &at), constant(scale));
        let value = binary(Binary::Sub, scaled, load(Buffer(b), &at));
        let at = at.into_iter().map(Coord::Affine).collect();
        let body = vec![Stmt::Group(vec![Store { buffer: Buffer(to), at, value, how: How::Set }])];
        let body = vec![Stmt::For(For { var: i, extent: 4, kind: Kind::Serial, within: None, body })];
        Step { task, tasks: 8, lockstep: false, body, label: format!("step of {to}"), parts: vec![] }
    }

    /// Does a step share the function of one on the tables 0, 1 and 2?
    fn share(other: Step) -> bool {
        let arena = |_| buffer(Home::Arena, 32, None);
        let mut buffers: Vec<BufferType> = (0..6).map(arena).collect();
        buffers.push(buffer(Home::State, 32, None));
        buffers.push(buffer(Home::Arena, 33, None));
        buffers.push(buffer(Home::Arena, 32, Some(Buffer(3))));
        let program = Program { buffers, steps: vec![step([0, 1, 2], 2.0, 0), other], ..Program::default() };
        let roots: Vec<Buffer> = (0..9).map(|i| Buffer(if i == 8 { 3 } else { i })).collect();
        let alike = Alike::find(&program, &roots);
        assert_eq!(alike.memories[0], [Buffer(0), Buffer(1), Buffer(2)]);
        assert_eq!(alike.is_shared(0), alike.first[1] == 0);
        alike.first[1] == 0
    }

    #[test]
    fn other_tables_and_other_variables_are_alike() {
        assert!(share(step([3, 4, 5], 2.0, 0)));
        assert!(share(step([2, 0, 1], 2.0, 7)));
    }

    #[test]
    fn other_numbers_homes_shapes_and_overlaps_are_not() {
        assert!(!share(step([3, 4, 5], 3.0, 0)), "another factor");
        assert!(!share(step([3, 4, 6], 2.0, 0)), "weights instead of a table");
        assert!(!share(step([3, 4, 7], 2.0, 0)), "a longer table");
        assert!(!share(step([3, 3, 5], 2.0, 0)), "one table instead of two");
        assert!(!share(step([3, 8, 5], 2.0, 0)), "two names for one memory");
        assert!(!share(step([3, 4, 3], 2.0, 0)), "in place");
        assert!(!share(Step { tasks: 7, ..step([3, 4, 5], 2.0, 0) }), "fewer tasks");
    }
}
