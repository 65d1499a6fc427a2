//! Coordinates: whole-number combinations of loop variables.

use crate::base::Var;
use std::fmt;
use std::ops::{Add, Mul, Sub};

/// `constant + sum of coefficient * variable`; terms sorted by variable, no zero coefficients.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Affine {
    pub terms: Vec<(Var, i64)>,
    pub constant: i64,
}

impl Affine {
    pub fn constant(value: i64) -> Affine {
        Affine { terms: vec![], constant: value }
    }

    pub fn coefficient(&self, var: Var) -> i64 {
        self.terms.iter().find(|(v, _)| *v == var).map_or(0, |(_, c)| *c)
    }

    /// Is it `var` alone?
    pub fn as_var(&self) -> Option<Var> {
        match self.terms[..] {
            [(v, 1)] if self.constant == 0 => Some(v),
            _ => None,
        }
    }

    pub fn is_constant(&self) -> bool {
        self.terms.is_empty()
    }

    /// Every `var` replaced by what `f` gives.
    pub fn substitute(&self, f: &dyn Fn(Var) -> Affine) -> Affine {
        self.terms.iter().fold(Affine::constant(self.constant), |a, (v, c)| &a + &(&f(*v) * *c))
    }

    /// The least and the greatest value where each variable is in `0..extent(var)`.
    pub fn range(&self, extent: &dyn Fn(Var) -> usize) -> (i64, i64) {
        self.terms.iter().fold((self.constant, self.constant), |(low, high), (v, c)| {
            let end = c * (extent(*v) as i64 - 1);
            (low + end.min(0), high + end.max(0))
        })
    }

    pub fn eval(&self, value: &dyn Fn(Var) -> i64) -> i64 {
        self.terms.iter().fold(self.constant, |sum, (v, c)| sum + c * value(*v))
    }
}

impl From<Var> for Affine {
    fn from(var: Var) -> Affine {
        Affine { terms: vec![(var, 1)], constant: 0 }
    }
}

fn combine(a: &Affine, b: &Affine, sign: i64) -> Affine {
    let mut terms = Vec::with_capacity(a.terms.len() + b.terms.len());
    let (mut i, mut j) = (0, 0);
    while i < a.terms.len() || j < b.terms.len() {
        let x = a.terms.get(i);
        let y = b.terms.get(j);
        let (var, c) = match (x, y) {
            (Some(x), Some(y)) if x.0 == y.0 => {
                i += 1;
                j += 1;
                (x.0, x.1 + sign * y.1)
            }
            (Some(x), Some(y)) if x.0 > y.0 => {
                j += 1;
                (y.0, sign * y.1)
            }
            (None, Some(y)) => {
                j += 1;
                (y.0, sign * y.1)
            }
            (Some(x), _) => {
                i += 1;
                *x
            }
            (None, None) => break,
        };
        if c != 0 {
            terms.push((var, c));
        }
    }
    Affine { terms, constant: a.constant + sign * b.constant }
}

impl Add for &Affine {
    type Output = Affine;
    fn add(self, other: &Affine) -> Affine {
        combine(self, other, 1)
    }
}

impl Sub for &Affine {
    type Output = Affine;
    fn sub(self, other: &Affine) -> Affine {
        combine(self, other, -1)
    }
}

impl Add<i64> for &Affine {
    type Output = Affine;
    fn add(self, constant: i64) -> Affine {
        Affine { terms: self.terms.clone(), constant: self.constant + constant }
    }
}

impl Mul<i64> for &Affine {
    type Output = Affine;
    fn mul(self, factor: i64) -> Affine {
        if factor == 0 {
            return Affine::default();
        }
        let terms = self.terms.iter().map(|(v, c)| (*v, c * factor)).collect();
        Affine { terms, constant: self.constant * factor }
    }
}

impl fmt::Display for Affine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (v, c) in &self.terms {
            match (*c, first) {
                (1, true) => write!(f, "{v}")?,
                (1, false) => write!(f, " + {v}")?,
                (-1, true) => write!(f, "-{v}")?,
                (-1, false) => write!(f, " - {v}")?,
                (c, true) => write!(f, "{c}*{v}")?,
                (c, false) if c < 0 => write!(f, " - {}*{v}", -c)?,
                (c, false) => write!(f, " + {c}*{v}")?,
            }
            first = false;
        }
        match self.constant {
            c if first => write!(f, "{c}"),
            0 => Ok(()),
            c if c < 0 => write!(f, " - {}", -c),
            c => write!(f, " + {c}"),
        }
    }
}

impl fmt::Debug for Affine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
