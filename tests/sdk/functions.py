"""Functions: created, described, updated, listed, copied, deleted; and what is refused of each."""

import base64
import hashlib
import socket
import urllib.request

from common import ECHO, TIME, call, created, refused, settled, zipped

NAME = "sdk_functions"


def describes():
    package = zipped(index__py=ECHO)
    created(
        NAME,
        ECHO,
        Description="a test",
        MemorySize=256,
        Timeout=7,
        InitTimeout=30,
        Environment={"Variables": [{"Key": "V", "Value": "1"}]},
        Role="a role",
        Tags=[{"Key": "team", "Value": "shop"}],
        TraceEnable="TRUE",
        VpcConfig={"VpcId": "", "SubnetId": ""},
    )
    found = call("GetFunction", FunctionName=NAME, ShowCode="TRUE")
    for field, value in {
        "FunctionName": NAME,
        "Namespace": "default",
        "FunctionVersion": "$LATEST",
        "Runtime": "Python3.10",
        "Handler": "index.main_handler",
        "MemorySize": 256,
        "Timeout": 7,
        "InitTimeout": 30,
        "Description": "a test",
        "Status": "Active",
        "StatusReasons": [],
        "AvailableStatus": "Available",
        "Type": "Event",
        "Role": "a role",
        "TraceEnable": "TRUE",
        "AsyncRunEnable": "FALSE",
        "UseGpu": "FALSE",
        "Triggers": [],
        "Layers": [],
        "ErrNo": 0,
        "CodeResult": "success",
        "CodeInfo": ECHO,
    }.items():
        assert found[field] == value, f"{field} is {found[field]!r}, not {value!r}"
    assert found["Environment"] == {"Variables": [{"Key": "V", "Value": "1"}]}
    assert found["Tags"] == [{"Key": "team", "Value": "shop"}]
    assert found["VpcConfig"] == {"VpcId": "", "SubnetId": ""}
    assert TIME.fullmatch(found["AddTime"]) and TIME.fullmatch(found["ModTime"]), found
    assert found["FunctionId"].startswith("lam-") and len(found["FunctionId"]) == 12, found["FunctionId"]
    assert call("GetFunction", FunctionName=NAME)["CodeInfo"] == ""
    address = call("GetFunctionAddress", FunctionName=NAME)
    fetched = urllib.request.urlopen(address["Url"]).read()
    assert hashlib.sha256(fetched).hexdigest() == address["CodeSha256"]
    assert len(fetched) == len(base64.b64decode(package)) == found["CodeSize"]


def updates():
    call("UpdateFunctionConfiguration", FunctionName=NAME, Timeout=9, Environment={"Variables": []})
    found = settled(NAME)
    assert (found["Timeout"], found["MemorySize"], found["Environment"]["Variables"]) == (9, 256, []), found
    code = "def other(event, context):\n    return 'other'\n"
    call("UpdateFunctionCode", FunctionName=NAME, Handler="index.other", ZipFile=zipped(index__py=code))
    assert settled(NAME)["Handler"] == "index.other"
    assert call("Invoke", FunctionName=NAME)["Result"]["RetMsg"] == '"other"'
    # Code that cannot be loaded does not come into force, and its reason is told.
    broken = {"ZipFile": zipped(index__py="import nowhere_to_be_found\n")}
    call("UpdateFunctionCode", FunctionName=NAME, Code=broken)
    found = settled(NAME)
    assert found["Status"] == "UpdateFailed", found["Status"]
    assert "nowhere_to_be_found" in found["StatusReasons"][0]["ErrorMessage"], found["StatusReasons"]
    assert call("Invoke", FunctionName=NAME)["Result"]["RetMsg"] == '"other"'
    call("UpdateFunctionCode", FunctionName=NAME, Code={"ZipFile": zipped(index__py=ECHO)}, Handler="index.main_handler", Publish="TRUE")
    assert call("ListVersionByFunction", FunctionName=NAME)["FunctionVersion"] == ["$LATEST", "1"]


def lists():
    for number in range(3):
        created(f"sdk_list_{number}", ECHO, Description=f"number {number}", Tags=[{"Key": "n", "Value": str(number)}])
    page = call("ListFunctions", SearchKey="sdk_list_", Orderby="FunctionName", Order="ASC", Limit=2)
    assert (page["TotalCount"], [row["FunctionName"] for row in page["Functions"]]) == (3, ["sdk_list_0", "sdk_list_1"])
    page = call("ListFunctions", SearchKey="sdk_list_", Orderby="FunctionName", Order="DESC", Offset=2)
    assert [row["FunctionName"] for row in page["Functions"]] == ["sdk_list_0"]
    row = page["Functions"][0]
    assert row["Status"] == "Active" and row["Type"] == "Event" and TIME.fullmatch(row["AddTime"]), row

    def names(*filters, **more):
        asked = [{"Name": name, "Values": values} for name, values in filters]
        answer = call("ListFunctions", SearchKey="sdk_list_", Filters=asked, Orderby="FunctionName", Order="ASC", **more)
        return [row["FunctionName"][-1] for row in answer["Functions"]]

    assert names(("tag-n", ["0", "2"])) == ["0", "2"]
    assert names(("Status", ["Active"]), ("tag-n", ["1"])) == ["1"]
    assert names(("Status", ["CreateFailed"])) == []
    assert names(("Runtime", ["Python3.10", "Nodejs16.13"])) == ["0", "1", "2"]
    assert names(("Type", ["HTTP"])) == [] and names(("VpcId", ["vpc-1"])) == []
    assert names(Description="number 2") == ["2"]


def fails_to_load():
    code = {"ZipFile": zipped(index__py="raise RuntimeError('not today')\n")}
    call("CreateFunction", FunctionName="sdk_broken", Runtime="Python3.10", Handler="index.main_handler", Code=code)
    found = settled("sdk_broken")
    assert (found["Status"], found["CodeResult"]) == ("CreateFailed", "failed"), found
    assert "not today" in found["StatusReasons"][0]["ErrorMessage"]
    refused("FailedOperation.FunctionStatusError", "Invoke", FunctionName="sdk_broken")
    refused("FailedOperation.FunctionStatusError", "InvokeFunction", FunctionName="sdk_broken")
    refused("FailedOperation.FunctionStatusError", "PublishVersion", FunctionName="sdk_broken")
    call("DeleteFunction", FunctionName="sdk_broken")
    created("sdk_broken", ECHO)


def is_busy_while_it_is_created():
    gate = socket.create_server(("127.0.0.1", 0))
    waits = f"import socket\nsocket.create_connection(('127.0.0.1', {gate.getsockname()[1]})).recv(1)\n"
    slow = {"ZipFile": zipped(index__py=waits + ECHO)}
    call("CreateFunction", FunctionName="sdk_slow", Runtime="Python3.10", Handler="index.main_handler", Code=slow)
    loading, _ = gate.accept()
    assert call("GetFunction", FunctionName="sdk_slow")["Status"] == "Creating"
    refused("FailedOperation.FunctionStatusError", "UpdateFunctionConfiguration", FunctionName="sdk_slow", Timeout=5)
    refused("FailedOperation.FunctionStatusError", "UpdateFunctionCode", FunctionName="sdk_slow", ZipFile=zipped(index__py=ECHO))
    refused("FailedOperation.FunctionStatusError", "Invoke", FunctionName="sdk_slow")
    loading.close()
    gate.close()
    assert settled("sdk_slow")["Status"] == "Active"
    call("DeleteFunction", FunctionName="sdk_slow")


def copies():
    call("CopyFunction", FunctionName=NAME, NewFunctionName="sdk_copy", Description="a copy")
    found = settled("sdk_copy")
    assert (found["Description"], found["MemorySize"], found["Timeout"]) == ("a copy", 256, 9)
    refused("ResourceInUse.FunctionName", "CopyFunction", FunctionName=NAME, NewFunctionName="sdk_copy")
    call("CopyFunction", FunctionName=NAME, NewFunctionName="sdk_copy", Override=True, CopyConfiguration=False)
    assert settled("sdk_copy")["MemorySize"] == 128
    refused("ResourceNotFound.FunctionName", "CopyFunction", FunctionName="sdk_nobody", NewFunctionName="sdk_copy2")
    refused("ResourceNotFound.Namespace", "CopyFunction", FunctionName=NAME, NewFunctionName="x1", TargetNamespace="sdk_nowhere")
    refused("InvalidParameterValue.Description", "CopyFunction", FunctionName=NAME, NewFunctionName="sdk_copy", Override=True, Description="x" * 1001)
    assert call("GetFunction", FunctionName="sdk_copy")["Status"] == "Active", "what is not replaced stays"
    call("DeleteFunction", FunctionName="sdk_copy")


describes()
updates()
lists()
fails_to_load()
is_busy_while_it_is_created()
copies()
