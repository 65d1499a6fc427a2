//! What a training says while it runs: a live line on a terminal, one plain line per epoch elsewhere.
//!
//! ```text
//! LeNet  61,706 weights (241 KiB)    mnist  54,000 train  6,000 val  10,000 test    2 threads  seed 0
//! epoch     loss  val.loss  accuracy  val.accuracy        lr  examples/s  waited   time
//!   1/10  0.2513    0.0789    0.9241        0.9762   1.00e-3      31,400   0.1 %   1.7s
//! ```

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::style::Style;
use crate::{number, output};

/// What is known before the first step.
#[derive(Clone, Debug, Default)]
pub struct Start {
    pub model: String,
    pub weights: u64,
    pub data: String,
    pub train: usize,
    pub val: usize,
    pub test: usize,
    pub threads: usize,
    pub seed: u64,
    pub epochs: usize,
}

/// One finished step.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// From 1.
    pub epoch: usize,
    /// Steps of this epoch that are done, and all of them.
    pub done: usize,
    pub of: usize,
    pub loss: f64,
    pub examples_s: f64,
    /// The share of the epoch's time in which data was waited for.
    pub waited: f64,
}

/// One finished epoch.
#[derive(Clone, Debug, Default)]
pub struct Epoch {
    /// From 1.
    pub number: usize,
    /// `loss`, `val.loss`, and each metric of one number, in the order of the columns.
    pub values: Vec<(String, f64)>,
    pub lr: f64,
    pub examples_s: f64,
    /// The share of training's time in which data was waited for.
    pub waited: f64,
    pub seconds: f64,
}

/// The display of one training run.
pub struct Progress {
    quiet: bool,
    epochs: usize,
    bar: Option<ProgressBar>,
    /// Set by the first epoch.
    widths: Vec<usize>,
}

impl Progress {
    pub fn new(style: &Style, quiet: bool) -> Progress {
        let bar = (style.live && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(bar_style(style));
            bar
        });
        Progress { quiet, epochs: 0, bar, widths: vec![] }
    }

    pub fn start(&mut self, start: &Start) {
        self.epochs = start.epochs;
        let part = |n: usize, name: &str| match n {
            0 => String::new(),
            _ => format!("  {} {name}", number::grouped(n as u64)),
        };
        self.line(&format!(
            "{}  {} weights ({})    {}{}{}{}    {} thread{}  seed {}",
            start.model,
            number::grouped(start.weights),
            number::bytes(start.weights * 4),
            start.data,
            part(start.train, "train"),
            part(start.val, "val"),
            part(start.test, "test"),
            start.threads,
            if start.threads == 1 { "" } else { "s" },
            start.seed,
        ));
    }

    /// Moves the live line; costs nothing in a pipe.
    pub fn step(&mut self, step: &Step) {
        let Some(bar) = &self.bar else { return };
        bar.set_length(step.of as u64);
        bar.set_prefix(counter(step.epoch, self.epochs));
        let speed = number::grouped(step.examples_s as u64);
        bar.set_message(format!("loss {}  {speed}/s  waited {}", decimal(step.loss), share(step.waited)));
        bar.set_position(step.done as u64);
    }

    pub fn epoch(&mut self, epoch: &Epoch) {
        if self.widths.is_empty() {
            self.widths =
                epoch.values.iter().map(|(name, value)| name.len().max(decimal(*value).len()).max(6)).collect();
            self.line(&self.heading(epoch));
        }
        let mut line = counter(epoch.number, self.epochs);
        for ((_, value), width) in epoch.values.iter().zip(&self.widths) {
            line += &format!("  {:>width$}", decimal(*value));
        }
        let speed = number::grouped(epoch.examples_s as u64);
        let (waited, time) = (share(epoch.waited), number::duration(epoch.seconds));
        line += &format!("  {:>8}  {speed:>10}  {waited:>6}  {time:>6}", scientific(epoch.lr));
        self.line(&line);
    }

    fn heading(&self, epoch: &Epoch) -> String {
        let mut line = format!("{:>7}", "epoch");
        for ((name, _), width) in epoch.values.iter().zip(&self.widths) {
            line += &format!("  {name:>width$}");
        }
        line + &format!("  {:>8}  {:>10}  {:>6}  {:>6}", "lr", "examples/s", "waited", "time")
    }

    /// A fact on its own line, above the live one.
    pub fn line(&self, text: &str) {
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.suspend(|| output::say(&format!("{text}\n"))),
            None => output::say(&format!("{text}\n")),
        }
    }

    /// Notes on the data. What was left out of it changes the result: quiet runs tell that too, in one line.
    pub fn about_data(&self, notes: &[String]) {
        notes.iter().for_each(|note| self.line(note));
        let left_out: Vec<&str> = notes.iter().filter_map(|note| note.strip_prefix("note: left out ")).collect();
        if let ([first, more @ ..], true) = (&left_out[..], self.quiet) {
            let more = if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
            output::say(&format!("warning: left out {first}{more}\n"));
        }
    }

    /// Takes the live line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar_style(style: &Style) -> ProgressStyle {
    let template = "{prefix:>7}  {bar:24} {percent:>3}%   {msg}   eta {eta}";
    let made = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    made.progress_chars(if style.unicode { "█▉▊▋▌▍▎▏ " } else { "#- " })
}

/// `  3/10`
fn counter(number: usize, of: usize) -> String {
    format!("{:>7}", format!("{number}/{of}"))
}

/// `0.3 %`
fn share(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Four digits after the point, or an exponent where that would say nothing.
pub fn decimal(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => format!("{value}"),
        x if x >= 1e6 || (x > 0.0 && x < 5e-5) => scientific(value),
        _ => format!("{value:.4}"),
    }
}

/// `1.00e-3`
fn scientific(value: f64) -> String {
    format!("{value:.2e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_stay_short() {
        assert_eq!(decimal(0.25131), "0.2513");
        assert_eq!(decimal(0.0), "0.0000");
        assert_eq!(decimal(1.5e-7), "1.50e-7");
        assert_eq!(decimal(f64::INFINITY), "inf");
        assert_eq!(scientific(1e-3), "1.00e-3");
    }

    #[test]
    fn columns_line_up() {
        let style = Style { color: false, unicode: false, live: false };
        let mut progress = Progress::new(&style, true);
        progress.epochs = 10;
        let epoch = Epoch {
            number: 1,
            values: vec![("loss".into(), 0.2513), ("val.accuracy".into(), 0.9762)],
            lr: 1e-3,
            examples_s: 31_400.0,
            waited: 0.0012,
            seconds: 1.7,
        };
        progress.epoch(&epoch);
        assert_eq!(progress.heading(&epoch), "  epoch    loss  val.accuracy        lr  examples/s  waited    time");
    }
}
