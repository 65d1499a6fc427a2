//! The tables of `dlc bench` and of `dlc bench --kernels`: in the latter every step, and under it the kernels that it
//! consists of, each with its share of the time, its percentage of the matrix peak, and what the compiler expected of it.

use crate::engine::{KernelTime, Measured, Part};
use crate::style::Style;

/// Everything known of every kernel that took a measurable time.
fn wide(measured: &Measured, style: &Style) -> String {
    let heading = format!(
        "{:>8} {:>7} {:>9} {:>9} {:>7} {:>7} {:>7} {:>9} {:>7} {:>7} {:>8}  {:<9} {:>5}  kernel [algorithm]",
        "ms",
        "share",
        "MFLOP",
        "GFLOP/s",
        "% peak",
        "% model",
        "% other",
        "MB",
        "GB/s",
        "% band",
        "least ms",
        "limit",
        "tasks"
    );
    let mut text = format!("\n{}\n", style.bold(&heading));
    for kernel in ordered(&measured.kernels).into_iter().filter(|kernel| kernel.ms > 0.0) {
        text += &step(kernel, measured);
        if kernel.parts.len() > 1 {
            for (i, (part, ms)) in kernel.parts.iter().enumerate() {
                let last = i + 1 == kernel.parts.len();
                text += &part_row(part, *ms, measured, if last { "└ " } else { "├ " });
            }
        }
    }
    text + "\n% model: what the compiler's model of cycles expected of the algorithm; % other: of the one it was chosen over.\n"
}

fn percent(part: f64, whole: Option<f64>) -> String {
    match whole {
        Some(whole) if part > 0.0 => format!("{:.0}", 100.0 * part / whole),
        _ => "-".to_string(),
    }
}

fn expected(percent: Option<f64>) -> String {
    percent.map_or("-".to_string(), |percent| format!("{percent:.0}"))
}

fn step(kernel: &KernelTime, measured: &Measured) -> String {
    let (flops, bytes) = (rate(kernel.flop, kernel.ms), rate(kernel.bytes, kernel.ms));
    let (least, limit) = least(kernel, measured).unwrap_or((f64::NAN, "-"));
    let (forecast, algorithm) = match &kernel.parts[..] {
        [(part, _)] => (part.forecast, format!(" [{}]", part.algorithm)),
        _ => (Default::default(), String::new()),
    };
    format!(
        "{:>8.3} {:>5.1} % {:>9.2} {flops:>9.1} {:>7} {:>7} {:>7} {:>9.3} {bytes:>7.1} {:>7} {least:>8.3}  {limit:<9} {:>5}  {}{algorithm}\n",
        kernel.ms,
        share(kernel.ms, measured),
        kernel.flop as f64 / 1e6,
        percent(flops, measured.peak_gflop_s),
        expected(forecast.chosen),
        expected(forecast.other),
        kernel.bytes as f64 / 1e6,
        percent(bytes, measured.bandwidth_gbyte_s),
        kernel.tasks,
        kernel.label
    )
}

/// A kernel within a step; bytes are not counted, since most of what it touches lies in the cache.
fn part_row(part: &Part, ms: f64, measured: &Measured, branch: &str) -> String {
    let flops = rate(part.flop, ms);
    let speed = if part.flop > 0 { format!("{flops:.1}") } else { "-".to_string() };
    format!(
        "{ms:>8.3} {:>5.1} % {:>9.2} {speed:>9} {:>7} {:>7} {:>7} {:>52}  {branch}{} [{}]\n",
        share(ms, measured),
        part.flop as f64 / 1e6,
        percent(flops, measured.peak_gflop_s),
        expected(part.forecast.chosen),
        expected(part.forecast.other),
        "",
        part.label,
        part.algorithm
    )
}

/// Giga-units a second.
pub fn rate(units: u64, ms: f64) -> f64 {
    if ms > 0.0 { units as f64 / ms / 1e6 } else { 0.0 }
}

/// What so many milliseconds are of the time of all kernels, in percent.
pub fn share(ms: f64, measured: &Measured) -> f64 {
    let total: f64 = measured.kernels.iter().map(|k| k.ms).sum();
    if total > 0.0 { 100.0 * ms / total } else { 0.0 }
}

/// The most expensive first.
pub fn ordered(kernels: &[KernelTime]) -> Vec<&KernelTime> {
    let mut sorted: Vec<&KernelTime> = kernels.iter().collect();
    sorted.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    sorted
}

/// The least milliseconds that the products of a kernel as they stand, or what it reads and writes once, could take, and
/// which of the two it is. Winograd's algorithm has fewer products, and what lies in a cache is faster than memory: where
/// a kernel took less, one of them is why.
pub fn least(kernel: &KernelTime, measured: &Measured) -> Option<(f64, &'static str)> {
    let (peak, memory) = (measured.peak_gflop_s?, measured.bandwidth_gbyte_s?);
    let (products, bytes) = (kernel.flop as f64 / peak / 1e6, kernel.bytes as f64 / memory / 1e6);
    Some(if products > bytes { (products, "products") } else { (bytes, "memory") })
}

/// Of every kernel time and speed; where the memory was measured too, everything that is known.
pub fn table(measured: &Measured, style: &Style) -> String {
    if measured.kernels.is_empty() {
        return String::new();
    }
    if measured.bandwidth_gbyte_s.is_some() {
        return wide(measured, style);
    }
    let heading = format!(
        "{:>8} {:>7} {:>9} {:>7} {:>7}  {:<18} kernel",
        "ms", "share", "GFLOP/s", "% peak", "GB/s", "algorithm"
    );
    let mut text = format!("\n{}\n", style.bold(&heading));
    for kernel in ordered(&measured.kernels) {
        let peak = match measured.peak_gflop_s {
            Some(peak) if kernel.flop > 0 => format!("{:.0}", 100.0 * rate(kernel.flop, kernel.ms) / peak),
            _ => "-".to_string(),
        };
        text += &format!(
            "{:>8.3} {:>5.1} % {:>9.1} {peak:>7} {:>7.1}  {:<18} {}\n",
            kernel.ms,
            share(kernel.ms, measured),
            rate(kernel.flop, kernel.ms),
            rate(kernel.bytes, kernel.ms),
            kernel.algorithm,
            kernel.label
        );
    }
    text
}
