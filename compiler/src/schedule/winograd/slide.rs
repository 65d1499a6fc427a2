//! Which contractions are convolutions: a picture and taps that slide over it.

use super::super::contraction::Contraction;
use super::{LEAST_TILES, MOST_TILES};
use crate::base::Var;
use crate::loops::Affine;
use dlc_runtime::micro::Matrix;

/// What slides over what.
#[derive(Clone, Debug)]
pub(super) struct Slide {
    /// Examples of the block, where there are several.
    pub(super) image: Option<(Var, usize)>,
    /// Rows and columns of the picture that is made, or summed over.
    pub(super) pixels: [(Var, usize); 2],
    pub(super) taps: [Var; 2],
    pub(super) channel: (Var, usize),
    /// Points of a tile of the result, and taps, along each axis.
    pub(super) points: usize,
    pub(super) width: usize,
}

/// The two variables of a coordinate `pixel + tap + constant`, the pixel first.
fn pair(at: &Affine, pixels: &[(Var, usize)], taps: &[(Var, usize)]) -> Option<((Var, usize), (Var, usize))> {
    let find =
        |among: &[(Var, usize)]| among.iter().find(|(v, _)| at.terms.iter().any(|(t, by)| t == v && *by == 1)).copied();
    let found = (find(pixels)?, find(taps)?);
    (at.terms.len() == 2).then_some(found)
}

impl Slide {
    pub(super) fn of(c: &Contraction) -> Option<(Slide, bool)> {
        let summed = c.rows.iter().filter(|(_, n)| *n > 1).count() == 3 && c.sum.len() <= 3 && {
            let last = c.a.at.last()?.as_var()?;
            c.rows.iter().any(|(v, _)| *v == last)
        };
        let (pixels, taps) = if summed { (&c.sum, &c.rows) } else { (&c.rows, &c.sum) };
        let [.., y, x, channel] = &c.a.at[..] else { return None };
        let channel = channel.as_var()?;
        let channel = *taps.iter().find(|(v, _)| *v == channel)?;
        let (py, ty) = pair(y, pixels, taps)?;
        let (px, tx) = pair(x, pixels, taps)?;
        let known = [py.0, px.0, ty.0, tx.0, channel.0];
        let rest: Vec<(Var, usize)> =
            pixels.iter().chain(taps).filter(|(v, n)| *n > 1 && !known.contains(v)).copied().collect();
        let image = match rest[..] {
            [] => None,
            [one] if pixels.contains(&one) => Some(one),
            _ => return None,
        };
        let points = match (ty.1, tx.1) {
            (3, 3) => 4,
            (5, 5) => 2,
            _ => return None,
        };
        let single = |at: &[Affine]| at.iter().all(|a| a.terms.iter().filter(|(v, _)| in_play(c, *v)).count() <= 1);
        let fits = c.outer.iter().all(|(_, n)| *n == 1)
            && c.b.inside.is_empty()
            && single(&c.b.at)
            && single(&c.c_at)
            && c.c_at.last().is_some_and(|a| a.as_var() == Some(c.column.0));
        let slide = Slide { image, pixels: [py, px], taps: [ty.0, tx.0], channel, points, width: ty.1 };
        fits.then_some((slide, summed))
    }

    pub(super) fn tiles(&self) -> [usize; 2] {
        self.pixels.map(|(_, n)| n.div_ceil(self.points))
    }

    pub(super) fn images(&self) -> usize {
        self.image.map_or(1, |(_, n)| n)
    }

    /// Rows of tiles of one block.
    pub(super) fn rows(&self) -> usize {
        let [down, across] = self.tiles();
        if self.images() > 1 || down * across <= MOST_TILES || self.pixels[0].1 % self.points != 0 {
            return down;
        }
        (1..=down).rev().find(|rows| down.is_multiple_of(*rows) && rows * across <= MOST_TILES).unwrap_or(1)
    }

    /// Rows of tiles of one block where blocks are tasks; all of them where they would be too small.
    pub(super) fn rows_of_parts(&self) -> usize {
        let [down, across] = self.tiles();
        let fits = |rows: usize| down.is_multiple_of(rows) && (LEAST_TILES..=MOST_TILES).contains(&(rows * across));
        (1..=down / 2).rev().find(|rows| fits(*rows)).unwrap_or(down)
    }

    pub(super) fn matrices(&self) -> [Matrix; 4] {
        match self.points {
            4 => [Matrix::Filter3, Matrix::Result4, Matrix::ResultAdjoint4, Matrix::FilterAdjoint3],
            _ => [Matrix::Filter5, Matrix::Result2, Matrix::ResultAdjoint2, Matrix::FilterAdjoint5],
        }
    }
}

fn in_play(c: &Contraction, var: Var) -> bool {
    c.rows.iter().chain(&c.sum).chain([&c.column]).any(|(v, _)| *v == var)
}
