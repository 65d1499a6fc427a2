//! `dlc bench --against OLD.json`: what got slower since an earlier measurement.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::style::Style;
use crate::trouble::{Message, Trouble};

/// Differences smaller than this part of the time are taken for noise.
const NOISE: f64 = 0.05;
/// Kernels below this part of the whole step are not worth a line.
const SMALL: f64 = 0.005;

/// What must be the same for times to be comparable.
const SAME: [&str; 5] = ["model", "mode", "batch", "threads", "isa"];

/// Reads what `dlc bench --json` printed.
pub fn read(path: &Path) -> Result<Value, Trouble> {
    let trouble = |why: String| {
        let message = Message::new(format!("{} {why}", path.display()));
        Trouble::Usage(message.help("make one with `dlc bench FILE --json > OLD.json`"))
    };
    let text = std::fs::read_to_string(path).map_err(|error| trouble(format!("cannot be read: {error}")))?;
    let value: Value =
        serde_json::from_str(text.trim()).map_err(|error| trouble(format!("is not one JSON object: {error}")))?;
    match value["median_ms"].is_number() && value["kernels"].is_array() {
        true => Ok(value),
        false => Err(trouble("is not what `dlc bench --json` prints".into())),
    }
}

/// The comparison as lines, slowest first; refuses what was measured under other conditions.
pub fn compare(old: &Value, new: &Value, style: &Style) -> Result<String, Trouble> {
    if let Some(key) = SAME.iter().find(|key| old[**key] != new[**key]) {
        let message = Message::new(format!("{key} was {} then and is {} now", old[*key], new[*key]));
        return Err(Trouble::Usage(message.help("compare runs of the same network under the same conditions")));
    }
    let (before, after) = (number(&old["median_ms"]), number(&new["median_ms"]));
    let heading = format!(
        "{:>9} {:>9} {:>7}  against dlc {}",
        "then ms",
        "now ms",
        "ratio",
        old["version"].as_str().unwrap_or("?")
    );
    let mut text = format!("\n{}\n{}", style.bold(&heading), row(before, after, "whole step, median"));
    let (then, now) = (kernels(old), kernels(new));
    let mut slower: Vec<(&String, f64, f64)> = now
        .iter()
        .map(|(name, ms)| (name, then.get(name).copied().unwrap_or(0.0), *ms))
        .filter(|(_, then, now)| *now > SMALL * after && *now > then * (1.0 + NOISE))
        .collect();
    slower.sort_by(|a, b| (b.2 - b.1).total_cmp(&(a.2 - a.1)));
    if slower.is_empty() {
        text += &format!("no kernel got slower by more than {:.0} %\n", 100.0 * NOISE);
    }
    for (name, then, now) in slower {
        text += &row(then, now, name);
    }
    Ok(text)
}

fn row(then: f64, now: f64, name: &str) -> String {
    match then > 0.0 {
        true => format!("{then:>9.3} {now:>9.3} {:>7.2}  {name}\n", now / then),
        false => format!("{:>9} {now:>9.3} {:>7}  {name}\n", "-", "new"),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Milliseconds by name; of kernels with one name together.
fn kernels(value: &Value) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for kernel in value["kernels"].as_array().into_iter().flatten() {
        let name = kernel["label"].as_str().unwrap_or_default().to_string();
        *all.entry(name).or_default() += number(&kernel["ms"]);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn measured(ms: f64, kernels: &[(&str, f64)]) -> Value {
        let kernels: Vec<Value> = kernels.iter().map(|(label, ms)| json!({ "label": label, "ms": ms })).collect();
        json!({ "model": "M", "mode": "train", "batch": 4, "threads": 1, "isa": "avx2", "version": "0.1.0",
            "median_ms": ms, "kernels": kernels })
    }

    #[test]
    fn slower_kernels_are_listed() {
        let old = measured(10.0, &[("a", 4.0), ("b", 5.0), ("c", 1.0)]);
        let new = measured(12.0, &[("a", 6.5), ("b", 5.1), ("d", 0.4), ("e", 0.01)]);
        let plain = Style { color: false, unicode: false, live: false };
        let text = compare(&old, &new, &plain).unwrap_or_else(|_| panic!());
        let names: Vec<&str> = text.lines().skip(2).filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(names, ["median", "a", "d"], "{text}");
        assert!(compare(&old, &json!({ "model": "N" }), &plain).is_err());
    }
}
