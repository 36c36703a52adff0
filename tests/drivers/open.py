"""Opens connection strings with Microsoft's ODBC driver: one JSON object a line in, one a line out.

in:  {"driver": "pyodbc" | "mssql_python", "connection": "...", "sql": "..."}
out: {"rows": [[...], ...]} or {"error": "..."}
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor


def plain(value):
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    return str(value)


def opened(case):
    if case["driver"] == "pyodbc":
        import pyodbc

        connection = pyodbc.connect(case["connection"], timeout=10)
    else:
        import mssql_python

        connection = mssql_python.connect(case["connection"])
    try:
        cursor = connection.cursor()
        cursor.execute(case["sql"])
        rows = [[plain(value) for value in row] for row in cursor.fetchall()] if cursor.description else []
        cursor.close()
        connection.commit()
        return {"rows": rows}
    finally:
        connection.close()


def answer(line):
    try:
        return opened(json.loads(line))
    except Exception as error:  # every way a driver can refuse is an answer
        return {"error": f"{type(error).__name__}: {error}"}


with ThreadPoolExecutor(max_workers=4) as pool:
    for result in pool.map(answer, list(sys.stdin)):
        print(json.dumps(result), flush=True)
