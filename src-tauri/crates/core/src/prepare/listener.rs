//! The engine's own listener: on its machine's loopback, for who has a certificate of the authority that Berth made for it.

use super::{
    Look, Wish,
    daemon::{self, Listens},
};

/// What this machine keeps for the engine of one host: nothing yet, or the certificates that it made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pair {
    /// The authority's certificate, PEM.
    pub ca: Option<String>,
    /// The engine's, PEM.
    pub server: Option<String>,
    /// When they end, in words, where that is soon or was.
    pub ending: Option<String>,
}

/// Whose listener there is, by the certificates that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// There is none.
    Nobodys,
    /// This machine made it.
    Ours,
    /// Another machine made it, or this one and its keychain has lost that.
    Anothers,
}

/// Whose listener there is.
#[must_use]
pub fn listener_of(look: &Look, wish: &Wish) -> Whose {
    let same = |there: &Option<String>, ours: &Option<String>| match (there, ours) {
        (Some(there), Some(ours)) => there.trim() == ours.trim(),
        _ => false,
    };
    match (&look.tls.ca, &wish.pair) {
        (None, _) => Whose::Nobodys,
        (Some(_), Some(pair))
            if same(&look.tls.ca, &pair.ca) && same(&look.tls.cert, &pair.server) =>
        {
            Whose::Ours
        }
        _ => Whose::Anothers,
    }
}

/// Whether Berth may say where the engine listens: not over what its owner says, in its settings or on its command line,
/// for one of the two alone makes dockerd refuse to start.
pub(super) fn may_be(look: &Look) -> bool {
    let theirs = !look.engine.ours && look.engine.answers.is_some();
    let flag = (look.engine.path.as_deref())
        .is_some_and(|path| path.contains(" -H") || path.contains(" --host"));
    !theirs && !flag && daemon::listens(look.daemon.as_deref(), &look.tls.folder) != Listens::Theirs
}

/// The folder of the certificates that the engine is to listen with: those that are there.
pub(super) fn folder<'a>(look: &'a Look, wish: &Wish) -> Option<&'a str> {
    let ready = look.tls.ca.is_some() && listener_of(look, wish) == Whose::Ours && may_be(look);
    ready.then_some(look.tls.folder.as_str())
}

/// Whether the engine listens with the certificates that this machine made for it.
#[must_use]
pub fn is_ready(look: &Look, wish: &Wish) -> bool {
    look.engine.answers.is_some()
        && listener_of(look, wish) == Whose::Ours
        && daemon::listens(look.daemon.as_deref(), &look.tls.folder) == Listens::Ours
}

/// What is there, and whether there is something to do; `None` where that step is not for this machine.
pub(super) fn step(look: &Look, wish: &Wish) -> Option<(String, bool)> {
    let pair = wish.pair.as_ref()?;
    if !may_be(look) {
        return Some((
            "its owner says where it listens; left alone".to_owned(),
            false,
        ));
    }
    Some(match (listener_of(look, wish), &pair.ending) {
        (Whose::Nobodys, _) => ("none".to_owned(), true),
        (Whose::Anothers, _) if wish.renew => (
            "of another computer, which then goes the slower way".to_owned(),
            true,
        ),
        (Whose::Anothers, _) => ("of another computer; left alone".to_owned(), false),
        (Whose::Ours, Some(when)) => (format!("its certificates end: {when}"), true),
        (Whose::Ours, None) if wish.renew => {
            ("there; new certificates are wanted".to_owned(), true)
        }
        (Whose::Ours, None) if !look.tls.private => {
            ("its key is open to others on that machine".to_owned(), true)
        }
        (Whose::Ours, None) => ("there".to_owned(), false),
    })
}
