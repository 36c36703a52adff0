use proptest::prelude::*;

use super::*;
use crate::connection::{Shape, formats, testing::any_parts};

fn read(text: &str) -> Reading {
    super::read(&Secret::from(text.to_owned()), None).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn read_as(text: &str, format: &str) -> Reading {
    super::read(&Secret::from(text.to_owned()), Some(format))
        .unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn password(reading: &Reading) -> &str {
    reading.password.as_ref().map_or("", |p| p.expose_secret())
}

fn wrong(reading: &Reading) -> Vec<&Finding> {
    reading
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Wrong)
        .collect()
}

/// Everything that a command would print of it.
fn printed(reading: &Reading) -> String {
    let mended = reading.mended_masked().unwrap_or_default();
    format!("{:?} {mended}", reading.view())
}

#[test]
fn the_usual_strings_are_read() {
    for (text, format, host, port, database) in [
        (
            "Server=tcp:db.example,14330;Database=orders;User ID=sa;Password=\"p;w\"\"1\";Encrypt=Mandatory;TrustServerCertificate=True",
            "adonet",
            "db.example",
            14330,
            "orders",
        ),
        (
            "Data Source=db.example,14330;Initial Catalog=orders;Uid=sa;Pwd='p;w\"1';Encrypt=True;Trust Server Certificate=yes;MultipleActiveResultSets=True",
            "adonet",
            "db.example",
            14330,
            "orders",
        ),
        (
            "Driver={ODBC Driver 18 for SQL Server};Server=tcp:db.example,14330;Database={orders};UID=sa;PWD={p;w\"1};Encrypt=yes;TrustServerCertificate=yes",
            "odbc",
            "db.example",
            14330,
            "orders",
        ),
        (
            "jdbc:sqlserver://db.example:14330;databaseName=orders;user=sa;password={p;w\"1};encrypt=true;trustServerCertificate=true",
            "jdbc",
            "db.example",
            14330,
            "orders",
        ),
        (
            "sqlserver://sa:p%3Bw%221@db.example:14330?database=orders&encrypt=true&TrustServerCertificate=true",
            "go",
            "db.example",
            14330,
            "orders",
        ),
        (
            "mssql+pyodbc://sa:p%3Bw%221@db.example:14330/orders?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes&TrustServerCertificate=yes",
            "sqlalchemy",
            "db.example",
            14330,
            "orders",
        ),
        (
            "sqlserver://db.example:14330;database=orders;user=sa;password={p;w\"1};encrypt=true;trustServerCertificate=true",
            "prisma",
            "db.example",
            14330,
            "orders",
        ),
        (
            "mssql://sa:p%3Bw%221@db.example:14330/orders?encrypt=true&trustServerCertificate=true",
            "sequelize",
            "db.example",
            14330,
            "orders",
        ),
        (
            "SQLCMDPASSWORD='p;w\"1' sqlcmd -S tcp:db.example,14330 -U sa -d orders -N -C",
            "sqlcmd",
            "db.example",
            14330,
            "orders",
        ),
        (
            "export SQLCMDPASSWORD='p;w\"1'; sqlcmd -S db.example,14330 -U sa -d orders -N true -C -Q 'SELECT 1'",
            "sqlcmd",
            "db.example",
            14330,
            "orders",
        ),
        (
            r#"{"server":"db.example","authentication":{"type":"default","options":{"userName":"sa","password":"p;w\"1"}},"options":{"port":14330,"database":"orders","encrypt":true,"trustServerCertificate":true}}"#,
            "tedious",
            "db.example",
            14330,
            "orders",
        ),
        (
            r#"{"ConnectionStrings":{"Default":"Server=db.example,14330;Database=orders;User ID=sa;Password=\"p;w\"\"1\";Encrypt=True;TrustServerCertificate=True"}}"#,
            "adonet",
            "db.example",
            14330,
            "orders",
        ),
        (
            "export DATABASE_URL='sqlserver://sa:p%3Bw%221@db.example:14330?database=orders&encrypt=true&TrustServerCertificate=true'",
            "go",
            "db.example",
            14330,
            "orders",
        ),
        (
            "import pymssql\nc = pymssql.connect(server='db.example', port=14330, user='sa', password='p;w\"1', database='orders', encryption='require')",
            "pymssql",
            "db.example",
            14330,
            "orders",
        ),
        (
            "odbc:server=db.example;port=14330;user id={sa};password={p;w\"1};database={orders};encrypt=true;TrustServerCertificate=true",
            "go",
            "db.example",
            14330,
            "orders",
        ),
        (
            "spring.datasource.url=jdbc:sqlserver://db.example:14330;databaseName={orders};encrypt=true;trustServerCertificate=true\nspring.datasource.username=sa\nspring.datasource.password=p;w\\u00221\n",
            "jdbc",
            "db.example",
            14330,
            "orders",
        ),
        (
            "development:\n  adapter: sqlserver\n  host: db.example\n  port: 14330\n  database: orders\n  username: sa\n  password: \"p;w\\\"1\"\n",
            "rails",
            "db.example",
            14330,
            "orders",
        ),
        (
            "dev:\n  outputs:\n    dev:\n      type: sqlserver\n      driver: 'ODBC Driver 18 for SQL Server'\n      host: db.example\n      port: 14330\n      database: orders\n      user: sa\n      password: 'p;w\"1'\n      encrypt: true\n      trust_cert: true\n",
            "dbt",
            "db.example",
            14330,
            "orders",
        ),
        (
            "<configuration><connectionStrings><add name=\"Default\" connectionString=\"Server=db.example,14330;Database=orders;User ID=sa;Password=&quot;p;w&quot;&quot;1&quot;;Encrypt=True;TrustServerCertificate=True\" /></connectionStrings></configuration>",
            "adonet",
            "db.example",
            14330,
            "orders",
        ),
        (
            "services:\n  web:\n    environment:\n      - ASPNETCORE_ENVIRONMENT=Development\n      - ConnectionStrings__Default=Server=db.example,14330;Database=orders;User ID=sa;Password='p;w\"1';Encrypt=True;TrustServerCertificate=True\n",
            "adonet",
            "db.example",
            14330,
            "orders",
        ),
        (
            "services:\n  web:\n    environment:\n      ConnectionStrings__Default: \"Server=db.example,14330;Database=orders;User ID=sa;Password=\\\"p;w\\\"\\\"1\\\";Encrypt=True;TrustServerCertificate=True\"\n",
            "adonet",
            "db.example",
            14330,
            "orders",
        ),
    ] {
        let reading = read(text);
        assert_eq!(reading.client.format, format, "{text}");
        assert_eq!(reading.host.as_deref(), Some(host), "{text}");
        assert_eq!(reading.port, Some(port), "{text}");
        assert_eq!(reading.database.as_deref(), Some(database), "{text}");
        assert_eq!(reading.user.as_deref(), Some("sa"), "{text}");
        assert_eq!(password(&reading), "p;w\"1", "{text}");
        assert_eq!(wrong(&reading), Vec::<&Finding>::new(), "{text}");
        assert!(!printed(&reading).contains("p;w"), "{text}");
    }
}

/// Each with a password that is partly misread, and what has to be said of it.
#[test]
fn what_is_wrong_is_said_and_never_the_password() {
    for (text, says, meant) in [
        (
            "Server=h,1433;User ID=sa;Password=Zq7;Zq8=Zq9;Encrypt=True",
            "holds a `;`",
            "Zq7;Zq8=Zq9",
        ),
        (
            "Server=h,1433;User ID=sa;Password=\"Zq7;Encrypt=True",
            "never closed",
            "\"Zq7",
        ),
        (
            "Server=h,1433;User ID=sa;Password='Zq7'Zq8;Encrypt=True",
            "behind the closing one",
            "'Zq7'Zq8",
        ),
        (
            "Server=h,1433;User ID=sa;Password==Zq7;Encrypt=True",
            "begins with `=`",
            "=Zq7",
        ),
        (
            "Server=h,1433;User ID=sa;Pasword=Zq7;Encrypt=True",
            "nearly `Password`",
            "Zq7",
        ),
        (
            "Driver={ODBC Driver 18 for SQL Server};Server=h,1433;UID=sa;PWD={Zq7}Zq8};Encrypt=yes",
            "behind the closing one",
            "{Zq7}Zq8}",
        ),
        (
            "Driver={ODBC Driver 18 for SQL Server};Server=h,1433;User Id=sa;Password=Zq7;Encrypt=yes",
            "another client's word",
            "Zq7",
        ),
        (
            "jdbc:sqlserver://h:1433;user=sa;password=Zq7{Zq8;encrypt=true",
            "holds a `{`",
            "Zq7{Zq8",
        ),
        (
            "sqlserver://sa:Zq7/Zq8@h:1433?database=d&encrypt=true",
            "`/`, `?` or `#`",
            "Zq7/Zq8",
        ),
        (
            "sqlserver://sa:Zq7@Zq8@h:1433?encrypt=true",
            "`@` as it is",
            "Zq7@Zq8",
        ),
        (
            "sqlserver://sa:Zq7%zz@h:1433?encrypt=true",
            "no two hexadecimal digits",
            "Zq7%zz",
        ),
        (
            "sqlserver://sa:Zq7@localhost:1433?database=db;encrypt=true;trustServerCertificate=true",
            "joined by `;`",
            "Zq7",
        ),
        (
            "sqlcmd -S h,1433 -U sa -P Zq7 -N -C",
            "is an argument",
            "Zq7",
        ),
    ] {
        let reading = read(text);
        assert!(
            reading.findings.iter().any(|f| f.what.contains(says)),
            "{text}: {:#?}",
            reading.findings
        );
        assert_eq!(password(&reading), meant, "{text}");
        let all = printed(&reading);
        for piece in ["Zq7", "Zq8", "Zq9"] {
            assert!(!all.contains(piece), "{text}: {all}");
        }
        let mended = reading.mended(None).unwrap();
        let mended = mended.reveal();
        let again = read_as(mended.expose_secret(), reading.client.format);
        assert_eq!(
            password(&again),
            meant,
            "the mended string says what was meant: {text}"
        );
        assert_eq!(
            wrong(&again),
            Vec::<&Finding>::new(),
            "{}",
            mended.expose_secret()
        );
    }
}

#[test]
fn words_that_the_client_does_not_take_are_named() {
    for (text, says, mend) in [
        (
            "Driver={ODBC Driver 18 for SQL Server};Server=h,1433;UID=sa;PWD={x};Encrypt=true;TrustServerCertificate=yes",
            "word for encryption",
            "Encrypt=yes",
        ),
        (
            "jdbc:sqlserver://h:1433;user=sa;password={x};encrypt=yes",
            "word for encryption",
            "encrypt=true",
        ),
        (
            "Server=h,1433;User ID=sa;Password=x;Encrypt=True;TrustServerCertificat=True",
            "nearly `trustservercertificate`",
            "trustservercertificate",
        ),
        (
            "Server=h,1433;User ID=sa;Password=x;Encrypt=True;Trust Server Certificate=True",
            "with blanks",
            "trustservercertificate",
        ),
        (
            "mssql://sa:x@h:1433/d?encrypt=true",
            "Knex",
            "configuration object",
        ),
        (
            "Server=h,1433;User ID=sa;Password=x;Encrypt=False",
            "Encryption is off",
            "Encrypt=Mandatory",
        ),
        (
            "Server=h:1433;User ID=sa;Password=x;Encrypt=True",
            "stands behind a `:`",
            "host,port",
        ),
        (
            "Server=h,1433;Database=a;Database=b;User ID=sa;Password=x;Encrypt=True",
            "the last one counts",
            "one of them",
        ),
        (
            "Driver={ODBC Driver 18 for SQL Server};Server=h,1433;Database=a;Database=b;UID=sa;PWD=x;Encrypt=yes",
            "the first one counts",
            "one of them",
        ),
        (
            "Server=localhost,1433;User ID=sa;Password=x;Encrypt=True",
            "IPv6",
            "127.0.0.1",
        ),
        (
            "Server=h;User ID=sa;Password=x;Encrypt=True",
            "takes 1433",
            "Say the port",
        ),
        (
            "Server=h\\SQLEXPRESS;User ID=sa;Password=x;Encrypt=True",
            "1434",
            "say the port",
        ),
        (
            "Server=h,1433;Integrated Security=SSPI;Encrypt=True",
            "Windows sign-in",
            "Leave it out",
        ),
        (
            "sqlserver://sa:x@h:1433/orders?encrypt=true",
            "name of an instance",
            "?database=",
        ),
        (
            "mssql+pyodbc://sa:x@h:1433?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes",
            "There is no database",
            "behind the `/`",
        ),
        (
            "Server=h,1433;User ID=sa;Password={x};Encrypt=True",
            "Braces stand around",
            "double quotes",
        ),
        (
            "Driver={ODBC Driver 18 for SQL Server};Server=h,1433;UID=sa;PWD=\"x\";Encrypt=yes",
            "Quotes stand around",
            "braces",
        ),
        (
            "Driver={ODBC Driver 18 for SQL Server};Server=h,1433;UID=sa;PWD=x;Encrypt=yes;ServerCertificate=a.pem",
            "does not look at it",
            "strict",
        ),
    ] {
        let reading = read(text);
        assert!(
            reading
                .findings
                .iter()
                .any(|f| f.what.contains(says) && f.mend.contains(mend)),
            "{text}: {:#?}",
            reading.findings
        );
    }
    let reading = read_as(
        "Server=h,1433;User ID=sa;Password=x;Encrypt=true;Trust Server Certificate=true",
        "mssql",
    );
    assert!(
        reading
            .findings
            .iter()
            .any(|f| f.what.contains("`trust server certificate`")
                && f.mend.contains("trustservercertificate")),
        "node mssql passes over it in silence: {:#?}",
        reading.findings
    );
}

#[test]
fn the_mended_string_keeps_what_else_was_said() {
    let reading = read(
        "Server=db.example,1433;User ID=sa;Password=a;b;MultipleActiveResultSets=True;Connect Timeout=5;Encrypt=True",
    );
    let mended = reading.mended(None).unwrap();
    assert!(
        mended
            .masked()
            .contains("MultipleActiveResultSets=\"True\""),
        "{}",
        mended.masked()
    );
    assert!(
        reading.mended(Some("jdbc")).is_ok(),
        "in another client's words too"
    );
}

#[test]
fn what_is_no_string_is_refused_without_a_word_of_it() {
    for text in [
        "",
        "Zq7",
        "Zq7=Zq8",
        "hello Zq7",
        "{\"a\":\"Zq7\"}",
        "Zq7://Zq8",
        "[]",
        "=",
        ";;;",
    ] {
        let e = super::read(&Secret::from(text.to_owned()), None).unwrap_err();
        assert_eq!(e.code(), crate::Code::Usage, "{text}");
        assert!(!format!("{e:?}").contains("Zq"), "{e:?}");
    }
    let long = "x".repeat(LONGEST + 1);
    assert!(
        super::read(&Secret::from(long), None).is_err(),
        "input has a bound"
    );
    assert!(super::read(&Secret::from("a".to_owned()), Some("nonesuch")).is_err());
}

/// Formats that are a piece of a file or of code, and are read back all the same.
const SNIPPETS: &[&str] = &[
    "tedious",
    "mssql-config",
    "typeorm",
    "knex",
    "sequelize",
    "appsettings",
    "efcore",
    "pymssql",
    "spring",
    "rails",
    "dbt",
    "django",
    "sqlsrv",
    "pdo",
    "sqlcmd-context",
];

#[test]
fn the_longest_texts_are_read_without_growing() {
    // Each would take gigabytes, or minutes, if every piece cost as much as the whole text.
    for piece in [
        "A=b;",
        "Pooling=x;",
        "a ",
        "'\\'",
        "\"a\" ",
        "x: y\n",
        "{",
        "sa:@",
        "='",
        ";",
        "PWD={}",
    ] {
        let text = piece.repeat(LONGEST / piece.len());
        let _ = super::read(&Secret::from(text), None);
    }
}

#[test]
fn a_password_with_an_at_sign_and_a_slash_is_no_host() {
    for text in [
        "sqlserver://sa:P@Zq7KxV/w0rd@db.example.com:1433?database=x",
        "sqlserver://sa:P@a/Zq7KxV@db.example.com:1433?database=x",
        "mssql+pymssql://sa:P@Zq7KxV/w0rd@db.example.com:1433/x",
        "mssql+pyodbc://sa:P@a/Zq7KxV@db.example.com:1433/x?driver=ODBC+Driver+18+for+SQL+Server",
        "sqlserver://sa:P@Zq7KxV?w0rd@db.example.com:1433?database=x",
    ] {
        match super::read(&Secret::from(text), None) {
            Ok(reading) => assert!(
                !printed(&reading).contains("Zq7KxV"),
                "{text}: {}",
                printed(&reading)
            ),
            Err(e) => assert!(!format!("{e:?}").contains("Zq7KxV"), "{text}: {e:?}"),
        }
    }
}

#[test]
fn prisma_opens_a_brace_behind_any_equals_sign_and_only_right_behind_it() {
    let user = |text: &str| read_as(text, "prisma").user;
    assert_eq!(
        user("sqlserver://h:1;user==={;};password=x;encrypt=true"),
        Some("=={;}".into())
    );
    assert_eq!(
        user("sqlserver://h:1;user= {a;password=x;encrypt=true"),
        Some("{a".into()),
        "behind a blank it is a character like any other"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_a_format_writes_is_read_back(parts in any_parts()) {
        for f in formats() {
            // A certificate or an application name that a client has no word for is refused or left out by the format.
            let Ok(text) = f.write(&parts) else { continue };
            let snippet = SNIPPETS.contains(&f.id());
            if f.shape() != Shape::Value && !snippet {
                continue;
            }
            // With a certificate's file a snippet is code, not data.
            if snippet && parts.tls != Tls::Unverified {
                continue;
            }
            let whole = text.reveal();
            let Ok(reading) = super::read(&whole, Some(f.id())) else {
                return Err(TestCaseError::fail(format!("{}: {:?}", f.id(), whole.expose_secret())));
            };
            let said = whole.expose_secret();
            prop_assert_eq!(reading.host.as_deref(), Some(parts.host.as_str()), "{}: {}", f.id(), said);
            prop_assert_eq!(reading.port, Some(parts.port), "{}: {}", f.id(), said);
            prop_assert_eq!(reading.user.as_deref(), Some(parts.user.as_str()), "{}: {}", f.id(), said);
            // A context of sqlcmd has no place for a database.
            if f.id() != "sqlcmd-context" {
                prop_assert_eq!(reading.database.as_deref(), parts.database.as_deref(), "{}: {}", f.id(), said);
            }
            if text.holds_secret() {
                prop_assert_eq!(password(&reading), parts.password.expose_secret(), "{}: {}", f.id(), said);
            }
            prop_assert_eq!(&reading.tls, &parts.tls, "{}: {}", f.id(), said);
            if reading.app.is_some() {
                prop_assert_eq!(&reading.app, &parts.app, "{}: {}", f.id(), said);
            }
        }
    }

    #[test]
    fn nothing_that_may_be_the_password_is_repeated(
        before in "[ -~]{0,12}",
        middle in prop::sample::select(vec!["Password=", "PWD=", "pwd={", "password='", "Password=\"", "sa:", "-P ", "\"password\": \"", "password: '", "Password"]),
        noise in "[ -~]{0,12}",
        after in prop::sample::select(vec!["", ";Encrypt=True", ";Database=d;Server=h,1433", "@h:1433?encrypt=true", "\"}", "' }", ";;x", "}"]),
        prefix in prop::sample::select(vec!["Server=h,1433;User ID=sa;", "sqlserver://", "jdbc:sqlserver://h:1433;user=sa;", "Driver={ODBC Driver 18 for SQL Server};Server=h,1433;UID=sa;", "{\"server\":\"h\",\"user\":\"sa\",", "sqlcmd -S h -U sa ", ""]),
    ) {
        // Without any mark before it, what stands where an address has its host is a host.
        prop_assume!(!(prefix == "sqlserver://" && middle == "Password"));
        let text = format!("{prefix}{before}{middle}Zq7KxV{noise}{after}");
        match super::read(&Secret::from(text.clone()), None) {
            Ok(reading) => {
                let all = printed(&reading);
                prop_assert!(!all.contains("Zq7KxV"), "{text}: {all}");
            }
            Err(e) => prop_assert!(!format!("{e:?}").contains("Zq7KxV"), "{text}: {e:?}"),
        }
    }

    #[test]
    fn no_text_makes_it_panic(text: String) {
        let _ = super::read(&Secret::from(text), None);
    }

    #[test]
    fn no_text_of_its_own_characters_makes_it_panic(text in "[;='\"{}@:/?#&%a-z ,\\\\\n]{0,60}") {
        let _ = super::read(&Secret::from(text), None);
    }
}
