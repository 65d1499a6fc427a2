//! Filters of single channels on every instruction set of this processor, against sums of doubles.

use dlc_runtime::micro::{FilterArgs, Finish, Isa};

fn number(i: usize) -> f32 {
    let mixed = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    mixed as f32 / (1 << 23) as f32 - 1.0
}

/// Points, channels, rows and columns of taps, from a point to the next.
struct Case {
    count: usize,
    channels: usize,
    taps: [usize; 2],
    next: usize,
    backwards: bool,
    accumulate: bool,
    finish: bool,
}

/// What is not described is NaN in the sources, and stays NaN in the target.
fn check(isa: Isa, case: &Case) {
    let Case { count, channels, taps: [rows, cols], next, backwards, accumulate, finish } = *case;
    let width = channels + 3;
    let line = ((count - 1) * next + cols) * width + 5;
    let mut from = vec![f32::NAN; rows * line + 64];
    let mut by = vec![f32::NAN; rows * cols * width + 64];
    for i in 0..rows {
        for x in 0..(count - 1) * next + cols {
            for c in 0..channels {
                from[i * line + x * width + c] = number((i * 1000 + x) * 1000 + c);
            }
        }
        for j in 0..cols {
            for c in 0..channels {
                by[(i * cols + j) * width + c] = number(((i * cols + j) * 1000 + c) * 7);
            }
        }
    }
    let mut to = vec![f32::NAN; count * width + 64];
    for p in 0..count {
        to[p * width..p * width + channels].fill(if accumulate { 0.5 } else { f32::NAN });
    }
    let mut more: Vec<f32> = (0..channels).map(|c| number(c * 13)).collect();
    more.resize(channels + 64, f32::NAN);
    let bounds = [-0.75, 0.5];
    // Taps may be read backwards.
    let (sign, last) = if backwards { (-1, (rows - 1) * line + (cols - 1) * width) } else { (1, 0) };
    let args = FilterArgs {
        src: from.as_ptr().wrapping_add(last),
        by: by.as_ptr(),
        dst: to.as_mut_ptr(),
        src_row: sign * line as isize,
        src_col: sign * width as isize,
        src_next: (next * width) as isize,
        by_row: (cols * width) as isize,
        by_col: width as isize,
        dst_next: width as isize,
        rows,
        cols,
        count,
        channels,
        accumulate: usize::from(accumulate),
        finish: if finish { Finish { add: more.as_ptr(), bounds } } else { Finish::NOTHING },
    };
    // SAFETY: the vectors hold every element that is described, and the instruction set is there.
    unsafe { (isa.tiles().filter)(&args) };
    for (k, got) in to.iter().enumerate() {
        let (p, c) = (k / width, k % width);
        if p >= count || c >= channels {
            assert!(got.is_nan(), "{isa:?}: point {p}, channel {c} was written");
            continue;
        }
        let mut sum = if accumulate { 0.5 } else { 0.0 };
        for i in 0..rows {
            for j in 0..cols {
                let (y, x) = if backwards { (rows - 1 - i, cols - 1 - j) } else { (i, j) };
                let value = from[y * line + (p * next + x) * width + c];
                sum += f64::from(value) * f64::from(by[(i * cols + j) * width + c]);
            }
        }
        if finish {
            sum = (sum + f64::from(more[c])).clamp(f64::from(bounds[0]), f64::from(bounds[1]));
        }
        let size = 1.0 + (rows * cols) as f64;
        assert!((f64::from(*got) - sum).abs() < 1e-6 * size, "{isa:?}: point {p}, channel {c}: {got} against {sum}");
    }
}

#[test]
fn sums_of_products() {
    for isa in Isa::available() {
        for count in (1..=14).chain([29]) {
            for channels in [1, 3, 4, 8, 16, 17, 31, 33, 64, 100] {
                for (taps, next) in [([3, 3], 1), ([2, 3], 2), ([1, 1], 1), ([1, 40], 1), ([5, 5], 3)] {
                    let accumulate = (count + channels) % 2 == 0;
                    let (backwards, finish) = (count % 3 == 0, !accumulate && count % 4 < 2);
                    check(isa, &Case { count, channels, taps, next, backwards, accumulate, finish });
                }
            }
        }
    }
}
