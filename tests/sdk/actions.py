"""Every action of the SDK's client answers: what is asked without parameters is refused in the door's own words, never as unknown."""

from common import CLIENT, TencentCloudSDKException

names = [name for name in vars(type(CLIENT)) if name[0].isupper()]
assert len(names) == 52, names
for name in names:
    try:
        CLIENT.call_json(name, {})
    except TencentCloudSDKException as fault:
        assert fault.get_code() not in ("InvalidAction", "InternalError.System", "ClientNetworkError"), f"{name}: {fault}"
try:
    CLIENT.call_json("MakeCoffee", {})
except TencentCloudSDKException as fault:
    assert fault.get_code() == "InvalidAction", fault
else:
    raise AssertionError("there is no such action")
