//! Sums over rows, for vectors of neighbouring columns: several rows and vectors at once, so that there are chains of
//! additions that do not wait for each other, and whole cache lines are read while they are there. Gradients of biases
//! and the sums of batch normalization are such sums.

use super::emit::{Emitter, INDEX, Item, ROW};
use super::folds::{combines, start};
use super::values::{Id, Level, OF_COLUMN};
use super::vex::{self, HELPER, Reg, Rm};

/// Rows at once at most.
const ROWS: usize = 4;
/// Vectors of columns at once at most: a few cache lines of each row.
const VECTORS: usize = 4;

/// The registers of a function, by the lanes of its vectors.
struct Shares {
    /// For what is folded.
    sums: Vec<Reg>,
    /// For what is the same in all rows.
    stay: Vec<Reg>,
    /// For everything else.
    free: Vec<Reg>,
}

impl Shares {
    fn new(lanes: usize) -> Shares {
        let list = |from: Reg, to: Reg| (from..to).collect();
        match lanes {
            16 => Shares { sums: list(24, 32), stay: list(16, 24), free: list(0, 13) },
            _ => Shares { sums: list(9, 13), stay: vec![], free: list(0, 9) },
        }
    }
}

/// What is folded at once.
#[derive(Clone, Copy)]
struct Block {
    rows: usize,
    vectors: usize,
}

impl Emitter<'_> {
    pub(super) fn columns(&mut self) {
        let shares = Shares::new(self.lanes);
        self.free = Some([&shares.free[..], &shares.stay].concat());
        let once = self.at_level(|level| level <= Level::Row);
        let once: Vec<Id> = once.into_iter().filter(|id| self.frame.home(*id).is_none()).collect();
        self.kept(&once);
        let extent = self.plan.phases[0].extent;
        let (whole, rest) = (extent / self.lanes, extent % self.lanes);
        let most = (shares.sums.len() / self.plan.columns.len()).min(VECTORS);
        let at_once = most.min(whole.max(1));
        let bytes = (self.lanes * 4) as i32;
        self.a.set(INDEX, 0);
        let blocks = whole / at_once;
        if blocks > 0 {
            let top = self.a.bytes.len();
            self.block(&shares, at_once);
            self.a.add(INDEX, at_once as i32 * bytes);
            if blocks > 1 {
                self.a.repeat_below(INDEX, (blocks * at_once) as i32 * bytes, top);
            }
        }
        let left = whole % at_once;
        if left > 0 {
            self.block(&shares, left);
            self.a.add(INDEX, left as i32 * bytes);
        }
        if rest > 0 {
            self.a.last_lanes(rest);
            self.masked = true;
            self.block(&shares, 1);
            self.masked = false;
        }
    }

    /// So many vectors of columns, over all rows.
    fn block(&mut self, shares: &Shares, vectors: usize) {
        let plan = self.plan;
        let (last, outer) = (plan.loops.len() - 1, &plan.loops[..plan.loops.len() - 1]);
        let extent = plan.loops[last].extent;
        let chains = |rows: &usize| rows * vectors * plan.columns.len() <= shares.sums.len() && *rows <= extent;
        let rows = [ROWS, 2].into_iter().find(chains).unwrap_or(1);
        let block = Block { rows, vectors };
        let sum = |column: usize, row: usize, vector: usize| {
            shares.sums[(column * block.rows + row) * block.vectors + vector]
        };
        let homes = self.of_columns(shares, block);
        for (c, column) in plan.columns.iter().enumerate() {
            let neutral = self.a.constant(start(column.fold));
            for row in 0..rows {
                (0..vectors).for_each(|vector| self.a.wide(vex::LOAD, sum(c, row, vector), 0, neutral));
            }
        }
        self.whole = Some(extent / rows * rows);
        self.nest(0, outer.len(), &mut |e| e.rows(block, &homes, &sum));
        self.beside = (0, 0);
        for (c, column) in plan.columns.iter().enumerate() {
            let code = combines(column.fold);
            for vector in 0..vectors {
                let total = sum(c, 0, vector);
                (1..rows).for_each(|row| self.a.wide(code, total, total, Rm::Reg(sum(c, row, vector))));
                self.beside = (0, vector as i32);
                let to = self.memory(column.to, true);
                match (column.adds, self.masked) {
                    (true, true) => {
                        self.a.load_masked(HELPER, to);
                        self.a.wide(vex::ADD, total, total, Rm::Reg(HELPER));
                    }
                    (true, false) => self.a.wide(vex::ADD, total, total, to),
                    (false, _) => {}
                }
                match self.masked {
                    true => self.a.store_masked(total, to),
                    false => self.a.wide(vex::STORE, total, 0, to),
                }
            }
        }
        self.beside = (0, 0);
        let moved = self.moved(0);
        self.advance(|p| -moved[p]);
    }

    /// Computes what is the same in all rows of each vector of columns; says where it lies.
    fn of_columns(&mut self, shares: &Shares, block: Block) -> Vec<Vec<(Id, Rm)>> {
        let own = self.at_level(|level| level == Level::Vector(OF_COLUMN));
        let later = self.at_level(|level| level == Level::Vector(u16::MAX));
        let read: Vec<Id> = later.iter().flat_map(|id| self.plan.values.ops[*id as usize].0.operands()).collect();
        let folded = |id: &Id| self.plan.columns.iter().any(|c| c.of == *id);
        let wanted: Vec<Id> = own.iter().copied().filter(|id| read.contains(id) || folded(id)).collect();
        self.free = Some(shares.free.clone());
        self.stays.clear();
        let mut registers = shares.stay.iter();
        let fit = wanted.len() * block.vectors <= shares.stay.len();
        let mut homes = vec![];
        for vector in 0..block.vectors {
            self.beside = (0, vector as i32);
            let mut own_homes = vec![];
            for id in &wanted {
                let home = match registers.next() {
                    Some(r) if fit => Rm::Reg(*r),
                    _ => self.frame.slot(),
                };
                own_homes.push((*id, home));
            }
            self.computed(&own, &own_homes);
            homes.push(own_homes);
        }
        homes
    }

    /// Computes values, of which some are kept.
    fn computed(&mut self, ids: &[Id], homes: &[(Id, Rm)]) {
        let uses: Vec<Vec<Id>> = ids.iter().map(|id| Item::Compute(*id).reads(self)).collect();
        let mut r = self.registers(&uses);
        for (at, id) in ids.iter().enumerate() {
            let register = self.compute(&mut r, *id, at);
            match homes.iter().find(|(x, _)| x == id) {
                Some((_, Rm::Reg(stay))) => self.a.wide(vex::LOAD, *stay, 0, Rm::Reg(register)),
                Some((_, home)) => self.a.wide(vex::STORE, register, 0, *home),
                None => {}
            }
        }
    }

    /// The innermost loop over rows.
    fn rows(&mut self, block: Block, homes: &[Vec<(Id, Rm)>], sum: &dyn Fn(usize, usize, usize) -> Reg) {
        let rows = self.plan.loops.last().expect("bug in codegen: columns have rows");
        let (rounds, rest) = (rows.extent / block.rows, rows.extent % block.rows);
        self.a.set(ROW, 0);
        let top = self.a.bytes.len();
        (0..block.rows).for_each(|row| self.row_of_columns(row, homes, sum));
        self.advance(|p| rows.steps[p] * block.rows as i64);
        if rounds > 1 {
            self.a.add(ROW, 1);
            self.a.repeat_below(ROW, rounds as i32, top);
        }
        (0..rest).for_each(|row| self.row_of_columns(row, homes, sum));
    }

    fn row_of_columns(&mut self, row: usize, homes: &[Vec<(Id, Rm)>], sum: &dyn Fn(usize, usize, usize) -> Reg) {
        let ids = self.at_level(|level| level == Level::Vector(u16::MAX));
        for (vector, homes) in homes.iter().enumerate() {
            self.beside = (row as i32, vector as i32);
            self.stays.clear();
            for (id, home) in homes {
                match home {
                    Rm::Reg(r) => self.stays.push((*id, *r)),
                    home => self.frame.settle(*id, *home),
                }
            }
            let columns = self.plan.columns.iter().enumerate();
            let folds = columns.map(|(c, column)| Item::Fold(column.fold, column.of, sum(c, row, vector)));
            let items: Vec<Item> = ids.iter().copied().map(Item::Compute).chain(folds).collect();
            self.straight(&items, 1);
        }
        self.beside = (0, 0);
    }
}
