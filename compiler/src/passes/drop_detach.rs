//! Replaces `detach(x)` by `x`: once there are gradients, nothing asks for it any more.

use super::UpdateRule;
use crate::graph::Graph;
use crate::ops::Op;

pub(super) fn run(graph: &mut Graph, _: &dyn UpdateRule) {
    for v in graph.order() {
        if let Some(Op::Detach(_)) = graph.op(v) {
            let x = graph.operands(v)[0];
            graph.replace_uses(v, x);
            graph.remove(v);
        }
    }
}
