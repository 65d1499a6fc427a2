//! May an expression be computed for four values of a loop variable at once?

use super::function::Lowerer;
use crate::base::Var;
use crate::loops::{Coord, Expr, Node};

/// True where every access of `e` along `var` is a plain vector load or the same for all lanes, and no guard,
/// index or inner bound depends on `var`.
pub fn can_vectorize(l: &mut Lowerer<'_, '_>, e: &Expr, var: Var) -> bool {
    check(l, e, var, &mut Default::default())
}

fn check(l: &mut Lowerer<'_, '_>, e: &Expr, var: Var, seen: &mut std::collections::HashSet<*const Node>) -> bool {
    if !seen.insert(std::sync::Arc::as_ptr(e)) || !l.free.depends(e, var) {
        return true;
    }
    match &**e {
        Node::Const(_) | Node::Coord(_) => true,
        Node::Load(buffer, at) => {
            let indexed = at.iter().any(|c| match c {
                Coord::Affine(_) => false,
                Coord::Index { from, .. } => l.free.depends(from, var),
            });
            let stride = l.position(*buffer, at).coefficient(var);
            !indexed && (0..=1).contains(&stride)
        }
        Node::Unary(_, x) => check(l, x, var, seen),
        Node::Binary(_, a, b) => check(l, a, var, seen) && check(l, b, var, seen),
        Node::Select(c, a, b) => check(l, c, var, seen) && check(l, a, var, seen) && check(l, b, var, seen),
        Node::Reduce { body, .. } => check(l, body, var, seen),
        Node::Guard { inside, body, .. } => {
            inside.iter().all(|(a, _)| a.coefficient(var) == 0) && check(l, body, var, seen)
        }
        Node::Random { step, .. } => check(l, step, var, seen),
    }
}
