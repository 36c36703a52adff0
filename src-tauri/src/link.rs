//! Links into the app: `berth://instance/ID`. A link shows an instance that is there, and does nothing else: a web page
//! may hold one.

/// What our links begin with.
pub(crate) const SCHEME: &str = "berth://";

/// The instance that a link means. Only what an id is made of; everything else is no link of ours.
pub(crate) fn instance(link: &str) -> Option<&str> {
    let id = link.strip_prefix("berth://instance/")?;
    let id = id.strip_suffix('/').unwrap_or(id);
    (!id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        .then_some(id)
}

#[cfg(test)]
mod tests {
    use super::instance;

    #[test]
    fn a_link_names_an_instance_or_nothing() {
        assert_eq!(
            instance("berth://instance/0b1f-22"),
            Some("0b1f-22"),
            "the only kind of link there is"
        );
        assert_eq!(
            instance("berth://instance/0b1f/"),
            Some("0b1f"),
            "browsers add the last slash"
        );
        for other in [
            "berth://instance/",
            "berth://instance/a/b",
            "berth://instance/a?remove=1",
            "berth://instance/..%2f",
            "berth://host/a",
            "https://instance/a",
            &format!("berth://instance/{}", "a".repeat(65)),
        ] {
            assert_eq!(
                instance(other),
                None,
                "{other} comes from anyone who can write a web page"
            );
        }
    }
}
