//! Which tables are led by examples: their first axis counts the examples of the batch, and not what happens to be as
//! many, such as channels.

use super::group::{loads, uses};
use super::kernels::Item;
use crate::base::{Buffer, Var};
use crate::loops::Coord;
use std::collections::HashSet;

/// Is the first coordinate `var` alone, and is `var` in no other?
pub(super) fn leads(at: &[Coord], var: Var) -> bool {
    let Some(Coord::Affine(first)) = at.first() else { return false };
    first.as_var() == Some(var)
        && at[1..].iter().all(|c| match c {
            Coord::Affine(a) => a.coefficient(var) == 0,
            Coord::Index { .. } => true,
        })
}

/// Memory whose first axis counts examples: inputs, and what is made along the first axis of such memory, or of nothing
/// that knows examples (random numbers, zeros).
pub(super) fn led(
    items: &[Item],
    batch: usize,
    root: &dyn Fn(Buffer) -> Buffer,
    kept: &dyn Fn(Buffer) -> bool,
) -> HashSet<Buffer> {
    let all: Vec<_> = items.iter().map(|item| uses(&item.kernel, root)).collect();
    let made: HashSet<Buffer> = all.iter().flat_map(|(_, writes)| writes.iter().copied()).collect();
    let read = all.iter().flat_map(|(reads, _)| reads.iter().copied());
    let mut led: HashSet<Buffer> = read.filter(|b| !made.contains(b) && !kept(*b)).collect();
    for (item, (reads, writes)) in items.iter().zip(&all) {
        if item.body.is_some() {
            // A recurrence is looked at as a whole: nothing is known of its axes.
            led.extend(writes);
            continue;
        }
        let kernel = &item.kernel;
        let Some((var, _)) = kernel.axes.first().filter(|(_, n)| *n == batch) else { continue };
        let (mut leading, mut by_examples) = (false, false);
        let mut seen = HashSet::new();
        for s in &kernel.stores {
            loads(&s.value, &mut seen, &mut |b, at| {
                leading |= leads(at, *var);
                by_examples |= leads(at, *var) && led.contains(&root(b));
            });
        }
        let of_nothing = !leading && reads.iter().all(|b| !led.contains(b));
        if by_examples || of_nothing {
            led.extend(writes);
        }
    }
    led
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::{Affine, Expr, Fold, How, Kernel, Scope, Store, expr};

    const BATCH: usize = 8;

    fn item(s: &mut Scope, to: u32, shape: &[usize], value: impl Fn(&mut Scope, &[Affine]) -> Expr) -> Item {
        let (axes, at) = s.axes(shape);
        let value = value(s, &at);
        let at = at.into_iter().map(Coord::Affine).collect();
        Item::new(Kernel { axes, stores: vec![Store { buffer: Buffer(to), at, value, how: How::Set }] }, String::new())
    }

    #[test]
    fn channels_are_no_examples_however_many() {
        let s = &mut Scope::default();
        let (x, weight, y, total, mean, noise) = (0, 1, 2, 3, 4, 5);
        let items = [
            item(s, y, &[BATCH, BATCH], |_, at| {
                let scale = expr::load(Buffer(weight), &at[1..]);
                expr::binary(crate::loops::Binary::Mul, expr::load(Buffer(x), at), scale)
            }),
            item(s, total, &[BATCH], |s, at| {
                let b = s.var();
                let row = [Affine::from(b), at[0].clone()];
                expr::reduce(Fold::Add, vec![(b, BATCH)], expr::load(Buffer(y), &row))
            }),
            item(s, mean, &[BATCH], |_, at| expr::load(Buffer(total), at)),
            item(s, noise, &[BATCH, 3], |_, _| expr::constant(0.0)),
        ];
        let found = led(&items, BATCH, &|b| b, &|b| b == Buffer(weight));
        let found: Vec<u32> =
            [x, weight, y, total, mean, noise].into_iter().filter(|b| found.contains(&Buffer(*b))).collect();
        assert_eq!(found, [x, y, noise]);
    }
}
