//! What is drawn changes pictures, masks and numbers together, and is drawn again the same.

use super::*;
use crate::data::array::Numbers;
use crate::data::fields::store;
use crate::data::preprocessing::Prepared;
use crate::data::raw::{Raw, RawField, Values};
use crate::data::spec::{DimSpec, Selector};
use crate::data::steps::{Axis, Chain, Fitted};

const COUNT: usize = 32;

fn field(name: &str, axes: &[(&str, usize)], values: Numbers, from: Selector, dim: bool) -> Field {
    let shape = axes.iter().map(|(_, size)| *size).collect();
    let fields = vec![RawField { shape, values: Values::Numbers(values), columns: vec![] }];
    let (official, files, groups, table) = (None, None, None, None);
    let mut raw = Raw { count: COUNT, fields, official, files, groups, table, name: "t".into(), notes: vec![] };
    let axes: Vec<Axis> = axes.iter().map(|(name, size)| Axis { name: name.to_string(), size: *size }).collect();
    let mut chain = Chain::default();
    if !dim {
        chain.push(Fitted::Scale { by: 1.0 / 255.0, shift: 0.0 }, &axes);
    }
    let dim = dim.then(|| DimSpec { name: "area".into(), size: Some(200), names: vec![] });
    let (name, picture) = (name.to_string(), vec![]);
    store(
        &mut raw,
        0,
        Prepared { name, axes, dim, one_hot: None, from, chain, fill: None, picture, text: None, window: None },
    )
    .unwrap()
}

/// Pictures of 4 x 6 whose points are their numbers, and masks that say the same.
fn picture() -> Field {
    let values = (0..COUNT * 24).map(|at| (at % 24) as u8 + 100).collect();
    field("image", &[("h", 4), ("w", 6), ("c", 1)], Numbers::U8(values), Selector::Images, false)
}

fn mask() -> Field {
    let values = (0..COUNT * 24).map(|at| (at % 24) as u8 + 100).collect();
    field("mask", &[("h", 4), ("w", 6)], Numbers::U8(values), Selector::Masks, true)
}

fn written(steps: Vec<AugmentStep>, field: &Field, epoch: u64, edge: bool) -> Vec<f32> {
    let fields = ["image", "mask", "steer"].map(String::from).to_vec();
    let augmenter = Augmenter { lines: vec![Augment { fields, steps, edge }], seed: 7, ..Augmenter::default() };
    let examples: Vec<u32> = (0..COUNT as u32).collect();
    let mut out = Vec::new();
    augmenter.write(field, epoch, &examples, &mut out);
    // As the numbers of the points.
    let by = if field.prepared.dim.is_some() { 1.0 } else { 255.0 };
    out.iter().map(|x| (x * by).round()).collect()
}

fn plain() -> Vec<f32> {
    (0..24).map(|at| at as f32 + 100.0).collect()
}

#[test]
fn flips_are_drawn_and_numbers_change_their_sign() {
    let negate = vec![("steer".to_string(), 0)];
    let flip = || vec![AugmentStep::Flip { axis: 1, negate: negate.clone() }];
    let pictures = written(flip(), &picture(), 3, true);
    let masks = written(flip(), &mask(), 3, true);
    assert_eq!(pictures, masks);
    let steer =
        field("steer", &[("control", 2)], Numbers::F32(vec![255.0; 2 * COUNT]), Selector::ColumnsFrom(0), false);
    let signs = written(flip(), &steer, 3, true);
    let mut flipped = plain();
    flipped.chunks_exact_mut(6).for_each(<[f32]>::reverse);
    let mut count = 0;
    for (picture, sign) in pictures.chunks(24).zip(signs.chunks(2)) {
        let is_flipped = sign[0] < 0.0;
        assert_eq!(picture, if is_flipped { flipped.clone() } else { plain() });
        assert_eq!((sign[0].abs(), sign[1]), (255.0, 255.0));
        count += usize::from(is_flipped);
    }
    assert!((8..24).contains(&count), "{count}");
    assert_eq!(pictures, written(flip(), &picture(), 3, true));
    assert_ne!(pictures, written(flip(), &picture(), 4, true));
}

#[test]
fn shifts_show_the_edge_or_black() {
    let crop = || vec![AugmentStep::Crop { pad: 2 }];
    let black = written(crop(), &picture(), 0, false);
    assert!(black.contains(&0.0));
    for picture in black.chunks(24) {
        // Neighbours stay neighbours.
        let pairs = picture.chunks(6).flat_map(|row| row.windows(2));
        assert!(pairs.clone().all(|pair| pair[0] == 0.0 || pair[1] == 0.0 || pair[1] == pair[0] + 1.0));
    }
    let edge = written(crop(), &picture(), 0, true);
    assert!(edge.iter().all(|x| *x >= 100.0));
    assert_eq!(edge, written(crop(), &mask(), 0, true));
}

#[test]
fn turns_and_zooms_mix_points_but_never_classes() {
    let steps = || vec![AugmentStep::Rotate(20.0), AugmentStep::Zoom(0.3)];
    let masks = written(steps(), &mask(), 1, true);
    assert!(masks.iter().all(|x| (100.0..124.0).contains(x) && x.fract() == 0.0));
    let pictures = written(steps(), &picture(), 1, true);
    assert!(pictures.iter().all(|x| (100.0..124.0).contains(x)));
    assert_ne!(pictures, masks);
    let whole = vec![AugmentStep::Rotate(0.0), AugmentStep::Zoom(0.0)];
    assert_eq!(written(whole, &picture(), 1, true)[..24], plain()[..]);
}

#[test]
fn light_changes_pictures_alone() {
    for step in
        [AugmentStep::Brightness(0.5), AugmentStep::Contrast(0.5), AugmentStep::Noise(0.1), AugmentStep::Cutout(3)]
    {
        let pictures = written(vec![step.clone()], &picture(), 0, true);
        assert!(pictures.iter().all(|x| (0.0..=255.0).contains(x)), "{step:?}");
        assert_ne!(pictures[..24], plain()[..], "{step:?}");
        assert_eq!(written(vec![step], &mask(), 0, true)[..24], plain()[..]);
    }
}

/// Moves as they are defined, one point at a time.
fn by_definition([h, w, c]: [usize; 3], from: &[f32], moves: Move, (exact, edge): (bool, bool)) -> Vec<f32> {
    let middle = [(h as f64 - 1.0) / 2.0, (w as f64 - 1.0) / 2.0];
    let mut out = vec![];
    for at in 0..h * w * c {
        let (y, x, channel) = (at / c / w, at / c % w, at % c);
        let (dy, dx) = (y as f64 - middle[0], x as f64 - middle[1]);
        let [sy, sx] = [0, 1].map(|at| moves.turn[at][0] * dy + moves.turn[at][1] * dx + moves.by[at] + middle[at]);
        let point = |y: f64, x: f64| {
            let inside = y >= 0.0 && x >= 0.0 && y <= h as f64 - 1.0 && x <= w as f64 - 1.0;
            if !inside && !edge {
                return 0.0;
            }
            let (y, x) = (y.clamp(0.0, h as f64 - 1.0) as usize, x.clamp(0.0, w as f64 - 1.0) as usize);
            from[(y * w + x) * c + channel]
        };
        let (y, x) = (sy.floor(), sx.floor());
        let (fy, fx) = ((sy - y) as f32, (sx - x) as f32);
        let row = |y: f64| point(y, x) * (1.0 - fx) + point(y, x + 1.0) * fx;
        out.push(match exact {
            true => point((sy + 0.5).floor(), (sx + 0.5).floor()),
            false => row(y) * (1.0 - fy) + row(y + 1.0) * fy,
        });
    }
    out
}

#[test]
fn moves_are_bit_for_bit_what_they_are_defined_to_be() {
    let mut stream = Stream::new("moves", &[1]);
    for turn in 0..400 {
        let size = [1 + turn % 7, 1 + turn % 11, [1, 3, 2][turn % 3]];
        let from: Vec<f32> = (0..size.iter().product()).map(|_| stream.between(0.0, 255.0) as f32).collect();
        let angle = if turn % 2 == 0 { 0.0 } else { stream.between(-3.0, 3.0) };
        let (sin, cos) = f64::sin_cos(angle);
        let flip = if turn % 5 == 0 { -1.0 } else { 1.0 };
        let zoom = if turn % 4 == 0 { 1.0 } else { stream.between(0.3, 2.0) };
        let by = [0, 1].map(|_| if turn % 4 == 0 { stream.below(9) as f64 - 4.0 } else { stream.between(-3.0, 3.0) });
        let moves = Move { turn: [[cos * zoom, sin * zoom], [-sin * zoom, cos * zoom * flip]], by };
        for (exact, edge) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut out = vec![9.0; from.len()];
            Moved { size, from: &from, moves, edge }.write(exact, &mut out);
            assert_eq!(out, by_definition(size, &from, moves, (exact, edge)), "{turn} {exact} {edge}");
        }
    }
}

fn classes() -> Field {
    let values = (0..COUNT).map(|at| at as f32).collect();
    field("label", &[], Numbers::F32(values), Selector::Labels, true)
}

#[test]
fn examples_are_mixed_with_others_and_tell_so() {
    // Pictures after a flip, and a number that says which example it is.
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let flip = |fields: &[&str]| Augment {
        fields: names(fields),
        steps: vec![AugmentStep::Flip { axis: 1, negate: vec![] }],
        edge: true,
    };
    let mixup =
        Augment { fields: names(&["image", "label", "place"]), steps: vec![AugmentStep::Mixup(1.0)], edge: true };
    let among: Arc<[u32]> = (8..24).collect();
    let plain = Augmenter { lines: vec![flip(&["image"])], seed: 5, among: among.clone() };
    let mixed = Augmenter { lines: vec![flip(&["image"]), mixup], seed: 5, among };
    let place = field("place", &[], Numbers::F32((0..COUNT).map(|at| at as f32).collect()), Selector::Labels, false);
    let (image, label) = (picture(), classes());
    let examples: Vec<u32> = (8..24).collect();
    let written = |augmenter: &Augmenter, field: &Field, epoch: u64, examples: &[u32]| {
        let mut out = vec![];
        augmenter.write(field, epoch, examples, &mut out);
        out
    };
    let (mut own, mut whole) = (0, 0);
    for example in &examples {
        let mix = mixed.mix(&image, 2, *example).unwrap();
        assert_eq!(mixed.mix(&label, 2, *example), Some(mix), "all fields of the line");
        assert!(mix.share >= 0.5 && [mix.first, mix.second].contains(example) && examples.contains(&mix.second));
        own += usize::from(mix.first == *example);
        whole += usize::from(mix.first == mix.second);
        let blend = |a: f32, b: f32| mix.share * a + (1.0 - mix.share) * b;
        // What moves is moved before it is mixed, each as if it stood alone; bytes stay whole.
        let [a, b] = [mix.first, mix.second].map(|of| written(&plain, &image, 2, &[of]));
        let seen = written(&mixed, &image, 2, &[*example]);
        let near = seen.iter().zip(a.iter().zip(&b)).all(|(x, (a, b))| (x - blend(*a, *b)).abs() <= 0.5 / 255.0 + 1e-6);
        assert!(near, "{example}: {seen:?}");
        let [a, b] = [mix.first, mix.second].map(|of| written(&plain, &place, 2, &[of])[0]);
        assert_eq!(written(&mixed, &place, 2, &[*example]), [blend(a, b)]);
        // Of classes the larger part is seen, and the rest told besides.
        assert_eq!(written(&mixed, &label, 2, &[*example]), [mix.first as f32]);
        let (mut second, mut share) = (vec![], vec![9.0; 7]);
        mixed.tell(&label, mixup::Told::Second, 2, &[*example], &mut second);
        mixed.tell(&label, mixup::Told::Share, 2, &[*example], &mut share);
        assert_eq!((second, share), (vec![mix.second as f32], vec![mix.share]));
    }
    assert!((3..14).contains(&own) && whole < 6, "{own} {whole}");
    assert_eq!(written(&mixed, &image, 2, &examples), written(&mixed, &image, 2, &examples));
    assert_ne!(written(&mixed, &image, 2, &examples), written(&mixed, &image, 3, &examples));
}

#[test]
fn the_quick_way_is_the_long_one() {
    let colours = field(
        "image",
        &[("h", 4), ("w", 6), ("c", 3)],
        Numbers::U8((0..COUNT * 72).map(|at| (at * 7 % 256) as u8).collect()),
        Selector::Images,
        false,
    );
    let flip = |axis| AugmentStep::Flip { axis, negate: vec![] };
    let lines: [&[AugmentStep]; 5] = [
        &[flip(1)],
        &[flip(0), flip(1), AugmentStep::Shift { h: 2, w: 7 }],
        &[AugmentStep::Crop { pad: 2 }],
        &[AugmentStep::Shift { h: 9, w: 0 }, flip(1)],
        &[],
    ];
    let mut quick = 0;
    for (field, steps, edge) in [picture(), colours]
        .iter()
        .flat_map(|field| lines.iter().flat_map(move |steps| [true, false].map(move |edge| (field, *steps, edge))))
    {
        let line = Augment { fields: vec!["image".into()], steps: steps.to_vec(), edge };
        let augmenter = Augmenter { lines: vec![line], seed: 4, ..Augmenter::default() };
        let width = field.per_example();
        for example in 0..COUNT as u32 {
            let mut seen = vec![];
            augmenter.write(field, 1, &[example], &mut seen);
            let [mut values, mut room, mut wanted, mut direct] = [(); 4].map(|_| vec![0.0; width]);
            augmenter.one(field, 1, example, (&mut values, &mut room));
            field.stepped(&values, &mut wanted);
            assert_eq!(seen, wanted, "{steps:?} {edge} {example}");
            quick += usize::from(augmenter.picked(field, 1, example, &mut direct) && direct == wanted);
        }
    }
    assert_eq!(quick, 2 * 5 * 2 * COUNT, "all of these can go the quick way");
}
