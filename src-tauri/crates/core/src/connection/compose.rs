//! Docker Compose: a service with the string in its environment.
//!
//! The string of [`super::adonet`] as a JSON string literal, which YAML 1.2 reads, with `$` doubled as
//! Compose's interpolation wants it.

use super::{AdoNet, Card, Flags, Format, Language, Parts, Shape, Text, Tls, adonet, quote};
use crate::Result;

/// See the module.
pub(super) struct Compose;

const OPEN: &str = "services:\n  app:\n    environment:\n      ConnectionStrings__Default: \"";
const CLOSE: &str = "\"\n";
const CLOSE_LOCAL: &str = "\"\n    extra_hosts:\n      - \"host.docker.internal:host-gateway\"\n";

/// What a container calls the machine that it runs on.
const THIS_MACHINE: &str = "host.docker.internal";

static CARD: Card = Card {
    id: "compose",
    name: "Docker Compose",
    family: "Containers",
    about: "For a Compose file: the ADO.NET string in a service's environment, as .NET reads it",
    limits: &[
        "An address of this machine's own is written as `host.docker.internal`: in a container, `127.0.0.1` is the container",
        "On a Linux engine a container reaches ports of 127.0.0.1 by no name: publish the port on another address there",
        "The file holds the password: keep it out of version control",
        "No keyword names the file of a certificate authority, and a pinned certificate's file has to be in the container",
        adonet::BUILDER,
    ],
    shape: Shape::Snippet(Language::Yaml),
    grammar: "YAML 1.2 over RFC 8259, compose-spec interpolation (`$$`), around the string of `adonet`",
    defaults: &[
        (
            "ConnectionStrings__Default",
            "the variable that .NET's configuration reads as `ConnectionStrings:Default`",
        ),
        adonet::CONNECT_TIMEOUT,
    ],
    flags: Some(Flags::NET),
};

impl Format for Compose {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        let mut parts = parts.clone();
        let local = is_local(&parts.host);
        let mut fits = None;
        if local {
            let host = std::mem::replace(&mut parts.host, THIS_MACHINE.to_owned());
            if matches!(parts.tls, Tls::Verified { .. }) {
                // The certificate was made for the name that the host has outside.
                fits = Some(host);
            }
        }
        let string = AdoNet::composed_for(self, &parts, fits.as_deref())?;
        Ok(string.carried(
            (OPEN, if local { CLOSE_LOCAL } else { CLOSE }),
            quote::compose_json_inner,
        ))
    }
}

/// Whether the host is the machine itself, which a container would take for the container.
fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, _: Option<&str>) -> Result<Said, String> {
        let yaml = read_yaml(text)?;
        let string = yaml
            .get("services.app.environment.ConnectionStrings__Default")
            .ok_or("no string")?;
        let plain = string.replace("$$", "\0");
        if plain.contains('$') {
            return Err("Compose would put a variable here".into());
        }
        let mut said = adonet::tests::read_with(&plain.replace('\0', "$"), |pairs| {
            pairs.take("HostNameInCertificate");
        })?;
        if said.host == THIS_MACHINE {
            if !text.contains("host-gateway") {
                return Err("no such host on Linux".into());
            }
            said.host = "127.0.0.1".into();
        }
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_goes_in_comes_out(mut parts in any_parts()) {
            let says = adonet::tests::says(&parts, &Compose);
            if is_local(&parts.host) {
                parts.host = "127.0.0.1".into();
            }
            round_trip(&Compose, &parts, says.then(|| (&parts).into()), read)?;
        }
    }

    #[test]
    fn this_machine_has_another_name_in_a_container() {
        let mut parts = plain();
        parts.host = "localhost".into();
        parts.tls = Tls::Verified { ca_file: None };
        let text = Compose.write(&parts).unwrap().masked();
        assert!(
            text.contains("tcp:host.docker.internal,14330")
                && text.contains("HostNameInCertificate=localhost"),
            "127.0.0.1 would be the container itself, and the certificate is localhost's: {text}"
        );
        parts.host = "db.example".into();
        let text = Compose.write(&parts).unwrap().masked();
        assert!(text.contains("tcp:db.example,14330") && !text.contains("extra_hosts"));
    }
}
