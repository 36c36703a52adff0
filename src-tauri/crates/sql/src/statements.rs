//! Every T-SQL text that Berth itself sends, in one place.
//!
//! Names go in as `[name]` with `]` doubled, texts as `N'text'` with `'` doubled; nothing else
//! of a caller reaches a statement. [`all_for_check`] lists them for Microsoft's own parser.

use berth_core::{Secret, secret::ExposeSecret};

/// Who the server is.
pub const IDENTITY: &str = "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS product_version, CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition, CAST(SERVERPROPERTY('EngineEdition') AS int) AS engine_edition, CAST(SERVERPROPERTY('Collation') AS nvarchar(128)) AS collation, @@VERSION AS version_text";

/// All databases and their states, the system's first.
pub const DATABASES: &str = "SELECT name, state_desc FROM sys.databases ORDER BY database_id";

/// Writes every database's dirty pages to disk, so that a stop loses nothing and starts fast
/// again. Not tempdb (2), and not what cannot be written.
pub const CHECKPOINT_ALL: &str = "DECLARE @q nvarchar(max) = N''; SELECT @q += N'USE ' + QUOTENAME(name) + N'; CHECKPOINT; ' FROM sys.databases WHERE state = 0 AND is_read_only = 0 AND database_id <> 2; EXEC (@q);";

/// A name as T-SQL takes it whatever is in it: `[name]`.
#[must_use]
pub fn quoted_name(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// A text as T-SQL takes it whatever is in it: `N'text'`.
///
/// A `\` before a line break joins two lines of a literal (T-SQL reference, "Backslash (Line Continuation)"), so such a pair
/// is written with one more of each: the first `\` stands for itself, the second takes the added break with it.
#[must_use]
pub fn literal(text: &str) -> String {
    let quoted = text
        .replace('\'', "''")
        .replace("\\\r\n", "\\\\\r\n\r\n")
        .replace("\\\n", "\\\\\n\n");
    format!("N'{quoted}'")
}

/// Gives a login another password. The text holds the password.
#[must_use]
pub fn set_password(login: &str, password: &Secret) -> Secret {
    Secret::from(format!(
        "ALTER LOGIN {} WITH PASSWORD = {}",
        quoted_name(login),
        literal(password.expose_secret())
    ))
}

/// Makes a database unless there is one of that name.
#[must_use]
pub fn create_database(name: &str) -> String {
    format!(
        "IF DB_ID({}) IS NULL CREATE DATABASE {}",
        literal(name),
        quoted_name(name)
    )
}

/// Makes a login, with its own database to start in, unless there is one of that name. The text
/// holds the password.
#[must_use]
pub fn create_login(login: &str, database: &str, password: &Secret) -> Secret {
    Secret::from(format!(
        "IF SUSER_ID({}) IS NULL CREATE LOGIN {} WITH PASSWORD = {}, DEFAULT_DATABASE = {}, CHECK_EXPIRATION = OFF",
        literal(login),
        quoted_name(login),
        literal(password.expose_secret()),
        quoted_name(database)
    ))
}

/// Makes a login the owner of a database.
#[must_use]
pub fn give_database(database: &str, login: &str) -> String {
    format!(
        "ALTER AUTHORIZATION ON DATABASE::{} TO {}",
        quoted_name(database),
        quoted_name(login)
    )
}

/// Removes a login, if there is one of that name.
#[must_use]
pub fn drop_login(login: &str) -> String {
    format!(
        "IF SUSER_ID({}) IS NOT NULL DROP LOGIN {}",
        literal(login),
        quoted_name(login)
    )
}

/// Where new databases and backups go; NULL where the version does not say.
pub const FOLDERS: &str = "SELECT CAST(SERVERPROPERTY('InstanceDefaultDataPath') AS nvarchar(512)) AS data, CAST(SERVERPROPERTY('InstanceDefaultBackupPath') AS nvarchar(512)) AS backups";

/// Whether there is a login of that name: one row with its id, or with NULL.
#[must_use]
pub fn login_id(login: &str) -> String {
    format!("SELECT SUSER_ID({}) AS id", literal(login))
}

/// Ends every other session in a database and rolls back what they had open.
#[must_use]
pub fn single_user(database: &str) -> String {
    format!(
        "ALTER DATABASE {} SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
        quoted_name(database)
    )
}

/// Removes a database and its files, for good.
#[must_use]
pub fn drop_database(database: &str) -> String {
    format!("DROP DATABASE {}", quoted_name(database))
}

/// Limits the server's memory, in MiB. Without it, a process-isolated Windows container sizes
/// itself by the host's memory.
#[must_use]
pub fn set_max_memory(mb: u32) -> String {
    format!(
        "EXEC sp_configure 'show advanced options', 1; RECONFIGURE; EXEC sp_configure 'max server memory (MB)', {mb}; RECONFIGURE;"
    )
}

/// Every statement with its name, filled with the worst names and texts that there are.
#[must_use]
pub fn all_for_check() -> Vec<(&'static str, String)> {
    let name = "a]b'c[d\" e--/*";
    let password = Secret::from("a'b]c\"d;--/*ü😀");
    let open = |s: Secret| s.expose_secret().to_owned();
    vec![
        ("identity", IDENTITY.to_owned()),
        ("databases", DATABASES.to_owned()),
        ("checkpoint_all", CHECKPOINT_ALL.to_owned()),
        ("set_password", open(set_password(name, &password))),
        ("create_database", create_database(name)),
        ("create_login", open(create_login(name, name, &password))),
        ("give_database", give_database(name, name)),
        ("drop_login", drop_login(name)),
        ("login_id", login_id(name)),
        ("folders", FOLDERS.to_owned()),
        ("single_user", single_user(name)),
        ("drop_database", drop_database(name)),
        ("set_max_memory", set_max_memory(1536)),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_statements_are_the_agreed_ones() {
        let password = Secret::from("p");
        assert_eq!(
            set_password("sa", &password).expose_secret(),
            "ALTER LOGIN [sa] WITH PASSWORD = N'p'"
        );
        assert_eq!(
            create_database("x"),
            "IF DB_ID(N'x') IS NULL CREATE DATABASE [x]"
        );
        assert_eq!(
            create_login("x_app", "x", &password).expose_secret(),
            "IF SUSER_ID(N'x_app') IS NULL CREATE LOGIN [x_app] WITH PASSWORD = N'p', DEFAULT_DATABASE = [x], CHECK_EXPIRATION = OFF"
        );
        assert_eq!(
            give_database("x", "x_app"),
            "ALTER AUTHORIZATION ON DATABASE::[x] TO [x_app]"
        );
        assert_eq!(
            single_user("x"),
            "ALTER DATABASE [x] SET SINGLE_USER WITH ROLLBACK IMMEDIATE"
        );
    }

    proptest! {
        #[test]
        fn nothing_gets_out_of_its_quotes(text in "[a\\]\\[' \"ü;\\\\\r\n-]{0,40}") {
            let name = quoted_name(&text);
            let inside = &name[1..name.len() - 1];
            prop_assert_eq!(inside.replace("]]", ""), text.replace(']', ""), "no single ] may end the name");
            let literal = literal(&text);
            let inside = &literal[2..literal.len() - 1];
            let joined = inside.replace("\\\r\n", "").replace("\\\n", "");
            prop_assert_eq!(joined.replace("''", ""), text.replace('\'', ""), "no single ' may end the text, and no \\ may join its lines");
        }
    }
}
