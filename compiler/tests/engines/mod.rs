//! Compiles and runs graphs, and compares with the reference interpreter.
#![allow(dead_code)]

use dlc_compiler::base::Numerics;
use dlc_compiler::base::{Element, Tensor, TensorType};
use dlc_compiler::codegen::{self, Options};
use dlc_compiler::graph::{Def, Graph, Init, StateKind, interp};
use dlc_compiler::loops::interp_nest::{self, Buffers};
use dlc_compiler::loops::nest::Program;
use dlc_compiler::loops::verify_nest;
use dlc_compiler::loops::{self, Fold, Unary};
use dlc_compiler::ops::{ConvSpec, Emit, PoolSpec};
use dlc_compiler::plan;
use dlc_compiler::schedule::{self, Target};
use dlc_runtime::abi::{Executable, Identity, Slot};
use dlc_runtime::micro::Isa;
use dlc_runtime::session::Session;
use std::collections::BTreeMap;

/// A repeatable sequence of numbers in -1..1, or of indices.
pub fn numbers(seed: u64, ty: &TensorType) -> Tensor {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    Tensor::from_fn(&ty.shape, |_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let unit = (x >> 40) as f32 / (1u64 << 24) as f32;
        match ty.element {
            Element::Number => unit * 2.0 - 1.0,
            Element::Index { extent } => (unit * extent as f32).floor(),
        }
    })
}

pub type Tensors = BTreeMap<String, Tensor>;

pub fn inputs(graph: &Graph) -> (Tensors, Tensors) {
    let (mut inputs, mut state) = (Tensors::new(), Tensors::new());
    for (i, v) in graph.order().into_iter().enumerate() {
        let node = graph.node(v);
        match &node.def {
            Def::Input(name) => drop(inputs.insert(name.clone(), numbers(i as u64 + 1, &node.ty))),
            Def::State(path) => drop(state.insert(path.clone(), numbers(i as u64 + 77, &node.ty))),
            Def::Constant(_) | Def::Op(_) => {}
        }
    }
    (inputs, state)
}

/// Fills the arena with NaN, as if it were an input: whatever is read before it is written shows.
fn spoil(session: &mut Session, exe: &Executable) {
    let count = exe.arena_bytes / 4;
    let arena = Slot { name: "arena".into(), offset: 0, shape: vec![count], index_extent: None };
    let other = Executable {
        code: Box::new(()),
        identity: Identity::fresh(),
        prepared: 0,
        steps: vec![],
        state_bytes: 0,
        arena_bytes: exe.arena_bytes,
        scratch_bytes: 0,
        inputs: vec![arena],
        outputs: vec![],
        state: vec![],
        batch: exe.batch,
        clock: None,
    };
    session.write_input(&other, "arena", &vec![f32::NAN; count]).expect("the arena");
}

/// Compiles and runs: outputs, and states afterwards.
pub fn run(graph: &Graph, target: &Target, threads: usize, x: &Tensors, s: &Tensors) -> (Tensors, Tensors) {
    run_program(graph, &schedule::run(graph, target), target.isa, threads, x, s)
}

/// The same with a program of the graph that is there.
pub fn run_program(
    graph: &Graph,
    program: &Program,
    isa: Isa,
    threads: usize,
    x: &Tensors,
    s: &Tensors,
) -> (Tensors, Tensors) {
    verify_nest::verify(program, isa.tiles().lanes).unwrap_or_else(|e| panic!("bug in schedule: {e}\n{program}"));
    let plan = plan::run(program);
    plan::verify::verify(program, &plan).expect("the plan holds");
    let compiled = codegen::compile(program, &plan, &Options { isa, listings: false, verify: true, clock: false });
    let exe = compiled.executable;
    let mut session = Session::new(threads, &exe).expect("memory");
    spoil(&mut session, &exe);
    for (name, t) in x {
        session.write_input(&exe, name, &t.data).expect("an input");
    }
    for (path, t) in s {
        session.set_state(path, &t.data).expect("a state");
    }
    session.run(&exe).expect("a run");
    if exe.prepared > 0 {
        // What was prepared must have survived the first run.
        let all = |session: &Session| -> Vec<u32> {
            let read = |(name, _): &(String, _)| session.read_output(&exe, name).expect("an output");
            graph.outputs.iter().flat_map(read).map(f32::to_bits).collect()
        };
        let first = all(&session);
        session.run(&exe).expect("a second run");
        assert_eq!(first, all(&session), "the second run differs\n{program}");
    }
    let outputs = graph
        .outputs
        .iter()
        .map(|(name, v)| {
            let data = session.read_output(&exe, name).expect("an output");
            (name.clone(), Tensor { shape: graph.node(*v).ty.shape.clone(), data })
        })
        .collect();
    let state = s
        .iter()
        .map(|(path, t)| {
            let data = session.get_state(path).expect("a state");
            (path.clone(), Tensor { shape: t.shape.clone(), data })
        })
        .collect();
    (outputs, state)
}

pub fn close(a: &Tensor, b: &Tensor, tolerance: f32) -> Option<String> {
    if a.data.len() != b.data.len() {
        return Some(format!("{} elements against {}", a.data.len(), b.data.len()));
    }
    let scale = b.data.iter().fold(1.0f32, |m, x| if x.is_finite() { m.max(x.abs()) } else { m });
    a.data.iter().zip(&b.data).enumerate().find_map(|(i, (x, y))| {
        let same = (x.is_nan() && y.is_nan()) || x == y || (x - y).abs() <= tolerance * scale;
        (!same).then(|| format!("element {i}: {x} against {y}"))
    })
}

/// The memory of a program with its inputs and states.
fn memory<'a>(program: &'a Program, x: &Tensors, s: &Tensors) -> Buffers<'a> {
    let mut memory = Buffers::new(program);
    for (name, b, _) in &program.inputs {
        memory.set(*b, &x[name].data);
    }
    for (path, b) in &program.state {
        memory.set(*b, &s[path].data);
    }
    memory
}

/// Outputs and states after a run.
fn results(program: &Program, memory: &Buffers<'_>) -> (Tensors, Tensors) {
    let tensor = |(name, b): &(String, dlc_compiler::base::Buffer)| {
        let shape = program.buffers[b.index()].shape.clone();
        (name.clone(), Tensor { shape, data: memory.get(*b).to_vec() })
    };
    (program.outputs.iter().map(tensor).collect(), program.state.iter().map(tensor).collect())
}

/// The kernels as their definitions say.
pub fn run_kernels(graph: &Graph, target: &Target, x: &Tensors, s: &Tensors) -> (Tensors, Tensors) {
    let kernels = schedule::kernels(graph, target);
    let mut memory = memory(&kernels.program, x, s);
    let each = kernels.each(|label, kernel| {
        let shape = |b: dlc_compiler::base::Buffer| kernels.program.buffers.get(b.index()).map(|t| t.shape.clone());
        loops::verify::kernel(kernel, &shape).map_err(|e| format!("{label}: {e}"))?;
        loops::interp::run(kernel, &mut memory).map_err(|e| format!("{label}: {e}"))
    });
    each.unwrap_or_else(|e| panic!("{e}\n{graph}"));
    results(&kernels.program, &memory)
}

/// The nests as they are written.
pub fn run_nests(graph: &Graph, target: &Target, x: &Tensors, s: &Tensors) -> (Tensors, Tensors) {
    let program = schedule::run(graph, target);
    let mut memory = memory(&program, x, s);
    let lanes = target.isa.tiles().lanes;
    interp_nest::run(&program, lanes, &mut memory).unwrap_or_else(|e| panic!("{e}\n{program}"));
    results(&program, &memory)
}

/// Targets that make different programs of a graph: every strategy that matches, not only the one that is chosen.
pub fn strategies(graph: &Graph, isa: Isa, fuse: bool) -> Vec<Target> {
    let targets = [Numerics::Strict, Numerics::Always].map(|numerics| Target { isa, fuse, numerics });
    let [direct, tiled] = targets.map(|target| schedule::run(graph, &target));
    targets.into_iter().take(if direct == tiled { 1 } else { 2 }).collect()
}

/// How far engines may differ, and which of them are asked.
#[derive(Clone, Copy)]
pub struct Laws {
    pub tolerance: f32,
    /// Also the interpreters of kernels and nests, which are slow.
    pub interpreters: bool,
}

/// Machine code on every instruction set, fused and not, with 1 and 3 threads (whose bits must agree).
pub fn check(graph: &Graph, what: &str, tolerance: f32) {
    let (x, s) = inputs(graph);
    check_on(graph, what, Laws { tolerance, interpreters: false }, &Isa::available(), &x, &s);
}

/// The same, and the interpreters of kernels and nests: for small graphs.
pub fn check_all(graph: &Graph, what: &str, tolerance: f32) {
    let (x, s) = inputs(graph);
    check_on(graph, what, Laws { tolerance, interpreters: true }, &Isa::available(), &x, &s);
}

pub fn check_on(graph: &Graph, what: &str, laws: Laws, isas: &[Isa], x: &Tensors, s: &Tensors) {
    let expected = interp::run(graph, x, s);
    let agree = |what: String, (y, next): &(Tensors, Tensors)| {
        let pairs = [("output", &expected.outputs, y), ("state", &expected.state, next)];
        for (kind, wanted, got) in pairs {
            for (name, value) in wanted {
                if let Some(wrong) = close(&got[name], value, laws.tolerance) {
                    panic!("{what}: {kind} {name}: {wrong}\n{graph}");
                }
            }
        }
    };
    for fuse in [true, false] {
        if laws.interpreters {
            let target = Target { isa: isas[0], fuse, numerics: Numerics::Fast };
            agree(format!("{what}: kernels fuse={fuse}"), &run_kernels(graph, &target, x, s));
        }
        for target in isas.iter().flat_map(|isa| strategies(graph, *isa, fuse)) {
            if laws.interpreters {
                agree(format!("{what}: nests {target:?}"), &run_nests(graph, &target, x, s));
            }
            let one = run(graph, &target, 1, x, s);
            agree(format!("{what}: {target:?}"), &one);
            let many = run(graph, &target, 3, x, s);
            let bits =
                |t: &Tensors| -> Vec<u32> { t.values().flat_map(|t| t.data.iter().map(|x| x.to_bits())).collect() };
            assert_eq!(bits(&one.0), bits(&many.0), "{what}: bits differ between 1 and 3 threads");
            assert_eq!(bits(&one.1), bits(&many.1), "{what}: bits of the state differ");
        }
    }
}

/// `w - 0.1 * (0.9 m + dw)`, `m` a slot.
struct Momentum;

impl dlc_compiler::passes::UpdateRule for Momentum {
    fn apply(&self, g: &mut Graph, weight: usize, grad: dlc_compiler::base::Value) {
        let (path, value) = (g.state[weight].path.clone(), g.state[weight].value);
        let ty = g.node(value).ty.clone();
        let m = g.state(&format!("{path}#m"), ty.clone(), Init::Zeros, StateKind::Slot);
        let slot = g.state.len() - 1;
        let e = g.emit_here();
        let factor = |e: &mut dyn Emit, x: f32| {
            let c = e.constant(x);
            e.broadcast(c, &ty.shape, &[])
        };
        let keep = factor(e, 0.9);
        let kept = e.mul(m, keep);
        let next = e.add(kept, grad);
        let rate = factor(e, 0.1);
        let step = e.mul(next, rate);
        let moved = e.sub(value, step);
        g.state[slot].next = Some(next);
        g.state[weight].next = Some(moved);
    }
}

fn relu(e: &mut dyn Emit, x: dlc_compiler::base::Value) -> dlc_compiler::base::Value {
    let shape = e.ty(x).shape.clone();
    let zero = e.constant(0.0);
    let zero = e.broadcast(zero, &shape, &[]);
    e.binary(dlc_compiler::loops::Binary::Max, x, zero)
}

/// 12x12 pictures through two convolutions with pooling, a dense layer and softmax cross-entropy; with updates.
pub fn small_network(n: usize) -> Graph {
    let mut g = Graph::new();
    g.batch = n;
    let x = g.input("x", TensorType::new(&[n, 12, 12, 1]));
    let label = g.input("label", TensorType::index(5, &[n]));
    let mut w = |path: &str, shape: &[usize]| g.state(path, TensorType::new(shape), Init::Zeros, StateKind::Weight);
    let (w1, b1) = (w("conv1.w", &[5, 5, 1, 8]), w("conv1.b", &[8]));
    let (w2, b2) = (w("conv2.w", &[3, 3, 8, 20]), w("conv2.b", &[20]));
    let (w3, b3) = (w("dense.w", &[180, 5]), w("dense.b", &[5]));
    let e = g.emit_here();
    let mut y = x;
    let pool = PoolSpec { kernel: vec![2, 2], stride: vec![2, 2], pad: vec![(0, 0); 2] };
    for (w, b, pad, k) in [(w1, b1, 2, 5), (w2, b2, 1, 3)] {
        let spec = ConvSpec { pad: vec![(pad, pad); 2], ..ConvSpec::plain(&[k, k]) };
        y = e.conv(y, w, &spec);
        let shape = e.ty(y).shape.clone();
        let b = e.broadcast(b, &shape, &[3]);
        y = e.add(y, b);
        y = relu(e, y);
        y = e.max_pool(y, &pool);
    }
    let y = e.reshape(y, &[n, 180]);
    let y = e.contract(y, "nf", w3, "fo", "no");
    let b = e.broadcast(b3, &[n, 5], &[1]);
    let z = e.add(y, b);
    let m = e.reduce(Fold::Max, z, &[1]);
    let m = e.detach(m);
    let m = e.broadcast(m, &[n, 5], &[0]);
    let shifted = e.sub(z, m);
    let p = e.unary(Unary::Exp, shifted);
    let sum = e.reduce(Fold::Add, p, &[1]);
    let log = e.unary(Unary::Log, sum);
    let class = e.coord(&[n, 5], 1);
    let label = e.broadcast(label, &[n, 5], &[0]);
    let hot = e.binary(dlc_compiler::loops::Binary::Eq, class, label);
    let own = e.mul(shifted, hot);
    let own = e.reduce(Fold::Add, own, &[1]);
    let nll = e.sub(log, own);
    let total = e.reduce(Fold::Add, nll, &[0]);
    let scale = e.constant(1.0 / n as f32);
    let loss = e.mul(total, scale);
    g.set_output("loss", loss);
    dlc_compiler::passes::run(&mut g, dlc_compiler::passes::TRAINING, &Momentum, &mut ());
    g
}
