// Who gets in and who does not: signing in and out, links that work once, other origins, names made to point here, and what pages
// tell the browser to forbid.

import assert from "node:assert/strict";
import { createServer } from "node:http";

import { EVIL } from "./browser.mjs";
import { URL_OF_SERVER, run, signIn, step, v1 } from "./common.mjs";
import { PAGES, furnish } from "./pages.mjs";

const PORT = new URL(URL_OF_SERVER).port;

await run(async (browser) => {
  const there = await furnish();
  const tab = await browser.tab();

  await step("whoever is not signed in is asked to, and comes to the page he wanted", async () => {
    await tab.goto("/console/invocations?function=greet");
    assert.equal(await tab.path(), "/console/sign-in?next=%2Fconsole%2Finvocations%3Ffunction%3Dgreet");
    await tab.fill("Key", "fnl_wrong");
    assert.equal((await tab.follow(() => tab.press("Enter"))).status, 401);
    await tab.see("This key is not known");
    assert.deepEqual(await tab.cookies(), []);
    await tab.fill("Key", process.env.FNLITE_KEY);
    await tab.follow(() => tab.click("button", "Sign in"));
    assert.equal(await tab.path(), "/console/invocations?function=greet");
  });

  await step("the cookie is for no script and no other site", async () => {
    const [cookie, ...more] = await tab.cookies();
    assert.deepEqual(more, []);
    assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/console"]);
    assert.equal(await tab.evaluate(() => document.cookie), "");
    const kept = await tab.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    assert(!kept.includes("fnl_"), kept);
  });

  await step("a page of another site, or of another port, changes and reads nothing", async () => {
    const stranger = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<title>x</title>"));
    await new Promise((resolve) => stranger.listen(0, "127.0.0.1", resolve));
    try {
      for (const host of [EVIL, "127.0.0.1"]) {
        await attacked(browser, tab, `http://${host}:${stranger.address().port}/`);
      }
    } finally {
      stranger.closeAllConnections();
      stranger.close();
    }
  });

  await step("a name that was made to point here is not answered to", async () => {
    const other = await browser.tab(tab.context);
    for (const path of ["/console/", "/console/sign-in", "/console/assets/console.js", "/console/v1/functions"]) {
      const answer = await other.goto(`http://${EVIL}:${PORT}${path}`);
      assert.equal(answer.status, 403, path);
    }
    await other.goto(`http://${EVIL}:${PORT}/console/`);
    await other.see(`does not answer to the name "${EVIL}"`);
    const posted = (path) => fetch(path, { method: "POST", body: "key=x" }).then((answer) => answer.status);
    for (const path of ["/console/sign-in", "/console/sign-out", "/console/v1/functions/greet/invoke"]) {
      assert.equal(await other.evaluate(posted, path), 403, path);
    }
    await other.close();
  });

  await step("every page forbids what is not ours, and asks nobody else for anything", async () => {
    const outside = await browser.tab();
    for (const page of PAGES) {
      for (const visitor of page.isOpen ? [outside, tab] : [tab]) {
        const answer = await visitor.goto(page.path(there));
        assert.equal(answer.status, page.status ?? 200, page.name);
        checkPolicy(answer, page.name);
      }
    }
    for (const url of [...tab.requests, ...outside.requests]) {
      assert(url.startsWith(`${URL_OF_SERVER}/console/`), `asked for ${url}`);
    }
    await outside.close();
  });

  await step("whoever has a key to look only cannot run or change anything", async () => {
    const { json: key } = await v1("POST", "/keys", { name: "looks", scope: "read" });
    const reader = await browser.tab();
    await signIn(reader, key.secret ?? key.key);
    await reader.see("key: read");
    const asked = async (method, path) => (await fetch(path, { method, body: method === "GET" ? undefined : "{}" })).status;
    assert.equal(await reader.evaluate(asked, "GET", "/console/v1/functions"), 200);
    assert.equal(await reader.evaluate(asked, "POST", "/console/v1/functions/greet/invoke"), 403);
    assert.equal(await reader.evaluate(asked, "DELETE", "/console/v1/functions/greet"), 403);
    await v1("DELETE", `/keys/${key.id}`);
    await reader.goto("/console/invocations");
    assert.match(await reader.path(), /^\/console\/sign-in/, "a key that was revoked ends its sessions");
    await reader.close();
  });

  await step("a link signs in, once", async () => {
    const guest = await browser.tab();
    await guest.goto(process.env.FNLITE_LINK);
    await guest.see("Sign out");
    assert.equal(await guest.path(), "/console/");
    const late = await browser.tab();
    assert.equal((await late.goto(process.env.FNLITE_LINK)).status, 403);
    await late.see("This link was used already");
    assert.deepEqual(await late.cookies(), []);
    await Promise.all([guest.close(), late.close()]);
  });

  await step("signing out ends the session itself, not only this browser's memory of it", async () => {
    const [cookie] = await tab.cookies();
    await tab.goto("/console/invocations");
    await tab.follow(() => tab.click("button", "Sign out"));
    assert.equal(await tab.path(), "/console/sign-in");
    assert.deepEqual(await tab.cookies(), []);
    const headers = { Cookie: `${cookie.name}=${cookie.value}` };
    const answer = await fetch(`${URL_OF_SERVER}/console/v1/functions`, { headers });
    assert.equal(answer.status, 401);
  });

  await step("the way back after signing in leads nowhere else", async () => {
    for (const next of [`http://${EVIL}/`, `//${EVIL}/`, "javascript:alert(1)", `/console/../../${EVIL}`, `/console\\${EVIL}`]) {
      const guest = await browser.tab();
      await guest.goto(`/console/sign-in?next=${encodeURIComponent(next)}`);
      await guest.fill("Key", process.env.FNLITE_KEY);
      await guest.follow(() => guest.click("button", "Sign in"));
      assert.equal(await guest.evaluate(() => location.origin), URL_OF_SERVER, next);
      assert.deepEqual(guest.dialogs, []);
      await guest.close();
    }
  });
});

/** Everything a page of `origin` can do in the browser of somebody who is signed in. */
async function attacked(browser, victim, origin) {
  const runs = async () => (await v1("GET", "/invocations?function=greet&limit=100")).json.invocations.length;
  const before = await runs();
  const tab = await browser.tab(victim.context);

  const targets = ["/console/v1/functions/greet/invoke", "/console/sign-out", "/console/sign-in"];
  for (const target of targets) {
    await tab.goto(origin);
    const answer = await tab.follow(() => tab.evaluate(send, `${URL_OF_SERVER}${target}`));
    // From another site, the browser has not even sent the cookie along.
    assert([401, 403].includes(answer.status), `${origin} ${target}: ${answer.status}`);
  }

  await tab.goto(origin);
  const blind = (url, method) =>
    fetch(url, { method, mode: "no-cors", credentials: "include", body: method === "GET" ? undefined : "{}" }).then(
      (answer) => answer.type,
      () => "refused",
    );
  const reading = (url, more) =>
    fetch(url, { credentials: "include", ...more }).then(
      (answer) => `read ${answer.status}`,
      () => "refused",
    );
  const json = { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } };
  for (const target of [...targets, "/console/", "/console/v1/functions", "/console/v1/keys"]) {
    const url = `${URL_OF_SERVER}${target}`;
    for (const method of ["GET", "POST"]) await tab.evaluate(blind, url, method);
    for (const more of [{}, { method: "DELETE" }, json]) {
      assert.equal(await tab.evaluate(reading, url, more), "refused", `${origin} ${target}`);
    }
  }

  // In a frame of theirs, where a click would be the visitor's own.
  await tab.evaluate(framed, `${URL_OF_SERVER}/console/invocations`);
  assert(tab.complaints.some((text) => text.includes("frame-ancestors")), `${origin}: ${tab.complaints}`);
  await tab.close();

  assert.equal(await runs(), before, `${origin} ran something`);
  await victim.goto("/console/invocations");
  await victim.see("Sign out");
}

/** Runs in the page. */
function send(url) {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: url });
  const field = document.createElement("input");
  Object.assign(field, { name: "key", value: "fnl_x" });
  form.append(field);
  document.body.append(form);
  form.submit();
}

/** Runs in the page. */
function framed(url) {
  const frame = document.createElement("iframe");
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve));
  frame.src = url;
  document.body.append(frame);
  return loaded.then(() => undefined);
}

function checkPolicy(answer, name) {
  const headers = Object.fromEntries(Object.entries(answer.headers).map(([key, value]) => [key.toLowerCase(), value]));
  const policy = headers["content-security-policy"] ?? "";
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"]) {
    assert(policy.includes(rule), `${name}: ${rule} is not in ${policy}`);
  }
  assert(!/unsafe|\*|data:|https?:/.test(policy), `${name}: ${policy}`);
  assert.equal(headers["x-content-type-options"], "nosniff", name);
  assert.equal(headers["cache-control"], "no-store", name);
}
