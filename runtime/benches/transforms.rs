//! Nanoseconds of Winograd's transforms for one tile of 16 channels, by matrix, by the way from row to row, and for
//! tiles at the edge of a picture: `cargo bench -p dlc-runtime --bench transforms`.

use dlc_runtime::micro::{Isa, Matrix, TransformArgs};
use std::time::Instant;

const TILES: usize = 8;
const CHANNELS: usize = 64;

fn main() {
    let tiles = Isa::detect().tiles();
    let source = vec![0.5f32; 1 << 20];
    let mut target = vec![0.0f32; 1 << 21];
    for matrix in Matrix::ALL {
        let (outs, ins) = matrix.size();
        let (cut_source, cut_target) = matrix.cut();
        let points = if cut_source { ins } else { outs };
        let step = if matrix == Matrix::Data { 4 } else { points };
        let all = (TILES - 1) * step + points;
        for row in [(all + 1) * CHANNELS, 32 * CHANNELS] {
            let plane = 64 * CHANNELS + 16;
            let picture = [row, CHANNELS, step * CHANNELS];
            let planes = [6 * plane, plane, CHANNELS];
            let src = if cut_source { picture } else { planes };
            let dst = if cut_target { picture } else { planes };
            let mut times = vec![];
            for rows in [[0, points], [usize::from(points > 1), points]] {
                let args = TransformArgs {
                    src: source.as_ptr(),
                    dst: target.as_mut_ptr(),
                    src_row: src[0] as isize,
                    src_col: src[1] as isize,
                    src_next: src[2] as isize,
                    dst_row: dst[0] as isize,
                    dst_col: dst[1] as isize,
                    dst_next: dst[2] as isize,
                    count: TILES,
                    channels: CHANNELS,
                    rows,
                    cols: [0, all],
                    step,
                };
                let mut best = f64::MAX;
                for _ in 0..200 {
                    let start = Instant::now();
                    for _ in 0..10 {
                        // SAFETY: both vectors are larger than what eight tiles of 64 channels reach.
                        unsafe { tiles.transform(matrix)(&args) };
                    }
                    best = best.min(start.elapsed().as_secs_f64());
                }
                times.push(best / 10.0 / TILES as f64 / (CHANNELS / 16) as f64 * 1e9);
            }
            println!("{:16} rows {row:5} apart: whole {:6.1} ns, cut {:6.1} ns", matrix.name(), times[0], times[1]);
        }
    }
}
