//! Folds of rows and what follows from them, some rows at a time: softmax and the norms walk over their rows several times.

use super::{NEAR, Nest, serial, table};
use crate::base::{Buffer, Var};
use crate::loops::nest::Stmt;
use crate::loops::{Affine, BufferType, Expr, Node, Scope, expr};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// Shorter rows are folded as they are.
const LONG: usize = 32;
/// Fewer rows at once do not pay for the calls.
const LEAST_ROWS: usize = 4;

/// The same statements; runs of loops along the same rows in blocks of rows.
pub(super) fn blocked(buffers: &[BufferType], (scope, lanes): (&mut Scope, usize), stmts: Vec<Stmt>) -> Vec<Stmt> {
    let mut done = vec![];
    let mut rest = &stmts[..];
    while !rest.is_empty() {
        // Two axes count rows, or one.
        let longest = [2, 1].into_iter().filter_map(|count| Run::of(buffers, rest, count)).next();
        match longest.and_then(|run| Some((run.in_blocks(buffers, (scope, lanes))?, run.statements))) {
            Some((stmts, taken)) => {
                done.extend(stmts);
                rest = &rest[taken..];
            }
            None => {
                done.push(rest[0].clone());
                rest = &rest[1..];
            }
        }
    }
    done
}

/// Loops one after the other along the same rows: what one makes of a row another reads in the same row only.
pub(in crate::schedule) struct Run {
    /// With the marks before them.
    nests: Vec<(Vec<Stmt>, Nest)>,
    /// Coordinates before those of the rows, which are constant; and axes of rows.
    lead: usize,
    count: usize,
    /// Statements that it takes the place of.
    pub(in crate::schedule) statements: usize,
}

impl Run {
    pub(in crate::schedule) fn of(buffers: &[BufferType], stmts: &[Stmt], count: usize) -> Option<Run> {
        let mut run = Run { nests: vec![], lead: 0, count, statements: 0 };
        let mut marks = vec![];
        for (at, stmt) in stmts.iter().enumerate() {
            if let Stmt::Mark(_) = stmt {
                marks.push(stmt.clone());
                continue;
            }
            let Some(nest) = Nest::of(stmt) else { break };
            if run.nests.is_empty() {
                run.lead = nest
                    .store
                    .at
                    .iter()
                    .zip(super::affine(&nest.store.at)?)
                    .take_while(|(_, a)| a.is_constant())
                    .count();
            }
            run.nests.push((std::mem::take(&mut marks), nest));
            if !run.holds(buffers) {
                run.nests.pop();
                break;
            }
            run.statements = at + 1;
        }
        let folds = run.nests.iter().any(|(_, nest)| folds(&nest.store.value));
        (run.nests.len() > 1 && folds).then_some(run)
    }

    /// Coordinates of rows.
    fn rows<'a>(&self, at: &'a [Affine]) -> Option<&'a [Affine]> {
        at.get(self.lead..self.lead + self.count)
    }

    fn holds(&self, buffers: &[BufferType]) -> bool {
        let written: Vec<Buffer> = self.nests.iter().map(|(_, n)| n.store.buffer).collect();
        let made = |b: Buffer| written.iter().any(|w| table(buffers, *w).0 == table(buffers, b).0);
        let same = |b: Buffer| written.iter().any(|w| table(buffers, *w) == table(buffers, b));
        let fits = |nest: &Nest| {
            let at = super::affine(&nest.store.at)?;
            let own = self.rows(&at)?;
            let leads = at[..self.lead].iter().all(|a| a.is_constant());
            let counted = own.iter().zip(&nest.axes).all(|(a, (v, _))| (a - &Affine::from(*v)).is_constant());
            let mut fits = leads && counted && nest.axes.len() >= self.count && same(nest.store.buffer);
            let outer = own[..self.count - 1].iter().zip(&nest.axes);
            let first = &self.nests[0].1;
            fits &= outer.zip(&first.axes).all(|((a, own), other)| a.as_var() == Some(own.0) && own.1 == other.1);
            fits &= at[..self.lead] == super::affine(&first.store.at)?[..self.lead];
            nest.loads(|b, load| {
                let here =
                    || load.and_then(|load| Some(load[..self.lead] == at[..self.lead] && self.rows(load)? == own));
                fits &= !made(b) || same(b) && here() == Some(true);
            });
            Some(fits)
        };
        self.nests.iter().all(|(_, nest)| fits(nest) == Some(true))
    }

    /// The rows of the last of its axes that a nest covers.
    fn range(&self, nest: &Nest) -> Option<Range<usize>> {
        let at = super::affine(&nest.store.at)?;
        let first = usize::try_from(self.rows(&at)?.last()?.constant).ok()?;
        Some(first..first + nest.axes[self.count - 1].1)
    }

    /// Is something made of every element of a row?
    pub(in crate::schedule) fn has_columns(&self) -> bool {
        self.nests.iter().any(|(_, nest)| nest.axes.len() > self.count)
    }

    /// Are rows so short that all that is done for one can be straight code? Then each is walked over once, in blocks of any
    /// size.
    fn is_straight(&self, lanes: usize) -> bool {
        let whole = |n: usize| n.is_multiple_of(lanes) && n <= lanes * lanes;
        let deepest = self.nests.iter().map(|(_, n)| n.axes.len()).max().unwrap_or(0);
        self.has_columns()
            && self.nests.iter().all(|(_, nest)| {
                let column = nest.axes.last().filter(|_| nest.axes.len() == deepest);
                column.is_none_or(|(_, n)| whole(*n)) && folded(&nest.store.value).into_iter().all(whole)
            })
    }

    /// Floats of a row in all tables.
    fn width(&self, buffers: &[BufferType]) -> usize {
        let mut tables: BTreeSet<(Buffer, &[usize])> = BTreeSet::new();
        for (_, nest) in &self.nests {
            tables.insert(table(buffers, nest.store.buffer));
            let own = super::affine(&nest.store.at).unwrap_or_default();
            nest.loads(|b, at| {
                if at.and_then(|at| self.rows(at)) == self.rows(&own) {
                    tables.insert(table(buffers, b));
                }
            });
        }
        tables.iter().map(|(_, shape)| shape[self.lead + self.count..].iter().product::<usize>()).sum()
    }

    fn in_blocks(&self, buffers: &[BufferType], (scope, lanes): (&mut Scope, usize)) -> Option<Vec<Stmt>> {
        let cuts = self.cuts()?;
        let rows = cuts.last()?.end - cuts.first()?.start;
        let width = self.width(buffers).max(1);
        let most = NEAR / width;
        let outer = self.outer();
        let all = outer.iter().map(|(_, n)| n).product::<usize>() * rows;
        let straight = self.is_straight(lanes);
        let most = if straight { rows } else { most };
        let even = |n: &usize| cuts.iter().all(|cut| cut.len().is_multiple_of(*n));
        let block = (LEAST_ROWS..=most).rev().find(even).filter(|_| straight || all > most)?;
        let mut body = vec![];
        for cut in &cuts {
            let var = scope.var();
            body.push(serial(var, cut.len() / block, self.blocks(cut, block, var)));
        }
        Some(self.around(body))
    }

    /// Shared out to tasks, at most so many: each takes as many rows of every nest; and how many tasks there are.
    pub(in crate::schedule) fn in_tasks(&self, task: Var, most: usize) -> Option<(usize, Vec<Stmt>)> {
        let cuts = self.cuts()?;
        let tasks = (1..=most).rev().find(|n| cuts.iter().all(|cut| cut.len().is_multiple_of(*n)))?;
        let body = cuts.iter().flat_map(|cut| self.blocks(cut, cut.len() / tasks, task)).collect();
        Some((tasks, self.around(body)))
    }

    /// Ranges of rows, one after the other, each of which a nest covers as a whole or not at all.
    fn cuts(&self) -> Option<Vec<Range<usize>>> {
        let mut ends = BTreeSet::new();
        for (_, nest) in &self.nests {
            let range = self.range(nest)?;
            ends.extend([range.start, range.end]);
        }
        Some(ends.iter().zip(ends.iter().skip(1)).map(|(start, end)| *start..*end).collect())
    }

    /// What all nests do in one block of a range of rows, each after its marks.
    fn blocks(&self, cut: &Range<usize>, count: usize, block: Var) -> Vec<Stmt> {
        let mut stmts = vec![];
        for (marks, nest) in &self.nests {
            if let Some(range) = self.range(nest).filter(|range| range.start <= cut.start && cut.end <= range.end) {
                stmts.extend(marks.iter().cloned());
                stmts.extend(self.block(nest, (cut.start - range.start, count), block));
            }
        }
        stmts
    }

    /// The axes of rows before the last.
    fn outer(&self) -> &[(Var, usize)] {
        &self.nests[0].1.axes[..self.count - 1]
    }

    /// The loops along them.
    fn around(&self, body: Vec<Stmt>) -> Vec<Stmt> {
        self.outer().iter().rev().fold(body, |body, (var, extent)| vec![serial(*var, *extent, body)])
    }

    /// What a nest does in one block.
    fn block(&self, nest: &Nest, (first, count): (usize, usize), block: Var) -> Vec<Stmt> {
        let mut axes = nest.axes.clone();
        let mut with: HashMap<Var, Affine> =
            axes.iter().zip(self.outer()).map(|((own, _), (var, _))| (*own, Affine::from(*var))).collect();
        let (row, extent) = &mut axes[self.count - 1];
        *extent = count;
        let at = &(&Affine::from(block) * count as i64) + &Affine::from(*row);
        with.insert(*row, &at + first as i64);
        axes.drain(..self.count - 1);
        nest.part(axes, &with)
    }
}

/// How many elements each fold takes.
fn folded(e: &Expr) -> Vec<usize> {
    let own = match &**e {
        Node::Reduce { vars, .. } => Some(vars.iter().map(|(_, n)| n).product()),
        _ => None,
    };
    own.into_iter().chain(expr::children(e).into_iter().flat_map(folded)).collect()
}

/// Is a long row folded?
fn folds(e: &Expr) -> bool {
    let long = matches!(&**e, Node::Reduce { vars, .. } if vars.iter().map(|(_, n)| n).product::<usize>() >= LONG);
    long || expr::children(e).into_iter().any(folds)
}
