//! Law 1: the shape rule accepts what the reference can do, and predicts its shape.

use crate::data::{Kind, operands};
use dlc_compiler::base::{Element, Tensor, TensorType};
use dlc_compiler::ops::Op;
use std::collections::BTreeSet;

fn check(op: &Op, types: &[TensorType], seed: u64) {
    let types_ref: Vec<&TensorType> = types.iter().collect();
    let Ok(ty) = op.infer(&types_ref) else {
        return;
    };
    for kind in [Kind::Mixed, Kind::Ties] {
        let x = operands(types, kind, seed);
        let y = op.eval(&x.iter().collect::<Vec<&Tensor>>());
        assert_eq!(y.shape, ty.shape, "{op:?} of {types:?}");
        assert_eq!(y.data.len(), ty.count(), "{op:?} of {types:?}");
        if let Element::Index { extent } = ty.element {
            let whole = |v: &f32| v.fract() == 0.0 && *v >= 0.0 && *v < extent as f32;
            assert!(y.data.iter().all(whole), "{op:?} of {types:?}: not below {extent}");
        }
    }
}

#[test]
fn infer_predicts_eval() {
    for (i, (op, types)) in Op::samples().iter().enumerate() {
        let types_ref: Vec<&TensorType> = types.iter().collect();
        assert!(op.infer(&types_ref).is_ok(), "{op:?} of {types:?}: {:?}", op.infer(&types_ref));
        assert_eq!(op.arity(), types.len(), "{op:?}");
        assert_eq!(op.whole().len(), types.len(), "{op:?}");
        check(op, types, i as u64);
    }
}

/// Every type near a sample's is refused or can be evaluated.
#[test]
fn infer_accepts_only_what_eval_can_do() {
    for (i, (op, types)) in Op::samples().iter().enumerate() {
        for operand in 0..types.len() {
            for changed in neighbours(&types[operand]) {
                let mut types = types.clone();
                types[operand] = changed;
                check(op, &types, i as u64);
            }
        }
        for count in 0..types.len() {
            let fewer: Vec<&TensorType> = types[..count].iter().collect();
            assert!(op.infer(&fewer).is_err(), "{op:?} of {count} operands");
        }
    }
}

fn neighbours(ty: &TensorType) -> Vec<TensorType> {
    let mut all = vec![];
    let with = |shape: Vec<usize>| TensorType { element: ty.element, shape };
    for axis in 0..ty.rank() {
        for extent in [1, ty.shape[axis] + 1, ty.shape[axis] - 1] {
            let mut shape = ty.shape.clone();
            shape[axis] = extent;
            if extent > 0 {
                all.push(with(shape));
            }
        }
        let mut fewer = ty.shape.clone();
        fewer.remove(axis);
        all.push(with(fewer));
    }
    all.push(with([&ty.shape[..], &[2]].concat()));
    all.push(with([&[2], &ty.shape[..]].concat()));
    all
}

#[test]
fn every_op_has_samples_and_one_name() {
    let names: BTreeSet<&str> = Op::samples().iter().map(|(op, _)| op.name()).collect();
    assert!(names.len() >= 45, "{names:?}");
    assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c == '_')), "{names:?}");
}
