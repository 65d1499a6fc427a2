//! Every tile and packing kernel that this processor can run, against plain loops.
//!
//! Operands lie among NaN: a kernel that reads beyond them poisons its result, one that writes beyond them is seen.

use dlc_runtime::micro::{Beside, Finish, Isa, PackArgs, TileArgs, Tiles};

const CANARY: f32 = f32::NAN;

/// Numbers in -1..1 from a counter.
fn number(i: usize) -> f32 {
    let mixed = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    mixed as f32 / (1 << 23) as f32 - 1.0
}

/// A block of rows of `cols` numbers each, `stride` apart, everything else NaN.
struct Block {
    values: Vec<f32>,
    start: usize,
    rows: usize,
    cols: usize,
    stride: usize,
}

impl Block {
    fn new(rows: usize, cols: usize, stride: usize, salt: usize) -> Block {
        let start = 37;
        let mut values = vec![CANARY; start + rows * stride + 64];
        for i in 0..rows {
            for j in 0..cols {
                values[start + i * stride + j] = number(salt + i * cols + j);
            }
        }
        Block { values, start, rows, cols, stride }
    }

    fn at(&self, row: usize, col: usize) -> f32 {
        self.values[self.start + row * self.stride + col]
    }

    fn pointer(&self) -> *const f32 {
        self.values[self.start..].as_ptr()
    }

    fn pointer_mut(&mut self) -> *mut f32 {
        self.values[self.start..].as_mut_ptr()
    }

    /// Nothing but the block's own elements has been written.
    fn intact(&self) -> bool {
        self.values.iter().enumerate().all(|(position, value)| {
            let inside = position
                .checked_sub(self.start)
                .is_some_and(|offset| offset / self.stride < self.rows && offset % self.stride < self.cols);
            inside || value.to_bits() == CANARY.to_bits()
        })
    }
}

struct Case {
    mr: usize,
    nv: usize,
    last: usize,
    k: usize,
    batches: usize,
    accumulate: usize,
    blocks: usize,
    finish: bool,
    beside: bool,
    /// A is stored with k running down its rows: a_row = 1.
    transposed: bool,
}

fn check(tiles: &Tiles, case: &Case) {
    let Case { mr, nv, last, k, batches, accumulate, blocks, finish, beside, transposed } = *case;
    let rows = mr * blocks;
    let cols = (nv - 1) * tiles.lanes + last;
    let (a_rows, a_cols) = if transposed { (k, rows) } else { (rows, k) };
    let (a_stride, b_stride, c_stride) = (a_cols + 3, cols + 5, cols + 7);
    let a = Block::new(a_rows * batches, a_cols, a_stride, 1);
    let b = Block::new(k * batches, cols, b_stride, 100_000);
    let mut c = Block::new(rows, cols, c_stride, 200_000);
    let before = c.values.clone();
    let more = Block::new(1, cols, cols, 300_000);
    let bounds = [-0.75, 0.5];
    let rest = Block::new(rows, cols, cols + 9, 400_000);
    let stride = (cols + 9) as isize;
    let table = Beside { at: rest.pointer(), row: stride, step: mr as isize * stride };
    let finishing = if finish { Finish { add: more.pointer(), bounds } } else { Finish::NOTHING };
    let args = TileArgs {
        a: a.pointer(),
        b: b.pointer(),
        c: c.pointer_mut(),
        a_row: if transposed { 1 } else { a_stride as isize },
        a_k: if transposed { a_stride as isize } else { 1 },
        a_batch: (a_rows * a_stride) as isize,
        b_k: b_stride as isize,
        b_batch: (k * b_stride) as isize,
        c_row: c_stride as isize,
        k,
        batches,
        last,
        accumulate,
        blocks,
        a_step: (if transposed { mr } else { mr * a_stride }) as isize,
        c_step: (mr * c_stride) as isize,
        finish: finishing,
        beside: if beside { table } else { Beside::NOTHING },
        ahead: 1 << 40,
        ahead_step: -77,
    };
    let tile = tiles.get(mr, nv).expect("within max_rows");
    // SAFETY: the blocks hold what the arguments describe; the table is of an available ISA.
    unsafe { tile(&args) };
    let label = format!(
        "{} {mr}x{nv} last {last} k {k} batches {batches} accumulate {accumulate} blocks {blocks} finish {finish} beside {beside} {transposed}",
        tiles.isa.name()
    );
    assert!(c.intact(), "{label}: wrote outside C");
    for i in 0..rows {
        for j in 0..cols {
            let mut expected = if accumulate != 0 { f64::from(before[c.start + i * c_stride + j]) } else { 0.0 };
            let mut magnitude = 1.0 + expected.abs();
            for batch in 0..batches {
                for p in 0..k {
                    let x = if transposed { a.at(batch * a_rows + p, i) } else { a.at(batch * a_rows + i, p) };
                    let product = f64::from(x) * f64::from(b.at(batch * k + p, j));
                    expected += product;
                    magnitude += product.abs();
                }
            }
            if finish {
                let table = if beside { f64::from(rest.at(i, j)) } else { 0.0 };
                magnitude += table.abs();
                expected =
                    (expected + table + f64::from(more.at(0, j))).clamp(f64::from(bounds[0]), f64::from(bounds[1]));
            }
            let found = f64::from(c.at(i, j));
            assert!((found - expected).abs() <= 1e-5 * magnitude, "{label} [{i}][{j}]: {found} {expected}");
        }
    }
}

fn every_tile(isa: Isa) {
    let tiles = isa.tiles();
    for nv in 1..=tiles.max_vectors() {
        for mr in 1..=tiles.max_rows(nv) {
            for last in 1..=tiles.lanes {
                for k in [0, 1, 7, 64] {
                    // Every combination of the rest is met, not every one for each lane count.
                    let turn = last + mr + k;
                    let batches = if last == tiles.lanes { 3 } else { turn % 4 };
                    for accumulate in [0, 1] {
                        let transposed = turn % 2 == 0;
                        let blocks = 1 + turn % 3;
                        let finish = accumulate == 0 && (turn / 2 + nv) % 2 == 0;
                        let beside = finish && (turn + nv) % 3 != 0;
                        let case = Case { mr, nv, last, k, batches, accumulate, blocks, finish, beside, transposed };
                        check(tiles, &case);
                    }
                }
            }
        }
        assert!(tiles.get(tiles.max_rows(nv) + 1, nv).is_none());
    }
    assert!(tiles.get(0, 1).is_none() && tiles.get(1, 0).is_none() && tiles.get(1, 5).is_none());
}

#[test]
fn tiles_agree_with_loops() {
    for isa in Isa::available() {
        every_tile(isa);
    }
}

#[test]
fn tiles_walk_backwards() {
    // Negative strides serve rotated kernels: B and A read from their last row up.
    for isa in Isa::available() {
        let tiles = isa.tiles();
        let (mr, k, cols) = (3, 5, tiles.lanes);
        let a = Block::new(mr, k, k + 1, 1);
        let b = Block::new(k, cols, cols, 50);
        let mut c = Block::new(mr, cols, cols + 1, 90);
        let args = TileArgs {
            a: &a.values[a.start + k - 1],
            b: &b.values[b.start + (k - 1) * cols],
            c: c.pointer_mut(),
            a_row: (k + 1) as isize,
            a_k: -1,
            a_batch: 0,
            b_k: -(cols as isize),
            b_batch: 0,
            c_row: (cols + 1) as isize,
            k,
            batches: 1,
            last: cols,
            accumulate: 0,
            blocks: 1,
            a_step: 0,
            c_step: 0,
            finish: Finish::NOTHING,
            beside: Beside::NOTHING,
            ahead: 0,
            ahead_step: 0,
        };
        // SAFETY: the pointers walk the blocks from their ends to their beginnings.
        unsafe { tiles.get(mr, 1).expect("three rows")(&args) };
        for i in 0..mr {
            for j in 0..cols {
                let expected: f32 = (0..k).map(|p| a.at(i, p) * b.at(p, j)).sum();
                assert!((c.at(i, j) - expected).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn packing_agrees_with_loops() {
    for isa in Isa::available() {
        let tiles = isa.tiles();
        for rows in [0, 1, 2, 7, 8, 9, 15, 16, 17, 33] {
            for cols in [0, 1, 3, 8, 15, 16, 17, 40] {
                let source = Block::new(rows, cols, cols + 3, 1);
                let mut copied = Block::new(rows, cols, cols + 2, 777);
                let mut turned = Block::new(cols, rows, rows + 5, 888);
                let mut args = PackArgs {
                    src: source.pointer(),
                    dst: copied.pointer_mut(),
                    rows,
                    cols,
                    src_row: source.stride as isize,
                    dst_row: copied.stride as isize,
                };
                // SAFETY: source and targets are blocks of these sizes, apart from each other.
                unsafe {
                    (tiles.pack_copy)(&args);
                    args.dst = turned.pointer_mut();
                    args.dst_row = turned.stride as isize;
                    (tiles.pack_transpose)(&args);
                }
                assert!(copied.intact() && turned.intact(), "{} {rows}x{cols}", isa.name());
                for i in 0..rows {
                    for j in 0..cols {
                        assert_eq!(copied.at(i, j), source.at(i, j));
                        assert_eq!(turned.at(j, i), source.at(i, j));
                    }
                }
            }
        }
    }
}

#[test]
fn names_of_instruction_sets() {
    assert_eq!(Isa::parse("native"), Ok(Isa::detect()));
    assert_eq!(Isa::parse("portable"), Ok(Isa::Portable));
    assert!(Isa::parse("sse9").is_err());
    for isa in Isa::available() {
        assert_eq!(Isa::parse(isa.name()), Ok(isa));
    }
}

#[test]
fn what_is_no_number_stays() {
    for isa in Isa::available() {
        let tiles = isa.tiles();
        let (a, b) = ([f32::NAN], vec![1.0f32; tiles.lanes]);
        let more = vec![1.0f32; tiles.lanes];
        let mut c = vec![0.0f32; tiles.lanes];
        let args = TileArgs {
            a: a.as_ptr(),
            b: b.as_ptr(),
            c: c.as_mut_ptr(),
            a_row: 0,
            a_k: 0,
            a_batch: 0,
            b_k: 0,
            b_batch: 0,
            c_row: 0,
            k: 1,
            batches: 1,
            last: tiles.lanes,
            accumulate: 0,
            blocks: 1,
            a_step: 0,
            c_step: 0,
            finish: Finish { add: more.as_ptr(), bounds: [0.0, 6.0] },
            beside: Beside::NOTHING,
            ahead: 0,
            ahead_step: 0,
        };
        // SAFETY: one row of one term, and a vector of everything else.
        unsafe { tiles.get(1, 1).expect("the smallest tile")(&args) };
        assert!(c.iter().all(|x| x.is_nan()), "{}: {c:?}", isa.name());
    }
}
