// Opens connections with Node's drivers: one JSON object a line in, one a line out, in the same order.
//
// in:  {"driver": "tedious" | "mssql" | "prisma" | "typeorm" | "knex" | "sequelize", "connection": "...", "sql": "..."}; the
//      connection is what a developer pastes: a connection string, or the text of a configuration object
// out: {"rows": [[...], ...]} or {"error": "..."}
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// The packages are fetched into a folder outside the tree, which NODE_DRIVERS names.
const require = createRequire(`${process.env.NODE_DRIVERS}/package.json`);

const plain = (value) =>
  value instanceof Date ? value.toISOString() : Buffer.isBuffer(value) ? value.toString("hex") : value;

// Pasted into a program, the text is an expression; the same is done here.
const pasted = (text) => (/^\s*\{/.test(text) ? new Function("require", `return (${text})`)(require) : text);

function tedious(config, sql) {
  const { Connection, Request } = require("tedious");
  return new Promise((resolve, reject) => {
    const connection = new Connection(config);
    const rows = [];
    connection.on("error", reject);
    connection.connect((failed) => {
      if (failed) return reject(failed);
      const request = new Request(sql, (error) => {
        connection.close();
        if (error) reject(error);
        else resolve(rows);
      });
      request.on("row", (columns) => rows.push(columns.map((column) => plain(column.value))));
      connection.execSqlBatch(request);
    });
  });
}

async function mssql(config, sql) {
  const { ConnectionPool } = require("mssql");
  const pool = new ConnectionPool(config);
  // One row shape for all drivers: arrays, so that columns without a name survive.
  pool.on("error", () => {});
  try {
    await pool.connect();
    const request = pool.request();
    request.arrayRowMode = true;
    const { recordset } = await request.batch(sql);
    return (recordset ?? []).map((row) => row.map(plain));
  } finally {
    await pool.close();
  }
}

async function prisma(config, sql) {
  const { PrismaMssql } = require("@prisma/adapter-mssql");
  const adapter = await new PrismaMssql(config).connect();
  try {
    return (await adapter.queryRaw({ sql, args: [], argTypes: [] })).rows;
  } finally {
    await adapter.dispose();
  }
}

async function typeorm(config, sql) {
  const { DataSource } = require("typeorm");
  const source = await new DataSource(config).initialize();
  try {
    return (await source.query(sql)).map((row) => Object.values(row).map(plain));
  } finally {
    await source.destroy();
  }
}

async function knex(config, sql) {
  const client = require("knex")(config);
  try {
    return (await client.raw(sql)).map((row) => Object.values(row).map(plain));
  } finally {
    await client.destroy();
  }
}

async function sequelize(config, sql) {
  const { Sequelize } = require("sequelize");
  const client = new Sequelize({ ...config, logging: false });
  try {
    const [rows] = await client.query(sql);
    return rows.map((row) => Object.values(row).map(plain));
  } finally {
    await client.close();
  }
}

const ways = { tedious, mssql, prisma, typeorm, knex, sequelize };

async function answer(line) {
  const { driver, connection, sql } = JSON.parse(line);
  try {
    return { rows: await ways[driver](pasted(connection), sql) };
  } catch (error) {
    // Several errors of one statement come as one that has no words of its own.
    const words = error.message || (error.errors ?? []).map((one) => one.message).join(" ");
    return { error: `${error.code ?? error.name} ${error.number ?? ""}: ${words}` };
  }
}

const lines = [];
for await (const line of createInterface({ input: process.stdin })) if (line) lines.push(line);
for (let at = 0; at < lines.length; at += 4) {
  for (const result of await Promise.all(lines.slice(at, at + 4).map(answer))) console.log(JSON.stringify(result));
}
process.exit(0);
