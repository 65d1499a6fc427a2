//! Law 2: the element rule, lowered to a kernel, verifies and agrees with the reference; so does scatter.

use crate::data::{Kind, assert_close, operands};
use dlc_compiler::base::{Buffer, Tensor, TensorType};
use dlc_compiler::loops::{Affine, Coord, Expr, How, Kernel, Node, Scope, Store, expr, interp, verify};
use dlc_compiler::ops::{Op, Operand};
use std::collections::BTreeMap;
use std::sync::Arc;

const RESULT: Buffer = Buffer(1000);

/// An operand that lies in memory.
struct Stored<'a> {
    buffer: Buffer,
    ty: &'a TensorType,
}

impl Operand for Stored<'_> {
    fn ty(&self) -> &TensorType {
        self.ty
    }

    fn at(&self, _: &mut Scope, at: &[Affine]) -> Expr {
        expr::load(self.buffer, at)
    }

    fn at_index(&self, _: &mut Scope, at: Vec<Coord>) -> Expr {
        Arc::new(Node::Load(self.buffer, at))
    }
}

fn stored(types: &[TensorType]) -> Vec<Stored<'_>> {
    types.iter().enumerate().map(|(i, ty)| Stored { buffer: Buffer(i as u32), ty }).collect()
}

fn by_element(op: &Op, types: &[TensorType], y: &TensorType) -> Vec<Kernel> {
    let stored = stored(types);
    let operands: Vec<&dyn Operand> = stored.iter().map(|s| s as &dyn Operand).collect();
    let mut s = Scope::default();
    let (axes, at) = s.axes(&y.shape);
    let value = op.element(&mut s, &operands, &at);
    let at = at.into_iter().map(Coord::Affine).collect();
    vec![Kernel { axes, stores: vec![Store { buffer: RESULT, at, value, how: How::Set }] }]
}

fn by_scatter(op: &Op, types: &[TensorType], y: &TensorType) -> Option<Vec<Kernel>> {
    let stored = stored(types);
    let operands: Vec<&dyn Operand> = stored.iter().map(|s| s as &dyn Operand).collect();
    let parts = op.scatter(&mut Scope::default(), &operands, y)?;
    assert!(!parts.is_empty(), "{op:?}: an empty scatter");
    let kernel = |part: dlc_compiler::ops::Scatter| {
        let here = |store: Store| Store { buffer: RESULT, ..store };
        Kernel { axes: part.axes, stores: part.stores.into_iter().map(here).collect() }
    };
    Some(parts.into_iter().map(kernel).collect())
}

/// Runs kernels that together make up the result; with `Set` each element is stored exactly once.
fn run(op: &Op, kernels: &[Kernel], x: &[Tensor], y: &TensorType) -> Tensor {
    let shape = |b: Buffer| {
        if b == RESULT { Some(y.shape.clone()) } else { x.get(b.index()).map(|x| x.shape.clone()) }
    };
    let mut buffers: BTreeMap<Buffer, Tensor> =
        x.iter().enumerate().map(|(i, x)| (Buffer(i as u32), x.clone())).collect();
    buffers.insert(RESULT, Tensor::filled(&y.shape, 0.0));
    for kernel in kernels {
        verify::kernel(kernel, &shape).unwrap_or_else(|e| panic!("{op:?}: {e}"));
        interp::run(kernel, &mut buffers).unwrap_or_else(|e| panic!("{op:?}: {e}"));
    }
    let result = buffers.remove(&RESULT).expect("it was there");
    if kernels.iter().all(|k| k.stores.iter().all(|s| s.how == How::Set)) {
        assert_covered_once(op, kernels, &mut buffers, y);
    }
    result
}

fn assert_covered_once(op: &Op, kernels: &[Kernel], buffers: &mut BTreeMap<Buffer, Tensor>, y: &TensorType) {
    buffers.insert(RESULT, Tensor::filled(&y.shape, 0.0));
    for kernel in kernels {
        let count = |s: &Store| Store { value: expr::constant(1.0), how: How::Add, ..s.clone() };
        let counting = Kernel { axes: kernel.axes.clone(), stores: kernel.stores.iter().map(count).collect() };
        interp::run(&counting, buffers).expect("it ran before");
    }
    assert!(buffers[&RESULT].data.iter().all(|n| *n == 1.0), "{op:?}: {:?}", buffers[&RESULT]);
}

#[test]
fn elements_and_scatters_agree_with_eval() {
    let mut scattered = 0;
    for (i, (op, types)) in Op::samples().iter().enumerate() {
        let y = op.infer(&types.iter().collect::<Vec<_>>()).expect("samples fit");
        let element = by_element(op, types, &y);
        let scatter = by_scatter(op, types, &y);
        scattered += usize::from(scatter.is_some());
        for (kind, seed) in [(Kind::Mixed, 1), (Kind::Positive, 2), (Kind::Ties, 3), (Kind::Ties, 4)] {
            let x = operands(types, kind, seed + 10 * i as u64);
            let reference = op.eval(&x.iter().collect::<Vec<&Tensor>>());
            let what = format!("{op:?} of {types:?}, {kind:?}");
            assert_close(&run(op, &element, &x, &y), &reference, 1e-5, &format!("element of {what}"));
            if let Some(scatter) = &scatter {
                assert_close(&run(op, scatter, &x, &y), &reference, 1e-5, &format!("scatter of {what}"));
            }
        }
    }
    assert!(scattered >= 10, "only {scattered} samples scatter");
}

/// Strided adjoints must come apart into sums over exactly their taps, never into a search.
#[test]
fn scatters_do_not_search() {
    for (op, types) in Op::samples() {
        let y = op.infer(&types.iter().collect::<Vec<_>>()).expect("samples fit");
        for kernel in by_scatter(&op, &types, &y).into_iter().flatten() {
            for store in &kernel.stores {
                assert!(!searches(&store.value), "{op:?}: {store:?}");
            }
        }
    }
}

/// Is there a guard that holds at one point only, or a comparison of coordinates with data of another axis?
fn searches(expr: &Expr) -> bool {
    match &**expr {
        Node::Const(_) | Node::Coord(_) | Node::Load(..) | Node::Random { .. } => false,
        Node::Unary(_, x) => searches(x),
        Node::Binary(_, a, b) => searches(a) || searches(b),
        Node::Select(c, a, b) => [c, a, b].into_iter().any(searches),
        Node::Reduce { body, .. } => searches(body),
        Node::Guard { inside, body, .. } => {
            // A guard on more than one variable with extent 1 is an equation.
            inside.iter().any(|(at, n)| *n == 1 && at.terms.len() > 2) || searches(body)
        }
    }
}
