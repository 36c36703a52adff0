//! Data: queries and changes.

use super::*;

fn shop(bed: &Bed) -> Session {
    let s = bed.sa();
    s.ok("CREATE DATABASE shop");
    s.ok("USE shop
        CREATE TABLE customer (id int NOT NULL PRIMARY KEY, name nvarchar(30) NOT NULL)
        CREATE TABLE orders (id int IDENTITY(10, 5) PRIMARY KEY, customer_id int NULL REFERENCES customer (id) ON DELETE CASCADE,
            total decimal(9,2) NOT NULL DEFAULT 0 CHECK (total >= 0), code varchar(10) UNIQUE)
        INSERT customer VALUES (1, N'Ann'), (2, N'Bob'), (3, N'Cem')
        INSERT orders (customer_id, total, code) VALUES (1, 10.5, 'a'), (1, 20, 'b'), (2, 5, 'c')");
    s
}

#[test]
fn queries() {
    let bed = Bed::new();
    let s = shop(&bed);
    for (sql, rows) in [
        (
            "SELECT c.name, o.total FROM customer c JOIN orders o ON o.customer_id = c.id ORDER BY o.total DESC",
            vec!["Ann|20.00", "Ann|10.50", "Bob|5.00"],
        ),
        (
            "SELECT c.name, COUNT(o.id), SUM(o.total) FROM customer AS c LEFT JOIN orders o ON c.id = o.customer_id GROUP BY c.name ORDER BY c.name",
            vec!["Ann|2|30.50", "Bob|1|5.00", "Cem|0|NULL"],
        ),
        (
            "SELECT name FROM customer WHERE NOT EXISTS (SELECT * FROM orders WHERE customer_id = customer.id)",
            vec!["Cem"],
        ),
        (
            "SELECT name FROM customer WHERE id IN (SELECT customer_id FROM orders) ORDER BY 1 DESC",
            vec!["Bob", "Ann"],
        ),
        (
            "SELECT TOP 1 name FROM customer ORDER BY id DESC",
            vec!["Cem"],
        ),
        (
            "SELECT name FROM customer ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY",
            vec!["Bob"],
        ),
        (
            "WITH big AS (SELECT customer_id, SUM(total) AS s FROM orders GROUP BY customer_id HAVING SUM(total) > 6) SELECT c.name FROM big JOIN customer c ON c.id = big.customer_id",
            vec!["Ann"],
        ),
        (
            "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT SUM(i) FROM n",
            vec!["10"],
        ),
        (
            "SELECT name, ROW_NUMBER() OVER (ORDER BY name DESC) FROM customer ORDER BY name",
            vec!["Ann|3", "Bob|2", "Cem|1"],
        ),
        (
            "SELECT id, SUM(total) OVER (ORDER BY id) FROM orders",
            vec!["10|10.50", "15|30.50", "20|35.50"],
        ),
        (
            "SELECT DISTINCT customer_id FROM orders ORDER BY customer_id",
            vec!["1", "2"],
        ),
        (
            "SELECT id FROM customer EXCEPT SELECT customer_id FROM orders",
            vec!["3"],
        ),
        (
            "SELECT id FROM customer UNION SELECT 9 ORDER BY id DESC",
            vec!["9", "3", "2", "1"],
        ),
        (
            "SELECT c.name, x.total FROM customer c OUTER APPLY (SELECT TOP 1 total FROM orders WHERE customer_id = c.id ORDER BY total DESC) x ORDER BY c.id",
            vec!["Ann|20.00", "Bob|5.00", "Cem|NULL"],
        ),
        (
            "SELECT name FROM customer WHERE name LIKE N'%b%' COLLATE Latin1_General_CI_AS",
            vec!["Bob"],
        ),
        (
            "SELECT CASE id WHEN 1 THEN 'one' ELSE 'more' END FROM customer WHERE name = 'ANN  '",
            vec!["one"],
        ),
        (
            "SELECT v.a, v.b FROM (VALUES (1, 'x'), (2, 'y')) AS v(a, b) WHERE v.a > 1",
            vec!["2|y"],
        ),
        ("SELECT value FROM STRING_SPLIT('a,b', ',')", vec!["a", "b"]),
        (
            "SELECT STRING_AGG(name, ',') WITHIN GROUP (ORDER BY name DESC) FROM customer",
            vec!["Cem,Bob,Ann"],
        ),
        (
            "SELECT COUNT(*) FROM customer a, customer b WHERE a.id < b.id",
            vec!["3"],
        ),
        (
            "SELECT MAX(total), MIN(code), AVG(total) FROM orders",
            vec!["20.00|a|11.833333"],
        ),
        (
            "SELECT a.name FROM customer a FULL JOIN (SELECT 7 AS id) b ON a.id = b.id WHERE b.id IS NULL ORDER BY 1",
            vec!["Ann", "Bob", "Cem"],
        ),
        (
            "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES ORDER BY TABLE_NAME",
            vec!["customer", "orders"],
        ),
        (
            "SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'orders' ORDER BY ORDINAL_POSITION",
            vec![
                "id|int|NO",
                "customer_id|int|YES",
                "total|decimal|NO",
                "code|varchar|YES",
            ],
        ),
        (
            "SELECT name FROM customer WHERE id = ANY (SELECT customer_id FROM orders WHERE total > 15)",
            vec!["Ann"],
        ),
        (
            "SELECT (SELECT COUNT(*) FROM orders WHERE customer_id = c.id) FROM customer c ORDER BY c.id",
            vec!["2", "1", "0"],
        ),
        (
            "SELECT shop.dbo.customer.name FROM shop..customer WHERE customer.id = 2",
            vec!["Bob"],
        ),
    ] {
        assert_eq!(s.rows(sql), rows, "{sql}");
    }
}

#[test]
fn changes_and_their_counts() {
    let bed = Bed::new();
    let s = shop(&bed);
    assert_eq!(
        s.said("UPDATE orders SET total = total * 2 WHERE customer_id = 1"),
        ["(2)"]
    );
    assert_eq!(s.rows("UPDATE o SET total += 1 OUTPUT deleted.total, inserted.total FROM orders o JOIN customer c ON c.id = o.customer_id WHERE c.name = N'Bob'"), ["5.00|6.00"]);
    assert_eq!(s.said("DELETE FROM orders WHERE code = 'b'"), ["(1)"]);
    assert_eq!(
        s.said("INSERT INTO orders (customer_id, code) SELECT id, name FROM customer WHERE id > 1"),
        ["(2)"]
    );
    assert_eq!(
        s.one("SELECT CAST(SCOPE_IDENTITY() AS int) + 0 * @@ROWCOUNT"),
        "NULL",
        "a batch is a scope of its own"
    );
    assert_eq!(s.one("SELECT @@IDENTITY"), "30");
    s.ok("INSERT customer VALUES (4, N'Dan'); UPDATE customer SET id = CASE id WHEN 4 THEN 3 ELSE 4 END WHERE id = 3 OR id = 4");
    assert_eq!(
        s.errors("UPDATE customer SET id = id + 10 WHERE name = N'Bob'"),
        [547],
        "orders point at it"
    );
    s.ok("MERGE customer AS t USING (VALUES (2, N'Bobby'), (9, N'Ida')) AS n (id, name) ON t.id = n.id WHEN MATCHED THEN UPDATE SET name = n.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (n.id, n.name);");
    assert_eq!(
        s.rows("SELECT name FROM customer WHERE id IN (2, 9) ORDER BY id"),
        ["Bobby", "Ida"]
    );
    s.ok("DELETE customer WHERE id = 2");
    assert_eq!(
        s.one("SELECT COUNT(*) FROM orders WHERE customer_id = 2"),
        "0",
        "ON DELETE CASCADE"
    );
    s.ok("SELECT id, name INTO copy FROM customer; TRUNCATE TABLE copy");
    assert_eq!(s.one("SELECT COUNT(*) FROM copy"), "0");
    s.ok("CREATE TABLE #t (a int, b nvarchar(max)); INSERT #t VALUES (1, REPLICATE(CAST(N'x' AS nvarchar(max)), 10000))");
    assert_eq!(s.one("SELECT LEN(b) FROM #t"), "10000");
    assert_eq!(s.one("DECLARE @t TABLE (n int PRIMARY KEY, m int DEFAULT 4); INSERT @t (n) VALUES (1), (2); SELECT SUM(m) FROM @t"), "8");
}

#[test]
fn constraints_refuse_with_their_own_numbers() {
    let bed = Bed::new();
    let s = shop(&bed);
    for (sql, number, text) in [
        (
            "INSERT customer VALUES (1, N'x')",
            2627,
            "Violation of PRIMARY KEY constraint 'PK__customer__",
        ),
        (
            "INSERT orders (code) VALUES ('A')",
            2627,
            "Violation of UNIQUE KEY",
        ),
        (
            "INSERT customer VALUES (4, NULL)",
            515,
            "Cannot insert the value NULL into column 'name', table 'shop.dbo.customer'; column does not allow nulls. INSERT fails.",
        ),
        (
            "INSERT orders (customer_id) VALUES (99)",
            547,
            "The INSERT statement conflicted with the FOREIGN KEY constraint",
        ),
        (
            "INSERT orders (total) VALUES (-1)",
            547,
            "The INSERT statement conflicted with the CHECK constraint",
        ),
        (
            "INSERT customer (id, name) VALUES (5, REPLICATE(N'x', 31))",
            2628,
            "String or binary data would be truncated in table 'shop.dbo.customer', column 'name'.",
        ),
        (
            "INSERT orders (id) VALUES (1)",
            544,
            "IDENTITY_INSERT is set to OFF",
        ),
        (
            "INSERT customer VALUES (5)",
            213,
            "Column name or number of supplied values",
        ),
        (
            "UPDATE orders SET id = 3",
            8102,
            "Cannot update identity column",
        ),
        ("DROP TABLE customer", 3726, "referenced by a FOREIGN KEY"),
        (
            "INSERT orders (total) VALUES (12345678.9)",
            8115,
            "Arithmetic overflow",
        ),
    ] {
        let said = s.said(sql);
        let prefix = format!("error {number} line 1: ");
        assert!(
            said.iter()
                .any(|l| l.starts_with(&prefix) && l.contains(text)),
            "{sql}: {said:?}"
        );
    }
    assert_eq!(
        s.one("SELECT COUNT(*) FROM orders"),
        "3",
        "a refused statement leaves nothing"
    );
    let both = s.said("INSERT customer VALUES (7, N'x'), (1, N'y')\nSELECT COUNT(*) FROM customer");
    assert!(both[0].starts_with("error 2627 line 1"), "{both:?}");
    assert_eq!(
        both[1],
        "info 3621 line 1: The statement has been terminated."
    );
    assert_eq!(
        both[3], "3",
        "all of a statement or nothing, and the batch goes on"
    );
}
