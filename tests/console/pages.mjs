// Every page of the console, once: what `look.mjs` looks at and `access.mjs` asks for. A new page is a line here.

import { deploy, invoke, v1 } from "./common.mjs";

/** `name` of its pictures; `path`, made of what `furnish` gives; `heading`, the page's one; `isOpen` for whoever is not signed in. */
export const PAGES = [
  { name: "sign-in", path: () => "/console/sign-in", heading: "fnlite", isOpen: true },
  { name: "link-used", path: () => "/console/enter?ticket=used", heading: "Not allowed", status: 403, isOpen: true },
  { name: "overview", path: () => "/console/", heading: "Overview" },
  { name: "functions", path: () => "/console/functions", heading: "Functions" },
  { name: "function-code", path: () => "/console/functions/greet", heading: "greet" },
  { name: "function-test", path: () => "/console/functions/greet/test", heading: "greet" },
  { name: "function-configuration", path: () => "/console/functions/greet/configuration", heading: "greet" },
  { name: "function-monitoring", path: () => "/console/functions/greet/monitoring", heading: "greet" },
  { name: "function-versions", path: () => "/console/functions/greet/versions", heading: "greet" },
  { name: "function-triggers", path: () => "/console/functions/greet/triggers", heading: "greet" },
  { name: "function-unknown", path: () => "/console/functions/nobody", heading: "Not here", status: 404 },
  { name: "invocations", path: () => "/console/invocations", heading: "Invocations" },
  { name: "invocations-none", path: () => "/console/invocations?status=dead", heading: "Invocations" },
  { name: "run", path: (there) => `/console/invocations/${there.good}`, heading: "Run of greet" },
  { name: "run-failed", path: (there) => `/console/invocations/${there.failed}`, heading: "Run of greet" },
  { name: "run-unknown", path: () => "/console/invocations/00000000-0000-4000-8000-000000000000", heading: "Not here", status: 404 },
  { name: "logs", path: () => "/console/logs", heading: "Logs" },
  { name: "logs-around", path: () => "/console/logs?q=greet&context=3", heading: "Logs" },
  { name: "logs-wrong", path: () => "/console/logs?q=%28", heading: "Logs", status: 400 },
  { name: "logs-live", path: () => "/console/logs/tail", heading: "Live log" },
  { name: "sql", path: () => "/console/sql", heading: "SQL" },
  { name: "dead-letters", path: () => "/console/dead-letters", heading: "Dead letters" },
  { name: "run-given-up", path: (there) => `/console/invocations/${there.dead}`, heading: "Run of greet" },
  { name: "keys", path: () => "/console/keys", heading: "Keys" },
  { name: "about", path: () => "/console/about", heading: "About this server" },
  { name: "no-page", path: () => "/console/nothing/here", heading: "Not here", status: 404 },
];

const GREET = `
import sys

def main_handler(event, context):
    name = event.get("name")
    print("a request came", event)
    print("a long line without a blank: " + "x" * 300)
    print("this is said on the other stream", file=sys.stderr)
    if not name:
        raise ValueError("nobody to greet: the event has no name, and " + "a" * 200)
    return {"greeting": "Hello, " + name, "letters": [ord(letter) for letter in name], "echo": event}
`;

const TIMER = { name: "nightly", type: "timer", spec: { cron: "0 30 2 * * * *" } };

/** Something to be seen on every page. */
export async function furnish() {
  await deploy("greet", GREET, { description: "Greets whoever is named in the event.", env: { GREETING: "Hello", EMPTY: " " } });
  const good = await invoke("greet", { name: "World", big: 9007199254740993, nested: { list: [1, 2.5, "three"] } });
  const failed = await invoke("greet", {});
  await v1("POST", "/functions/greet/versions", { description: "The first that greets" });
  await v1("PUT", "/functions/greet/aliases/live", { version: "1", description: "What everybody is greeted by" });
  await v1("POST", "/functions/greet/triggers", TIMER);
  for (let count = 0; count < 5; count++) await invoke("greet", { name: `number ${count}` });
  await v1("PUT", "/functions/greet/event-config", { retry_num: 0 });
  const dead = (await v1("POST", "/functions/greet/invoke?type=event", {})).requestId;
  await v1("GET", `/invocations/${dead}?wait=20s`);
  return { good, failed, dead };
}
