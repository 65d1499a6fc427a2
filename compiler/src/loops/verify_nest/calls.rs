//! Calls of microkernels: what they read and write lies inside its buffers, and sums go where they should.

use super::Check;
use super::ranges::Linear;
use crate::base::{Buffer, Var};
use crate::loops::affine::Affine;
use crate::loops::kernel::Home;
use crate::loops::nest::{Accumulate, Filter, Finish, Place, Tile, Transform, Transpose};

impl Check<'_> {
    /// The elements `p + sum of step * i` for all `i` below the counts; all inside the buffer.
    fn region(&mut self, p: &Place, more: &[(i64, usize)]) -> Result<Linear, String> {
        self.part(p, 0, more)
    }

    /// The same, `skipped` elements after the place.
    fn part(&mut self, p: &Place, skipped: i64, more: &[(i64, usize)]) -> Result<Linear, String> {
        let shape = &self.shape(p.buffer)?.shape;
        if shape.len() != p.at.len() {
            return Err(format!("{}: {} coordinates for {shape:?}", p.buffer, p.at.len()));
        }
        p.at.iter().try_for_each(|a| self.ranges.bound(a))?;
        if more.iter().any(|(_, count)| *count == 0) {
            return Err("nothing to do".into());
        }
        let strides = self.memory.strides(p.buffer);
        let at = p.at.iter().zip(strides).fold(Affine::constant(skipped), |sum, (a, s)| &sum + &(a * *s));
        let linear = Linear { at, more: more.iter().copied().filter(|(_, n)| *n > 1).collect() };
        let (low, high) = self.ranges.linear(&linear, usize::MAX);
        let size = self.memory.size(p.buffer);
        if low <= high && (low < 0 || high >= size) {
            return Err(format!("{}: elements {low}..={high} of {size}", p.buffer));
        }
        Ok(linear)
    }

    pub(super) fn tile(&mut self, t: &Tile) -> Result<(), String> {
        if t.vectors == 0 || t.last == 0 || t.last > self.lanes {
            return Err(format!("{} lanes of {} in the last of {} vectors", t.last, self.lanes, t.vectors));
        }
        let columns = (t.vectors - 1) * self.lanes + t.last;
        if t.rows > 1 && t.c_row.unsigned_abs() < columns as u64 {
            return Err(format!("rows of {columns} columns overlap"));
        }
        t.ahead.iter().flat_map(|place| &place.at).try_for_each(|at| self.ranges.bound(at))?;
        let a = self.region(&t.a, &[(t.a_row, t.rows), (t.a_k, t.k), (t.a_batch, t.batches)])?;
        let b = self.region(&t.b, &[(t.b_k, t.k), (t.b_batch, t.batches), (1, columns)])?;
        let c = self.region(&t.c, &[(t.c_row, t.rows), (1, columns)])?;
        self.read(t.a.buffer, &a)?;
        self.read(t.b.buffer, &b)?;
        self.finish(t.finish.as_ref(), columns, &t.accumulate)?;
        self.beside(t, columns)?;
        self.sum(&t.accumulate, t.c.buffer, &c)?;
        self.write(t.c.buffer, &c)
    }

    pub(super) fn filter(&mut self, t: &Filter) -> Result<(), String> {
        if t.count > 1 && t.to_next.unsigned_abs() < t.channels as u64 {
            return Err(format!("points of {} channels overlap", t.channels));
        }
        let [rows, cols] = t.taps;
        let ([row, col, next], [by_row, by_col]) = (t.from_strides, t.by_strides);
        let from = self.region(&t.from, &[(row, rows), (col, cols), (next, t.count), (1, t.channels)])?;
        let by = self.region(&t.by, &[(by_row, rows), (by_col, cols), (1, t.channels)])?;
        let to = self.region(&t.to, &[(t.to_next, t.count), (1, t.channels)])?;
        let [source, factors, result] = [&t.from, &t.by, &t.to].map(|p| self.memory.root(p.buffer));
        if result == source || result == factors {
            return Err("the result lies where it is read from".into());
        }
        self.read(t.from.buffer, &from)?;
        self.read(t.by.buffer, &by)?;
        self.finish(t.finish.as_ref(), t.channels, &t.accumulate)?;
        self.sum(&t.accumulate, t.to.buffer, &to)?;
        self.write(t.to.buffer, &to)
    }

    /// Only what is complete can be finished.
    fn finish(&mut self, f: Option<&Finish>, columns: usize, accumulate: &Accumulate) -> Result<(), String> {
        let Some(Finish { add, bounds: [low, high] }) = f else { return Ok(()) };
        if !matches!(accumulate, Accumulate::AfterFirst(vars) if vars.is_empty()) {
            return Err("a sum is finished before it is complete".into());
        }
        if low.is_nan() || high.is_nan() || low > high {
            return Err(format!("nothing lies within {low} and {high}"));
        }
        let read = self.region(add, &[(1, columns)])?;
        self.read(add.buffer, &read)
    }

    /// A table that is added is read as the result is written, and lies elsewhere.
    fn beside(&mut self, t: &Tile, columns: usize) -> Result<(), String> {
        let Some(beside) = &t.beside else { return Ok(()) };
        if t.finish.is_none() {
            return Err("a table is added to a sum that is not finished".into());
        }
        if self.memory.root(beside.place.buffer) == self.memory.root(t.c.buffer) {
            return Err("the result lies where it is read from".into());
        }
        let read = self.region(&beside.place, &[(beside.row, t.rows), (1, columns)])?;
        self.read(beside.place.buffer, &read)
    }

    /// What a result is added to: nothing at first, or what was there.
    fn sum(&mut self, accumulate: &Accumulate, buffer: Buffer, to: &Linear) -> Result<(), String> {
        match accumulate {
            Accumulate::Always => self.read(buffer, to),
            Accumulate::AfterFirst(vars) => self.first(vars, buffer, to),
        }
    }

    /// The variables over which a result is accumulated are loops that do not move it, and all such loops.
    fn first(&self, vars: &[Var], buffer: Buffer, c: &Linear) -> Result<(), String> {
        for var in vars {
            if self.ranges.extent(*var).is_none() || c.at.coefficient(*var) != 0 {
                return Err(format!("the result cannot be accumulated over {var}"));
            }
        }
        let kept = self.shape(buffer)?.home != Home::Scratch;
        let still = self.ranges.vars[1..self.loops]
            .iter()
            .find(|(v, n)| kept && *n > 1 && c.at.coefficient(*v) == 0 && !vars.contains(v));
        match still {
            Some((v, _)) => Err(format!("the result is overwritten for every {v}")),
            None => Ok(()),
        }
    }

    pub(super) fn transform(&mut self, t: &Transform) -> Result<(), String> {
        let (cut_source, cut_target) = t.matrix.cut();
        let (outs, ins) = t.matrix.size();
        let even = |[_, col, next]: [i64; 3]| t.count == 1 || next == col * t.step as i64;
        if (cut_source && !even(t.from_strides)) || (cut_target && !even(t.to_strides)) {
            return Err("tiles that may be cut do not lie evenly".into());
        }
        let points = if cut_source { ins } else { outs };
        let (row, all) = (t.rows[0] < t.rows[1], t.count.saturating_sub(1) * t.step + points);
        if !row || t.rows[1] > points || t.cols[0] >= t.cols[1] || t.cols[1] > all {
            return Err(format!("{:?}x{:?} points of {} tiles", t.rows, t.cols, t.count));
        }
        let ((skipped, from), (left_out, to)) = (t.region(false), t.region(true));
        let from = self.part(&t.from, skipped, &from)?;
        let to = self.part(&t.to, left_out, &to)?;
        self.read(t.from.buffer, &from)?;
        self.write(t.to.buffer, &to)
    }

    pub(super) fn transpose(&mut self, t: &Transpose) -> Result<(), String> {
        if t.columns > 1 && t.to_row.unsigned_abs() < t.rows as u64 {
            return Err(format!("rows of {} columns overlap", t.rows));
        }
        let from = self.region(&t.from, &[(t.from_row, t.rows), (1, t.columns)])?;
        let to = self.region(&t.to, &[(t.to_row, t.columns), (1, t.rows)])?;
        self.read(t.from.buffer, &from)?;
        self.write(t.to.buffer, &to)
    }
}
