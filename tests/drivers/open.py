"""Opens connection strings with Python's drivers: one JSON object a line in, one a line out.

in:  {"driver": "...", "connection": "...", "sql": "..."}; the connection is what a developer pastes: a string, a URL, a call,
     a settings file
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


def pyodbc_string(text):
    import pyodbc

    return pyodbc.connect(text, timeout=10)


def mssql_python_string(text):
    import mssql_python

    return mssql_python.connect(text)


def pymssql_call(text):
    import pymssql

    return eval(text, {"pymssql": pymssql})


def dblib(text):
    """The settings that Ruby on Rails gives to tiny_tds, with DB-Library's own limits."""
    import pymssql

    settings = json.loads(text)
    return pymssql.connect(
        server=f"{settings['host']}:{settings['port']}",
        database=settings["database"],
        user=settings["username"],
        password=settings["password"],
        appname=settings["appname"],
        tds_version=settings["tds_version"],
        login_timeout=settings["login_timeout"],
        charset="UTF-8",
    )


def sqlalchemy_url(text):
    """Read by SQLAlchemy, opened by its driver, without the questions that its first connection asks."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(text, poolclass=sqlalchemy.pool.NullPool)
    args, keywords = engine.dialect.create_connect_args(engine.url)
    return engine.dialect.connect(*args, **keywords)


def django_settings(text):
    from django.conf import settings

    if not settings.configured:
        settings.configure()
    from django.db.utils import ConnectionHandler

    module = {}
    exec(text, module)
    backend = ConnectionHandler(module["DATABASES"])["default"]
    return backend.get_new_connection(backend.get_connection_params())


def dbt_profile(text):
    """Read as dbt reads it, YAML and then Jinja, and joined as dbt-sqlserver joins it."""
    import jinja2
    import yaml

    fields = yaml.safe_load(text)["berth"]["outputs"]["dev"]
    fields = {
        name: jinja2.Environment().from_string(value).render() if isinstance(value, str) else value
        for name, value in fields.items()
    }

    def braces(value):
        return "{" + value.replace("}", "}}") + "}"

    yes = {True: "Yes", False: "No"}
    return pyodbc_string(
        ";".join(
            [
                f"DRIVER={{{fields['driver']}}}",
                f"SERVER={fields['host']},{fields['port']}",
                f"Database={fields['database']}",
                f"UID={braces(fields['user'])}",
                f"PWD={braces(fields['password'])}",
                f"encrypt={yes[fields['encrypt']]}",
                f"TrustServerCertificate={yes[fields['trust_cert']]}",
            ]
        )
    )


WAYS = {
    "pyodbc": pyodbc_string,
    "mssql_python": mssql_python_string,
    "pymssql": pymssql_call,
    "dblib": dblib,
    "sqlalchemy": sqlalchemy_url,
    "django": django_settings,
    "dbt": dbt_profile,
}


def opened(case):
    connection = WAYS[case["driver"]](case["connection"])
    try:
        cursor = connection.cursor()
        cursor.execute(case["sql"])
        # What only informs comes first, as the messages of BACKUP do.
        while not cursor.description and cursor.nextset():
            pass
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
