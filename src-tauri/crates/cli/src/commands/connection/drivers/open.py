import importlib, json, sys

def main(name):
    case = json.load(sys.stdin)
    try:
        driver = importlib.import_module(name)
    except ImportError:
        return {"missing": True}
    try:
        from importlib.metadata import version
        found = {"version": version(name.replace("_", "-"))}
    except Exception:
        found = {}
    try:
        if name == "pyodbc":
            connection = driver.connect(case["connection"], timeout=30)
            number = connection.getinfo(driver.SQL_DRIVER_VER)
            found["version"] = f"{found.get('version', '')} with {connection.getinfo(driver.SQL_DRIVER_NAME)} {number}".strip()
        elif name == "pymssql":
            connection = driver.connect(
                server=case["server"], port=str(case["port"]), user=case["user"], password=case["password"],
                database=case["database"] or "", encryption="require", login_timeout=30)
        else:
            connection = driver.connect(case["connection"])
        cursor = connection.cursor()
        cursor.execute("SELECT @@VERSION")
        found["server"] = str(cursor.fetchone()[0])
        connection.close()
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"
    return found

print(json.dumps(main(sys.argv[1])))
