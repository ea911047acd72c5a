//! What is served, which may be replaced while it is.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;

/// The router of the moment. Clones share it.
#[derive(Clone)]
pub struct Routes(Arc<ArcSwap<Router>>);

impl Routes {
    /// Serves `router`.
    pub fn new(router: Router) -> Self {
        Routes(Arc::new(ArcSwap::from_pointee(router)))
    }

    /// Serves `router` from the next request on; those under way end where they began.
    pub fn replace(&self, router: Router) {
        self.0.store(Arc::new(router));
    }

    /// Whom the next request belongs to.
    pub(super) fn now(&self) -> Router {
        Router::clone(&self.0.load())
    }
}
