//! What is wanted of every value, from what is wanted of the output.

use super::Want;
use super::sources::{Sources, same_axis};
use crate::base::Value;
use crate::graph::Def;
use crate::ops::Op;
use std::collections::{BTreeSet, HashMap};

/// Users come before their operands here; what may not be needed in the end is wanted too.
pub(super) fn of(s: &Sources<'_>, output: Value) -> HashMap<Value, BTreeSet<Want>> {
    let mut wanted: HashMap<Value, BTreeSet<Want>> = HashMap::new();
    wanted.entry(output).or_default().insert(Want::Here(1));
    for v in s.order.iter().rev() {
        let mut own = wanted.get(v).cloned().unwrap_or_default();
        let looked_up =
            own.iter().any(|want| matches!(want, Want::Here(_))) && !s.moving.contains(v) && !in_parts(s, *v);
        if looked_up {
            own.insert(Want::Whole);
            wanted.insert(*v, own.clone());
        }
        for (x, want) in own.into_iter().flat_map(|want| all(s, *v, want)) {
            // What changes is wanted as a whole: then its element is.
            let here = (1..s.shape(x).len()).filter(|_| want == Want::Whole && s.moving.contains(&x));
            let places = here.filter(|axis| s.shape(x)[*axis] == s.extent).map(Want::Here);
            wanted.entry(x).or_default().extend(places.chain([s.settled(x, want)]));
        }
    }
    wanted
}

fn all(s: &Sources<'_>, v: Value, want: Want) -> Vec<(Value, Want)> {
    let operands = s.graph.operands(v);
    if want == Want::Whole {
        let plain = !s.moving.contains(&v) && !s.fed.contains(&v);
        return operands.into_iter().filter(|_| plain).map(|x| (x, Want::Whole)).collect();
    }
    if matches!(want, Want::Here(_)) && !s.moving.contains(&v) && !in_parts(s, v) {
        return vec![];
    }
    let mut found = vec![];
    if let Some(Op::Stack(stack)) = s.graph.op(v) {
        // All that the iteration leaves to the next one.
        let states = s.graph.recurrences[stack.of.id as usize].states.iter().flatten();
        found.extend(states.flat_map(|(carry, next)| [(*carry, Want::Now), (*next, Want::Now)]));
    }
    found.extend(operands.into_iter().zip(operand_wants(s, v, want).unwrap_or_default()));
    found
}

/// Is the element of such a value better computed than looked up?
pub(super) fn in_parts(s: &Sources<'_>, v: Value) -> bool {
    use Op::{Broadcast, Coordinate, Detach, Map, Reshape, Select, Transpose, Zip};
    let cheap = |op: &Op| {
        matches!(op, Map(_) | Zip(_) | Select(_) | Broadcast(_) | Transpose(_) | Reshape(_) | Coordinate(_) | Detach(_))
    };
    s.graph.op(v).is_some_and(cheap)
}

/// What is wanted of each operand; `None` where an op cannot be taken element by element.
pub(super) fn operand_wants(s: &Sources<'_>, v: Value, want: Want) -> Option<Vec<Want>> {
    let operands = s.graph.operands(v);
    let Def::Op(op) = &s.graph.node(v).def else { return Some(vec![]) };
    if s.exists(v).is_some() {
        return Some(vec![]);
    }
    let Want::Here(a) = want else {
        let inner = |x: &Value| if s.bodies.contains_key(x) { Want::Now } else { Want::Whole };
        return match op {
            Op::Pick(p) => s.along(p.of).then(|| vec![Want::Here(p.axis)]),
            Op::Carry(c) => s.along(c.of).then(Vec::new),
            _ => Some(operands.iter().map(inner).collect()),
        };
    };
    let others = |axes: &[usize]| (0..s.shape(operands[0]).len()).filter(|i| !axes.contains(i)).nth(a);
    let at = |axis: Option<usize>| axis.map_or(Want::Whole, Want::Here);
    let apart = |axis: usize| (axis != a).then(|| vec![want; operands.len()]);
    match op {
        Op::Map(_) | Op::Zip(_) | Op::Detach(_) => Some(vec![want; operands.len()]),
        Op::Select(_) => Some(match s.constant(operands[0]) {
            Some(_) => vec![Want::Whole, want, want],
            None => vec![want; 3],
        }),
        Op::Coordinate(_) => Some(vec![]),
        Op::Broadcast(b) => Some(vec![at(b.axes.iter().position(|x| *x == a))]),
        Op::Transpose(t) => Some(vec![Want::Here(t.perm[a])]),
        Op::Reshape(r) => same_axis(&r.shape, a, s.shape(operands[0])).map(|axis| vec![Want::Here(axis)]),
        Op::Contract(c) => {
            let letter = c.y.chars().nth(a);
            Some([&c.a, &c.b].map(|l| at(l.chars().position(|x| Some(x) == letter))).to_vec())
        }
        Op::Reduce(r) => others(&r.axes).map(|axis| vec![Want::Here(axis)]),
        Op::ArgMax(r) => others(&r.axes).map(|axis| vec![Want::Here(axis)]),
        Op::Slice(x) => apart(x.axis),
        Op::Pad(x) => apart(x.axis),
        Op::Concat(x) => apart(x.axis),
        Op::Gather(_) => (a < s.shape(operands[1]).len()).then(|| vec![Want::Whole, want]),
        Op::Conv(c) => (1..=c.spec.kernel.len()).contains(&a).then(|| vec![want, Want::Whole]),
        Op::Stack(x) => (x.axis == a && s.along(x.of)).then(|| vec![Want::Now]),
        _ => None,
    }
}
