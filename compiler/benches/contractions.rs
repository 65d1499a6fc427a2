//! Times single contractions through the whole compiler: `cargo bench -p dlc-compiler --bench contractions`.
//!
//! Prints, for convolutions and dense layers, forward and both gradients, GFLOP/s and the share of the matrix peak
//! that `micro::peak` measures in the same run; for convolutions under strict and fast numerics, each with its largest
//! error among sampled elements, measured against sums of doubles, as a part of the root mean square of the result.
//! Reports; never asserts.

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

/// Numbers in -1..1 from a counter.
fn number(i: usize) -> f32 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    mixed as f32 / (1 << 23) as f32 - 1.0
}

struct Measured {
    seconds: f64,
    flop: u64,
    y: Vec<f32>,
}

fn measure(graph: &Graph, isa: Isa, threads: usize, numerics: Numerics) -> Measured {
    let program = schedule::run(graph, &Target { isa, fuse: true, numerics });
    let plan = plan::run(&program);
    let compiled = codegen::compile(&program, &plan, &Options { isa, listings: false, verify: false, clock: false });
    let exe = compiled.executable;
    let flop = exe.steps.iter().map(|s| s.flop()).sum();
    let mut session = Session::new(threads, &exe).expect("memory");
    let drawn = |salt: usize, count: usize| -> Vec<f32> { (0..count).map(|i| number(salt + i)).collect() };
    for slot in &exe.inputs {
        let salt = if slot.name == "x" { X } else { DY };
        session.write_input(&exe, &slot.name, &drawn(salt, slot.count())).expect("an input");
    }
    for slot in &exe.state {
        session.set_state(&slot.name, &drawn(W, slot.count())).expect("a state");
    }
    let mut seconds = f64::MAX;
    for _ in 0..15 {
        let start = Instant::now();
        session.run(&exe).expect("a run");
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    Measured { seconds, flop, y: session.read_output(&exe, "y").expect("the output") }
}

/// Where the numbers of each operand begin.
const X: usize = 0;
const DY: usize = 10_000_019;
const W: usize = 20_000_003;

/// A square convolution with zeros around that keep the size.
#[derive(Clone, Copy)]
struct Shape {
    n: usize,
    s: usize,
    c: usize,
    o: usize,
    k: usize,
}

impl Shape {
    fn x(&self, n: usize, y: i64, x: i64, c: usize) -> f64 {
        self.inside(y, x).map_or(0.0, |at| f64::from(number(X + (n * self.s * self.s + at) * self.c + c)))
    }

    fn dy(&self, n: usize, y: i64, x: i64, o: usize) -> f64 {
        self.inside(y, x).map_or(0.0, |at| f64::from(number(DY + (n * self.s * self.s + at) * self.o + o)))
    }

    fn w(&self, i: usize, j: usize, c: usize, o: usize) -> f64 {
        f64::from(number(W + ((i * self.k + j) * self.c + c) * self.o + o))
    }

    fn inside(&self, y: i64, x: i64) -> Option<usize> {
        let side = 0..self.s as i64;
        (side.contains(&y) && side.contains(&x)).then(|| y as usize * self.s + x as usize)
    }

    /// An element of the result in doubles.
    fn exact(&self, which: usize, at: usize) -> f64 {
        let Shape { n: batch, s, c: channels, o: outputs, k } = *self;
        let taps = (0..k * k).map(|t| (t / k, t % k));
        let half = (k / 2) as i64;
        let depth = if which == 0 { outputs } else { channels };
        let (n, y, x, z) = (at / depth / s / s, at / depth / s % s, at / depth % s, at % depth);
        let (y, x) = (y as i64, x as i64);
        let moved = |i: usize| i as i64 - half;
        match which {
            0 => taps
                .flat_map(|(i, j)| (0..channels).map(move |c| (i, j, c)))
                .map(|(i, j, c)| self.x(n, y + moved(i), x + moved(j), c) * self.w(i, j, c, z))
                .sum(),
            1 => taps
                .flat_map(|(i, j)| (0..outputs).map(move |o| (i, j, o)))
                .map(|(i, j, o)| self.dy(n, y - moved(i), x - moved(j), o) * self.w(i, j, z, o))
                .sum(),
            _ => {
                let (tap, c, o) = (at / outputs / channels, at / outputs % channels, at % outputs);
                let (i, j) = (moved(tap / k), moved(tap % k));
                let points = (0..batch * s * s).map(|p| (p / s / s, (p / s % s) as i64, (p % s) as i64));
                points.map(|(n, y, x)| self.x(n, y + i, x + j, c) * self.dy(n, y, x, o)).sum()
            }
        }
    }

    /// The largest error among sampled elements, as a part of their root mean square.
    fn error(&self, which: usize, y: &[f32]) -> f64 {
        let samples = if which == 2 { 60 } else { 600 };
        let (mut worst, mut square) = (0.0f64, 0.0);
        for i in 0..samples {
            let at = i * 7919 % y.len();
            let exact = self.exact(which, at);
            worst = worst.max((f64::from(y[at]) - exact).abs());
            square += exact * exact / f64::from(samples as u32);
        }
        worst / square.sqrt()
    }
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
        let rate = |m: &Measured| {
            let rate = m.flop as f64 / m.seconds / 1e9;
            format!("{:8.3} ms {rate:7.1} GFLOP/s {:5.1} %", m.seconds * 1e3, 100.0 * rate / peak)
        };
        let way = ["forward", "input gradient", "weight gradient"];
        let shapes = [
            (64, 32, 64, 64, 3),
            (64, 32, 32, 32, 3),
            (64, 32, 16, 16, 3),
            (64, 16, 128, 128, 3),
            (64, 8, 256, 256, 3),
            (64, 14, 32, 64, 5),
            (64, 28, 1, 32, 5),
        ];
        for (n, s, c, o, k) in shapes {
            for (i, way) in way.iter().enumerate() {
                let shape = Shape { n, s, c, o, k };
                let graph = conv(i, n, s, c, o, k);
                for (name, numerics) in [("strict", Numerics::Strict), ("fast", Numerics::Fast)] {
                    let m = measure(&graph, isa, threads, numerics);
                    let what = format!("conv {k}x{k} {s}x{s} {c}->{o} {way}");
                    println!("  {what:42} {name:6} {}  error {:.1e}", rate(&m), shape.error(i, &m.y));
                }
            }
        }
        for (n, f, o) in [(128, 784, 512), (128, 512, 256), (64, 3136, 1024), (64, 1024, 10)] {
            for (i, way) in way.iter().enumerate() {
                let m = measure(&dense(i, n, f, o), isa, threads, Numerics::Strict);
                println!("  {:42} {:6} {}", format!("dense {n} x {f}->{o} {way}"), "", rate(&m));
            }
        }
    }
}
