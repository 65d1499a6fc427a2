//! Element by element gives what the whole gives, and what cannot be taken so is refused.

#[path = "../common/mod.rs"]
mod common;

mod cases;
mod texts;

use cases::{CASES, WINDOW, program, target, weights};
use common::solved;
use dlc_compiler::base::Tensor;
use dlc_compiler::driver::{self, Compiled as Made};
use dlc_compiler::graph::{Def, Graph, interp};
use dlc_compiler::hir::Mode;
use dlc_compiler::passes::advance::{Advance, advance};
use dlc_runtime::abi::{Executable, Slot};
use dlc_runtime::extents::length_input;
use dlc_runtime::kept::{Half, Kept, Kind, PLACE, fixed, renewed, table};
use dlc_runtime::session::Session;
use std::collections::BTreeMap;

const ROWS: usize = 2;

/// Values of all inputs when so many symbols are known.
fn inputs(g: &Graph, tokens: &[Vec<f32>], known: usize) -> BTreeMap<String, Tensor> {
    let mut all = BTreeMap::new();
    for v in g.order() {
        let Def::Input(name) = &g.node(v).def else { continue };
        let ty = &g.node(v).ty;
        let data = match name.as_str() {
            "tokens" => tokens.iter().flat_map(|t| t[..ty.shape[1]].to_vec()).collect(),
            "style" => (0..ty.count()).map(|i| i as f32 - 2.5).collect(),
            "words" => (0..ty.count()).map(|i| (i * 5 % 6) as f32).collect(),
            _ if *name == length_input("t") => vec![known as f32; ROWS],
            _ if *name == length_input("s") => vec![3.0, 4.0],
            other => panic!("{other}"),
        };
        all.insert(name.clone(), Tensor { shape: ty.shape.clone(), data });
    }
    all
}

/// The elements `from..from + count` along an axis; zeros before the first.
fn part(x: &Tensor, axis: usize, from: i64, count: usize) -> Tensor {
    let mut shape = x.shape.clone();
    shape[axis] = count;
    Tensor::from_fn(&shape, |at| {
        let mut own = at.to_vec();
        let place = from + at[axis] as i64;
        own[axis] = place.max(0) as usize;
        if place < 0 { 0.0 } else { x.get(&own) }
    })
}

fn squeezed(x: &Tensor, axis: usize) -> Tensor {
    let mut y = x.clone();
    y.shape.remove(axis);
    y
}

type Tables = BTreeMap<String, Tensor>;

/// Runs the program that fills, or that of a step.
type Run<'a> = &'a mut dyn FnMut(bool, &Tables) -> Tables;

/// All scores of what follows each place, by steps after `first` symbols were read at once.
fn by_steps((steps, fill): (&Advance, &Graph), tokens: &[Vec<f32>], first: usize, run: Run<'_>) -> Vec<Tensor> {
    // What comes later is noise in the first run.
    let mut noise: Vec<Vec<f32>> = tokens.to_vec();
    noise.iter_mut().for_each(|t| t[first..].fill(2.0));
    let filled = run(true, &inputs(fill, &noise, first));
    let mut tables = Tables::new();
    let Kept { tables: kinds, fixed: count, .. } = &steps.kept;
    for i in 0..*count {
        tables.insert(fixed(i), filled[&fixed(i)].clone());
    }
    let shape_of = |name: &str| steps.step.node(steps.step.find_input(name).unwrap()).ty.shape.clone();
    for (i, kind) in kinds.iter().enumerate() {
        let all = &filled[&table(i)];
        let begins = match kind {
            Kind::Rows { axis } => {
                Tensor::from_fn(&shape_of(&table(i)), |at| if at[*axis] < all.shape[*axis] { all.get(at) } else { 0.0 })
            }
            Kind::State => squeezed(&part(all, 1, first as i64 - 1, 1), 1),
            Kind::Last { axis } => {
                let count = shape_of(&table(i))[*axis];
                part(all, *axis, first as i64 - count as i64, count)
            }
        };
        tables.insert(table(i), begins);
    }
    let mut scores: Vec<Tensor> = vec![part(&filled["y"], 1, first as i64 - 1, 1)];
    for place in first..WINDOW {
        let mut given = tables.clone();
        let symbols = tokens.iter().map(|t| t[place]).collect();
        given.insert("tokens".into(), Tensor { shape: vec![ROWS, 1], data: symbols });
        given.insert(PLACE.into(), Tensor { shape: vec![1], data: vec![place as f32] });
        let done = run(false, &given);
        for (i, kind) in kinds.iter().enumerate() {
            let new = done[&renewed(i)].clone();
            let old = tables.get_mut(&table(i)).unwrap();
            match kind {
                Kind::Rows { axis } => {
                    let kept = old.clone();
                    *old = Tensor::from_fn(&kept.shape, |at| {
                        let mut row = at.to_vec();
                        row[*axis] = 0;
                        if at[*axis] == place { new.get(&row) } else { kept.get(at) }
                    });
                }
                Kind::State | Kind::Last { .. } => *old = new,
            }
        }
        scores.push(done["y"].clone());
    }
    scores
}

fn tokens() -> Vec<Vec<f32>> {
    vec![vec![0.0, 3.0, 1.0, 4.0, 2.0, 2.0, 1.0], vec![4.0, 4.0, 0.0, 1.0, 3.0, 1.0, 2.0]]
}

fn on_machine(session: &mut Session, executable: &Executable, given: &Tables) -> Tables {
    for slot in &executable.inputs {
        session.write_input(executable, &slot.name, &given[&slot.name].data).unwrap();
    }
    session.run(executable).unwrap();
    let read = |slot: &Slot| {
        let data = session.read_output(executable, &slot.name).unwrap();
        (slot.name.clone(), Tensor { shape: slot.shape.clone(), data })
    };
    executable.outputs.iter().map(read).collect()
}

/// By the reference and by the machine, of which the last is bit for bit the same with any number of threads.
#[test]
fn steps_give_what_the_whole_gives() {
    for (case, variable) in CASES.iter().flat_map(|case| [(case, false), (case, true)]) {
        let solved = solved(&program(case, variable, WINDOW));
        let g = solved.graph(Mode::Predict, ROWS);
        let length = length_input("t");
        let found = advance(&g, "tokens", variable.then_some(length.as_str()), "y");
        let half = |half| driver::compile_half(&solved, half, ROWS, &target()).map_err(|_| "too large").unwrap();
        let compiled = half(Half::Fill(WINDOW)).zip(half(Half::Step));
        assert_eq!(compiled.is_some(), case.works(variable), "{}: {:?}", case.name, found.as_ref().err());
        let steps = match (found, case.works(variable)) {
            (Ok(steps), true) => steps,
            (Err(_), false) => continue,
            (Ok(_), false) => panic!("{} is taken by steps", case.name),
            (Err(why), true) => panic!("{} (variable: {variable}): {why}\n{g}", case.name),
        };
        steps.fill.verify().unwrap();
        steps.step.verify().unwrap();
        assert_eq!(steps.kept.endless, case.endless, "{}", case.name);
        let state = weights(&g);
        let ((Made { executable: fill, .. }, before), (Made { executable: step, .. }, kept)) = compiled.unwrap();
        assert_eq!((&before, &kept), (&steps.kept, &steps.kept));
        let mut sessions = [1, 3].map(|threads| Session::new(threads, &fill).unwrap());
        for session in &mut sessions {
            session.admit(&step).unwrap();
            state.iter().for_each(|(path, x)| session.set_state(path, &x.data).unwrap());
        }
        for first in [1, 3] {
            // The reference begins with a graph that is hardly longer than what it reads.
            let short = steps.fill_of("tokens", first + 1);
            short.verify().unwrap();
            assert_eq!(short.node(short.find_input("tokens").unwrap()).ty.shape, [ROWS, first + 1], "{}", case.name);
            let by_reference = by_steps((&steps, &short), &tokens(), first, &mut |filling, given| {
                interp::run(if filling { &short } else { &steps.step }, given, &state).outputs
            });
            let [by_one, by_three] = sessions.each_mut().map(|session| {
                let mut run =
                    |filling: bool, given: &Tables| on_machine(session, if filling { &fill } else { &step }, given);
                by_steps((&steps, &steps.fill), &tokens(), first, &mut run)
            });
            assert_eq!(by_one, by_three, "{}", case.name);
            for (at, scores) in by_reference.iter().enumerate() {
                let known = first + at;
                let mut padded = tokens();
                padded.iter_mut().for_each(|t| t[known..].fill(0.0));
                let whole = interp::run(&g, &inputs(&g, &padded, known), &state).outputs["y"].clone();
                let wanted = part(&whole, 1, known as i64 - 1, 1);
                let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
                for scores in [scores, &by_one[at]] {
                    let same = scores.data.iter().zip(&wanted.data).all(close);
                    assert!(same, "{} (variable: {variable}), place {known}: {scores:?} {wanted:?}", case.name);
                }
            }
        }
    }
}
