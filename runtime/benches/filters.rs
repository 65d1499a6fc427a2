//! GFLOP/s of filters of single channels on pictures as MobileNetV2 has them: `cargo bench -p dlc-runtime --bench filters`.

use dlc_runtime::micro::{FilterArgs, Finish, Isa};
use std::time::Instant;

fn main() {
    let tiles = Isa::detect().tiles();
    let source = vec![0.5f32; 1 << 21];
    let mut target = vec![0.0f32; 1 << 21];
    let weights = vec![0.25f32; 9 * 1024];
    for (size, channels, stride) in [(114, 32, 1), (113, 96, 2), (58, 144, 1), (30, 192, 1), (16, 384, 1), (9, 960, 1)]
    {
        let out = (size - 3) / stride + 1;
        let mut one = |row: usize| FilterArgs {
            src: source[row * stride * size * channels..].as_ptr(),
            by: weights.as_ptr(),
            dst: target.as_mut_ptr().wrapping_add(row * out * channels),
            src_row: (size * channels) as isize,
            src_col: channels as isize,
            src_next: (stride * channels) as isize,
            by_row: 3 * channels as isize,
            by_col: channels as isize,
            dst_next: channels as isize,
            rows: 3,
            cols: 3,
            count: out,
            channels,
            accumulate: 0,
            finish: Finish::NOTHING,
        };
        let mut best = f64::MAX;
        for _ in 0..50 {
            let start = Instant::now();
            for row in 0..out {
                // SAFETY: pictures and weights fit their vectors.
                unsafe { (tiles.filter)(&one(row)) };
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        let flop = (2 * 9 * out * out * channels) as f64;
        println!(
            "{out:3} x {out:3} x {channels:3}, stride {stride}: {:6.1} us, {:5.1} GFLOP/s",
            best * 1e6,
            flop / best / 1e9
        );
    }
    std::hint::black_box(&mut target);
}
