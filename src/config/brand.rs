//! How the pages look: from files, colours and addresses to a [`Brand`] that everybody can read.

use std::path::Path;

use clap::Args;
use url::Url;

use super::files;
use super::problem::Problems;
use super::web::{Refused, refused};
use crate::base::display_text;
use crate::brand::{Brand, Colour, Image, MOST_BYTES, Palette, Scheme};

/// The longest text for whom to tell, in characters.
const LONGEST_CONTACT: usize = 100;

#[derive(Args)]
pub(super) struct BrandArgs {
    /// The logo on the pages and in the browser's tab: PNG, SVG, WebP or JPEG of at most 64 KiB. It takes the place of the mark and of the service's name, which is what it is called where it cannot be seen. Read at the start
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_LOGO_FILE",
        hide_env_values = true
    )]
    pub(super) logo_file: Option<String>,

    /// The logo on dark pages, where the other cannot be seen on them
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_LOGO_DARK_FILE",
        hide_env_values = true
    )]
    pub(super) logo_dark_file: Option<String>,

    /// The colour of buttons and links on light pages, as #0a6b58. One that cannot be read there is refused, and a near one named that can
    #[arg(
        long,
        value_name = "COLOR",
        env = "MFAD_ACCENT_COLOR",
        hide_env_values = true
    )]
    pub(super) accent_color: Option<String>,

    /// The same on dark pages. Where it is not set, accent-color is made as much lighter as it has to be
    #[arg(
        long,
        value_name = "COLOR",
        env = "MFAD_ACCENT_COLOR_DARK",
        hide_env_values = true
    )]
    pub(super) accent_color_dark: Option<String>,

    /// Where people find help, linked from the pages: an https or mailto address
    #[arg(
        long,
        value_name = "URL",
        env = "MFAD_SUPPORT_URL",
        hide_env_values = true
    )]
    pub(super) support_url: Option<String>,

    /// Whom people shall tell of what they did not do, as mails say it: security@example.org, or the help desk. No link, because the mails hold none
    #[arg(
        long,
        value_name = "TEXT",
        env = "MFAD_CONTACT",
        hide_env_values = true
    )]
    pub(super) contact: Option<String>,
}

/// Reads one setting after the other, and keeps what is wrong.
struct Reader<'p, S> {
    subject: S,
    problems: &'p mut Problems,
    sound: bool,
}

impl<S: Fn(&str) -> String> Reader<'_, S> {
    fn tell(&mut self, id: &str, refused: Refused) {
        self.sound = false;
        let subject = (self.subject)(id);
        self.problems.add(subject, refused.cause, refused.hint);
    }

    /// What `check` makes of the setting of that id, where it is given.
    fn read<T>(
        &mut self,
        id: &str,
        text: &Option<String>,
        check: impl FnOnce(&str) -> Result<T, Refused>,
    ) -> Option<T> {
        match check(text.as_deref()?) {
            Ok(checked) => Some(checked),
            Err(refused) => {
                self.tell(id, refused);
                None
            }
        }
    }
}

/// The brand that `args` ask for; `subject` names a setting by its id. Reads the files that they name.
pub(super) fn brand(
    args: &BrandArgs,
    subject: impl Fn(&str) -> String,
    problems: &mut Problems,
) -> Option<Brand> {
    let mut reader = Reader {
        subject,
        problems,
        sound: true,
    };
    let logo = reader.read("logo_file", &args.logo_file, image);
    let logo_dark = reader.read("logo_dark_file", &args.logo_dark_file, image);
    if args.logo_file.is_none() && args.logo_dark_file.is_some() {
        let cause = "there is a logo for dark pages and none for light ones";
        let hint = "set logo-file too, or set it alone if it can be seen on both";
        reader.tell("logo_dark_file", refused(cause, hint));
    }
    let light = |color: &str| palette(Scheme::Light, color);
    let light = reader.read("accent_color", &args.accent_color, light);
    let dark = |color: &str| palette(Scheme::Dark, color);
    let dark = reader.read("accent_color_dark", &args.accent_color_dark, dark);
    let support = reader.read("support_url", &args.support_url, support);
    let contact = reader.read("contact", &args.contact, contact);
    let derived = light.map(|light| Palette::near(Scheme::Dark, light.accent));
    reader.sound.then_some(Brand {
        logo,
        logo_dark,
        light,
        dark: dark.or(derived),
        support,
        contact,
    })
}

fn image(path: &str) -> Result<Image, Refused> {
    if path.is_empty() {
        return Err(refused(
            "the path is empty",
            "name a file, or leave the setting out",
        ));
    }
    // One byte more tells that there are too many.
    let bytes = files::head(Path::new(path), MOST_BYTES as u64 + 1)?;
    Image::new(bytes).map_err(|error| {
        refused(
            format!("{path} is no logo for the pages: {error}"),
            "name a PNG, SVG, WebP or JPEG file of at most 64 KiB; an SVG is the sharpest",
        )
    })
}

fn palette(scheme: Scheme, color: &str) -> Result<Palette, Refused> {
    let color: Colour = color.parse().map_err(|error| {
        refused(
            format!("{color:?} is no colour: {error}"),
            "write it as #0a6b58",
        )
    })?;
    Palette::new(scheme, color).map_err(|faint| {
        let (pages, change) = match scheme {
            Scheme::Light => ("light", "darker"),
            Scheme::Dark => ("dark", "lighter"),
        };
        // Cut off, not rounded: what is told as 4.5 is 4.5.
        let ratio = (faint.ratio * 100.0).floor() / 100.0;
        refused(
            format!(
                "{color} cannot be read by everybody on {pages} pages: its contrast with {} is {ratio:.2} to 1, and {} to 1 is needed",
                faint.behind, faint.needed
            ),
            format!("use a {change} one; the nearest that would do is {}", faint.near),
        )
    })
}

fn support(text: &str) -> Result<String, Refused> {
    const HINT: &str = "use https://help.example.org or mailto:help@example.org";
    let url = Url::parse(text)
        .map_err(|error| refused(format!("{text:?} is no address: {error}"), HINT))?;
    let bare = url.username().is_empty() && url.password().is_none();
    let good = match url.scheme() {
        "https" => url.has_host() && bare,
        "mailto" => url
            .path()
            .split_once('@')
            .is_some_and(|(who, place)| !who.is_empty() && !place.is_empty()),
        _ => false,
    };
    if !good {
        return Err(refused(
            format!("{text:?} is no address that people can be sent to"),
            HINT,
        ));
    }
    Ok(url.into())
}

fn contact(text: &str) -> Result<String, Refused> {
    const HINT: &str =
        "write what stands well after “tell”, such as security@example.org or the help desk";
    if display_text(text, LONGEST_CONTACT).as_deref() != Some(text) {
        let cause = format!("{text:?} is no text of 1 to {LONGEST_CONTACT} visible characters");
        return Err(refused(cause, HINT));
    }
    // Whoever never gets a link from us knows a false mail by its link.
    if text.contains("://") || text.to_ascii_lowercase().contains("www.") {
        return Err(refused(
            format!("{text:?} holds a link, and mails hold none"),
            HINT,
        ));
    }
    Ok(text.to_owned())
}
