//! What a group's loops read from large tables is asked for while tiles compute, which need no memory meanwhile: each tile
//! asks for a line with each row of its `b`. Tables that the loops before the tiles read are those of the next block.

use super::examples::Examples;
use super::group::loads;
use super::steps::{Steps, root_of};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Accumulate, For, Kind, Place, Stmt, Tile};
use crate::loops::{Affine, Home};
use dlc_runtime::micro::Isa;
use std::collections::HashSet;

/// Elements of a table that no cache of a core holds from one step to the next.
const FAR_TABLE: usize = 1 << 19;

/// Elements that are asked for at most: half of what the second-level cache holds.
const MOST: usize = 1 << 17;

/// What a loop reads or writes of a table: the part of one block of examples.
struct Wanted {
    /// Where it begins.
    place: Place,
    floats: usize,
}

impl Steps {
    /// Lets the first nest of tiles that can ask for what the other loops of a block need.
    pub(super) fn ask_early(&self, e: &mut Examples) {
        if self.tiles.isa != Isa::Avx512 {
            // Others do not ask.
            return;
        }
        let nests = e.body.iter().enumerate();
        let Some((k, rounds)) = nests.filter_map(|(k, stmt)| Some((k, Rounds::of(stmt, self.tiles.lanes)?))).next()
        else {
            return;
        };
        let next = &e.example + e.block as i64;
        let root = |b: Buffer| root_of(&self.program.buffers, b);
        // What the tiles write comes to the cache by that.
        let mut known = HashSet::from([root(rounds.tile.c.buffer)]);
        let (mut wanted, mut sum) = (vec![], 0);
        for (stmts, example) in [(&e.body[k + 1..], &e.example), (&e.body[..k], &next)] {
            let mut found = vec![];
            stmts.iter().for_each(|stmt| touched(stmt, &mut found));
            for b in found.into_iter().filter(|b| self.is_far(*b)) {
                let part = self.of_block(b, example, e.block);
                if sum + part.floats <= MOST && known.insert(root(b)) {
                    sum += part.floats;
                    wanted.push(part);
                }
            }
        }
        if !wanted.is_empty() {
            e.body[k] = rounds.asking(&wanted);
        }
    }

    /// Is a table large, and led by examples?
    fn is_far(&self, b: Buffer) -> bool {
        let home = self.program.buffers[root_of(&self.program.buffers, b).index()].home;
        let shape = &self.program.buffers[b.index()].shape;
        let large = shape.iter().product::<usize>() >= FAR_TABLE;
        home == Home::Arena && large && shape.first() == Some(&self.program.batch)
    }

    fn of_block(&self, b: Buffer, example: &Affine, block: usize) -> Wanted {
        let shape = &self.program.buffers[b.index()].shape;
        let mut at = vec![Affine::default(); shape.len()];
        at[0] = example.clone();
        Wanted { place: Place { buffer: b, at }, floats: shape[1..].iter().product::<usize>() * block }
    }
}

/// Tables that loops without tiles read and write, in order.
fn touched(stmt: &Stmt, found: &mut Vec<Buffer>) {
    match stmt {
        Stmt::For(f) => f.body.iter().for_each(|stmt| touched(stmt, found)),
        Stmt::Group(stores) => {
            for s in stores {
                loads(&s.value, &mut HashSet::new(), &mut |b, _| found.push(b));
                found.push(s.buffer);
            }
        }
        Stmt::Tile(_) | Stmt::Transpose(_) | Stmt::Transform(_) | Stmt::Filter(_) | Stmt::Mark(_) => {}
    }
}

/// A nest of tiles whose panel of `b` lies in one piece.
struct Rounds<'a> {
    /// The loops around, from the outside.
    outer: Vec<&'a For>,
    /// The loop whose rounds are shared out among tables.
    shared: &'a For,
    /// The loop over the calls of a round.
    calls: &'a For,
    tile: &'a Tile,
}

impl Rounds<'_> {
    fn of(stmt: &Stmt, lanes: usize) -> Option<Rounds<'_>> {
        let mut loops: Vec<&For> = vec![];
        let mut stmts = std::slice::from_ref(stmt);
        loop {
            let Some(Stmt::For(f)) = stmts.first() else { return None };
            if f.body.is_empty() || f.within.is_some() || f.kind != Kind::Serial {
                return None;
            }
            loops.push(f);
            if let [Stmt::Tile(tile)] = &f.body[..] {
                let (calls, outer) = loops.split_last()?;
                let (shared, outer) = outer.split_last()?;
                let whole = tile.b_k == (tile.vectors * lanes) as i64 && tile.last == lanes;
                let whole = whole && (tile.batches == 1 || tile.b_batch == tile.k as i64 * tile.b_k);
                let adds = matches!(&tile.accumulate, Accumulate::AfterFirst(vars) if !vars.contains(&shared.var));
                return (whole && adds && !outer.is_empty()).then(|| Rounds {
                    outer: outer.to_vec(),
                    shared,
                    calls,
                    tile,
                });
            }
            // Behind the calls there may be one for the rows that are left over.
            let calls = matches!(&f.body[0], Stmt::For(g) if matches!(g.body[..], [Stmt::Tile(_)]));
            if f.body.len() > 1 && !(calls && f.body[1..].iter().all(|stmt| matches!(stmt, Stmt::Tile(_)))) {
                return None;
            }
            stmts = &f.body;
        }
    }

    /// The nest with a part of its rounds for each table, as many as there are rounds for.
    fn asking(&self, wanted: &[Wanted]) -> Stmt {
        let times: usize = self.outer.iter().map(|f| f.extent).product();
        let (mut count, mut place) = (1, Affine::default());
        for f in self.outer.iter().rev() {
            place = &place + &(&Affine::from(f.var) * count);
            count *= f.extent as i64;
        }
        let call = self.tile.k * self.tile.batches * self.tile.b_k as usize;
        let mut from = 0;
        let mut parts = vec![];
        for w in wanted {
            let share = w.floats.div_ceil(times);
            let rounds = share.div_ceil(call * self.calls.extent);
            if from + rounds > self.shared.extent {
                break;
            }
            let each = &Affine::from(self.calls.var) + &(&Affine::from(self.shared.var) * self.calls.extent as i64);
            let far = &(&place * share as i64) + &(&each * call as i64);
            let mut ahead = w.place.clone();
            if let Some(last) = ahead.at.last_mut() {
                *last = &*last + &far;
            }
            parts.push(self.part(from, rounds, Some(ahead)));
            from += rounds;
        }
        if from < self.shared.extent {
            parts.push(self.part(from, self.shared.extent - from, None));
        }
        let mut stmts = parts;
        for f in self.outer.iter().rev() {
            stmts = vec![Stmt::For(For { body: stmts, ..(*f).clone() })];
        }
        stmts.remove(0)
    }

    /// Some rounds, in which something is asked for.
    fn part(&self, from: usize, rounds: usize, ahead: Option<Place>) -> Stmt {
        let at = &Affine::from(self.shared.var) + from as i64;
        let mut body = self.shared.body.clone();
        body.iter_mut().for_each(|stmt| shift(stmt, self.shared.var, &at));
        if let Some(Stmt::For(f)) = body.first_mut()
            && let [Stmt::Tile(tile)] = &mut f.body[..]
        {
            tile.ahead = ahead;
        }
        Stmt::For(For { extent: rounds, body, ..self.shared.clone() })
    }
}

/// Puts `at` in the place of a variable.
fn shift(stmt: &mut Stmt, var: Var, at: &Affine) {
    match stmt {
        Stmt::For(f) => f.body.iter_mut().for_each(|stmt| shift(stmt, var, at)),
        Stmt::Tile(t) => {
            let finish = t.finish.as_mut().map(|f| &mut f.add).into_iter();
            let beside = t.beside.as_mut().map(|b| &mut b.place);
            for place in [&mut t.a, &mut t.b, &mut t.c].into_iter().chain(finish).chain(beside) {
                place.at.iter_mut().for_each(|x| *x = x.substitute(&|v| if v == var { at.clone() } else { v.into() }));
            }
        }
        Stmt::Group(_) | Stmt::Transpose(_) | Stmt::Transform(_) | Stmt::Filter(_) | Stmt::Mark(_) => {}
    }
}
