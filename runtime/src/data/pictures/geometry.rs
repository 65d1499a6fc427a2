//! Steps that give a picture another size.

use super::{LETTERBOX, Picture};
use crate::data::spec::PictureStep;

/// Keeps indices as they are, or mixes neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mixing {
    Nearest,
    Linear,
}

/// One step; those of masks leave colours as they are.
pub fn apply(picture: Picture, step: &PictureStep, mixing: Mixing) -> Picture {
    match *step {
        PictureStep::Resize { h, w, nearest } => resize(picture, h, w, if nearest { Mixing::Nearest } else { mixing }),
        PictureStep::Letterbox { h, w } => letterbox(picture, h, w, mixing),
        PictureStep::Crop { top, bottom, left, right } => {
            let h = picture.h.saturating_sub(top.saturating_add(bottom));
            let w = picture.w.saturating_sub(left.saturating_add(right));
            window(&picture, (top, left), (h, w))
        }
        PictureStep::Gray => gray(picture),
        PictureStep::Levels(_) | PictureStep::Ignore(_) => picture,
    }
}

fn window(picture: &Picture, (top, left): (usize, usize), (h, w): (usize, usize)) -> Picture {
    let mut out = Picture::new(h, w, picture.c);
    let line = (w * picture.c).max(1);
    for (row, line) in out.values.chunks_exact_mut(line).enumerate() {
        let from = ((top + row) * picture.w + left) * picture.c;
        line.copy_from_slice(&picture.values[from..from + line.len()]);
    }
    out
}

/// Brightness as the eye weighs the colours (Rec. 601), as in PIL and OpenCV.
fn gray(picture: Picture) -> Picture {
    if picture.c == 1 {
        return picture;
    }
    let luma = |p: &[u8]| {
        let [r, g, b] = [0, 1, 2].map(|i| u32::from(p.get(i).copied().unwrap_or(0)));
        ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8
    };
    let values = picture.values.chunks_exact(picture.c).map(luma).collect();
    Picture { c: 1, values, ..picture }
}

/// The whole picture in the middle, its sides in proportion, the rest grey.
fn letterbox(picture: Picture, h: usize, w: usize, mixing: Mixing) -> Picture {
    let (ih, iw) = inner((picture.h, picture.w), (h, w));
    let small = resize(picture, ih, iw, mixing);
    let mut out = Picture::new(h, w, small.c);
    out.values.fill(if mixing == Mixing::Nearest { 0 } else { LETTERBOX });
    let (top, left) = ((h - ih) / 2, (w - iw) / 2);
    for (row, line) in small.values.chunks_exact((iw * small.c).max(1)).enumerate() {
        let at = ((top + row) * w + left) * small.c;
        out.values[at..at + line.len()].copy_from_slice(line);
    }
    out
}

/// The largest size of the same proportions within `h` x `w`.
pub(super) fn inner((ph, pw): (usize, usize), (h, w): (usize, usize)) -> (usize, usize) {
    let scale = (h as f64 / ph as f64).min(w as f64 / pw as f64);
    let side = |p: usize, most: usize| ((p as f64 * scale).round() as usize).clamp(1, most.max(1));
    (side(ph, h), side(pw, w))
}

pub fn resize(picture: Picture, h: usize, w: usize, mixing: Mixing) -> Picture {
    match mixing {
        _ if (picture.h, picture.w) == (h, w) => picture,
        Mixing::Nearest => nearest(&picture, h, w),
        Mixing::Linear => linear(&picture, h, w),
    }
}

/// The point under the middle of each new one.
fn nearest(picture: &Picture, h: usize, w: usize) -> Picture {
    let mut out = Picture::new(h, w, picture.c);
    let from = |i: usize, old: usize, new: usize| ((2 * i + 1) * old / (2 * new)).min(old - 1);
    for y in 0..h {
        for x in 0..w {
            let at = (from(y, picture.h, h) * picture.w + from(x, picture.w, w)) * picture.c;
            let to = (y * w + x) * picture.c;
            out.values[to..to + picture.c].copy_from_slice(&picture.values[at..at + picture.c]);
        }
    }
    out
}

/// Weights of the old points that a new one mixes: a triangle as wide as the new point, so that nothing is left out.
fn weights(old: usize, new: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = old as f64 / new as f64;
    let reach = scale.max(1.0);
    (0..new)
        .map(|i| {
            let middle = (i as f64 + 0.5) * scale;
            let first = (middle - reach).floor().max(0.0) as usize;
            let last = ((middle + reach).ceil() as usize).min(old);
            let weight = |j: usize| (1.0 - ((j as f64 + 0.5 - middle) / reach).abs()).max(0.0);
            let sum: f64 = (first..last).map(weight).sum();
            (first, (first..last).map(|j| (weight(j) / sum) as f32).collect())
        })
        .collect()
}

fn linear(picture: &Picture, h: usize, w: usize) -> Picture {
    let c = picture.c;
    let mut rows = vec![0.0f32; picture.h * w * c];
    let across = weights(picture.w, w);
    for (old, new) in picture.values.chunks_exact(picture.w * c).zip(rows.chunks_exact_mut(w * c)) {
        for ((first, weights), out) in across.iter().zip(new.chunks_exact_mut(c)) {
            for (weight, point) in weights.iter().zip(old[first * c..].chunks_exact(c)) {
                out.iter_mut().zip(point).for_each(|(out, x)| *out += weight * f32::from(*x));
            }
        }
    }
    let mut out = Picture::new(h, w, c);
    let mut line = vec![0.0f32; w * c];
    for ((first, weights), new) in weights(picture.h, h).iter().zip(out.values.chunks_exact_mut(w * c)) {
        line.fill(0.0);
        for (weight, row) in weights.iter().zip(rows[first * w * c..].chunks_exact(w * c)) {
            line.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
        }
        new.iter_mut().zip(&line).for_each(|(out, x)| *out = (x + 0.5) as u8);
    }
    out
}
