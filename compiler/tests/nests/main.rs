//! The verifier of nests accepts what the scheduler makes, and no bug planted in it.

#[path = "../common/mod.rs"]
mod common;
mod endings;
#[path = "../engines/mod.rs"]
mod engines;
mod filters;
mod groups;
mod lockstep;

use dlc_compiler::base::Numerics;
use dlc_compiler::base::{Buffer, TensorType, Var};
use dlc_compiler::graph::Graph;
use dlc_compiler::loops::nest::{Accumulate, For, Kind, Program, Step, Stmt, Tile};
use dlc_compiler::loops::{Affine, BufferType, Coord, Fold, Home, How, Store, expr, verify_nest};
use dlc_compiler::ops::ConvSpec;
use dlc_compiler::schedule::{self, Target};
use dlc_runtime::micro::Isa;

fn program(graph: &Graph) -> (Program, usize) {
    let isa = Isa::Portable;
    (schedule::run(graph, &Target { isa, fuse: true, numerics: Numerics::Fast }), isa.tiles().lanes)
}

fn each_stmt(stmts: &mut [Stmt], f: &mut dyn FnMut(&mut Stmt)) {
    for stmt in stmts {
        f(stmt);
        if let Stmt::For(l) = stmt {
            each_stmt(&mut l.body, f);
        }
    }
}

/// Changes one statement after the other, alone; counts the changes and those that the verifier sees.
fn plant(graph: &Graph, change: &dyn Fn(&mut Stmt) -> bool) -> (usize, usize) {
    let (good, lanes) = program(graph);
    verify_nest::verify(&good, lanes).unwrap_or_else(|e| panic!("{e}\n{good}"));
    let (mut planted, mut caught) = (0, 0);
    for target in 0.. {
        let (mut bad, mut at, mut changed, mut any) = (good.clone(), 0, false, false);
        for step in &mut bad.steps {
            each_stmt(&mut step.body, &mut |stmt| {
                if at == target {
                    any = true;
                    changed = change(stmt);
                }
                at += 1;
            });
        }
        if !any {
            return (planted, caught);
        }
        if changed {
            planted += 1;
            caught += usize::from(verify_nest::verify(&bad, lanes).is_err());
        }
    }
    unreachable!("the loop ends with the statements")
}

fn all_caught(what: &str, change: &dyn Fn(&mut Stmt) -> bool) {
    let (planted, caught) = plant(&engines::small_network(13), change);
    assert!(planted > 0, "{what}: nothing to change");
    assert_eq!(caught, planted, "{what}: some went unseen");
}

fn stores(stmt: &mut Stmt) -> Option<&mut Store> {
    match stmt {
        Stmt::Group(stores) => stores.first_mut(),
        Stmt::For(_) | Stmt::Tile(_) | Stmt::Transpose(_) | Stmt::Transform(_) | Stmt::Filter(_) | Stmt::Mark(_) => {
            None
        }
    }
}

fn shift(at: &mut [Coord], axis: usize, by: i64) -> bool {
    match at.get_mut(axis) {
        Some(Coord::Affine(a)) => {
            *a = &*a + by;
            true
        }
        Some(Coord::Index { .. }) | None => false,
    }
}

fn tile(stmt: &mut Stmt) -> Option<&mut Tile> {
    if let Stmt::Tile(t) = stmt { Some(t) } else { None }
}

#[test]
fn every_network_of_the_tests_is_accepted() {
    for batch in [1, 2, 6, 13, 64, 100] {
        for fuse in [true, false] {
            for isa in Isa::available() {
                let p = schedule::run(&engines::small_network(batch), &Target { isa, fuse, numerics: Numerics::Fast });
                verify_nest::verify(&p, isa.tiles().lanes).unwrap_or_else(|e| panic!("{e}\n{p}"));
            }
        }
    }
}

#[test]
fn shifted_stores() {
    // A store into part of a buffer (padding) may be shifted and stay inside: only whole ones are sure to leave.
    let (planted, caught) = plant(&engines::small_network(13), &|s| stores(s).is_some_and(|s| shift(&mut s.at, 0, 1)));
    assert!(caught > 0 && caught * 10 >= planted * 7, "{caught} of {planted} seen");
    let (planted, caught) = plant(&engines::small_network(13), &|s| stores(s).is_some_and(|s| shift(&mut s.at, 0, -1)));
    assert!(caught > 0 && caught * 10 >= planted * 7, "{caught} of {planted} seen");
}

#[test]
fn tiles_of_wrong_sizes() {
    all_caught("a row too many", &|s| tile(s).map(|t| t.rows += 100).is_some());
    all_caught("twice as many terms", &|s| tile(s).map(|t| t.k *= 40).is_some());
    all_caught("no lanes", &|s| tile(s).map(|t| t.last = 0).is_some());
    all_caught("too many lanes", &|s| tile(s).map(|t| t.last = 99).is_some());
    all_caught("a vector too many", &|s| tile(s).map(|t| t.vectors += 20).is_some());
}

#[test]
fn swapped_strides() {
    let swap = |stmt: &mut Stmt| {
        tile(stmt).is_some_and(|t| {
            let before = t.clone();
            std::mem::swap(&mut t.c_row, &mut t.b_k);
            std::mem::swap(&mut t.a_row, &mut t.a_k);
            *t != before && (t.rows > 1 || t.k > 1)
        })
    };
    let (planted, caught) = plant(&engines::small_network(13), &swap);
    assert!(planted > 0 && caught * 10 >= planted * 5, "{caught} of {planted} seen");
    all_caught("rows on top of each other", &|s| tile(s).filter(|t| t.rows > 1).map(|t| t.c_row = 0).is_some());
}

#[test]
fn dropped_conditions() {
    let drop_within = |stmt: &mut Stmt| match stmt {
        Stmt::For(For { within, .. }) => within.take().is_some(),
        Stmt::Group(_) | Stmt::Tile(_) | Stmt::Transpose(_) | Stmt::Transform(_) | Stmt::Filter(_) | Stmt::Mark(_) => {
            false
        }
    };
    // 13 examples in tasks of two: the last task would go too far.
    let (planted, caught) = plant(&engines::small_network(13), &drop_within);
    assert!(planted > 0 && caught > 0, "{caught} of {planted} seen");
    let (good, lanes) = program(&engines::small_network(13));
    let mut bad = good.clone();
    for step in bad.steps.iter_mut() {
        each_stmt(&mut step.body, &mut |s| {
            drop_within(s);
        });
    }
    assert!(verify_nest::verify(&bad, lanes).is_err());
}

/// A loop of several iterations that never ends early.
fn whole_loop(stmt: &mut Stmt) -> Option<&mut For> {
    if let Stmt::For(f) = stmt { Some(f).filter(|f| f.extent > 1 && f.within.is_none()) } else { None }
}

#[test]
fn loops_that_go_too_far() {
    // A part of a padded buffer may become longer and stay inside.
    let (planted, caught) = plant(&engines::small_network(13), &|stmt| {
        let Some(f) = whole_loop(stmt) else { return false };
        f.extent *= 2;
        true
    });
    assert!(planted > 0 && caught * 10 >= planted * 7, "{caught} of {planted} seen");
}

#[test]
fn accumulation_over_the_wrong_loops() {
    all_caught("overwritten by every example", &|stmt| {
        tile(stmt).is_some_and(|t| match &mut t.accumulate {
            Accumulate::AfterFirst(vars) if !vars.is_empty() => {
                vars.clear();
                true
            }
            Accumulate::AfterFirst(_) | Accumulate::Always => false,
        })
    });
}

#[test]
fn tasks_that_meet() {
    let (good, lanes) = program(&engines::small_network(64));
    let (mut planted, mut caught) = (0, 0);
    for i in 0..good.steps.len() {
        let mut bad = good.clone();
        let task = bad.steps[i].task;
        if bad.steps[i].tasks < 2 {
            continue;
        }
        // Every task does the work of the first.
        let zero = |a: &Affine| a.substitute(&|v| if v == task { Affine::default() } else { Affine::from(v) });
        each_stmt(&mut bad.steps[i].body, &mut |stmt| match stmt {
            Stmt::Group(stores) => {
                for c in stores.iter_mut().flat_map(|s| &mut s.at) {
                    if let Coord::Affine(a) = c {
                        *a = zero(a);
                    }
                }
            }
            Stmt::Tile(t) => t.c.at.iter_mut().for_each(|a| *a = zero(a)),
            Stmt::Transpose(t) => t.to.at.iter_mut().for_each(|a| *a = zero(a)),
            Stmt::Transform(t) => t.to.at.iter_mut().for_each(|a| *a = zero(a)),
            Stmt::Filter(t) => t.to.at.iter_mut().for_each(|a| *a = zero(a)),
            Stmt::Mark(_) => {}
            Stmt::For(_) => {}
        });
        planted += 1;
        caught += usize::from(verify_nest::verify(&bad, lanes).is_err());
    }
    assert!(planted > 0);
    assert_eq!(caught, planted);
}

#[test]
fn scratch_that_nobody_wrote() {
    let (good, lanes) = program(&engines::small_network(13));
    let mut seen = 0;
    for i in 0..good.steps.len() {
        for drop in 0..good.steps[i].body.len() {
            let mut bad = good.clone();
            bad.steps[i].body.remove(drop);
            seen += usize::from(verify_nest::verify(&bad, lanes).is_err());
        }
    }
    assert!(seen > 0);
}

/// Two tasks keep nine sums each, of which they write some: from the first on, every so many, so often. Then a step
/// adds all nine.
fn sums_in_parts(parts: &[(i64, i64, usize)]) -> Program {
    let buffer = |shape: &[usize], name: &str| BufferType {
        shape: shape.to_vec(),
        home: Home::Arena,
        alias: None,
        name: name.into(),
    };
    let [task, i, t, c] = [0, 1, 2, 3].map(Var);
    let of = |v: Var| Affine::from(v);
    let stores = |at: Vec<Affine>, buffer: u32, value| {
        let at = at.into_iter().map(Coord::Affine).collect();
        vec![Stmt::Group(vec![Store { buffer: Buffer(buffer), at, value, how: How::Set }])]
    };
    let over = |var: Var, extent: usize, body: Vec<Stmt>| {
        Stmt::For(For { var, extent, kind: Kind::Serial, within: None, body })
    };
    let part = |(first, step, count): &(i64, i64, usize)| {
        let at = vec![of(task), &(&of(i) * *step) + *first];
        over(i, *count, stores(at, 1, expr::load(Buffer(0), &[of(task)])))
    };
    let sum = expr::reduce(Fold::Add, vec![(t, 2)], expr::load(Buffer(1), &[of(t), of(c)]));
    let step = |tasks: usize, body: Vec<Stmt>, label: &str| Step {
        task,
        tasks,
        lockstep: false,
        body,
        label: label.into(),
        parts: vec![],
    };
    Program {
        prepared: 0,
        buffers: vec![buffer(&[2], "x"), buffer(&[2, 9], "parts"), buffer(&[9], "y")],
        steps: vec![
            step(2, parts.iter().map(part).collect(), "parts"),
            step(1, vec![over(c, 9, stores(vec![of(c)], 2, sum))], "sum"),
        ],
        batch: 2,
        inputs: vec![("x".into(), Buffer(0), None)],
        outputs: vec![("y".into(), Buffer(2))],
        state: vec![],
    }
}

#[test]
fn elements_that_nobody_wrote() {
    let verdict = |parts: &[(i64, i64, usize)]| verify_nest::verify(&sums_in_parts(parts), 4);
    for good in [&[(0, 1, 9)][..], &[(0, 2, 5), (1, 2, 4)], &[(2, 3, 3), (0, 3, 3), (1, 3, 3)], &[(5, 1, 4), (0, 1, 6)]]
    {
        assert_eq!(verdict(good), Ok(()), "{good:?}");
    }
    // As many elements as there are, but not all of them, is not enough.
    for bad in [&[(1, 2, 4)][..], &[(0, 2, 5), (1, 2, 3)], &[(0, 2, 5), (0, 1, 4)], &[(0, 1, 4), (5, 1, 4)]] {
        let message = verdict(bad).expect_err("elements are missing");
        assert!(message.contains("(sum): b1 is read where nothing was written before"), "{message}");
    }
}

/// Every store into the result of a strided gradient, left out or one shorter, leaves some of it unwritten.
#[test]
fn phases_that_nobody_wrote() {
    let spec = ConvSpec { stride: vec![2, 3], pad: vec![(1, 1); 2], ..ConvSpec::plain(&[3, 3]) };
    let spatial = [7, 8];
    let out = spec.output(&spatial).expect("windows fit");
    let mut g = Graph::new();
    g.batch = 5;
    let dy = g.input("dy", TensorType::new(&[5, out[0], out[1], 2]));
    let w = g.input("w", TensorType::new(&[3, 3, 2, 2]));
    let dx = g.emit_here().conv_dx(dy, w, &spec, &spatial);
    g.set_output("dx", dx);
    let result = program(&g).0.outputs[0].1;
    let into = |stmt: &Stmt| matches!(stmt, Stmt::Tile(t) if t.c.buffer == result);
    let empty = |stmt: &mut Stmt| {
        let found = into(stmt);
        if found {
            *stmt = Stmt::Group(vec![]);
        }
        found
    };
    let (planted, caught) = plant(&g, &empty);
    assert!(planted > 1 && caught == planted, "{caught} of {planted} seen");
    let shorter = |stmt: &mut Stmt| {
        let Some(f) = whole_loop(stmt) else { return false };
        let mut any = false;
        each_stmt(&mut f.body, &mut |stmt| any |= into(stmt));
        f.extent -= usize::from(any);
        any
    };
    let (planted, caught) = plant(&g, &shorter);
    assert!(planted > 1 && caught == planted, "{caught} of {planted} seen");
}

#[test]
fn unbound_variables() {
    all_caught("a loop over another variable", &|stmt| match stmt {
        Stmt::For(f) if f.extent > 1 => {
            f.var = dlc_compiler::base::Var(100_000);
            true
        }
        Stmt::For(_)
        | Stmt::Group(_)
        | Stmt::Tile(_)
        | Stmt::Transpose(_)
        | Stmt::Transform(_)
        | Stmt::Filter(_)
        | Stmt::Mark(_) => false,
    });
}

fn accepted(graph: &Graph) {
    for isa in Isa::available() {
        for fuse in [true, false] {
            let p = schedule::run(graph, &Target { isa, fuse, numerics: Numerics::Fast });
            verify_nest::verify(&p, isa.tiles().lanes).unwrap_or_else(|e| panic!("{isa:?}: {e}\n{p}"));
        }
    }
}

/// Large contractions, with every gradient: what runs in several tasks, in panels, in cut runs. Scheduled only.
#[test]
fn large_contractions_are_accepted() {
    for n in [1, 3, 32, 100, 129] {
        for (f, o) in [(784, 256), (256, 10), (3136, 250), (1000, 1001), (17, 4099), (5000, 33)] {
            let mut g = Graph::new();
            g.batch = n;
            let x = g.input("x", TensorType::new(&[n, f]));
            let dy = g.input("dy", TensorType::new(&[n, o]));
            let w = g.input("w", TensorType::new(&[f, o]));
            let e = g.emit_here();
            let (y, dx) = (e.contract(x, "nf", w, "fo", "no"), e.contract(dy, "no", w, "fo", "nf"));
            let all = [y, dx, e.contract(x, "nf", dy, "no", "fo")];
            all.into_iter().enumerate().for_each(|(i, v)| g.set_output(&format!("y{i}"), v));
            accepted(&g);
        }
        let layers = [(28, 1, 32, 5, 1, 2), (14, 32, 64, 5, 1, 2), (33, 7, 70, 3, 2, 1), (9, 130, 40, 1, 1, 0)];
        for (s, c, o, k, stride, pad) in layers {
            let spec = ConvSpec { stride: vec![stride; 2], pad: vec![(pad, pad); 2], ..ConvSpec::plain(&[k, k]) };
            let out = spec.output(&[s, s]).expect("windows fit");
            let mut g = Graph::new();
            g.batch = n;
            let x = g.input("x", TensorType::new(&[n, s, s, c]));
            let dy = g.input("dy", TensorType::new(&[n, out[0], out[1], o]));
            let w = g.input("w", TensorType::new(&[k, k, c, o]));
            let e = g.emit_here();
            let all = [e.conv(x, w, &spec), e.conv_dx(dy, w, &spec, &[s, s]), e.conv_dw(x, dy, &spec)];
            all.into_iter().enumerate().for_each(|(i, v)| g.set_output(&format!("y{i}"), v));
            accepted(&g);
        }
    }
}
