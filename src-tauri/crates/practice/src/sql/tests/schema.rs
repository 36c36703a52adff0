//! Definitions.

use super::*;

#[test]
fn tables_change() {
    let bed = Bed::new();
    let s = bed.sa();
    s.ok("CREATE DATABASE d");
    s.ok("USE d; CREATE TABLE dbo.[my table] ([a]]b] int NOT NULL, CONSTRAINT pk PRIMARY KEY CLUSTERED ([a]]b] ASC) WITH (PAD_INDEX = OFF) ON [PRIMARY]) ON [PRIMARY]; INSERT [my table] VALUES (1), (2)");
    s.ok("ALTER TABLE [my table] ADD c nvarchar(5) NULL, d int NOT NULL CONSTRAINT df DEFAULT (7)");
    assert_eq!(s.rows("SELECT * FROM [my table]"), ["1|NULL|7", "2|NULL|7"]);
    assert_eq!(
        s.errors("ALTER TABLE [my table] ADD e int NOT NULL"),
        [4901]
    );
    s.ok("ALTER TABLE [my table] ALTER COLUMN d bigint NOT NULL");
    assert_eq!(s.errors("ALTER TABLE [my table] DROP COLUMN d"), [5074]);
    s.ok("ALTER TABLE [my table] DROP CONSTRAINT df; ALTER TABLE [my table] DROP COLUMN d");
    s.ok("CREATE UNIQUE NONCLUSTERED INDEX ix ON [my table] (c) WHERE c IS NOT NULL");
    s.ok("UPDATE [my table] SET c = N'x' WHERE [a]]b] = 1");
    assert_eq!(s.errors("UPDATE [my table] SET c = N'X'"), [2601]);
    s.ok(
        "DROP INDEX ix ON [my table]; EXEC sp_rename 'my table.c', 'renamed', 'COLUMN'"
            .replace("my table.c", "[my table].c")
            .as_str(),
    );
    assert_eq!(
        s.one("SELECT renamed FROM [my table] WHERE renamed IS NOT NULL"),
        "x"
    );
    s.ok("DROP TABLE IF EXISTS nothing, [my table]");
    assert_eq!(s.errors("DROP TABLE [my table]"), [3701]);
    assert_eq!(s.errors("CREATE TABLE a (x int, X int)"), [2705]);
    s.ok("CREATE TABLE a (x int)");
    assert_eq!(s.errors("CREATE TABLE a (x int)"), [2714]);
}

#[test]
fn views_and_schemas() {
    let bed = Bed::new();
    let s = bed.sa();
    s.ok("CREATE DATABASE d");
    s.ok("USE d; EXEC('CREATE SCHEMA sales'); CREATE TABLE sales.item (id int, name varchar(10)); INSERT sales.item VALUES (1, 'a')");
    s.ok("CREATE VIEW sales.v AS SELECT id * 2 AS twice, name FROM sales.item");
    assert_eq!(s.rows("SELECT * FROM sales.v"), ["2|a"]);
    assert_eq!(s.errors("CREATE VIEW bad AS SELECT 1"), [4511]);
    assert_eq!(s.errors("SELECT 1; CREATE VIEW v2 AS SELECT 1 AS a"), [111]);
    s.ok("CREATE OR ALTER VIEW sales.v AS SELECT name FROM sales.item");
    assert_eq!(s.rows("SELECT * FROM d.sales.v"), ["a"]);
    assert_eq!(s.rows("SELECT s.name + '.' + o.name, o.type FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id ORDER BY o.name"), ["sales.item|U ", "sales.v|V "]);
    s.ok("DROP VIEW sales.v; DROP TABLE sales.item; DROP SCHEMA sales");
}

#[test]
fn what_drivers_and_tools_ask_at_connect() {
    let bed = Bed::new();
    let s = bed.sa();
    for sql in [
        "SET ANSI_NULLS, QUOTED_IDENTIFIER ON; SET TEXTSIZE 2147483647; SET LOCK_TIMEOUT -1; SET ROWCOUNT 0; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LANGUAGE us_english; SET DATEFORMAT mdy; SET DATEFIRST 7; SET NO_BROWSETABLE ON; SET FMTONLY OFF; SET CONTEXT_INFO 0x01",
        "set implicit_transactions off set cursor_close_on_commit off set ansi_warnings on set ansi_padding on set concat_null_yields_null on",
        "SELECT SESSIONPROPERTY('ANSI_NULLS'), @@OPTIONS, @@LANGUAGE, @@TRANCOUNT, DB_NAME(), SUSER_SNAME(), @@SERVERNAME, HOST_NAME(), APP_NAME()",
        "SELECT DATABASEPROPERTYEX(DB_NAME(), 'Collation'), DATABASEPROPERTYEX('master', 'Status'), SERVERPROPERTY('ProductLevel')",
        "SELECT sqlserver_start_time FROM sys.dm_os_sys_info; SELECT * FROM sys.dm_exec_requests; SELECT name, is_disabled FROM sys.sql_logins WHERE sid = 0x01",
        "IF OBJECT_ID(N'[__EFMigrationsHistory]') IS NULL BEGIN CREATE TABLE [__EFMigrationsHistory] ([MigrationId] nvarchar(150) NOT NULL, [ProductVersion] nvarchar(32) NOT NULL, CONSTRAINT [PK___EFMigrationsHistory] PRIMARY KEY ([MigrationId])); END;",
        "SELECT {fn NOW()}, {ts '2026-11-22 10:00:00'}"
            .replace("{fn NOW()}, ", "")
            .as_str(),
        "sp_who",
        "EXEC sp_databases",
        "SELECT * FROM sys.configurations WHERE name LIKE 'max%'",
        "SELECT type, is_unique FROM sys.indexes; SELECT * FROM sys.columns; SELECT * FROM sys.types; SELECT * FROM sys.database_principals; SELECT * FROM sys.foreign_keys; SELECT * FROM sys.server_principals",
    ] {
        s.ok(sql);
    }
    assert_eq!(s.one("SELECT ORIGINAL_LOGIN()"), "sa");
}
