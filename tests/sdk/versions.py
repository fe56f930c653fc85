"""Versions that stay as they were, and aliases that send runs by weight and by rule."""

import json
from collections import Counter

from common import ECHO, TIME, call, created, refused, settled

NAME = "sdk_versions"


def ran(**how):
    return json.loads(call("Invoke", FunctionName=NAME, **how)["Result"]["RetMsg"])


def publishes():
    created(NAME, ECHO, Environment={"Variables": [{"Key": "V", "Value": "one"}]})
    first = call("PublishVersion", FunctionName=NAME, Description="the first")
    assert (first["FunctionVersion"], first["Description"], first["Namespace"]) == ("1", "the first", "default"), first
    assert (first["Handler"], first["Runtime"], first["MemorySize"], first["Timeout"]) == ("index.main_handler", "Python3.10", 128, 3)
    assert first["CodeSize"] > 0
    call("UpdateFunctionConfiguration", FunctionName=NAME, Environment={"Variables": [{"Key": "V", "Value": "two"}]})
    settled(NAME)
    assert call("PublishVersion", FunctionName=NAME)["FunctionVersion"] == "2"
    call("UpdateFunctionConfiguration", FunctionName=NAME, Environment={"Variables": [{"Key": "V", "Value": "latest"}]})
    settled(NAME)
    assert [ran(Qualifier=qualifier)["v"] for qualifier in ("1", "2", "$LATEST", "$DEFAULT")] == ["one", "two", "latest", "latest"]
    assert ran(Qualifier="1")["version"] == "1"
    found = call("GetFunction", FunctionName=NAME, Qualifier="1")
    assert found["FunctionVersion"] == "1" and found["Environment"]["Variables"] == [{"Key": "V", "Value": "one"}]
    listed = call("ListVersionByFunction", FunctionName=NAME)
    assert (listed["FunctionVersion"], listed["TotalCount"]) == (["$LATEST", "1", "2"], 3), listed
    assert [row["Version"] for row in listed["Versions"]] == listed["FunctionVersion"]
    assert listed["Versions"][1]["Description"] == "the first" and TIME.fullmatch(listed["Versions"][1]["AddTime"])
    page = call("ListVersionByFunction", FunctionName=NAME, Offset=1, Limit=1)
    assert (page["FunctionVersion"], page["TotalCount"]) == (["1"], 3)


def routes():
    call("CreateAlias", FunctionName=NAME, Name="prod", FunctionVersion="1", Description="what customers get")
    assert {ran(Qualifier="prod")["v"] for _ in range(5)} == {"one"}
    half = {"AdditionalVersionWeights": [{"Version": "2", "Weight": 0.5}]}
    call("UpdateAlias", FunctionName=NAME, Name="prod", FunctionVersion="1", RoutingConfig=half)
    seen = Counter(ran(Qualifier="prod")["v"] for _ in range(60))
    # Either of them alone in sixty runs is as likely as guessing sixty coins.
    assert set(seen) == {"one", "two"}, seen
    found = call("GetAlias", FunctionName=NAME, Name="prod")
    assert (found["FunctionVersion"], found["Description"]) == ("1", "what customers get"), found
    assert found["RoutingConfig"] == {**half, "AddtionVersionMatchs": []}, found
    rule = [{"Version": "2", "Key": "invoke.headers.User", "Method": "exact", "Expression": "Bob"}]
    call("UpdateAlias", FunctionName=NAME, Name="prod", FunctionVersion="1", RoutingConfig={"AddtionVersionMatchs": rule})
    by_user = {user: ran(Qualifier="prod", RoutingKey=json.dumps({"User": user}))["v"] for user in ("Bob", "Eve")}
    assert by_user == {"Bob": "two", "Eve": "one"}, by_user
    assert ran(Qualifier="prod")["v"] == "one", "without a key nothing matches"
    ages = [{"Version": "2", "Key": "invoke.headers.age", "Method": "range", "Expression": "[18,99]"}]
    call("CreateAlias", FunctionName=NAME, Name="grown-up", FunctionVersion="1", RoutingConfig={"AddtionVersionMatchs": ages})
    by_age = [ran(Qualifier="grown-up", RoutingKey=json.dumps({"age": age}))["v"] for age in ("17", "18", 99, 100)]
    assert by_age == ["one", "two", "two", "one"], by_age
    call("UpdateAlias", FunctionName=NAME, Name="$DEFAULT", FunctionVersion="2", RoutingConfig={})
    lean = json.loads(call("InvokeFunction", FunctionName=NAME)["Result"]["RetMsg"])
    assert (lean["v"], ran()["v"]) == ("two", "latest"), "InvokeFunction means $DEFAULT, Invoke means $LATEST"
    # Numbers that the API has as texts.
    listed = call("ListAliases", FunctionName=NAME, Offset="1", Limit="1")
    assert (listed["TotalCount"], [row["Name"] for row in listed["Aliases"]]) == (3, ["grown-up"]), listed
    of_two = call("ListAliases", FunctionName=NAME, FunctionVersion="2")
    assert [row["Name"] for row in of_two["Aliases"]] == ["$DEFAULT", "grown-up", "prod"], of_two


def refuses():
    def alias(code, action="CreateAlias", **fields):
        refused(code, action, **{"FunctionName": NAME, "Name": "other", "FunctionVersion": "1", **fields})

    alias("ResourceInUse.Alias", Name="prod")
    alias("InvalidParameterValue.Name", Name="1x")
    alias("ResourceNotFound.FunctionVersion", FunctionVersion="99")
    alias("ResourceNotFound.FunctionName", FunctionName="sdk_nobody")
    alias("InvalidParameterValue.Description", Description="x" * 1001)
    weights = [{"Version": "2", "Weight": 0.1}]
    rules = [{"Version": "2", "Key": "invoke.headers.a", "Method": "exact", "Expression": "b"}]
    alias("InvalidParameterValue.RoutingConfig", RoutingConfig={"AdditionalVersionWeights": weights, "AddtionVersionMatchs": rules})
    alias("InvalidParameterValue.AdditionalVersionWeights", RoutingConfig={"AdditionalVersionWeights": weights * 2})
    alias("InvalidParameterValue.RoutingConfig", RoutingConfig={"AdditionalVersionWeights": [{"Version": "1", "Weight": 0.1}]})
    alias("InvalidParameterValue.RoutingConfig", RoutingConfig={"AdditionalVersionWeights": [{"Version": "2", "Weight": 1.1}]})
    alias("InvalidParameterValue.RoutingConfig", RoutingConfig={"AddtionVersionMatchs": [{**rules[0], "Method": "like"}]})
    alias("InvalidParameterValue.RoutingConfig", RoutingConfig={"AddtionVersionMatchs": [{**rules[0], "Method": "range"}]})
    alias("ResourceNotFound.Alias", "UpdateAlias")
    for action in ("GetAlias", "DeleteAlias"):
        refused("ResourceNotFound.Alias", action, FunctionName=NAME, Name="other")
        refused("ResourceNotFound.FunctionName", action, FunctionName="sdk_nobody", Name="other")
    refused("InvalidParameterValue.Alias", "DeleteAlias", FunctionName=NAME, Name="$DEFAULT")
    refused("UnsupportedOperation.AliasBind", "DeleteFunctionVersion", FunctionName=NAME, Qualifier="2")
    refused("UnsupportedOperation.AliasBind", "DeleteFunction", FunctionName=NAME, Qualifier="1")
    refused("ResourceNotFound.Qualifier", "DeleteFunctionVersion", FunctionName=NAME, Qualifier="99")
    refused("InvalidParameterValue.Qualifier", "DeleteFunctionVersion", FunctionName=NAME, Qualifier="$LATEST")


def deletes():
    for name in ("prod", "grown-up"):
        call("DeleteAlias", FunctionName=NAME, Name=name)
    call("DeleteFunctionVersion", FunctionName=NAME, Qualifier="1")
    refused("ResourceNotFound.Qualifier", "Invoke", FunctionName=NAME, Qualifier="1")
    assert call("PublishVersion", FunctionName=NAME, Description="another")["FunctionVersion"] == "3", "a number is not given twice"
    call("DeleteFunction", FunctionName=NAME, Qualifier="3")
    call("DeleteFunction", FunctionName=NAME)
    refused("ResourceNotFound.FunctionName", "Invoke", FunctionName=NAME, Qualifier="2")


publishes()
routes()
refuses()
deletes()
