//! What must hold of every graph, recomputed after every pass:
//!
//! - there is no cycle;
//! - an op has its number of operands, in slots 0, 1, ..; nothing else has operands;
//! - the type of an op's result is what its shape rule says; constants have shape [];
//! - inputs have different names, states different paths, outputs different names;
//! - every state value in the graph is declared, once, and its next value has its type;
//! - a recurrence's states have next values of their shape, and no value is made of iterations of two;
//! - outputs exist.

use super::{Def, Graph};
use crate::base::{TensorType, Value};
use petgraph::Direction;
use std::collections::BTreeSet;

impl Graph {
    /// The first broken invariant, in words.
    pub fn verify(&self) -> Result<(), String> {
        let order = self.order();
        if order.len() != self.len() {
            return Err(format!("a cycle among {} values", self.len() - order.len()));
        }
        let mut inputs = BTreeSet::new();
        for v in order {
            self.verify_slots(v)?;
            self.verify_type(v)?;
            if let Def::Input(name) = &self.node(v).def
                && !inputs.insert(name)
            {
                return Err(format!("{v}: a second input {name}"));
            }
        }
        self.verify_state()?;
        self.verify_recurrences()?;
        let mut names = BTreeSet::new();
        for (name, v) in &self.outputs {
            if !self.contains(*v) || !names.insert(name) {
                return Err(format!("output {name} is gone or doubled"));
            }
        }
        Ok(())
    }

    fn verify_slots(&self, v: Value) -> Result<(), String> {
        let mut slots: Vec<usize> =
            self.inner.edges_directed(super::index(v), Direction::Incoming).map(|e| *e.weight()).collect();
        slots.sort_unstable();
        let arity = self.op(v).map_or(0, |op| op.arity());
        if slots.iter().copied().eq(0..arity) {
            return Ok(());
        }
        Err(format!("{v}: operands in slots {slots:?} of {arity}"))
    }

    fn verify_type(&self, v: Value) -> Result<(), String> {
        let node = self.node(v);
        let expected = match &node.def {
            Def::Op(op) => {
                let operands = self.operands(v);
                let types: Vec<&TensorType> = operands.iter().map(|o| &self.node(*o).ty).collect();
                op.infer(&types).map_err(|e| {
                    let operand = operands.get(e.operand);
                    format!("{v}: {} needs {} as operand {operand:?}", op.name(), e.expected)
                })?
            }
            Def::Constant(_) => TensorType::new(&[]),
            Def::Input(_) | Def::State(_) => return Ok(()),
        };
        if node.ty == expected {
            return Ok(());
        }
        Err(format!("{v}: has type {}, its rule says {expected}", node.ty))
    }

    fn verify_state(&self) -> Result<(), String> {
        let mut paths = BTreeSet::new();
        for s in &self.state {
            if !paths.insert(&s.path) {
                return Err(format!("a second state {}", s.path));
            }
            if !self.contains(s.value) || self.node(s.value).def != Def::State(s.path.clone()) {
                return Err(format!("the value of state {} is gone", s.path));
            }
            if let Some(next) = s.next {
                let ty = &self.node(s.value).ty;
                if !self.contains(next) || self.node(next).ty.shape != ty.shape {
                    return Err(format!("the next value of {} is gone or not {ty}", s.path));
                }
            }
        }
        let declared = self.inner.node_weights().filter(|n| matches!(n.def, Def::State(_))).count();
        if declared == self.state.len() {
            return Ok(());
        }
        Err(format!("{declared} state values for {} states", self.state.len()))
    }
}
