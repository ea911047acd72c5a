//! A QR code as a PNG: apps' cameras read it from any page that can show an image.

use base64::prelude::{BASE64_STANDARD, Engine};
use png::{BitDepth, ColorType, Encoder};
use qrcodegen::{QrCode, QrCodeEcc};
use zeroize::Zeroizing;

use crate::base::Failure;

/// Pixels of one module.
const SCALE: usize = 6;
/// Modules of white margin (ISO/IEC 18004 asks for four).
const MARGIN: usize = 4;

/// `text` as `data:image/png;base64,…`.
///
/// # Errors
/// `internal` where the text is longer than a QR code can be.
pub fn data_uri(text: &str) -> Result<String, Failure> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium)
        .map_err(|e| Failure::internal(e.to_string()))?;
    let modules = usize::try_from(code.size()).map_err(Failure::internal)?;
    let pixels = (modules + 2 * MARGIN) * SCALE;
    let is_dark = |x: usize, y: usize| {
        let module = |pixel: usize| {
            i32::try_from(pixel / SCALE)
                .unwrap_or(i32::MAX)
                .saturating_sub(MARGIN as i32)
        };
        code.get_module(module(x), module(y))
    };
    let mut bits = Zeroizing::new(Vec::with_capacity(pixels * pixels.div_ceil(8)));
    for y in 0..pixels {
        for byte in 0..pixels.div_ceil(8) {
            // A set bit is white; what hangs over at the end of a line is nobody's.
            bits.push((0..8).fold(0u8, |bits, bit| {
                bits << 1 | u8::from(!is_dark(byte * 8 + bit, y))
            }));
        }
    }
    let mut image = Vec::new();
    let side = u32::try_from(pixels).map_err(Failure::internal)?;
    let mut encoder = Encoder::new(&mut image, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    let mut writer = encoder.write_header().map_err(Failure::internal)?;
    writer.write_image_data(&bits).map_err(Failure::internal)?;
    writer.finish().map_err(Failure::internal)?;
    Ok(format!(
        "data:image/png;base64,{}",
        BASE64_STANDARD.encode(&image)
    ))
}
