//! Winograd's transforms on every instruction set of this processor, against their matrices and against convolution.

use dlc_runtime::micro::{Isa, Matrix, TransformArgs};

fn number(i: usize) -> f32 {
    let mixed = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    mixed as f32 / (1 << 23) as f32 - 1.0
}

/// `T D T'`, in doubles.
fn product(matrix: Matrix, d: &dyn Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
    let (rows, cols) = matrix.size();
    let entry = |i: usize, j: usize| f64::from(matrix.entry(i, j));
    let value = |i: usize, j: usize| {
        let terms = (0..cols * cols).map(|k| entry(i, k / cols) * d(k / cols, k % cols) * entry(j, k % cols));
        terms.sum()
    };
    (0..rows).map(|i| (0..rows).map(|j| value(i, j)).collect()).collect()
}

struct Case {
    isa: Isa,
    matrix: Matrix,
    count: usize,
    channels: usize,
    rows: [usize; 2],
    cols: [usize; 2],
}

/// Everything outside what is described is NaN and stays NaN.
fn check(case: &Case) {
    let Case { isa, matrix, count, channels, rows, cols } = *case;
    let (outs, ins) = matrix.size();
    let (cut_src, cut_dst) = matrix.cut();
    let step = channels + 3;
    // A picture: tiles side by side. Points: tile after tile, point after point.
    // Tiles of data overlap.
    let stride = if matrix == Matrix::Data {
        4
    } else if cut_src {
        ins
    } else {
        outs
    };
    let picture = |points: usize| [points * count * step + 5, step, stride * step];
    let planes = |points: usize| [points * count * step, count * step, step];
    let src = if cut_src { picture(ins) } else { planes(ins) };
    let dst = if cut_dst { picture(outs) } else { planes(outs) };
    let at = |s: [usize; 3], i: usize, j: usize, t: usize| i * s[0] + j * s[1] + t * s[2];
    let within = |x: usize, [from, to]: [usize; 2]| from <= x && x < to;
    let limit = |cut: bool, i: usize, j: usize, t: usize| !cut || (within(i, rows) && within(t * stride + j, cols));
    let mut from = vec![f32::NAN; ins * src[0] + 64];
    // Where tiles overlap they see the same point.
    let value = |i: usize, j: usize, t: usize, c: usize| match cut_src {
        true => number((i * 700 + j + t * stride) * 101 + c),
        false => number(((i * 7 + j) * 11 + t) * 101 + c),
    };
    for (i, j, t) in points(ins, count) {
        for c in 0..channels {
            if limit(cut_src, i, j, t) {
                from[at(src, i, j, t) + c] = value(i, j, t, c);
            }
        }
    }
    let mut to = vec![f32::NAN; outs * dst[0] + 64];
    let signed = |s: [usize; 3]| s.map(|x| x as isize);
    let ([src_row, src_col, src_next], [dst_row, dst_col, dst_next]) = (signed(src), signed(dst));
    let (src_pointer, dst_pointer) = (from.as_ptr(), to.as_mut_ptr());
    let args = TransformArgs {
        src: src_pointer,
        dst: dst_pointer,
        src_row,
        src_col,
        src_next,
        dst_row,
        dst_col,
        dst_next,
        count,
        channels,
        rows,
        cols,
        step: stride,
    };
    // SAFETY: both vectors hold all points of all tiles.
    unsafe { isa.tiles().transform(matrix)(&args) };
    let mut expected = vec![f64::NAN; to.len()];
    for t in 0..count {
        for c in 0..channels {
            let d = |i: usize, j: usize| if limit(cut_src, i, j, t) { f64::from(value(i, j, t, c)) } else { 0.0 };
            for (i, row) in product(matrix, &d).iter().enumerate() {
                for (j, x) in row.iter().enumerate() {
                    if limit(cut_dst, i, j, t) {
                        expected[at(dst, i, j, t) + c] = *x;
                    }
                }
            }
        }
    }
    for (i, (got, want)) in to.iter().zip(&expected).enumerate() {
        let close = (f64::from(*got) - want).abs() <= 2e-5 * (1.0 + want.abs()) || (got.is_nan() && want.is_nan());
        assert!(close, "{isa:?} {matrix:?} x{count} {channels} channels: element {i} is {got}, not {want}");
    }
}

fn points(n: usize, count: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..n * n * count).map(move |k| (k / count / n, k / count % n, k % count))
}

#[test]
fn transforms_are_products_with_their_matrices() {
    for isa in Isa::available() {
        for matrix in Matrix::ALL {
            let (outs, ins) = matrix.size();
            let most = if matrix.cut().0 { ins } else { outs };
            for (count, channels) in [(1, 1), (1, 16), (3, 5), (2, 35)] {
                for (rows, left, right) in [([0, most], 0, 0), ([0, 1], 0, 1), ([1, most], 1, most - 1)] {
                    let step = if matrix == Matrix::Data { 4 } else { most };
                    let cols = [left, step * (count - 1) + most - right];
                    check(&Case { isa, matrix, count, channels, rows, cols });
                }
            }
        }
    }
}

/// `Y = A' ((G g G') * (B' d B)) A` is the correlation of `d` with `g`, for both sizes.
#[test]
fn the_matrices_make_a_convolution() {
    for (m, r, filter, result) in [(4, 3, Matrix::Filter3, Matrix::Result4), (2, 5, Matrix::Filter5, Matrix::Result2)] {
        let g = |i: usize, j: usize| f64::from(number(i * 5 + j));
        let d = |i: usize, j: usize| f64::from(number(1000 + i * 6 + j));
        let (u, v) = (product(filter, &g), product(Matrix::Data, &d));
        let y = product(result, &|i, j| u[i][j] * v[i][j]);
        for i in 0..m {
            for j in 0..m {
                let terms = (0..r * r).map(|k| g(k / r, k % r) * d(i + k / r, j + k % r));
                let want: f64 = terms.sum();
                assert!((y[i][j] - want).abs() < 1e-5, "{m} {r}: {} is not {want}", y[i][j]);
            }
        }
    }
}
