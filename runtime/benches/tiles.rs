//! GFLOP/s of every tile with operands in the first-level cache: `cargo bench -p dlc-runtime --bench tiles [ISA] [K]`.
//!
//! Reports, never asserts.

use dlc_runtime::micro::{Isa, peak};
use std::time::Duration;

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen = words.first().and_then(|name| Isa::parse(name).ok());
    let k = words
        .get(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(128);
    for isa in Isa::available() {
        if chosen.is_some_and(|only| only != isa) {
            continue;
        }
        let tiles = isa.tiles();
        println!("{} ({} lanes), k = {k}, GFLOP/s", isa.name(), tiles.lanes);
        for nv in 1..=tiles.max_vectors() {
            for mr in 1..=tiles.max_rows(nv) {
                let figure = peak::measure(isa, mr, nv, k, Duration::from_millis(5));
                println!("  {mr:>2}x{:<2} {figure:7.1}", nv * tiles.lanes);
            }
        }
    }
}
