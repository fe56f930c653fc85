// What the programs share: the server that they are given, waiting, and a beginning and an end.

/** The address of the server, e.g. http://127.0.0.1:9980. */
export const URL_OF_SERVER = process.env.FNLITE_URL;
/** An admin key. */
export const KEY = process.env.FNLITE_KEY;
/** Whether the long rounds are wanted. */
export const IS_LONG = Boolean(process.env.FNLITE_TEST_ALL);
/** Where pictures go. */
export const PICTURES = new URL("../../target/console/", import.meta.url).pathname;

/** Longest wait for anything that should happen soon. */
const PATIENCE_MS = 20_000;

/** What `look` gives once it gives something. */
export async function until(what, look) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** Asks `/v1`; the answer's JSON. */
export async function v1(method, path, body = undefined) {
  const headers = { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" };
  const answer = await fetch(`${URL_OF_SERVER}/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  const isRun = answer.headers.has("X-Fnlite-Request-Id");
  if (!answer.ok && !isRun) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return { requestId: answer.headers.get("X-Fnlite-Request-Id"), json: text && JSON.parse(text) };
}

/** Deploys `code` as the file of a Python function. */
export function deploy(name, code, more = {}) {
  const files = { "index.py": code };
  return v1("PUT", `/functions/${name}`, { runtime: "Python3.10", handler: "index.main_handler", code: { files }, ...more });
}

/** Runs a function; the request id. */
export async function invoke(name, event = {}) {
  return (await v1("POST", `/functions/${name}/invoke`, event)).requestId;
}

/** Signs a tab in by the form. */
export async function signIn(tab, key = KEY) {
  await tab.goto("/console/sign-in");
  await tab.fill("Key", key);
  return tab.follow(() => tab.click("button", "Sign in"));
}

/** One thing that is tried; says how long it took. */
export async function step(what, act) {
  const began = Date.now();
  try {
    await act();
  } catch (fault) {
    fault.message = `${what}: ${fault.message}`;
    throw fault;
  }
  console.log(`${String(Date.now() - began).padStart(6)} ms  ${what}`);
}

/** Runs a program with a browser, which ends with it. */
export async function run(program) {
  const { Browser } = await import("./browser.mjs");
  const browser = await Browser.start();
  try {
    await program(browser);
  } finally {
    await browser.stop();
  }
}
