//! Merging loop variables that walk memory as one.

use crate::base::Var;
use crate::loops::Affine;

/// Variables whose combined index `sum of multiplier * variable` walks memory evenly.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Outermost first: variable, extent, multiplier in the combined index.
    pub vars: Vec<(Var, usize, usize)>,
    pub extent: usize,
    /// Elements from one combined index to the next, one entry for each tensor considered.
    pub strides: Vec<i64>,
}

impl Chain {
    /// The empty chain: one point.
    pub fn unit(tensors: usize) -> Chain {
        Chain { vars: vec![], extent: 1, strides: vec![0; tensors] }
    }

    /// The combined index as a coordinate.
    pub fn index(&self) -> Affine {
        self.vars.iter().fold(Affine::default(), |sum, (v, _, m)| &sum + &(&Affine::from(*v) * *m as i64))
    }

    /// Elements from one combined index to the next, where each variable moves by so many and all walk on evenly.
    pub fn evenly(&self, by: impl Fn(Var) -> i64) -> Option<i64> {
        let each = self.vars.last().map_or(0, |(v, _, _)| by(*v));
        self.vars.iter().all(|(v, n, m)| *n == 1 || by(*v) == each * *m as i64).then_some(each)
    }

    /// What to put for `var` so that the chain stands at `index`: linear addresses come out right.
    pub fn place(&self, var: Var, index: &Affine) -> Option<Affine> {
        let last = self.vars.last().map(|(v, _, _)| *v);
        self.vars
            .iter()
            .any(|(v, _, _)| *v == var)
            .then(|| if last == Some(var) { index.clone() } else { Affine::default() })
    }
}

/// Orders variables by their stride in the first tensor, largest first, and merges neighbours where every tensor
/// walks on evenly. `strides[i]` belongs to `vars[i]`.
pub fn merge(vars: &[(Var, usize)], strides: &[Vec<i64>]) -> Vec<Chain> {
    let mut order: Vec<usize> = (0..vars.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(strides[*i][0].abs()));
    let mut chains: Vec<Chain> = vec![];
    for i in order.into_iter().rev() {
        let (var, n) = vars[i];
        if let Some(inner) = chains.last_mut() {
            let even = inner.strides.iter().zip(&strides[i]).all(|(s, t)| s * inner.extent as i64 == *t);
            if even {
                inner.vars.insert(0, (var, n, inner.extent));
                inner.extent *= n;
                continue;
            }
        }
        chains.push(Chain { vars: vec![(var, n, 1)], extent: n, strides: strides[i].clone() });
    }
    chains.reverse();
    chains
}
