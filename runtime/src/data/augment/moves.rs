//! Points that move: each of the result comes from a place of the source.

/// From a point of the result to one of the source, rows first, both from the middle of the picture.
#[derive(Clone, Copy)]
pub(super) struct Move {
    pub turn: [[f64; 2]; 2],
    pub by: [f64; 2],
}

pub(super) const STILL: Move = Move { turn: [[1.0, 0.0], [0.0, 1.0]], by: [0.0, 0.0] };

impl Move {
    /// First `next`, then what was before: the inverse of doing `next` last.
    pub fn after(self, next: Move) -> Move {
        let [a, b] = self.turn;
        let row = |r: [f64; 2]| [0, 1].map(|column| r[0] * next.turn[0][column] + r[1] * next.turn[1][column]);
        let by = [0, 1].map(|at| self.turn[at][0] * next.by[0] + self.turn[at][1] * next.by[1] + self.by[at]);
        Move { turn: [row(a), row(b)], by }
    }

    pub fn is_still(&self) -> bool {
        self.turn == STILL.turn && self.by == STILL.by
    }

    /// No row becomes a column.
    fn is_upright(&self) -> bool {
        self.turn[0][1] == 0.0 && self.turn[1][0] == 0.0
    }

    fn is_whole(&self) -> bool {
        let numbers = self.turn.iter().flatten().chain(&self.by);
        numbers.into_iter().all(|x| x.fract() == 0.0)
    }

    /// Whether points are neither mixed nor turned: shifted and mirrored at most.
    pub fn only_picks(&self) -> bool {
        self.is_whole() && self.is_upright()
    }

    /// Where rows and columns come from.
    pub fn picks(&self, [h, w, _]: [usize; 3], edge: bool) -> Picks {
        let source = |axis: usize, size: usize, place: usize| {
            let middle = (size as f64 - 1.0) / 2.0;
            let found = self.turn[axis][axis] * (place as f64 - middle) + self.by[axis] + middle;
            let (found, last) = ((found + 0.5).floor(), size as f64 - 1.0);
            let inside = (0.0..=last).contains(&found);
            (inside || edge).then_some(found.clamp(0.0, last) as usize)
        };
        let columns: Vec<Option<usize>> = (0..w).map(|x| source(1, w, x)).collect();
        Picks { rows: (0..h).map(|y| source(0, h, y)).collect(), runs: runs(&columns), width: w }
    }
}

/// The row that each row comes from, and the columns in runs; nothing of what lies outside.
pub(super) struct Picks {
    rows: Vec<Option<usize>>,
    runs: Vec<Run>,
    width: usize,
}

/// Neighbours that follow each other where they come from as here, or the other way round.
struct Run {
    at: usize,
    from: Option<usize>,
    len: usize,
    back: bool,
}

impl Picks {
    /// Writes points of `c` channels, each as the function says, and `outside` where there are none.
    pub fn write<T: Copy>(
        &self,
        from: &[T],
        c: usize,
        (outside, value): (f32, impl Fn(usize, T) -> f32),
        out: &mut [f32],
    ) {
        match c {
            1 => self.write_of(from, 1, (outside, value), out),
            3 => self.write_of(from, 3, (outside, value), out),
            _ => self.write_of(from, c, (outside, value), out),
        }
    }

    /// Its own code for each number of channels that is known.
    #[inline(always)]
    fn write_of<T: Copy>(
        &self,
        from: &[T],
        c: usize,
        (outside, value): (f32, impl Fn(usize, T) -> f32),
        out: &mut [f32],
    ) {
        let wide = self.width * c;
        for (out, row) in out.chunks_exact_mut(wide.max(1)).zip(&self.rows) {
            let Some(row) = row.and_then(|row| from.get(row * wide..(row + 1) * wide)) else {
                out.fill(outside);
                continue;
            };
            for Run { at, from, len, back } in &self.runs {
                let out = out[at * c..(at + len) * c].chunks_exact_mut(c);
                let one = |(out, x): (&mut [f32], &[T])| {
                    out.iter_mut().zip(x).enumerate().for_each(|(channel, (out, x))| *out = value(channel, *x));
                };
                match (from, back) {
                    (None, _) => out.for_each(|out| out.fill(outside)),
                    (Some(from), false) => out.zip(row[from * c..(from + len) * c].chunks_exact(c)).for_each(one),
                    (Some(from), true) => {
                        out.zip(row[(from + 1 - len) * c..(from + 1) * c].chunks_exact(c).rev()).for_each(one);
                    }
                }
            }
        }
    }
}

/// What a point takes of its two neighbours along an axis: their places and shares.
#[derive(Clone, Copy)]
struct Share {
    at: [usize; 2],
    of: [f32; 2],
}

/// A table of points that is to be written: rows, columns, channels.
pub(super) struct Moved<'a> {
    pub size: [usize; 3],
    pub from: &'a [f32],
    pub moves: Move,
    /// What lies outside repeats the edge; else it is 0.
    pub edge: bool,
}

impl Moved<'_> {
    /// `exact`: points are picked, never mixed.
    pub fn write(&self, exact: bool, out: &mut [f32]) {
        let [h, w, c] = self.size;
        if h * w * c == 0 {
            return;
        }
        match (exact || self.moves.is_whole(), self.moves.is_upright()) {
            (true, true) => self.picked(out),
            (false, true) => self.stretched(out),
            (true, false) => self.turned(|y, x, out| self.nearest(y, x, out), out),
            (false, false) => self.turned(|y, x, out| self.mixed(y, x, out), out),
        }
    }

    /// The place that the middle of an axis has.
    fn middle(&self, axis: usize) -> f64 {
        (self.size[axis] as f64 - 1.0) / 2.0
    }

    /// Rows stay rows: each comes from one row, each column from one column.
    fn picked(&self, out: &mut [f32]) {
        let same = |_: usize, x: f32| x;
        self.moves.picks(self.size, self.edge).write(self.from, self.size[2], (0.0, same), out);
    }

    /// Rows stay rows, and neighbours are mixed: first along a row, each row once, then two rows.
    fn stretched(&self, out: &mut [f32]) {
        let [h, w, c] = self.size;
        let share = |axis: usize, place: usize| {
            let middle = self.middle(axis);
            let found = self.moves.turn[axis][axis] * (place as f64 - middle) + self.moves.by[axis] + middle;
            self.share(found, self.size[axis])
        };
        let columns: Vec<Share> = (0..w).map(|x| share(1, x)).collect();
        // The two rows mixed last, and which they are.
        let mut rows = [vec![0.0; w * c], vec![0.0; w * c]];
        let mut held = [usize::MAX; 2];
        for (y, out) in out.chunks_exact_mut(w * c).take(h).enumerate() {
            let Share { at, of } = share(0, y);
            if held[1] == at[0] || held[0] == at[1] {
                rows.swap(0, 1);
                held.swap(0, 1);
            }
            for i in 0..2 {
                if held[i] != at[i] {
                    let row = &self.from[at[i] * w * c..(at[i] + 1) * w * c];
                    along(row, &columns, c, &mut rows[i]);
                    held[i] = at[i];
                }
            }
            let [above, below] = &rows;
            for ((out, a), b) in out.iter_mut().zip(above).zip(below) {
                *out = a * of[0] + b * of[1];
            }
        }
    }

    /// Each point by itself.
    fn turned(&self, point: impl Fn(f64, f64, &mut [f32]), out: &mut [f32]) {
        let [h, w, c] = self.size;
        let (middle, Move { turn, by }) = ([0, 1].map(|axis| self.middle(axis)), self.moves);
        for (y, out) in out.chunks_exact_mut(w * c).take(h).enumerate() {
            let dy = y as f64 - middle[0];
            for (x, out) in out.chunks_exact_mut(c).enumerate() {
                let dx = x as f64 - middle[1];
                let [sy, sx] = [0, 1].map(|at| turn[at][0] * dy + turn[at][1] * dx + by[at] + middle[at]);
                point(sy, sx, out);
            }
        }
    }

    fn nearest(&self, y: f64, x: f64, out: &mut [f32]) {
        let [h, w, c] = self.size;
        let (y, x) = (whole(y + 0.5), whole(x + 0.5));
        let inside = y >= 0 && x >= 0 && y < h as i64 && x < w as i64;
        if !inside && !self.edge {
            return out.fill(0.0);
        }
        let (y, x) = (y.clamp(0, h as i64 - 1) as usize, x.clamp(0, w as i64 - 1) as usize);
        out.copy_from_slice(&self.from[(y * w + x) * c..(y * w + x + 1) * c]);
    }

    fn mixed(&self, y: f64, x: f64, out: &mut [f32]) {
        let [h, w, c] = self.size;
        let (rows, columns) = (self.share(y, h), self.share(x, w));
        let point = |row: usize, column: usize| {
            let at = (rows.at[row] * w + columns.at[column]) * c;
            &self.from[at..at + c]
        };
        let corners = [point(0, 0), point(0, 1), point(1, 0), point(1, 1)];
        for (channel, out) in out.iter_mut().enumerate() {
            let [a, b, d, e] = corners.map(|corner| corner[channel]);
            let (above, below) = (a * columns.of[0] + b * columns.of[1], d * columns.of[0] + e * columns.of[1]);
            *out = above * rows.of[0] + below * rows.of[1];
        }
    }

    fn share(&self, found: f64, size: usize) -> Share {
        let (first, last) = (whole(found), size as i64 - 1);
        let far = (found - first as f64) as f32;
        let of = |place: i64, share: f32| if self.edge || (0..=last).contains(&place) { share } else { 0.0 };
        let second = first.saturating_add(1);
        Share {
            at: [first, second].map(|place| place.clamp(0, last) as usize),
            of: [of(first, 1.0 - far), of(second, far)],
        }
    }
}

/// The whole number below: no call, unlike `floor` where the processor has no instruction for it.
fn whole(x: f64) -> i64 {
    let cut = x as i64;
    cut - i64::from((cut as f64) > x)
}

/// Columns that follow each other.
fn runs(columns: &[Option<usize>]) -> Vec<Run> {
    let mut all: Vec<Run> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        if let (Some(last), column) = (all.last_mut(), *column) {
            let ahead = last.from.map(|from| from + last.len);
            let behind = last.from.and_then(|from| from.checked_sub(last.len));
            if column.is_none() == last.from.is_none() {
                let forward = column.is_none() || (column == ahead && !last.back);
                let back = column.is_some() && column == behind && (last.back || last.len == 1);
                if forward || back {
                    (last.len, last.back) = (last.len + 1, back);
                    continue;
                }
            }
        }
        all.push(Run { at, from: *column, len: 1, back: false });
    }
    all
}

/// One row of the source, its points mixed with their neighbours.
fn along(row: &[f32], columns: &[Share], c: usize, out: &mut [f32]) {
    match c {
        1 => along_of::<1>(row, columns, out),
        3 => along_of::<3>(row, columns, out),
        _ => {
            for (out, share) in out.chunks_exact_mut(c).zip(columns) {
                let [a, b] = share.at.map(|at| &row[at * c..(at + 1) * c]);
                for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                    *out = a * share.of[0] + b * share.of[1];
                }
            }
        }
    }
}

fn along_of<const C: usize>(row: &[f32], columns: &[Share], out: &mut [f32]) {
    let points = row.as_chunks::<C>().0;
    for (out, share) in out.as_chunks_mut::<C>().0.iter_mut().zip(columns) {
        let [a, b] = share.at.map(|at| &points[at]);
        for channel in 0..C {
            out[channel] = a[channel] * share.of[0] + b[channel] * share.of[1];
        }
    }
}
