"""Fails while it is loaded: the module it needs is not in the package."""

import a_module_that_is_not_there


def main_handler(event, context):
    return a_module_that_is_not_there.answer()
