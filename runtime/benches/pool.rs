//! What a shared step costs, and what two threads gain, by length of its tasks: `cargo bench -p dlc-runtime --bench pool`.
//!
//! Reports, never asserts.

use dlc_runtime::abi::{Executable, Identity, Step};
use dlc_runtime::session::Session;
use std::time::Instant;

const STEPS: usize = 20;
const TASKS: u64 = 16;

/// Each task: as many dependent multiply-adds as the first input says.
unsafe extern "C" fn work(_: *mut u8, arena: *mut u8, _: *mut u8, begin: u64, end: u64, _: *const u64) {
    // SAFETY: the arena has room for the length and one number per task, each a cache line from the next.
    let length = unsafe { *arena.cast::<f32>() } as usize;
    for task in begin..end {
        let mut x = 1.0f32;
        for _ in 0..length {
            x = std::hint::black_box(x * 0.5 + 1.0);
        }
        // SAFETY: as above.
        unsafe { *arena.cast::<f32>().add(16 * (task as usize + 1)) = x };
    }
}

fn network() -> Executable {
    let step =
        |_| Step { run: work, places: vec![], tasks: TASKS, rounds: 1, label: String::new(), parts: vec![], bytes: 0 };
    Executable {
        code: Box::new(()),
        identity: Identity::fresh(),
        prepared: 0,
        steps: (0..STEPS).map(step).collect(),
        state_bytes: 0,
        arena_bytes: 64 * (TASKS as usize + 1),
        scratch_bytes: 0,
        inputs: vec![dlc_runtime::abi::Slot { name: "length".into(), offset: 0, shape: vec![], index_extent: None }],
        outputs: vec![],
        state: vec![],
        batch: 1,
        clock: None,
    }
}

fn main() -> Result<(), String> {
    let network = network();
    println!("{TASKS} tasks per step, microseconds per step, median of 40 ms of runs of {STEPS} steps");
    for length in [0, 10, 100, 1000, 10_000] {
        print!("length {length:>6}:");
        for threads in [1, 2, 3, 4] {
            let mut session = Session::new(threads, &network)?;
            session.write_input(&network, "length", &[length as f32])?;
            let mut times = Vec::new();
            let all = Instant::now();
            while all.elapsed().as_millis() < 40 {
                let begin = Instant::now();
                session.run(&network)?;
                times.push(begin.elapsed().as_secs_f64() * 1e6 / STEPS as f64);
            }
            times.sort_by(f64::total_cmp);
            print!("  {threads} threads {:9.2}", times[times.len() / 2]);
        }
        println!();
    }
    Ok(())
}
