//! `dlc bench FILE`: time per step, throughput, memory, and where the time goes.

use serde_json::{Value, json};

use crate::against;
use crate::args::BenchArgs;
use crate::engine::{self, KernelTime, Load, Measured, Part, Settings};
use crate::number;
use crate::output;
use crate::report::kernels::{self, least, ordered, rate, share};
use crate::style::Style;
use crate::trouble::Trouble;

pub fn run(args: &BenchArgs, style: &Style) -> Result<(), Trouble> {
    let settings = Settings::new(&args.program, &args.machine);
    let batch = args.batch.map(|b| b as usize);
    let steps = args.steps.map(|s| s as usize);
    let old = args.against.as_deref().map(against::read).transpose()?;
    let what = match (args.train, args.generate) {
        (true, _) => Load::Train,
        (_, true) => Load::Generate,
        _ => Load::Predict,
    };
    let measured = engine::bench(&args.file, &settings, what, batch, steps, args.kernels)?;
    match args.json {
        true => output::line(&object(&measured).to_string()),
        false => output::write(&table(&measured, style)),
    }
    if let Some(old) = old {
        output::write(&against::compare(&old, &object(&measured), style)?);
    }
    Ok(())
}

/// Median, minimum and maximum in milliseconds.
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

fn spread(steps: &[f64]) -> Spread {
    let mut sorted = steps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN) * 1e3;
    let half = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) { (at(half.wrapping_sub(1)) + at(half)) / 2.0 } else { at(half) };
    Spread { median, min: at(0), max: at(sorted.len().wrapping_sub(1)) }
}

fn object(measured: &Measured) -> Value {
    let time = spread(&measured.steps);
    let gflop = measured.flop as f64 / 1e9;
    let kernels: Vec<Value> = ordered(&measured.kernels).into_iter().map(|k| kernel_object(k, measured)).collect();
    json!({
        "framework": "dlc", "version": env!("CARGO_PKG_VERSION"), "mode": measured.load.mode(),
        "model": measured.model, "batch": measured.batch, "threads": measured.threads, "isa": measured.isa,
        "weights": measured.weights, "iters": measured.steps.len(),
        "median_ms": time.median, "min_ms": time.min, "max_ms": time.max, "first_step_s": measured.first_step_s,
        "peak_rss_mb": measured.peak_rss_mb, "gflop": gflop, "gflop_s": 1e3 * gflop / time.median,
        "samples_s": 1e3 * measured.batch as f64 / time.median,
        "loss_first": measured.loss_first, "loss_last": measured.loss_last,
        "peak_gflop_s": measured.peak_gflop_s, "bandwidth_gbyte_s": measured.bandwidth_gbyte_s, "kernels": kernels,
    })
}

fn kernel_object(kernel: &KernelTime, measured: &Measured) -> Value {
    json!({
        "label": kernel.label, "algorithm": kernel.algorithm, "ms": kernel.ms, "share": share(kernel.ms, measured),
        "gflop_s": rate(kernel.flop, kernel.ms), "gbyte_s": rate(kernel.bytes, kernel.ms),
        "peak_percent": measured.peak_gflop_s.map(|peak| 100.0 * rate(kernel.flop, kernel.ms) / peak),
        "flop": kernel.flop, "bytes": kernel.bytes, "tasks": kernel.tasks,
        "parts": kernel.parts.iter().map(|(part, ms)| part_object(part, *ms, measured)).collect::<Vec<_>>(),
        "bandwidth_percent": measured.bandwidth_gbyte_s.map(|most| 100.0 * rate(kernel.bytes, kernel.ms) / most),
        "least_ms": least(kernel, measured).map(|(ms, _)| ms), "limit": least(kernel, measured).map(|(_, limit)| limit),
    })
}

/// One kernel within a step; `model_percent` and `other_percent` of the peak are what was expected of the algorithm that was
/// chosen and of the other one.
fn part_object(part: &Part, ms: f64, measured: &Measured) -> Value {
    json!({
        "label": part.label, "algorithm": part.algorithm, "ms": ms, "flop": part.flop,
        "peak_percent": measured.peak_gflop_s.map(|peak| 100.0 * rate(part.flop, ms) / peak),
        "model_percent": part.forecast.chosen, "other_percent": part.forecast.other,
    })
}

fn table(measured: &Measured, style: &Style) -> String {
    let time = spread(&measured.steps);
    let gflop = measured.flop as f64 / 1e9;
    let what = measured.load.noun();
    let title = format!(
        "{}  {what}, batch {}, {} thread{}, {}",
        measured.model,
        measured.batch,
        measured.threads,
        if measured.threads == 1 { "" } else { "s" },
        measured.isa
    );
    let mut text = format!("{}\n", style.bold(&title));
    let mut row = |name: &str, value: String| text += &format!("  {name:<14}{value}\n");
    row(
        "time",
        format!("{:.3} ms median of {} (min {:.3}, max {:.3})", time.median, measured.steps.len(), time.min, time.max),
    );
    row("first step", format!("{:.3} s, with compiling", measured.first_step_s));
    row("throughput", format!("{} examples/s", number::grouped((1e3 * measured.batch as f64 / time.median) as u64)));
    row(
        "arithmetic",
        match measured.peak_gflop_s {
            Some(peak) => {
                let speed = 1e3 * gflop / time.median;
                format!("{gflop:.3} GFLOP, {speed:.1} GFLOP/s, {:.0} % of the measured {peak:.1}", 100.0 * speed / peak)
            }
            None => format!("{gflop:.3} GFLOP, {:.1} GFLOP/s", 1e3 * gflop / time.median),
        },
    );
    if let Some(most) = measured.bandwidth_gbyte_s {
        row("memory", format!("{most:.1} GB/s, read and written, of copies that no cache holds"));
    }
    row("peak memory", format!("{:.1} MB", measured.peak_rss_mb));
    if let (Some(first), Some(last)) = (measured.loss_first, measured.loss_last) {
        row("loss", format!("{first:.4} to {last:.4}"));
    }
    text + &kernels::table(measured, style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        let odd = spread(&[0.003, 0.001, 0.002]);
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        assert!((spread(&[0.001, 0.002]).median - 1.5).abs() < 1e-12);
        assert!(spread(&[]).median.is_nan());
    }
}
