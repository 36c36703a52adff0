//! Containers that Berth did not make and that look like SQL Server: found, and taken up when somebody says so.

use crate::name;

/// The label of Microsoft's images on Linux; a container has the labels of its image.
const PRODUCT: &str = "com.microsoft.product";
/// What the repositories of SQL Server images are called, official and home-made.
const IMAGES: [&str; 5] = [
    "mssql",
    "sqlserver",
    "sql-server",
    "sql_server",
    "azure-sql-edge",
];

/// Whether a container without a label of Berth's looks like SQL Server: by its image's label, its image's name, or the port
/// that it opens inside. A guess; whoever shows it says so.
#[must_use]
pub fn looks_like_sql_server<'a>(
    image: &str,
    label: impl Fn(&str) -> Option<&'a str>,
    ports: impl IntoIterator<Item = u16>,
) -> bool {
    let image = image.to_ascii_lowercase();
    label(PRODUCT).is_some_and(|p| p.contains("SQL Server") || p.contains("SQL Edge"))
        || IMAGES.iter().any(|name| image.contains(name))
        || ports.into_iter().any(|port| port == 1433)
}

/// Whether this is the id of a container, whole. An instance that was adopted has its container's; one that Berth made has a UUID.
#[must_use]
pub fn is_container_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The name that an instance gets from its container's: what a name may not hold becomes `-`.
#[must_use]
pub fn name_from(container: &str) -> String {
    let clean: String = container
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(50)
        .collect();
    if name::check("an instance", &clean).is_ok() {
        clean
    } else {
        "adopted".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_found_is_what_looks_like_sql_server() {
        let none = |_: &str| None;
        for image in [
            "mcr.microsoft.com/mssql/server:2019-latest",
            "our/SqlServer-dev",
            "mcr.microsoft.com/azure-sql-edge",
        ] {
            assert!(looks_like_sql_server(image, none, []), "{image}");
        }
        assert!(!looks_like_sql_server("postgres:17", none, [5432]));
        assert!(
            looks_like_sql_server("sha256:0a1b", none, [1433]),
            "an image without a name still opens the port"
        );
        assert!(looks_like_sql_server(
            "0a1b",
            |k| (k == PRODUCT).then_some("Microsoft SQL Server"),
            []
        ));
    }

    proptest! {
        #[test]
        fn every_container_gives_a_name_that_an_instance_can_have(container in ".{0,80}") {
            prop_assert!(name::check("an instance", &name_from(&container)).is_ok());
        }
    }

    #[test]
    fn ids_of_containers_are_told_from_those_of_instances() {
        assert!(is_container_id(&"0a".repeat(32)));
        assert!(!is_container_id("11111111-2222-4333-8444-555555555555"));
    }
}
