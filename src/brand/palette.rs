//! An accent colour and those that go with it, each readable wherever the pages put it.

use super::colour::Colour;

/// What text needs to be read on what is behind it (WCAG 2.2, 1.4.3).
const TEXT: f64 = 4.5;
/// What outlines and drawings need (WCAG 2.2, 1.4.11).
const SHAPE: f64 = 3.0;
/// The dark of a button's words, where white would be too faint.
const NEAR_BLACK: Colour = Colour::new(0x10, 0x14, 0x13);

/// Light pages, or dark ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// What the accent stands on: as in `app.css`.
struct Surfaces {
    card: Colour,
    page: Colour,
    sunk: Colour,
}

impl Scheme {
    fn surfaces(self) -> Surfaces {
        match self {
            Scheme::Light => Surfaces {
                card: Colour::WHITE,
                page: Colour::new(0xf6, 0xf7, 0xf5),
                sunk: Colour::new(0xef, 0xf1, 0xee),
            },
            Scheme::Dark => Surfaces {
                card: Colour::new(0x19, 0x1f, 0x1d),
                page: Colour::new(0x10, 0x14, 0x13),
                sunk: Colour::new(0x12, 0x17, 0x16),
            },
        }
    }

    /// Away from what is behind: whither a colour goes that shall stand out more.
    fn away(self) -> Colour {
        match self {
            Scheme::Light => Colour::BLACK,
            Scheme::Dark => Colour::WHITE,
        }
    }
}

/// The colours of a scheme that a brand gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Buttons, links, outlines.
    pub accent: Colour,
    /// The same where it is pointed at, and for words on `soft`.
    pub strong: Colour,
    /// Words on both.
    pub on_accent: Colour,
    /// A breath of the accent, behind words and drawings.
    pub soft: Colour,
}

/// A colour cannot be read on the pages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faint {
    /// What it was measured against.
    pub behind: Colour,
    /// The contrast that it has there, 1 to 21.
    pub ratio: f64,
    /// What it needs.
    pub needed: f64,
    /// The nearest one that would do, on the way to black or white.
    pub near: Colour,
}

/// One colour on another, and the contrast that they need.
struct Pair {
    front: Colour,
    behind: Colour,
    needed: f64,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.front.contrast(self.behind)
    }

    fn is_readable(&self) -> bool {
        self.ratio() >= self.needed
    }
}

impl Palette {
    /// The palette of `accent`, where it can be read on all that it stands on.
    ///
    /// # Errors
    /// [`Faint`], of the pair that is furthest from what it needs.
    pub fn new(scheme: Scheme, accent: Colour) -> Result<Palette, Faint> {
        let palette = Palette::around(scheme, accent);
        let worst = palette
            .pairs(scheme)
            .into_iter()
            .filter(|pair| !pair.is_readable())
            .min_by(|one, other| {
                (one.ratio() / one.needed).total_cmp(&(other.ratio() / other.needed))
            });
        match worst {
            None => Ok(palette),
            Some(pair) => Err(Faint {
                behind: pair.behind,
                ratio: pair.ratio(),
                needed: pair.needed,
                near: Palette::near(scheme, accent).accent,
            }),
        }
    }

    /// The palette of the colour nearest to `accent` that can be read, on the way to black or white.
    pub fn near(scheme: Scheme, accent: Colour) -> Palette {
        let away = scheme.away();
        (0..=100)
            .map(|percent| Palette::around(scheme, accent.mixed(away, percent)))
            .find(|palette| palette.pairs(scheme).iter().all(Pair::is_readable))
            .unwrap_or_else(|| Palette::around(scheme, away))
    }

    fn around(scheme: Scheme, accent: Colour) -> Palette {
        let Surfaces { card, .. } = scheme.surfaces();
        let strong = accent.mixed(scheme.away(), 20);
        let on_accent = match Colour::WHITE.contrast(accent) >= NEAR_BLACK.contrast(accent) {
            true => Colour::WHITE,
            false => NEAR_BLACK,
        };
        let soft = (88..=100)
            .map(|percent| accent.mixed(card, percent))
            .find(|soft| strong.contrast(*soft) >= TEXT && accent.contrast(*soft) >= SHAPE)
            .unwrap_or(card);
        Palette {
            accent,
            strong,
            on_accent,
            soft,
        }
    }

    /// Everything that the pages put on anything else, where an accent has to do with it.
    fn pairs(&self, scheme: Scheme) -> [Pair; 7] {
        let Surfaces { card, page, sunk } = scheme.surfaces();
        let pair = |front, behind, needed| Pair {
            front,
            behind,
            needed,
        };
        [
            pair(self.accent, card, TEXT),
            pair(self.accent, page, TEXT),
            pair(self.on_accent, self.accent, TEXT),
            pair(self.on_accent, self.strong, TEXT),
            pair(self.strong, self.soft, TEXT),
            // Drawings, and the outline of what has the focus.
            pair(self.accent, self.soft, SHAPE),
            pair(self.accent, sunk, SHAPE),
        ]
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
    fn the_pages_own_colours_would_be_accepted() {
        assert!(Palette::new(Scheme::Light, colour("#0a6b58")).is_ok());
        assert!(Palette::new(Scheme::Dark, colour("#63d2b4")).is_ok());
    }

    #[test]
    fn a_faint_colour_is_told_with_its_ratio_and_a_near_one() {
        let orange = colour("#f97316");
        let faint = Palette::new(Scheme::Light, orange).unwrap_err();
        assert_eq!(faint.behind.to_string(), "#f6f7f5");
        assert!((faint.ratio - 2.6).abs() < 0.05, "{faint:?}");
        assert!((faint.needed - 4.5).abs() < 1e-9, "{faint:?}");
        assert!(Palette::new(Scheme::Light, faint.near).is_ok(), "{faint:?}");
        // No further from it than it has to be.
        assert!(faint.near.contrast(faint.behind) < 4.7, "{faint:?}");
        assert!(Palette::new(Scheme::Dark, orange).is_ok());
        let purple = colour("#6d28d9");
        assert!(Palette::new(Scheme::Light, purple).is_ok());
        let faint = Palette::new(Scheme::Dark, purple).unwrap_err();
        assert!(Palette::new(Scheme::Dark, faint.near).is_ok(), "{faint:?}");
    }

    #[test]
    fn surfaces_are_those_of_the_pages() {
        let css = include_str!("../../assets/ui/app.css");
        let (light, dark) = css
            .split_once("@media (prefers-color-scheme: dark)")
            .unwrap();
        for (scheme, block) in [(Scheme::Light, light), (Scheme::Dark, dark)] {
            let of = |name: &str| {
                let (_, value) = block.split_once(&format!("--{name}: ")).unwrap();
                colour(value.split(';').next().unwrap())
            };
            let Surfaces { card, page, sunk } = scheme.surfaces();
            assert_eq!([of("card"), of("page"), of("sunk")], [card, page, sunk]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn an_accepted_colour_can_be_read_everywhere_and_a_refused_one_has_a_neighbour(red: u8, green: u8, blue: u8) {
            let accent = Colour::new(red, green, blue);
            for scheme in [Scheme::Light, Scheme::Dark] {
                let palette = match Palette::new(scheme, accent) {
                    Ok(palette) => {
                        prop_assert_eq!(palette.accent, accent);
                        prop_assert_eq!(Palette::near(scheme, accent), palette);
                        palette
                    }
                    Err(faint) => {
                        prop_assert!(faint.ratio < faint.needed, "{:?}", faint);
                        Palette::new(scheme, faint.near).unwrap()
                    }
                };
                for Pair { front, behind, needed } in palette.pairs(scheme) {
                    prop_assert!(front.contrast(behind) >= needed, "{} on {}", front, behind);
                }
            }
        }
    }
}
