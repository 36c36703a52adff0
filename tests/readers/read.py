"""Reads a file as a client would: the values as a JSON list on standard output.

read.py dotenv FILE NAMES…  | yaml FILE | kubernetes FILE KEY | json FILE | toml FILE | xml FILE
"""

import json
import sys


def values(kind, file, *names):
    if kind == "dotenv":
        from dotenv import dotenv_values

        found = dotenv_values(file)
        return [found.get(f"V{n}") for n in range(int(names[0]))]
    text = open(file, encoding="utf-8", newline="").read()
    if kind == "yaml":
        import yaml

        return yaml.safe_load(text)
    if kind == "kubernetes":
        import yaml

        return [found["stringData"][names[0]] for found in yaml.safe_load_all(text)]
    if kind == "json":
        return json.loads(text)
    if kind == "toml":
        import tomllib

        return tomllib.loads(text)["values"]
    import xml.etree.ElementTree as tree

    return [(node.get("connectionString"), node.text) for node in tree.fromstring(text)]


json.dump(values(*sys.argv[1:]), sys.stdout)
