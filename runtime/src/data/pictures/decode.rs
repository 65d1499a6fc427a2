//! Bytes of a file to points: PNG, JPEG, BMP, GIF (its first picture) and PNM, turned as EXIF says.

use std::io::Cursor;

use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{MOST_POINTS, Picture};
use crate::data::error::{DataError, Result, grouped};

/// Formats that can be read.
const KNOWN: &str = "PNG, JPEG, BMP, GIF and PNM can be read";

/// One colour picture; `channels` as wanted, or as the file has them.
pub fn decode(name: &str, bytes: &[u8], channels: Option<usize>) -> Result<Picture> {
    let (decoder, _) = open(name, bytes)?;
    let picture = whole(name, bytes, decoder)?;
    let natural = match picture.color() {
        ColorType::L8 | ColorType::L16 | ColorType::La8 | ColorType::La16 => 1,
        _ => 3,
    };
    let (w, h) = (picture.width() as usize, picture.height() as usize);
    let c = channels.unwrap_or(natural);
    let values = match (c, natural) {
        (1, 1) => picture.into_luma8().into_raw(),
        (1, _) => {
            let message = "the picture has colours, and the field has one channel";
            return Err(DataError::new("E0510", message).file(name).help("make it grey: `images |> gray`"));
        }
        (4, _) => picture.into_rgba8().into_raw(),
        _ => picture.into_rgb8().into_raw(),
    };
    Ok(Picture { h, w, c, values })
}

/// Height and width of a picture as it is shown; only its header is read.
pub fn size(name: &str, bytes: &[u8]) -> Result<(usize, usize)> {
    use image::metadata::Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    let (mut decoder, _) = open(name, bytes)?;
    let (w, h) = decoder.dimensions();
    let turned = matches!(decoder.orientation(), Ok(Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH));
    Ok(if turned { (w as usize, h as usize) } else { (h as usize, w as usize) })
}

/// Looks at the header: nothing is decoded before its size is known to be bearable.
pub(super) fn open<'a>(name: &str, bytes: &'a [u8]) -> Result<(Box<dyn ImageDecoder + 'a>, ImageFormat)> {
    let fail = |message: String| DataError::new("E0510", message).file(name);
    if bytes.is_empty() {
        return Err(fail("the picture is an empty file".into()).help("fetch it again"));
    }
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| fail(format!("the picture cannot be read: {error}")))?;
    let Some(format) = reader.format() else {
        return Err(fail("the file is no picture of a known format".into()).help(KNOWN));
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(16 * MOST_POINTS);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| broken(name, &error))?;
    let (w, h) = decoder.dimensions();
    if w == 0 || h == 0 {
        return Err(fail(format!("the picture is {w} x {h}: it has no points")));
    }
    if u64::from(w) * u64::from(h) > MOST_POINTS {
        let message = format!("the picture says it is {} x {} points", grouped(w as usize), grouped(h as usize));
        let most = format!("at most {} points are decoded", grouped(MOST_POINTS as usize));
        return Err(fail(message).note(most).help("make a smaller picture of it"));
    }
    Ok((Box::new(decoder), format))
}

fn whole<'a>(name: &str, bytes: &[u8], mut decoder: Box<dyn ImageDecoder + 'a>) -> Result<DynamicImage> {
    let turned = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| broken(name, &error))?;
    if bytes.starts_with(&[0xff, 0xd8]) && !jpeg_ends(bytes) {
        return Err(cut_short(name));
    }
    picture.apply_orientation(turned);
    Ok(picture)
}

fn cut_short(name: &str) -> Box<DataError> {
    DataError::new("E0510", "the picture is cut short").file(name).help("fetch the file again")
}

fn broken(name: &str, error: &ImageError) -> Box<DataError> {
    let ended = |error: &std::io::Error| error.kind() == std::io::ErrorKind::UnexpectedEof;
    match error {
        ImageError::IoError(error) if ended(error) => cut_short(name),
        ImageError::Unsupported(_) => {
            DataError::new("E0510", "the file is no picture of a known format").file(name).help(KNOWN)
        }
        error => {
            let text: String = error.to_string().chars().take(200).collect();
            let text = text.replace(char::is_control, " ");
            DataError::new("E0510", format!("the picture cannot be decoded: {text}")).file(name)
        }
    }
}

/// Whether the data of a JPEG file comes to its end mark: decoders fill what is missing with grey.
fn jpeg_ends(bytes: &[u8]) -> bool {
    // Segments carry their lengths; a preview among them has an end mark of its own.
    let mut at = 2;
    loop {
        let (Some(0xff), Some(mark)) = (bytes.get(at), bytes.get(at + 1)) else { return false };
        match mark {
            0xff => at += 1,
            0xda => break,
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => match (bytes.get(at + 2), bytes.get(at + 3)) {
                (Some(high), Some(low)) => at += 2 + usize::from(*high) * 256 + usize::from(*low),
                _ => return false,
            },
        }
    }
    bytes.get(at..).is_some_and(|scan| scan.windows(2).any(|pair| pair == [0xff, 0xd9]))
}
