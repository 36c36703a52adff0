//! Types: what expressions give, and how values look.

use super::*;

#[test]
fn expressions_have_sql_servers_types() {
    let bed = Bed::new();
    let s = bed.sa();
    for (sql, ty, value) in [
        ("1", "int", "1"),
        ("2147483648", "decimal(10,0)", "2147483648"),
        ("-2147483648", "int", "-2147483648"),
        ("1.50", "decimal(3,2)", "1.50"),
        ("1e2", "float", "100"),
        ("'abc'", "varchar(3)", "abc"),
        ("N'abc'", "nvarchar(3)", "abc"),
        ("0x0102", "varbinary(2)", "0x0102"),
        ("$1.5", "money", "1.50"),
        ("NULL", "int", "NULL"),
        ("5 / 2", "int", "2"),
        ("5 / 2.0", "decimal(8,6)", "2.500000"),
        ("1.0 + 1", "decimal(3,1)", "2.0"),
        ("'a' + N'b'", "nvarchar(2)", "ab"),
        ("'5' + 1", "int", "6"),
        ("CAST(1 AS bit)", "bit", "1"),
        ("CAST('2026-11-22' AS date)", "date", "2026-11-22"),
        ("CAST('10:05:06.5' AS time(1))", "time(1)", "10:05:06.5"),
        (
            "CAST('2026-11-22T10:05:06.1234567' AS datetime2)",
            "datetime2(7)",
            "2026-11-22 10:05:06.1234567",
        ),
        (
            "CAST('2026-11-22 10:05:06 +02:00' AS datetimeoffset(0))",
            "datetimeoffset(0)",
            "2026-11-22 10:05:06 +02:00",
        ),
        (
            "CONVERT(varchar(30), CAST('2026-11-22 10:05' AS datetime), 126)",
            "varchar(30)",
            "2026-11-22T10:05:00",
        ),
        (
            "CAST('00112233-4455-6677-8899-aabbccddeeff' AS uniqueidentifier)",
            "uniqueidentifier",
            "00112233-4455-6677-8899-AABBCCDDEEFF",
        ),
        (
            "CASE WHEN 1 = 1 THEN 1 ELSE 2.5 END",
            "decimal(11,1)",
            "1.0",
        ),
        ("ISNULL(NULL, 'x')", "varchar(1)", "x"),
        ("COALESCE(NULL, 7)", "int", "7"),
        ("LEN(N'abc  ')", "int", "3"),
        ("DATALENGTH(N'abc')", "int", "6"),
        (
            "DATEADD(day, 1, '2026-11-22')",
            "datetime",
            "2026-11-23 00:00:00.000",
        ),
        ("DATEDIFF(day, '2026-11-22', '2026-12-01')", "int", "9"),
        ("ROUND(123.4567, 2)", "decimal(7,4)", "123.4600"),
        ("SERVERPROPERTY('EngineEdition')", "sql_variant", "4"),
        ("@@SPID", "smallint", "51"),
        ("QUOTENAME('a]b')", "nvarchar(258)", "[a]]b]"),
        ("CONCAT('a', NULL, 1)", "varchar(8000)", "a1"),
        ("REPLACE('Hello', 'L', 'x')", "varchar(8000)", "Hexxo"),
        ("SUBSTRING('hello', 2, 3)", "varchar(5)", "ell"),
        (
            "CAST(1 AS bigint) * 3000000000",
            "decimal(30,0)",
            "3000000000",
        ),
        ("IIF(1 < 2, 'yes', 'no')", "varchar(3)", "yes"),
        ("TRY_CAST('x' AS int)", "int", "NULL"),
        ("CAST(12.345 AS decimal(5,2))", "decimal(5,2)", "12.35"),
    ] {
        let said = s.said(&format!("SELECT {sql} AS v"));
        assert_eq!(
            said.first().map(String::as_str),
            Some(format!("columns v {ty}").as_str()),
            "{sql}: {said:?}"
        );
        assert_eq!(said[1], value, "{sql}");
    }
}

#[test]
fn wrong_values_have_sql_servers_numbers() {
    let bed = Bed::new();
    let s = bed.sa();
    for (sql, number) in [
        ("SELECT 1/0", 8134),
        ("SELECT CAST('x' AS int)", 245),
        ("SELECT 'x' + 1", 245),
        ("SELECT CAST('hello' AS datetime)", 241),
        ("SELECT 2147483647 + 1", 8115),
        ("SELECT CAST(300 AS tinyint)", 220),
        ("SELECT CAST('x' AS uniqueidentifier)", 8169),
        ("SELECT nothing", 207),
        ("SELECT t.x FROM sys.tables", 4104),
        ("SELECT * FROM nothing", 208),
        ("SELECT * FROM nowhere.dbo.t", 911),
        ("SELEC *", 102),
        ("SELECT 'open", 105),
        ("SELECT @x", 137),
        ("SELECT no_such_function(1)", 195),
        ("SELECT FORMAT(1, 'N')", 50000),
        ("SELECT (SELECT 1 UNION ALL SELECT 2)", 512),
        ("SELECT name, COUNT(*) FROM sys.tables", 8120),
        ("EXEC no_such_procedure", 2812),
        ("USE nowhere", 911),
        ("SELECT 1 UNION SELECT 1, 2", 205),
        ("DECLARE @x xml", 50000),
        ("DECLARE @x foo", 2715),
        ("BACKUP CERTIFICATE c TO FILE = 'x'", 50000),
        // What SQL Server has is declined, never called missing.
        ("SELECT * FROM sys.dm_os_wait_stats", 50000),
        ("SELECT * FROM sys.dm_os_volume_stats(1, 1)", 50000),
        ("SELECT * FROM msdb.dbo.backupset", 50000),
        ("SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'x')", 50000),
        (
            "SELECT * FROM (VALUES (1, 'a')) v (x, y) PIVOT (MAX(y) FOR x IN ([1])) p",
            50000,
        ),
        ("EXEC sp_who2", 50000),
        ("RAISERROR('boom', 16, 1)", 50000),
        ("THROW 51000, 'x', 1", 51000),
    ] {
        assert_eq!(s.errors(sql), [number], "{sql}: {:?}", s.said(sql));
    }
}
