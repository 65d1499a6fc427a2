//! Colours: of classes, of quantities, of paper and ink.

/// Red, green, blue.
pub type Colour = [u8; 3];

pub const BACK: Colour = [255, 255, 255];
pub const INK: Colour = [24, 24, 27];
pub const GRAY: Colour = [228, 228, 231];

/// Twenty that people tell apart (Trubetskoy's), strongest first.
const CLASSES: [Colour; 20] = [
    [230, 25, 75],
    [0, 130, 200],
    [60, 180, 75],
    [245, 130, 48],
    [145, 30, 180],
    [255, 225, 25],
    [70, 240, 240],
    [240, 50, 230],
    [128, 0, 0],
    [0, 0, 128],
    [170, 110, 40],
    [0, 128, 128],
    [210, 245, 60],
    [250, 190, 212],
    [128, 128, 0],
    [220, 190, 255],
    [170, 255, 195],
    [255, 215, 180],
    [128, 128, 128],
    [255, 250, 200],
];

/// The colour of a class; further classes take the same colours, darker.
pub fn class_colour(class: usize) -> Colour {
    let round = class / CLASSES.len() % 3;
    CLASSES[class % CLASSES.len()].map(|part| (usize::from(part) * (3 - round) / 3) as u8)
}

/// The number of the colour that a class of points has among classes of these names. The background keeps the colours of the picture; where it
/// comes first, the others have the colours that they have without it: those of boxes around the same things.
pub fn colour_of_points(class: usize, names: &[String]) -> Option<usize> {
    let is_background = |name: &String| name.eq_ignore_ascii_case("background");
    match names.get(class).is_some_and(is_background) {
        true => None,
        false => Some(class - usize::from(class > 0 && names.first().is_some_and(is_background))),
    }
}

/// Whether dark text is read on it.
pub fn is_light([red, green, blue]: Colour) -> bool {
    u32::from(red) * 299 + u32::from(green) * 587 + u32::from(blue) * 114 > 140_000
}

/// From white (0) to a deep blue (1).
pub fn ramp(share: f64) -> Colour {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let mix = |from: f64, to: f64| (from + (to - from) * share).round() as u8;
    [mix(255.0, 8.0), mix(255.0, 48.0), mix(255.0, 107.0)]
}
