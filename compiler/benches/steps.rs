//! Times every step of a program's training: `cargo bench -p dlc-compiler --bench steps -- FILE.dl [THREADS] [BATCH]`.
//!
//! Prints compile times, then for each step its share, GFLOP/s and label. Reports; never asserts.

use dlc_compiler::driver::{self, Mode, Numerics, Stage, Target, Watch};
use dlc_runtime::micro::Isa;
use dlc_runtime::profile::Profile;
use dlc_runtime::session::Session;
use std::time::Instant;

struct NoImports;

impl driver::Sources for NoImports {
    fn read(&self, path: &str) -> Result<String, String> {
        Err(format!("no imports here: {path}"))
    }
}

struct Times;

impl Watch for Times {
    fn wants(&self, stage: Stage) -> bool {
        stage == Stage::Nests && std::env::args().any(|a| a == "nests")
            || stage == Stage::Plan && std::env::args().any(|a| a == "plan")
            || stage == Stage::Asm && std::env::args().any(|a| a == "asm")
    }
    fn text(&mut self, _: Stage, _: &str, text: String) {
        println!("{text}");
    }
    fn time(&mut self, part: &'static str, seconds: f64) {
        println!("{part:10} {:7.2} ms", seconds * 1e3);
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let text = std::fs::read_to_string(&args[0]).expect("a program");
    let number = |i: usize, other: usize| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(other);
    let start = Instant::now();
    let checked = driver::check(&args[0], &text, &NoImports, &[]).expect("no mistakes");
    println!("check      {:7.2} ms", start.elapsed().as_secs_f64() * 1e3);
    let solved = checked.solve(&[]).expect("all dims known");
    let batch = number(2, solved.train().map_or(64, |t| t.batch));
    let isa = Isa::detect();
    let fuse = !args.iter().any(|a| a == "nofuse");
    let numerics = args.iter().any(|a| a == "strict").then_some(Numerics::Strict);
    let target = Target { isa, fuse, numerics, memory: None, verify: false, clock: false };
    let compiled = driver::compile(&solved, Mode::Train, batch, &target, &mut Times).expect("fits");
    let exe = compiled.executable;
    let mut session = Session::new(number(1, 1), &exe).expect("memory");
    for (path, init, _) in &compiled.first {
        let count = exe.state.iter().find(|s| s.name == *path).expect("a slot").count();
        session.set_state(path, &init.values(count)).expect("a state");
    }
    for slot in &exe.inputs {
        let n = slot.index_extent.unwrap_or(0);
        let values: Vec<f32> = (0..slot.count())
            .map(|i| {
                if slot.shape.is_empty() {
                    10.0
                } else if n > 0 {
                    (i * 7 % n) as f32
                } else {
                    ((i * 7919 % 1000) as f32 - 500.0) / 500.0
                }
            })
            .collect();
        session.write_input(&exe, &slot.name, &values).expect("an input");
    }
    let mut times = vec![];
    for _ in 0..30 {
        let start = Instant::now();
        session.run(&exe).expect("a run");
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "step: least {:.3} ms, median {:.3} ms; state {} arena {} scratch {}",
        times[0], times[15], exe.state_bytes, exe.arena_bytes, exe.scratch_bytes
    );
    println!("loss {:?}", session.read_output(&exe, "loss"));
    let mut best = vec![f64::MAX; exe.steps.len()];
    for _ in 0..20 {
        let mut profile = Profile::new(&exe);
        session.run_profiled(&exe, &mut profile).expect("a run");
        for (b, ns) in best.iter_mut().zip(&profile.nanoseconds) {
            *b = b.min(*ns as f64);
        }
    }
    let total: f64 = best.iter().sum();
    for (ns, s) in best.iter().zip(&exe.steps) {
        let rate = s.flop() as f64 / ns;
        println!(
            "{:6.1} % {:9.1} us {rate:7.1} GFLOP/s {:3} tasks [{}] {}",
            100.0 * ns / total,
            ns / 1e3,
            s.tasks,
            s.algorithm(),
            s.label
        );
    }
}
