mod view;

use std::io::{self, BufRead, IsTerminal, Write};

use crate::app::StartError;
use crate::base::terminal_text;
use crate::config::{Exit, StoreSettings, UserCommand, UserSelector};
use crate::console::{Answer, Order, UserIdentity, UserReset, UserView};

use super::order::{another_answer, carry_out};
use super::{block_on, print, problem, report};

/// What problems are called by.
const SUBJECT: &str = "user";

/// Shows users and helps them, as `command` says.
pub fn user(place: &StoreSettings, command: &UserCommand) -> Exit {
    block_on(async {
        let done = match command {
            UserCommand::Show { user, json } => show(place, user, *json).await,
            UserCommand::Reset {
                user,
                reason,
                yes,
                dry_run,
            } => {
                let reason = reason.as_deref().filter(|_| !dry_run);
                reset(place, user, reason, *yes).await
            }
            UserCommand::ReleaseName { name, issuer } => release(place, name, issuer).await,
        };
        done.unwrap_or_else(|refused| report(refused.exit, &refused.problem))
    })
}

/// Finds the one user who is meant.
async fn find(place: &StoreSettings, user: &UserSelector) -> Result<UserView, StartError> {
    let order = Order::UserShow {
        who: user.who.clone(),
        issuer: user.issuer.clone(),
    };
    match carry_out(SUBJECT, place, order).await? {
        Answer::User(view) => Ok(*view),
        Answer::Users(found) => Err(not_one(user, &found)),
        _ => Err(another_answer(SUBJECT, "a user")),
    }
}

fn not_one(user: &UserSelector, found: &[UserIdentity]) -> StartError {
    let who = terminal_text(&user.who);
    let (cause, hint) = match found {
        [] => (
            format!("no user is called {who}"),
            "name the subject, the user name or the verified address; users of another issuer than the one of the settings are found with --issuer",
        ),
        several => {
            let lines: String = several.iter().map(view::line).collect();
            (
                format!("more than one user is called {who}:\n{}", lines.trim_end()),
                "name one of them by the id",
            )
        }
    };
    refused(cause, hint)
}

fn refused(cause: impl ToString, hint: &str) -> StartError {
    StartError {
        exit: Exit::Usage,
        problem: problem(SUBJECT, cause, hint),
    }
}

async fn show(
    place: &StoreSettings,
    user: &UserSelector,
    as_json: bool,
) -> Result<Exit, StartError> {
    let found = find(place, user).await?;
    Ok(print(match as_json {
        true => format!("{:#}\n", view::json(&found)),
        false => view::words(&found),
    }))
}

/// Removes what the user has; without a reason, shows what would be removed.
async fn reset(
    place: &StoreSettings,
    user: &UserSelector,
    reason: Option<&str>,
    yes: bool,
) -> Result<Exit, StartError> {
    let found = find(place, user).await?;
    let Some(reason) = reason else {
        let name = view::name(&found.identity);
        let removed = view::held(&found);
        return Ok(print(format!(
            "This would be removed from {name}: {removed}.\nNothing was changed.\n"
        )));
    };
    if !yes {
        confirm(&found)?;
    }
    // By id: the name may be another's by now.
    let order = Order::UserReset {
        user: found.identity.id,
        reason: reason.to_owned(),
    };
    match carry_out(SUBJECT, place, order).await? {
        Answer::UserReset(done) => Ok(print(told(&done))),
        _ => Err(another_answer(SUBJECT, "what was removed")),
    }
}

/// Ends what reserves a name.
async fn release(
    place: &StoreSettings,
    name: &str,
    issuer: &Option<String>,
) -> Result<Exit, StartError> {
    let order = Order::ReleaseName {
        name: name.to_owned(),
        issuer: issuer.clone(),
    };
    match carry_out(SUBJECT, place, order).await? {
        Answer::Released(users) => {
            let lines = users.iter().map(|(subject, issuer)| {
                let (subject, issuer) = (terminal_text(subject), terminal_text(issuer));
                format!("No longer reserved for subject {subject} of issuer {issuer}.\n")
            });
            Ok(print(lines.collect::<String>()))
        }
        _ => Err(another_answer(SUBJECT, "for whom it was reserved")),
    }
}

/// Has the operator type the user's name.
fn confirm(user: &UserView) -> Result<(), StartError> {
    let identity = &user.identity;
    let name = identity.username.as_ref().unwrap_or(&identity.subject);
    if !io::stdin().is_terminal() {
        let cause = "there is no terminal to confirm this on";
        return Err(refused(cause, "add --yes to go on without"));
    }
    eprint!(
        "{}This will be removed: {}.\nThen the password alone is enough to sign in as {}. To confirm, type {}: ",
        view::line(identity),
        view::held(user),
        view::name(identity),
        terminal_text(name),
    );
    let _ = io::stderr().flush();
    let mut typed = String::new();
    let read = io::stdin().lock().read_line(&mut typed);
    match read {
        // What shows nothing in a name cannot be typed: the subject and the id do as well.
        Ok(_)
            if [name, &identity.subject, &String::from(identity.id)]
                .iter()
                .any(|it| typed.trim_end_matches(['\r', '\n']) == it.as_str()) =>
        {
            Ok(())
        }
        _ => Err(refused(
            "that is not the name of the user",
            "nothing was changed",
        )),
    }
}

/// What was done, in words.
fn told(done: &UserReset) -> String {
    let UserReset {
        before,
        notified,
        was_last_operator,
    } = done;
    let name = view::name(&before.identity);
    let mut text = format!("Removed from {name}: {}.\n", view::held(before));
    text.push_str(&match before.required {
        false => format!(
            "From now on the password alone is enough to sign in as {name}, until they set up a factor (policy may ask \
             for it).\n"
        ),
        true => format!(
            "From now on the password alone is enough to set up a new factor for {name}, which the policy requires at \
             the next sign-in.\n"
        ),
    });
    text.push_str(
        "Tokens that the issuer gave them before stay good until they expire: end their sessions there if a device was \
         stolen.\n",
    );
    match notified.as_slice() {
        [] => text.push_str("No address of theirs is known, so no mail tells them.\n"),
        some => {
            let addresses: Vec<String> = some.iter().map(|one| terminal_text(one)).collect();
            text.push_str(&format!(
                "A mail to {} tells them, from the running server, or when it next starts, if a mail server is set.\n",
                addresses.join(", ")
            ));
        }
    }
    if *was_last_operator {
        eprintln!(
            "warning: no operator is left who has a second factor that counts\n  hint: let an operator set one up"
        );
    }
    text
}
