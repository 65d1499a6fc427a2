//! The primitive layers: each takes its arguments, checks shapes, and adds layers.

mod conv;
mod dense;
mod norm;
mod pointwise;
mod pool;
mod reduce;
mod tables;

use super::args::Call;
use super::elab::{Elab, Res};
use super::value::Val;

/// What a primitive does with its arguments.
pub type Build = for<'a, 'e> fn(&'e mut Elab<'a>, &'e mut Call<'a>) -> Res<Val<'a>>;

const TABLE: &[(&str, Build)] = &[
    ("abs", pointwise::abs),
    ("argmax", reduce::argmax),
    ("avg_pool", pool::avg_pool),
    ("batch_norm", norm::batch_norm),
    ("causal_mask", tables::causal_mask),
    ("concat", tables::concat),
    ("conv", conv::conv),
    ("conv_transpose", conv::conv_transpose),
    ("coord", tables::coord),
    ("cos", pointwise::cos),
    ("dense", dense::dense),
    ("detach", tables::detach),
    ("dot", dense::dot),
    ("dropout", norm::dropout),
    ("embed", dense::embed),
    ("erf", pointwise::erf),
    ("exp", pointwise::exp),
    ("first", tables::first),
    ("flatten", tables::flatten),
    ("floor", pointwise::floor),
    ("last", tables::last),
    ("log", pointwise::log),
    ("max", reduce::max),
    ("max_pool", pool::max_pool),
    ("mean", reduce::mean),
    ("min", reduce::min),
    ("one_hot", tables::one_hot),
    ("order", tables::order),
    ("pow", pointwise::pow),
    ("select", pointwise::select),
    ("sigmoid", pointwise::sigmoid),
    ("sin", pointwise::sin),
    ("sqrt", pointwise::sqrt),
    ("squeeze", tables::squeeze),
    ("sum", reduce::sum),
    ("tanh", pointwise::tanh),
    ("unstack", tables::unstack),
    ("upsample", pool::upsample),
];

pub fn find(name: &str) -> Option<Build> {
    TABLE.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(n, _)| *n)
}
