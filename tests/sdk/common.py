"""What the programs share: a client of the unmodified SDK, and the few things that are asked of it again and again."""

import base64
import io
import json
import os
import re
import time
import zipfile

from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.scf.v20180416 import models, scf_client

ENDPOINT = os.environ["FNLITE_ENDPOINT"]
CREDENTIAL = credential.Credential(os.environ["SECRET_ID"], os.environ["SECRET_KEY"])
PROFILE = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=ENDPOINT))
CLIENT = scf_client.ScfClient(CREDENTIAL, "ap-guangzhou", PROFILE)

# YYYY-MM-DD HH:MM:SS, eight hours ahead of UTC.
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def call(action, **fields):
    """Calls an action by the SDK's own request and response classes; the answer as they read it."""
    request = getattr(models, action + "Request")()
    request.from_json_string(json.dumps(fields))
    return json.loads(getattr(CLIENT, action)(request).to_json_string())


def refused(code, action, **fields):
    """The action is refused with that code, and the answer has a request ID."""
    try:
        answer = call(action, **fields)
    except TencentCloudSDKException as fault:
        assert fault.get_code() == code, f"{action} {str(fields)[:500]}: {fault.get_code()} {fault.get_message()}, not {code}"
        assert fault.get_request_id(), fault
        assert fault.get_message(), fault
        return fault.get_message()
    raise AssertionError(f"{action} {str(fields)[:500]} was not refused with {code}: {answer}")


def zipped(**files):
    """A package in base64; dots in names are written as two underscores."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        for name, text in files.items():
            package.writestr(name.replace("__", "."), text)
    return base64.b64encode(archive.getvalue()).decode()


def settled(name, **where):
    """The function once nothing is under way with it."""
    for _ in range(2000):
        function = call("GetFunction", FunctionName=name, **where)
        if function["Status"] not in ("Creating", "Updating"):
            return function
        time.sleep(0.02)
    raise AssertionError(f"{name} is still {function['Status']}")


def created(name, code, handler="index.main_handler", **more):
    """A new function that is active; one of that name from before goes."""
    where = {"Namespace": more["Namespace"]} if "Namespace" in more else {}
    try:
        call("DeleteFunction", FunctionName=name, **where)
    except TencentCloudSDKException:
        pass
    fields = {"Runtime": "Python3.10", "Handler": handler, "Code": {"ZipFile": zipped(index__py=code)}, **more}
    call("CreateFunction", FunctionName=name, **fields)
    function = settled(name, **where)
    assert function["Status"] == "Active", function["StatusReasons"]
    return function


def until(look, what):
    """What `look` gives once it gives something."""
    for _ in range(1000):
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"in vain: {what}")


ECHO = """
import os
def main_handler(event, context):
    print("event", event)
    return {"event": event, "version": context["function_version"], "v": os.environ.get("V")}
"""
