//! Pool and session on steps written by hand: same bits, every task once, no deadlock.

use dlc_runtime::abi::{Executable, Identity, Slot, Step, StepFn};
use dlc_runtime::profile::Profile;
use dlc_runtime::session::Session;

const CELLS: usize = 96;
const X: usize = 0;
const Y: usize = 1024;
const SUM: usize = 2048;
const ARENA: usize = 4096;

fn floats<'a>(memory: *mut u8, offset: usize, count: usize) -> &'a mut [f32] {
    // SAFETY: test steps touch only the slots they were given, each task its own cells.
    unsafe { std::slice::from_raw_parts_mut(memory.add(offset).cast(), count) }
}

/// Task i: y[i] += 1 / (x[i] + 3), and counts itself in the state.
unsafe extern "C" fn spread(state: *mut u8, arena: *mut u8, _: *mut u8, begin: u64, end: u64, _: *const u64) {
    for i in begin as usize..end as usize {
        let x = floats(arena, X + 4 * i, 1)[0];
        floats(arena, Y + 4 * i, 1)[0] += 1.0 / (x + 3.0);
        floats(state, 4 * i, 1)[0] += 1.0;
    }
}

/// One task: sum = sum * 0.5 + all of y, in order.
unsafe extern "C" fn gather(_: *mut u8, arena: *mut u8, scratch: *mut u8, _: u64, _: u64, _: *const u64) {
    let local = floats(scratch, 0, 1);
    local[0] = floats(arena, SUM, 1)[0] * 0.5;
    for y in floats(arena, Y, CELLS) {
        local[0] += *y;
    }
    floats(arena, SUM, 1)[0] = local[0];
}

/// Cells of a round, and rounds after the first.
const ACROSS: usize = 8;
const ROUNDS: usize = CELLS / ACROSS - 1;

/// Of each row of cells, task i makes cell i of the next one from all of it.
unsafe extern "C" fn next_row(_: *mut u8, arena: *mut u8, _: *mut u8, begin: u64, end: u64, _: *const u64) {
    for i in begin as usize..end as usize {
        let row = floats(arena, Y + 4 * (i / ACROSS * ACROSS), ACROSS);
        let sum = row.iter().enumerate().map(|(k, y)| y / (k + i % ACROSS + 1) as f32).sum();
        floats(arena, Y + 4 * (i + ACROSS), 1)[0] = sum;
    }
}

/// The smallest normal number halved: zero when denormals are.
unsafe extern "C" fn halve(_: *mut u8, arena: *mut u8, _: *mut u8, begin: u64, end: u64, _: *const u64) {
    for i in begin as usize..end as usize {
        let x = std::hint::black_box(f32::MIN_POSITIVE);
        floats(arena, Y + 4 * i, 1)[0] = std::hint::black_box(x * 0.5);
    }
}

fn slot(name: &str, offset: usize, shape: &[usize]) -> Slot {
    Slot { name: name.into(), offset, shape: shape.into(), index_extent: None }
}

fn step(run: StepFn, tasks: u64) -> Step {
    Step { run, places: vec![], tasks, rounds: 1, label: String::new(), parts: vec![], bytes: 0 }
}

fn executable(steps: Vec<Step>) -> Executable {
    Executable {
        code: Box::new(()),
        identity: Identity::fresh(),
        prepared: 0,
        steps,
        state_bytes: 4 * CELLS,
        arena_bytes: ARENA,
        scratch_bytes: 64,
        inputs: vec![slot("x", X, &[CELLS])],
        outputs: vec![slot("y", Y, &[CELLS]), slot("sum", SUM, &[])],
        state: vec![slot("count", 0, &[CELLS])],
        batch: 1,
        clock: None,
    }
}

fn alternating(tasks: u64) -> Executable {
    let rest = CELLS as u64 - tasks;
    assert!(rest < CELLS as u64);
    executable(vec![
        step(spread, tasks),
        step(gather, 1),
        step(gather, 1),
        step(spread, tasks),
        step(spread, 0),
        step(gather, 1),
    ])
}

fn input() -> Vec<f32> {
    (0..CELLS).map(|i| (i * i % 17) as f32).collect()
}

#[test]
fn rounds_wait_for_each_other() {
    let run = |threads| {
        let rounds = Step { rounds: ROUNDS as u64, ..step(next_row, ACROSS as u64) };
        let network = executable(vec![step(spread, ACROSS as u64), rounds]);
        let mut session = Session::new(threads, &network).expect("threads and memory");
        session.write_input(&network, "x", &input()).expect("an input");
        (0..200).for_each(|_| session.run(&network).expect("it fits"));
        let y = session.read_output(&network, "y").expect("an output");
        assert!(y.iter().all(|y| *y > 0.0), "{y:?}");
        y.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let alone = run(1);
    for threads in [2, 3, 8, 20] {
        assert_eq!(alone, run(threads), "{threads} threads");
    }
}

#[test]
fn same_bits_on_any_threads() {
    let run = |threads, tasks, times| {
        let network = alternating(tasks);
        let mut session = Session::new(threads, &network).expect("threads and memory");
        assert_eq!(session.threads(), threads);
        session.write_input(&network, "x", &input()).expect("an input");
        for _ in 0..times {
            session.run(&network).expect("it fits");
        }
        let count = session.get_state("count").expect("state");
        assert!(count[..tasks as usize].iter().all(|n| *n == 2.0 * times as f32));
        assert!(count[tasks as usize..].iter().all(|n| *n == 0.0));
        let mut all = session.read_output(&network, "y").expect("an output");
        all.extend(session.read_output(&network, "sum").expect("an output"));
        all.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    for tasks in [1, 2, 3, 7, 96] {
        let alone = run(1, tasks, 200);
        for threads in [2, 3, 8, 20] {
            assert_eq!(alone, run(threads, tasks, 200), "{threads} threads, {tasks} tasks");
        }
    }
}

#[test]
fn many_tiny_runs() {
    for (threads, runs) in [(1, 100_000), (2, 100_000), (3, 100_000), (8, 100_000)] {
        let network = executable(vec![step(spread, 4)]);
        let mut session = Session::new(threads, &network).expect("threads and memory");
        for _ in 0..runs {
            session.run(&network).expect("it fits");
        }
        let count = session.get_state("count").expect("state");
        assert_eq!(count[..5], [runs as f32, runs as f32, runs as f32, runs as f32, 0.0]);
    }
}

/// What depends on the state alone is done again only when the state or the arena may have changed.
#[test]
fn prepared_steps_run_once() {
    let steps = || vec![step(spread, 1), step(gather, 1)];
    let network = Executable { prepared: 1, ..executable(steps()) };
    let other = executable(vec![step(gather, 1)]);
    let mut session = Session::new(1, &network).expect("threads and memory");
    let run = |session: &mut Session| {
        session.run(&network).expect("it fits");
        session.get_state("count").expect("state")[0]
    };
    assert_eq!([run(&mut session), run(&mut session)], [1.0, 1.0]);
    session.write_input(&network, "x", &input()).expect("an input");
    assert_eq!(run(&mut session), 1.0, "its own input changes nothing that is prepared");
    session.write_input(&other, "x", &input()).expect("an input");
    assert_eq!(run(&mut session), 2.0, "the input of another may lie in what is prepared");
    session.run(&other).expect("it fits");
    assert_eq!(run(&mut session), 3.0);
    session.set_state("count", &[10.0; CELLS]).expect("a state");
    assert_eq!([run(&mut session), run(&mut session)], [11.0, 11.0]);
    let larger = Executable { arena_bytes: 2 * ARENA, ..executable(steps()) };
    session.admit(&larger).expect("memory");
    assert_eq!(run(&mut session), 12.0, "the arena is new");
}

#[test]
fn pools_come_and_go() {
    let network = alternating(8);
    for round in 0..200 {
        let mut session = Session::new(round % 5, &network).expect("threads and memory");
        if round % 3 > 0 {
            session.run(&network).expect("it fits");
        }
    }
}

#[test]
fn denormals_are_zero_in_a_run_only() {
    let half = || std::hint::black_box(std::hint::black_box(f32::MIN_POSITIVE) * 0.5);
    let network = executable(vec![step(halve, CELLS as u64)]);
    for threads in [1, 3] {
        let mut session = Session::new(threads, &network).expect("threads and memory");
        assert_ne!(half(), 0.0);
        session.run(&network).expect("it fits");
        assert_ne!(half(), 0.0, "restored");
        if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            let y = session.read_output(&network, "y").expect("an output");
            assert!(y.iter().all(|value| *value == 0.0));
        }
    }
}

#[test]
fn profiles_name_the_slow_step() {
    let network = alternating(96);
    let mut session = Session::new(2, &network).expect("threads and memory");
    let mut profile = Profile::new(&network);
    for _ in 0..3 {
        session.run_profiled(&network, &mut profile).expect("it fits");
    }
    assert_eq!((profile.runs, profile.nanoseconds.len()), (3, 6));
    assert!(profile.total() > 0);
    let shares: f64 = (0..6).map(|step| profile.share(step)).sum();
    assert!((shares - 1.0).abs() < 1e-9);
}

#[test]
fn inputs_are_checked() {
    let mut network = alternating(4);
    network.inputs.push(Slot { index_extent: Some(10), ..slot("label", 3072, &[3]) });
    let mut session = Session::new(1, &network).expect("memory");
    assert!(session.write_input(&network, "label", &[0.0, 9.0, 3.0]).is_ok());
    for bad in [10.0, -1.0, 0.5, f32::NAN, f32::INFINITY] {
        let message = session.write_input(&network, "label", &[0.0, bad, 3.0]).unwrap_err();
        assert!(message.contains("value 1 of `label`") && message.contains("0 to 9"), "{message}");
    }
    let message = session.write_input(&network, "label", &[0.0]).unwrap_err();
    assert!(message.contains("3 values"), "{message}");
    let message = session.write_input(&network, "lable", &[0.0]).unwrap_err();
    assert!(message.contains("there are: x, label"), "{message}");
    assert!(session.set_state("count", &[1.0]).is_err());
    assert!(session.set_state("weight", &[1.0]).is_err());
}

#[test]
fn executables_share_one_state() {
    let small = alternating(4);
    let mut large = alternating(8);
    large.state_bytes = 4096;
    large.state.push(slot("slot", 2048, &[2, 3]));
    large.arena_bytes = 1 << 16;
    large.scratch_bytes = 4096;
    large.outputs.push(slot("far", 1 << 15, &[5]));
    let mut session = Session::new(2, &small).expect("memory");
    session.run(&small).expect("it fits");
    assert!(session.output(&large, "far").is_err());
    session.run(&large).expect("it grows");
    assert_eq!(session.output(&large, "far"), Ok(&[0.0; 5][..]));
    assert_eq!(session.state_names(), ["count", "slot"]);
    let count = session.get_state("count").expect("state");
    assert_eq!(count[..9], [4.0, 4.0, 4.0, 4.0, 2.0, 2.0, 2.0, 2.0, 0.0]);
    session.set_state("slot", &[1.0; 6]).expect("six values");
    assert_eq!(session.get_state("slot"), Ok(vec![1.0; 6]));
    let mut other = alternating(4);
    other.state = vec![slot("count", 64, &[8])];
    assert!(session.admit(&other).is_err());
    other.state = vec![slot("other", 64, &[8])];
    assert!(session.admit(&other).is_err());
}

#[test]
fn too_much_memory_is_an_error() {
    let mut network = alternating(4);
    network.arena_bytes = usize::MAX / 2;
    let message = Session::new(2, &network).err().expect("more than there is");
    assert!(message.contains("not enough memory"), "{message}");
}
