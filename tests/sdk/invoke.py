"""Invoke and InvokeFunction: results, units, tails, what a function's own failures look like, and every refusal."""

import json

from common import call, created, refused

NAME = "sdk_invoke"

CODE = """
import os, sys, time
def main_handler(event, context):
    what = event.get("do")
    print("doing", what)
    if what == "raise":
        raise ValueError("no")
    if what == "exit":
        sys.exit(3)
    if what == "sleep":
        time.sleep(5)
    if what == "flood":
        for number in range(2000):
            print("line", number)
    if what == "fill":
        return "x" * (7 * 1024 * 1024)
    if what == "hog":
        return len(bytearray(400 * 1024 * 1024))
    return {"got": event, "id": context["request_id"], "中": "文"}
"""


def returns():
    event = '{"n": 9007199254740993, "price": 1.10, "中": "\\u6587"}'
    answer = call("Invoke", FunctionName=NAME, ClientContext=event)
    result = answer["Result"]
    value = json.loads(result["RetMsg"])
    assert value["got"] == {"n": 9007199254740993, "price": 1.1, "中": "文"}, value
    assert result["FunctionRequestId"] == answer["RequestId"] == value["id"], answer
    assert (result["Log"], result["ErrMsg"], result["InvokeResult"]) == ("", "", 0), result
    assert isinstance(result["MemUsage"], int) and result["MemUsage"] > 1024 * 1024, "bytes"
    assert isinstance(result["Duration"], float) and 0 < result["Duration"] < 3000, "milliseconds"
    assert result["BillDuration"] == -(-result["Duration"] // 1), result
    assert json.loads(call("Invoke", FunctionName=NAME)["Result"]["RetMsg"])["got"] == {}
    lean = call("InvokeFunction", FunctionName=NAME, Event='{"lean": true}')["Result"]
    assert json.loads(lean["RetMsg"])["got"] == {"lean": True} and lean["InvokeResult"] == 0


def tails():
    result = call("Invoke", FunctionName=NAME, ClientContext='{"do": "x"}', LogType="Tail")["Result"]
    run, lines = result["FunctionRequestId"], result["Log"].split("\n")
    assert lines[:2] == [f"START RequestId: {run}", f"Event RequestId: {run}"], lines
    assert lines[-4:-1] == ["doing x", "", f"END RequestId: {run}"], lines
    assert lines[-1].startswith(f"Report RequestId: {run} Duration:") and " Memory:128MB MemUsage:" in lines[-1], lines
    assert "RetMsg" not in result["Log"]
    # Old tools write it in lower case; and the end of a long log is what comes.
    flood = call("InvokeFunction", FunctionName=NAME, Event='{"do": "flood"}', LogType="tail")["Result"]["Log"]
    assert len(flood.encode()) <= 4096 and "line 1999\n" in flood and "line 10\n" not in flood
    assert call("Invoke", FunctionName=NAME, LogType="none")["Result"]["Log"] == ""


def fails():
    for what, status, message, invoke_result in [
        ("raise", 430, "user code exception caught", 1),
        ("exit", 439, "3 code exit unexpected", 1),
        ("sleep", 433, "Invoking task timed out after 2 seconds", 1),
        ("fill", 407, "The size of response exceeds the upper limit (6MB)", 1),
        ("hog", 434, "Task memory exceeded 128 MB", 1),
    ]:
        result = call("Invoke", FunctionName=NAME, ClientContext=json.dumps({"do": what}))["Result"]
        body = json.loads(result["RetMsg"])
        assert (body["statusCode"], body["errorCode"]) == (status, -1), (what, body)
        assert body["errorMessage"] == result["ErrMsg"] == message, (what, result)
        assert body["requestId"] == result["FunctionRequestId"], what
        assert result["InvokeResult"] == invoke_result, (what, result)
    trace = json.loads(call("Invoke", FunctionName=NAME, ClientContext='{"do": "raise"}')["Result"]["RetMsg"])["stackTrace"]
    assert trace.rstrip().endswith("ValueError: no"), trace
    # Switched off, it is over its quota: the platform's refusal, and no fault of the API's.
    call("PutReservedConcurrencyConfig", FunctionName=NAME, ReservedConcurrencyMem=0)
    result = call("Invoke", FunctionName=NAME)["Result"]
    assert (json.loads(result["RetMsg"])["statusCode"], result["InvokeResult"]) == (432, -1), result
    call("DeleteReservedConcurrencyConfig", FunctionName=NAME)
    assert call("Invoke", FunctionName=NAME)["Result"]["InvokeResult"] == 0


def later():
    answer = call("Invoke", FunctionName=NAME, InvocationType="Event", ClientContext="{}")
    result = answer["Result"]
    assert result["FunctionRequestId"] == answer["RequestId"], answer
    assert (result["RetMsg"], result["ErrMsg"], result["InvokeResult"]) == ("", "", 0), result


def mixed_up():
    """The SDK has no such attribute, so the field goes in by hand."""
    from common import CLIENT, TencentCloudSDKException

    for action, field in (("Invoke", "Event"), ("InvokeFunction", "ClientContext")):
        try:
            CLIENT.call(action, {"FunctionName": NAME, field: "{}"})
            raw = CLIENT.call_json(action, {"FunctionName": NAME, field: "{}"})
        except TencentCloudSDKException as fault:
            assert fault.get_code() == "UnknownParameter", fault
        else:
            raise AssertionError(f"{action} took {field}: {raw}")
    # What nobody knows at all is left alone.
    assert CLIENT.call_json("ListFunctions", {"Type": "Event", "Ype": "x"})["Response"]["TotalCount"] > 0


created(NAME, CODE, Timeout=2)
returns()
tails()
fails()
later()
mixed_up()
