//! Handing an instance over to another program: server, port, login and database, never the password. An address is
//! logged by some of those programs and argv can be read by everyone, so the password goes by the clipboard, or is
//! fetched by the script itself from `berth`.

use berth_api::dto::ConnectionView;
use berth_core::{
    Error, Result,
    connection::{percent_encoded, shell_word as sh},
};

/// What to do for one program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
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
/// [`berth_core::Code::Usage`] for a program that is not known, or that cannot be told what this connection needs.
pub(crate) fn plan(tool: &str, to: &ConnectionView, berth: &str) -> Result<Plan> {
    let name = format!("{}/{}", to.host, to.name);
    match tool {
        // The mssql extension decodes a query twice, and logs the whole address.
        "vscode" => {
            let database = to
                .database
                .as_deref()
                .map(|d| format!("&database={}", twice(d)))
                .unwrap_or_default();
            Ok(Plan::Address(format!(
                "vscode://ms-mssql.mssql/openConnectionDialog?server={}&user={}{database}&authenticationType=SqlLogin&encrypt=Mandatory&trustServerCertificate=true&profileName={}",
                twice(&format!("{},{}", to.server, to.port)),
                twice(&to.user),
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
            if let Some(database) = &to.database {
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
                Some(to.server.clone()),
                Some(to.port.to_string()),
                Some(to.user.clone()),
                to.database.clone(),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("\t"),
        )),
        "sqlcmd" => {
            let database = to
                .database
                .as_deref()
                .map(|d| format!(" -d {}", sh(d)))
                .unwrap_or_default();
            Ok(Plan::Terminal(format!(
                "SQLCMDPASSWORD=\"$({} connection {} --login {} --password)\" exec sqlcmd -S {} -U {}{database} -C",
                sh(berth),
                sh(&name),
                sh(&to.user),
                sh(&format!("tcp:{},{}", to.server, to.port)),
                sh(&to.user),
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

/// Percent-encoded two times.
fn twice(text: &str) -> String {
    percent_encoded(&percent_encoded(text))
}

/// What DataGrip and Rider import from the clipboard.
fn data_source(to: &ConnectionView, name: &str) -> String {
    let database = to
        .database
        .as_deref()
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
        user = xml(&to.user),
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

    const TOOLS: [&str; 7] = [
        "vscode",
        "dbeaver",
        "datagrip",
        "tableplus",
        "beekeeper",
        "sqlcmd",
        "berth",
    ];

    fn view(user: &str, database: Option<&str>) -> ConnectionView {
        serde_json::from_value(serde_json::json!({
            "name": "orders", "host": "winhost", "format": "adonet", "masked": "…Password=\"••••\"…",
            "server": "127.0.0.1", "port": 14330, "user": user, "database": database,
            "carrier": null, "pieces": [], "explained": [], "tls": "", "password_on_stdin": false
        }))
        .expect("the shape of the table")
    }

    #[test]
    fn every_program_gets_what_it_needs_to_connect_and_no_more() {
        for tool in TOOLS {
            let plan = plan(
                tool,
                &view("shop_app", Some("shop")),
                "/usr/local/bin/berth",
            )
            .expect(tool);
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
        assert!(plan("emacs", &view("sa", None), "berth").is_err());
    }

    #[test]
    fn odd_names_stay_values() {
        let odd = view("a'b;&\"%|", Some("x<y>&'$(id)\""));
        let Ok(Plan::Terminal(script)) = plan("sqlcmd", &odd, "/a b/berth") else {
            panic!("a script")
        };
        let printed = std::process::Command::new("sh")
            .args(["-c", &script.replace("exec sqlcmd", "exec printf '%s\\n'")])
            .output()
            .expect("a shell");
        let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
        assert_eq!(
            printed.lines().collect::<Vec<_>>(),
            [
                "-S",
                "tcp:127.0.0.1,14330",
                "-U",
                "a'b;&\"%|",
                "-d",
                "x<y>&'$(id)\"",
                "-C"
            ],
            "a shell must read back what went in, and run nothing of it"
        );
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
