//! Objects on a grid of cells: what a detector learns to say in each cell.
//!
//! The cell that holds an object's middle tells of it: that there is one, where it is, and what. Its place is
//! `x, y`: how far its middle lies right of and below the corner of the cell, in cells; and `w, h`: the logarithms of
//! its width and height in cells. Of objects in one cell the smallest is told.

use super::Object;

/// Which of the three a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// 1 where there is an object.
    Has,
    /// `x, y, w, h`
    Place,
    /// Its class.
    What,
}

/// A field that is made of the objects of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// The field of boxes.
    pub of: String,
    pub told: Told,
    pub rows: usize,
    pub columns: usize,
    /// Cells whose middle lies within so many cells of an object's middle tell of it too.
    pub reach: f64,
}

impl Grid {
    /// Numbers of one example.
    pub fn width(&self) -> usize {
        self.rows * self.columns * if self.told == Told::Place { 4 } else { 1 }
    }

    /// What the cells of a picture of this height and width say; zeros where there is nothing.
    pub fn write(&self, objects: &[Object], size: [f64; 2], out: &mut [f32]) {
        out.fill(0.0);
        for (cell, object) in self.owners(objects, size).iter().enumerate() {
            let Some(object) = object.and_then(|at| objects.get(at)) else { continue };
            match self.told {
                Told::Has => out.iter_mut().skip(cell).take(1).for_each(|out| *out = 1.0),
                Told::What => out.iter_mut().skip(cell).take(1).for_each(|out| *out = object.class as f32),
                Told::Place => {
                    let place = self.place(object, size, cell);
                    out.iter_mut().skip(4 * cell).zip(place).for_each(|(out, x)| *out = x as f32);
                }
            }
        }
    }

    fn place(&self, object: &Object, size: [f64; 2], cell: usize) -> [f64; 4] {
        let (x, y) = self.middle(object, size);
        let [left, top, right, bottom] = object.corners;
        let log = |length: f64, cells: usize, of: f64| (length * cells as f64 / of).max(1e-3).ln();
        [
            x - (cell % self.columns.max(1)) as f64,
            y - (cell / self.columns.max(1)) as f64,
            log(right - left, self.columns, size[1]),
            log(bottom - top, self.rows, size[0]),
        ]
    }

    /// The middle of an object, in cells.
    fn middle(&self, object: &Object, [h, w]: [f64; 2]) -> (f64, f64) {
        let (x, y) = object.middle();
        (x * self.columns as f64 / w, y * self.rows as f64 / h)
    }

    /// For each cell the object that it tells of.
    fn owners(&self, objects: &[Object], size: [f64; 2]) -> Vec<Option<usize>> {
        let mut best: Vec<Option<(Rank, usize)>> = vec![None; self.rows * self.columns];
        for (at, object) in objects.iter().enumerate().filter(|(_, object)| !object.ignored) {
            let (x, y) = self.middle(object, size);
            let near = |middle: f64, cells: usize| {
                let reach = self.reach.max(0.5);
                let first = (middle - 0.5 - reach).floor().max(0.0) as usize;
                first..((middle + 0.5 + reach).ceil().max(0.0) as usize).min(cells)
            };
            for row in near(y, self.rows) {
                for column in near(x, self.columns) {
                    let away = (x - column as f64 - 0.5).hypot(y - row as f64 - 0.5);
                    let holds = x.floor() == column as f64 && y.floor() == row as f64;
                    let rank = match (holds, away <= self.reach) {
                        (true, _) => Rank(0, object.area()),
                        (false, true) => Rank(1, away),
                        (false, false) => continue,
                    };
                    if let Some(best) = best.get_mut(row * self.columns + column)
                        && best.as_ref().is_none_or(|(other, _)| rank.comes_before(other))
                    {
                        *best = Some((rank, at));
                    }
                }
            }
        }
        best.into_iter().map(|best| best.map(|(_, at)| at)).collect()
    }
}

/// Objects whose middle a cell holds come first, the smallest before others; then those that are nearest.
#[derive(Clone, Debug)]
struct Rank(u8, f64);

impl Rank {
    fn comes_before(&self, other: &Rank) -> bool {
        (self.0, self.1) < (other.0, other.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(told: Told, reach: f64) -> Grid {
        Grid { of: "objects".into(), told, rows: 2, columns: 3, reach }
    }

    fn object(class: u32, corners: [f64; 4]) -> Object {
        Object { class, corners, ignored: false }
    }

    #[test]
    fn a_cell_tells_of_the_smallest_object_in_its_middle() {
        // Cells of 10 x 10 points.
        let objects = [
            object(1, [0.0, 0.0, 10.0, 10.0]),
            object(2, [4.0, 4.0, 8.0, 6.0]),
            object(3, [10.0, 0.0, 30.0, 20.0]),
            Object { ignored: true, ..object(4, [0.0, 10.0, 10.0, 20.0]) },
        ];
        let read = |told| {
            let grid = grid(told, 0.0);
            let mut out = vec![9.0; grid.width()];
            grid.write(&objects, [20.0, 30.0], &mut out);
            out
        };
        assert_eq!(read(Told::Has), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(read(Told::What), [2.0, 0.0, 0.0, 0.0, 0.0, 3.0]);
        let place = read(Told::Place);
        assert_eq!(place[..2], [0.6, 0.5]);
        assert!((place[2] - 0.4f32.ln()).abs() < 1e-6 && (place[3] - 0.2f32.ln()).abs() < 1e-6);
        assert_eq!(place[20..], [0.0, 0.0, 2f32.ln(), 2f32.ln()]);
    }

    #[test]
    fn cells_nearby_tell_too() {
        let objects = [object(1, [4.0, 4.0, 8.0, 6.0]), object(2, [14.0, 4.0, 16.0, 6.0])];
        let grid = grid(Told::What, 1.1);
        let mut out = vec![9.0; grid.width()];
        grid.write(&objects, [20.0, 30.0], &mut out);
        assert_eq!(out, [1.0, 2.0, 2.0, 1.0, 2.0, 0.0]);
        // What lies outside harms nobody.
        grid.write(&[object(1, [900.0, -900.0, 901.0, f64::INFINITY])], [20.0, 30.0], &mut out);
        assert_eq!(out, [0.0; 6]);
    }
}
