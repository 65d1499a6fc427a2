//! Loops are cut where guards begin and cease to hold whatever else varies: within, nothing is tested. The zeros around
//! a picture then cost something at its edges only.

use super::group::put;
use crate::base::Var;
use crate::loops::{Affine, Expr, Kernel, Node, expr};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Points of a kernel below which cutting is not worth the code.
const LEAST_POINTS: usize = 2048;

/// The parts of a kernel, in order, with the shortened extents; a part's variables count from its own beginning.
pub(super) fn cut(kernel: Kernel) -> Vec<Kernel> {
    let points: usize = kernel.axes.iter().map(|(_, n)| n).product();
    let guards = guards(&kernel);
    if points < LEAST_POINTS || guards.is_empty() {
        return vec![kernel];
    }
    // The last axis runs in vector lanes.
    let outer = kernel.axes.len().saturating_sub(1);
    parts(kernel, 0, outer, &guards)
}

/// Cuts the axes from `axis` on; only what lies inside along one axis is cut along the next.
fn parts(kernel: Kernel, axis: usize, end: usize, guards: &[Guard]) -> Vec<Kernel> {
    if axis >= end {
        return vec![kernel];
    }
    let (var, n) = kernel.axes[axis];
    let (low, high) = interior(var, n, guards);
    if low >= high || (low == 0 && high == n) {
        return parts(kernel, axis + 1, end, guards);
    }
    let part = |from: usize, to: usize| shifted(&kernel, axis, from, to - from);
    let mut found = vec![];
    if low > 0 {
        found.push(part(0, low));
    }
    found.extend(parts(part(low, high), axis + 1, end, guards));
    if high < n {
        found.push(part(high, n));
    }
    found
}

fn shifted(kernel: &Kernel, axis: usize, from: usize, extent: usize) -> Kernel {
    let var = kernel.axes[axis].0;
    let with = HashMap::from([(var, &Affine::from(var) + from as i64)]);
    let affine = |a: &Affine| put(a, &with);
    let mut load = |b, at| Arc::new(Node::Load(b, at));
    let mut r = expr::Rewrite::new(&affine, &mut load);
    let mut kernel = kernel.clone();
    kernel.axes[axis].1 = extent;
    for s in &mut kernel.stores {
        s.at = s.at.iter().map(|c| r.coord(c)).collect();
        s.value = r.expr(&s.value);
    }
    kernel
}

/// A coordinate that is tested, its bound, and the extents of the variables summed over around it.
struct Guard {
    at: Affine,
    bound: usize,
    inner: Vec<(Var, usize)>,
}

fn guards(kernel: &Kernel) -> Vec<Guard> {
    let mut found = vec![];
    let mut seen = HashSet::new();
    for s in &kernel.stores {
        collect(&s.value, &mut vec![], &mut seen, &mut found);
    }
    found
}

fn collect(e: &Expr, inner: &mut Vec<(Var, usize)>, seen: &mut HashSet<*const Node>, found: &mut Vec<Guard>) {
    if !seen.insert(Arc::as_ptr(e)) {
        return;
    }
    let before = inner.len();
    match &**e {
        Node::Reduce { vars, .. } => inner.extend(vars),
        Node::Guard { inside, .. } => {
            let guard = |(at, bound): &(Affine, usize)| Guard { at: at.clone(), bound: *bound, inner: inner.clone() };
            found.extend(inside.iter().map(guard));
        }
        _ => {}
    }
    for x in expr::children(e) {
        collect(x, inner, seen, found);
    }
    inner.truncate(before);
}

/// Where every guard on `var` and summed variables alone holds for all of these.
fn interior(var: Var, n: usize, guards: &[Guard]) -> (usize, usize) {
    let (mut low, mut high) = (0, n as i64);
    for g in guards {
        let by = g.at.coefficient(var);
        let known = |v: Var| v == var || g.inner.iter().any(|(inner, _)| *inner == v);
        if by <= 0 || !g.at.terms.iter().all(|(v, _)| known(*v)) {
            continue;
        }
        let extent = |v: Var| g.inner.iter().find(|(inner, _)| *inner == v).map_or(1, |(_, n)| *n);
        let (least, most) = g.at.range(&extent);
        low = low.max(-least.div_euclid(by));
        high = high.min((g.bound as i64 - 1 - most).div_euclid(by) + 1);
    }
    (low.clamp(0, n as i64) as usize, high.clamp(0, n as i64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Buffer;
    use crate::loops::{Fold, How, Store};

    /// `y[i, c] = sum over t of x[2 * i + t - 1, c]` inside `0..rows`.
    fn kernel(n: usize, rows: usize) -> Kernel {
        let [i, c, t] = [0, 1, 2].map(Var);
        let at = &(&(&Affine::from(i) * 2) + &Affine::from(t)) - &Affine::constant(1);
        let load = expr::load(Buffer(0), &[at.clone(), c.into()]);
        let value = expr::reduce(Fold::Add, vec![(t, 3)], expr::guard(vec![(at, rows)], load, 0.0));
        let at = [i, c].map(|v| crate::loops::Coord::Affine(v.into())).to_vec();
        let stores = vec![Store { buffer: Buffer(1), at, value, how: How::Set }];
        Kernel { axes: vec![(i, n), (c, 1024)], stores }
    }

    #[test]
    fn edges_are_cut_off() {
        // Rows 2i - 1 ..= 2i + 1 of 0..16: i = 0 lacks one, i = 8 all but one.
        let extents = |n, rows| cut(kernel(n, rows)).iter().map(|k| k.axes[0].1).collect::<Vec<_>>();
        assert_eq!(extents(9, 16), [1, 7, 1]);
        assert_eq!(extents(8, 16), [1, 7]);
        assert_eq!(extents(8, 17), [1, 7]);
        assert_eq!(extents(2, 2), [2], "nowhere do all guards hold");
        let inner = &cut(kernel(9, 16))[1];
        let Node::Reduce { body, .. } = &*inner.stores[0].value else { panic!() };
        let Node::Guard { inside, .. } = &**body else { panic!() };
        let extent = |v: Var| [7, 1024, 3][v.0 as usize];
        assert_eq!(inside[0].0.range(&extent), (1, 15), "always inside 0..16");
    }
}
