//! Which loops become one function.

use crate::base::{Buffer, Var};
use crate::codegen::vector::Calls;
use crate::loops::nest::{For, Kind, Program, Step, Stmt};
use crate::loops::{Affine, Binary, BufferType, Coord, Expr, Fold, Home, How, Node, Store, Unary};
use std::sync::Arc;

const ROWS: usize = 8;
const X: Buffer = Buffer(0);
const LARGEST: Buffer = Buffer(1);
const POWERS: Buffer = Buffer(2);
const SUMS: Buffer = Buffer(3);
const RESULT: Buffer = Buffer(4);

fn load(b: Buffer, at: &[Affine]) -> Expr {
    Arc::new(Node::Load(b, at.iter().cloned().map(Coord::Affine).collect()))
}

fn two(op: Binary, a: Expr, b: Expr) -> Expr {
    Arc::new(Node::Binary(op, a, b))
}

fn fold(fold: Fold, column: (Var, usize), body: Expr) -> Expr {
    Arc::new(Node::Reduce { fold, vars: vec![column], body })
}

/// Loops around a store, the last along vectors.
fn nest(loops: &[(Var, usize)], buffer: Buffer, at: &[Affine], value: Expr) -> Stmt {
    let store = Store { buffer, at: at.iter().cloned().map(Coord::Affine).collect(), value, how: How::Set };
    let mut body = vec![Stmt::Group(vec![store])];
    for (i, (var, extent)) in loops.iter().rev().enumerate() {
        let kind = if i == 0 { Kind::Vector } else { Kind::Serial };
        body = vec![Stmt::For(For { var: *var, extent: *extent, kind, within: None, body })];
    }
    body.remove(0)
}

/// Softmax of rows in four loops: each subtracts the largest element of the row that `seen` gives for its own, and the
/// result goes to another.
struct Softmax {
    columns: usize,
    seen: fn(Affine) -> Affine,
    to: (Buffer, i64),
}

impl Softmax {
    /// How many functions there are, and how many loops are only a part of one.
    fn functions(&self, lanes: usize) -> (usize, usize) {
        self.functions_of(lanes, Home::Arena, false)
    }

    /// The same where all tables are in a home; `inside` a loop that goes through all of it.
    fn functions_of(&self, lanes: usize, home: Home, inside: bool) -> (usize, usize) {
        let v: Vec<Var> = (0..8).map(Var).collect();
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| Affine::from(v[i]));
        let [e, f, g, h] = [4, 5, 6, 7].map(|i| Affine::from(v[i]));
        let (rows, columns) = (|i: usize| (v[i], ROWS), |i: usize| (v[i], self.columns));
        let difference = two(Binary::Sub, load(X, &[b.clone(), f.clone()]), load(LARGEST, &[(self.seen)(b.clone())]));
        let quotient = two(Binary::Div, load(POWERS, &[d.clone(), h.clone()]), load(SUMS, &[d.clone()]));
        let body = vec![
            nest(&[rows(0)], LARGEST, &[a.clone()], fold(Fold::Max, columns(4), load(X, &[a, e]))),
            Stmt::Mark(0),
            nest(&[rows(1), columns(5)], POWERS, &[b, f], Arc::new(Node::Unary(Unary::Exp, difference))),
            nest(&[rows(2)], SUMS, &[c.clone()], fold(Fold::Add, columns(6), load(POWERS, &[c, g]))),
            nest(&[rows(3), columns(7)], self.to.0, &[&d + self.to.1, h], quotient),
        ];
        let table = |shape: &[usize]| BufferType { shape: shape.to_vec(), home, alias: None, name: String::new() };
        let wide = table(&[ROWS + 1, self.columns]);
        let buffers = vec![wide.clone(), table(&[ROWS]), wide.clone(), table(&[ROWS]), wide];
        let program = Program { buffers, ..Program::default() };
        let roots: Vec<Buffer> = (0..5).map(Buffer).collect();
        let around = For { var: Var(50), extent: 2, kind: Kind::Serial, within: None, body: body.clone() };
        let body = if inside { vec![Stmt::For(around)] } else { body };
        let step = Step { task: Var(100), tasks: 1, lockstep: false, body, label: String::new(), parts: vec![] };
        let calls = Calls::find(&program, &roots, [&step].into_iter(), lanes);
        (calls.of.len(), calls.part.len())
    }
}

#[test]
fn loops_along_the_same_rows_are_one_function() {
    let softmax = Softmax { columns: 64, seen: |row| row, to: (RESULT, 0) };
    assert_eq!((softmax.functions(16), softmax.functions(8)), ((1, 3), (1, 3)));
    let in_place = Softmax { to: (X, 0), ..softmax };
    assert_eq!(in_place.functions(16), (1, 3), "a row may be written over what it is made of");
}

#[test]
fn rows_that_need_each_other_are_not() {
    let softmax = Softmax { columns: 64, seen: |row| row, to: (RESULT, 0) };
    let backwards = Softmax { seen: |row| &Affine::constant(ROWS as i64 - 1) - &row, ..softmax };
    assert_eq!(backwards.functions(16), (2, 2), "the largest elements are all needed before the second loop");
    let below = Softmax { to: (X, 1), ..softmax };
    assert_eq!(below.functions(16), (2, 2), "what is read is written over by the row above");
}

/// Scratch lives from its first statement to its last: another table may lie there before and after.
#[test]
fn scratch_that_begins_later_is_written_when_all_rows_are_done() {
    let softmax = Softmax { columns: 64, seen: |row| row, to: (RESULT, 0) };
    assert_eq!(softmax.functions_of(16, Home::Scratch, false), (4, 0));
    assert_eq!(softmax.functions_of(16, Home::Scratch, true), (1, 3), "all of it lives as long as the loop");
}

#[test]
fn rows_that_are_not_whole_vectors_or_too_long_stay_loops() {
    for columns in [40, 17 * 16] {
        let softmax = Softmax { columns, seen: |row| row, to: (RESULT, 0) };
        assert_eq!(softmax.functions(16), (4, 0));
    }
}
