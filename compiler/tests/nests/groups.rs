//! Convolutions in groups of channels: scheduled only.

use dlc_compiler::base::{Numerics, TensorType};
use dlc_compiler::graph::Graph;
use dlc_compiler::loops::verify_nest;
use dlc_compiler::ops::ConvSpec;
use dlc_compiler::schedule::{self, Target};
use dlc_runtime::micro::Isa;

/// A convolution of `groups` groups over a table of `s` by `s`, and both of its gradients.
fn grouped(n: usize, [s, c, o]: [usize; 3], spec: &ConvSpec) -> Graph {
    let out = spec.output(&[s, s]).expect("windows fit");
    let mut g = Graph::new();
    g.batch = n;
    let x = g.input("x", TensorType::new(&[n, s, s, c]));
    let dy = g.input("dy", TensorType::new(&[n, out[0], out[1], o]));
    let w = g.input("w", TensorType::new(&[&spec.kernel[..], &[c / spec.groups, o]].concat()));
    let e = g.emit_here();
    let all = [e.conv(x, w, spec), e.conv_dx(dy, w, spec, &[s, s]), e.conv_dw(x, dy, spec)];
    all.into_iter().enumerate().for_each(|(i, v)| g.set_output(&format!("y{i}"), v));
    g
}

/// Each group is a contraction of its own, whatever its size, however many examples there are.
#[test]
fn groups_are_tiles() {
    for n in [1, 3, 32] {
        for (s, c, o, k, groups, stride) in [
            (14, 64, 64, 3, 2, 1),
            (14, 128, 128, 3, 32, 1),
            (9, 96, 48, 1, 3, 1),
            (8, 33, 96, 7, 3, 1),
            (15, 68, 16, 5, 4, 1),
            (14, 32, 64, 3, 8, 2),
        ] {
            let same = vec![(k / 2, k / 2); 2];
            let spec = ConvSpec { stride: vec![stride; 2], pad: same, groups, ..ConvSpec::plain(&[k, k]) };
            let g = grouped(n, [s, c, o], &spec);
            for isa in Isa::available() {
                let p = schedule::run(&g, &Target { isa, fuse: true, numerics: Numerics::Fast });
                verify_nest::verify(&p, isa.tiles().lanes).unwrap_or_else(|e| panic!("{isa:?}: {e}\n{p}"));
                let slow = p.steps.iter().flat_map(|step| &step.parts).find(|x| x.flop > 0 && x.algorithm == "loops");
                assert!(slow.is_none(), "{n} of {s}x{s}x{c} in {groups} groups: {slow:?}\n{p}");
            }
        }
    }
}
