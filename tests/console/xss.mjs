// Whatever functions print, return, raise and are called is text. Strings that would be markup or a script where one place forgot
// (xss.txt; FNLITE_BLNS names a file with more) go into all that the console shows, and every page that shows them is looked at: no
// script of theirs ran, nobody else was asked for anything, and no element came of them.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";

import { IS_LONG, URL_OF_SERVER, deploy, invoke, run, signIn, step, until, v1 } from "./common.mjs";

const OWN = readFileSync(new URL("xss.txt", import.meta.url), "utf8").trimEnd().split("\n");
const NAUGHTY = process.env.FNLITE_BLNS && existsSync(process.env.FNLITE_BLNS) ? JSON.parse(readFileSync(process.env.FNLITE_BLNS, "utf8")) : [];
const STRINGS = [...NAUGHTY.filter((text) => text.trim()), ...OWN];
/** How many strings share a place that has room for a sentence or two. */
const TOGETHER = IS_LONG ? 1 : 24;

const ECHO = `
def main_handler(event, context):
    for line in event.get("lines", []):
        print(line)
    if "error" in event:
        raise Exception(event["error"])
    return event
`;

await run(async (browser) => {
  await deploy("echo", ECHO);
  const tab = await browser.tab();
  await signIn(tab);

  await step(`${STRINGS.length} strings as lines, event and return value of a run`, async () => {
    const id = await invoke("echo", { lines: STRINGS });
    await tab.goto(`/console/invocations/${id}`);
    await checkHarmless(tab, "run");
    const shown = await tab.evaluate(() => [...document.querySelectorAll(".log .text")].map((one) => one.textContent));
    for (const text of OWN) assert(shown.includes(text), `not shown as it is: ${text}`);
    const event = await tab.evaluate(() => [...document.querySelectorAll("pre")].at(-1).textContent);
    assert.deepEqual(JSON.parse(event), { lines: STRINGS });
  });

  await step("as lines of which each is found by searching", async () => {
    await tab.goto(`/console/logs?q=${encodeURIComponent("script")}`);
    await checkHarmless(tab, "logs");
    const shown = await tab.evaluate(() => [...document.querySelectorAll(".log .text")].map((one) => one.textContent));
    const told = OWN.filter((text) => /(^|[^\w.-])script([^\w.-]|$)/i.test(text));
    for (const text of told.slice(-20)) assert(shown.includes(text), `not shown as it is: ${text}`);
    await tab.goto("/console/logs?function=echo&context=3");
    await checkHarmless(tab, "logs with lines around");
  });

  await step("as they are printed", async () => {
    await tab.goto("/console/logs/tail?function=echo");
    await tab.see("Following: 0 lines");
    await invoke("echo", { lines: OWN });
    await until("the lines come", () => tab.evaluate((last) => document.querySelector(".log").textContent.includes(last), OWN.at(-1)));
    await checkHarmless(tab, "live log");
  });

  await step("as cells, names of columns and statements of SQL", async () => {
    const quoted = (text) => `'${text.replaceAll("'", "''").replaceAll("\u0000", "")}'`;
    for (const texts of batches(OWN, 15)) {
      const name = texts[0].replaceAll('"', '""');
      const statement = `SELECT ${quoted(texts.join(" "))} AS "${name}", 1 AS n` + texts.map((text) => ` UNION ALL SELECT ${quoted(text)}, 2`).join("");
      for (const button of ["Run", "As bars"]) {
        await tab.goto("/console/sql");
        await tab.fill("Statement", statement);
        await tab.follow(() => tab.click("button", button));
        await checkHarmless(tab, "SQL");
        await tab.see(texts.at(-1).trim().slice(0, 60));
      }
      await tab.fill("Statement", `SELEC ${texts.join(" ")}`);
      await tab.follow(() => tab.click("button", "Run"));
      await checkHarmless(tab, "SQL that was refused");
    }
  });

  await step("as errors", async () => {
    let last;
    for (const texts of batches(STRINGS, TOGETHER)) last = await invoke("echo", { error: texts.join(" ") });
    await tab.goto(`/console/invocations/${last}`);
    await checkHarmless(tab, "failed run");
    await tab.see(OWN.at(-1));
    await tab.goto("/console/invocations?status=failed");
    await checkHarmless(tab, "runs");
  });

  await step("as keys of what is returned", async () => {
    const id = await invoke("echo", Object.fromEntries(STRINGS.map((text, index) => [text, { [text]: index }])));
    await tab.goto(`/console/invocations/${id}`);
    await checkHarmless(tab, "run");
  });

  await step("as description, environment, file name, code and version of a function", async () => {
    for (const texts of IS_LONG ? batches(STRINGS, 20) : [OWN.slice(0, 40)]) {
      const env = Object.fromEntries(texts.map((text, index) => [`KEY_${index}`, text.replaceAll("\n", " ")]));
      const description = texts.join("").slice(0, 900);
      const files = { "index.py": `${ECHO}\n# ${texts.join("\n# ")}\n`, '"><img src=x onerror=alert(1)>.py': "", "</textarea><script>hit=1<": "" };
      await v1("PUT", "/functions/shows", { runtime: "Python3.10", handler: "index.main_handler", code: { files }, env, description });
      await v1("POST", "/functions/shows/versions", { description });
      for (const path of ["", "/shows", "/shows?file=index.py", "/shows/test", "/shows/configuration", "/shows/versions", "/shows/triggers"]) {
        await tab.goto(`/console/functions${path}`);
        await checkHarmless(tab, path);
      }
      await tab.goto("/console/functions");
      await tab.see(description.slice(0, 50));
      await tab.goto("/console/functions/shows/configuration");
      assert.equal(await tab.evaluate(() => document.querySelector("[name=description]").value), description);
      await tab.goto("/console/functions/shows?file=index.py");
      assert.equal(await tab.evaluate(() => document.querySelector("[name=content]").value), files["index.py"]);
    }
  });

  await step("as what is tested with, and what comes of it", async () => {
    await tab.goto("/console/functions/echo/test");
    await tab.fill("Event, JSON", JSON.stringify({ lines: OWN, more: OWN }));
    await tab.follow(() => tab.click("button", "Test"));
    await tab.see("It returned");
    await checkHarmless(tab, "test");
    await tab.fill("Event, JSON", `{"not": "JSON" </textarea>${OWN.join("\n")}`);
    await tab.follow(() => tab.click("button", "Test"));
    await checkHarmless(tab, "test that was refused");
    assert((await tab.evaluate(() => document.querySelector("[name=event]").value)).endsWith(OWN.join("\n")));
  });

  await step("in the address", async () => {
    for (const texts of batches(IS_LONG ? STRINGS : OWN, TOGETHER)) {
      const said = encodeURIComponent(texts.join(" ").slice(0, 1500));
      const paths = [`invocations?function=${said}`, `invocations?status=${said}`, `logs?q=${said}`, `logs?since=${said}`, `logs/tail?q=${said}`, `sql?statement=${said}`, `dead-letters?function=${said}`, `functions/${said}`, `functions/echo?file=${said}`];
      for (const path of paths) {
        await tab.goto(`/console/${path}`);
        await checkHarmless(tab, path);
      }
    }
    const outside = await browser.tab();
    for (const texts of batches(OWN, TOGETHER)) {
      for (const path of ["sign-in?next=", "enter?ticket=", ""]) {
        await outside.goto(`/console/${path}${encodeURIComponent(texts.join(" "))}`);
        await checkHarmless(outside, path);
      }
    }
    await outside.close();
  });

  await step("as what a form refuses", async () => {
    for (const texts of batches(OWN, 40)) {
      await tab.goto("/console/functions");
      const names = await tab.all("textbox", "Name");
      await tab.fillNode(names[0], texts.join(" "));
      await tab.follow(() => tab.click("button", "Create"));
      await checkHarmless(tab, "new function");
    }
  });
});

/** Nothing of what is shown was more than text. */
async function checkHarmless(tab, where) {
  assert.deepEqual(tab.dialogs, [], where);
  const found = await tab.evaluate(suspicious);
  assert.deepEqual(found, [], where);
  const elsewhere = tab.requests.filter((url) => !url.startsWith(`${URL_OF_SERVER}/`));
  assert.deepEqual(elsewhere, [], where);
  const complaints = tab.complaints.filter((text) => !text.startsWith("Failed to load resource: the server responded"));
  assert.deepEqual(complaints, [], where);
}

/** Runs in the page: whatever could not be there if all was text. */
function suspicious() {
  const found = [...window.seenViolations];
  if ("hit" in window || "hit" in Object.prototype) found.push("a script has run");
  const known =
    "html head meta title link script body a header nav form span button main div h1 h2 h3 p ul ol li dl dt dd table thead tbody tr th td " +
    "input label select optgroup option datalist textarea code pre section time progress svg rect path g text line details summary fieldset legend output " +
    "polyline circle strong em small hr br template figure figcaption caption colgroup col noscript";
  const names = new Set(known.split(" "));
  const ids = new Set();
  for (const element of document.querySelectorAll("*")) {
    const told = element.outerHTML.slice(0, 200);
    if (!names.has(element.localName)) found.push(`an element: ${told}`);
    if (element.id && ids.has(element.id)) found.push(`an id twice: ${told}`);
    ids.add(element.id);
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on") || name === "style" || name === "srcdoc") found.push(`an attribute: ${told}`);
      if (["href", "src", "action", "formaction"].includes(name)) {
        const url = new URL(value, location.href);
        if (url.origin !== location.origin) found.push(`a link: ${told}`);
      }
    }
    if (element.localName === "script" && !element.getAttribute("src")?.startsWith("/console/assets/")) found.push(`a script: ${told}`);
    if (element.httpEquiv) found.push(`an order to the browser: ${told}`);
  }
  return found;
}

function batches(texts, size) {
  const count = Math.ceil(texts.length / size);
  return Array.from({ length: count }, (_, index) => texts.slice(index * size, (index + 1) * size));
}
