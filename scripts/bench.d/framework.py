"""The handler as functions-framework wants it."""

from flask import jsonify
from index import main_handler


def handle(request):
    return jsonify(main_handler(request.get_json(), {}))
