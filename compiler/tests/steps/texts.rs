//! What networks tell, from what they keep and computed anew.

use super::cases::{CASES, Case, WINDOW, WORDS, program, target, weights};
use super::common::solved;
use dlc_compiler::driver;
use dlc_compiler::hir::{Mode, Solved};
use dlc_runtime::abi::Executable;
use dlc_runtime::data::dataset::Dataset;
use dlc_runtime::data::fields::Field;
use dlc_runtime::data::preprocessing::Prepared;
use dlc_runtime::data::spec::{DimSpec, Selector};
use dlc_runtime::data::steps::Axis;
use dlc_runtime::data::text::ragged::Lists;
use dlc_runtime::extents::Extents;
use dlc_runtime::generate::{Choice, generate, tell_all};
use dlc_runtime::kept::{Half, HalfProgram};
use dlc_runtime::session::Session;
use dlc_runtime::train::{self, Compiled};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Compiles what is asked for, and counts how often there were steps.
struct Machine {
    solved: Solved,
    /// There are no steps: whole windows are computed for every symbol.
    anew: bool,
    ready: BTreeMap<Extents, Arc<Executable>>,
    parts: BTreeMap<(Half, Extents), Option<HalfProgram>>,
    stepped: usize,
}

impl Machine {
    fn new(program: &str) -> Machine {
        Machine { solved: solved(program), anew: false, ready: BTreeMap::new(), parts: BTreeMap::new(), stepped: 0 }
    }

    /// With the weights that a network without a pattern has.
    fn session(&mut self, threads: usize) -> Session {
        let state = weights(&self.solved.graph(Mode::Predict, 1));
        let first = self.executable(train::Mode::Predict, &Extents::from(1)).unwrap();
        let mut session = Session::new(threads, &first).unwrap();
        state.iter().for_each(|(path, x)| session.set_state(path, &x.data).unwrap());
        session
    }
}

impl Compiled for Machine {
    fn executable(&mut self, _: train::Mode, extents: &Extents) -> Result<Arc<Executable>, String> {
        let (solved, ready) = (&self.solved, &mut self.ready);
        let made = || {
            let compiled = driver::compile(solved, Mode::Predict, extents.clone(), &target(), &mut ());
            Arc::new(compiled.map_err(|_| "it fails").unwrap().executable)
        };
        Ok(ready.entry(extents.clone()).or_insert_with(made).clone())
    }

    fn part(&mut self, half: Half, extents: &Extents) -> Result<Option<HalfProgram>, String> {
        if self.anew {
            return Ok(None);
        }
        let (solved, ready) = (&self.solved, &mut self.parts);
        let made = || {
            let compiled =
                driver::compile_half(solved, half, extents.clone(), &target()).map_err(|_| "it fails").unwrap();
            compiled.map(|(made, kept)| HalfProgram { executable: Arc::new(made.executable), kept })
        };
        let part = ready.entry((half, extents.clone())).or_insert_with(made).clone();
        self.stepped += usize::from(part.is_some());
        Ok(part)
    }
}

/// Three examples, with words where the network reads some.
fn examples(case: &Case, variable: bool) -> Dataset {
    let name = |at: usize| at.to_string();
    let dim = DimSpec { name: "word".into(), size: Some(6), names: (0..6).map(name).collect() };
    let axes = vec![Axis { name: "s".into(), size: WORDS }];
    let prepared = Prepared::plain("words", axes, Some(dim), &Selector::Named("line".into()));
    let mut lists = Lists::default();
    let words: [&[u32]; 3] =
        if variable { [&[1, 2], &[3, 0, 5, 4], &[4, 4]] } else { [&[1, 2, 0, 0], &[3, 0, 5, 4], &[4; 4]] };
    words.iter().for_each(|words| lists.push(words));
    let fields = if case.body.contains("memory") { vec![Field::ragged(prepared, lists, None)] } else { vec![] };
    Dataset::of_fields(String::new(), 3, fields)
}

/// What is told of the first example alone, and of three.
fn told(
    machine: (&mut Machine, &mut Session),
    data: &Dataset,
    choice: &Choice,
    start: &[u32],
) -> (Vec<u32>, Vec<Vec<u32>>) {
    let (machine, session) = machine;
    let mut one = vec![];
    let mut each = |symbol| {
        one.push(symbol);
        true
    };
    generate((machine, session), data, choice, start, &mut each).unwrap();
    let all = tell_all((machine, session), (data, &[0, 2, 1]), choice, (start, 128)).unwrap();
    (one, all)
}

fn choice(variable: bool, window: usize, limit: usize) -> Choice {
    let along = variable.then(|| "t".to_string());
    Choice { input: "tokens".into(), output: "y".into(), window, along, width: 1, limit, ..Choice::default() }
}

const STARTS: [&[u32]; 3] = [&[1], &[3, 0, 2], &[0, 1, 2, 3, 4, 3, 2, 1, 0]];

/// Of prompts short and long, past the window too, one way and the other; beams take over what others kept.
#[test]
fn texts_are_the_same() {
    for (case, variable) in CASES.iter().filter(|case| !case.endless).flat_map(|case| [(case, false), (case, true)]) {
        let mut machine = Machine::new(&program(case, variable, WINDOW));
        let data = examples(case, variable);
        for (start, threads) in STARTS.into_iter().zip([1, 3, 3]) {
            let mut session = machine.session(threads);
            for (width, temperature) in [(1, 0.0), (1, 1.0), (3, 0.0)] {
                let choice = Choice { temperature, width, ..choice(variable, WINDOW, 2 * WINDOW) };
                let [by_steps, whole] = [false, true].map(|anew| {
                    machine.anew = anew;
                    told((&mut machine, &mut session), &data, &choice, start)
                });
                assert_eq!(by_steps, whole, "{} (variable: {variable}) from {start:?}", case.name);
                assert!(by_steps.1.iter().all(|told| told.len() == 2 * WINDOW));
            }
        }
        assert_eq!(machine.stepped > 0, case.works(variable));
    }
}

/// What keeps states alone reads on where its window ends, as if the window were longer.
#[test]
fn states_read_on() {
    let fed = CASES.iter().filter(|case| case.endless && !case.body.contains("style"));
    let both = fed.flat_map(|case| [(case, false), (case, true)]);
    for (case, variable) in both.filter(|(case, variable)| case.works(*variable)) {
        let mut machines = [WINDOW, 3 * WINDOW].map(|window| Machine::new(&program(case, variable, window)));
        machines[1].anew = true;
        let data = examples(case, variable);
        for (start, threads) in STARTS.into_iter().zip([1, 3, 3]) {
            for (width, temperature) in [(1, 0.0), (1, 1.0), (3, 0.0)] {
                let [of_window, of_all] = [WINDOW, 3 * WINDOW].map(|window| Choice {
                    temperature,
                    width,
                    ..choice(variable, window, 3 * WINDOW - start.len())
                });
                let [by_steps, whole] = [(0, of_window), (1, of_all)].map(|(at, choice)| {
                    let machine = &mut machines[at];
                    let mut session = machine.session(threads);
                    told((machine, &mut session), &data, &choice, start)
                });
                assert_eq!(by_steps, whole, "{} (variable: {variable}) from {start:?}", case.name);
            }
        }
    }
}
