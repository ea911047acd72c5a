//! One renewal at a time for each session: whoever comes meanwhile waits for the same one.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::base::Failure;
use crate::crypto::CodeHash;

/// How a renewal came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Landing {
    /// The session has newer tokens.
    Renewed,
    /// There is no such session, or not any more.
    Ended,
    /// The issuer, or the store, does not answer; the session stays.
    Away(Arc<str>),
}

type Seat = watch::Receiver<Option<Landing>>;

/// The renewals that are under way. No more than sessions that are asked for at this moment.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<[u8; 32], Seat>>>);

/// Takes the flight off the board, however it ends.
struct Departed(Flights, [u8; 32]);

impl Drop for Departed {
    fn drop(&mut self) {
        self.0.board().remove(&self.1);
    }
}

impl Flights {
    fn board(&self) -> MutexGuard<'_, HashMap<[u8; 32], Seat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the session's renewal: the one that is under way, else a new one, which goes on in a task of its
    /// own: a client that hangs up must not lose a refresh token that was just given.
    pub async fn join<W>(
        &self,
        session: &CodeHash,
        work: impl FnOnce() -> W,
    ) -> Result<Landing, Failure>
    where
        W: Future<Output = Landing> + Send + 'static,
    {
        let session = *session.as_bytes();
        let mut seat = {
            let mut board = self.board();
            match board.get(&session) {
                Some(seat) => seat.clone(),
                None => {
                    let (landed, seat) = watch::channel(None);
                    board.insert(session, seat.clone());
                    let departed = Departed(self.clone(), session);
                    let work = work();
                    tokio::spawn(async move {
                        let landing = work.await;
                        // Off the board before the news: who reads the store after it finds what was written.
                        drop(departed);
                        landed.send_replace(Some(landing));
                    });
                    seat
                }
            }
        };
        let landing = seat.wait_for(Option::is_some).await;
        match landing.as_deref() {
            Ok(Some(landing)) => Ok(landing.clone()),
            _ => Err(Failure::internal("a session's renewal broke off")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::base::OsEntropy;
    use crate::crypto::{KeyRing, Sealer};

    fn session(name: &str) -> CodeHash {
        let sealer = Sealer::new(&KeyRing::draw(&OsEntropy).unwrap()).unwrap();
        sealer.code_hash(&[], name)
    }

    #[tokio::test]
    async fn all_who_wait_share_one_flight_and_the_next_takes_another() {
        let (flights, one) = (Flights::default(), session("one"));
        let (flown, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let join = || {
            let (flights, flown, gate) = (flights.clone(), flown.clone(), gate.clone());
            tokio::spawn(async move {
                let work = || async move {
                    flown.fetch_add(1, Ordering::SeqCst);
                    let _ = gate.acquire().await;
                    Landing::Renewed
                };
                flights.join(&one, work).await.unwrap()
            })
        };
        let waiting: Vec<_> = (0..20).map(|_| join()).collect();
        while flown.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // Whoever waits hangs up, and the flight goes on.
        waiting[0].abort();
        gate.add_permits(1);
        for landed in waiting.into_iter().skip(1) {
            assert_eq!(landed.await.unwrap(), Landing::Renewed);
        }
        assert!(flights.board().is_empty());
        gate.add_permits(1);
        join().await.unwrap();
        assert_eq!(flown.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_flight_that_breaks_leaves_the_board() {
        let (flights, one) = (Flights::default(), session("one"));
        let broken = flights.join(&one, || async { panic!("broken") }).await;
        assert_eq!(broken.unwrap_err().code().name, "internal");
        let next = flights.join(&one, || async { Landing::Ended }).await;
        assert_eq!(next.unwrap(), Landing::Ended);
    }
}
