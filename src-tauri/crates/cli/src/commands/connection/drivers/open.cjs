const name = process.argv[1];
const answer = (found) => { process.stdout.write(JSON.stringify(found) + "\n", () => process.exit(0)); };
let text = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (chunk) => { text += chunk; });
process.stdin.on("end", async () => {
  const wanted = JSON.parse(text);
  let driver, found = {};
  try {
    const from = require("node:module").createRequire(process.cwd() + "/");
    driver = from(name);
    try { found.version = from(name + "/package.json").version; } catch {}
  } catch { return answer({ missing: true }); }
  try {
    if (name === "mssql") {
      const pool = await driver.connect(wanted.connection);
      const result = await pool.request().query("SELECT @@VERSION AS v");
      found.server = result.recordset[0].v;
      await pool.close();
    } else {
      found.server = await new Promise((done, failed) => {
        const connection = new driver.Connection(JSON.parse(wanted.connection));
        connection.on("error", failed);
        connection.connect((error) => {
          if (error) return failed(error);
          let version;
          const request = new driver.Request("SELECT @@VERSION", (error) => {
            connection.close();
            return error ? failed(error) : done(version);
          });
          request.on("row", (columns) => { version = columns[0].value; });
          connection.execSql(request);
        });
      });
    }
  } catch (error) { found.error = `${error.code || error.name}: ${error.message}`; }
  answer(found);
});
