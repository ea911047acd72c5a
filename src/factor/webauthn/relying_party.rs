//! Who we are to browsers and keys.

use std::time::Duration;

use url::Url;
use webauthn_rs::prelude::{Webauthn, WebauthnBuilder, WebauthnError};

use super::rule::CEREMONY_TTL;

/// What keys are bound to.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    /// A host name: that of every origin, or a parent domain of it.
    pub id: String,
    /// The pages that may ask for a key, as `scheme://host[:port]`; at least one.
    pub origins: Vec<Url>,
}

/// Why no relying party can be made of the settings.
#[derive(Debug, thiserror::Error)]
pub enum RelyingPartyError {
    /// There is no origin.
    #[error("no origin is set")]
    NoOrigin,
    /// The RP ID does not fit an origin, or is an IP address.
    #[error("the RP ID does not fit the origins: {0}")]
    Unfit(#[from] WebauthnError),
}

/// Security keys.
pub struct SecurityKeys {
    pub(super) webauthn: Webauthn,
    /// Exactly as browsers write them.
    pub(super) origins: Vec<String>,
}

impl SecurityKeys {
    /// For this relying party; `name` is what the browser shows.
    ///
    /// # Errors
    /// [`RelyingPartyError`].
    pub fn new(relying_party: &RelyingParty, name: &str) -> Result<Self, RelyingPartyError> {
        let (first, others) = relying_party
            .origins
            .split_first()
            .ok_or(RelyingPartyError::NoOrigin)?;
        let builder = WebauthnBuilder::new(&relying_party.id, first)?
            .rp_name(name)
            .timeout(Duration::from_secs(CEREMONY_TTL))
            // A pure second factor asks for a touch and no PIN. (With user verification merely preferred the
            // library asks for a protection policy that Chromium refuses.)
            .danger_set_user_presence_only_security_keys(true);
        let webauthn = others
            .iter()
            .fold(builder, |builder, origin| {
                builder.append_allowed_origin(origin)
            })
            .build()?;
        let origins = relying_party
            .origins
            .iter()
            .map(|origin| origin.origin().ascii_serialization())
            .collect();
        Ok(SecurityKeys { webauthn, origins })
    }
}
