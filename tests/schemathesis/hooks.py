"""What schemathesis needs to know of this API to get behind its first checks.

Names, ids and code made at random are refused, rightly and every time; so most requests get ones that are there. What is
random stays random in every third request. `FNLITE_RUN` is the request id of a run, `hello` a function.
"""

import itertools
import os
import urllib.parse

import schemathesis

SOUND = {
    "runtime": "Python3.10",
    "handler": "index.main_handler",
    "code": {"files": {"index.py": "def main_handler(event, context):\n    return event\n"}},
}
THERE = {"name": ["hello", "hello", "other"], "request_id": [os.environ["FNLITE_RUN"]]}

turns = itertools.count()


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    turn = next(turns)
    if turn % 3:
        for name in (path_parameters or {}).keys() & THERE.keys():
            path_parameters[name] = THERE[name][turn % len(THERE[name])]
    return path_parameters


@schemathesis.hook
def map_query(context, query):
    """With JSON as its body a deploy takes nothing else from the query."""
    if context.operation.label == "PUT /v1/functions/{name}" and next(turns) % 3:
        return {name: value for name, value in (query or {}).items() if name == "namespace"}
    return query


@schemathesis.hook
def map_body(context, body):
    if context.operation.label == "PUT /v1/functions/{name}" and isinstance(body, dict) and next(turns) % 3:
        return {**body, **SOUND, "env": {}}
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    """What every other request needs stays: the key in use, the server's first (as a number it has many spellings), and the
    function."""
    if case.method == "DELETE" and (case.path_parameters or {}).get("name") == "hello":
        case.path_parameters["name"] = "other"
    text = urllib.parse.unquote(str((case.path_parameters or {}).get("id", "")))
    if text.lstrip("+0") == "1":
        case.path_parameters["id"] = 999_999_999
