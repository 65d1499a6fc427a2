//! Every elementary function on all 2^32 floats: `cargo bench -p dlc-compiler --bench all_floats`.
//!
//! Prints the largest distance from the exact result, and where; ends with 1 if any is beyond its bound. Arguments: names of functions, `log sin`; without, all. Takes minutes for each.

#[path = "../tests/engines/accuracy.rs"]
mod accuracy;

use accuracy::{FUNCTIONS, Function, Machine, ROW, distance_of, holds};
use dlc_runtime::micro::Isa;
use std::io::Write;

const CHUNK: u32 = 1 << 20;

fn check(f: &Function, isa: Isa) -> (String, bool) {
    let mut machine = Machine::unary(f.op, isa, CHUNK as usize, ROW);
    let (mut worst, mut at, mut wrong) = (0.0, 0.0, 0u64);
    for chunk in 0..u32::MAX / CHUNK + 1 {
        let x: Vec<f32> = (0..CHUNK).map(|i| f32::from_bits(chunk * CHUNK + i)).collect();
        for (x, y) in x.iter().zip(machine.run(&[&x])) {
            if x.is_finite() && x.abs() > f.largest {
                wrong += u64::from(!holds(f, (isa, ROW), *x, y));
                continue;
            }
            let d = distance_of(f, *x, y);
            if d > worst {
                (worst, at) = (d, *x);
            }
            wrong += u64::from(!holds(f, (isa, ROW), *x, y));
        }
    }
    let line = format!("{:8} {isa:?}: at most {worst:.3} units, at {at:e}; {wrong} beyond the bound", f.op.name());
    (line, wrong == 0)
}

fn main() {
    let names: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut out = std::io::stdout();
    let mut good = true;
    for f in FUNCTIONS.iter().filter(|f| names.is_empty() || names.iter().any(|n| n == f.op.name())) {
        let (line, holds) = check(f, Isa::detect());
        good &= holds;
        let _ = writeln!(out, "{line}");
    }
    std::process::exit(i32::from(!good));
}
