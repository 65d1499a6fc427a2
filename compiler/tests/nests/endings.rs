//! Bugs planted in what tiles and filters do to their result.

use super::{each_stmt, plant, program};
use dlc_compiler::base::TensorType;
use dlc_compiler::graph::Graph;
use dlc_compiler::loops::nest::{Accumulate, Finish, Stmt};
use dlc_compiler::ops::ConvSpec;

/// One picture, a product of its points and filters of it, each with a bias and a bound.
fn network() -> Graph {
    let shape = [1, 24, 24, 40];
    let mut g = Graph::new();
    g.batch = 1;
    let x = g.input("x", TensorType::new(&[1, 24, 24, 8]));
    let bias = g.input("bias", TensorType::new(&[40]));
    let w = g.input("w", TensorType::new(&[1, 1, 8, 40]));
    let taps = g.input("taps", TensorType::new(&[3, 3, 1, 40]));
    let e = g.emit_here();
    let along = e.broadcast(bias, &shape, &[3]);
    let zero = e.constant(0.0);
    let zero = e.broadcast(zero, &shape, &[]);
    let filtered = ConvSpec { pad: vec![(1, 1); 2], groups: 40, ..ConvSpec::plain(&[3, 3]) };
    let mut y = x;
    for (by, spec) in [(w, ConvSpec::plain(&[1, 1])), (taps, filtered)] {
        y = e.conv(y, by, &spec);
        y = e.add(y, along);
        y = e.max(y, zero);
    }
    g.set_output("y", y);
    g
}

fn finish(stmt: &mut Stmt) -> Option<(&mut Finish, &mut Accumulate)> {
    match stmt {
        Stmt::Tile(t) => t.finish.as_mut().map(|f| (f, &mut t.accumulate)),
        Stmt::Filter(t) => t.finish.as_mut().map(|f| (f, &mut t.accumulate)),
        Stmt::For(_) | Stmt::Group(_) | Stmt::Transpose(_) | Stmt::Transform(_) | Stmt::Mark(_) => None,
    }
}

#[test]
fn bias_and_bounds_are_done_by_tiles_and_filters() {
    let (mut p, _) = program(&network());
    let (mut tiles, mut filters, mut loose) = (0, 0, 0);
    for step in &mut p.steps {
        each_stmt(&mut step.body, &mut |stmt| {
            let ends = finish(stmt).is_some_and(|(f, _)| f.bounds == [0.0, f32::INFINITY]);
            match stmt {
                Stmt::Tile(_) => tiles += usize::from(ends),
                Stmt::Filter(_) => filters += usize::from(ends),
                _ => loose += usize::from(ends),
            }
        });
        loose += step.parts.iter().filter(|part| part.algorithm == "loops").count();
    }
    assert!(tiles > 0 && filters > 0 && loose == 0, "{tiles} tiles, {filters} filters, {loose} loops\n{p}");
}

#[test]
fn endings_that_go_wrong() {
    let all = |what: &str, change: &dyn Fn(&mut Finish, &mut Accumulate)| {
        let (planted, caught) = plant(&network(), &|stmt| match finish(stmt) {
            Some((f, accumulate)) => {
                change(f, accumulate);
                true
            }
            None => false,
        });
        assert!(planted > 0 && caught == planted, "{what}: {caught} of {planted} seen");
    };
    all("numbers before the first", &|f, _| f.add.at[0] = &f.add.at[0] + -1);
    all("numbers beyond the last", &|f, _| f.add.at[0] = &f.add.at[0] + 40);
    all("bounds that leave nothing", &|f, _| f.bounds = [1.0, 0.5]);
    all("no bound at all", &|f, _| f.bounds[1] = f32::NAN);
    all("a sum that is not complete", &|_, accumulate| *accumulate = Accumulate::Always);
}
