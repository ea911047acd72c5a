//! Whom services let in, and whom a name means.

use crate::auth::verify_client_line;
use crate::clients::{Sends, Service, Unknown};
use crate::config::IssuerConfig;
use crate::people::Survey;

use super::warning;

/// What users that nobody has met are called by.
const UNKNOWN: &str = "unknown users";
/// What the setting is called.
const VERIFY_CLIENT: &str = "verify-client";

/// Names the services that let in whoever this server has never met.
pub(super) fn services(services: &[Service]) {
    let lets_in = services
        .iter()
        .filter(|service| service.unknown() == Unknown::Allow);
    for service in lets_in {
        let (id, never_set) = (&service.id, service.unknown.is_none());
        let names = match service.sends {
            Sends::Subject => "",
            _ => {
                ", and it sends names: a spelling of somebody's name that is not known here is let in"
            }
        };
        let since = match never_set {
            true => " since it was registered before --unknown, which is not set",
            false => "",
        };
        let cause =
            format!("the service {id} lets in users whom this server has never met{since}{names}");
        let hint = match never_set {
            true => format!(
                "mfad service set {id} --unknown enroll (or deny; or allow, if that is what it is to do)"
            ),
            false => format!("mfad service set {id} --unknown enroll, unless that is meant"),
        };
        if never_set || service.sends != Sends::Subject {
            warning(UNKNOWN, cause, &hint);
        }
    }
}

/// Says whose tokens are refused because `verify-client` does not name their client, as far as that can be known before
/// one comes.
pub(super) fn tokens(issuer: Option<&IssuerConfig>, services: &[Service]) {
    let Some(issuer) = issuer else {
        return;
    };
    let listed = &issuer.verify_clients;
    let bring_tokens = services.iter().filter_map(|service| {
        let is_ours = service
            .issuer
            .as_ref()
            .is_none_or(|it| *it == issuer.issuer);
        let client = service.client_id.as_ref().filter(|_| is_ours)?;
        (!listed.contains(client)).then_some((&service.id, client))
    });
    let mut told = false;
    for (id, client) in bring_tokens {
        told = true;
        let line = verify_client_line(listed, client);
        if listed.is_empty() {
            warning(
                VERIFY_CLIENT,
                format!(
                    "none is set, so tokens of the client {client} are not those of the service {id} if only the user \
                     name service-account-{} marks them, as in Keycloak",
                    client.to_lowercase()
                ),
                &format!(
                    "{line}; name every client that is to be a login service, as no other may be one then"
                ),
            );
        } else {
            warning(
                VERIFY_CLIENT,
                format!(
                    "it does not name the client {client} of the service {id}, whose tokens are refused"
                ),
                &line,
            );
        }
    }
    if told || !listed.is_empty() {
        return;
    }
    let cause = "none is set, so a token that only the user name service-account-ID marks as that of the client ID is \
                 a user's, and no login service's";
    // As Keycloak writes its name.
    if issuer.issuer.contains("/realms/") {
        warning(
            VERIFY_CLIENT,
            format!(
                "{cause}; Keycloak, which {} looks like, marks tokens so",
                issuer.issuer
            ),
            "if login services bring such tokens, name their clients: verify-client = [\"ID\"] (or --verify-client ID)",
        );
    } else {
        println!(
            "note: {VERIFY_CLIENT}: {cause}; for such services, verify-client = [\"ID\"] (or --verify-client ID)"
        );
    }
}

/// Says which names mean several users, and who is refused by services of some tenants.
pub(super) fn tell(survey: &Survey, services: &[Service]) {
    let apart = survey.twins.iter().filter(|twins| twins.were_apart);
    for twins in apart.clone() {
        let spellings: Vec<String> = twins.spellings.iter().map(|it| format!("{it:?}")).collect();
        warning(
            "names",
            format!(
                "{} are one name of {} users of {}, as directories compare names: services that send it are refused \
                 (ambiguous_name)",
                spellings.join(", "),
                twins.bearers,
                twins.issuer
            ),
            "have one of them renamed at the issuer, or have the services send sub",
        );
    }
    let more = survey.were_apart.saturating_sub(apart.count());
    if more > 0 {
        println!("note: {more} more names have become ambiguous in this way");
    }
    let alike = survey.twin_names.saturating_sub(survey.were_apart);
    if alike > 0 {
        println!(
            "note: {alike} names are borne by several users each, whom only tenants tell apart"
        );
    }
    let confined: Vec<&str> = services
        .iter()
        .filter(|service| service.is_confined())
        .map(|service| service.id.as_str())
        .collect();
    if survey.in_no_tenant > 0 && !confined.is_empty() {
        warning(
            "tenants",
            format!(
                "users with a second factor who were seen in no tenant, and whom {} therefore refuses: {}",
                confined.join(", "),
                survey.in_no_tenant
            ),
            "a token of theirs with a tenant_id, shown here once, makes them known in it; have the issuer put it into tokens",
        );
    }
}
