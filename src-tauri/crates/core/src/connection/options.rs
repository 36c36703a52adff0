//! Options beside the parts: any keyword of a format, but none that says a part again.

use super::Setting;
use crate::{Error, Result};

/// The longest name and value, in bytes.
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 1024;

/// How many there may be.
const MOST: usize = 64;

/// What the parts say already, in every client's spelling, without blanks, `_`, `-`, `.` and case. An
/// option of such a name would lead to another server, log in as another, or weaken TLS,
/// whatever the format.
const TAKEN: &[&str] = &[
    // where
    "server",
    "servername",
    "datasource",
    "addr",
    "address",
    "networkaddress",
    "host",
    "hostname",
    "hostaddr",
    "port",
    "portnumber",
    "instance",
    "instancename",
    "failoverpartner",
    "failoverpartnerspn",
    "failover",
    "failoverport",
    "serverspn",
    "network",
    "networklibrary",
    "net",
    "namedpipe",
    "protocol",
    "path",
    "url",
    "uri",
    "dsn",
    "filedsn",
    "savefile",
    "driver",
    "servernameindication",
    "serverfailoverpartner",
    "proxy",
    "socketfactoryclass",
    "socketfactoryconstructorarg",
    "connector",
    "stream",
    "dialect",
    "odbcconnect",
    "jdbcurl",
    "connectionstring",
    "pipe",
    "localaddress",
    "bindaddress",
    // what
    "database",
    "databasename",
    "db",
    "dbname",
    "initialcatalog",
    "catalog",
    "attachdbfilename",
    "extendedproperties",
    "initialfilename",
    // who
    "user",
    "userid",
    "uid",
    "username",
    "login",
    "password",
    "pwd",
    "pass",
    "passwd",
    "trustedconnection",
    "integratedsecurity",
    "authentication",
    "authenticationscheme",
    "authenticationtype",
    "domain",
    "usentlmv2",
    "accesstoken",
    "accesstokencallbackclass",
    "krb5conf",
    "krb5configfile",
    "krb5keytabfile",
    "keytabfile",
    "krb5credcachefile",
    "realm",
    "useraccesstoken",
    "fedauth",
    "usekerberos",
    "uselmv2",
    "newpassword",
    "changepassword",
    "contextconnection",
    "gsslib",
    "jaasconfigurationname",
    "kerberos",
    "aadsecureprincipalid",
    "aadsecureprincipalsecret",
    "msiclientid",
    "clientcertificate",
    "clientkey",
    "clientkeypassword",
    // how it is known
    "encrypt",
    "encryption",
    "ssl",
    "sslmode",
    "tls",
    "tlsmin",
    "sslprotocol",
    "usessl",
    "useencryptionfordata",
    "trustservercertificate",
    "trustservercertificateca",
    "trustcert",
    "servercertificate",
    "certificate",
    "certificatefile",
    "cafile",
    "ca",
    "hostnameincertificate",
    "servernameincertificate",
    "truststore",
    "truststoretype",
    "truststorepassword",
    "trustmanagerclass",
    "trustmanagerconstructorarg",
    "cryptocredentialsdetails",
    "fips",
    "validatehost",
    "checkcertificatehostname",
    "keystoreauthentication",
    "keystorelocation",
    "keystoresecret",
    "keystoreprincipalid",
    "keystoreprovider",
    "enclaveattestationurl",
    "enclaveattestationprotocol",
    "epa",
    // what it calls itself, and how long it tries
    "app",
    "appname",
    "applicationname",
    "programname",
    "timeout",
    "connecttimeout",
    "connectiontimeout",
    "logintimeout",
    "dialtimeout",
    "connectiontimeoutmillis",
    // the shells of objects, which an option would reopen
    "options",
    "extraparams",
    "connectargs",
    "dialectoptions",
];

/// Whether options could be said at all.
pub(super) fn check(options: &[(String, Setting)]) -> Result<()> {
    if options.len() > MOST {
        return Err(Error::usage(format!("More than {MOST} options")));
    }
    let mut seen = std::collections::BTreeSet::new();
    for (name, value) in options {
        let shown: String = name.chars().take(40).collect();
        let shown = shown.escape_debug();
        let legal = name.len() <= LONGEST_NAME
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.ends_with(|c: char| c.is_ascii_alphanumeric())
            && !name.contains("  ")
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.'));
        if !legal {
            return Err(
                Error::usage(format!("`{shown}` is no name of an option"))
                    .hint("A name has ASCII letters, digits, single blanks, `_`, `-` and `.`, and starts with a letter"),
            );
        }
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        if TAKEN.contains(&plain.as_str()) {
            return Err(Error::usage(format!(
                "The option `{shown}` would say again, or otherwise, what the parts say"
            ))
            .hint(
                "Set host, port, database, user, password, tls and app by the parts of that name",
            ));
        }
        if !seen.insert(plain) {
            return Err(Error::usage(format!("The option `{shown}` is there twice"))
                .because("clients differ in which of the two wins"));
        }
        if let Setting::Text(text) = value
            && (text.is_empty() || text.len() > LONGEST_VALUE || text.contains('\0'))
        {
            return Err(Error::usage(format!(
                "The value of the option `{shown}` is empty, longer than {LONGEST_VALUE} bytes or holds NUL"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_cannot_say_a_part_again() {
        for name in [
            "Server",
            "Data Source",
            "trust_server_certificate",
            "TrustServerCertificate",
            "ENCRYPT",
            "Pwd",
            "User ID",
            "UID",
            "Failover Partner",
            "failover-partner",
            "Integrated Security",
            "hostNameInCertificate",
            "ssl",
            "Application Name",
            "__proto__",
        ] {
            assert!(
                check(&[(name.into(), Setting::Flag(true))]).is_err(),
                "`{name}` could lead the client elsewhere"
            );
        }
        for name in [
            "", " a", "a ", "a;b", "a=b", "ä", "a\"", "1a", "a  b", "a\n",
        ] {
            assert!(
                check(&[(name.into(), Setting::Flag(true))]).is_err(),
                "{name:?}"
            );
        }
        let twice = [
            ("Max Pool Size".to_owned(), Setting::Number(5)),
            ("MaxPoolSize".to_owned(), Setting::Number(6)),
        ];
        assert!(check(&twice).is_err());
        assert!(check(&twice[..1]).is_ok());
        assert!(
            check(&[("Language".into(), Setting::Text("a;b\"".into()))]).is_ok(),
            "a value is quoted, not refused"
        );
    }
}
