//! Images that browsers show, recognised by what they hold.

use std::fmt;

/// The most bytes that an image may have.
pub const MOST_BYTES: usize = 64 * 1024;

/// The name that makes elements SVG's. Without it browsers show nothing.
const NAMESPACE: &str = "http://www.w3.org/2000/svg";

/// A format that browsers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    WebP,
    /// SVG, as plain text.
    Svg,
}

impl ImageKind {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            ImageKind::Png => "image/png",
            ImageKind::Jpeg => "image/jpeg",
            ImageKind::WebP => "image/webp",
            ImageKind::Svg => "image/svg+xml",
        }
    }

    /// How a file's name ends.
    pub fn ending(self) -> &'static str {
        match self {
            ImageKind::Png => "png",
            ImageKind::Jpeg => "jpg",
            ImageKind::WebP => "webp",
            ImageKind::Svg => "svg",
        }
    }
}

/// An image of at most [`MOST_BYTES`]. `Debug` shows its kind and size.
#[derive(Clone)]
pub struct Image {
    kind: ImageKind,
    bytes: Vec<u8>,
}

/// Why bytes are no image for the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoImage {
    /// There are too many of them.
    #[error("it is larger than 64 KiB")]
    TooLarge,
    /// They are of no kind that is taken.
    #[error("it holds none of PNG, SVG, WebP and JPEG")]
    Unknown,
    /// They are an SVG that browsers would not show.
    #[error(
        "it is an SVG without xmlns=\"http://www.w3.org/2000/svg\", which browsers do not show"
    )]
    NoNamespace,
}

impl Image {
    /// The image that `bytes` are, whatever their file was called.
    ///
    /// # Errors
    /// [`NoImage`].
    pub fn new(bytes: Vec<u8>) -> Result<Image, NoImage> {
        if bytes.len() > MOST_BYTES {
            return Err(NoImage::TooLarge);
        }
        let kind = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            ImageKind::Png
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            ImageKind::Jpeg
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            ImageKind::WebP
        } else {
            let text = std::str::from_utf8(&bytes).map_err(|_| NoImage::Unknown)?;
            let root = root(text).ok_or(NoImage::Unknown)?;
            if !root.contains(NAMESPACE) {
                return Err(NoImage::NoNamespace);
            }
            ImageKind::Svg
        };
        Ok(Image { kind, bytes })
    }

    /// Its format.
    pub fn kind(&self) -> ImageKind {
        self.kind
    }

    /// As it was given.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({:?}, {} bytes)", self.kind, self.bytes.len())
    }
}

/// The start tag of an SVG's outermost element, behind what may stand before it.
fn root(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    loop {
        rest = rest.trim_start();
        rest = if let Some(comment) = rest.strip_prefix("<!--") {
            comment.split_once("-->")?.1
        } else if let Some(instruction) = rest.strip_prefix("<?") {
            instruction.split_once("?>")?.1
        } else if let Some(kind) = rest.strip_prefix("<!DOCTYPE") {
            let (kind, after) = kind.split_once('>')?;
            // Entities of its own: no drawing program needs them, and they can grow without end.
            if kind.contains('[') {
                return None;
            }
            after
        } else {
            let tag = rest.split_once('>')?.0;
            let name = tag
                .strip_prefix('<')?
                .split([' ', '\t', '\r', '\n', '/'])
                .next()?;
            let local = name.rsplit(':').next()?;
            return (local == "svg").then_some(tag);
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(bytes: &[u8]) -> Result<ImageKind, NoImage> {
        Image::new(bytes.to_vec()).map(|image| image.kind())
    }

    #[test]
    fn an_image_is_known_by_what_it_holds() {
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n...."), Ok(ImageKind::Png));
        assert_eq!(kind(b"\xff\xd8\xff\xe0"), Ok(ImageKind::Jpeg));
        assert_eq!(kind(b"RIFF\x10\0\0\0WEBPVP8 "), Ok(ImageKind::WebP));
        let svgs = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- <html> -->\n<!DOCTYPE svg PUBLIC \"a\" \"b\">\n\
             <svg\n xmlns='http://www.w3.org/2000/svg'><path/></svg>",
            "<svg:svg xmlns:svg=\"http://www.w3.org/2000/svg\"></svg:svg>",
        ];
        for svg in svgs {
            assert_eq!(kind(svg.as_bytes()), Ok(ImageKind::Svg), "{svg}");
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let bare = b"<svg viewBox=\"0 0 1 1\"></svg>";
        assert_eq!(kind(bare), Err(NoImage::NoNamespace));
        let none: [&[u8]; 12] = [
            b"",
            b"GIF89a",
            b"\x1f\x8b\x08svgz",
            b"RIFF\x10\0\0\0WAVE",
            b"%PDF-1.7",
            b"<!doctype html><svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<html><svg xmlns=\"http://www.w3.org/2000/svg\"/></html>",
            b"<svgx xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<!DOCTYPE svg [<!ENTITY a \"b\">]><svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<!-- <svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"",
            b"\xff\xfe<\0s\0v\0g\0",
        ];
        for bytes in none {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(kind(bytes), Err(NoImage::Unknown), "{text}");
        }
    }

    #[test]
    fn sixty_four_kibibytes_are_enough() {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.resize(MOST_BYTES, 0);
        assert_eq!(kind(&bytes), Ok(ImageKind::Png));
        bytes.push(0);
        assert_eq!(kind(&bytes), Err(NoImage::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>, text in "[<>!?a-zA-Z:/\\[ -]{0,40}") {
            let _ = kind(&bytes);
            let _ = kind(text.as_bytes());
        }
    }
}
