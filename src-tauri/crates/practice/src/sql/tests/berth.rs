//! What Berth itself sends.

use super::*;

#[test]
fn it_says_what_it_is_and_what_it_plays() {
    let bed = Bed::new();
    let s = bed.sa();
    let said = s.said(
        "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS product_version, CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition, CAST(SERVERPROPERTY('EngineEdition') AS int) AS engine_edition, CAST(SERVERPROPERTY('Collation') AS nvarchar(128)) AS collation, @@VERSION AS version_text",
    );
    assert_eq!(
        said[0],
        "columns product_version nvarchar(128), edition nvarchar(128), engine_edition int, collation nvarchar(128), version_text nvarchar(300)"
    );
    assert!(
        said[1].starts_with(
            "16.0.1000.6|Express Edition (64-bit)|4|SQL_Latin1_General_CP1_CI_AS|Berth practice SQL engine (answers like Microsoft SQL Server 2022"
        ),
        "{}",
        said[1]
    );
    assert_eq!(s.one("SELECT 1"), "1");
    assert_eq!(
        s.rows("SELECT name, state_desc FROM sys.databases ORDER BY database_id"),
        [
            "master|ONLINE",
            "tempdb|ONLINE",
            "model|ONLINE",
            "msdb|ONLINE"
        ]
    );
}

#[test]
fn sa_is_shut_until_it_has_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let server = SqlServer::open(dir.path(), options()).unwrap();
    assert!(server.is_new());
    let bed = Bed { dir, server };
    assert_eq!(
        bed.login("sa", "", "").err(),
        Some(18456),
        "an empty password must not open anything"
    );
    let weak = bed
        .server
        .set_sa_password(&Secret::from("weak"))
        .unwrap_err();
    assert!(
        weak.to_string().contains("too short") && !weak.to_string().contains("weak "),
        "{weak}"
    );
    bed.server.set_sa_password(&Secret::from(PASSWORD)).unwrap();
    bed.sa();
    let bed = bed.reopened();
    assert!(!bed.server.is_new());
    bed.sa();
    assert_eq!(bed.login("sa", "wrong", "").err(), Some(18456));
    assert_eq!(bed.login("nobody", PASSWORD, "").err(), Some(18456));
    assert_eq!(bed.login("sa", PASSWORD, "missing").err(), Some(4060));
}

#[test]
fn a_password_is_rotated_with_any_text() {
    let bed = Bed::new();
    let s = bed.sa();
    for hostile in [
        "it's \"quoted\" {braced}; Encrypt=no",
        "  Spaces 1 around  ",
        "Gr\u{fc}\u{df}e-\u{4e2d}\u{6587}-9",
        "a;B='{}1\"]x--",
        &format!("aB1{}", "\u{e9}".repeat(125)),
    ] {
        s.ok(&format!(
            "ALTER LOGIN [sa] WITH PASSWORD = N'{}'",
            hostile.replace('\'', "''")
        ));
        assert!(bed.login("sa", hostile, "").is_ok(), "{hostile}");
        assert_eq!(
            bed.login("sa", PASSWORD, "").err(),
            Some(18456),
            "the old password is dead"
        );
    }
    assert_eq!(
        s.errors("ALTER LOGIN [sa] WITH PASSWORD = N'short'"),
        [15116]
    );
    s.ok("ALTER LOGIN [sa] DISABLE");
    assert!(bed.login("sa", "a;B='{}1\"]x--", "").is_err());
    s.ok("ALTER LOGIN [sa] ENABLE");
}

#[test]
fn a_database_with_its_own_login() {
    let bed = Bed::new();
    let s = bed.sa();
    for name in ["orders", "my shop]s \u{e4}"] {
        let (id, text) = (name.replace(']', "]]"), name.replace('\'', "''"));
        for _ in 0..2 {
            s.ok(&format!(
                "IF DB_ID(N'{text}') IS NULL CREATE DATABASE [{id}]"
            ));
            s.ok(&format!(
                "IF SUSER_ID(N'{text}_app') IS NULL CREATE LOGIN [{id}_app] WITH PASSWORD = N'Passw0rd-app', DEFAULT_DATABASE = [{id}], CHECK_EXPIRATION = OFF"
            ));
        }
        s.ok(&format!(
            "ALTER AUTHORIZATION ON DATABASE::[{id}] TO [{id}_app]"
        ));
        let app = bed
            .login(&format!("{name}_app"), "Passw0rd-app", "")
            .unwrap();
        assert_eq!(
            app.one("SELECT DB_NAME() + N'/' + USER_NAME() + N'/' + SUSER_SNAME()"),
            format!("{name}/dbo/{name}_app")
        );
        app.ok("CREATE TABLE t (id int)");
        assert_eq!(app.errors("CREATE DATABASE more"), [262]);
        assert_eq!(
            app.errors("ALTER LOGIN [sa] WITH PASSWORD = N'Passw0rd-bad'"),
            [15151]
        );
        assert_eq!(app.errors("SHUTDOWN"), [6004]);
    }
    assert_eq!(
        bed.login("orders_app", "Passw0rd-app", "my shop]s \u{e4}")
            .err(),
        Some(4060),
        "it owns its own database only"
    );
    let app = bed.login("orders_app", "Passw0rd-app", "").unwrap();
    assert_eq!(app.errors("USE [my shop]]s \u{e4}]"), [916]);
    assert_eq!(
        s.errors("DROP DATABASE [orders]"),
        [3702],
        "somebody is in it"
    );
    s.ok("CREATE LOGIN other WITH PASSWORD = N'Passw0rd-app'");
    drop(app);
    s.ok("ALTER DATABASE [orders] SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE [orders]");
    assert_eq!(s.errors("DROP DATABASE [orders]"), [3701]);
    assert_eq!(s.errors("CREATE DATABASE [master]"), [1801]);
    assert_eq!(
        s.errors("CREATE LOGIN other WITH PASSWORD = N'Passw0rd-app'"),
        [15025]
    );
}

#[test]
fn the_clean_stop_checkpoints_every_database() {
    let bed = Bed::new();
    let s = bed.sa();
    s.ok("CREATE DATABASE [a b]");
    s.ok(
        "DECLARE @q nvarchar(max) = N''; SELECT @q += N'USE ' + QUOTENAME(name) + N'; CHECKPOINT; ' FROM sys.databases WHERE state = 0 AND is_read_only = 0 AND database_id <> 2; EXEC (@q);",
    );
    assert_eq!(
        s.one("SELECT DB_NAME()"),
        "master",
        "USE inside EXEC ends with it"
    );
    s.ok("CHECKPOINT");
    s.ok("EXEC sp_configure 'show advanced options', 1; RECONFIGURE; EXEC sp_configure 'max server memory (MB)', 1536; RECONFIGURE;");
    assert_eq!(
        s.one("SELECT value_in_use FROM sys.configurations WHERE name = 'max server memory (MB)'"),
        "1536"
    );
    s.ok("SHUTDOWN");
    assert!(bed.server.is_stopping());
}

#[test]
fn everything_is_there_after_a_restart() {
    let bed = Bed::new();
    let s = bed.sa();
    s.ok("CREATE DATABASE keep");
    s.ok("USE keep; CREATE TABLE t (id int IDENTITY PRIMARY KEY, name nvarchar(20) NOT NULL, price decimal(9,2), at datetime2(3)); INSERT t (name, price, at) VALUES (N'caf\u{e9}', 1.5, '2026-11-22 10:00:00.123')");
    s.ok("CREATE LOGIN keeper WITH PASSWORD = N'Passw0rd-kept', DEFAULT_DATABASE = keep; USE keep; CREATE USER keeper FOR LOGIN keeper; ALTER ROLE db_datareader ADD MEMBER keeper");
    drop(s);
    let bed = bed.reopened();
    let k = bed.login("keeper", "Passw0rd-kept", "").unwrap();
    assert_eq!(
        k.rows("SELECT * FROM t"),
        ["1|caf\u{e9}|1.50|2026-11-22 10:00:00.123"]
    );
    assert_eq!(k.errors("INSERT t (name) VALUES (N'x')"), [229]);
    let s = bed.sa();
    assert_eq!(
        s.one("INSERT keep.dbo.t (name) OUTPUT inserted.id VALUES (N'x')"),
        "2"
    );
}

#[test]
fn a_folder_of_a_newer_version_is_refused() {
    let bed = Bed::new();
    let Bed { dir, server } = bed;
    drop(server);
    let older = Options {
        version: 2019,
        ..options()
    };
    assert!(
        SqlServer::open(dir.path(), older).is_err(),
        "databases do not go back to an older version"
    );
    let newer = Options {
        version: 2025,
        ..options()
    };
    assert!(SqlServer::open(dir.path(), newer).is_ok());
}
