//! A whole table, some rows at a time.

use crate::base::Failure;

use super::handle::Store;
use super::table::{Key, Record};
use super::tx::{Order, Scan, Tx};

/// Records that one transaction looks at.
const PAGE: usize = 256;

impl Store {
    /// Runs `work` on every record of a table, a few hundred in a transaction, and gives what it had to say.
    /// Records that come while this runs may be missed: it is for a store that nobody else has.
    ///
    /// # Errors
    /// Those of `work`, and as [`Store::write`]; then the transactions before stay.
    pub async fn each<R, T, W>(&self, work: W) -> Result<Vec<T>, Failure>
    where
        R: Record,
        T: Send + 'static,
        W: Fn(&mut Tx<'_>, &R::Key, R) -> Result<Option<T>, Failure> + Clone + Send + 'static,
    {
        let mut said = Vec::new();
        let mut past: Option<Vec<u8>> = None;
        loop {
            let (work, from) = (work.clone(), past.take());
            let page = self.write(move |tx| {
                let scan = Scan {
                    prefix: &[],
                    past: from.as_deref(),
                    order: Order::Ascending,
                    limit: PAGE,
                };
                let records = tx.list::<R>(&scan)?;
                let last = records.last().map(|(key, _)| key.encode());
                let mut said = Vec::new();
                for (key, record) in records {
                    said.extend(work(tx, &key, record)?);
                }
                Ok((last, said))
            });
            let (last, more) = page.await?;
            said.extend(more);
            match last {
                Some(last) => past = Some(last),
                None => return Ok(said),
            }
        }
    }
}
