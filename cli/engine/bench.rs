//! Measuring: steps on a batch that is drawn once and stays where it is.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dlc_compiler::driver::{Solved, Target};
use dlc_runtime::abi::{Executable, Slot, Step};
use dlc_runtime::checkpoint::Model;
use dlc_runtime::extents::dim_of_input;
use dlc_runtime::kept::Half;
use dlc_runtime::micro::peak;
use dlc_runtime::profile::Profile;
use dlc_runtime::session::Session;
use dlc_runtime::train::{self, Mode};

use super::network::Network;
use super::{KernelTime, Load, Measured, Settings, program};
use crate::trouble::{Message, Trouble};

/// Measured at least so long and so often, and no longer than the cap, unless a number of steps is given.
const LEAST: Duration = Duration::from_millis(2500);
const LEAST_STEPS: usize = 20;
const CAP: Duration = Duration::from_secs(30);
const WARM_UP: usize = 3;

/// Runs of which the time of every kernel is taken.
const PROFILED: usize = 10;

/// How long the matrix peak, and the memory's bandwidth, are looked for.
const PEAK: Duration = Duration::from_millis(200);

/// Times steps on a resident synthetic batch; if `wide`, measures the memory's bandwidth too.
pub fn bench(
    file: &Path,
    settings: &Settings,
    load: Load,
    batch: Option<usize>,
    steps: Option<usize>,
    wide: bool,
) -> Result<Measured, Trouble> {
    let began = Instant::now();
    let target = settings.target()?;
    let (solved, stored) = match program::is_model(file) {
        true => program::model(file, &settings.sets).map(|(model, solved)| (solved, Some(model)))?,
        false => (program::solved(&program::checked(file, &settings.sets)?, file, settings)?, None),
    };
    if load == Load::Train && solved.train().is_none() {
        let message = Message::new(format!("{} has no `train`", file.display()));
        return Err(Trouble::Data(message.help("without `--train`, predictions are measured")));
    }
    let usual = solved.train().map(|spec| spec.batch).filter(|_| load != Load::Generate);
    let batch = batch.or(usual).unwrap_or(1);
    let mut network = Network::new(solved.clone(), target);
    let executable = executable(&mut network, file, (load, batch))?;
    let session = network.session(settings.threads(), &executable, stored.as_ref().map(|model| (file, model)))?;
    let mut rig = Rig { session, executable: &executable, steps: 0 };
    rig.fill()?;
    let first = rig.step()?;
    let first_step_s = began.elapsed().as_secs_f64();
    let loss_first = rig.loss();
    let times = if steps == Some(1) { vec![first] } else { rig.measure(steps)? };
    let loss_last = rig.loss();
    let threads = rig.session.threads();
    // Before anything else is measured, which takes memory of its own.
    let peak_rss_mb = peak_rss_mb();
    let kernels = match (steps, wide) {
        (Some(1), _) => vec![],
        (_, false) => rig.profile()?,
        (_, true) => {
            drop(rig);
            with_clock(solved, settings, (file, load, batch), stored.as_ref())?
        }
    };
    Ok(Measured {
        load,
        model: network.solved().hir().model.clone(),
        batch,
        threads,
        isa: target.isa.name().to_string(),
        weights: network.solved().hir().parameters().unwrap_or(0),
        steps: times,
        first_step_s,
        flop: executable.steps.iter().map(Step::flop).sum(),
        loss_first,
        loss_last,
        kernels,
        peak_rss_mb,
        bandwidth_gbyte_s: wide.then(|| peak::bandwidth(threads, PEAK)),
        peak_gflop_s: (steps != Some(1)).then(|| peak::peak(target.isa, threads, PEAK)),
    })
}

/// What is measured.
fn executable(network: &mut Network, file: &Path, (load, batch): (Load, usize)) -> Result<Arc<Executable>, Trouble> {
    match load {
        Load::Train => network.get(Mode::Train, batch),
        Load::Predict => network.get(Mode::Predict, batch),
        Load::Generate => step(network, file, batch),
    }
}

/// What tells one more symbol.
fn step(network: &mut Network, file: &Path, batch: usize) -> Result<Arc<Executable>, Trouble> {
    if network.solved().generate().is_none() {
        let message = Message::new(format!("{} has no `generate`", file.display()));
        return Err(Trouble::Data(message.help("without `--generate`, predictions are measured")));
    }
    let step = train::Compiled::part(network, Half::Step, &batch.into()).map_err(|text| network.trouble(text))?;
    step.map(|step| step.executable).ok_or_else(|| {
        let message = Message::new("the network reads its whole text anew for each symbol: there are no such steps");
        Trouble::Data(message.help("without `--generate`, predictions are measured"))
    })
}

/// Where the time goes, part by part: the same network once more, with code that keeps time.
fn with_clock(
    solved: Solved,
    settings: &Settings,
    (file, load, batch): (&Path, Load, usize),
    stored: Option<&Model>,
) -> Result<Vec<KernelTime>, Trouble> {
    let mut network = Network::new(solved, Target { clock: true, ..settings.target()? });
    let executable = executable(&mut network, file, (load, batch))?;
    let session = network.session(settings.threads(), &executable, stored.map(|model| (file, model)))?;
    let mut rig = Rig { session, executable: &executable, steps: 0 };
    rig.fill()?;
    rig.warm_up()?;
    rig.profile()
}

/// The most memory that this process held, in MiB, as the operating system counts; 0 where it does not say.
fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// A session with its batch.
struct Rig<'a> {
    session: Session,
    executable: &'a Executable,
    steps: usize,
}

impl Rig<'_> {
    /// Draws every input once.
    fn fill(&mut self) -> Result<(), Trouble> {
        for (number, slot) in self.executable.inputs.iter().enumerate() {
            let values = drawn(slot, number as u64 + 1);
            self.session.write_input(self.executable, &slot.name, &values).map_err(Trouble::usage)?;
        }
        Ok(())
    }

    /// Seconds of one step, with its place in the run, as training would write it.
    fn step(&mut self) -> Result<f64, Trouble> {
        if self.executable.inputs.iter().any(|slot| slot.name == "step") {
            let step = self.steps.min(STEPS as usize - 1) as f32;
            self.session.write_input(self.executable, "step", &[step]).map_err(Trouble::usage)?;
        }
        let start = Instant::now();
        self.session.run(self.executable).map_err(Trouble::usage)?;
        self.steps += 1;
        Ok(start.elapsed().as_secs_f64())
    }

    /// As it is in a long run.
    fn warm_up(&mut self) -> Result<(), Trouble> {
        self.step()?;
        self.session.settle();
        for _ in 1..WARM_UP {
            self.step()?;
        }
        Ok(())
    }

    fn measure(&mut self, steps: Option<usize>) -> Result<Vec<f64>, Trouble> {
        self.warm_up()?;
        let began = Instant::now();
        let mut times = vec![];
        loop {
            times.push(self.step()?);
            let enough = match steps {
                Some(steps) => times.len() >= steps,
                None => (began.elapsed() > LEAST && times.len() >= LEAST_STEPS) || began.elapsed() > CAP,
            };
            if enough {
                return Ok(times);
            }
        }
    }

    /// Where the time goes, kernel by kernel.
    fn profile(&mut self) -> Result<Vec<KernelTime>, Trouble> {
        let mut profile = Profile::new(self.executable);
        for _ in 0..PROFILED {
            self.session.run_profiled(self.executable, &mut profile).map_err(Trouble::usage)?;
        }
        let runs = profile.runs.max(1) as f64;
        let threads = self.session.threads() as f64;
        let mut times = profile.parts.iter().map(|time| *time as f64 / 1e6 / runs / threads);
        let kernel = |(step, nanoseconds): (&dlc_runtime::abi::Step, &u64)| KernelTime {
            label: step.label.clone(),
            algorithm: step.algorithm(),
            tasks: step.tasks,
            ms: *nanoseconds as f64 / 1e6 / runs,
            flop: step.flop(),
            bytes: step.bytes,
            parts: step.parts.iter().cloned().zip(&mut times).collect(),
        };
        Ok(self.executable.steps.iter().zip(&profile.nanoseconds).map(kernel).collect())
    }

    fn loss(&self) -> Option<f64> {
        let values = self.session.read_output(self.executable, "loss").ok()?;
        values.first().map(|loss| f64::from(*loss))
    }
}

/// Length of the run that schedules are told.
const STEPS: f32 = 100_000.0;

/// Values of an input: whole numbers for indices, numbers of mean 0 and spread 1 for tables, the run's length for clocks.
fn drawn(slot: &Slot, seed: u64) -> Vec<f32> {
    match slot.name.as_str() {
        "step" => return vec![0.0],
        "steps" => return vec![STEPS],
        "steps_per_epoch" => return vec![STEPS / 100.0],
        // Every example is as long as there is room.
        name if dim_of_input(name).is_some() => {
            return vec![slot.index_extent.map_or(1, |extent| extent.saturating_sub(1)) as f32; slot.count()];
        }
        _ => {}
    }
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut unit = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let spread = 12.0_f32.sqrt();
    let value = |unit: f32| match slot.index_extent {
        Some(extent) => (unit * extent as f32).floor().min(extent.saturating_sub(1) as f32),
        None => (unit - 0.5) * spread,
    };
    (0..slot.count()).map(|_| value(unit())).collect()
}
