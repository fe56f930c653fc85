"""Triggers: made, changed, switched, listed, deleted; what goes in is not what comes back (TriggerDesc, Enable)."""

import json

from common import ECHO, TIME, call, created, refused

NAME = "sdk_triggers"
BUCKET = "photos-1300000001.cos.ap-guangzhou.myqcloud.com"
UPLOADS = '{"event":"cos:ObjectCreated:*","filter":{"Prefix":"in/","Suffix":".jpg"}}'


def make(name, kind, desc=None, **more):
    fields = {"FunctionName": NAME, "TriggerName": name, "Type": kind, **more}
    if desc is not None:
        fields["TriggerDesc"] = desc
    return call("CreateTrigger", **fields)["TriggerInfo"]


def comes_back():
    made = make("tick", "timer", "*/5 * * * *", Enable="OPEN", CustomArgument="an argument", Qualifier="$DEFAULT", Description="often")
    assert json.loads(made["TriggerDesc"]) == {"cron": "0 */5 * * * * *"}, made
    assert (made["Enable"], made["CustomArgument"], made["Qualifier"], made["AvailableStatus"]) == (1, "an argument", "$DEFAULT", "Available")
    assert TIME.fullmatch(made["AddTime"]) and made["Description"] == "often"
    assert json.loads(make(BUCKET, "cos", UPLOADS, Enable="CLOSE")["TriggerDesc"]) == json.loads(UPLOADS)
    kafka = make("ckafka-8tfxzia3-test", "ckafka", '{"maxMsgNum":"100","offset":"latest","retry":10000}')
    assert json.loads(json.loads(kafka["TriggerDesc"]))["maxMsgNum"] == 100, kafka
    assert json.loads(make("SCF_API_SERVICE", "apigw", '{"api":{"authRequired":"FALSE","requestConfig":{"method":"ANY"},"isIntegratedResponse":"TRUE"},"service":{"serviceName":"S"},"release":{"environmentName":"release"}}')["TriggerDesc"])["api"]["isIntegratedResponse"] == "TRUE"
    assert json.loads(make("url", "http", '{"AuthType":"NONE","NetConfig":{"EnableIntranet":true,"EnableExtranet":false}}')["TriggerDesc"])["AuthType"] == "NONE"
    shown = {row["TriggerName"]: row for row in call("GetFunction", FunctionName=NAME)["Triggers"]}
    assert shown[BUCKET]["Enable"] == 0 and "tick" not in shown, "those of $LATEST"


def lists():
    listed = call("ListTriggers", FunctionName=NAME)
    names = [row["TriggerName"] for row in listed["Triggers"]]
    assert (listed["TotalCount"], names[-1]) == (5, "tick"), "the last changed first"
    assert call("ListTriggers", FunctionName=NAME, Order="ASC", Limit=1)["Triggers"][0]["TriggerName"] == "tick"
    by_name = call("ListTriggers", FunctionName=NAME, Filters=[{"Name": "TriggerName", "Values": ["url"]}])
    assert [row["Type"] for row in by_name["Triggers"]] == ["http"]
    by_version = call("ListTriggers", FunctionName=NAME, Filters=[{"Name": "Qualifier", "Values": ["$DEFAULT"]}])
    assert [row["TriggerName"] for row in by_version["Triggers"]] == ["tick"]


def found(name):
    return next(row for row in call("ListTriggers", FunctionName=NAME)["Triggers"] if row["TriggerName"] == name)


def changes():
    tick = {"FunctionName": NAME, "TriggerName": "tick", "Type": "timer", "Qualifier": "$DEFAULT"}
    call("UpdateTrigger", **tick, TriggerDesc="0 0 2 1 * * *", CustomArgument="")
    row = found("tick")
    assert json.loads(row["TriggerDesc"]) == {"cron": "0 0 2 1 * * *"} and row["CustomArgument"] == "", row
    assert (row["Description"], row["Enable"]) == ("often", 1), "what is not named stays"
    call("UpdateTriggerStatus", **tick, Enable="CLOSE")
    assert found("tick")["Enable"] == 0
    call("UpdateTriggerStatus", FunctionName=NAME, TriggerName=BUCKET, Type="cos", TriggerDesc=UPLOADS, Enable="OPEN")
    assert found(BUCKET)["Enable"] == 1
    kafka = {"FunctionName": NAME, "TriggerName": "ckafka-8tfxzia3-test", "Type": "ckafka"}
    call("UpdateTrigger", **kafka, TriggerDesc='{"maxMsgNum":7,"offset":"earliest"}')
    call("UpdateTrigger", **kafka, TriggerDesc='{"Retry":5}')
    desc = json.loads(json.loads(found("ckafka-8tfxzia3-test")["TriggerDesc"]))
    assert (desc["maxMsgNum"], desc["retry"], desc["timeOut"]) == (7, 5, 60), "what is not named stays"
    assert desc["offset"] == "latest", "where it begins is said once"


def shares_a_bucket():
    names = [f"cos:Object{event}:*" for event in ("Created", "Remove")]
    for event in names:
        make("shared-1300000001.cos.ap-guangzhou.myqcloud.com", "cos", json.dumps({"event": event}))
    bucket = {"FunctionName": NAME, "TriggerName": "shared-1300000001.cos.ap-guangzhou.myqcloud.com", "Type": "cos"}
    listed = [json.loads(row["TriggerDesc"])["event"] for row in call("ListTriggers", FunctionName=NAME)["Triggers"] if row["TriggerName"] == bucket["TriggerName"]]
    assert sorted(listed) == names, listed
    refused("ResourceInUse.TriggerName", "CreateTrigger", **bucket, TriggerDesc=json.dumps({"event": names[0]}))
    call("DeleteTrigger", **bucket, TriggerDesc=json.dumps({"event": names[1]}))
    call("DeleteTrigger", **bucket, TriggerDesc=json.dumps({"event": names[0]}))
    refused("ResourceNotFound.Trigger", "DeleteTrigger", **bucket, TriggerDesc=json.dumps({"event": names[0]}))


def fills_a_bucket():
    bucket = "full-1300000001.cos.ap-guangzhou.myqcloud.com"
    created("sdk_triggers_2", ECHO)
    for number in range(10):
        fields = {"FunctionName": "sdk_triggers_2", "TriggerName": bucket, "Type": "cos"}
        desc = {"event": "cos:ObjectCreated:*", "filter": {"Prefix": f"{number}/"}}
        call("CreateTrigger", **fields, TriggerDesc=json.dumps(desc))
    refused("LimitExceeded.Trigger", "CreateTrigger", FunctionName=NAME, TriggerName=bucket, Type="cos", TriggerDesc='{"event":"cos:ObjectRemove:*"}')
    call("DeleteFunction", FunctionName="sdk_triggers_2")


def refuses():
    def trigger(code, action="CreateTrigger", **fields):
        refused(code, action, **{"FunctionName": NAME, "TriggerName": "other", "Type": "timer", "TriggerDesc": "* * * * * * *", **fields})

    trigger("ResourceInUse.TriggerName", TriggerName="tick")
    trigger("InvalidParameterValue.TriggerName", TriggerName="1x")
    trigger("InvalidParameterValue.Type", Type="clb")
    trigger("InvalidParameterValue.TriggerDesc", TriggerDesc="whenever")
    trigger("InvalidParameterValue.TriggerDesc", TriggerDesc="* * * * * 7 *")
    trigger("InvalidParameterValue.Enable", Enable="MAYBE")
    trigger("InvalidParameterValue.CustomArgument", CustomArgument="x" * 4097)
    trigger("InvalidParameterValue.Description", Description="x" * 1001)
    trigger("ResourceNotFound.FunctionName", FunctionName="sdk_nobody")
    trigger("ResourceNotFound.Namespace", Namespace="sdk_nowhere")
    trigger("ResourceNotFound.Qualifier", Qualifier="99")
    trigger("InvalidParameterValue.CosNotifyRuleConflict", Type="cos", TriggerName=BUCKET, TriggerDesc='{"event":"cos:ObjectCreated:Put","filter":{"Prefix":"in/2026"}}')
    trigger("ResourceInUse.Trigger", Type="http", TriggerName="url2", TriggerDesc='{"AuthType":"NONE"}')
    trigger("InvalidParameterValue.TriggerDesc", Type="http", TriggerName="url2", TriggerDesc='{"AuthType":"NONE","CorsConfig":{"Origins":["a\\r\\nb"]}}')
    trigger("InvalidParameterValue.TriggerDesc", Type="cos", TriggerName=BUCKET, TriggerDesc='{"event":"s3:ObjectCreated:Put"}')
    trigger("ResourceNotFound.Trigger", "UpdateTrigger")
    trigger("ResourceNotFound.Trigger", "DeleteTrigger")
    trigger("ResourceNotFound.Trigger", "UpdateTriggerStatus", Enable="OPEN")
    trigger("InvalidParameterValue.Type", "UpdateTrigger", Type="cos", TriggerName=BUCKET, TriggerDesc=UPLOADS)
    refused("InvalidParameterValue.TriggerDesc", "DeleteTrigger", FunctionName=NAME, TriggerName=BUCKET, Type="cos")
    refused("InvalidParameterValue.OrderBy", "ListTriggers", FunctionName=NAME, OrderBy="colour")
    refused("InvalidParameterValue.Filters", "ListTriggers", FunctionName=NAME, Filters=[{"Name": "Colour", "Values": ["x"]}])
    for number in range(9):
        make(f"tick-{number}", "timer", "0 0 0 1 1 * 2099")
    trigger("LimitExceeded.Trigger")


def deletes():
    call("DeleteTrigger", FunctionName=NAME, TriggerName="tick", Type="timer", Qualifier="$DEFAULT")
    call("DeleteTrigger", FunctionName=NAME, TriggerName=BUCKET, Type="cos", TriggerDesc=UPLOADS, Qualifier="$LATEST")
    names = {row["TriggerName"] for row in call("ListTriggers", FunctionName=NAME, Limit=100)["Triggers"]}
    assert "tick" not in names and BUCKET not in names and "url" in names, names


created(NAME, ECHO)
comes_back()
lists()
changes()
shares_a_bucket()
fills_a_bucket()
refuses()
deletes()
call("DeleteFunction", FunctionName=NAME)
