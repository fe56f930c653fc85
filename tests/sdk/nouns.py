"""Namespaces, layers, concurrency and the account."""

import hashlib
import json
import urllib.request

from common import ECHO, TIME, call, created, refused, settled, until, zipped


def namespaces():
    call("CreateNamespace", Namespace="sdk_shop", Description="the shop")
    refused("ResourceInUse.Namespace", "CreateNamespace", Namespace="sdk_shop")
    refused("InvalidParameterValue.DefaultNamespace", "CreateNamespace", Namespace="default")
    refused("InvalidParameterValue.Namespace", "CreateNamespace", Namespace="1x")
    call("UpdateNamespace", Namespace="sdk_shop", Description="another shop")
    refused("ResourceNotFound.Namespace", "UpdateNamespace", Namespace="sdk_nowhere", Description="x")
    refused("MissingParameter", "UpdateNamespace", Namespace="sdk_shop")
    found = call("ListNamespaces", Limit=100, SearchKey=[{"Key": "Namespace", "Value": "sdk_"}])
    row = found["Namespaces"][0]
    assert (found["TotalCount"], row["Name"], row["Description"], row["Type"]) == (1, "sdk_shop", "another shop", "default"), found
    assert TIME.fullmatch(row["AddTime"]) and TIME.fullmatch(row["ModTime"])
    refused("InvalidParameterValue.SearchKey", "ListNamespaces", SearchKey=[{"Key": "Colour", "Value": "x"}])
    refused("InvalidParameterValue.Order", "ListNamespaces", Order="x")
    created("sdk_there", ECHO, Namespace="sdk_shop")
    assert call("Invoke", FunctionName="sdk_there", Namespace="sdk_shop")["Result"]["InvokeResult"] == 0
    refused("ResourceNotFound.FunctionName", "Invoke", FunctionName="sdk_there")
    refused("ResourceInUse.Namespace", "DeleteNamespace", Namespace="sdk_shop")
    refused("FailedOperation.DeleteNamespace", "DeleteNamespace", Namespace="default")
    refused("ResourceNotFound.Namespace", "DeleteNamespace", Namespace="sdk_nowhere")
    call("DeleteFunction", FunctionName="sdk_there", Namespace="sdk_shop")
    call("DeleteNamespace", Namespace="sdk_shop")


def layers():
    def publish(text, **more):
        fields = {"CompatibleRuntimes": ["Python3.10"], "Content": {"ZipFile": zipped(dep__py=text)}, **more}
        return call("PublishLayerVersion", LayerName="sdk_deps", **fields)["LayerVersion"]

    first = publish("X = 'first'", Description="what all need", LicenseInfo="MIT")
    assert publish("X = 'second'", CompatibleRuntimes=["Python3.10", "Nodejs16.13"]) == first + 1
    found = call("GetLayerVersion", LayerName="sdk_deps", LayerVersion=first)
    assert (found["Description"], found["LicenseInfo"], found["Status"]) == ("what all need", "MIT", "Active"), found
    assert found["CompatibleRuntimes"] == ["Python3.10"] and TIME.fullmatch(found["AddTime"])
    assert hashlib.sha256(urllib.request.urlopen(found["Location"]).read()).hexdigest() == found["CodeSha256"]
    listed = call("ListLayers", SearchKey="sdk_deps")
    assert [(row["LayerName"], row["LayerVersion"]) for row in listed["Layers"]] == [("sdk_deps", first + 1)], listed
    assert call("ListLayers", SearchKey="sdk_deps", CompatibleRuntime="Go1")["TotalCount"] == 0
    versions = call("ListLayerVersions", LayerName="sdk_deps", CompatibleRuntime=["Nodejs16.13"])["LayerVersions"]
    assert [row["LayerVersion"] for row in versions] == [first + 1], versions
    code = "import dep, other\ndef main_handler(event, context):\n    return [dep.X, other.Y]\n"
    other = call(
        "PublishLayerVersion",
        LayerName="sdk_other",
        CompatibleRuntimes=["Python3.10"],
        Content={"ZipFile": zipped(other__py="Y = 'other'", dep__py="X = 'covered'")},
    )["LayerVersion"]
    bound = [{"LayerName": "sdk_deps", "LayerVersion": first}, {"LayerName": "sdk_other", "LayerVersion": other}]
    created("sdk_layered", code, Layers=bound)
    assert json.loads(call("Invoke", FunctionName="sdk_layered")["Result"]["RetMsg"]) == ["covered", "other"]
    call("UpdateFunctionConfiguration", FunctionName="sdk_layered", Layers=bound[::-1])
    found = settled("sdk_layered")
    assert [row["LayerName"] for row in found["Layers"]] == ["sdk_other", "sdk_deps"], "order is kept"
    assert json.loads(call("Invoke", FunctionName="sdk_layered")["Result"]["RetMsg"]) == ["first", "other"]
    refused("ResourceInUse.LayerVersion", "DeleteLayerVersion", LayerName="sdk_deps", LayerVersion=first)
    refused("ResourceNotFound.Layer", "UpdateFunctionConfiguration", FunctionName="sdk_layered", Layers=[{"LayerName": "sdk_none", "LayerVersion": 1}])
    call("UpdateFunctionConfiguration", FunctionName="sdk_layered", Layers=[{"LayerName": "", "LayerVersion": 0}])
    assert settled("sdk_layered")["Status"] == "UpdateFailed", "its code needs them"
    call("DeleteFunction", FunctionName="sdk_layered")
    call("DeleteLayerVersion", LayerName="sdk_deps", LayerVersion=first)
    refused("ResourceNotFound.LayerVersion", "GetLayerVersion", LayerName="sdk_deps", LayerVersion=first)
    refused("ResourceNotFound.LayerVersion", "DeleteLayerVersion", LayerName="sdk_deps", LayerVersion=first)
    refused("ResourceNotFound.Layer", "ListLayerVersions", LayerName="sdk_none")
    assert publish("X = 'third'") == first + 2, "a number is not given twice"
    refused("InvalidParameterValue.LayerName", "PublishLayerVersion", LayerName="1x", CompatibleRuntimes=["Go1"], Content={})
    refused("InvalidParameterValue.CompatibleRuntimes", "PublishLayerVersion", LayerName="x1", CompatibleRuntimes=["Cobol"], Content={})
    refused("InvalidParameterValue.Content", "PublishLayerVersion", LayerName="x1", CompatibleRuntimes=["Go1"], Content={})
    refused("InvalidParameterValue.ZipFileBase64BinasciiError", "PublishLayerVersion", LayerName="x1", CompatibleRuntimes=["Go1"], Content={"ZipFile": "*"})
    refused("InvalidParameterValue.Content", "PublishLayerVersion", LayerName="x1", CompatibleRuntimes=["Go1"], Content={"ZipFile": "bm8gemlw"})


def concurrency():
    created("sdk_busy", ECHO)
    assert call("GetReservedConcurrencyConfig", FunctionName="sdk_busy")["ReservedMem"] is None
    call("PutReservedConcurrencyConfig", FunctionName="sdk_busy", ReservedConcurrencyMem=256)
    assert call("GetReservedConcurrencyConfig", FunctionName="sdk_busy")["ReservedMem"] == 256
    refused("LimitExceeded.FunctionReservedConcurrencyMemory", "PutReservedConcurrencyConfig", FunctionName="sdk_busy", ReservedConcurrencyMem=10**9)
    refused("MissingParameter", "PutReservedConcurrencyConfig", FunctionName="sdk_busy")
    call("PublishVersion", FunctionName="sdk_busy")
    call("PutProvisionedConcurrencyConfig", FunctionName="sdk_busy", Qualifier="1", VersionProvisionedConcurrencyNum=2)

    def parked():
        rows = call("GetProvisionedConcurrencyConfig", FunctionName="sdk_busy")["Allocated"]
        return rows if rows and rows[0]["Status"] == "Done" else None

    row = until(parked, "two processes parked")[0]
    assert (row["Qualifier"], row["AllocatedProvisionedConcurrencyNum"], row["AvailableProvisionedConcurrencyNum"]) == ("1", 2, 2), row
    assert call("ListFunctions", SearchKey="sdk_busy")["Functions"][0]["TotalProvisionedConcurrencyMem"] == 256
    for qualifier, code in (("$LATEST", "InvalidParameterValue.Qualifier"), ("9", "ResourceNotFound.FunctionVersion")):
        refused(code, "PutProvisionedConcurrencyConfig", FunctionName="sdk_busy", Qualifier=qualifier, VersionProvisionedConcurrencyNum=1)
    refused("FailedOperation.ProvisionedExceedReserved", "PutProvisionedConcurrencyConfig", FunctionName="sdk_busy", Qualifier="1", VersionProvisionedConcurrencyNum=3)
    refused("LimitExceeded.FunctionTotalProvisionedConcurrencyNum", "PutProvisionedConcurrencyConfig", FunctionName="sdk_busy", Qualifier="1", VersionProvisionedConcurrencyNum=1000)
    refused("InvalidParameterValue.ProvisionType", "PutProvisionedConcurrencyConfig", FunctionName="sdk_busy", Qualifier="1", VersionProvisionedConcurrencyNum=1, ProvisionedType="ConcurrencyUtilizationTracking")
    account = call("GetAccount")
    used = {row["Namespace"]: row for row in account["AccountUsage"]["Namespace"]}["default"]
    assert "sdk_busy" in used["Functions"] and used["FunctionsCount"] == len(used["Functions"]), used
    assert used["TotalAllocatedConcurrencyMem"] >= 256 and used["TotalAllocatedProvisionedMem"] >= 256, used
    limit = account["AccountLimit"]["Namespace"][0]
    assert (limit["TimeoutLimit"], limit["RetryNumLimit"], limit["MinMsgTTL"], limit["MaxMsgTTL"]) == (900, 2, 60, 21600), limit
    call("DeleteProvisionedConcurrencyConfig", FunctionName="sdk_busy", Qualifier="1")
    assert call("GetProvisionedConcurrencyConfig", FunctionName="sdk_busy")["Allocated"] == []
    total = account["AccountUsage"]["TotalConcurrencyMem"]
    call("PutTotalConcurrencyConfig", TotalConcurrencyMem=total - 64)
    assert call("GetAccount")["AccountUsage"]["TotalConcurrencyMem"] == total - 64
    refused("FailedOperation.ReservedExceedTotal", "PutTotalConcurrencyConfig", TotalConcurrencyMem=64)
    refused("LimitExceeded.UserTotalConcurrencyMemory", "PutTotalConcurrencyConfig", TotalConcurrencyMem=10**9)
    call("PutTotalConcurrencyConfig", TotalConcurrencyMem=total)
    call("DeleteReservedConcurrencyConfig", FunctionName="sdk_busy")
    assert call("GetReservedConcurrencyConfig", FunctionName="sdk_busy")["ReservedMem"] is None
    for action in ("GetReservedConcurrencyConfig", "GetProvisionedConcurrencyConfig", "DeleteReservedConcurrencyConfig"):
        refused("ResourceNotFound.FunctionName", action, FunctionName="sdk_nobody")


def what_one_host_cannot_mean():
    domain = {"Domain": "example.org", "Protocol": "HTTP", "EndpointsConfig": []}
    refused("UnsupportedOperation", "CreateCustomDomain", **domain)
    refused("UnsupportedOperation", "UpdateCustomDomain", **domain)
    for action in ("GetCustomDomain", "DeleteCustomDomain"):
        refused("UnsupportedOperation", action, Domain="example.org")
    refused("UnsupportedOperation", "ListCustomDomains")


namespaces()
layers()
concurrency()
what_one_host_cannot_mean()
