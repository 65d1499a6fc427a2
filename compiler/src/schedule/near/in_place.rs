//! Results that are written over what they are made of: an element-wise result takes the place of a table that only it
//! reads, element by element. A cache then holds one table instead of two.

use super::{Nest, table};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Kind, Program, Step, Stmt};
use crate::loops::{Affine, Coord, Home};
use std::collections::HashMap;

/// Finds such pairs in the groups of all steps; one table of each becomes another name of the other.
pub(super) fn run(program: &mut Program) {
    for s in 0..program.steps.len() {
        let step = program.steps[s].clone();
        let [before @ .., Stmt::For(f)] = &step.body[..] else { continue };
        if f.kind != Kind::Sequence {
            continue;
        }
        let uses: Vec<Use> = f.body.iter().map(|stmt| Use::of(program, stmt)).collect();
        let outside = Use::all(program, before);
        for at in 0..uses.len() {
            let Some(pair) = pair(program, &uses, at) else { continue };
            if !pair.iter().any(|b| outside.reads.contains(b) || outside.writes.contains(b)) {
                let [result, source] = pair;
                program.buffers[result.index()].alias = Some(source);
            }
        }
    }
}

/// What a statement reads and writes.
struct Use {
    nest: Option<Nest>,
    reads: Vec<Buffer>,
    writes: Vec<Buffer>,
}

impl Use {
    fn of(program: &Program, stmt: &Stmt) -> Use {
        Use { nest: Nest::of(stmt), ..Use::all(program, std::slice::from_ref(stmt)) }
    }

    fn all(program: &Program, stmts: &[Stmt]) -> Use {
        let step =
            Step { task: Var(0), tasks: 1, lockstep: false, body: stmts.to_vec(), label: String::new(), parts: vec![] };
        let (reads, writes) = step.buffers();
        let roots = |list: Vec<Buffer>| list.iter().map(|b| table(&program.buffers, *b).0).collect();
        Use { nest: None, reads: roots(reads), writes: roots(writes) }
    }
}

/// The result that begins to be written at a place, and what it may be written over.
fn pair(program: &Program, uses: &[Use], at: usize) -> Option<[Buffer; 2]> {
    let result = uses[at].nest.as_ref()?.store.buffer;
    let own = |b: Buffer| {
        let ty = &program.buffers[b.index()];
        ty.home == Home::Scratch && ty.alias.is_none() && program.buffers.iter().all(|o| o.alias != Some(b))
    };
    if !own(result) || uses[..at].iter().any(|u| u.writes.contains(&result) || u.reads.contains(&result)) {
        return None;
    }
    let writers: Vec<&Use> = uses[at..].iter().filter(|u| u.writes.contains(&result)).collect();
    let nests: Vec<&Nest> = writers.iter().map(|u| u.nest.as_ref()).collect::<Option<_>>()?;
    let boxes: Vec<Vec<(i64, i64)>> = nests.iter().map(|n| region(n)).collect::<Option<_>>()?;
    let apart = |a: &[(i64, i64)], b: &[(i64, i64)]| a.iter().zip(b).any(|(a, b)| a.1 < b.0 || b.1 < a.0);
    if (0..boxes.len()).any(|i| (0..i).any(|j| !apart(&boxes[i], &boxes[j]))) {
        return None;
    }
    let mut sources = uses[at].reads.clone();
    sources.retain(|source| {
        let same = program.buffers[source.index()].shape == program.buffers[result.index()].shape;
        let once = |u: &&Use| !u.reads.contains(source) || u.nest.as_ref().is_some_and(|n| n.reads_in_place(*source));
        let others = uses[at..].iter().filter(|u| !u.writes.contains(&result));
        own(*source)
            && *source != result
            && same
            && uses[at..].iter().all(|u| !u.writes.contains(source))
            && uses[..at].iter().any(|u| u.writes.contains(source))
            && others.into_iter().all(|u| !u.reads.contains(source))
            && writers.iter().all(once)
    });
    Some([result, *sources.first()?])
}

/// The least and the greatest of every coordinate that is stored to.
fn region(nest: &Nest) -> Option<Vec<(i64, i64)>> {
    let at = super::affine(&nest.store.at)?;
    let extents: HashMap<Var, usize> = nest.axes.iter().copied().collect();
    let known = at.iter().all(|a| a.terms.iter().all(|(v, _)| extents.contains_key(v)));
    known.then(|| at.iter().map(|a| a.range(&|v| extents[&v])).collect())
}

impl Nest {
    /// Is all that is read of `source` the element that is written?
    fn reads_in_place(&self, source: Buffer) -> bool {
        let own = super::affine(&self.store.at);
        let mut fits = own.is_some();
        self.loads(|b, at| fits &= b != source || at == own.as_deref());
        // In a fold the same coordinates would be those of other points.
        let free = |a: &Affine| a.terms.iter().all(|(v, _)| self.axes.iter().any(|(own, _)| own == v));
        fits && self.store.at.iter().all(|c| matches!(c, Coord::Affine(a) if free(a)))
    }
}
