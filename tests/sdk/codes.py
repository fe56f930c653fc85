"""Every error code that is documented for the actions that call and manage functions is provoked here, or it says why nothing that a
client sends to one host can provoke it. Billing, roles, networks, buckets and images of the cloud are left out."""

import json

from common import ECHO, call, created, refused, settled, zipped

# As the SDK for Go documents them, in short: a group, and its codes in braces, where "-" is the group's name alone.
GROUPS = {"FO": "FailedOperation", "IE": "InternalError", "IP": "InvalidParameter", "IV": "InvalidParameterValue", "LE": "LimitExceeded"}
GROUPS |= {"MP": "MissingParameter", "RN": "ResourceNotFound", "RU": "ResourceInUse", "RX": "ResourceUnavailable"}
GROUPS |= {"UA": "UnauthorizedOperation", "UO": "UnsupportedOperation"}
DOCUMENTED = {
    "Invoke": "FO{FunctionStatusError,InvokeFunction} IE{-,System} IP{FunctionName} IV{-,Param} RN{Function,FunctionName}",
    "InvokeFunction": "FO{FunctionStatusError,InvokeFunction} IE{-,System} IP{FunctionName,RequestTooLarge} "
    "IV{-,ClientContext,FunctionType,Param} LE{Quota} RN{Function,FunctionName,Qualifier} RX{ServiceSuspended}",
    "CreateFunction": "FO{-,CreateFunction,Namespace,TotalConcurrencyMemoryInProgress} IE{-,System,SystemError} IP{ParamError,Payload} "
    "IV{-,Action,AsyncRunEnable,Code,CodeSource,DeadLetterConfig,Description,DynamicEnabled,Environment,EnvironmentExceededLimit,"
    "EnvironmentSystemProtect,FunctionName,FunctionType,Handler,IdleTimeOut,InstanceConcurrencyConfig,Layers,LimitExceeded,"
    "MaxConcurrency,Memory,MemorySize,Namespace,ProtocolType,RegistryId,Runtime,TraceEnable,Type,WebSocketsParams,ZipFile,"
    "ZipFileBase64BinasciiError} LE{Function,InitTimeout,Memory,Timeout} MP{Code,Runtime} RU{-,Function,FunctionName} "
    "RN{-,Layer,Namespace} RX{Namespace} UO{-,AsyncRunEnable}",
    "UpdateFunctionCode": "FO{-,FunctionStatusError,OperationConflict,UpdateFunctionCode} IE{System} IP{Payload} IV{-,Code,CodeSource,"
    "FunctionName,Handler,InlineZipFile,Namespace,RegistryId,ZipFile,ZipFileBase64BinasciiError} RN{Function,FunctionName,Namespace} "
    "UA{UpdateFunctionCode} UO{-,UpdateFunctionCode}",
    "UpdateFunctionConfiguration": "FO{-,ReservedInProgress,UpdateFunctionConfiguration} IE{System,SystemError} IP{ParamError,Payload} "
    "IV{-,Action,Description,DynamicEnabled,Environment,EnvironmentExceededLimit,EnvironmentSystemProtect,FunctionName,Handler,"
    "IdleTimeOut,InstanceConcurrencyConfig,Layers,LimitExceeded,MaxConcurrency,Memory,MemorySize,Namespace,Runtime,SystemEnvironment,"
    "TraceEnable,WebSocketsParams} LE{InitTimeout,Memory,Timeout} RN{Function,FunctionName,Layer,Namespace} UO{-}",
    "GetFunction": "IE{-,Exception,System} IP{FunctionNameOrResourceIdRequired,Payload} IV{-,FunctionName,Namespace,Qualifier} "
    "RN{Function,FunctionName,Namespace,Version} UA{-}",
    "GetFunctionAddress": "FO{FunctionStatusError,GetFunctionAddress} IE{-,System} IP{Payload} IV{-,Action,FunctionName,Namespace,"
    "Qualifier} RN{Function,FunctionName,FunctionVersion,Namespace,Version}",
    "ListFunctions": "IE{Exception,System} IP{Payload} IV{-,Limit,LimitExceeded,Name,Namespace,Offset,Order,QueryVersion} RN{Namespace}",
    "CopyFunction": "FO{CopyAsyncRun,CopyFailed,CopyFunction} IE{-,Exception,System} IV{Code,Description,Environment,FunctionName,Handler,"
    "Runtime} LE{Function,Memory,Timeout} RU{FunctionName} RN{Function,FunctionName,Namespace} UO{CopyFunction}",
    "DeleteFunction": "FO{-,DeleteFunction,FunctionNameStatusError,FunctionStatusError,ProvisionedInProgress} IE{System} IP{Payload} "
    "IV{-,FunctionName,Namespace,Qualifier} RN{-,AttachedTagKeyNotFound,Function,FunctionName,Namespace,Qualifier} UA{DeleteFunction} "
    "UO{-,AliasBind}",
}

# What is never answered, of any action here.
NEVER = {
    # The action's own name as a code tells less than the codes beside it.
    **{f"FailedOperation.{name}": "says no more than that the action failed" for name in [*DOCUMENTED, "CopyFailed"]},
    "FailedOperation": "says no more than that the action failed",
    "UnsupportedOperation.CopyFunction": "functions of all kinds can be copied",
    "UnsupportedOperation.UpdateFunctionCode": "UnsupportedOperation says it, with what is not served",
    "UnsupportedOperation.AsyncRunEnable": "every function may run asynchronously",
    "InternalError": "a fault of the server's is InternalError.System",
    "InternalError.System": "a fault of the server's, which nothing that is sent provokes",
    "InternalError.SystemError": "a fault of the server's is InternalError.System",
    "InternalError.Exception": "a fault of the server's is InternalError.System",
    "InvalidParameter.Payload": "the body is read before an action is known: InvalidParameter",
    "InvalidParameter.ParamError": "InvalidParameter says it",
    "InvalidParameterValue.Action": "no action is known by its parameters: InvalidAction",
    "InvalidParameterValue.AsyncRunEnable": "kept as it is given, whatever it is",
    "InvalidParameterValue.TraceEnable": "kept as it is given, whatever it is",
    "InvalidParameterValue.CodeSource": "other sources than ZipFile are UnsupportedOperation",
    "InvalidParameterValue.InlineZipFile": "InvalidParameterValue.ZipFile says it",
    "InvalidParameterValue.ClientContext": "InvalidParameterValue.Param says it",
    "InvalidParameterValue.DynamicEnabled": "a field of provisioned concurrency by schedule, which is not served",
    "InvalidParameterValue.IdleTimeOut": "a field of web functions, which are not served",
    "InvalidParameterValue.MaxConcurrency": "a field of web functions, which are not served",
    "InvalidParameterValue.WebSocketsParams": "a field of web functions, which are not served",
    "InvalidParameterValue.ProtocolType": "a field of web functions, which are not served: UnsupportedOperation",
    "InvalidParameterValue.RegistryId": "a field of images, which are not served: UnsupportedOperation",
    "InvalidParameterValue.Memory": "InvalidParameterValue.MemorySize says it",
    "InvalidParameterValue.Name": "a list is searched by any text",
    "InvalidParameterValue.QueryVersion": "no field of the request",
    "InvalidParameterValue.SystemEnvironment": "InvalidParameterValue.EnvironmentSystemProtect says it",
    "InvalidParameterValue.Type": "InvalidParameterValue.FunctionType says it",
    "LimitExceeded.Function": "there is no limit of functions",
    "LimitExceeded.Memory": "InvalidParameterValue.MemorySize says it",
    "LimitExceeded.Quota": "over its concurrency a call is answered with InvokeResult -1 and 432",
    "FailedOperation.CopyAsyncRun": "asynchronous execution is copied like the rest",
    "FailedOperation.FunctionNameStatusError": "what is under way does not stop a deletion",
    "FailedOperation.Namespace": "ResourceNotFound.Namespace says it",
    "FailedOperation.ProvisionedInProgress": "what is kept parked goes with its function",
    "FailedOperation.ReservedInProgress": "a reservation is made at once",
    "FailedOperation.TotalConcurrencyMemoryInProgress": "the total is set at once",
    "ResourceNotFound.AttachedTagKeyNotFound": "tags are kept as they are given",
    "ResourceNotFound.Function": "ResourceNotFound.FunctionName says it",
    "ResourceInUse": "ResourceInUse.FunctionName says it",
    "ResourceInUse.Function": "ResourceInUse.FunctionName says it",
    "ResourceUnavailable.Namespace": "a namespace is there or not: ResourceNotFound.Namespace",
    "ResourceUnavailable.ServiceSuspended": "there are no bills",
    **{f"UnauthorizedOperation{name}": "a key that does not suffice is AuthFailure.UnauthorizedOperation" for name in ["", ".UpdateFunctionCode", ".DeleteFunction"]},
}

# What only some actions answer.
NEVER_OF = {
    "InvokeFunction": {"InvalidParameterValue.FunctionType": "functions of other types cannot be made"},
    "CreateFunction": {
        "InvalidParameterValue": "each parameter has its own code",
        "InvalidParameterValue.Code": "MissingParameter.Code says it",
        "ResourceNotFound": "ResourceNotFound.Layer and .Namespace say it",
    },
    "UpdateFunctionConfiguration": {"InvalidParameterValue": "each parameter has its own code", "InvalidParameterValue.Handler": "the handler comes with the code (contract 6.1)"},
    "UpdateFunctionCode": {"InvalidParameterValue": "each parameter has its own code", "FailedOperation.OperationConflict": "while another change is under way: FailedOperation.FunctionStatusError"},
    "ListFunctions": {"InvalidParameterValue.LimitExceeded": "InvalidParameterValue.Limit says it"},
    "GetFunction": {"InvalidParameterValue": "each parameter has its own code", "InvalidParameterValue.Qualifier": "ResourceNotFound.Version says it"},
    "GetFunctionAddress": {
        "FailedOperation.FunctionStatusError": "its package is there whatever the status",
        "InvalidParameterValue": "each parameter has its own code",
        "InvalidParameterValue.Qualifier": "ResourceNotFound.FunctionVersion says it",
        "ResourceNotFound.Version": "ResourceNotFound.FunctionVersion says it",
    },
    "CopyFunction": {f"{name}": "what is copied was checked before" for name in ["InvalidParameterValue.Code", "InvalidParameterValue.Environment", "InvalidParameterValue.Handler", "InvalidParameterValue.Runtime", "LimitExceeded.Timeout"]},
    "DeleteFunction": {
        "FailedOperation.FunctionStatusError": "what is under way does not stop a deletion",
        "InvalidParameterValue": "each parameter has its own code",
        "ResourceNotFound": "ResourceNotFound.FunctionName says it",
        "UnsupportedOperation": "UnsupportedOperation.AliasBind says it",
    },
}

NAME = "sdk_codes"
BROKEN = "sdk_codes_broken"
CODE = zipped(index__py=ECHO)
PROVOKED = {action: set() for action in DOCUMENTED}


def documented(short):
    for group in short.split():
        name, codes = group.rstrip("}").split("{")
        for code in codes.split(","):
            yield GROUPS[name] if code == "-" else f"{GROUPS[name]}.{code}"


def provoke(action, code, **fields):
    refused(code, action, **fields)
    PROVOKED[action].add(code)


def calls():
    for action, event in (("Invoke", "ClientContext"), ("InvokeFunction", "Event")):
        provoke(action, "ResourceNotFound.FunctionName", FunctionName="sdk_nobody")
        provoke(action, "InvalidParameter.FunctionName", FunctionName="1x")
        provoke(action, "ResourceNotFound.Namespace", FunctionName=NAME, Namespace="sdk_nowhere")
        provoke(action, "ResourceNotFound.Qualifier", FunctionName=NAME, Qualifier="99")
        provoke(action, "ResourceNotFound.Qualifier", FunctionName=NAME, Qualifier="nowhere")
        provoke(action, "InvalidParameterValue.Param", FunctionName=NAME, **{event: "{"})
        provoke(action, "InvalidParameterValue.Param", FunctionName=NAME, **{event: "NaN"})
        provoke(action, "InvalidParameterValue", FunctionName=NAME, LogType="Head")
        provoke(action, "InvalidParameterValue", FunctionName=NAME, RoutingKey="[]")
        provoke(action, "InvalidParameterValue", FunctionName=NAME, RoutingKey=json.dumps({"a": "x" * 1024}))
        provoke(action, "FailedOperation.FunctionStatusError", FunctionName=BROKEN)
        provoke(action, "MissingParameter")
    large = json.dumps("x" * 6 * 1024 * 1024)
    provoke("Invoke", "InvalidParameterValue", FunctionName=NAME, ClientContext=large)
    provoke("InvokeFunction", "InvalidParameter.RequestTooLarge", FunctionName=NAME, Event=large)
    provoke("Invoke", "InvalidParameterValue", FunctionName=NAME, InvocationType="Event", ClientContext=large[: 200 * 1024] + '"')
    provoke("Invoke", "InvalidParameterValue", FunctionName=NAME, InvocationType="Soon")


def configures(action, **good):
    """What creating and changing a function have in common."""

    def refuse(code, **fields):
        provoke(action, code, **{**good, **fields})

    refuse("InvalidParameterValue.FunctionName", FunctionName="1x")
    refuse("InvalidParameterValue.FunctionName", FunctionName="x")
    refuse("InvalidParameterValue.Namespace", Namespace="1x")
    refuse("ResourceNotFound.Namespace", Namespace="sdk_nowhere")
    refuse("InvalidParameterValue.MemorySize", MemorySize=100)
    refuse("LimitExceeded.Timeout", Timeout=901)
    refuse("LimitExceeded.InitTimeout", InitTimeout=301)
    refuse("InvalidParameterValue.Description", Description="x" * 1001)
    refuse("InvalidParameterValue.EnvironmentSystemProtect", Environment={"Variables": [{"Key": "SCF_X", "Value": "1"}]})
    refuse("InvalidParameterValue.EnvironmentExceededLimit", Environment={"Variables": [{"Key": "A", "Value": "x" * 4096}]})
    refuse("InvalidParameterValue.Environment", Environment={"Variables": [{"Key": "1A", "Value": "x"}]})
    refuse("ResourceNotFound.Layer", Layers=[{"LayerName": "sdk_none", "LayerVersion": 1}])
    refuse("InvalidParameterValue.Layers", Layers=[{"LayerName": "a", "LayerVersion": 1}, {"LayerName": "a", "LayerVersion": 2}])
    refuse("InvalidParameterValue.DeadLetterConfig", DeadLetterConfig={"Type": "topic", "Name": "x"})
    refuse("InvalidParameterValue.InstanceConcurrencyConfig", InstanceConcurrencyConfig={"MaxConcurrency": 5})
    refuse("InvalidParameter", Timeout="soon")
    refuse("UnsupportedOperation", VpcConfig={"VpcId": "vpc-1", "SubnetId": "subnet-1"})


def creates():
    good = {"FunctionName": "sdk_refused", "Runtime": "Python3.10", "Handler": "index.main_handler", "Code": {"ZipFile": CODE}}

    def create(code, **fields):
        provoke("CreateFunction", code, **{**good, **fields})

    configures("CreateFunction", **good)
    create("ResourceInUse.FunctionName", FunctionName=NAME)
    create("InvalidParameterValue.Handler", Handler="../x.y")
    create("InvalidParameterValue.Runtime", Runtime="Java8")
    create("MissingParameter.Runtime", Runtime=None)
    create("MissingParameter.Code", Code=None)
    create("MissingParameter.Code", Code={})
    create("InvalidParameterValue.ZipFileBase64BinasciiError", Code={"ZipFile": "***"})
    create("InvalidParameterValue.ZipFile", Code={"ZipFile": "bm8gemlw"})
    create("InvalidParameterValue.FunctionType", Type="HTTP")
    create("UnsupportedOperation", Code={"CosBucketName": "b", "CosObjectName": "/x.zip"})
    create("UnsupportedOperation", Code={"ImageConfig": {"ImageType": "personal", "ImageUri": "x"}})
    create("UnsupportedOperation", InstallDependency="TRUE")
    create("InvalidParameterValue.LimitExceeded", Tags=[{"Key": "k", "Value": "x" * 20_000}])


def changes():
    configures("UpdateFunctionConfiguration", FunctionName=NAME)
    provoke("UpdateFunctionConfiguration", "InvalidParameterValue.Runtime", FunctionName=NAME, Runtime="Nodejs16.13")
    provoke("UpdateFunctionConfiguration", "ResourceNotFound.FunctionName", FunctionName="sdk_nobody", Timeout=5)
    provoke("UpdateFunctionConfiguration", "InvalidParameterValue.LimitExceeded", FunctionName=NAME, Role="x" * 20_000)

    def code(code, **fields):
        provoke("UpdateFunctionCode", code, **{"FunctionName": NAME, "ZipFile": CODE, **fields})

    code("InvalidParameterValue.Code", ZipFile=None)
    code("InvalidParameterValue.FunctionName", FunctionName="1x")
    code("InvalidParameterValue.Namespace", Namespace="1x")
    code("InvalidParameterValue.Handler", Handler="../x.y")
    code("InvalidParameterValue.ZipFile", ZipFile="bm8gemlw")
    code("InvalidParameterValue.ZipFileBase64BinasciiError", ZipFile="***")
    code("ResourceNotFound.FunctionName", FunctionName="sdk_nobody")
    code("ResourceNotFound.Namespace", Namespace="sdk_nowhere")
    code("UnsupportedOperation", CosBucketName="b", CosObjectName="/x.zip")
    # While it is being loaded; what is to come of that does not matter.
    call("UpdateFunctionCode", FunctionName=BROKEN, ZipFile=zipped(index__py="import time\ntime.sleep(60)"))
    code("FailedOperation.FunctionStatusError", FunctionName=BROKEN)


def looks_at():
    for action in ("GetFunction", "GetFunctionAddress", "DeleteFunction"):
        provoke(action, "ResourceNotFound.FunctionName", FunctionName="sdk_nobody")
        provoke(action, "ResourceNotFound.Namespace", FunctionName=NAME, Namespace="sdk_nowhere")
        provoke(action, "InvalidParameterValue.FunctionName", FunctionName="1x")
        provoke(action, "InvalidParameterValue.Namespace", FunctionName=NAME, Namespace="1x")
    provoke("GetFunction", "InvalidParameter.FunctionNameOrResourceIdRequired")
    provoke("GetFunction", "ResourceNotFound.Version", FunctionName=NAME, Qualifier="99")
    provoke("GetFunctionAddress", "ResourceNotFound.FunctionVersion", FunctionName=NAME, Qualifier="99")
    provoke("ListFunctions", "ResourceNotFound.Namespace", Namespace="sdk_nowhere")
    provoke("ListFunctions", "InvalidParameterValue.Namespace", Namespace="1x")
    provoke("ListFunctions", "InvalidParameterValue.Order", Order="SIDEWAYS")
    provoke("ListFunctions", "InvalidParameterValue.OrderBy", Orderby="Weight")
    provoke("ListFunctions", "InvalidParameterValue.Limit", Limit=101)
    provoke("ListFunctions", "InvalidParameterValue.Offset", Offset=-1)
    provoke("ListFunctions", "InvalidParameterValue.Filters", Filters=[{"Name": "Colour", "Values": ["red"]}])
    provoke("ListFunctions", "InvalidParameterValue", Filters=[{"Name": "Runtime", "Values": ["Python3.10"]}] * 11)


def copies():
    copy = {"FunctionName": NAME, "NewFunctionName": "sdk_copied"}
    provoke("CopyFunction", "ResourceNotFound.FunctionName", **{**copy, "FunctionName": "sdk_nobody"})
    provoke("CopyFunction", "ResourceNotFound.Namespace", **copy, TargetNamespace="sdk_nowhere")
    provoke("CopyFunction", "ResourceInUse.FunctionName", **{**copy, "NewFunctionName": BROKEN})
    provoke("CopyFunction", "InvalidParameterValue.FunctionName", **{**copy, "NewFunctionName": "1x"})
    provoke("CopyFunction", "InvalidParameterValue.Description", **copy, Description="x" * 1001)


def deletes():
    version = call("PublishVersion", FunctionName=NAME)["FunctionVersion"]
    call("CreateAlias", FunctionName=NAME, Name="held", FunctionVersion=version)
    provoke("DeleteFunction", "UnsupportedOperation.AliasBind", FunctionName=NAME, Qualifier=version)
    provoke("DeleteFunction", "InvalidParameterValue.Qualifier", FunctionName=NAME, Qualifier="$LATEST")
    provoke("DeleteFunction", "ResourceNotFound.Qualifier", FunctionName=NAME, Qualifier="99")


created(NAME, ECHO)
call("CreateFunction", FunctionName=BROKEN, Runtime="Python3.10", Handler="index.main_handler", Code={"ZipFile": zipped(index__py="import nothing_like_it")})
assert settled(BROKEN)["Status"] == "CreateFailed"
for part in (calls, creates, changes, looks_at, copies, deletes):
    part()
for name in (NAME, BROKEN):
    call("DeleteFunction", FunctionName=name)

for action, short in DOCUMENTED.items():
    never = NEVER.keys() | NEVER_OF.get(action, {}).keys()
    missing = set(documented(short)) - PROVOKED[action] - never
    assert not missing, f"{action}: neither provoked nor explained: {sorted(missing)}"
    wrong = PROVOKED[action] & never
    assert not wrong, f"{action}: provoked, though it says that it cannot be: {sorted(wrong)}"
