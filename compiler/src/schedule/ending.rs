//! What tiles and filters do to their result before they store it: a number for each column is added, and the sum is kept
//! within bounds. Batch norm and `relu` or `relu6` after a layer are of this form.

use super::contraction::affine;
use super::strips::Then;
use crate::base::{Buffer, Var};
use crate::loops::nest::{Finish, Place};
use crate::loops::{Affine, Binary, Expr, Node};

/// The numbers and the bounds.
#[derive(Clone, Debug)]
pub struct Ending {
    add: Buffer,
    /// The last coordinate is the column.
    at: Vec<Affine>,
    bounds: [f32; 2],
}

impl Ending {
    /// For the columns from one on.
    pub fn at(&self, column: &Affine) -> Finish {
        let mut at = self.at.clone();
        at.pop();
        at.push(column.clone());
        Finish { add: Place { buffer: self.add, at }, bounds: self.bounds }
    }
}

/// What is kept within bounds, and the bounds.
fn within(e: &Expr) -> Option<(&Expr, [f32; 2])> {
    let (mut e, mut bounds) = (e, [f32::NEG_INFINITY, f32::INFINITY]);
    while let Node::Binary(op @ (Binary::Max | Binary::Min), a, b) = &**e {
        let (inner, bound) = match (&**a, &**b) {
            (_, Node::Const(bits)) => (a, f32::from_bits(*bits)),
            (Node::Const(bits), _) => (b, f32::from_bits(*bits)),
            _ => return None,
        };
        if bound.is_nan() {
            return None;
        }
        let [low, high] = &mut bounds;
        if *op == Binary::Max {
            *low = low.max(bound)
        } else {
            *high = high.min(bound)
        }
        e = inner;
    }
    (bounds[0] <= bounds[1]).then_some((e, bounds))
}

impl Then {
    /// If all of it can be done in the registers of what makes a result at `c_at`: how, and where the result goes.
    pub(super) fn ending(&self, c_at: &[Affine]) -> Option<(Ending, Buffer, Vec<Affine>)> {
        let [store] = &self.kernel.stores[..] else { return None };
        let [(row, _), (column, _)] = self.kernel.axes[..] else { return None };
        let (sum, bounds) = within(&store.value)?;
        let Node::Binary(Binary::Add, a, b) = &**sum else { return None };
        let (Node::Load(a, a_at), Node::Load(b, b_at)) = (&**a, &**b) else { return None };
        let (add, at) = if *a == self.made { (*b, b_at) } else { (*a, a_at) };
        let at: Vec<Affine> = at.iter().map(affine).collect::<Option<_>>()?;
        let (last, others) = at.split_last()?;
        let fixed = others.iter().all(Affine::is_constant) && last.as_var() == Some(column);
        let (result, leading) = c_at.split_last()?;
        let here = self.row(leading);
        let f = |v: Var| if v == row { here.clone() } else { Affine::from(v) };
        let place = affine(store.at.first()?)?.substitute(&f);
        let made = [*a, *b].contains(&self.made) && a != b;
        (fixed && made).then(|| (Ending { add, at, bounds }, store.buffer, vec![place, result.clone()]))
    }
}
