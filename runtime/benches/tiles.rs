//! GFLOP/s of every tile with operands in the first-level cache: `cargo bench -p dlc-runtime --bench tiles -- [ISA] [K] [MS]`.
//!
//! Reports, never asserts.

use dlc_runtime::micro::{Isa, peak};
use std::time::Duration;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = words.first().and_then(|name| Isa::parse(name).ok());
    let k = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(128);
    let milliseconds = words.get(2).and_then(|word| word.parse().ok()).unwrap_or(20);
    let budget = Duration::from_millis(milliseconds);
    for isa in Isa::available() {
        if chosen.is_some_and(|only| only != isa) {
            continue;
        }
        let tiles = isa.tiles();
        let (one, two) = (peak::peak(isa, 1, budget), peak::peak(isa, 2, budget));
        println!("{}: peak {one:.1} on one thread, {two:.1} on two", isa.name());
        println!("{} ({} lanes), k = {k}, GFLOP/s", isa.name(), tiles.lanes);
        for nv in 1..=tiles.max_vectors() {
            for mr in 1..=tiles.max_rows(nv) {
                let figure = peak::measure(isa, mr, nv, k, budget);
                println!("  {mr:>2}x{:<2} {figure:7.1}", nv * tiles.lanes);
            }
        }
    }
}
