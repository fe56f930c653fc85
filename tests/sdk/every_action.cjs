// The unmodified SDK for Node.js calls every action that is served, and reads what the door answers; it signs the host without
// its port and a service of its own making (contract 7.5).

const { scf } = require("tencentcloud-sdk-nodejs-scf");
const assert = require("node:assert");

const client = new scf.v20180416.Client({
  credential: { secretId: process.env.SECRET_ID, secretKey: process.env.SECRET_KEY },
  region: "ap-guangzhou",
  profile: { httpProfile: { protocol: "http://", endpoint: process.env.FNLITE_ENDPOINT } },
});

// A zip with index.py in it, stored: the few lines that are needed of the format.
function zip(name, text) {
  const [path, data] = [Buffer.from(name), Buffer.from(text)];
  const crc = require("node:zlib").crc32 ? require("node:zlib").crc32(data) : crc32(data);
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt32LE(crc, 10);
  fields.writeUInt32LE(data.length, 14);
  fields.writeUInt32LE(data.length, 18);
  fields.writeUInt16LE(path.length, 22);
  const local = Buffer.concat([Buffer.from("PK\x03\x04"), fields, path, data]);
  const central = Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 0]), fields, Buffer.alloc(14), path]);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(1, 4);
  end.writeUInt16LE(1, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(local.length, 12);
  return Buffer.concat([local, central, Buffer.from("PK\x05\x06"), end]).toString("base64");
}

function crc32(data) {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

const FunctionName = "sdk_node";
const ZipFile = zip("index.py", "def main_handler(event, context):\n    print('from node')\n    return event\n");
const called = new Set();

async function call(action, fields = {}) {
  called.add(action);
  return client[action](fields);
}

async function refused(code, action, fields) {
  const fault = await call(action, fields).then(() => null, (error) => error);
  assert.ok(fault, `${action} was not refused`);
  assert.strictEqual(fault.code, code, `${action}: ${fault.code} ${fault.message}`);
  assert.ok(fault.requestId, "a refusal has a request ID");
}

async function settled() {
  for (let look = 0; look < 1000; look++) {
    const found = await call("GetFunction", { FunctionName });
    if (!["Creating", "Updating"].includes(found.Status)) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it is never settled");
}

async function main() {
  await call("CreateFunction", { FunctionName, Runtime: "Python3.10", Handler: "index.main_handler", Code: { ZipFile } });
  assert.strictEqual((await settled()).Status, "Active");
  await call("UpdateFunctionConfiguration", { FunctionName, MemorySize: 256 });
  assert.strictEqual((await settled()).MemorySize, 256);
  await call("UpdateFunctionCode", { FunctionName, ZipFile });
  await settled();
  const event = '{"n":9007199254740993,"中":"文"}';
  const { Result } = await call("Invoke", { FunctionName, ClientContext: event, LogType: "Tail" });
  assert.strictEqual(Result.RetMsg, '{"n": 9007199254740993, "中": "文"}');
  assert.ok(Result.Log.includes("from node") && Result.MemUsage > 1024 * 1024 && Result.InvokeResult === 0);
  assert.strictEqual((await call("InvokeFunction", { FunctionName, Event: "[1]" })).Result.RetMsg, "[1]");
  assert.ok((await call("GetFunctionAddress", { FunctionName })).Url.startsWith("http://"));
  assert.ok((await call("ListFunctions", { SearchKey: FunctionName })).TotalCount === 1);
  await call("CopyFunction", { FunctionName, NewFunctionName: "sdk_node_copy" });

  await call("PublishVersion", { FunctionName });
  assert.deepStrictEqual((await call("ListVersionByFunction", { FunctionName })).FunctionVersion, ["$LATEST", "1"]);
  await call("CreateAlias", { FunctionName, Name: "prod", FunctionVersion: "1" });
  await call("UpdateAlias", { FunctionName, Name: "prod", FunctionVersion: "$LATEST", RoutingConfig: { AdditionalVersionWeights: [{ Version: "1", Weight: 0.5 }] } });
  assert.strictEqual((await call("GetAlias", { FunctionName, Name: "prod" })).RoutingConfig.AdditionalVersionWeights[0].Weight, 0.5);
  assert.strictEqual((await call("ListAliases", { FunctionName, Offset: "0", Limit: "20" })).TotalCount, 2);

  await call("CreateNamespace", { Namespace: "sdk_node_space" });
  await call("UpdateNamespace", { Namespace: "sdk_node_space", Description: "of node" });
  assert.ok((await call("ListNamespaces", { Limit: 100 })).Namespaces.some((row) => row.Description === "of node"));
  await call("DeleteNamespace", { Namespace: "sdk_node_space" });

  const { LayerVersion } = await call("PublishLayerVersion", { LayerName: "sdk_node_layer", CompatibleRuntimes: ["Python3.10"], Content: { ZipFile } });
  assert.strictEqual((await call("GetLayerVersion", { LayerName: "sdk_node_layer", LayerVersion })).Status, "Active");
  assert.strictEqual((await call("ListLayers", { SearchKey: "sdk_node_layer" })).TotalCount, 1);
  assert.strictEqual((await call("ListLayerVersions", { LayerName: "sdk_node_layer" })).LayerVersions.length, 1);
  await call("DeleteLayerVersion", { LayerName: "sdk_node_layer", LayerVersion });

  await call("PutReservedConcurrencyConfig", { FunctionName, ReservedConcurrencyMem: 512 });
  assert.strictEqual((await call("GetReservedConcurrencyConfig", { FunctionName })).ReservedMem, 512);
  await call("PutProvisionedConcurrencyConfig", { FunctionName, Qualifier: "1", VersionProvisionedConcurrencyNum: 1 });
  assert.strictEqual((await call("GetProvisionedConcurrencyConfig", { FunctionName })).Allocated[0].Qualifier, "1");
  await call("DeleteProvisionedConcurrencyConfig", { FunctionName, Qualifier: "1" });
  await call("DeleteReservedConcurrencyConfig", { FunctionName });
  const { AccountUsage } = await call("GetAccount");
  await call("PutTotalConcurrencyConfig", { TotalConcurrencyMem: AccountUsage.TotalConcurrencyMem });

  await call("UpdateFunctionEventInvokeConfig", { FunctionName, AsyncTriggerConfig: { RetryConfig: [{ RetryNum: 1 }], MsgTTL: 60 } });
  assert.strictEqual((await call("GetFunctionEventInvokeConfig", { FunctionName })).AsyncTriggerConfig.MsgTTL, 60);
  const later = await call("Invoke", { FunctionName, InvocationType: "Event" });
  const InvokeRequestId = later.Result.FunctionRequestId;
  assert.ok(["RUNNING", "FINISHED"].includes((await call("GetAsyncEventStatus", { InvokeRequestId })).Result.Status));
  assert.strictEqual((await call("ListAsyncEvents", { FunctionName })).EventList[0].InvokeRequestId, InvokeRequestId);
  await refused("ResourceNotFound.AsyncEvent", "TerminateAsyncEvent", { FunctionName, InvokeRequestId: "0".repeat(32) });
  assert.ok((await call("GetFunctionLogs", { FunctionName })).Data.some((row) => row.Log.includes("from node")));
  const of = { FunctionName, FunctionRequestId: Result.FunctionRequestId };
  assert.strictEqual((await call("GetRequestStatus", of)).Data[0].RetCode, 0);

  const timer = { FunctionName, TriggerName: "tick", Type: "timer" };
  const made = await call("CreateTrigger", { ...timer, TriggerDesc: "0 0 0 1 1 * 2099", Enable: "OPEN" });
  assert.strictEqual(made.TriggerInfo.Enable, 1);
  await call("UpdateTrigger", { ...timer, TriggerDesc: "0 0 0 2 1 * 2099" });
  await call("UpdateTriggerStatus", { ...timer, Enable: "CLOSE" });
  const { Triggers } = await call("ListTriggers", { FunctionName });
  assert.deepStrictEqual([Triggers[0].TriggerDesc, Triggers[0].Enable], ['{"cron":"0 0 0 2 1 * 2099"}', 0]);
  await call("DeleteTrigger", timer);

  for (const action of ["Create", "Update", "Get", "List", "Delete"]) {
    const name = action === "List" ? "ListCustomDomains" : `${action}CustomDomain`;
    await refused("UnsupportedOperation", name, { Domain: "example.org", Protocol: "HTTP", EndpointsConfig: [] });
  }
  await refused("ResourceNotFound.FunctionName", "Invoke", { FunctionName: "sdk_nobody" });
  await call("DeleteAlias", { FunctionName, Name: "prod" });
  await call("DeleteFunctionVersion", { FunctionName, Qualifier: "1" });
  await call("DeleteFunction", { FunctionName });
  await refused("ResourceNotFound.FunctionName", "GetFunction", { FunctionName });

  const all = Object.getOwnPropertyNames(Object.getPrototypeOf(client)).filter((name) => /^[A-Z]/.test(name));
  assert.deepStrictEqual(all.filter((name) => !called.has(name)), [], "every action was called");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
