//! Machine code against the reference interpreter, for every op and for small networks.

mod engines;

use dlc_compiler::base::{Numerics, TensorType, Value};
use dlc_compiler::graph::{Graph, Init, StateKind};
use dlc_compiler::loops::{Binary, Fold, Home};
use dlc_compiler::ops::{ConvSpec, Emit, Op, Slice, Zip};
use dlc_compiler::schedule;
use dlc_runtime::micro::Isa;
use engines::{check, check_all};

/// Every op on every sample, fused and not, on every instruction set.
#[test]
fn every_op() {
    for (op, types) in Op::samples() {
        let mut g = Graph::new();
        g.batch = types.first().and_then(|t| t.shape.first()).copied().unwrap_or(1);
        let inputs: Vec<Value> = types.iter().enumerate().map(|(i, t)| g.input(&format!("x{i}"), t.clone())).collect();
        let y = g.emit(op.clone(), &inputs);
        g.set_output("y", y);
        check_all(&g, &format!("{op:?}"), 1e-5);
    }
}

fn weight(g: &mut Graph, path: &str, shape: &[usize]) -> Value {
    g.state(path, TensorType::new(shape), Init::Zeros, StateKind::Weight)
}

/// A dense layer with every gradient, at sizes that leave edges in rows, columns and runs.
#[test]
fn dense() {
    for (n, f, o) in [(1, 5, 3), (7, 33, 17), (64, 100, 70), (130, 1100, 35), (33, 64, 10)] {
        let mut g = Graph::new();
        g.batch = n;
        let x = g.input("x", TensorType::new(&[n, f]));
        let dy = g.input("dy", TensorType::new(&[n, o]));
        let w = weight(&mut g, "w", &[f, o]);
        let e = g.emit_here();
        let y = e.contract(x, "nf", w, "fo", "no");
        let dx = e.contract(dy, "no", w, "fo", "nf");
        let dw = e.contract(x, "nf", dy, "no", "fo");
        for (name, v) in [("y", y), ("dx", dx), ("dw", dw)] {
            g.set_output(name, v);
        }
        check(&g, &format!("dense {n} {f} {o}"), 1e-4);
    }
}

/// Examples, side of the pictures, channels in and out, taps, stride, padding.
type Convolution = (usize, usize, usize, usize, usize, usize, usize);

/// A convolution and its input gradient; gives `x`, `dy` and the specification for more.
fn convolution_graph((n, s, c, o, k, stride, pad): Convolution) -> (Graph, [Value; 4], ConvSpec) {
    let spec = ConvSpec { stride: vec![stride; 2], pad: vec![(pad, pad); 2], ..ConvSpec::plain(&[k, k]) };
    let out = spec.output(&[s, s]).expect("windows fit");
    let mut g = Graph::new();
    g.batch = n;
    let x = g.input("x", TensorType::new(&[n, s, s, c]));
    let dy = g.input("dy", TensorType::new(&[n, out[0], out[1], o]));
    let w = weight(&mut g, "w", &[k, k, c, o]);
    let e = g.emit_here();
    let y = e.conv(x, w, &spec);
    let dx = e.conv_dx(dy, w, &spec, &[s, s]);
    (g, [x, dy, y, dx], spec)
}

/// A convolution with every gradient: padding, strides, one channel, edges in every tile.
#[test]
fn convolution() {
    let cases = [
        (2, 8, 3, 5, 3, 1, 1),
        (5, 14, 32, 40, 5, 1, 2),
        (3, 9, 1, 32, 5, 1, 2),
        (4, 11, 8, 20, 3, 2, 1),
        (9, 6, 16, 16, 1, 1, 0),
        (6, 7, 33, 17, 3, 1, 0),
        // Winograd's: cut tiles, several pictures at once, more rows of tiles than a block has.
        (4, 8, 40, 24, 3, 1, 1),
        (1, 13, 17, 9, 3, 1, 1),
        (2, 40, 8, 16, 3, 1, 1),
        (3, 12, 16, 70, 5, 1, 0),
        (2, 9, 3, 4, 5, 1, 2),
        // Zeros around the picture that fill whole tiles.
        (2, 9, 8, 8, 3, 1, 4),
        (1, 5, 8, 8, 5, 1, 9),
        // More channels than a core can keep sums of.
        (6, 7, 140, 136, 3, 1, 1),
    ];
    for (n, s, c, o, k, stride, pad) in cases {
        let (mut g, [x, dy, y, dx], spec) = convolution_graph((n, s, c, o, k, stride, pad));
        let e = g.emit_here();
        let dw = e.conv_dw(x, dy, &spec);
        for (name, v) in [("y", y), ("dx", dx), ("dw", dw)] {
            g.set_output(name, v);
        }
        let strategies = engines::strategies(&g, Isa::Portable, true).len();
        assert_eq!(strategies, 1 + usize::from(stride == 1 && k > 1), "conv {n} {s} {c} {o} {k} {stride} {pad}");
        let what = format!("conv {n} {s} {c} {o} {k} {stride} {pad}");
        if s * s * c * o < 2000 { check_all(&g, &what, 1e-4) } else { check(&g, &what, 1e-4) }
    }
}

/// Sums and maxima of columns, of which some need the same terms: whole vectors and what is left of them, rows in one
/// piece and with gaps, and what is the same in all rows.
#[test]
fn sums_of_columns() {
    for (n, s, c) in [(3, 5, 8), (2, 4, 16), (5, 3, 24), (4, 7, 40), (3, 5, 64), (2, 6, 130), (1, 9, 200), (67, 1, 33)]
    {
        let mut g = Graph::new();
        g.batch = n;
        let shape = [n, s, s + 1, c];
        let [x, y] = ["x", "y"].map(|name| g.input(name, TensorType::new(&shape)));
        let mean = weight(&mut g, "mean", &[c]);
        let e = g.emit_here();
        let zero = e.filled_like(0.0, x);
        let at = e.broadcast(mean, &shape, &[3]);
        let mask = e.emit(Zip(Binary::Gt).into(), &[x, zero]);
        let gated = e.mul(mask, y);
        let centered = e.sub(x, at);
        let (product, square) = (e.mul(gated, centered), e.mul(centered, centered));
        let short = e.emit(Slice { axis: 2, start: 1, len: s }.into(), &[x]);
        let sums = [
            ("gated", gated, &[0, 1, 2][..]),
            ("product", product, &[0, 1, 2]),
            ("square", square, &[0, 1, 2]),
            ("largest", product, &[1, 2]),
            ("short", short, &[0, 1, 2]),
            ("rows", square, &[1]),
        ];
        for (name, v, axes) in sums {
            let fold = if name == "largest" { Fold::Max } else { Fold::Add };
            let sum = g.emit_here().reduce(fold, v, axes);
            g.set_output(name, sum);
        }
        check_all(&g, &format!("columns {n} {s} {c}"), 1e-4);
    }
}

/// Weights are updated strip by strip in the step that makes their gradient, which is never stored whole.
#[test]
fn updates_in_the_epilogue() {
    for (n, f, o) in [(64, 256, 144), (33, 49 * 8, 190)] {
        let mut g = Graph::new();
        g.batch = n;
        let x = g.input("x", TensorType::new(&[n, f]));
        let dy = g.input("dy", TensorType::new(&[n, o]));
        let (w, m) = (weight(&mut g, "w", &[f, o]), weight(&mut g, "w#m", &[f, o]));
        let e = g.emit_here();
        let y = e.contract(x, "nf", w, "fo", "no");
        let gradient = e.contract(x, "nf", dy, "no", "fo");
        let next_m = e.add(m, gradient);
        let square = e.mul(gradient, gradient);
        let change = e.mul(next_m, square);
        let next_w = e.sub(w, change);
        g.state[0].next = Some(next_w);
        g.state[1].next = Some(next_m);
        g.set_output("y", y);
        for target in engines::strategies(&g, Isa::Avx2, true) {
            let program = schedule::run(&g, &target);
            let written = program.steps.iter().flat_map(|step| step.buffers().1);
            let mut types = written.map(|b| &program.buffers[b.index()]);
            let stored = types.find(|b| b.home == Home::Arena && b.shape == [f, o]);
            assert_eq!(stored, None, "a gradient is stored");
        }
        check(&g, &format!("update of {f} x {o}"), 1e-4);
    }
}

/// One block of examples: the work on a picture is shared out among tasks, by every way to do so.
#[test]
fn one_block_in_parts() {
    let cases = [
        // Rows of tiles; rows with cut edges; panels where there are few tiles.
        (1, 32, 16, 16, 3, 1, 1),
        (1, 30, 8, 24, 5, 1, 2),
        (1, 15, 24, 40, 3, 1, 1),
        (1, 6, 48, 70, 3, 1, 1),
        // Padded rows; a prime number of them; no padding.
        (1, 32, 5, 33, 3, 2, 1),
        (1, 33, 16, 40, 3, 2, 1),
        (1, 24, 40, 72, 1, 1, 0),
        // Several small pictures.
        (8, 8, 16, 32, 3, 1, 1),
    ];
    for (n, s, c, o, k, stride, pad) in cases {
        let what = format!("parts of conv {n} {s} {c} {o} {k} {stride} {pad}");
        let (mut g, [_, _, y, dx], _) = convolution_graph((n, s, c, o, k, stride, pad));
        let e = g.emit_here();
        let y = e.mul(y, y);
        for (name, v) in [("y", y), ("dx", dx)] {
            g.set_output(name, v);
        }
        for isa in [Isa::Avx512, Isa::Avx2, Isa::Portable] {
            for target in engines::strategies(&g, isa, true) {
                let program = schedule::run(&g, &target);
                let large = program.steps.iter().filter(|step| step.flop() > 1_000_000);
                let alone = large.filter(|step| step.tasks < 2).map(|step| &step.label).next();
                assert_eq!(alone, None, "{what}, {target:?}: a step that cannot be shared out");
            }
        }
        check(&g, &what, 1e-4);
    }
}

/// Two products that one kernel adds: one of them is made in the step of the sum.
#[test]
fn a_sum_of_two_products() {
    let mut g = Graph::new();
    g.batch = 1;
    let x = g.input("x", TensorType::new(&[1, 24, 24, 16]));
    let spec = |stride| ConvSpec { stride: vec![stride; 2], ..ConvSpec::plain(&[1, 1]) };
    let (w1, w2) = (weight(&mut g, "w1", &[1, 1, 16, 40]), weight(&mut g, "w2", &[1, 1, 16, 40]));
    let e = g.emit_here();
    let (a, b) = (e.conv(x, w1, &spec(2)), e.conv(x, w2, &spec(2)));
    let (a, b) = (e.mul(a, a), e.mul(b, b));
    let y = e.add(a, b);
    g.set_output("y", y);
    check_all(&g, "a sum of two products", 1e-4);
}

/// One large picture: a product, filters and a product, each with what follows point by point, are one step in bands of
/// rows, and what they hand on is never stored.
#[test]
fn bands_of_rows() {
    // Side of the picture, channels, taps and stride of the first; channels between; stride of the filters; channels after.
    let cases =
        [(56, 8, 1, 1, 96, 1, 8), (113, 3, 3, 2, 88, 1, 20), (112, 5, 1, 1, 24, 2, 16), (60, 4, 1, 1, 80, 3, 40)];
    for (s, c, k, first, between, stride, after) in cases {
        let what = format!("bands of {s} {c} {k} {first} {between} {stride} {after}");
        let plain = |k: usize, stride: usize| ConvSpec {
            stride: vec![stride; 2],
            pad: vec![(k / 2, k / 2); 2],
            ..ConvSpec::plain(&[k, k])
        };
        let mut g = Graph::new();
        g.batch = 1;
        let x = g.input("x", TensorType::new(&[1, s, s, c]));
        let w1 = weight(&mut g, "w1", &[k, k, c, between]);
        let w2 = weight(&mut g, "w2", &[3, 3, 1, between]);
        let w3 = weight(&mut g, "w3", &[1, 1, between, after]);
        let e = g.emit_here();
        let y = e.conv(x, w1, &plain(k, first));
        let y = e.mul(y, y);
        let y = e.conv(y, w2, &ConvSpec { groups: between, ..plain(3, stride) });
        let y = e.mul(y, y);
        let y = e.conv(y, w3, &plain(1, 1));
        let y = if (stride, after) == (1, c) { e.add(y, x) } else { e.mul(y, y) };
        g.set_output("y", y);
        for isa in [Isa::Avx512, Isa::Avx2, Isa::Portable] {
            let program = schedule::run(&g, &schedule::Target { isa, fuse: true, numerics: Numerics::Fast });
            let written = program.steps.iter().flat_map(|step| step.buffers().1);
            let mut types = written.map(|b| &program.buffers[b.index()]);
            let large = types.find(|b| b.home == Home::Arena && b.shape.last() == Some(&between) && b.shape.len() == 4);
            assert_eq!(large, None, "{what}: what lies between is stored");
        }
        check(&g, &what, 1e-4);
    }
}

/// Depthwise convolutions with every gradient, for one example and for several: padding on either side, strides, holes,
/// one sliding axis and three, channels that fill no vector.
#[test]
fn depthwise() {
    let cases: [(usize, &[usize], usize, usize, usize, usize, (usize, usize)); 11] = [
        (1, &[30, 30], 40, 3, 1, 1, (1, 1)),
        (5, &[9, 12], 19, 3, 1, 1, (1, 1)),
        (4, &[14, 15], 32, 3, 2, 1, (1, 1)),
        (1, &[28, 28], 24, 3, 2, 1, (0, 1)),
        (2, &[11, 11], 8, 5, 1, 1, (2, 2)),
        (2, &[9, 9], 5, 3, 1, 2, (2, 2)),
        (3, &[6, 6], 2, 2, 3, 1, (0, 0)),
        (2, &[20], 12, 7, 1, 1, (3, 3)),
        (2, &[5, 6, 7], 6, 3, 1, 1, (1, 1)),
        // Points that see nothing but zeros.
        (2, &[4, 4], 8, 3, 1, 1, (4, 4)),
        // Every channel into two, which is not of this form.
        (2, &[6, 6], 8, 3, 1, 1, (1, 0)),
    ];
    for (n, sizes, c, k, stride, dilation, pad) in cases {
        let what = format!("depthwise {n} {sizes:?} {c} {k} {stride} {dilation} {pad:?}");
        let rank = sizes.len();
        let spec = ConvSpec {
            stride: vec![stride; rank],
            dilation: vec![dilation; rank],
            pad: vec![pad; rank],
            groups: c,
            ..ConvSpec::plain(&vec![k; rank])
        };
        let each = if pad == (1, 0) { 2 } else { 1 };
        let out = spec.output(sizes).expect("windows fit");
        let mut g = Graph::new();
        g.batch = n;
        let x = g.input("x", TensorType::new(&[&[n], sizes, &[c]].concat()));
        let dy = g.input("dy", TensorType::new(&[&[n], &out[..], &[c * each]].concat()));
        let w = weight(&mut g, "w", &[&spec.kernel[..], &[1, c * each]].concat());
        let e = g.emit_here();
        let y = e.conv(x, w, &spec);
        let dx = e.conv_dx(dy, w, &spec, sizes);
        let dw = e.conv_dw(x, dy, &spec);
        for (name, v) in [("y", y), ("dx", dx), ("dw", dw)] {
            g.set_output(name, v);
        }
        let target = schedule::Target { isa: Isa::Portable, fuse: false, numerics: Numerics::Fast };
        let program = schedule::run(&g, &target);
        let filters = program.steps.iter().filter(|step| step.algorithm() == "filter").count();
        // The input gradient of strides is one store for each of their phases.
        let expected = if each == 2 || pad == (4, 4) { 0 } else { 3 - usize::from(stride > 1) };
        assert!(filters >= expected, "{what}: {filters} filters\n{program}");
        if n * sizes.iter().product::<usize>() * c < 4000 { check_all(&g, &what, 1e-4) } else { check(&g, &what, 1e-4) }
    }
}

/// A small network's training step: convolution, pooling, dense, softmax cross-entropy, and a momentum update.
#[test]
fn training_step() {
    for batch in [1, 6, 13] {
        let g = engines::small_network(batch);
        check(&g, &format!("training step of {batch}"), 2e-4);
    }
    check_all(&engines::small_network(3), "training step of 3", 2e-4);
}

/// Layers of the same shape share their code, in both directions and in the update.
#[test]
fn equal_layers() {
    let mut g = Graph::new();
    g.batch = 6;
    let mut x = g.input("x", TensorType::new(&[6, 20]));
    for layer in ["a", "b", "c", "d"] {
        let w = weight(&mut g, layer, &[20, 20]);
        let e = g.emit_here();
        let y = e.contract(x, "nf", w, "fo", "no");
        let gradient = e.contract(x, "nf", y, "no", "fo");
        let next = e.sub(w, gradient);
        x = e.mul(y, y);
        g.state.last_mut().expect("a weight").next = Some(next);
    }
    g.set_output("y", x);
    check_all(&g, "equal layers", 1e-4);
}

/// A contraction whose first operand is padded along an axis that is neither row nor sum.
#[test]
fn padding_of_an_outer_axis() {
    let mut g = Graph::new();
    g.batch = 2;
    let x = g.input("x", TensorType::new(&[2, 3, 2]));
    let w = g.input("w", TensorType::new(&[3, 2, 4]));
    let e = g.emit_here();
    let x = e.pad(x, 0, 1, 0);
    let y = e.contract(x, "gnk", w, "gko", "gno");
    g.set_output("y", y);
    check_all(&g, "padding of an outer axis", 1e-5);
}

/// Every next state is computed from the old ones, whatever is overwritten first.
#[test]
fn updates_see_old_states() {
    let mut g = Graph::new();
    g.batch = 1;
    let shape = [3, 4];
    let w: Vec<Value> = ["a", "b", "c", "d", "e"].map(|path| weight(&mut g, path, &shape)).to_vec();
    let e = g.emit_here();
    let flat = e.reshape(w[0], &[12]);
    let last = e.slice(flat, 0, 11, 1);
    let last = e.reshape(last, &[]);
    let last = e.broadcast(last, &shape, &[]);
    let sums = e.reduce(dlc_compiler::loops::Fold::Add, w[1], &[1]);
    let sums = e.broadcast(sums, &shape, &[0]);
    // Itself through a view, one before, one that is a sum, and two that change places.
    let next = [e.sub(w[0], last), e.sub(w[1], w[0]), e.mul(sums, w[1]), w[4], w[3]];
    for (state, next) in g.state.iter_mut().zip(next) {
        state.next = Some(next);
    }
    g.set_output("y", w[0]);
    check_all(&g, "updates of each other", 1e-5);
}

/// A phase of a strided input gradient makes a part of its buffer: here with as many taps as there are examples, so
/// that it looks like a sum over them, but no task may keep such a sum for the whole buffer.
#[test]
fn a_phase_with_as_many_taps_as_examples() {
    let spec = ConvSpec { stride: vec![2], dilation: vec![2], pad: vec![(3, 3)], ..ConvSpec::plain(&[4]) };
    let spatial = [3];
    let out = spec.output(&spatial).expect("windows fit");
    let mut g = Graph::new();
    g.batch = 4;
    let dy = g.input("dy", TensorType::new(&[4, out[0], 40]));
    let w = weight(&mut g, "w", &[4, 40, 40]);
    let e = g.emit_here();
    let dx = e.conv_dx(dy, w, &spec, &spatial);
    let sum = e.reduce(dlc_compiler::loops::Fold::Add, dx, &[0, 1]);
    g.set_output("dx", dx);
    g.set_output("sum", sum);
    check_all(&g, "a phase with as many taps as examples", 1e-4);
}
