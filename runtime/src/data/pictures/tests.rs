//! Pictures of all kinds, and files that are none.

#[path = "../../../tests/tar/mod.rs"]
mod tar;

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, RgbaImage};

use super::geometry::{Mixing, apply, resize};
use super::mask::decode_mask;
use super::*;
use crate::data::bytes::Limits;
use crate::data::dataset::{Dataset, load};
use crate::data::error::Result;
use crate::data::spec::*;
use crate::data::split::Part;
use tar::tar;

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.into().write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// 3 x 2 points, none like another.
fn colours() -> RgbImage {
    RgbImage::from_fn(3, 2, |x, y| image::Rgb([40 * x as u8, 90 * y as u8, 200 - 50 * x as u8]))
}

fn grey(w: u32, h: u32, value: impl Fn(u32, u32) -> u8) -> GrayImage {
    GrayImage::from_fn(w, h, |x, y| image::Luma([value(x, y)]))
}

#[test]
fn formats_say_the_same() {
    let png = decode("a.png", &encoded(colours(), ImageFormat::Png), Some(3)).unwrap();
    assert_eq!((png.h, png.w, png.c), (2, 3, 3));
    assert_eq!(png.values, colours().into_raw());
    for format in [ImageFormat::Bmp, ImageFormat::Pnm] {
        assert_eq!(decode("a", &encoded(colours(), format), Some(3)).unwrap(), png, "{format:?}");
    }
    let flat = RgbImage::from_pixel(32, 16, image::Rgb([200, 100, 50]));
    let jpeg = decode("a.jpg", &encoded(flat, ImageFormat::Jpeg), Some(3)).unwrap();
    assert_eq!((jpeg.h, jpeg.w), (16, 32));
    assert!(jpeg.values.iter().zip([200u8, 100, 50].iter().cycle()).all(|(a, b)| a.abs_diff(*b) < 4));
}

#[test]
fn grey_alpha_and_sixteen_bits() {
    let picture = encoded(grey(2, 1, |x, _| 10 + x as u8), ImageFormat::Png);
    assert_eq!(decode("g", &picture, None).unwrap().values, [10, 11]);
    assert_eq!(decode("g", &picture, Some(3)).unwrap().values, [10, 10, 10, 11, 11, 11]);
    let wide = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(2, 1, vec![65535u16, 257 * 7]).unwrap();
    let wide = encoded(DynamicImage::ImageLuma16(wide), ImageFormat::Png);
    assert_eq!(decode("w", &wide, Some(1)).unwrap().values, [255, 7]);
    let clear = encoded(RgbaImage::from_pixel(1, 1, image::Rgba([1, 2, 3, 0])), ImageFormat::Png);
    assert_eq!(decode("c", &clear, Some(3)).unwrap().values, [1, 2, 3]);
    assert_eq!(decode("c", &clear, Some(4)).unwrap().values, [1, 2, 3, 0]);
    let error = decode("a", &encoded(colours(), ImageFormat::Png), Some(1)).unwrap_err();
    assert!(error.help.unwrap().contains("gray"));
}

#[test]
fn a_palette_is_indices_in_masks_and_colours_in_pictures() {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 5, 1);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Two);
    encoder.set_palette(vec![0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255]);
    encoder.write_header().unwrap().write_image_data(&[0b00_01_10_11, 0b01_00_00_00]).unwrap();
    assert_eq!(decode_mask("m", &bytes).unwrap().values, [0, 1, 2, 3, 1]);
    assert_eq!(decode("m", &bytes, Some(3)).unwrap().values[3..6], [255, 0, 0]);
    let colours = decode_mask("m", &encoded(colours(), ImageFormat::Png)).unwrap_err();
    assert_eq!(colours.code, "E0510");
    let jpeg = decode_mask("m", &encoded(grey(8, 8, |_, _| 1), ImageFormat::Jpeg)).unwrap_err();
    assert!(jpeg.message.contains("JPEG"));
}

/// A JPEG whose EXIF block says how the camera was held.
fn turned(orientation: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(16, 8, |x, _| if x < 8 { image::Rgb([255; 3]) } else { image::Rgb([0; 3]) });
    let jpeg = encoded(picture, ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() + 2) as u16;
    let mut out = vec![0xff, 0xd8, 0xff, 0xe1];
    out.extend(length.to_be_bytes());
    out.extend(exif);
    out.extend(&jpeg[2..]);
    out
}

#[test]
fn pictures_stand_as_the_camera_was_held() {
    let plain = decode("p", &turned(1), Some(3)).unwrap();
    assert_eq!((plain.h, plain.w), (8, 16));
    let right = decode("p", &turned(6), Some(3)).unwrap();
    assert_eq!((right.h, right.w), (16, 8));
    assert!(right.values[0] > 200 && right.values[right.values.len() - 1] < 50);
    let half = decode("p", &turned(3), Some(3)).unwrap();
    assert!(half.values[0] < 50);
}

#[test]
fn what_is_no_picture_is_refused() {
    let code = |bytes: &[u8]| decode("x.jpg", bytes, Some(3)).unwrap_err();
    assert_eq!(code(b"").code, "E0510");
    assert_eq!(code(b"hello, this is text").code, "E0510");
    let jpeg = encoded(RgbImage::from_pixel(64, 64, image::Rgb([9, 99, 199])), ImageFormat::Jpeg);
    for cut in [2, 20, 200, jpeg.len() / 2, jpeg.len() - 2] {
        let error = code(&jpeg[..cut]);
        assert_eq!((error.code, error.file.as_deref()), ("E0510", Some("x.jpg")), "{cut}");
    }
    let png = encoded(colours(), ImageFormat::Png);
    for cut in [8, 20, 40, png.len() - 20] {
        assert_eq!(code(&png[..cut]).code, "E0510", "{cut}");
    }
    assert_eq!(decode("one", &encoded(grey(1, 1, |_, _| 3), ImageFormat::Png), None).unwrap().values, [3]);
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 30_000, 30_000);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_chunk(png::chunk::IDAT, &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]).unwrap();
    drop(writer);
    let error = decode("bomb.png", &bytes, None).unwrap_err();
    assert!(error.message.contains("30,000 x 30,000"), "{error}");
    assert!(decode_mask("bomb.png", &bytes).unwrap_err().message.contains("30,000 x 30,000"));
    let pnm = decode("bomb.ppm", b"P6 30000 30000 255\n", Some(3)).unwrap_err();
    assert!(pnm.message.contains("30,000 x 30,000"), "{pnm}");
}

#[test]
fn sizes() {
    let row = Picture { h: 1, w: 4, c: 1, values: vec![0, 100, 200, 40] };
    assert_eq!(resize(row.clone(), 1, 2, Mixing::Nearest).values, [100, 40]);
    assert_eq!(resize(row.clone(), 2, 4, Mixing::Linear).values, [0, 100, 200, 40, 0, 100, 200, 40]);
    // Triangles twice as wide: 3/7, 3/7 and 1/7 at the edges.
    assert_eq!(resize(row.clone(), 1, 2, Mixing::Linear).values, [71, 117]);
    let cut = apply(row.clone(), &PictureStep::Crop { top: 0, bottom: 0, left: 1, right: 1 }, Mixing::Linear);
    assert_eq!((cut.w, cut.values), (2, vec![100, 200]));
    let boxed = apply(row, &PictureStep::Letterbox { h: 4, w: 4 }, Mixing::Linear);
    assert_eq!((boxed.h, boxed.w, boxed.values[0], boxed.values[4]), (4, 4, 114, 0));
    let colour = Picture { h: 1, w: 1, c: 3, values: vec![255, 0, 0] };
    assert_eq!(apply(colour, &PictureStep::Gray, Mixing::Linear).values, [76]);
}

#[test]
fn two_comes_before_ten() {
    let mut names = ["b10", "b2", "a", "b02", "b1c", "b1"];
    names.sort_by(|a, b| natural(a, b));
    assert_eq!(names, ["a", "b1", "b1c", "b02", "b2", "b10"]);
}

fn axis(name: &str, size: usize) -> AxisSpec {
    AxisSpec { name: name.into(), size: Some(size), most: None }
}

fn field(name: &str, from: Selector, steps: Vec<PictureStep>) -> FieldSpec {
    let shape = vec![axis("h", 2), axis("w", 3), axis("c", 3)];
    let steps = steps.into_iter().map(FieldStep::Picture).collect();
    FieldSpec { name: name.into(), place: (1, 2), dim: None, shape, from, steps }
}

fn label() -> FieldSpec {
    let dim = Some(DimSpec { name: "pet".into(), size: None, names: vec![] });
    FieldSpec { dim, shape: vec![], ..field("pet", Selector::Folder, vec![]) }
}

fn read(dir: &Path, source: Source, fields: Vec<FieldSpec>, split: Split) -> Result<Dataset> {
    let place = (0, 1);
    let spec = DataSpec { name: "d".into(), place, source, source_place: place, fields, split, split_place: place };
    load(&spec, dir, Limits::default())
}

fn folders_of(path: &str, skip_broken: bool) -> Source {
    Source::Folders { path: path.into(), skip_broken }
}

const ALL: Split = Split::InOrder { train: 1.0, val: 0.0, test: 0.0 };

fn save(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn folders_and_archives_are_the_same_data() {
    let dir = tempfile::tempdir().unwrap();
    let shade = |value: u8| encoded(RgbImage::from_pixel(3, 2, image::Rgb([value; 3])), ImageFormat::Png);
    let files = [("cat/10.png", shade(1)), ("cat/9.png", shade(2)), ("dog/1.png", shade(3))];
    let mut entries: Vec<(String, &[u8])> = Vec::new();
    for (name, bytes) in &files {
        save(dir.path(), &format!("pets/train/{name}"), bytes);
        save(dir.path(), &format!("pets/test/{name}"), bytes);
        entries.push((format!("train/{name}"), bytes));
    }
    let entries: Vec<(&str, &[u8])> = entries.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    save(dir.path(), "a/train.tar", &tar(&entries));
    save(dir.path(), "a/test.tar", &tar(&entries[..1]));
    let fields = || vec![field("x", Selector::Images, vec![]), label()];
    let files = || Split::Files { val: 0.0, seed: 0 };
    let data = read(dir.path(), folders_of("pets/{part}", false), fields(), files()).unwrap();
    assert_eq!((data.part(Part::Train), data.part(Part::Test)), (&[0, 1, 2][..], &[3, 4, 5][..]));
    let firsts = |data: &Dataset| {
        let mut out = vec![0.0; 18 * 3];
        data.batch("x", &[0, 1, 2], &mut out);
        out.iter().step_by(18).copied().collect::<Vec<f32>>()
    };
    assert_eq!(firsts(&data), [2.0, 1.0, 3.0]);
    assert_eq!(data.field("pet").unwrap().classes(), Some(&[0, 0, 1, 0, 0, 1][..]));
    let packed = read(dir.path(), folders_of("a/{part}.tar", false), fields(), files()).unwrap();
    assert_eq!((firsts(&packed), packed.part(Part::Test)), (firsts(&data), &[3][..]));
    let whole = read(dir.path(), folders_of("pets", false), fields(), files()).err().unwrap();
    assert!(whole.help.unwrap().contains("{part}"));
    let bytes = std::fs::read(dir.path().join("a/train.tar")).unwrap();
    save(dir.path(), "cut.tar", &bytes[..600]);
    let cut = read(dir.path(), folders_of("cut.tar", false), fields(), ALL).err().unwrap();
    assert_eq!((cut.code, cut.file.as_deref()), ("E0502", Some("cut.tar")));
    save(dir.path(), "noise.tar", &[7; 2048]);
    assert_eq!(read(dir.path(), folders_of("noise.tar", false), fields(), ALL).err().unwrap().code, "E0502");
}

#[test]
fn broken_files_are_named_and_left_out_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let good = encoded(colours(), ImageFormat::Png);
    save(dir.path(), "p/cat/1.png", &good);
    save(dir.path(), "p/cat/2.png", b"nothing");
    save(dir.path(), "p/dog/3.png", &good);
    save(dir.path(), "p/dog/4.png", &good[..30]);
    let fields = || vec![field("x", Selector::Images, vec![]), label()];
    let error = read(dir.path(), folders_of("p", false), fields(), ALL).err().unwrap();
    assert_eq!((error.code, error.file.as_deref()), ("E0510", Some("p/cat/2.png")));
    assert!(error.notes.iter().any(|note| note.contains("p/dog/4.png")), "{error}");
    let data = read(dir.path(), folders_of("p", true), fields(), ALL).unwrap();
    assert_eq!((data.count, data.notes.len()), (2, 2));
    assert_eq!(data.field("pet").unwrap().classes(), Some(&[0, 1][..]));
    let mut small = field("x", Selector::Images, vec![]);
    small.shape = vec![axis("h", 4), axis("w", 4), axis("c", 3)];
    let error = read(dir.path(), folders_of("p", false), vec![small.clone(), label()], ALL).err().unwrap();
    assert_eq!((error.code, error.file.as_deref()), ("E0511", Some("p/cat/1.png")));
    small.steps = vec![FieldStep::Picture(PictureStep::Resize { h: 4, w: 4, nearest: false })];
    assert_eq!(read(dir.path(), folders_of("p", true), vec![small, label()], ALL).unwrap().count, 2);
    save(dir.path(), "flat/1.png", &good);
    assert_eq!(read(dir.path(), folders_of("flat", false), fields(), ALL).err().unwrap().code, "E0502");
    assert_eq!(read(dir.path(), folders_of("none", false), fields(), ALL).err().unwrap().code, "E0501");
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    assert_eq!(read(dir.path(), folders_of("empty", false), fields(), ALL).err().unwrap().code, "E0502");
}

fn mask(steps: Vec<PictureStep>) -> FieldSpec {
    let dim = Some(DimSpec { name: "area".into(), size: Some(2), names: vec![] });
    FieldSpec { dim, shape: vec![axis("h", 2), axis("w", 3)], ..field("m", Selector::Masks, steps) }
}

#[test]
fn masks_belong_to_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let png = |f: &dyn Fn(u32, u32) -> u8| encoded(grey(3, 2, f), ImageFormat::Png);
    for name in ["1", "2", "10"] {
        save(dir.path(), &format!("i/{name}.jpg"), &encoded(colours(), ImageFormat::Jpeg));
        save(dir.path(), &format!("m/{name}.png"), &png(&|x, y| if x == 2 { 7 } else { 255 * y as u8 }));
    }
    let source = || Source::Pairs { images: "i".into(), masks: "m".into(), skip_broken: false };
    let of = |steps: Vec<PictureStep>| {
        read(dir.path(), source(), vec![field("x", Selector::Images, vec![]), mask(steps)], ALL)
    };
    let all = vec![PictureStep::Levels(vec![0, 255]), PictureStep::Ignore(7)];
    let data = of(all.clone()).unwrap();
    let mut out = vec![9.0; 6];
    data.batch("m", &[2], &mut out);
    assert_eq!(out, [0.0, 0.0, 2.0, 1.0, 1.0, 2.0]);
    let levels = of(vec![PictureStep::Levels(vec![0, 255])]).err().unwrap();
    assert_eq!((levels.code, levels.file.as_deref()), ("E0507", Some("m/1.png")));
    assert_eq!(levels.notes[0], "row 0, column 2");
    assert!(of(vec![]).err().unwrap().message.contains("class 7"));
    save(dir.path(), "m/2.png", &encoded(grey(4, 2, |_, _| 0), ImageFormat::Png));
    let other = of(all.clone()).err().unwrap();
    assert_eq!((other.code, other.file.as_deref()), ("E0511", Some("m/2.png")));
    std::fs::remove_file(dir.path().join("m/2.png")).unwrap();
    assert!(of(all.clone()).err().unwrap().message.contains("i/2.jpg"));
    std::fs::remove_file(dir.path().join("i/2.jpg")).unwrap();
    save(dir.path(), "m/3.png", &png(&|_, _| 0));
    assert!(of(all).err().unwrap().message.contains("m/3.png"));
}

#[test]
fn a_table_names_pictures() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in [("a", 1), ("b", 2)] {
        save(dir.path(), &format!("drive/IMG/{name}.png"), &encoded(grey(3, 2, |_, _| value), ImageFormat::Png));
    }
    save(dir.path(), "drive/log.csv", b"center,steer\nIMG/b.png,0.5\nIMG/a.png,-0.5\n");
    let source = || Source::Csv {
        path: "drive/log.csv".into(),
        header: true,
        skip: 0,
        separator: None,
        missing: vec![],
        decimal: '.',
        root: Some("drive".into()),
        encoding: Encoding::Utf8,
    };
    let camera = || field("x", Selector::Picture(ColumnRef::Named("center".into())), vec![]);
    let data = read(dir.path(), source(), vec![camera()], ALL).unwrap();
    let mut out = vec![0.0; 36];
    data.batch("x", &[0, 1], &mut out);
    assert_eq!((out[0], out[35]), (2.0, 1.0));
    std::fs::remove_file(dir.path().join("drive/IMG/a.png")).unwrap();
    let error = read(dir.path(), source(), vec![camera()], ALL).err().unwrap();
    assert_eq!((error.code, error.file.as_deref()), ("E0501", Some("drive/IMG/a.png")));
}
