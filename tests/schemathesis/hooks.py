"""What schemathesis needs to know of this API to get behind its first checks.

Names, ids and code made at random are refused, rightly and every time. So two of three requests that are meant to be sound
get ones that are there: `FNLITE_RUN` is the request id of a run, `hello` a function. Requests that are meant to be unsound
stay as they are.
"""

import itertools
import os
import urllib.parse

import schemathesis
from schemathesis import GenerationMode

DEPLOY = "PUT /v1/functions/{name}"
SOUND = {
    "runtime": "Python3.10",
    "handler": "index.main_handler",
    "code": {"files": {"index.py": "def main_handler(event, context):\n    return event\n"}},
    "env": {},
    "memory_mb": 128,
}
THERE = {"name": ["hello", "hello", "other"], "request_id": [os.environ["FNLITE_RUN"]]}

turns = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE:
        make_sound(case)
    spare_what_others_need(case)


def make_sound(case):
    turn = next(turns)
    if turn % 3 == 0:
        return
    for name in (case.path_parameters or {}).keys() & THERE.keys():
        case.path_parameters[name] = THERE[name][turn % len(THERE[name])]
    if case.operation.label == DEPLOY and isinstance(case.body, dict):
        case.body = {**case.body, **SOUND}
        # With JSON as its body a deploy takes nothing else from the query.
        case.query = {name: value for name, value in (case.query or {}).items() if name == "namespace"}


def spare_what_others_need(case):
    """The key in use, the server's first, which as a number has many spellings; and the function."""
    path = case.path_parameters or {}
    if case.method == "DELETE" and path.get("name") == "hello":
        path["name"] = "other"
    if urllib.parse.unquote(str(path.get("id", ""))).lstrip("+0") == "1":
        path["id"] = 999_999_999
