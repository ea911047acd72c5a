//! What makes the pages somebody's own: a logo, an accent colour, where help is, and whom to tell.
//!
//! All of it is checked before it gets here: an [`Image`] is one that browsers show, and a [`Palette`] can be
//! read by everybody.

mod colour;
mod image;
mod palette;

pub use colour::{Colour, NoColour};
pub use image::{Image, ImageKind, MOST_BYTES, NoImage};
pub use palette::{Faint, Palette, Scheme};

/// How the pages look and where they point to, where that is not as they come.
#[derive(Clone, Debug, Default)]
pub struct Brand {
    /// In place of the mark and the name.
    pub logo: Option<Image>,
    /// The logo on dark pages, where it is another.
    pub logo_dark: Option<Image>,
    /// The colours of light pages.
    pub light: Option<Palette>,
    /// The colours of dark pages.
    pub dark: Option<Palette>,
    /// Where people find help: an `https:` or `mailto:` address.
    pub support: Option<String>,
    /// Whom people tell, in the words of mails: `security@example.org`, `the help desk`.
    pub contact: Option<String>,
}
