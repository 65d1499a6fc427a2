//! Goals that a run must reach: `--require test.accuracy>=0.9`.

use std::fmt;

/// One goal.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// `test.accuracy`
    pub metric: String,
    at_least: bool,
    /// Whether the bound itself is enough.
    equal: bool,
    bound: f64,
}

/// A goal that was not reached (E0903).
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    pub requirement: Requirement,
    /// Nothing where there is no such metric.
    pub value: Option<f64>,
    /// The names that there are.
    pub measured: Vec<String>,
}

impl Requirement {
    /// `METRIC>=X`, `METRIC<=X`, `METRIC>X` or `METRIC<X`.
    pub fn parse(text: &str) -> Result<Requirement, String> {
        let wrong = || format!("`{text}` is not a goal such as `test.accuracy>=0.9`");
        let at = text.find(['<', '>']).ok_or_else(wrong)?;
        let (metric, rest) = text.split_at(at);
        let at_least = rest.starts_with('>');
        let rest = rest.get(1..).unwrap_or_default();
        let (equal, number) = match rest.strip_prefix('=') {
            Some(number) => (true, number),
            None => (false, rest),
        };
        let number = number.trim();
        let (number, scale) = match number.strip_suffix('%') {
            Some(number) => (number, 0.01),
            None => (number, 1.0),
        };
        let bound = number.parse::<f64>().map_err(|_| wrong())? * scale;
        let metric = metric.trim().to_string();
        if metric.is_empty() || metric.contains('=') || !bound.is_finite() {
            return Err(wrong());
        }
        Ok(Requirement { metric, at_least, equal, bound })
    }

    /// The goal, if the values miss it.
    pub fn check(&self, values: &[(String, f64)]) -> Option<Missed> {
        let found = values.iter().find(|(name, _)| *name == self.metric).map(|(_, value)| *value);
        let reached = found.is_some_and(|value| match (self.at_least, self.equal) {
            (true, true) => value >= self.bound,
            (true, false) => value > self.bound,
            (false, true) => value <= self.bound,
            (false, false) => value < self.bound,
        });
        let measured = || values.iter().map(|(name, _)| name.clone()).collect();
        (!reached).then(|| Missed { requirement: self.clone(), value: found, measured: measured() })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.at_least { ">" } else { "<" };
        let equal = if self.equal { "=" } else { "" };
        write!(f, "{}{sign}{equal}{}", self.metric, self.bound)
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(value) => {
                write!(f, "`{}` was required, and it is {value:.4}", self.requirement)
            }
            None => {
                let measured = self.measured.join("`, `");
                write!(f, "`{}` was required, and it was not measured; there are `{measured}`", self.requirement)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals() {
        let values = [("test.accuracy".to_string(), 0.9), ("val.loss".to_string(), f64::NAN)];
        let missed = |text: &str| Requirement::parse(text).unwrap().check(&values).is_some();
        assert!(!missed("test.accuracy>=0.9") && !missed(" test.accuracy >= 90% "));
        assert!(missed("test.accuracy>0.9") && missed("test.accuracy < 0.9"));
        assert!(!missed("test.accuracy<=0.9"));
        assert!(missed("val.loss<1") && missed("val.loss>1") && missed("val.f1>0"));
        for text in ["", "x", ">=1", "x>=", "x>=y", "x=>1", "x>=inf"] {
            assert!(Requirement::parse(text).is_err(), "{text}");
        }
        let missed = Requirement::parse("test.accuracy>=0.95").unwrap().check(&values).unwrap();
        assert_eq!(missed.to_string(), "`test.accuracy>=0.95` was required, and it is 0.9000");
        let missed = Requirement::parse("accuracy>=0.95").unwrap().check(&values).unwrap();
        let text = "`accuracy>=0.95` was required, and it was not measured; there are `test.accuracy`, `val.loss`";
        assert_eq!(missed.to_string(), text);
    }
}
