"""Asynchronous events, and the logs and states of runs."""

import json
import time
from datetime import datetime, timedelta, timezone

from common import ECHO, call, created, refused, until

NAME = "sdk_events"

CODE = """
import signal, time
def main_handler(event, context):
    print("got", event)
    if event.get("deaf"):
        signal.signal(signal.SIGTERM, lambda *_: print("told to end", flush=True))
    for _ in range(event.get("sleep", 0) * 10):
        time.sleep(0.1)
    if event.get("fail"):
        raise ValueError("as asked")
    return event
"""


def accepted(**event):
    answer = call("Invoke", FunctionName=NAME, InvocationType="Event", ClientContext=json.dumps(event))
    return answer["Result"]["FunctionRequestId"]


def status(run):
    return call("GetAsyncEventStatus", InvokeRequestId=run)["Result"]


def ended(run, word):
    result = until(lambda: (lambda it: it if it["Status"] != "RUNNING" else None)(status(run)), f"the end of {run}")
    assert (result["Status"], result["InvokeRequestId"]) == (word, run), result
    return result


def runs():
    run = accepted(n=1)
    assert ended(run, "FINISHED")["StatusCode"] == 200
    listed = call("ListAsyncEvents", FunctionName=NAME, InvokeRequestId=run)
    row = listed["EventList"][0]
    assert (listed["TotalCount"], row["InvokeRequestId"], row["Qualifier"], row["Status"]) == (1, run, "$LATEST", "FINISHED"), row
    datetime.strptime(row["StartTime"], "%Y-%m-%d %H:%M:%S.%f")
    datetime.strptime(row["EndTime"], "%Y-%m-%d %H:%M:%S.%f")
    assert call("ListAsyncEvents", FunctionName=NAME, Status=["FAILED"], InvokeRequestId=run)["TotalCount"] == 0
    call("Invoke", FunctionName=NAME)
    assert call("ListAsyncEvents", FunctionName=NAME)["TotalCount"] == 1, "what somebody waited for is no event"
    for code, fields in (
        ("InvalidParameterValue.Status", {"Status": ["SLEEPING"]}),
        ("InvalidParameterValue.Limit", {"Limit": 101}),
        ("InvalidParameterValue.Order", {"Order": "x"}),
        ("ResourceNotFound.FunctionName", {"FunctionName": "sdk_nobody"}),
    ):
        refused(code, "ListAsyncEvents", **{"FunctionName": NAME, **fields})
    refused("ResourceNotFound.AsyncEvent", "GetAsyncEventStatus", InvokeRequestId="0" * 32)
    refused("ResourceNotFound.AsyncEvent", "GetAsyncEventStatus", InvokeRequestId="x")


def is_running(run):
    rows = call("GetRequestStatus", FunctionName=NAME, FunctionRequestId=run)["Data"]
    log = call("GetFunctionLogs", FunctionName=NAME, FunctionRequestId=run)["Data"]
    return rows and rows[0]["RetCode"] == 1 and log and "got" in log[0]["Log"]


def terminates():
    run = accepted(sleep=20)
    until(lambda: is_running(run), "a run that lasts")
    refused("ResourceNotFound.AsyncEvent", "TerminateAsyncEvent", FunctionName=NAME, InvokeRequestId="0" * 32)
    refused("ResourceNotFound.FunctionName", "TerminateAsyncEvent", FunctionName="sdk_nobody", InvokeRequestId=run)
    call("TerminateAsyncEvent", FunctionName=NAME, InvokeRequestId=run)
    assert ended(run, "ABORTED")["StatusCode"] == 499
    assert call("ListAsyncEvents", FunctionName=NAME, Status=["ABORTED"])["TotalCount"] == 1
    refused("FailedOperation.AsyncEventStatus", "TerminateAsyncEvent", FunctionName=NAME, InvokeRequestId=run)
    # One that listens to the signal goes on; here to its end.
    deaf = accepted(deaf=True, sleep=2)
    until(lambda: is_running(deaf), "a run that lasts")
    call("TerminateAsyncEvent", FunctionName=NAME, InvokeRequestId=deaf, GraceShutdown=True)
    ended(deaf, "FINISHED")
    assert "told to end" in call("GetFunctionLogs", FunctionName=NAME, FunctionRequestId=deaf)["Data"][0]["Log"]
    # One that waits is never run: the function is switched off meanwhile.
    call("PutReservedConcurrencyConfig", FunctionName=NAME, ReservedConcurrencyMem=0)
    waits = accepted(n=2)
    call("TerminateAsyncEvent", FunctionName=NAME, InvokeRequestId=waits)
    assert ended(waits, "ABORTED")["StatusCode"] == 499
    call("DeleteReservedConcurrencyConfig", FunctionName=NAME)


def configures():
    first = call("GetFunctionEventInvokeConfig", FunctionName=NAME)["AsyncTriggerConfig"]
    assert first == {"RetryConfig": [{"RetryNum": 2}], "MsgTTL": 21600}, first
    changed = {"RetryConfig": [{"RetryNum": 0}], "MsgTTL": 60}
    call("UpdateFunctionEventInvokeConfig", FunctionName=NAME, AsyncTriggerConfig=changed)
    assert call("GetFunctionEventInvokeConfig", FunctionName=NAME)["AsyncTriggerConfig"] == changed
    for code, config in (
        ("LimitExceeded.RetryNum", {"RetryConfig": [{"RetryNum": 3}], "MsgTTL": 60}),
        ("LimitExceeded.MsgTTL", {"RetryConfig": [{"RetryNum": 1}], "MsgTTL": 59}),
        ("LimitExceeded.MsgTTL", {"RetryConfig": [{"RetryNum": 1}], "MsgTTL": 21601}),
    ):
        refused(code, "UpdateFunctionEventInvokeConfig", FunctionName=NAME, AsyncTriggerConfig=config)
    refused("MissingParameter", "UpdateFunctionEventInvokeConfig", FunctionName=NAME)
    for action in ("GetFunctionEventInvokeConfig", "UpdateFunctionEventInvokeConfig"):
        refused("ResourceNotFound.FunctionName", action, FunctionName="sdk_nobody", AsyncTriggerConfig=changed) if action.startswith("Update") else refused("ResourceNotFound.FunctionName", action, FunctionName="sdk_nobody")
    failed = accepted(fail=True)
    assert ended(failed, "FAILED")["StatusCode"] == 430


def beijing(shift_s):
    return (datetime.now(timezone.utc) + timedelta(hours=8, seconds=shift_s)).strftime("%Y-%m-%d %H:%M:%S")


def logs():
    name = "sdk_logged"
    created(name, "import time\n" + CODE)
    good = call("Invoke", FunctionName=name, ClientContext='{"n": 1}')["Result"]
    bad = call("Invoke", FunctionName=name, ClientContext='{"fail": true}')["Result"]
    found = call("GetFunctionLogs", FunctionName=name, StartTime=beijing(-60), EndTime=beijing(60), Order="asc")
    assert (found["TotalCount"], [row["RequestId"] for row in found["Data"]]) == (2, [good["FunctionRequestId"], bad["FunctionRequestId"]]), found
    row = found["Data"][0]
    assert (row["FunctionName"], row["RetMsg"], row["RetCode"], row["InvokeFinished"], row["RetryNum"]) == (name, good["RetMsg"], 0, 1, 0), row
    assert row["MemUsage"] == good["MemUsage"] and row["Duration"] == good["Duration"], "bytes and milliseconds"
    assert "got {'n': 1}\n" in row["Log"] and row["Log"].startswith("START RequestId"), row["Log"]
    assert abs((datetime.strptime(row["StartTime"], "%Y-%m-%d %H:%M:%S") - datetime.strptime(beijing(0), "%Y-%m-%d %H:%M:%S")).total_seconds()) < 60

    def ids(**more):
        return [row["RequestId"] for row in call("GetFunctionLogs", FunctionName=name, **more)["Data"]]

    assert ids(Filter={"RetCode": "is0"}) == [good["FunctionRequestId"]]
    assert ids(Filter={"RetCode": "not0"}) == ids(Filter={"RetCode": "UserCodeException"}) == [bad["FunctionRequestId"]]
    assert ids(FunctionRequestId=bad["FunctionRequestId"]) == [bad["FunctionRequestId"]]
    assert ids(Limit=1) == [bad["FunctionRequestId"]] and ids(Limit=1, Offset=1) == [good["FunctionRequestId"]]
    assert ids(StartTime=beijing(-120), EndTime=beijing(-90)) == []
    for code, fields in (
        ("InvalidParameterValue.StartTimeOrEndTime", {"StartTime": beijing(0)}),
        ("InvalidParameterValue.StartTimeOrEndTime", {"StartTime": beijing(-100_000), "EndTime": beijing(0)}),
        ("InvalidParameterValue.DateTime", {"StartTime": "yesterday", "EndTime": "today"}),
        ("LimitExceeded.Offset", {"Offset": 9_991, "Limit": 10}),
        ("InvalidParameterValue.Offset", {"Offset": -1}),
        ("InvalidParameterValue.Order", {"Order": "up"}),
        ("InvalidParameterValue.OrderBy", {"OrderBy": "colour"}),
        ("InvalidParameterValue.RetCode", {"Filter": {"RetCode": "7"}}),
        ("ResourceNotFound.FunctionName", {"FunctionName": "sdk_nobody"}),
    ):
        refused(code, "GetFunctionLogs", **{"FunctionName": name, **fields})
    state = call("GetRequestStatus", FunctionName=name, FunctionRequestId=bad["FunctionRequestId"])
    row = state["Data"][0]
    assert (state["TotalCount"], row["RetCode"], row["RetMsg"]) == (1, -1, bad["RetMsg"]), state
    assert isinstance(row["MemUsage"], float) and row["MemUsage"] < 1024, "megabytes here"
    assert call("GetRequestStatus", FunctionName=name, FunctionRequestId="0" * 32)["TotalCount"] == 0
    refused("InvalidParameterValue.FunctionRequestId", "GetRequestStatus", FunctionName=name, FunctionRequestId="x")
    refused("InvalidParameterValue.StartTimeOrEndTime", "GetRequestStatus", FunctionName=name, FunctionRequestId="0" * 32, StartTime=beijing(0))
    refused("InvalidParameterValue.StartTime", "GetRequestStatus", FunctionName=name, FunctionRequestId="0" * 32, StartTime=beijing(0), EndTime=beijing(-1))
    refused("ResourceNotFound.FunctionName", "GetRequestStatus", FunctionName="sdk_nobody", FunctionRequestId="0" * 32)


created(NAME, CODE, Timeout=30)
runs()
terminates()
configures()
logs()
