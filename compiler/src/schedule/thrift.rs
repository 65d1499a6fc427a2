//! Less memory for more time: tables that lie from forward to backward are given up and made again where backward reads
//! them.
//!
//! A table made again is made by a second kernel of the same expression, which waits until its reader has everything
//! else. Often it then joins the group of its reader and lies in scratch. Kernels are copied, not ops: the numbers are the
//! same but for sums that another group cuts differently.

use super::Target;
use super::group::{Grouping, uses};
use super::kernels::{Item, Lowered, lower};
use super::light::is_light;
use super::steps::{rewrite, root_of, work};
use super::{prepare, steps, store};
use crate::base::Buffer;
use crate::graph::Graph;
use crate::loops::nest::Program;
use crate::loops::{BufferType, Home, How, Node};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Multiply-adds of a contraction take so much less time than other points.
const CONTRACTED: usize = 32;
/// What is this much smaller than what is made of it is kept rather than made again.
pub(super) const SLIGHT: usize = 64;
/// Tables smaller than this part of all that is alive are not worth a kernel.
const LEAST_PART: usize = 256;

/// A schedule with a choice: how many tables are given up.
pub struct Thrift {
    lowered: Lowered,
    target: Target,
    facts: Facts,
    /// Tables that can be given up, those first that cost least for their size.
    order: Vec<Buffer>,
}

impl Thrift {
    pub fn new(graph: &Graph, target: &Target) -> Thrift {
        let lowered = lower(graph, &store::decide(graph, target.fuse));
        let facts = Facts::new(&lowered, target);
        let order = facts.order();
        Thrift { lowered, target: *target, facts, order }
    }

    /// How many tables can be given up.
    pub fn most(&self) -> usize {
        self.order.len()
    }

    /// The program that keeps all tables but the first `given_up`.
    pub fn program(&self, given_up: usize) -> Program {
        let dropped: BTreeSet<Buffer> = self.order[..given_up.min(self.order.len())].iter().copied().collect();
        let lowered = self.facts.without(self.lowered.clone(), &dropped, false);
        let mut program = steps::run(lowered, &self.target);
        prepare::run(&mut program);
        program
    }
}

/// Who makes and reads a table, and what it takes.
#[derive(Default)]
pub(super) struct Table {
    pub(super) bytes: usize,
    makers: Vec<usize>,
    pub(super) readers: Vec<usize>,
    /// What its makers read.
    pub(super) made_of: BTreeSet<Buffer>,
    /// Is it there from the beginning: a state or an input?
    given: bool,
    /// Can its makers run again?
    again: bool,
    /// Is that a little arithmetic for each element?
    pub(super) light: bool,
    cost: usize,
}

/// What is known of a program whose kernels are in groups.
pub(super) struct Facts {
    pub(super) tables: BTreeMap<Buffer, Table>,
    /// The place of each item's group in the order of groups.
    pub(super) place: Vec<usize>,
    /// The place where most is alive.
    pub(super) peak: usize,
    /// Tables that are alive there between an earlier and a later use.
    pub(super) across: BTreeSet<Buffer>,
}

impl Facts {
    pub(super) fn new(lowered: &Lowered, target: &Target) -> Facts {
        let Lowered { program, items, .. } = lowered;
        let buffers = &program.buffers;
        let root = |b: Buffer| root_of(buffers, b);
        let counts: Vec<usize> = buffers.iter().map(|b| b.shape.iter().product()).collect();
        let kept = |b: Buffer| buffers[b.index()].home == Home::State;
        let grouping = Grouping::new(items, program.batch, &root, &counts, &kept);
        let mut place = vec![0; items.len()];
        for (at, group) in grouping.run(target.fuse).iter().enumerate() {
            group.items().for_each(|i| place[i] = at);
        }
        let mut tables: BTreeMap<Buffer, Table> = BTreeMap::new();
        for (i, item) in items.iter().enumerate() {
            let (reads, writes) = grouping.uses(i);
            for b in reads {
                tables.entry(*b).or_default().readers.push(i);
            }
            for b in writes {
                let table = tables.entry(*b).or_default();
                let stores = item.kernel.stores.iter().zip(grouping.contractions(i));
                let own = stores.filter(|(s, _)| root(s.buffer) == *b);
                let plain = item.body.is_none() && !reads.contains(b) && own.clone().all(|(s, _)| s.how == How::Set);
                let first = table.makers.is_empty();
                table.again = plain && (first || table.again);
                table.light = is_light(item) && (first || table.light);
                table.makers.push(i);
                table.made_of.extend(reads);
                let contracted = own.clone().any(|(_, found)| found.is_some());
                table.cost += work(&item.kernel) / if contracted { CONTRACTED } else { 1 };
            }
        }
        let inputs: HashSet<Buffer> = program.inputs.iter().map(|(_, b, _)| *b).collect();
        let told: HashSet<Buffer> = program.outputs.iter().map(|(_, b)| root(*b)).collect();
        // From here on states change, and what is made of them would be other numbers.
        let updates = |i: &usize| items[*i].kernel.stores.iter().any(|s| kept(root(s.buffer)));
        let end = (0..items.len()).find(updates).unwrap_or(items.len());
        for (b, table) in &mut tables {
            table.bytes = size_of::<f32>() * counts[b.index()];
            table.given = kept(*b) || inputs.contains(b);
            let readers = &table.readers;
            table.again &= !table.given && !told.contains(b);
            table.again &= readers.iter().all(|i| *i < end && items[*i].body.is_none());
        }
        let mut facts = Facts { tables, place, peak: 0, across: BTreeSet::new() };
        facts.find_peak(buffers);
        facts
    }

    /// First and last place of a table that more than one group uses.
    fn life(&self, table: &Table) -> Option<(usize, usize)> {
        let places = || table.makers.iter().chain(&table.readers).map(|i| self.place[*i]);
        let (first, last) = (places().min()?, places().max()?);
        (first < last).then_some((first, last))
    }

    fn find_peak(&mut self, buffers: &[BufferType]) {
        let mut change: BTreeMap<usize, i64> = BTreeMap::new();
        let arena = |b: &Buffer| buffers[b.index()].home == Home::Arena;
        for (_, table) in self.tables.iter().filter(|(b, _)| arena(b)) {
            if let Some((first, last)) = self.life(table) {
                *change.entry(first).or_default() += table.bytes as i64;
                *change.entry(last + 1).or_default() -= table.bytes as i64;
            }
        }
        let (mut now, mut most) = (0, 0);
        for (at, by) in change {
            now += by;
            if now > most {
                (most, self.peak) = (now, at);
            }
        }
        let peak = self.peak;
        let found = self.tables.iter().filter(|(b, table)| {
            let made = table.makers.iter().all(|i| self.place[*i] < peak);
            let unused = table.readers.iter().all(|i| self.place[*i] != peak);
            let later = table.readers.iter().any(|i| self.place[*i] > peak);
            let large = table.bytes * LEAST_PART >= most as usize;
            arena(b) && made && unused && later && large && table.again
        });
        self.across = found.map(|(b, _)| *b).collect();
    }

    /// What has to be made again for `b`, itself among it, if everything else it takes is there: states, inputs, small
    /// tables, and those across the peak that are not `dropped`.
    pub(super) fn closure(&self, b: Buffer, dropped: &BTreeSet<Buffer>, found: &mut BTreeSet<Buffer>) -> bool {
        if !found.insert(b) {
            return true;
        }
        let table = &self.tables[&b];
        let first_maker = table.makers.iter().min().copied().unwrap_or(0);
        table.again
            && table.made_of.iter().all(|of| {
                let t = &self.tables[of];
                let made = t.makers.iter().all(|i| *i < first_maker);
                let lies = t.bytes * SLIGHT <= table.bytes || self.crosses(t);
                t.given || (made && lies && !dropped.contains(of)) || self.closure(*of, dropped, found)
            })
    }

    /// Is a table there after the peak anyway?
    pub(super) fn crosses(&self, table: &Table) -> bool {
        self.life(table).is_some_and(|(first, last)| first <= self.peak && last > self.peak)
    }

    /// The tables across the peak in the order in which they should be given up: next is always the one that costs
    /// least for its size; one that prolongs a chain of tables made again costs more, since a chain lies in memory at once.
    fn order(&self) -> Vec<Buffer> {
        let (mut order, mut dropped) = (vec![], BTreeSet::new());
        let mut open: Vec<Buffer> = self.across.iter().copied().collect();
        // What is made again, and how many of the tables given up are made of a table that is kept.
        let (mut made, mut taken) = (BTreeSet::new(), HashMap::new());
        loop {
            let mut best: Option<(f64, usize)> = None;
            for (k, b) in open.iter().enumerate() {
                let mut found = BTreeSet::new();
                if !self.closure(*b, &dropped, &mut found) {
                    continue;
                }
                let cost: usize = found.difference(&made).map(|b| self.tables[b].cost).sum();
                let chain = 1 + found.intersection(&dropped).count() + taken.get(b).copied().unwrap_or(0);
                let score = cost as f64 * (chain * chain) as f64 / self.tables[b].bytes as f64;
                if best.is_none_or(|(least, _)| score < least) {
                    best = Some((score, k));
                }
            }
            let Some((_, k)) = best else { return order };
            let b = open.remove(k);
            dropped.insert(b);
            order.push(b);
            made.clear();
            taken.clear();
            for b in &order {
                let mut found = BTreeSet::new();
                self.closure(*b, &dropped, &mut found);
                let read: BTreeSet<Buffer> = found.iter().flat_map(|b| &self.tables[b].made_of).copied().collect();
                read.difference(&found).for_each(|of| *taken.entry(*of).or_default() += 1);
                made.append(&mut found);
            }
        }
    }

    /// The same kernels, with those that make `dropped` tables again before their first reader after the peak, or in every
    /// place where they are read there.
    pub(super) fn without(&self, lowered: Lowered, dropped: &BTreeSet<Buffer>, in_every_place: bool) -> Lowered {
        let mut made = BTreeSet::new();
        for b in dropped {
            self.closure(*b, dropped, &mut made);
        }
        let mut made: Vec<Buffer> = made.into_iter().collect();
        made.sort_by_key(|b| std::cmp::Reverse((self.tables[b].makers.iter().max().copied(), *b)));
        let Lowered { mut program, items, scope } = lowered;
        let mut rows: Vec<Row> = items.into_iter().enumerate().map(|(i, item)| Row::new(i, item)).collect();
        for b in made {
            let readers = self.late_readers(b, dropped.contains(&b), &program, &rows);
            let mut places: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
            for i in readers {
                let place = rows[i].first.map(|first| self.place[first]);
                places.entry(place.filter(|_| in_every_place)).or_default().push(i);
            }
            places.into_values().for_each(|readers| self.make_again(b, readers, &mut program, &mut rows));
        }
        rows.sort_by_key(|row| row.key);
        let place: HashMap<usize, usize> =
            rows.iter().enumerate().filter_map(|(at, row)| row.first.map(|i| (i, at))).collect();
        let items = rows.into_iter().map(|row| {
            let after = row.after.iter().map(|i| place[i]).collect();
            Item { after, ..row.item }
        });
        Lowered { program, items: items.collect(), scope }
    }

    /// Rows that read a table after the peak, or that make something again of it.
    fn late_readers(&self, b: Buffer, dropped: bool, program: &Program, rows: &[Row]) -> Vec<usize> {
        let root = |b: Buffer| root_of(&program.buffers, b);
        let reads = |row: &Row| match row.first {
            Some(i) => dropped && self.place[i] > self.peak && self.tables[&b].readers.contains(&i),
            None => uses(&row.item.kernel, &root).0.contains(&b),
        };
        (0..rows.len()).filter(|i| reads(&rows[*i])).collect()
    }

    fn make_again(&self, b: Buffer, readers: Vec<usize>, program: &mut Program, rows: &mut Vec<Row>) {
        let Some(first) = readers.iter().copied().min_by_key(|i| rows[*i].key) else { return };
        let key = (rows[first].key.0, rows[first].key.1 - 1);
        let after = match rows[first].first {
            Some(i) => self.awaited(i),
            None => rows[first].after.clone(),
        };
        let mut fresh: HashMap<Buffer, Buffer> = HashMap::new();
        let all = (0..program.buffers.len() as u32).map(Buffer);
        let names: Vec<Buffer> = all.filter(|old| root_of(&program.buffers, *old) == b).collect();
        for old in names {
            let ty = program.buffers[old.index()].clone();
            let alias = ty.alias.map(|of| fresh[&of]);
            program.buffers.push(BufferType { alias, ..ty });
            fresh.insert(old, Buffer(program.buffers.len() as u32 - 1));
        }
        let renamed = |x: Buffer| fresh.get(&x).copied().unwrap_or(x);
        for i in readers {
            let kernel = &rows[i].item.kernel;
            let none = HashMap::new();
            rows[i].item.kernel = rewrite(kernel, &none, &mut |x, at| Arc::new(Node::Load(renamed(x), at)));
        }
        for maker in &self.tables[&b].makers {
            let Some(row) = rows.iter().find(|row| row.first == Some(*maker)) else { continue };
            let mut item = row.item.clone();
            item.kernel.stores.retain(|s| root_of(&program.buffers, s.buffer) == b);
            item.kernel.stores.iter_mut().for_each(|s| s.buffer = renamed(s.buffer));
            item.label += " again";
            rows.push(Row { key, first: None, after: after.clone(), item });
        }
    }

    /// What a reader waits for after the peak, apart from tables that are made again for it.
    fn awaited(&self, reader: usize) -> Vec<usize> {
        let of = self.tables.values().filter(|table| table.readers.contains(&reader));
        let makers: BTreeSet<usize> = of.flat_map(|t| t.makers.iter().copied()).filter(|i| *i < reader).collect();
        let late: Vec<usize> = makers.into_iter().filter(|i| self.place[*i] >= self.peak).collect();
        match late.is_empty() {
            false => late,
            true => (0..reader).filter(|i| self.place[*i] == self.peak).collect(),
        }
    }
}

/// An item with its place.
struct Row {
    key: (usize, i64),
    /// Its number before anything was made again.
    first: Option<usize>,
    /// Numbers of others that it waits for.
    after: Vec<usize>,
    item: Item,
}

impl Row {
    fn new(i: usize, item: Item) -> Row {
        Row { key: (i, 0), first: Some(i), after: vec![], item }
    }
}
