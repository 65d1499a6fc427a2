//! Times single contractions through the whole compiler: `cargo bench -p dlc-compiler --bench contractions`.
//!
//! Prints, for convolutions and dense layers, forward and both gradients, GFLOP/s and the share of the matrix peak
//! that `micro::peak` measures in the same run. Reports; never asserts.

use dlc_compiler::base::Numerics;
use dlc_compiler::base::{TensorType, Value};
use dlc_compiler::codegen::{self, Options};
use dlc_compiler::graph::{Graph, Init, StateKind};
use dlc_compiler::ops::ConvSpec;
use dlc_compiler::plan;
use dlc_compiler::schedule::{self, Target};
use dlc_runtime::micro::{Isa, peak};
use dlc_runtime::session::Session;
use std::time::Instant;

fn time(graph: &Graph, isa: Isa, threads: usize) -> (f64, u64) {
    let program = schedule::run(graph, &Target { isa, fuse: true, numerics: Numerics::Fast });
    let plan = plan::run(&program);
    let compiled = codegen::compile(&program, &plan, &Options { isa, listings: false, verify: false });
    let exe = compiled.executable;
    let flop = exe.steps.iter().map(|s| s.flop).sum();
    let mut session = Session::new(threads, &exe).expect("memory");
    let mut best = f64::MAX;
    for _ in 0..15 {
        let start = Instant::now();
        session.run(&exe).expect("a run");
        best = best.min(start.elapsed().as_secs_f64());
    }
    (best, flop)
}

fn conv(which: usize, n: usize, s: usize, c: usize, o: usize, k: usize) -> Graph {
    let mut g = Graph::new();
    g.batch = n;
    let spec = ConvSpec { pad: vec![(k / 2, k / 2); 2], ..ConvSpec::plain(&[k, k]) };
    let x = g.input("x", TensorType::new(&[n, s, s, c]));
    let dy = g.input("dy", TensorType::new(&[n, s, s, o]));
    let w = g.state("w", TensorType::new(&[k, k, c, o]), Init::Zeros, StateKind::Weight);
    let e = g.emit_here();
    let y: Value = match which {
        0 => e.conv(x, w, &spec),
        1 => e.conv_dx(dy, w, &spec, &[s, s]),
        _ => e.conv_dw(x, dy, &spec),
    };
    g.set_output("y", y);
    g
}

fn dense(which: usize, n: usize, f: usize, o: usize) -> Graph {
    let mut g = Graph::new();
    g.batch = n;
    let x = g.input("x", TensorType::new(&[n, f]));
    let dy = g.input("dy", TensorType::new(&[n, o]));
    let w = g.state("w", TensorType::new(&[f, o]), Init::Zeros, StateKind::Weight);
    let e = g.emit_here();
    let y = match which {
        0 => e.contract(x, "nf", w, "fo", "no"),
        1 => e.contract(dy, "no", w, "fo", "nf"),
        _ => e.contract(x, "nf", dy, "no", "fo"),
    };
    g.set_output("y", y);
    g
}

fn main() {
    let isa = Isa::detect();
    for threads in [1, 2] {
        let peak = peak::peak(isa, threads, std::time::Duration::from_millis(20));
        println!("{threads} threads, {}, peak {peak:.0} GFLOP/s", isa.name());
        let report = |name: String, g: Graph| {
            let (seconds, flop) = time(&g, isa, threads);
            let rate = flop as f64 / seconds / 1e9;
            println!("  {name:42} {:8.3} ms {rate:7.1} GFLOP/s {:5.1} %", seconds * 1e3, 100.0 * rate / peak);
        };
        let way = ["forward", "input gradient", "weight gradient"];
        let shapes =
            [(64, 32, 64, 64, 3), (64, 16, 128, 128, 3), (64, 8, 256, 256, 3), (64, 14, 32, 64, 5), (64, 28, 1, 32, 5)];
        for (n, s, c, o, k) in shapes {
            for (i, way) in way.iter().enumerate() {
                report(format!("conv {k}x{k} {s}x{s} {c}->{o} {way}"), conv(i, n, s, c, o, k));
            }
        }
        for (n, f, o) in [(128, 784, 512), (128, 512, 256), (64, 3136, 1024), (64, 1024, 10)] {
            for (i, way) in way.iter().enumerate() {
                report(format!("dense {n} x {f}->{o} {way}"), dense(i, n, f, o));
            }
        }
    }
}
