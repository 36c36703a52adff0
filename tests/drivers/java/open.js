// Opens connections with Java's drivers: one JSON object a line in, one a line out, in the same order. Runs in Rhino, which
// needs no compiler.
//
// in:  {"driver": "jdbc" | "spring" | "jtds", "connection": "...", "sql": "..."}; the connection is a JDBC URL, or the text of
//      an `application.properties`
// out: {"rows": [[...], ...]} or {"error": "..."}; for jTDS, whose protocol is too old for the practice host, user and password
//      as its own reader of URLs takes them
java.lang.Class.forName("com.microsoft.sqlserver.jdbc.SQLServerDriver");
java.lang.Class.forName("net.sourceforge.jtds.jdbc.Driver");

function connect(driver, text) {
  if (driver !== "spring") return java.sql.DriverManager.getConnection(text);
  var file = new java.util.Properties();
  file.load(new java.io.StringReader(text));
  var source = "spring.datasource.";
  return java.sql.DriverManager.getConnection(
    file.getProperty(source + "url"),
    file.getProperty(source + "username"),
    file.getProperty(source + "password")
  );
}

function readByJtds(url) {
  var read = {};
  var all = new Packages.net.sourceforge.jtds.jdbc.Driver().getPropertyInfo(url, new java.util.Properties());
  for (var at = 0; at < all.length; at++) read[String(all[at].name)] = String(all[at].value);
  return [[read.USER, read.PASSWORD]];
}

function answer(line) {
  var request = JSON.parse(line);
  try {
    if (request.driver === "jtds") return { rows: readByJtds(request.connection) };
    var connection = connect(request.driver, request.connection);
    try {
      var set = connection.createStatement().executeQuery(request.sql);
      var rows = [];
      while (set.next()) {
        var row = [];
        for (var at = 1; at <= set.getMetaData().getColumnCount(); at++) row.push(String(set.getString(at)));
        rows.push(row);
      }
      return { rows: rows };
    } finally {
      connection.close();
    }
  } catch (error) {
    return { error: String(error.message || error) };
  }
}

var lines = new java.io.BufferedReader(new java.io.InputStreamReader(java.lang.System["in"], "UTF-8"));
var out = new java.io.PrintStream(java.lang.System.out, true, "UTF-8");
for (var line = lines.readLine(); line !== null; line = lines.readLine()) {
  if (line.length() > 0) out.println(JSON.stringify(answer(String(line))));
}
