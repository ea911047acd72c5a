//! What every response carries.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::edge::EdgeSettings;

/// Scripts and styles from here alone, text set only as text, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const PERMISSIONS: &str = "publickey-credentials-create=(self), publickey-credentials-get=(self), accelerometer=(), \
    camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), \
    screen-wake-lock=(), usb=(), xr-spatial-tracking=()";

const ALWAYS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
];

/// The value of `Strict-Transport-Security` (RFC 6797 section 6.1): `days` of https alone, also for sub-domains where
/// they are included.
pub fn hsts(days: u64, include_subdomains: bool) -> HeaderValue {
    let seconds = HeaderValue::from(days.saturating_mul(24 * 60 * 60));
    let mut value = b"max-age=".to_vec();
    value.extend_from_slice(seconds.as_bytes());
    if include_subdomains {
        value.extend_from_slice(b"; includeSubDomains");
    }
    HeaderValue::from_bytes(&value).unwrap_or(seconds)
}

pub(super) async fn set(
    State(settings): State<EdgeSettings>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        set_unless_there(headers, name, value);
    }
    // Only what says otherwise may be kept: it is the same for everybody.
    set_unless_there(headers, CACHE_CONTROL, "no-store");
    if let Some(hsts) = settings.hsts {
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(hsts);
    }
    response
}

fn set_unless_there(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers
        .entry(name)
        .or_insert(HeaderValue::from_static(value));
}
