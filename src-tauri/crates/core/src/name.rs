//! Names: of hosts, instances, databases and logins, and what each may hold.

use crate::{Error, Result};

/// The name of an instance or host: what Docker takes as a container name, kept to what
/// also reads well in a shell and in `HOST/NAME`.
///
/// 1 to 50 characters: ASCII letters, digits, `-`, `_`, `.`; the first a letter or digit.
/// Docker itself wants two characters and adds our prefix, so one is enough here.
///
/// # Errors
/// [`crate::Code::Usage`], naming the first thing that is wrong.
pub fn check(kind: &str, name: &str) -> Result<()> {
    let bad = |why: String| {
        Err(Error::usage(format!(
            "`{}` cannot be the name of {kind}",
            name.escape_debug()
        ))
        .because(why)
        .hint("Use letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 50"))
    };
    let Some(first) = name.chars().next() else {
        return bad("it is empty".into());
    };
    if !first.is_ascii_alphanumeric() {
        return bad(format!("it starts with `{}`", first.escape_debug()));
    }
    if let Some(c) = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        return bad(format!("it holds `{}`", c.escape_debug()));
    }
    if name.len() > 50 {
        return bad(format!("it has {} characters", name.len()));
    }
    Ok(())
}

/// What SQL Server takes as a regular name of a database or login: 1 to 128 UTF-16 units,
/// no control characters, no space at the edges.
///
/// # Errors
/// [`crate::Code::Usage`], naming the first thing that is wrong.
pub fn check_sql(kind: &str, name: &str) -> Result<()> {
    let bad = |why: &str| {
        Err(Error::usage(format!(
            "`{}` cannot be the name of {kind}",
            name.escape_debug()
        ))
        .because(why)
        .hint("Use a name of 1 to 128 characters without control characters"))
    };
    if name.is_empty() {
        return bad("it is empty");
    }
    if name.encode_utf16().count() > 128 {
        return bad("it has more than 128 UTF-16 units");
    }
    if name.chars().any(char::is_control) {
        return bad("it holds a control character");
    }
    if name.trim() != name {
        return bad("it starts or ends with a space");
    }
    Ok(())
}

/// An instance as a user names it: `NAME` or `HOST/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceName {
    /// The host's name, where it was given.
    pub host: Option<String>,
    /// The instance's name on its host.
    pub name: String,
}

impl InstanceName {
    /// Reads `NAME` or `HOST/NAME`.
    ///
    /// # Errors
    /// [`crate::Code::Usage`] where either part is no name.
    pub fn parse(text: &str) -> Result<Self> {
        let (host, name) = match text.split_once('/') {
            Some((host, name)) => {
                check("a host", host)?;
                (Some(host.to_owned()), name)
            }
            None => (None, text),
        };
        check("an instance", name)?;
        Ok(Self {
            host,
            name: name.to_owned(),
        })
    }
}

/// The first of `base`, `base-2`, `base-3`, … that is not taken.
#[must_use]
pub fn first_free(base: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut n = 1_u32;
    loop {
        let name = if n == 1 {
            base.to_owned()
        } else {
            format!("{base}-{n}")
        };
        if !taken(&name) {
            return name;
        }
        n = n.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_docker_refuses_are_refused_here_first() {
        for name in ["sql2022", "a", "orders-dev", "A.b_c-9"] {
            assert!(check("an instance", name).is_ok(), "{name}");
        }
        for name in ["", "-a", ".a", "a b", "a/b", "ü", "a\n", &"x".repeat(51)] {
            assert!(
                check("an instance", name).is_err(),
                "{name:?} would fail later, at the engine"
            );
        }
    }

    #[test]
    fn the_second_instance_gets_a_number() {
        let taken = ["sql2022", "sql2022-2"];
        assert_eq!(first_free("sql2022", |n| taken.contains(&n)), "sql2022-3");
        assert_eq!(first_free("sql2019", |n| taken.contains(&n)), "sql2019");
    }

    #[test]
    fn host_and_name_are_told_apart() {
        let n = InstanceName::parse("winhost/orders").unwrap();
        assert_eq!(
            (n.host.as_deref(), n.name.as_str()),
            (Some("winhost"), "orders")
        );
        assert!(InstanceName::parse("a/b/c").is_err());
        assert!(InstanceName::parse("/b").is_err());
    }
}
