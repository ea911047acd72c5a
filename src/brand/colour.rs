//! Colours, and how well one can be read on another.

use std::fmt;
use std::str::FromStr;

/// A colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    red: u8,
    green: u8,
    blue: u8,
}

/// The text is no colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a colour is # and three or six hexadecimal digits")]
pub struct NoColour;

impl Colour {
    /// White.
    pub const WHITE: Colour = Colour::new(255, 255, 255);
    /// Black.
    pub const BLACK: Colour = Colour::new(0, 0, 0);

    /// From its parts.
    pub const fn new(red: u8, green: u8, blue: u8) -> Colour {
        Colour { red, green, blue }
    }

    /// The relative luminance, 0 to 1 (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }

    /// The contrast ratio with `other`, 1 to 21, whichever of them is in front (WCAG 2.2).
    pub fn contrast(self, other: Colour) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// This colour with `percent` of `other` in it, up to 100.
    pub fn mixed(self, other: Colour, percent: u8) -> Colour {
        let share = f64::from(percent.min(100)) / 100.0;
        let mix = |own: u8, others: u8| {
            let (own, others) = (f64::from(own), f64::from(others));
            // Between two bytes: it is one.
            (own + (others - own) * share).round() as u8
        };
        Colour {
            red: mix(self.red, other.red),
            green: mix(self.green, other.green),
            blue: mix(self.blue, other.blue),
        }
    }
}

impl FromStr for Colour {
    type Err = NoColour;

    fn from_str(text: &str) -> Result<Self, NoColour> {
        let digits = text.strip_prefix('#').ok_or(NoColour)?;
        let digits: Option<Vec<u8>> = digits
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|digit| digit.try_into().ok()))
            .collect();
        match digits.as_deref() {
            Some(&[red, green, blue]) => Ok(Colour::new(red * 17, green * 17, blue * 17)),
            Some(&[r, red, g, green, b, blue]) => {
                Ok(Colour::new(r * 16 + red, g * 16 + green, b * 16 + blue))
            }
            _ => Err(NoColour),
        }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn colour(text: &str) -> Colour {
        text.parse().unwrap()
    }

    #[test]
    fn contrast_is_as_others_measure_it() {
        let table = [
            ("#000", "#fff", 21.0),
            ("#fff", "#ffffff", 1.0),
            ("#777", "#fff", 4.48),
            ("#767676", "#fff", 4.54),
            ("#949494", "#fff", 3.03),
            ("#f00", "#fff", 4.00),
            ("#0f0", "#fff", 1.37),
            ("#00f", "#fff", 8.59),
            ("#ff0", "#000", 19.56),
        ];
        for (one, two, ratio) in table {
            let measured = colour(one).contrast(colour(two));
            let hundredths = (measured * 100.0).round() / 100.0;
            assert!(
                (hundredths - ratio).abs() < 1e-9,
                "{one} on {two}: {measured}"
            );
            assert!((measured - colour(two).contrast(colour(one))).abs() < 1e-12);
        }
    }

    #[test]
    fn a_colour_is_three_or_six_digits() {
        assert_eq!(colour("#0aF"), colour("#00AAff"));
        assert_eq!(colour("#0A6b58").to_string(), "#0a6b58");
        for text in [
            "",
            "#",
            "0a6b58",
            "#0a6b5",
            "#0a6b580",
            "#0a6b58ff",
            "#ggg",
            "#+12",
            "teal",
            "rgb(0,0,0)",
            "#12é",
            " #123",
        ] {
            assert_eq!(text.parse::<Colour>(), Err(NoColour), "{text}");
        }
    }

    #[test]
    fn mixing_ends_at_the_other_colour() {
        let (one, two) = (colour("#204060"), colour("#e0c0a0"));
        assert_eq!(one.mixed(two, 0), one);
        assert_eq!(one.mixed(two, 50), colour("#808080"));
        assert_eq!(one.mixed(two, 100), two);
        assert_eq!(one.mixed(two, 200), two);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same(red: u8, green: u8, blue: u8) {
            let colour = Colour::new(red, green, blue);
            prop_assert_eq!(colour.to_string().parse(), Ok(colour));
        }

        #[test]
        fn any_text_is_judged(text in "#?[0-9a-fA-F+é]{0,8}") {
            let _ = text.parse::<Colour>();
        }
    }
}
