//! JDBC's drivers, and Prisma, which writes as they do.

use super::{Client, Key, Twice, Wire};

/// Java: Microsoft's JDBC driver.
pub(in super::super) static JDBC: Client = Client {
    format: "jdbc",
    name: "JDBC (Microsoft's driver)",
    keys: &[
        ("servername", Key::Server),
        ("server", Key::Server),
        ("portnumber", Key::Port),
        ("port", Key::Port),
        ("instancename", Key::Instance),
        ("databasename", Key::Database),
        ("database", Key::Database),
        ("user", Key::User),
        ("username", Key::User),
        ("password", Key::Password),
        ("encrypt", Key::Encrypt),
        ("trustservercertificate", Key::Trust),
        ("servercertificate", Key::Pin),
        ("applicationname", Key::App),
        ("integratedsecurity", Key::Integrated),
    ],
    others: "accesstoken|applicationintent|authentication|authenticationscheme|cancelquerytimeout|\
    clientcertificate|clientkey|clientkeypassword|columnencryptionsetting|connectretrycount|\
    connectretryinterval|datetimeparametertype|delayloadinglobs|disablestatementpooling|\
    enableprepareonfirstpreparedstatementcall|encryptiontype|failoverpartner|fips|gsscredential|\
    hostnameincertificate|jaasconfigurationname|keystoreauthentication|keystorelocation|keystoresecret|\
    lastupdatecount|locktimeout|logintimeout|maxresultbuffer|msiclientid|multisubnetfailover|packetsize|\
    querytimeout|realm|replication|responsebuffering|selectmethod|sendstringparametersasunicode|\
    sendtemporaldatatypesasstringforbulkcopy|sendtimeasdatetime|serverpreparedstatementdiscardthreshold|\
    serverspn|sockettimeout|sslprotocol|statementpoolingcachesize|transparentnetworkipresolution|\
    trustmanagerclass|truststore|truststorepassword|truststoretype|usebulkcopyforbatchinsert|usefmtonly|\
    workstationid|xopenstates|domain|ipaddresspreference|preparemethod|calcbigdecimalprecision|\
    ignoreoffsetondatetimeoffsetconversion|quotedidentifier|concatnullyieldsnull",
    encrypt: &[
        ("true", Wire::Encrypted),
        ("mandatory", Wire::Encrypted),
        ("strict", Wire::Strict),
        ("false", Wire::LoginOnly),
        ("no", Wire::LoginOnly),
        ("optional", Wire::LoginOnly),
    ],
    encrypt_else: None,
    encrypt_unsaid: Wire::Encrypted,
    encrypt_on: "encrypt=true",
    trust_on: &["true"],
    trust_off: &["false"],
    trust_lax: false,
    verifies: true,
    twice: Twice::Last,
    unknown_refused: false,
    port_after: Some(':'),
    exact_keys: false,
};

/// Java: jTDS.
pub(in super::super) static JTDS: Client = Client {
    format: "jtds",
    name: "jTDS",
    keys: &[
        ("user", Key::User),
        ("password", Key::Password),
        ("ssl", Key::Encrypt),
        ("databasename", Key::Database),
        ("servername", Key::Server),
        ("portnumber", Key::Port),
        ("instance", Key::Instance),
        ("appname", Key::App),
    ],
    others: "autocommit|batchsize|binddress|buffermaxmemory|bufferminpackets|cachemetadata|charset|domain|\
    language|lastupdatecount|lobbuffer|logintimeout|macaddress|maxstatements|namedpipe|packetsize|\
    preparesql|progname|processid|sendstringparametersasunicode|sockettimeout|socketkeepalive|\
    tcpnodelay|tds|usecursors|usejcifs|uselobs|usentlmv2|usekerberos|wsid|xaemulation|bindaddress",
    encrypt: &[
        ("require", Wire::Encrypted),
        ("authenticate", Wire::Encrypted),
        ("request", Wire::LoginOnly),
        ("off", Wire::Clear),
    ],
    encrypt_else: None,
    encrypt_unsaid: Wire::Clear,
    encrypt_on: "ssl=require",
    trust_on: &[],
    trust_off: &[],
    trust_lax: false,
    verifies: false,
    twice: Twice::Last,
    unknown_refused: false,
    port_after: Some(':'),
    exact_keys: false,
};

/// Node: Prisma 7's string.
pub(in super::super) static PRISMA: Client = PRISMA_BASE;

pub(super) const PRISMA_BASE: Client = Client {
    format: "prisma",
    name: "Prisma",
    keys: &[
        ("database", Key::Database),
        ("initial catalog", Key::Database),
        ("user", Key::User),
        ("username", Key::User),
        ("uid", Key::User),
        ("userid", Key::User),
        ("password", Key::Password),
        ("pwd", Key::Password),
        ("encrypt", Key::Encrypt),
        ("trustservercertificate", Key::Trust),
        ("trustservercertificateca", Key::Authority),
        ("applicationname", Key::App),
        ("integratedsecurity", Key::Integrated),
    ],
    others: "schema|connectionlimit|connecttimeout|connectiontimeout|logintimeout|sockettimeout|pooltimeout|\
    isolationlevel|authentication|clientid|clientsecret|tenantid|multisubnetfailover",
    encrypt: &[("true", Wire::Encrypted)],
    encrypt_else: Some(Wire::Clear),
    encrypt_unsaid: Wire::Encrypted,
    encrypt_on: "encrypt=true",
    trust_on: &["true"],
    trust_off: &["false"],
    trust_lax: true,
    verifies: true,
    twice: Twice::Refused,
    unknown_refused: false,
    port_after: Some(':'),
    exact_keys: false,
};

/// Prisma 6, whose engine is tiberius.
pub(in super::super) static PRISMA6: Client = Client {
    format: "prisma6",
    name: "Prisma 6",
    trust_lax: false,
    encrypt: &[
        ("true", Wire::Encrypted),
        ("yes", Wire::Encrypted),
        ("false", Wire::LoginOnly),
        ("no", Wire::LoginOnly),
        ("danger_plaintext", Wire::Clear),
    ],
    encrypt_else: None,
    ..PRISMA_BASE
};
