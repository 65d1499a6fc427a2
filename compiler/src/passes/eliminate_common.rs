//! Computes equal values once: same definition, same operands (in any order for `add` and `mul`).
//!
//! The earliest stays, with its origin.

use super::UpdateRule;
use crate::base::Value;
use crate::graph::{Def, Graph};
use crate::loops::Binary;
use crate::ops::{Op, Zip};
use std::collections::HashMap;

pub(super) fn run(graph: &mut Graph, _: &dyn UpdateRule) {
    let mut known: HashMap<(Def, Vec<Value>), Value> = HashMap::new();
    for v in graph.order() {
        let def = graph.node(v).def.clone();
        let mut operands = graph.operands(v);
        if let Def::Op(Op::Zip(Zip(Binary::Add | Binary::Mul))) = def {
            operands.sort_unstable();
        }
        match known.get(&(def.clone(), operands.clone())) {
            Some(earlier) => {
                graph.replace_uses(v, *earlier);
                graph.remove(v);
            }
            None => drop(known.insert((def, operands), v)),
        }
    }
}
