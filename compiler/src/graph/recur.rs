//! Recurrences of a graph: states that are carried from iteration to iteration, and which values are computed in each.

use super::{Def, Graph};
use crate::base::Value;
use crate::ops::{Carry, History, Op, Pick, Recur, Stack};
use std::collections::{HashMap, HashSet};

/// One recurrence.
#[derive(Clone, PartialEq, Debug)]
pub struct Recurrence {
    pub of: Recur,
    /// Each state as it is carried in, and its next value; `None` once nothing needs it.
    pub states: Vec<Option<(Value, Value)>>,
}

impl Recurrence {
    /// What the next iteration gets.
    pub fn next_values(&self) -> impl Iterator<Item = Value> + '_ {
        self.states.iter().flatten().map(|(_, next)| *next)
    }
}

/// The recurrence whose iterations an op takes apart.
fn opens(op: &Op) -> Option<Recur> {
    match op {
        Op::Carry(Carry { of, .. }) | Op::Pick(Pick { of, .. }) => Some(*of),
        _ => None,
    }
}

/// The recurrence whose iterations an op puts together.
pub fn closes(op: &Op) -> Option<Recur> {
    match op {
        Op::Stack(Stack { of, .. }) | Op::History(History { of, .. }) => Some(*of),
        _ => None,
    }
}

impl Graph {
    /// A recurrence without states so far.
    pub fn recurrence(&mut self, length: usize, reverse: bool) -> Recur {
        let of = Recur { id: self.recurrences.len() as u32, length, reverse };
        self.recurrences.push(Recurrence { of, states: vec![] });
        of
    }

    /// A state of a recurrence, whose next value is itself until [`Graph::set_next`].
    pub fn carry(&mut self, of: Recur, init: Value) -> Value {
        let which = self.recurrences[of.id as usize].states.len();
        let carry = self.emit_here().emit(Carry { of, which }.into(), &[init]);
        self.recurrences[of.id as usize].states.push(Some((carry, carry)));
        carry
    }

    /// What a state is in the next iteration.
    pub fn set_next(&mut self, carry: Value, next: Value) {
        let states = self.recurrences.iter_mut().flat_map(|r| r.states.iter_mut().flatten());
        states.filter(|(c, _)| *c == carry).for_each(|(_, n)| *n = next);
    }

    /// The recurrence in whose iterations each value is computed anew; others are not in the map.
    pub fn bodies(&self) -> HashMap<Value, Recur> {
        let mut found: HashMap<Value, Recur> = HashMap::new();
        if self.recurrences.is_empty() {
            return found;
        }
        for v in self.order() {
            let Some(op) = self.op(v) else { continue };
            let inherited = || self.operands(v).iter().find_map(|x| found.get(x).copied());
            let own = match (opens(op), closes(op)) {
                (Some(of), _) => Some(of),
                (None, Some(_)) => None,
                (None, None) => inherited(),
            };
            if let Some(of) = own {
                found.insert(v, of);
            }
        }
        found
    }

    /// Values of bodies that neither a next iteration nor anything outside takes.
    pub fn idle(&self) -> HashSet<Value> {
        let bodies = self.bodies();
        let stacked = bodies
            .keys()
            .filter(|v| self.users(**v).into_iter().any(|u| self.op(u).is_some_and(|op| closes(op).is_some())));
        let mut open: Vec<Value> = stacked.copied().collect();
        let states = self.recurrences.iter().flat_map(|r| r.states.iter().flatten());
        open.extend(states.flat_map(|(carry, next)| [*carry, *next]));
        let mut idle: HashSet<Value> = bodies.keys().copied().collect();
        while let Some(v) = open.pop() {
            if idle.remove(&v) {
                open.extend(self.operands(v));
            }
        }
        idle
    }

    /// Where what `op` stacks, all values that it stacks and carries on: they belong to one recurrence.
    pub(super) fn verify_recurrences(&self) -> Result<(), String> {
        let bodies = self.bodies();
        for (i, r) in self.recurrences.iter().enumerate() {
            for (which, state) in r.states.iter().enumerate() {
                let Some((carry, next)) = state else { continue };
                if !self.contains(*carry) || !self.contains(*next) {
                    return Err(format!("state {which} of recurrence {i} is gone"));
                }
                if self.node(*carry).def != Def::Op(Carry { of: r.of, which }.into()) {
                    return Err(format!("{carry} is not state {which} of recurrence {i}"));
                }
                if self.node(*next).ty.shape != self.node(*carry).ty.shape {
                    return Err(format!("the next value of state {which} of recurrence {i} has another shape"));
                }
            }
        }
        for v in self.order() {
            let Some(op) = self.op(v) else { continue };
            let known = |of: Recur| self.recurrences.get(of.id as usize).is_some_and(|r| r.of == of);
            if opens(op).or(closes(op)).is_some_and(|of| !known(of)) {
                return Err(format!("{v} belongs to no recurrence of the graph"));
            }
            if let Op::Carry(c) = op
                && self.recurrences[c.of.id as usize].states.get(c.which).copied().flatten().map(|s| s.0) != Some(v)
            {
                return Err(format!("{v} is no state of its recurrence"));
            }
            if let Op::History(h) = op
                && self.recurrences[h.of.id as usize].states.get(h.which).copied().flatten().map(|s| s.1)
                    != self.operands(v).first().copied()
            {
                return Err(format!("{v} is the history of no state"));
            }
            let of = opens(op).or(closes(op)).or_else(|| bodies.get(&v).copied());
            let nested = |x: &Value| bodies.get(x).is_some_and(|own| Some(*own) != of || opens(op).is_some());
            if self.operands(v).iter().any(nested) {
                return Err(format!("{v} mixes the iterations of two recurrences"));
            }
        }
        Ok(())
    }
}

/// What puts iterations together waits for everything that they compute.
pub(super) struct Gates {
    before: HashMap<Value, usize>,
    after: HashMap<Value, Vec<Value>>,
}

impl Gates {
    pub fn new(graph: &Graph) -> Gates {
        let mut gates = Gates { before: HashMap::new(), after: HashMap::new() };
        if graph.recurrences.is_empty() {
            return gates;
        }
        let mut closing: HashMap<Recur, Vec<Value>> = HashMap::new();
        for v in graph.inner.node_indices().map(super::value) {
            if let Some(of) = graph.op(v).and_then(closes) {
                closing.entry(of).or_default().push(v);
            }
        }
        for (of, closing) in closing {
            let states = graph.recurrences.get(of.id as usize).into_iter().flat_map(|r| r.states.iter().flatten());
            let states = states.flat_map(|(carry, next)| [*carry, *next]);
            let stacked = closing.iter().flat_map(|v| graph.operands(*v));
            let sources: HashSet<Value> = states.chain(stacked).filter(|v| graph.contains(*v)).collect();
            for v in &closing {
                *gates.before.entry(*v).or_default() += sources.len();
            }
            for source in sources {
                gates.after.entry(source).or_default().extend(&closing);
            }
        }
        gates
    }

    /// How many values `v` waits for besides its operands.
    pub fn before(&self, v: Value) -> usize {
        self.before.get(&v).copied().unwrap_or(0)
    }

    /// Which values wait for `v` besides its users.
    pub fn after(&self, v: Value) -> &[Value] {
        self.after.get(&v).map_or(&[], Vec::as_slice)
    }
}
