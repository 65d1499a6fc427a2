//! Runs a program of nests as it is written: slowly, on plain buffers, tasks in order, checking every access.
//!
//! Vector loops are plain loops, a tile is a triple loop. What memory holds before it is written is NaN, scratch
//! anew in every task, so that nothing can be used that was not computed.

use super::affine::Affine;
use super::interp::{self, Bound, coordinate};
use super::kernel::{BufferType, Home, How, Store};
use super::nest::{Accumulate, Filter, Finish, For, Place, Program, Step, Stmt, Tile, Transform, Transpose};
use crate::base::{Buffer, Var};

/// The memory of a program: of each buffer that is no alias, its elements.
#[derive(Clone, Debug)]
pub struct Buffers<'a> {
    types: &'a [BufferType],
    data: Vec<Vec<f32>>,
}

impl<'a> Buffers<'a> {
    pub fn new(program: &'a Program) -> Buffers<'a> {
        let own = |t: &BufferType| if t.alias.is_none() { t.shape.iter().product() } else { 0 };
        Buffers { types: &program.buffers, data: program.buffers.iter().map(|t| vec![f32::NAN; own(t)]).collect() }
    }

    fn root(&self, mut b: Buffer) -> usize {
        while let Some(of) = self.types[b.index()].alias {
            b = of;
        }
        b.index()
    }

    pub fn get(&self, b: Buffer) -> &[f32] {
        &self.data[self.root(b)]
    }

    pub fn set(&mut self, b: Buffer, values: &[f32]) {
        let root = self.root(b);
        self.data[root].copy_from_slice(values);
    }

    fn element(&mut self, b: Buffer, at: i64) -> Result<&mut f32, String> {
        let root = self.root(b);
        let data = &mut self.data[root];
        let n = data.len();
        let found = usize::try_from(at).ok().and_then(|i| data.get_mut(i));
        found.ok_or(format!("{b}: element {at} of {n}"))
    }
}

impl interp::Memory for Buffers<'_> {
    fn offset(&self, buffer: Buffer, at: &[i64]) -> Result<usize, String> {
        let ty = self.types.get(buffer.index()).ok_or(format!("no buffer {buffer}"))?;
        interp::dense(buffer, &ty.shape, at)
    }

    fn read(&self, buffer: Buffer, offset: usize) -> f32 {
        self.get(buffer)[offset]
    }

    fn write(&mut self, buffer: Buffer, offset: usize, value: f32) {
        let root = self.root(buffer);
        self.data[root][offset] = value;
    }
}

/// Runs all steps. `lanes`: of the vectors that tiles work on. `Err` names the first access out of bounds.
pub fn run(program: &Program, lanes: usize, buffers: &mut Buffers<'_>) -> Result<(), String> {
    for (i, step) in program.steps.iter().enumerate() {
        let mut run = Run { lanes, buffers, bound: Bound::new() };
        run.step(step).map_err(|e| format!("step {i} ({}): {e}", step.label))?;
    }
    Ok(())
}

struct Run<'a, 'b> {
    lanes: usize,
    buffers: &'a mut Buffers<'b>,
    bound: Bound,
}

impl Run<'_, '_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let Some(f) = step.rounds() else {
            return (0..step.tasks).try_for_each(|task| self.task(&[(step.task, task)], &step.body));
        };
        for round in 0..f.extent {
            (0..step.tasks).try_for_each(|task| self.task(&[(f.var, round), (step.task, task)], &f.body))?;
        }
        Ok(())
    }

    fn task(&mut self, vars: &[(Var, usize)], body: &[Stmt]) -> Result<(), String> {
        for (ty, data) in self.buffers.types.iter().zip(&mut self.buffers.data) {
            if ty.home == Home::Scratch {
                data.fill(f32::NAN);
            }
        }
        self.bound = vars.iter().map(|(var, i)| (*var, *i as i64)).collect();
        self.stmts(body)
    }

    fn stmts(&mut self, stmts: &[Stmt]) -> Result<(), String> {
        stmts.iter().try_for_each(|stmt| match stmt {
            Stmt::For(f) => self.for_loop(f),
            Stmt::Group(stores) => self.group(stores),
            Stmt::Tile(t) => self.tile(t),
            Stmt::Transpose(t) => self.transpose(t),
            Stmt::Transform(t) => self.transform(t),
            Stmt::Filter(t) => self.filter(t),
            Stmt::Mark(_) => Ok(()),
        })
    }

    fn for_loop(&mut self, f: &For) -> Result<(), String> {
        for i in 0..f.extent {
            self.bound.insert(f.var, i as i64);
            if let Some((at, bound)) = &f.within
                && coordinate(at, &self.bound)? >= *bound as i64
            {
                break;
            }
            self.stmts(&f.body)?;
        }
        self.bound.remove(&f.var);
        Ok(())
    }

    fn group(&mut self, stores: &[Store]) -> Result<(), String> {
        let mut writes = vec![];
        for s in stores {
            let offset = interp::offset(s.buffer, &s.at, self.buffers, &mut self.bound)?;
            writes.push((s, offset, interp::value(&s.value, self.buffers, &mut self.bound)?));
        }
        for (s, offset, value) in writes {
            let element = self.buffers.element(s.buffer, offset as i64)?;
            match s.how {
                How::Set => *element = value,
                How::Add => *element += value,
            }
        }
        Ok(())
    }

    /// The position of the first element of a place; single coordinates may lie outside their axes.
    fn start(&self, p: &Place) -> Result<i64, String> {
        let shape = &self.buffers.types[p.buffer.index()].shape;
        let mut offset = Affine::default();
        for (at, n) in p.at.iter().zip(shape) {
            offset = &(&offset * *n as i64) + at;
        }
        coordinate(&offset, &self.bound)
    }

    fn tile(&mut self, t: &Tile) -> Result<(), String> {
        let (a, b, c) = (self.start(&t.a)?, self.start(&t.b)?, self.start(&t.c)?);
        let add = self.adds(&t.accumulate);
        for i in 0..t.rows as i64 {
            for j in 0..((t.vectors - 1) * self.lanes + t.last) as i64 {
                let mut sum = 0.0;
                for batch in 0..t.batches as i64 {
                    for k in 0..t.k as i64 {
                        let x = a + batch * t.a_batch + i * t.a_row + k * t.a_k;
                        let y = b + batch * t.b_batch + k * t.b_k + j;
                        let x = f64::from(*self.buffers.element(t.a.buffer, x)?);
                        sum += x * f64::from(*self.buffers.element(t.b.buffer, y)?);
                    }
                }
                if let Some(beside) = &t.beside {
                    let from = self.start(&beside.place)? + i * beside.row + j;
                    sum += f64::from(*self.buffers.element(beside.place.buffer, from)?);
                }
                let sum = self.finished(t.finish.as_ref(), j, sum as f32)?;
                let element = self.buffers.element(t.c.buffer, c + i * t.c_row + j)?;
                *element = if add { *element + sum } else { sum };
            }
        }
        Ok(())
    }

    fn finished(&mut self, finish: Option<&Finish>, column: i64, sum: f32) -> Result<f32, String> {
        let Some(Finish { add, bounds: [low, high] }) = finish else { return Ok(sum) };
        let start = self.start(add)?;
        let sum = sum + *self.buffers.element(add.buffer, start + column)?;
        Ok(if sum.is_nan() { sum } else { sum.max(*low).min(*high) })
    }

    /// Does a sum begin with what is there?
    fn adds(&self, accumulate: &Accumulate) -> bool {
        match accumulate {
            Accumulate::Always => true,
            Accumulate::AfterFirst(vars) => vars.iter().any(|v| self.bound.get(v).is_some_and(|i| *i != 0)),
        }
    }

    fn filter(&mut self, t: &Filter) -> Result<(), String> {
        let (from, by, to) = (self.start(&t.from)?, self.start(&t.by)?, self.start(&t.to)?);
        let add = self.adds(&t.accumulate);
        let ([row, col, next], [by_row, by_col]) = (t.from_strides, t.by_strides);
        for p in 0..t.count as i64 {
            for c in 0..t.channels as i64 {
                let mut sum = 0.0;
                for i in 0..t.taps[0] as i64 {
                    for j in 0..t.taps[1] as i64 {
                        let x = *self.buffers.element(t.from.buffer, from + p * next + i * row + j * col + c)?;
                        let y = *self.buffers.element(t.by.buffer, by + i * by_row + j * by_col + c)?;
                        sum += f64::from(x) * f64::from(y);
                    }
                }
                let sum = self.finished(t.finish.as_ref(), c, sum as f32)?;
                let element = self.buffers.element(t.to.buffer, to + p * t.to_next + c)?;
                *element = if add { *element + sum } else { sum };
            }
        }
        Ok(())
    }

    fn transform(&mut self, t: &Transform) -> Result<(), String> {
        let (from, to) = (self.start(&t.from)?, self.start(&t.to)?);
        let (outs, ins) = t.matrix.size();
        let (cut_source, cut_target) = t.matrix.cut();
        let place = |s: [i64; 3], [i, j, tile]: [usize; 3]| i as i64 * s[0] + j as i64 * s[1] + tile as i64 * s[2];
        let within = |x: usize, [from, to]: [usize; 2]| from <= x && x < to;
        let exists =
            |cut: bool, [i, j, tile]: [usize; 3]| !cut || (within(i, t.rows) && within(tile * t.step + j, t.cols));
        let entry = |i: usize, j: usize| f64::from(t.matrix.entry(i, j));
        for tile in 0..t.count {
            for c in 0..t.channels as i64 {
                let mut d = vec![0.0; ins * ins];
                for (k, x) in d.iter_mut().enumerate() {
                    let at = [k / ins, k % ins, tile];
                    if exists(cut_source, at) {
                        *x = f64::from(*self.buffers.element(t.from.buffer, from + place(t.from_strides, at) + c)?);
                    }
                }
                for i in 0..outs {
                    for j in 0..outs {
                        if exists(cut_target, [i, j, tile]) {
                            let terms = d.iter().enumerate().map(|(k, x)| entry(i, k / ins) * x * entry(j, k % ins));
                            let at = to + place(t.to_strides, [i, j, tile]) + c;
                            *self.buffers.element(t.to.buffer, at)? = terms.sum::<f64>() as f32;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn transpose(&mut self, t: &Transpose) -> Result<(), String> {
        let (from, to) = (self.start(&t.from)?, self.start(&t.to)?);
        for i in 0..t.rows as i64 {
            for j in 0..t.columns as i64 {
                let x = *self.buffers.element(t.from.buffer, from + i * t.from_row + j)?;
                *self.buffers.element(t.to.buffer, to + j * t.to_row + i)? = x;
            }
        }
        Ok(())
    }
}
