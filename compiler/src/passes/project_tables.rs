//! A contraction of looked-up rows is a look-up of contracted rows, where the table has fewer rows than are looked up.
//!
//! `dense(embed(x))` becomes a look-up in `dense` of the table; so does a bias that is added after it. Forward and, since
//! this comes before `differentiate`, backward too: gradients are added up in the small table first.

use super::UpdateRule;
use crate::base::Value;
use crate::graph::Graph;
use crate::loops::Binary;
use crate::ops::{Broadcast, Contract, Op, Zip};

pub(super) fn run(graph: &mut Graph, _: &dyn UpdateRule) {
    for v in graph.order() {
        let made = match graph.op(v).cloned() {
            Some(Op::Contract(c)) => product(graph, &c, v),
            Some(Op::Zip(Zip(Binary::Add))) => shifted(graph, v),
            _ => None,
        };
        if let Some(made) = made.filter(|made| graph.node(*made).ty == graph.node(v).ty) {
            graph.replace_uses(v, made);
        }
    }
}

/// Table and indices of rows that are looked up here alone, and more often than there are rows.
fn looked_up(graph: &Graph, x: Value) -> Option<(Value, Value)> {
    let Some(Op::Gather(_)) = graph.op(x) else { return None };
    let [table, index] = graph.operands(x)[..] else { return None };
    let rows = graph.node(table).ty.shape[0];
    let alone = graph.users(x).len() == 1 && !graph.is_result(x);
    (alone && rows < graph.node(index).ty.count()).then_some((table, index))
}

fn product(graph: &mut Graph, c: &Contract, v: Value) -> Option<Value> {
    let [a, w] = graph.operands(v)[..] else { return None };
    let (table, index) = looked_up(graph, a)?;
    let places = graph.node(index).ty.rank();
    let (of_index, of_row): (String, String) = (c.a.chars().take(places).collect(), c.a.chars().skip(places).collect());
    // The result is the indices' axes, then others; the weight knows only the axes of a row.
    let rest = c.y.strip_prefix(&of_index)?;
    if c.b.chars().any(|l| of_index.contains(l)) || of_row.is_empty() {
        return None;
    }
    let used = format!("{}{}", c.a, c.b);
    let row = ('a'..='z').chain('A'..='Z').find(|l| !used.contains(*l))?;
    graph.set_origin(graph.node(v).origin.clone());
    let e = graph.emit_here();
    let projected = e.contract(table, &format!("{row}{of_row}"), w, &c.b, &format!("{row}{rest}"));
    Some(e.gather(projected, index))
}

fn shifted(graph: &mut Graph, v: Value) -> Option<Value> {
    let [a, b] = graph.operands(v)[..] else { return None };
    let (rows, shift) = if looked_up(graph, a).is_some() { (a, b) } else { (b, a) };
    let (table, index) = looked_up(graph, rows)?;
    let Some(Op::Broadcast(Broadcast { axes, .. })) = graph.op(shift).cloned() else { return None };
    let places = graph.node(index).ty.rank();
    let of_row: Option<Vec<usize>> = axes.iter().map(|i| i.checked_sub(places).map(|i| i + 1)).collect();
    let (of_row, shape, small) = (of_row?, graph.node(table).ty.shape.clone(), graph.operands(shift)[0]);
    graph.set_origin(graph.node(v).origin.clone());
    let e = graph.emit_here();
    let wide = e.broadcast(small, &shape, &of_row);
    let sum = e.add(table, wide);
    Some(e.gather(sum, index))
}
