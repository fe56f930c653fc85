"""SearchLog of the log service's own SDK finds what functions printed."""

import json
import time

from common import CREDENTIAL, ENDPOINT, TencentCloudSDKException, call, created

from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.cls.v20201016 import cls_client, models

CLIENT = cls_client.ClsClient(CREDENTIAL, "ap-guangzhou", ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=ENDPOINT)))
NAME = "sdk_cls"
CODE = """
def main_handler(event, context):
    for number in range(5):
        print("needle number", number)
    print('{"colour": "red", "SCF_Level": "no"}')
    return 1
"""


def search(query, **more):
    request = models.SearchLogRequest()
    now_ms = int(time.time() * 1000)
    fields = {"From": now_ms - 600_000, "To": now_ms + 60_000, "QueryString": query, "TopicId": "a-topic", **more}
    request.from_json_string(json.dumps(fields))
    return json.loads(CLIENT.SearchLog(request).to_json_string())


def rows(answer):
    return [json.loads(row["LogJson"]) for row in answer["Results"]]


def refused(code, query, **more):
    try:
        search(query, **more)
    except TencentCloudSDKException as fault:
        assert fault.get_code() == code, fault
    else:
        raise AssertionError(f"{query} was not refused")


created(NAME, CODE)
run = call("Invoke", FunctionName=NAME)["Result"]["FunctionRequestId"]
found = search(f'SCF_FunctionName:{NAME} AND "needle number"', Sort="asc")
lines = rows(found)
assert [line["SCF_Message"] for line in lines] == [f"needle number {number}" for number in range(5)], lines
first = lines[0]
assert len([key for key in first if key.startswith("SCF_")]) == 14, sorted(first)
assert (first["SCF_RequestId"], first["SCF_StatusCode"], first["SCF_Type"], first["SCF_Qualifier"]) == (run, 200, "Custom", "$LATEST"), first
assert (found["ListOver"], found["Analysis"], found["Results"][0]["TopicId"]) == (True, False, "a-topic"), found
assert isinstance(found["Results"][0]["Time"], int) and abs(found["Results"][0]["Time"] / 1000 - time.time()) < 600
page = search(f'SCF_RequestId:{run} AND needle', Limit=2)
assert [line["SCF_Message"] for line in rows(page)] == ["needle number 4", "needle number 3"], "the newest first"
assert not page["ListOver"]
rest = search(f'SCF_RequestId:{run} AND needle', Limit=2, Context=page["Context"])
assert [line["SCF_Message"] for line in rows(rest)] == ["needle number 2", "needle number 1"]
red = rows(search(f"SCF_RequestId:{run} AND colour:red"))[0]
assert (red["colour"], red["SCF_Level"]) == ("red", "INFO"), "its own fields, and the platform's over them"
refused("UnsupportedOperation", "* | select count(*)")
refused("FailedOperation.SyntaxError", "SCF_StatusCode:>")
refused("InvalidParameter", "*", Limit=1001)
refused("InvalidParameter", "*", Sort="sideways")
