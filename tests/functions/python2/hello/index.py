# -*- coding: utf-8 -*-
"""The first function: prints what it was given and greets the value of "key"."""

import json


def main_handler(event, context):
    print "event:", json.dumps(event)
    return {"hello": event.get("key", "world")}
