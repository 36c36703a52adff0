//! Handing an instance over to another program: server, port, login and database, never the password. An address is
//! logged by some of those programs and argv can be read by everyone, so the password goes by the clipboard, or is
//! fetched by the script itself from `berth`.

use crate::{
    Error, Result,
    connection::{percent_encoded, shell_word as sh},
};

/// A program that opens a database.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// For commands and menus.
    pub id: &'static str,
    /// As its makers call it.
    pub name: &'static str,
    /// What it can be given, and what is left to do.
    pub note: &'static str,
}

/// Every program that is offered, in the order of menus.
pub const TOOLS: &[Tool] = &[
    Tool {
        id: "vscode",
        name: "Visual Studio Code",
        note: "Needs the extension SQL Server (mssql). Its dialogue opens filled in; paste the password",
    },
    Tool {
        id: "dbeaver",
        name: "DBeaver",
        note: "Takes these words when it starts; paste the password when it asks",
    },
    Tool {
        id: "datagrip",
        name: "DataGrip",
        note: "Has no address of its own: copy this, then Import from Clipboard in a new data source; paste the password",
    },
    Tool {
        id: "tableplus",
        name: "TablePlus",
        note: "New connection, SQL Server: host, port, user and database are these. It takes an address only with the password in it, which Berth does not write",
    },
    Tool {
        id: "beekeeper",
        name: "Beekeeper Studio",
        note: "New connection, SQL Server, with Trust Server Certificate on. It takes an address only with the password in it, which Berth does not write",
    },
    Tool {
        id: "sqlcmd",
        name: "Terminal with sqlcmd",
        note: "Gets the password from Berth by its environment, which only you can read",
    },
    Tool {
        id: "berth",
        name: "Terminal with berth query",
        note: "Needs no password: Berth has it",
    },
];

/// One program by its id.
///
/// # Errors
/// [`crate::Code::Usage`] for a program that is not known.
pub fn tool(id: &str) -> Result<&'static Tool> {
    TOOLS
        .iter()
        .find(|t| t.id == id)
        .ok_or_else(|| Error::usage("Berth does not know this program"))
}

/// Where a program is to connect.
#[derive(Debug, Clone, Copy)]
pub struct To<'a> {
    /// The instance's host, as Berth calls it.
    pub host: &'a str,
    /// The instance.
    pub name: &'a str,
    /// The endpoint's machine.
    pub server: &'a str,
    /// Its port.
    pub port: u16,
    /// The login.
    pub user: &'a str,
    /// The database, where one is named.
    pub database: Option<&'a str>,
}

/// What to do for one program.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// Open this address.
    Address(String),
    /// Start this program.
    Program(&'static str, Vec<String>),
    /// Run these lines in a terminal.
    Terminal(String),
    /// Put this on the clipboard: it holds no secret.
    Paste(String),
}

/// The plan for one program by its id, as the window lists them.
///
/// # Errors
/// [`crate::Code::Usage`] for a program that is not known, or that cannot be told what this connection needs.
pub fn plan(tool: &str, to: &To<'_>, berth: &str) -> Result<Plan> {
    let name = format!("{}/{}", to.host, to.name);
    match tool {
        // The mssql extension decodes a query twice, and logs the whole address.
        "vscode" => {
            let database = to
                .database
                .map(|d| format!("&database={}", twice(d)))
                .unwrap_or_default();
            Ok(Plan::Address(format!(
                "vscode://ms-mssql.mssql/openConnectionDialog?server={}&user={}{database}&authenticationType=SqlLogin&encrypt=Mandatory&trustServerCertificate=true&profileName={}",
                twice(&format!("{},{}", to.server, to.port)),
                twice(to.user),
                twice(&name),
            )))
        }
        "dbeaver" => {
            let mut words = vec![
                "driver=sqlserver:microsoft".to_owned(),
                format!("host={}", to.server),
                format!("port={}", to.port),
                format!("user={}", to.user),
                format!("name={name}"),
                "prop.encrypt=true".to_owned(),
                "prop.trustServerCertificate=true".to_owned(),
                "create=true".to_owned(),
                "save=true".to_owned(),
            ];
            if let Some(database) = to.database {
                words.push(format!("database={database}"));
            }
            if words.iter().any(|w| w.contains('|')) {
                return Err(Error::usage(
                    "DBeaver cannot be told a login or a database with `|` in it",
                )
                .because("it parts what it is told at that character, and knows no way to quote it")
                .hint("Make the connection in DBeaver by hand, from the JDBC string"));
            }
            Ok(Plan::Program(
                "open",
                vec![
                    "-a".to_owned(),
                    "DBeaver".to_owned(),
                    "--args".to_owned(),
                    "-con".to_owned(),
                    words.join("|"),
                ],
            ))
        }
        "datagrip" => Ok(Plan::Paste(data_source(to, &name))),
        // Both take an address only with the password in it: host, port, login and database to paste instead.
        "tableplus" | "beekeeper" => Ok(Plan::Paste(
            [
                Some(to.server.to_owned()),
                Some(to.port.to_string()),
                Some(to.user.to_owned()),
                to.database.map(str::to_owned),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("\t"),
        )),
        "sqlcmd" => {
            let database = to
                .database
                .map(|d| format!(" -d {}", sh(d)))
                .unwrap_or_default();
            Ok(Plan::Terminal(format!(
                "SQLCMDPASSWORD=\"$({} connection {} --login {} --password)\" exec sqlcmd -S {} -U {}{database} -C",
                sh(berth),
                sh(&name),
                sh(to.user),
                sh(&format!("tcp:{},{}", to.server, to.port)),
                sh(to.user),
            )))
        }
        "berth" => Ok(Plan::Terminal(format!(
            "exec {} query {}",
            sh(berth),
            sh(&name)
        ))),
        _ => Err(Error::usage("Berth does not know this program")),
    }
}

/// The same for somebody who does it by hand: a line for their shell, or what to paste.
///
/// # Errors
/// As [`plan`].
pub fn by_hand(tool: &str, to: &To<'_>) -> Result<String> {
    Ok(match plan(tool, to, "berth")? {
        Plan::Address(address) => format!("open {}", sh(&address)),
        Plan::Program(program, words) => std::iter::once(program.to_owned())
            .chain(words.iter().map(|w| sh(w)))
            .collect::<Vec<_>>()
            .join(" "),
        Plan::Terminal(script) => script.replacen("exec ", "", 1),
        Plan::Paste(text) => text,
    })
}

/// Percent-encoded two times.
fn twice(text: &str) -> String {
    percent_encoded(&percent_encoded(text))
}

/// What DataGrip and Rider import from the clipboard.
fn data_source(to: &To<'_>, name: &str) -> String {
    let database = to
        .database
        .map(|d| format!(";databaseName={{{}}}", d.replace('}', "}}")))
        .unwrap_or_default();
    let url = format!(
        "jdbc:sqlserver://{}:{}{database};encrypt=true;trustServerCertificate=true",
        to.server, to.port
    );
    format!(
        "#DataSourceSettings#\n#LocalDataSource: {line}\n#BEGIN#\n<data-source source=\"LOCAL\" name=\"{name}\"><driver-ref>sqlserver.ms</driver-ref><synchronize>true</synchronize><jdbc-driver>com.microsoft.sqlserver.jdbc.SQLServerDriver</jdbc-driver><jdbc-url>{url}</jdbc-url><secret-storage>master_key</secret-storage><user-name>{user}</user-name></data-source>\n#END#\n",
        line = name.replace(['\r', '\n'], " "),
        name = xml(name),
        url = xml(&url),
        user = xml(to.user),
    )
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to<'a>(user: &'a str, database: Option<&'a str>) -> To<'a> {
        To {
            host: "winhost",
            name: "orders",
            server: "127.0.0.1",
            port: 14330,
            user,
            database,
        }
    }

    #[test]
    fn every_program_gets_what_it_needs_to_connect_and_no_more() {
        for Tool { id: tool, .. } in TOOLS {
            let plan =
                plan(tool, &to("shop_app", Some("shop")), "/usr/local/bin/berth").expect(tool);
            let hand = by_hand(tool, &to("shop_app", Some("shop"))).expect(tool);
            assert!(
                hand.contains("orders") || hand.contains("14330"),
                "{tool}: {hand}"
            );
            let text = format!("{plan:?}");
            assert!(
                text.contains("orders") || text.contains("14330"),
                "{tool}: {text}"
            );
            assert!(
                !text.contains("••••"),
                "{tool} was given a masked string: {text}"
            );
        }
        assert!(plan("emacs", &to("sa", None), "berth").is_err());
    }

    #[test]
    fn odd_names_stay_values() {
        let odd = to("a'b;&\"%|", Some("x<y>&'$(id)\""));
        let Ok(Plan::Terminal(script)) = plan("sqlcmd", &odd, "/a b/berth") else {
            panic!("a script")
        };
        // What a shell makes of such words is held where the carriers are read by real ones.
        for word in [r#"-U 'a'\''b;&"%|'"#, r#"-d 'x<y>&'\''$(id)"'"#] {
            assert!(
                script.contains(word),
                "a shell must read back what went in, and run nothing of it: {script}"
            );
        }
        assert!(
            plan("dbeaver", &odd, "berth").is_err(),
            "`|` would end the value and begin another"
        );
        let Ok(Plan::Paste(pasted)) = plan("datagrip", &odd, "berth") else {
            panic!("a text")
        };
        assert!(
            pasted.contains("x&lt;y&gt;&amp;&apos;$(id)&quot;"),
            "{pasted}"
        );
        let Ok(Plan::Address(address)) = plan("vscode", &odd, "berth") else {
            panic!("an address")
        };
        assert!(
            address.contains("user=a%2527b%253B%2526%2522%2525%257C"),
            "decoded twice by the extension: {address}"
        );
    }
}
