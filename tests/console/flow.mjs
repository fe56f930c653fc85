// What somebody does who is here for the first time: makes a function from a template, changes its code, tries it, and finds again
// what it did. With a mouse and a keyboard, by what is to be read on the pages.

import assert from "node:assert/strict";

import { run, signIn, step, until, v1 } from "./common.mjs";

const CODE = `def main_handler(event, context):
    print("a parcel for", event["key1"])
    return {"parcel": event["key1"], "weights": [1, 2, 3]}
`;

await run(async (browser) => {
  const tab = await browser.tab();
  await signIn(tab);

  await step("a function is made from a template", async () => {
    await tab.follow(() => tab.click("link", "Functions"));
    await tab.see("Nothing is deployed here yet.");
    const [name] = await tab.all("textbox", "Name");
    await tab.fillNode(name, "parcels");
    await tab.choose("Begin with", "Hello in Python");
    await tab.follow(() => tab.click("button", "Create"));
    assert.equal(new URL(await tab.path(), "http://x").pathname, "/console/functions/parcels");
    await tab.see("The function is deployed.");
  });

  await step("its code is edited and deployed", async () => {
    await tab.fill("Content", CODE);
    await tab.follow(() => tab.click("button", "Save and deploy"));
    await tab.see("It is deployed");
    const file = await fetchCode();
    assert.equal(file, CODE);
  });

  await step("it is tried with an event of a template", async () => {
    await tab.follow(() => tab.click("link", "Test"));
    await tab.see("Template");
    await tab.choose("Template", "Hello World");
    await tab.follow(() => tab.click("button", "Test"));
    await tab.see("It returned");
    await tab.see('"parcel": "test value 1"');
    await tab.see("a parcel for test value 1");
    await tab.see("Took");
  });

  await step("an event and a statement are kept in the browser", async () => {
    tab.answer = "mine";
    await tab.fill("Event, JSON", '{"key1": "kept"}');
    await tab.click("button", "Keep this event…");
    await until("it is among the templates", () => tab.evaluate(() => [...document.querySelector("[name=template]").options].some((one) => one.text === "mine")));
    await tab.goto("/console/functions/parcels/test");
    await tab.choose("Template", "mine");
    assert.equal(await tab.evaluate(() => document.querySelector("[name=event]").value), '{"key1": "kept"}');
    await tab.click("button", "Forget it");
    await tab.goto("/console/sql");
    await tab.fill("Statement", "SELECT 'kept'");
    await tab.click("button", "Keep this statement…");
    await tab.find("button", "mine");
    await tab.goto("/console/sql");
    await tab.click("button", "mine");
    assert.equal(await tab.evaluate(() => document.querySelector("[name=statement]").value), "SELECT 'kept'");
    await tab.click("button", "Forget mine");
    await until("it is gone", async () => (await tab.all("button", "mine")).length === 0);
    tab.dialogs.length = 0;
  });

  await step("the run is among the runs", async () => {
    const { json } = await v1("GET", "/invocations?function=parcels");
    await tab.follow(() => tab.click("link", "Invocations"));
    await tab.follow(() => tab.click("link", json.invocations[0].request_id));
    await tab.see("a parcel for test value 1");
  });

  await step("its line is found by searching, and leads back to the run", async () => {
    await tab.follow(() => tab.click("link", "Logs"));
    await tab.fill("Query", '"a parcel"', "combobox");
    await tab.press("Escape");
    await tab.follow(() => tab.click("button", "Find"));
    await tab.see("a parcel for test value 1");
    await tab.see("1 line, from");
    await tab.follow(() => tab.click("link", "parcels"));
    await tab.see("a parcel for test value 1");
  });

  await step("it is on the chart of the overview, and of the function", async () => {
    await tab.follow(() => tab.click("link", "Overview"));
    await tab.find("image", "1 run by time, 0 of them failed");
    await tab.follow(() => tab.click("link", "24 hours"));
    await tab.find("image", "1 run by time, 0 of them failed");
    await tab.goto("/console/functions/parcels/monitoring");
    await tab.find("image", "1 run by time, 0 of them failed");
  });

  await step("a statement of SQL counts it, and is drawn", async () => {
    await tab.follow(() => tab.click("link", "SQL"));
    await tab.fill("Statement", "SELECT function, count(*) AS runs FROM invocations GROUP BY function");
    await tab.follow(() => tab.click("button", "As bars"));
    await tab.find("cell", "parcels");
  });

  await step("an event that fails is told as such, and kept in the field", async () => {
    await tab.goto("/console/functions/parcels/test");
    await tab.fill("Event, JSON", '{"key2": 1}');
    await tab.follow(() => tab.click("button", "Test"));
    await tab.see("It failed");
    await tab.see("KeyError");
    assert.equal(await tab.evaluate(() => document.querySelector("textarea").value), '{"key2": 1}');
  });

  await step("it is deleted, after a question", async () => {
    await tab.goto("/console/functions/parcels/configuration");
    tab.consents = false;
    await tab.click("button", "Delete the function");
    await until("a question is asked", () => tab.dialogs.length === 1);
    assert.equal((await v1("GET", "/functions")).json.functions.length, 1);
    tab.consents = true;
    await tab.follow(() => tab.click("button", "Delete the function"));
    await tab.see("The function is deleted.");
    assert.deepEqual(tab.complaints, []);
  });

  function fetchCode() {
    return tab.evaluate(() => document.querySelector("textarea").value);
  }
});
