import type { ConnectionView } from "../backend";

/** Programs that open a database, what each can be given, and what it cannot. None is ever given a password in an address or in argv. */
export interface Tool {
  id: string;
  name: string;
  /** What to type or open, without the password. */
  line: (c: ConnectionView) => string;
  note: string;
}

const twice = (text: string) => encodeURIComponent(encodeURIComponent(text));

export const TOOLS: Tool[] = [
  {
    id: "vscode",
    name: "Visual Studio Code",
    // Its handler decodes a query twice, and logs the whole address: no password in it.
    line: (c) =>
      `open 'vscode://ms-mssql.mssql/openConnectionDialog?server=${twice(`${c.server},${c.port}`)}&user=${twice(c.user)}${c.database ? `&database=${twice(c.database)}` : ""}&authenticationType=SqlLogin&encrypt=Mandatory&trustServerCertificate=true'`,
    note: "Needs the extension SQL Server (mssql). Its dialogue opens filled in; paste the password.",
  },
  {
    id: "dbeaver",
    name: "DBeaver",
    line: (c) =>
      `open -a DBeaver --args -con "driver=sqlserver:microsoft|host=${c.server}|port=${c.port}${c.database ? `|database=${c.database}` : ""}|user=${c.user}|name=${c.name}|prop.encrypt=true|prop.trustServerCertificate=true|create=true|save=true"`,
    note: "Takes these words when it starts; paste the password when it asks.",
  },
  {
    id: "datagrip",
    name: "DataGrip",
    line: (c) => `jdbc:sqlserver://${c.server}:${c.port};${c.database ? `databaseName=${c.database};` : ""}encrypt=true;trustServerCertificate=true`,
    note: "Has no address of its own: New data source, SQL Server, and paste this URL; the login and the password below it.",
  },
  {
    id: "tableplus",
    name: "TablePlus",
    line: (c) => `${c.server}   ${c.port}   ${c.user}${c.database ? `   ${c.database}` : ""}`,
    note: "New connection, SQL Server: host, port, user and database are these. It takes an address only with the password in it, which Berth does not write.",
  },
  {
    id: "beekeeper",
    name: "Beekeeper Studio",
    line: (c) => `${c.server}   ${c.port}   ${c.user}${c.database ? `   ${c.database}` : ""}`,
    note: "New connection, SQL Server, with Trust Server Certificate on. It takes an address only with the password in it, which Berth does not write.",
  },
  {
    id: "sqlcmd",
    name: "Terminal with sqlcmd",
    line: (c) => `sqlcmd -S ${c.server},${c.port} -U ${c.user}${c.database ? ` -d ${c.database}` : ""} -C`,
    note: "It asks for the password: paste it.",
  },
  {
    id: "berth",
    name: "Terminal with berth query",
    line: (c) => `berth query ${c.host}/${c.name}`,
    note: "Needs no password: Berth has it.",
  },
];
