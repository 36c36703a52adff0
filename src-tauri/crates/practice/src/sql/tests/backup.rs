//! `BACKUP` and `RESTORE`: what SQL Server says, over files that are really there.

use super::{Bed, options};
use crate::sql::server::{Options, SqlServer};

/// A database with two rows.
fn shop(bed: &Bed) -> crate::sql::session::Session {
    let s = bed.sa();
    s.ok("CREATE DATABASE shop");
    s.ok("CREATE TABLE shop.dbo.thing (id int PRIMARY KEY, name nvarchar(20)); INSERT shop.dbo.thing VALUES (1, N'one'), (2, N'zwei')");
    s
}

fn path(bed: &Bed, name: &str) -> String {
    bed.dir.path().join(name).display().to_string()
}

#[test]
fn what_was_backed_up_comes_back_under_its_name_and_under_another() {
    let bed = Bed::new();
    let s = shop(&bed);
    let file = path(&bed, "shop.bak");
    let said = s.said(&format!(
        "BACKUP DATABASE shop TO DISK = N'{file}' WITH INIT, CHECKSUM, STATS = 25, NAME = N'first'"
    ));
    assert_eq!(
        said.iter()
            .filter(|l| l.contains("percent processed."))
            .cloned()
            .collect::<Vec<_>>(),
        [25, 50, 75, 100].map(|n| format!("info 3211 line 0: {n} percent processed.")),
        "progress comes as SQL Server's: {said:#?}"
    );
    assert!(
        said.last().is_some_and(
            |l| l.contains("info 3014 line 0: BACKUP DATABASE successfully processed ")
        ),
        "the last word is the summary: {said:#?}"
    );
    s.ok("DELETE shop.dbo.thing");
    assert_eq!(
        s.errors(&format!("RESTORE DATABASE other FROM DISK = '{file}'")),
        [1834, 3156, 1834, 3156, 3119, 3013],
        "without MOVE the copy would overwrite the files of the first"
    );
    let (data, log) = (path(&bed, "copy.mdf"), path(&bed, "copy.ldf"));
    let restore = format!(
        "DECLARE @f nvarchar(260) = N'{file}', @d sysname = N'copy';
         RESTORE DATABASE @d FROM DISK = @f WITH FILE = 1, MOVE N'shop' TO N'{data}', MOVE N'shop_log' TO N'{log}', STATS = 50, RECOVERY"
    );
    let said = s.said(&restore);
    assert!(
        said.iter()
            .any(|l| l.contains("RESTORE DATABASE successfully processed")),
        "{said:#?}"
    );
    assert_eq!(
        s.rows("SELECT name FROM copy.dbo.thing ORDER BY id"),
        ["one", "zwei"]
    );
    assert_eq!(
        s.rows("SELECT physical_name FROM copy.sys.database_files ORDER BY file_id"),
        [data.clone(), log],
        "files are where MOVE said"
    );
    assert!(
        std::path::Path::new(&data).exists(),
        "a file that is named is there"
    );
    // Over itself: the model is simple on Express, so no tail is missing.
    s.ok(&format!("RESTORE DATABASE shop FROM DISK = '{file}'"));
    assert_eq!(s.one("SELECT COUNT(*) FROM shop.dbo.thing"), "2");
    s.ok("DROP DATABASE copy");
    assert!(
        !std::path::Path::new(&data).exists(),
        "a dropped database leaves no file"
    );
    drop(s);
    let bed = bed.reopened();
    assert_eq!(
        bed.sa().one("SELECT COUNT(*) FROM shop.dbo.thing"),
        "2",
        "a restored database is there after a restart"
    );
}

#[test]
fn a_backup_says_what_is_in_it() {
    let bed = Bed::new();
    let s = shop(&bed);
    let file = path(&bed, "shop.bak");
    s.ok(&format!(
        "BACKUP DATABASE shop TO DISK = '{file}' WITH NAME = 'first', COPY_ONLY"
    ));
    s.ok(&format!(
        "BACKUP DATABASE shop TO DISK = '{file}' WITH NAME = 'second', CHECKSUM"
    ));
    let headers = s.rows(&format!("RESTORE HEADERONLY FROM DISK = '{file}'"));
    assert_eq!(headers.len(), 2, "NOINIT appends: {headers:?}");
    let second: Vec<&str> = headers[1].split('|').collect();
    assert_eq!(
        (
            second[0], second[2], second[5], second[9], second[10], second[38]
        ),
        ("second", "1", "2", "shop", "957", "1")
    );
    let files = s.rows(&format!(
        "RESTORE FILELISTONLY FROM DISK = '{file}' WITH FILE = 2"
    ));
    let logical: Vec<(&str, &str)> = files
        .iter()
        .map(|row| {
            let mut cells = row.split('|');
            (cells.next().unwrap(), cells.nth(1).unwrap())
        })
        .collect();
    assert_eq!(logical, [("shop", "D"), ("shop_log", "L")]);
    assert_eq!(
        s.rows(&format!("RESTORE LABELONLY FROM DISK = '{file}'"))
            .len(),
        1
    );
    let said = s.said(&format!(
        "RESTORE VERIFYONLY FROM DISK = '{file}' WITH FILE = 2, CHECKSUM"
    ));
    assert_eq!(
        said,
        ["info 3262 line 0: The backup set on file 2 is valid."]
    );
    assert_eq!(
        s.errors(&format!(
            "RESTORE VERIFYONLY FROM DISK = '{file}' WITH CHECKSUM"
        )),
        [3187, 3013],
        "the first set has no checksums"
    );
    s.ok(&format!(
        "BACKUP DATABASE shop TO DISK = '{file}' WITH INIT"
    ));
    assert_eq!(
        s.rows(&format!("RESTORE HEADERONLY FROM DISK = '{file}'"))
            .len(),
        1,
        "INIT begins anew"
    );
}

#[test]
fn refusals_are_sql_servers() {
    let bed = Bed::new();
    let s = shop(&bed);
    let file = path(&bed, "shop.bak");
    let nowhere = path(&bed, "no/where.bak");
    s.ok(&format!("BACKUP DATABASE shop TO DISK = '{file}'"));
    for (sql, numbers) in [
        (
            "BACKUP DATABASE nothing TO DISK = 'x.bak'".to_owned(),
            vec![911, 3013],
        ),
        (
            "BACKUP DATABASE tempdb TO DISK = 'x.bak'".into(),
            vec![3147, 3013],
        ),
        (
            format!("BACKUP DATABASE shop TO DISK = '{nowhere}'"),
            vec![3201, 3013],
        ),
        (
            "RESTORE HEADERONLY FROM DISK = 'none.bak'".into(),
            vec![3201, 3013],
        ),
        (
            "RESTORE HEADERONLY FROM DISK = 'master.sqlite'".into(),
            vec![3241, 3013],
        ),
        (
            "BACKUP DATABASE shop TO DISK = 'master.sqlite'".into(),
            vec![3241, 3013],
        ),
        (
            "BACKUP DATABASE shop TO DISK = 'x.bak' WITH COMPRESSION".into(),
            vec![1844, 3013],
        ),
        ("BACKUP LOG shop TO DISK = 'x.bak'".into(), vec![4208, 3013]),
        (
            "BACKUP DATABASE shop TO DISK = 'x.bak' WITH NONSENSE".into(),
            vec![155, 3013],
        ),
        (
            format!("RESTORE DATABASE copy FROM DISK = '{file}' WITH FILE = 7"),
            vec![4038, 3013],
        ),
        (
            format!("RESTORE DATABASE copy FROM DISK = '{file}' WITH MOVE 'nothing' TO 'x'"),
            vec![3234, 3013],
        ),
        (
            format!("RESTORE DATABASE tempdb FROM DISK = '{file}' WITH REPLACE"),
            vec![3147, 3013],
        ),
        (
            format!("USE shop; RESTORE DATABASE shop FROM DISK = '{file}'"),
            vec![3102, 3013],
        ),
        (
            format!(
                "USE master; BEGIN TRANSACTION; RESTORE DATABASE shop FROM DISK = '{file}'; ROLLBACK"
            ),
            vec![3021, 3013],
        ),
        (
            "BACKUP DATABASE shop TO URL = 'https://x'".into(),
            vec![50000],
        ),
        (
            "BACKUP DATABASE shop TO DISK = 'x.bak' WITH DIFFERENTIAL".into(),
            vec![50000],
        ),
        ("RESTORE LOG shop FROM DISK = 'x.bak'".into(), vec![50000]),
    ] {
        assert_eq!(s.errors(&sql), numbers, "{sql}");
    }
    s.ok("CREATE DATABASE second");
    assert_eq!(
        s.errors(&format!("RESTORE DATABASE second FROM DISK = '{file}'")),
        [3154, 3013],
        "another database is not overwritten unasked"
    );
    let other = bed.login("sa", super::PASSWORD, "second").unwrap();
    assert_eq!(
        s.errors(&format!(
            "RESTORE DATABASE second FROM DISK = '{file}' WITH REPLACE"
        )),
        [3101, 3013],
        "somebody is in it"
    );
    drop(other);
    s.ok("ALTER DATABASE shop SET RECOVERY FULL");
    assert_eq!(
        s.errors(&format!("RESTORE DATABASE shop FROM DISK = '{file}'")),
        [3159, 3013],
        "the tail of the log would be lost"
    );
    assert_eq!(
        s.one(&format!("BEGIN TRY RESTORE DATABASE shop FROM DISK = '{file}' END TRY BEGIN CATCH SELECT ERROR_NUMBER() END CATCH")),
        "3013",
        "a CATCH sees the last error alone"
    );
}

#[test]
fn a_damaged_backup_overwrites_nothing() {
    let bed = Bed::new();
    let s = shop(&bed);
    let file = path(&bed, "shop.bak");
    s.ok(&format!("BACKUP DATABASE shop TO DISK = '{file}'"));
    let whole = std::fs::read(&file).unwrap();
    let mut broken = whole.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 1;
    std::fs::write(&file, &broken).unwrap();
    let verify = format!("RESTORE VERIFYONLY FROM DISK = '{file}'");
    let restore = format!("RESTORE DATABASE shop FROM DISK = '{file}' WITH REPLACE");
    assert_eq!(s.errors(&verify), [3189, 3013]);
    assert_eq!(s.errors(&restore), [3183, 3013]);
    std::fs::write(&file, &whole[..middle]).unwrap();
    assert_eq!(s.errors(&verify), [3203, 3013]);
    assert_eq!(s.errors(&restore), [3203, 3013]);
    std::fs::write(&file, b"TAPE\0\0\x03\0 and the rest").unwrap();
    assert_eq!(
        s.errors(&verify),
        [50000],
        "SQL Server's own backup is declined, not called damaged"
    );
    assert_eq!(
        s.one("SELECT COUNT(*) FROM shop.dbo.thing"),
        "2",
        "what was there stays"
    );
}

#[test]
fn no_backup_goes_to_an_older_version() {
    let bed = Bed::new();
    let s = shop(&bed);
    let file = path(&bed, "shop.bak");
    s.ok(&format!("BACKUP DATABASE shop TO DISK = '{file}'"));
    let dir = tempfile::tempdir().unwrap();
    let older = Options {
        version: 2019,
        ..options()
    };
    let server = SqlServer::open(dir.path(), older).unwrap();
    server.set_sa_password(&super::PASSWORD.into()).unwrap();
    let old = Bed { dir, server };
    let said = old
        .sa()
        .said(&format!("RESTORE DATABASE shop FROM DISK = '{file}'"));
    assert!(
        said[0].contains("3169")
            && said[0].contains("version 16.00.1000")
            && said[0].contains("version 15.00.2000"),
        "{said:#?}"
    );
}

#[test]
fn what_runs_is_seen() {
    let bed = Bed::new();
    let s = bed.sa();
    assert_eq!(
        s.rows("SELECT session_id - @@SPID, command, percent_complete FROM sys.dm_exec_requests"),
        ["0|SELECT|0"],
        "the one who asks is running too"
    );
    s.control.set_progress(Some(("BACKUP DATABASE", 42)));
    assert_eq!(
        bed.sa().rows(
            "SELECT command, percent_complete FROM sys.dm_exec_requests WHERE percent_complete > 0"
        ),
        ["BACKUP DATABASE|42"],
        "another session sees how far a backup is"
    );
}

#[test]
fn who_may_not_is_told_so() {
    let bed = Bed::new();
    let s = shop(&bed);
    let file = path(&bed, "shop.bak");
    s.ok(&format!("BACKUP DATABASE shop TO DISK = '{file}'"));
    s.ok(
        "CREATE LOGIN app WITH PASSWORD = 'Gr3en-w1ndow'; USE shop; CREATE USER app FOR LOGIN app",
    );
    let app = bed.login("app", "Gr3en-w1ndow", "shop").unwrap();
    assert_eq!(
        app.errors("BACKUP DATABASE shop TO DISK = 'mine.bak'"),
        [262, 3013]
    );
    assert_eq!(
        app.errors(&format!(
            "RESTORE DATABASE shop FROM DISK = '{file}' WITH REPLACE"
        )),
        [3110, 3013]
    );
    assert_eq!(
        app.errors(&format!("RESTORE HEADERONLY FROM DISK = '{file}'")),
        [262, 3013]
    );
    s.ok("ALTER ROLE db_backupoperator ADD MEMBER app");
    app.ok("BACKUP DATABASE shop TO DISK = 'mine.bak'");
}
