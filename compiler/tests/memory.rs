//! Tables given up and made again: the same numbers with less memory, whatever is given up.

mod common;
mod engines;

use common::{solved, training};
use dlc_compiler::base::Numerics;
use dlc_compiler::driver::{self, Mode};
use dlc_compiler::graph::Graph;
use dlc_compiler::plan;
use dlc_compiler::schedule::{self, Target, Thrift};
use dlc_runtime::micro::Isa;
use engines::{Tensors, close, inputs, run, run_program};

const TRAIN: &str = "
data d {
  source = csv(\"d.csv\")
  field image: [h: 12, w: 12, c: 4] = columns(0..576)
  field label: digit = column(576)
  split = ratio(train = 80%, val = 10%, test = 10%)
}
train Net on d { loss = cross_entropy(logits, label)  optimizer = sgd(lr = 0.1, momentum = 0.9)  batch = 8  epochs = 1 }
";

/// Networks whose backward reads what forward made: with statistics of a batch, shortcuts, dropout, pools, several readers.
const NETWORKS: &[(&str, &str)] = &[
    ("plain", "image |> conv(8, 3) |> relu |> conv(8, 3) |> relu |> conv(8, 3) |> relu |> conv(8, 3) |> relu"),
    (
        "normal",
        "image |> conv(8, 3) |> batch_norm |> relu |> conv(8, 3) |> batch_norm |> relu |> conv(8, 3) |> batch_norm |> relu",
    ),
    ("shortcuts", "image |> conv(8, 3) |> Step |> Step |> Step |> Step |> relu"),
    (
        "dropout",
        "image |> conv(8, 3) |> gelu |> dropout(0.3) |> conv(8, 3) |> tanh |> dropout(0.3) |> conv(8, 3) |> gelu",
    ),
    ("pools", "image |> conv(8, 3) |> relu |> max_pool(2) |> conv(8, 3) |> relu |> conv(8, 5) |> gelu"),
    ("dense", "image |> dense(16) |> gelu |> dense(16) |> gelu |> dense(16) |> layer_norm |> dense(16) |> tanh"),
];

fn text(body: &str) -> String {
    let step = "block Step(x: [h, w, c]) -> y { y = x + (x |> conv(c, 3) |> batch_norm |> relu |> conv(c, 3)) }";
    format!(
        "dim digit = 5\n{step}\nmodel Net(image: [h: 12, w: 12, c: 4]) -> logits: [digit] {{\n  logits = {body} |> flatten |> dense(digit)\n}}\n{TRAIN}"
    )
}

fn graph(body: &str) -> Graph {
    training(&solved(&text(body)), 8)
}

fn same(what: &str, (a, b): &(Tensors, Tensors), (c, d): &(Tensors, Tensors)) {
    for (wanted, got) in [(a, c), (b, d)] {
        for (name, value) in wanted {
            if let Some(wrong) = close(&got[name], value, 1e-4) {
                panic!("{what}: {name}: {wrong}");
            }
        }
    }
}

#[test]
fn whatever_is_given_up_the_numbers_are_the_same() {
    for (name, body) in NETWORKS {
        let graph = graph(body);
        let (x, s) = inputs(&graph);
        for isa in Isa::available() {
            for numerics in [Numerics::Strict, Numerics::Always] {
                let target = Target { isa, fuse: true, numerics };
                let wanted = run(&graph, &target, 1, &x, &s);
                let thrift = Thrift::new(&graph, &target);
                assert!(thrift.most() > 0, "{name}: nothing can be made again");
                let chosen = if isa == Isa::Portable {
                    (0..=thrift.most()).collect()
                } else {
                    vec![thrift.most() / 2, thrift.most()]
                };
                for given_up in chosen {
                    let program = thrift.program(given_up);
                    let what = format!("{name} {isa:?} {numerics:?}, {given_up} given up");
                    let one = run_program(&graph, &program, isa, 1, &x, &s);
                    same(&what, &wanted, &one);
                    let three = run_program(&graph, &program, isa, 3, &x, &s);
                    let bits = |(a, b): &(Tensors, Tensors)| -> Vec<u32> {
                        a.values().chain(b.values()).flat_map(|t| t.data.iter().map(|x| x.to_bits())).collect()
                    };
                    assert_eq!(bits(&one), bits(&three), "{what}: bits differ between 1 and 3 threads");
                }
            }
        }
    }
}

/// Bytes of the arena with nothing given up, and the least of all choices.
fn least(graph: &Graph, target: &Target) -> (usize, usize) {
    let thrift = Thrift::new(graph, target);
    let bytes = |given_up| plan::run(&thrift.program(given_up)).arena_bytes;
    (bytes(0), (0..=thrift.most()).map(bytes).min().unwrap_or(0))
}

#[test]
fn what_is_given_up_takes_no_memory() {
    let target = Target { isa: Isa::Portable, fuse: true, numerics: Numerics::Strict };
    for (name, body) in &NETWORKS[..4] {
        let (all, least) = least(&graph(body), &target);
        assert!(5 * least < 4 * all, "{name}: {least} of {all} bytes");
    }
}

/// What a little arithmetic makes again of a table that backward reads anyway is not kept, without a limit.
#[test]
fn what_costs_nothing_is_not_kept() {
    let target = Target { isa: Isa::Portable, fuse: true, numerics: Numerics::Strict };
    for (name, body) in &NETWORKS[..2] {
        let graph = graph(body);
        let usual = plan::run(&schedule::run(&graph, &target)).arena_bytes;
        let whole = plan::run(&Thrift::new(&graph, &target).program(0)).arena_bytes;
        match *name {
            "normal" => assert!(10 * usual < 9 * whole, "{name}: {usual} of {whole} bytes"),
            _ => assert_eq!(usual, whole, "{name}"),
        }
    }
}

#[test]
fn a_limit_is_kept_where_a_plan_fits() {
    let solved = solved(&text(NETWORKS[2].1));
    let target =
        |memory| driver::Target { isa: Isa::Portable, fuse: true, numerics: None, memory, verify: false, clock: false };
    let compiled = |memory| driver::compile(&solved, Mode::Train, 8, &target(memory), &mut ());
    let bytes = |c: &driver::Compiled| {
        (c.executable.state_bytes + c.executable.arena_bytes + c.executable.scratch_bytes) as u64
    };
    let lowering = Target { isa: Isa::Portable, fuse: true, numerics: Numerics::default() };
    let whole = plan::run(&Thrift::new(&graph(NETWORKS[2].1), &lowering).program(0)).bytes() as u64;
    let limit = whole * 4 / 5;
    let free = bytes(&compiled(None).unwrap_or_else(|_| panic!("no limit")));
    assert!(limit < free && free < whole, "{limit} {free} {whole}");
    let tight = compiled(Some(limit)).unwrap_or_else(|f| panic!("{}", f.diagnostics[0].message));
    assert!(bytes(&tight) <= limit);
    let Err(failed) = compiled(Some(1000)) else { panic!("a network in 1000 bytes") };
    assert_eq!(failed.diagnostics[0].code, "E0315");
}
