//! Bugs planted in filters of single channels.

use super::plant;
use dlc_compiler::base::TensorType;
use dlc_compiler::graph::Graph;
use dlc_compiler::loops::nest::{Accumulate, Filter, Stmt};
use dlc_compiler::ops::ConvSpec;

/// A depthwise convolution and its gradients.
fn depthwise() -> Graph {
    let spec = ConvSpec { pad: vec![(1, 1); 2], groups: 20, ..ConvSpec::plain(&[3, 3]) };
    let mut g = Graph::new();
    g.batch = 6;
    let x = g.input("x", TensorType::new(&[6, 12, 13, 20]));
    let dy = g.input("dy", TensorType::new(&[6, 12, 13, 20]));
    let w = g.input("w", TensorType::new(&[3, 3, 1, 20]));
    let e = g.emit_here();
    let found =
        [("y", e.conv(x, w, &spec)), ("dx", e.conv_dx(dy, w, &spec, &[12, 13])), ("dw", e.conv_dw(x, dy, &spec))];
    for (name, v) in found {
        g.set_output(name, v);
    }
    g
}

#[test]
fn filters_that_go_wrong() {
    let caught = |what: &str, change: &dyn Fn(&mut Filter) -> bool| {
        let (planted, caught) = plant(&depthwise(), &|stmt| match stmt {
            Stmt::Filter(f) => change(f),
            Stmt::For(_) | Stmt::Group(_) | Stmt::Tile(_) | Stmt::Transpose(_) | Stmt::Transform(_) | Stmt::Mark(_) => {
                false
            }
        });
        assert!(planted > 0, "{what}: nothing to change");
        (planted, caught)
    };
    let all = |what: &str, change: &dyn Fn(&mut Filter) -> bool| {
        let (planted, caught) = caught(what, change);
        assert_eq!(caught, planted, "{what}: some went unseen");
    };
    all("points too many", &|f| {
        f.count += 1000;
        true
    });
    all("a point less", &|f| {
        f.count -= 1;
        f.count > 0
    });
    all("channels too many", &|f| {
        f.channels *= 1000;
        true
    });
    all("a channel less", &|f| {
        f.channels -= 1;
        true
    });
    all("points on top of each other", &|f| {
        f.to_next = 0;
        f.count > 1
    });
    all("no taps", &|f| {
        f.taps[1] = 0;
        true
    });
    all("the result in the taps", &|f| {
        f.to.buffer = f.by.buffer;
        true
    });
    all("sums that forget", &|f| match &mut f.accumulate {
        Accumulate::AfterFirst(vars) if !vars.is_empty() => {
            vars.clear();
            true
        }
        Accumulate::AfterFirst(_) | Accumulate::Always => false,
    });
    // A tap more may read what lies beside the picture.
    let (planted, seen) = caught("taps too many", &|f| {
        f.taps[0] += 1;
        true
    });
    assert!(seen * 10 >= planted * 3, "{seen} of {planted} seen");
}
