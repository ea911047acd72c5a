use std::time::Duration;

/// How often the background jobs look for work. Operators have no reason to change it, so it is no setting;
/// tests give shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct JobPeriods {
    /// From one removal of expired records to the next.
    pub sweep: Duration,
    /// From one check whether a scheduled backup is due to the next.
    pub backup: Duration,
    /// From one look at the outbox to the next, if nothing new is put into it.
    pub outbox: Duration,
    /// From one search for sign-ins that were not finished in time to the next.
    pub unfinished_sign_ins: Duration,
    /// From one look for refusals whose minute is over to the next.
    pub refusals: Duration,
    /// From one fetch of the issuer's keys to the next, so that keys it has removed go here too.
    pub issuer_refresh: Duration,
    /// From one look at a file of keys to the next, and from a failed fetch to the next one.
    pub issuer_retry: Duration,
    /// From one look at the files of the TLS certificate to the next.
    pub certificate: Duration,
    /// From the failure of a job that would otherwise have ended or waited for news to its next attempt.
    pub retry: Duration,
    /// From a job's panic to its restart.
    pub restart: Duration,
}

impl Default for JobPeriods {
    fn default() -> Self {
        JobPeriods {
            sweep: Duration::from_secs(60),
            backup: Duration::from_secs(60),
            outbox: Duration::from_secs(5),
            unfinished_sign_ins: Duration::from_secs(10),
            refusals: Duration::from_secs(5),
            issuer_refresh: Duration::from_secs(5 * 60),
            issuer_retry: Duration::from_secs(30),
            certificate: Duration::from_secs(30),
            retry: Duration::from_secs(10),
            restart: Duration::from_secs(1),
        }
    }
}
