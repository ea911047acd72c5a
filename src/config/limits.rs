//! How much users may do, and how much of it is recorded.

use std::ops::RangeInclusive;

use clap::Args;

use crate::audit::AuditLimits;

use super::args::NUMBER;
use super::problem::Problems;
use super::settings::UsageLimits;

/// Requests a minute that change an account.
const CHANGES_A_MINUTE: RangeInclusive<u32> = 10..=1_000_000;
/// Records of refusals a day: those of a minute wait in one row.
const REFUSALS: RangeInclusive<u32> = 1..=1_000;
/// Records a day, and changes.
const RECORDS: RangeInclusive<u32> = 10..=1_000_000;
/// Days that records are kept: ten years.
const DAYS: RangeInclusive<u32> = 1..=3_653;
/// Mebibytes of records: a tebibyte.
const MEBIBYTES: RangeInclusive<u32> = 1..=1_048_576;

#[derive(Args)]
pub(super) struct LimitArgs {
    /// Requests that change an account, done or refused, a minute for each user and access token or session: 10 to 1,000,000
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_ACCOUNT_CHANGES_PER_MINUTE",
        hide_env_values = true,
        default_value = "60"
    )]
    account_changes_per_minute: String,

    /// Records of refusals in a user's history, a day: 1 to 1,000, and at most half of audit-records-per-day. Identical refusals within a minute are one record
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_AUDIT_REFUSALS_PER_DAY",
        hide_env_values = true,
        default_value = "50"
    )]
    audit_refusals_per_day: String,

    /// Records in a user's history that are no changes, refusals among them, a day: 10 to 1,000,000. What is left out is counted
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_AUDIT_RECORDS_PER_DAY",
        hide_env_values = true,
        default_value = "500"
    )]
    audit_records_per_day: String,

    /// Changes of a user's factors, sessions and trusted browsers, a day: 10 to 1,000,000. All are recorded, and more are refused
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_AUDIT_CHANGES_PER_DAY",
        hide_env_values = true,
        default_value = "500"
    )]
    audit_changes_per_day: String,

    /// Days that records are kept at most: 1 to 3,653
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_AUDIT_DAYS",
        hide_env_values = true,
        default_value = "400"
    )]
    audit_days: String,

    /// Mebibytes of records in users' histories at most, at 512 bytes each: 1 to 1,048,576. The oldest go first
    #[arg(
        long = "audit-max-mib",
        id = "audit_max_mib",
        value_name = NUMBER,
        env = "MFAD_AUDIT_MAX_MIB",
        hide_env_values = true,
        default_value = "1024"
    )]
    audit_max_mib: String,
}

/// What users may do; `subject` names a setting by its id. All that is wrong is said at once.
pub(super) fn usage_limits(
    args: &LimitArgs,
    subject: impl Fn(&str) -> String,
    problems: &mut Problems,
) -> Option<UsageLimits> {
    let mut number = |id: &str, text: &str, range: RangeInclusive<u32>, usual: &str| {
        // `parse` would take a plus sign as well.
        let number = Some(text)
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = range.into_inner();
            problems.add(
                subject(id),
                format!("{text:?} is no whole number from {least} to {most}"),
                format!("use {usual}"),
            );
        }
        number
    };
    let account_changes_per_minute = number(
        "account_changes_per_minute",
        &args.account_changes_per_minute,
        CHANGES_A_MINUTE,
        "60",
    );
    let refusals_per_day = number(
        "audit_refusals_per_day",
        &args.audit_refusals_per_day,
        REFUSALS,
        "50",
    );
    let records_per_day = number(
        "audit_records_per_day",
        &args.audit_records_per_day,
        RECORDS,
        "500",
    );
    let changes_per_day = number(
        "audit_changes_per_day",
        &args.audit_changes_per_day,
        RECORDS,
        "500",
    );
    let days = number("audit_days", &args.audit_days, DAYS, "400");
    let mebibytes = number("audit_max_mib", &args.audit_max_mib, MEBIBYTES, "1024");
    Some(UsageLimits {
        account_changes_per_minute: account_changes_per_minute?,
        audit: AuditLimits {
            refusals_per_day: refusals_per_day?,
            records_per_day: records_per_day?,
            changes_per_day: changes_per_day?,
            days: days?.into(),
            bytes: u64::from(mebibytes?) << 20,
        },
    })
}
