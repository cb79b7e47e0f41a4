//! The login: right, wrong, and right after a wrong one.

use super::bench::{Bench, demand, passed};
use super::outcome::{Note, Tried, refused, says};
use super::site::{Form, Login};

const NONE: Tried = Ok(Note::Absent("asks for no login"));

fn wrong(login: &Login) -> Login {
    Login { password: "not-the-password".to_owned(), ..login.clone() }
}

/// The right login.
pub(crate) fn right(bench: &Bench<'_>) -> Tried {
    if bench.site.login().is_none() {
        return NONE;
    }
    bench.signed(Form::Tag).or_else(|_| bench.signed(Form::Bundle))?;
    Ok(Note::Works)
}

/// A wrong password: exit code 4, and neither the registry nor its token service gets it again and again.
pub(crate) fn bad(bench: &Bench<'_>) -> Tried {
    let Some(login) = bench.site.login() else { return NONE };
    let image = bench.image("bad-login", Form::Tag);
    let folder = bench.credentials("bad-login", &[(bench.site.host(), wrong(&login))]);
    let before = bench.site.passwords_seen();
    let mut command = bench.command(Form::Tag, &["sign", &image.reference(bench.site)]);
    command.env("STEPSEAL_REGISTRY_CONFIG", folder);
    let ended = bench.run(command);
    demand(ended.code == 4, || format!("the exit code is {}: {}", ended.code, says(&ended)))?;
    let sent = before.zip(bench.site.passwords_seen()).map(|(before, after)| after - before);
    // Once to the registry, and once to its token service for each scope: ours, and the one that the registry names.
    if let Some(sent) = sent {
        demand((1..=3).contains(&sent), || format!("the password is sent {sent} times"))?;
    }
    let sent = match sent {
        None => String::new(),
        Some(1) => ", the password is sent once".to_owned(),
        Some(sent) => format!(", the password is sent {sent} times"),
    };
    Ok(Note::As(format!("exit {}, {}{sent}", ended.code, says(&ended))))
}

/// Two entries fit; the registry refuses the first, the better one.
pub(crate) fn second_of_two(bench: &Bench<'_>) -> Tried {
    let Some(login) = bench.site.login() else { return NONE };
    let image = bench.image("two-logins", Form::Tag);
    let host = bench.site.host();
    let entries = [(format!("{host}/{}", image.repository), wrong(&login)), (host, login)];
    let folder = bench.credentials("two-logins", &entries);
    let mut failure = None;
    for form in [Form::Tag, Form::Bundle] {
        let mut command = bench.command(form, &["sign", &image.reference(bench.site)]);
        command.env("STEPSEAL_REGISTRY_CONFIG", &folder);
        let ended = bench.run(command);
        if passed(&ended).is_ok() {
            return Ok(Note::Works);
        }
        failure = failure.or(Some(refused(&ended)));
    }
    failure.map_or(Ok(Note::Works), Err)
}
