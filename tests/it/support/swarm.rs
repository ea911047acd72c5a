//! Many requests at one moment.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::client::{Client, Reply};

/// Connections that are open at once.
const WIDTH: usize = 100;

/// Sends `count` requests, each made by `request` from its number, over at most 100 connections
/// that are open before the first of them leaves.
pub async fn at_once<F, R>(person: &Client, count: usize, request: F) -> Vec<Reply>
where
    F: Fn(Client, usize) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    let width = WIDTH.min(count);
    let (start, request) = (Arc::new(Barrier::new(width)), Arc::new(request));
    let mut senders = JoinSet::new();
    for first in 0..width {
        let (start, request) = (start.clone(), request.clone());
        let person = Client::new(person.address, person.token.clone());
        senders.spawn(async move {
            assert_eq!(person.get("/healthz").await.status, 200);
            start.wait().await;
            let mut replies = Vec::new();
            for number in (first..count).step_by(width) {
                replies.push(request(person.clone(), number).await);
            }
            replies
        });
    }
    senders.join_all().await.concat()
}

/// How often each answer came: `200`, or a problem's `code`.
pub fn tally(replies: &[Reply]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for reply in replies {
        let word = match reply.status.as_u16() {
            200 => "200".to_owned(),
            _ => reply.json()["code"].as_str().unwrap_or("?").to_owned(),
        };
        *tally.entry(word).or_default() += 1;
    }
    tally
}
