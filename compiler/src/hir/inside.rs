//! Values inside of a network, by the paths that messages and `--emit hir` call them: what can be shown of it.

use super::layer::{Hir, Layer, Named, What};
use super::value::{LayerId, Size};
use super::{Solved, lints};

/// How the value that is shown is called among the outputs; no name of a program looks like it.
pub const SHOWN: &str = "shown:";

/// A value that a network computes on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Inside {
    /// `LeNet.logits/conv[1]`
    pub path: String,
    pub layer: LayerId,
    /// Names and sizes of the axes of one example.
    pub axes: Vec<(String, usize)>,
    /// The weight of the layer, where it has one.
    pub weight: Option<String>,
    /// Of a convolution how many axes it slides along, else 0.
    pub slides: usize,
    /// Height, width and channels of the input that a dense layer reads point by point.
    pub reads: Option<[usize; 3]>,
    /// A shorter path means the same value: `relu[0]`, where this is `relu[0]/max[0]`.
    pub inner: bool,
}

impl Solved {
    /// All that can be shown, in the order in which it is computed; a block's value is that of its last layer.
    pub fn inside(&self) -> Vec<Inside> {
        let hir = self.hir();
        let roots: Vec<LayerId> = hir.outputs.iter().chain(&hir.predicts).map(|named| named.layer).collect();
        let reached = lints::reachable(hir, &roots, lints::Through::All);
        let mut all: Vec<Inside> = vec![];
        for (at, (layer, reached)) in hir.layers.iter().zip(reached).enumerate() {
            let own = matches!(layer.what, What::Input(_) | What::Weight(_) | What::State(_) | What::Constant(_));
            if !reached || own || layer.scan.is_some() || !layer.path.starts_with(&format!("{}.", hir.model)) {
                continue;
            }
            let Some(axes) = sizes(layer).filter(|axes| !axes.is_empty() && !layer.ty.is_index()) else { continue };
            // The layer is the last so far of every block around it.
            let ends = layer.path.match_indices('/').map(|(end, _)| end).chain([layer.path.len()]);
            for path in ends.map(|end| &layer.path[..end]) {
                let found = Inside { axes: axes.clone(), ..inside(hir, LayerId(at as u32), path) };
                match all.iter_mut().find(|known| known.path == path) {
                    Some(known) => *known = found,
                    None => all.push(found),
                }
            }
        }
        let outer: Vec<bool> = all.iter().map(|one| all.iter().any(|other| other.holds(one))).collect();
        all.iter_mut().zip(outer).for_each(|(one, inner)| one.inner = inner);
        all.sort_by_key(|one| one.layer);
        all
    }

    /// The same network with one more output, [`SHOWN`].
    pub fn showing(mut self, inside: &Inside) -> Solved {
        let span = self.hir().layer(inside.layer).span;
        self.elaborated.hir.predicts.push(Named { name: SHOWN.into(), layer: inside.layer, span });
        self
    }
}

impl Inside {
    /// Whether it is a block whose value is that of `other`, which lies in it and has no weight of its own.
    fn holds(&self, other: &Inside) -> bool {
        let within = other.path.strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('/'));
        within && self.layer == other.layer && self.path.contains('/') && other.weight.is_none()
    }
}

fn inside(hir: &Hir, layer: LayerId, path: &str) -> Inside {
    let weight = format!("{path}.weight");
    let weight = hir.weights.iter().any(|known| known.path == weight).then_some(weight);
    let what = &hir.layer(layer).what;
    let slides = match what {
        What::Conv(window) | What::ConvTranspose(window) => window.over.len(),
        _ => 0,
    };
    let reads = if *what == What::Dense { read(hir, layer) } else { None };
    Inside { path: path.to_string(), layer, axes: vec![], weight, slides, reads, inner: false }
}

fn sizes(layer: &Layer) -> Option<Vec<(String, usize)>> {
    let size = |size: &Size| match size {
        Size::Known(size) => Some(*size),
        _ => None,
    };
    layer.ty.axes.iter().map(|axis| Some((axis.name.clone(), size(&axis.size)?))).collect()
}

/// The input that a dense layer reads, if nothing but its form was changed on the way.
fn read(hir: &Hir, layer: LayerId) -> Option<[usize; 3]> {
    let mut from = hir.layer(*hir.layer(layer).inputs.first()?);
    while from.what == What::Reshape {
        from = hir.layer(*from.inputs.first()?);
    }
    let sizes: Vec<usize> = sizes(from)?.into_iter().map(|(_, size)| size).collect();
    match (&from.what, &sizes[..]) {
        (What::Input(_), [h, w, c]) if *c == 1 || *c == 3 => Some([*h, *w, *c]),
        (What::Input(_), [h, w]) => Some([*h, *w, 1]),
        _ => None,
    }
}
