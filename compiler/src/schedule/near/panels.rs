//! Element-wise loops over what tiles have made, panel by panel of columns, as soon as a panel is complete.

use super::{NEAR, Nest, every, table};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Accumulate, For, Kind, Step, Stmt};
use crate::loops::{Affine, BufferType, Expr, Node, expr};
use std::collections::{HashMap, HashSet};

/// Fewer columns are not worth a loop of their own.
const LEAST_COLUMNS: usize = 16;

/// The same statements, loops over panels with what follows each panel.
pub(super) fn followed(buffers: &[BufferType], stmts: Vec<Stmt>) -> Vec<Stmt> {
    let mut done: Vec<Stmt> = vec![];
    // Where the last loop over panels stands, and the mark that it belongs to.
    let mut last: Option<(usize, Panels)> = None;
    for stmt in stmts {
        let between = last.as_ref().is_some_and(|(at, _)| done[at + 1..].iter().all(|s| matches!(s, Stmt::Mark(_))));
        if between
            && let Some((at, panels)) = &mut last
            && let Some(part) = panels.follow(buffers, &stmt)
        {
            let marks = done.split_off(*at + 1);
            let mark = done[..*at].iter().rev().find(|s| matches!(s, Stmt::Mark(_))).cloned();
            let Some(Stmt::For(f)) = done.last_mut() else { continue };
            if !matches!(f.body.first(), Some(Stmt::Mark(_))) {
                f.body.splice(0..0, mark);
            }
            f.body.extend(marks);
            f.body.extend(part);
            continue;
        }
        if !matches!(stmt, Stmt::Mark(_)) {
            last = Panels::of(buffers, &stmt).map(|panels| (done.len(), panels));
        }
        done.push(stmt);
    }
    done
}

/// A loop over panels of columns.
struct Panels {
    var: Var,
    count: usize,
    width: usize,
    rows: usize,
    /// What is made panel by panel.
    made: Vec<Buffer>,
    /// Memory that the tiles read.
    reads: HashSet<Buffer>,
}

impl Panels {
    fn of(buffers: &[BufferType], stmt: &Stmt) -> Option<Panels> {
        let Stmt::For(For { var, extent, kind: Kind::Serial, within: None, body }) = stmt else { return None };
        let (mut target, mut width, mut fits) = (None, 0, true);
        let mut inside = HashSet::new();
        every(body, &mut |stmt| match stmt {
            Stmt::For(f) => fits &= f.within.is_none() && inside.insert(f.var),
            Stmt::Tile(t) => {
                let own = target.get_or_insert((t.c.buffer, t.c.at.last()));
                width = t.c.at.last().map_or(0, |a| a.coefficient(*var));
                fits &= *own == (t.c.buffer, t.c.at.last());
                fits &=
                    matches!(&t.accumulate, Accumulate::AfterFirst(vars) if vars.iter().all(|v| inside.contains(v)));
            }
            _ => {}
        });
        let (made, column) = target?;
        let shape = &buffers[made.index()].shape;
        let (columns, above) = shape.split_last()?;
        let even = column.is_some_and(|a| *a == &Affine::from(*var) * width);
        let width = usize::try_from(width).ok().filter(|w| *w >= LEAST_COLUMNS && w * extent <= *columns)?;
        let rows = above.iter().product();
        let step =
            Step { task: *var, tasks: 1, lockstep: false, body: body.clone(), label: String::new(), parts: vec![] };
        let (reads, writes) = step.buffers();
        let root = |b: &Buffer| table(buffers, *b).0;
        let alone = writes.iter().all(|b| *b == made || !buffers[b.index()].shape.ends_with(&[*columns]));
        let reads: HashSet<Buffer> = reads.iter().map(root).collect();
        fits &= even && alone && !reads.contains(&root(&made)) && rows * width <= NEAR;
        fits.then(|| Panels { var: *var, count: *extent, width, rows, made: vec![made], reads })
    }

    /// What `stmt` does for one panel, if it can be done right after it.
    fn follow(&mut self, buffers: &[BufferType], stmt: &Stmt) -> Option<Vec<Stmt>> {
        let nest = Nest::of(stmt)?;
        let (column, columns) = *nest.axes.last()?;
        let rows: usize = nest.axes.iter().rev().skip(1).map(|(_, n)| n).product();
        let same = |b: Buffer| self.made.iter().any(|m| table(buffers, *m) == table(buffers, b));
        let root = |b: Buffer| table(buffers, b).0;
        let shared = |b: Buffer| self.made.iter().any(|m| root(*m) == root(b));
        let mut fits = columns == self.count * self.width && rows == self.rows && !folds(&nest.store.value);
        let mut reads = false;
        nest.loads(|b, at| {
            let here = at.and_then(|at| at.last()).and_then(Affine::as_var) == Some(column);
            fits &= !shared(b) || same(b) && here;
            reads |= shared(b);
        });
        let at = super::affine(&nest.store.at)?;
        fits &= reads && at.last()?.as_var() == Some(column) && !self.reads.contains(&root(nest.store.buffer));
        // What is written anew has columns of its own, or is written over what was read.
        fits &= !shared(nest.store.buffer) || same(nest.store.buffer);
        if !fits {
            return None;
        }
        self.made.push(nest.store.buffer);
        let mut axes = nest.axes.clone();
        axes.last_mut()?.1 = self.width;
        let first = &Affine::from(self.var) * self.width as i64;
        Some(nest.part(axes, &HashMap::from([(column, &first + &Affine::from(column))])))
    }
}

fn folds(e: &Expr) -> bool {
    matches!(**e, Node::Reduce { .. }) || expr::children(e).into_iter().any(folds)
}
