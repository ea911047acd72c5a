use std::str::FromStr;

/// Whether users who have a second factor prove one before their factors change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FactorChangeProof {
    /// They do. Users without a factor enroll their first one with just a password.
    #[default]
    WhenEnrolled,
    /// They do not: anyone with a user's access token can add a factor, and sign in with it.
    Off,
}

impl FactorChangeProof {
    /// As it stands in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            FactorChangeProof::WhenEnrolled => "when-enrolled",
            FactorChangeProof::Off => "off",
        }
    }
}

impl FromStr for FactorChangeProof {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [FactorChangeProof::WhenEnrolled, FactorChangeProof::Off]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or(())
    }
}
