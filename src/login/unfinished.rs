//! Somebody passed the first factor and not the second: their password may be known to another.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Actor, Origin};
use crate::base::{Failure, RequestId, codes, plain_text};
use crate::factor::{By, Desk, moot};
use crate::mail::{Foreign, SignInUnfinished};
use crate::people::Wish;
use crate::store::{Order, Scan};

use super::record::{LastFinished, Unfinished};
use super::rule::UNFINISHED_NEWS;

/// Sign-ins looked at in one round.
const ROUND: usize = 64;

/// Runs [`notify_of_unfinished`] every `period`. Never ends.
pub async fn keep_notifying_of_unfinished(desk: &Arc<Desk>, period: Duration) {
    loop {
        if let Err(failure) = notify_of_unfinished(desk).await {
            tracing::warn!(?failure, "unfinished sign-ins cannot be told of");
        }
        tokio::time::sleep(period).await;
    }
}

/// Puts a notice into the outbox for each sign-in that was not finished within three minutes: one round, of
/// 64 sign-ins at most.
///
/// # Errors
/// Those of the store.
pub async fn notify_of_unfinished(desk: &Arc<Desk>) -> Result<(), Failure> {
    let tools = &desk.tools;
    let now = tools.now();
    let scan = Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit: ROUND,
    };
    let due = tools.store.read(|read| read.list::<Unfinished>(&scan))?;
    for (key, unfinished) in due {
        if key.0 > now.unix() {
            break;
        }
        let by = By {
            key: unfinished.person,
            person: None,
            session: None,
            actor: Actor::System,
            origin: Origin {
                request: RequestId::draw(&*tools.entropy)?,
                ip: unfinished.ip,
            },
            wish: Wish::default(),
            challenge: None,
        };
        let told = desk.act(by, "login.unfinished", move |deed| {
            // Finished while we looked, or told of already: then nothing of it was unfinished, and nothing says so.
            if deed.tx.get::<Unfinished>(&key)?.is_none() {
                return moot(Failure::not_found());
            }
            deed.tx.delete::<Unfinished>(&key);
            let finished = deed.tx.get::<LastFinished>(&deed.person)?;
            // Whoever began twice at one place and came in knows of both; from another place it was somebody else.
            let came_in = finished.is_some_and(|finished| {
                finished.at >= unfinished.begun_at
                    && finished.service == unfinished.service
                    && finished.ip == unfinished.ip
            });
            if came_in || deed.now.since(unfinished.begun_at) > UNFINISHED_NEWS {
                return moot(Failure::not_found());
            }
            // What an app calls itself may be nothing that can be said.
            let app = unfinished.app.as_deref();
            let app = app.filter(|app| plain_text(app, 1).is_some());
            let service = Foreign(app.unwrap_or(&unfinished.service));
            Ok(deed.tell(|occasion| SignInUnfinished {
                occasion: crate::mail::Occasion {
                    at: unfinished.begun_at,
                    ..occasion
                },
                service,
            })?)
        });
        // One who cannot be told now keeps nobody else waiting.
        if let Err(failure) = told.await
            && failure.code() != codes::NOT_FOUND
        {
            tracing::warn!(?failure, "a person cannot be told of an unfinished sign-in");
        }
    }
    Ok(())
}
