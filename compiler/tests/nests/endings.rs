//! Bugs planted in what tiles and filters do to their result.

use super::{each_stmt, plant, program};
use dlc_compiler::base::TensorType;
use dlc_compiler::graph::Graph;
use dlc_compiler::loops::nest::{Accumulate, Beside, Finish, Stmt, Tile};
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

/// Sequences of rows through two layers, each with a bias, and beside the second what went into the first.
fn residual(batch: usize) -> Graph {
    let shape = [batch, 40, 48];
    let mut g = Graph::new();
    g.batch = batch;
    let x = g.input("x", TensorType::new(&shape));
    let [w, v] = ["w", "v"].map(|name| g.input(name, TensorType::new(&[48, 48])));
    let [a, b] = ["a", "b"].map(|name| g.input(name, TensorType::new(&[48])));
    let e = g.emit_here();
    let mut y = x;
    for (by, bias) in [(w, a), (v, b)] {
        let along = e.broadcast(bias, &shape, &[2]);
        y = e.contract(y, "nti", by, "io", "nto");
        y = e.add(y, along);
    }
    y = e.add(x, y);
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
fn what_lies_beside_is_added_by_tiles() {
    for batch in [1, 8] {
        let (mut p, _) = program(&residual(batch));
        let (mut ended, mut beside) = (0, 0);
        for step in &mut p.steps {
            each_stmt(&mut step.body, &mut |stmt| {
                if let Stmt::Tile(t) = stmt {
                    ended += usize::from(t.finish.is_some());
                    beside += usize::from(t.beside.is_some());
                }
            });
        }
        let loose = p.steps.iter().flat_map(|step| &step.parts).filter(|part| part.algorithm == "loops").count();
        assert!(beside > 0 && ended > beside && loose == 0, "{batch}: {beside} of {ended} beside, {loose} loops\n{p}");
    }
}

#[test]
fn tables_beside_that_go_wrong() {
    let all = |what: &str, change: &dyn Fn(&mut Tile)| {
        let (planted, caught) = plant(&residual(8), &|stmt| match stmt {
            Stmt::Tile(t) if t.beside.is_some() => {
                change(t);
                true
            }
            _ => false,
        });
        assert!(planted > 0 && caught == planted, "{what}: {caught} of {planted} seen");
    };
    let with = |t: &mut Tile, change: &dyn Fn(&mut Beside)| t.beside.iter_mut().for_each(change);
    all("rows before the first", &|t| with(t, &|b| b.place.at[0] = &b.place.at[0] + -8));
    all("columns beyond the last", &|t| with(t, &|b| b.place.at[2] = &b.place.at[2] + 8 * 40 * 48));
    all("rows too far apart", &|t| with(t, &|b| b.row *= 8 * 40));
    all("a sum that is not finished", &|t| t.finish = None);
    all("the result itself", &|t| t.beside = Some(Beside { place: t.c.clone(), row: t.c_row }));
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
