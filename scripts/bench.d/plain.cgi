#!/usr/bin/python3
"""The handler as a CGI program; what it prints goes to standard error, since standard output is the answer."""

import json
import os
import sys

from index import main_handler

event = json.loads(sys.stdin.buffer.read(int(os.environ["CONTENT_LENGTH"])))
answer, sys.stdout = sys.stdout, sys.stderr
body = json.dumps(main_handler(event, {}))
answer.write(f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}")
