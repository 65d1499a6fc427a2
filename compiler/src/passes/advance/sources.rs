//! What is known of the graph over the whole sequence.

use super::Want;
use crate::base::Value;
use crate::graph::{Def, Graph};
use crate::loops::Binary;
use crate::ops::{Op, Recur, Zip};
use std::collections::{HashMap, HashSet};

pub(super) struct Sources<'g> {
    pub graph: &'g Graph,
    pub order: Vec<Value>,
    pub bodies: HashMap<Value, Recur>,
    /// The input that grows, and that which says how long it is.
    pub grows: Value,
    length: Option<Value>,
    /// Places along it.
    pub extent: usize,
    /// What changes as it grows.
    pub moving: HashSet<Value>,
    /// What depends on other inputs, or on a recurrence.
    pub fed: HashSet<Value>,
}

impl<'g> Sources<'g> {
    pub fn new(graph: &'g Graph, grows: &str, length: Option<&str>) -> Option<Sources<'g>> {
        let grows = graph.find_input(grows)?;
        let extent = *graph.node(grows).ty.shape.get(1)?;
        let (order, bodies) = (graph.order(), graph.bodies());
        let length = length.and_then(|name| graph.find_input(name));
        let mut moving: HashSet<Value> = length.into_iter().chain([grows]).collect();
        let mut fed = HashSet::new();
        // A state depends on what its next value does.
        loop {
            let before = (moving.len(), fed.len());
            for v in &order {
                let operands = graph.operands(*v);
                if operands.iter().any(|x| moving.contains(x)) {
                    moving.insert(*v);
                }
                let other = matches!(graph.node(*v).def, Def::Input(_)) && !moving.contains(v);
                if other || bodies.contains_key(v) || operands.iter().any(|x| fed.contains(x)) {
                    fed.insert(*v);
                }
            }
            for (carry, next) in graph.recurrences.iter().flat_map(|r| r.states.iter().flatten()) {
                if moving.contains(next) {
                    moving.insert(*carry);
                }
            }
            if before == (moving.len(), fed.len()) {
                break;
            }
        }
        Some(Sources { graph, order, bodies, grows, length, extent, moving, fed })
    }

    /// What is in no recurrence is the same in every iteration.
    pub fn settled(&self, v: Value, want: Want) -> Want {
        if want == Want::Now && !self.bodies.contains_key(&v) { Want::Whole } else { want }
    }

    pub fn shape(&self, v: Value) -> &[usize] {
        &self.graph.node(v).ty.shape
    }

    /// Does a recurrence go along with the input, element by element?
    pub fn along(&self, of: Recur) -> bool {
        !of.reverse && of.length == self.extent
    }

    /// The number that stands everywhere in `v`.
    pub fn constant(&self, v: Value) -> Option<f32> {
        match self.graph.op(v) {
            Some(Op::Broadcast(_) | Op::Detach(_) | Op::Reshape(_)) => self.constant(self.graph.operands(v)[0]),
            Some(_) => None,
            None => self.graph.as_constant(v),
        }
    }

    /// The axis whose coordinate `v` is at every place.
    pub fn coordinate(&self, v: Value) -> Option<usize> {
        let operands = self.graph.operands(v);
        match self.graph.op(v)? {
            Op::Coordinate(c) => Some(c.axis),
            Op::Broadcast(b) => b.axes.get(self.coordinate(operands[0])?).copied(),
            Op::Transpose(t) => {
                let axis = self.coordinate(operands[0])?;
                t.perm.iter().position(|p| *p == axis)
            }
            Op::Detach(_) => self.coordinate(operands[0]),
            Op::Select(_) => self.coordinate(operands[1 + usize::from(self.constant(operands[0])? == 0.0)]),
            _ => None,
        }
    }

    /// The axis along which `v` says whether there is an element: its coordinate is below the length.
    pub fn exists(&self, v: Value) -> Option<usize> {
        let Some(Op::Zip(Zip(Binary::Lt))) = self.graph.op(v) else { return None };
        let [place, end] = self.graph.operands(v)[..] else { return None };
        let Some(Op::Broadcast(_)) = self.graph.op(end) else { return None };
        let length = self.graph.operands(end)[0];
        if Some(length) == self.length { self.coordinate(place) } else { None }
    }
}

/// The axis of `to` that is `axis` of `from`, where a reshape leaves it alone.
pub(super) fn same_axis(from: &[usize], axis: usize, to: &[usize]) -> Option<usize> {
    let (before, extent): (usize, _) = (from[..axis].iter().product(), from[axis]);
    (0..to.len()).find(|i| to[*i] == extent && to[..*i].iter().product::<usize>() == before)
}
