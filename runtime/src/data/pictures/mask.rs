//! Masks: pictures whose points are classes. A palette's numbers count, not its colours.

use image::{DynamicImage, ImageFormat};

use super::Picture;
use super::decode::open;
use crate::data::error::{DataError, Result};

/// One picture of indices.
pub fn decode_mask(name: &str, bytes: &[u8]) -> Result<Picture> {
    let (decoder, format) = open(name, bytes)?;
    if format == ImageFormat::Jpeg {
        return Err(DataError::new("E0510", "a mask is a JPEG picture, whose values are not exact")
            .file(name)
            .help("save masks as PNG"));
    }
    if format == ImageFormat::Png
        && let Some(picture) = palette(name, bytes)?
    {
        return Ok(picture);
    }
    let picture = DynamicImage::from_decoder(decoder)
        .map_err(|error| DataError::new("E0510", format!("the mask cannot be decoded: {error}")).file(name))?;
    let (w, h) = (picture.width() as usize, picture.height() as usize);
    let values = match picture {
        DynamicImage::ImageLuma8(grey) => grey.into_raw(),
        DynamicImage::ImageLuma16(grey) => {
            let narrow: Option<Vec<u8>> = grey.into_raw().into_iter().map(|x| u8::try_from(x).ok()).collect();
            narrow.ok_or_else(|| DataError::new("E0510", "a mask of 16 bits has a value above 255").file(name))?
        }
        other => one_channel(name, &other)?,
    };
    Ok(Picture { h, w, c: 1, values })
}

/// Grey written as colours is grey; colours themselves say nothing about classes.
fn one_channel(name: &str, picture: &DynamicImage) -> Result<Vec<u8>> {
    let values = picture.to_rgb8().into_raw();
    let points = values.as_chunks::<3>().0;
    match points.iter().position(|[r, g, b]| r != g || g != b) {
        None => Ok(points.iter().map(|[r, _, _]| *r).collect()),
        Some(at) => {
            let [r, g, b] = points.get(at).copied().unwrap_or_default();
            let (row, column) = (at / picture.width() as usize, at % picture.width() as usize);
            let message = format!("the mask has colours, and a class is a number: {r}, {g}, {b}");
            Err(DataError::new("E0510", message)
                .file(name)
                .note(format!("row {row}, column {column}"))
                .help("save masks as grey or palette PNG whose values are the classes"))
        }
    }
}

/// The indices of a PNG with a palette, or of one with fewer than 8 bits; `None` for any other.
fn palette(name: &str, bytes: &[u8]) -> Result<Option<Picture>> {
    let fail =
        |error: png::DecodingError| DataError::new("E0510", format!("the mask cannot be decoded: {error}")).file(name);
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(fail)?;
    let info = reader.info();
    let bits = match (info.color_type, info.bit_depth) {
        (png::ColorType::Indexed, depth) => depth as usize,
        (png::ColorType::Grayscale, depth) if (depth as usize) < 8 => depth as usize,
        _ => return Ok(None),
    };
    let (h, w) = (info.height as usize, info.width as usize);
    let Some(size) = reader.output_buffer_size() else {
        return Err(DataError::new("E0510", "the mask is too large").file(name));
    };
    let mut packed = vec![0; size];
    let line = reader.next_frame(&mut packed).map_err(fail)?.line_size;
    let mut values = Vec::with_capacity(h * w);
    for row in packed.chunks(line.max(1)).take(h) {
        let of = |x: usize| {
            let byte = row.get(x * bits / 8).copied().unwrap_or(0);
            let shift = 8 - bits - x * bits % 8;
            (byte >> shift) & (0xff >> (8 - bits))
        };
        values.extend((0..w).map(of));
    }
    Ok(Some(Picture { h, w, c: 1, values }))
}
