//! Which values lie in memory and which are computed where they are read.
//!
//! A value is stored if someone outside needs it (an output, a next state), if it reduces or scatters, if it is read
//! as a whole or through a view that merges axes, if a contraction reads it and it is more than data movement, or if
//! computing it again for every reader would cost more than a load.

use super::compose::{Profile, profile, through_view};
use crate::base::Value;
use crate::graph::recur::{Recurrence, closes};
use crate::graph::{Def, Graph};
use crate::loops::Binary;
use crate::ops::{Op, Recur, Zip};
use std::collections::{HashMap, HashSet};

/// An expression of at most this many operations is computed again by each of a few readers.
const CHEAP: usize = 3;

/// An expression of at most this many operations on one table is never worth a table of its own.
const SLIGHT: usize = 1;
/// A value that each of so many elements needs again is computed once, whatever it costs.
const SPREAD: usize = 8;

pub struct Decision {
    pub stored: HashSet<Value>,
    pub profiles: HashMap<Value, Profile>,
    /// Values that are computed in every iteration of a recurrence.
    pub bodies: HashMap<Value, Recur>,
}

/// `fuse = false` stores every op's result, for comparison.
pub fn decide(graph: &Graph, fuse: bool) -> Decision {
    let order = graph.order();
    let profiles: HashMap<Value, Profile> = order.iter().map(|v| (*v, profile(graph, *v))).collect();
    let mut d = Decision { stored: HashSet::new(), profiles, bodies: graph.bodies() };
    let mut needed: HashSet<Value> = graph.outputs.iter().map(|(_, v)| *v).collect();
    needed.extend(graph.state.iter().filter_map(|s| s.next));
    let carried = graph.recurrences.iter().flat_map(Recurrence::next_values);
    let stacked = order.iter().filter(|v| graph.op(**v).is_some_and(|op| closes(op).is_some()));
    let lasting = carried.chain(stacked.flat_map(|v| graph.operands(*v)));
    needed.extend(lasting.filter(|v| d.bodies.contains_key(v) && !d.profiles[v].moves));
    for v in order.iter().rev() {
        if must_store(graph, *v, &d, &needed) || (!fuse && !is_leaf(graph, *v)) || worth(graph, *v, &d) {
            d.stored.insert(*v);
        }
    }
    if fuse {
        shorten(graph, &order, &mut d);
    }
    d
}

/// Stores what several readers would each put together from many tables: sums along a chain of shortcuts grow with
/// its length otherwise.
fn shorten(graph: &Graph, order: &[Value], d: &mut Decision) {
    let mut tables: HashMap<Value, usize> = HashMap::new();
    for v in order {
        let count = graph.node(*v).ty.count();
        let large = |x: &Value| SPREAD * graph.node(*x).ty.count() > count;
        let of =
            |x: Value| if d.stored.contains(&x) || !matches!(graph.node(x).def, Def::Op(_)) { 1 } else { tables[&x] };
        let read = graph.operands(*v).iter().copied().filter(large).map(of).sum();
        tables.insert(*v, read);
        let open = !d.stored.contains(v) && matches!(graph.node(*v).def, Def::Op(_)) && !d.profiles[v].moves;
        if open && count > 1 {
            let mut found = vec![];
            readers(graph, *v, d, true, &mut found);
            // Each reader reads all tables, or the one that is made of them. What a contraction adds to its result takes the
            // place of the result.
            let made = if ends_contraction(graph, *v, d) { read - 1 } else { read + 1 };
            if read * found.len() > made + found.len() {
                d.stored.insert(*v);
            }
        }
    }
}

fn is_leaf(graph: &Graph, v: Value) -> bool {
    match &graph.node(v).def {
        Def::Constant(_) => true,
        Def::Op(op) => op.is_view(),
        Def::Input(_) | Def::State(_) => false,
    }
}

fn must_store(graph: &Graph, v: Value, d: &Decision, needed: &HashSet<Value>) -> bool {
    let node = graph.node(v);
    if !matches!(node.def, Def::Op(_)) {
        return !matches!(node.def, Def::Constant(_)) || needed.contains(&v);
    }
    if needed.contains(&v) || d.profiles[&v].reduces || scatters(graph, v) {
        return true;
    }
    if graph.op(v).is_some_and(|op| matches!(op, Op::Carry(_)) || closes(op).is_some()) {
        return true;
    }
    graph.users(v).into_iter().any(|u| is_view(graph, u) && !transparent(graph, v, u)) || is_read_whole(graph, v)
}

/// Does someone read `v` at indices from data, directly or through a view?
fn is_read_whole(graph: &Graph, v: Value) -> bool {
    graph.users(v).into_iter().any(|u| match &graph.node(u).def {
        Def::Op(op) if op.is_view() => is_read_whole(graph, u),
        Def::Op(op) => graph.operands(u).iter().zip(op.whole()).any(|(x, whole)| *x == v && whole),
        Def::Input(_) | Def::State(_) | Def::Constant(_) => false,
    })
}

/// Does the op answer with stores instead of an element rule?
pub fn scatters(graph: &Graph, v: Value) -> bool {
    struct Typed<'a>(&'a crate::base::TensorType);
    impl crate::ops::Operand for Typed<'_> {
        fn ty(&self) -> &crate::base::TensorType {
            self.0
        }
        fn at(&self, _: &mut crate::loops::Scope, _: &[crate::loops::Affine]) -> crate::loops::Expr {
            crate::loops::expr::constant(0.0)
        }
        fn at_index(&self, _: &mut crate::loops::Scope, _: Vec<crate::loops::Coord>) -> crate::loops::Expr {
            crate::loops::expr::constant(0.0)
        }
    }
    let node = graph.node(v);
    let Def::Op(op) = &node.def else { return false };
    let operands = graph.operands(v);
    let typed: Vec<Typed<'_>> = operands.iter().map(|x| Typed(&graph.node(*x).ty)).collect();
    let typed: Vec<&dyn crate::ops::Operand> = typed.iter().map(|t| t as &dyn crate::ops::Operand).collect();
    op.scatter(&mut crate::loops::Scope::default(), &typed, &node.ty).is_some()
}

pub fn is_view(graph: &Graph, v: Value) -> bool {
    matches!(&graph.node(v).def, Def::Op(op) if op.is_view())
}

/// Can `u`, a view of `v`, be read through?
pub fn transparent(graph: &Graph, v: Value, u: Value) -> bool {
    let to = &graph.node(u).ty.shape;
    let at = vec![crate::loops::Affine::default(); to.len()];
    through_view(&graph.node(v).ty.shape, to, &at).is_some()
}

/// Readers of `v` through values that are not stored, and whether each reads every element once.
fn readers(graph: &Graph, v: Value, d: &Decision, once: bool, found: &mut Vec<(Value, bool)>) {
    for u in graph.users(v) {
        let p = &d.profiles[&u];
        let reads_once = graph.operands(u).iter().zip(&p.once).filter(|(x, _)| **x == v).all(|(_, o)| *o);
        let once = once && reads_once;
        if !d.stored.contains(&u) && p.moves {
            readers(graph, u, d, once, found);
        } else if !found.iter().any(|(x, _)| *x == u) {
            found.push((u, once));
        }
    }
}

/// Does `u` need each element of `v` many times?
fn is_spread(graph: &Graph, v: Value, u: Value) -> bool {
    let count = |v: Value| graph.node(v).ty.count();
    let work = graph.operands(u).iter().map(|x| count(*x)).max().unwrap_or(0).max(count(u));
    work >= SPREAD * count(v)
}

/// Is `v` made of one table that is stored anyway, and of what is small beside it?
fn reads_one_table(graph: &Graph, v: Value, d: &Decision) -> bool {
    let count = graph.node(v).ty.count();
    let operands: Vec<Value> = graph.operands(v).iter().map(|x| source(graph, *x, d)).collect();
    let (large, small): (Vec<Value>, Vec<Value>) =
        operands.into_iter().partition(|x| SPREAD * graph.node(*x).ty.count() > count);
    let is_kept = |x: &Value| !matches!(graph.node(*x).def, Def::Op(_)) || d.profiles[x].reduces;
    large.len() == 1 && large.iter().all(is_kept) && !small.is_empty()
}

/// What `v` shows, if it is a view or a copy: what it shows is as large as what it is made of.
fn source(graph: &Graph, mut v: Value, d: &Decision) -> Value {
    while matches!(graph.node(v).def, Def::Op(_)) && d.profiles[&v].moves {
        let [of] = graph.operands(v)[..] else { return v };
        v = of;
    }
    v
}

/// Is `v` the sum of a contraction that nothing else reads, of a number for each column, and of one other table? Tiles
/// add both to their result.
fn ends_contraction(graph: &Graph, v: Value, d: &Decision) -> bool {
    let (mut open, mut addends) = (vec![v], vec![]);
    while let Some(x) = open.pop() {
        match graph.op(x) {
            Some(Op::Zip(Zip(Binary::Add))) if x == v || !d.stored.contains(&x) => open.extend(graph.operands(x)),
            _ => addends.push(x),
        }
    }
    let count = graph.node(v).ty.count();
    let small = |x: &&Value| SPREAD * graph.node(source(graph, **x, d)).ty.count() <= count;
    let contraction = |x: &&Value| {
        matches!(graph.node(**x).def, Def::Op(_)) && d.profiles[*x].contracts && graph.users(**x).len() == 1
    };
    addends.len() == 3
        && addends.iter().filter(small).count() == 1
        && addends.iter().filter(|x| contraction(x) && !small(x)).count() == 1
}

/// Is `v`, made once, read as it is in every iteration of a recurrence?
fn is_repeated(graph: &Graph, v: Value, d: &Decision) -> bool {
    !d.bodies.contains_key(&v)
        && graph.users(v).into_iter().any(|u| {
            let inside = d.bodies.contains_key(&u);
            (inside && !matches!(graph.op(u), Some(Op::Pick(_) | Op::Carry(_))))
                || (!inside && d.profiles[&u].moves && !d.stored.contains(&u) && is_repeated(graph, u, d))
        })
}

/// Do readers take different slices of `v`, so that each element has one?
fn is_shared_out(graph: &Graph, v: Value, d: &Decision) -> bool {
    let mut taken: Vec<(usize, usize, usize)> = vec![];
    graph.users(v).into_iter().all(|u| {
        let Some(Op::Slice(s)) = graph.op(u) else { return false };
        let mut found = vec![];
        readers(graph, u, d, true, &mut found);
        let apart = |(axis, start, end): &(usize, usize, usize)| {
            *axis == s.axis && (*end <= s.start || s.start + s.len <= *start)
        };
        let own = !d.stored.contains(&u) && found.len() == 1 && taken.iter().all(apart);
        taken.push((s.axis, s.start, s.start + s.len));
        own
    })
}

/// Is `v` made cheaply of coordinates and numbers alone, such as what a causal attention may see?
fn is_of_places(graph: &Graph, v: Value, d: &Decision) -> bool {
    match &graph.node(v).def {
        Def::Constant(_) => true,
        Def::Input(_) | Def::State(_) => false,
        Def::Op(Op::Random(_)) => false,
        Def::Op(op) => {
            let p = &d.profiles[&v];
            let light =
                p.cost <= CHEAP && !p.reduces && !p.looks_up && closes(op).is_none() && !matches!(op, Op::Carry(_));
            light && graph.operands(v).iter().all(|x| is_of_places(graph, *x, d))
        }
    }
}

/// Does `v` show rows that are looked up? Loops that do so have narrow vectors: one is enough.
fn looks_up(graph: &Graph, v: Value, d: &Decision) -> bool {
    let moves = matches!(graph.node(v).def, Def::Op(_)) && d.profiles[&v].moves;
    moves && (d.profiles[&v].looks_up || graph.operands(v).iter().any(|x| looks_up(graph, *x, d)))
}

/// Does a convolution read `v`, which shows elements of a smaller table at several places? It walks tables of its own shape.
fn spreads_into_convolution(graph: &Graph, v: Value, d: &Decision) -> bool {
    let convolves = |u: &Value| matches!(graph.op(*u), Some(Op::Conv(_) | Op::ConvDx(_) | Op::ConvDw(_)));
    let spread = graph.node(source(graph, v, d)).ty.count() < graph.node(v).ty.count();
    spread && graph.users(v).iter().any(convolves)
}

/// Is storing `v` cheaper than computing it where it is read?
fn worth(graph: &Graph, v: Value, d: &Decision) -> bool {
    let p = &d.profiles[&v];
    if p.moves && spreads_into_convolution(graph, v, d) {
        return true;
    }
    if (p.moves && !p.looks_up) || graph.node(v).ty.count() == 1 || is_of_places(graph, v, d) {
        return false;
    }
    if !p.moves && is_repeated(graph, v, d) {
        return true;
    }
    let mut found = vec![];
    readers(graph, v, d, true, &mut found);
    if p.moves {
        // Rows that are looked up lie where they are, but for contractions, which walk evenly.
        return found.iter().any(|(u, _)| d.profiles[u].contracts);
    }
    if found.iter().any(|(u, _)| d.profiles[u].contracts) {
        return true;
    }
    if found.iter().any(|(u, once)| !once && is_spread(graph, v, *u)) {
        return true;
    }
    if found.len() > 1 && graph.operands(v).iter().any(|x| looks_up(graph, *x, d)) {
        return true;
    }
    if p.cost <= SLIGHT && reads_one_table(graph, v, d) {
        return false;
    }
    let once = found.iter().all(|(_, once)| *once);
    let several = if is_shared_out(graph, v, d) { 1 } else { found.len() };
    match several {
        0 | 1 => !once && p.cost > CHEAP,
        2 | 3 => p.cost > CHEAP || !once,
        _ => true,
    }
}
