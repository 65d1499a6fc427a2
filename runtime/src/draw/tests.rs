//! Canvases in numbers: what is drawn where.

use super::*;

/// What is outside is left out, wherever it is.
#[test]
fn nothing_is_drawn_outside() {
    let mut canvas = Canvas::new(4, 3, BACK);
    canvas.fill(Area { x: -2, y: 1, w: 4, h: usize::MAX }, INK);
    canvas.frame(Area { x: i64::MAX - 1, y: i64::MIN, w: 9, h: 9 }, 2, INK);
    canvas.text("far away", (i64::MIN, i64::MAX), INK);
    let dark: Vec<(usize, usize)> =
        (0..12).map(|i| (i % 4, i / 4)).filter(|&(x, y)| canvas.get(x, y) == Some(INK)).collect();
    assert_eq!(dark, [(0, 1), (1, 1), (0, 2), (1, 2)]);
    assert_eq!(canvas.get(4, 0), None);
}

#[test]
fn values_are_scaled_and_zoomed() {
    let canvas = Canvas::of_values(&[-1.0, 0.0, 1.0, 9.0], [2, 2, 1], (-1.0, 1.0), 3);
    assert_eq!((canvas.width, canvas.height), (6, 6));
    assert_eq!((canvas.get(2, 2), canvas.get(3, 2)), (Some([0; 3]), Some([128; 3])));
    assert_eq!((canvas.get(0, 3), canvas.get(5, 5)), (Some([255; 3]), Some([255; 3])));
    // Numbers that are none, and too few of them.
    assert_eq!(Canvas::of_values(&[f32::NAN], [1, 2, 3], (0.0, 0.0), 1).get(1, 0), Some([0; 3]));
}

#[test]
fn text_leaves_ink() {
    let mut canvas = Canvas::new(40, LINE, BACK);
    canvas.text("Ab\n", (0, 0), INK);
    let inked = |from: usize, to: usize| (from..to).any(|x| (0..LINE).any(|y| canvas.get(x, y) == Some(INK)));
    assert!(inked(0, 7) && inked(7, 14) && !inked(14, 40));
    assert_eq!(text_width("Ab"), 14);
}

#[test]
fn a_sheet_holds_all_cells_and_is_a_png() {
    let cell = |colour| Cell::new(Canvas::new(10, 6, colour), vec!["a".into(), "longer".into()]);
    let made = sheet("three", &[cell(INK), cell([1, 2, 3]), cell([4, 5, 6])], 2);
    let found = |colour| (0..made.width).any(|x| (0..made.height).any(|y| made.get(x, y) == Some(colour)));
    assert!(found([1, 2, 3]) && found([4, 5, 6]));
    let read = image::load_from_memory(&made.png().unwrap()).unwrap().to_rgb8();
    assert_eq!((read.width() as usize, read.height() as usize), (made.width, made.height));
    assert_eq!(sheet("", &[], 0).width, 17);
}

#[test]
fn classes_have_colours_of_their_own() {
    let all: std::collections::BTreeSet<Colour> = (0..40).map(class_colour).collect();
    assert_eq!(all.len(), 40);
    assert_eq!((ramp(0.0), ramp(f64::NAN), ramp(7.0)), (BACK, BACK, [8, 48, 107]));
}

#[test]
fn the_background_has_no_colour() {
    let names = ["background", "circle", "square"].map(String::from);
    assert_eq!([0, 1, 2, 3].map(|class| colour_of_points(class, &names)), [None, Some(0), Some(1), Some(2)]);
    assert_eq!([0, 1, 2].map(|class| colour_of_points(class, &names[1..])), [Some(0), Some(1), Some(2)]);
    assert_eq!(colour_of_points(7, &[]), Some(7));
    let drawn = legend(&[(None, "background".into()), (Some(0), "circle".into())]);
    assert_eq!((drawn.get(5, 7), drawn.get(5, 22)), (Some(BACK), Some(class_colour(0))));
}
