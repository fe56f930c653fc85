// How every page looks and whom it serves: narrow and wide, light and dark, by keyboard, without scripts, and by the rules that axe
// knows. Keeps pictures of each in target/console.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";

import { PICTURES, URL_OF_SERVER, run, signIn, step } from "./common.mjs";
import { walk } from "./keyboard.mjs";
import { PAGES, furnish } from "./pages.mjs";

/** The narrowest screen that is served. */
const NARROW = 360;
/** What all pages load together, at most. */
const ASSETS_BYTES_MAX = 150 * 1024;

const axe = new URL("../../target/browser/axe-core/axe.min.js", import.meta.url);
assert(existsSync(axe), "axe-core is missing: run scripts/test, which installs it in target/browser");
const AXE = readFileSync(axe, "utf8");

mkdirSync(PICTURES, { recursive: true });

await run(async (browser) => {
  const there = await furnish();
  const inside = await browser.tab();
  const outside = await browser.tab();
  await signIn(inside);
  const found = [];
  for (const page of PAGES) {
    const tab = page.isOpen ? outside : inside;
    await step(page.name, async () => {
      // All that is wrong with a page, and with all pages, is told at once.
      for (const look of [wide, narrow, keyboard, withoutScripts]) {
        await look(tab, page, there).catch((fault) => found.push(`${page.name}: ${fault.message}`));
      }
    });
  }
  await step("all that pages load is small", async () => {
    const assets = [...new Set([...inside.requests, ...outside.requests])].filter((url) => url.includes("/assets/"));
    const sizes = await Promise.all(assets.map(async (url) => (await (await fetch(url)).arrayBuffer()).byteLength));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    console.log(`${bytes} bytes in ${assets.length} files`);
    assert(assets.every((url) => url.startsWith(URL_OF_SERVER)), assets.join("\n"));
    assert(bytes <= ASSETS_BYTES_MAX, `${bytes} bytes`);
  });
  assert.deepEqual(found, [], `\n${found.join("\n")}\n`);
});

/** At a desk: one heading, and nothing that axe takes for serious, in both colours. */
async function wide(tab, page, there) {
  await tab.size(1280, 900);
  for (const colours of ["light", "dark"]) {
    await tab.colours(colours);
    tab.complaints.length = 0;
    await tab.goto(page.path(there));
    assert.deepEqual(await tab.evaluate(() => [...document.querySelectorAll("h1")].map((one) => one.innerText)), [page.heading]);
    await tab.picture(`${PICTURES}${page.name}-${colours}.png`);
    // The browser complains of every answer that is none.
    const complaints = tab.complaints.filter((text) => !page.status || !text.includes(`status of ${page.status}`));
    assert.deepEqual(complaints, []);
    assert.deepEqual(await violations(tab), [], colours);
    assert.deepEqual(await tab.evaluate(overruled), [], "rules of the style overrule what the page says");
  }
  await tab.colours("light");
}

/** On a telephone: nothing sticks out. */
async function narrow(tab, page, there) {
  await tab.size(NARROW, 740);
  for (const colours of ["light", "dark"]) {
    await tab.colours(colours);
    await tab.goto(page.path(there));
    await tab.picture(`${PICTURES}${page.name}-${NARROW}-${colours}.png`);
    const { width, wide } = await tab.evaluate(sticking);
    assert(width <= NARROW, `${width} pixels wide, not ${NARROW}: ${wide.join(" ")}`);
  }
  await tab.colours("light");
}

async function keyboard(tab, page, there) {
  await tab.size(1280, 900);
  await tab.goto(page.path(there));
  await walk(tab, page.name);
}

async function withoutScripts(tab, page, there) {
  await tab.goto(page.path(there));
  const read = () => tab.evaluate(() => document.querySelector("main").innerText.replace(/\s+/g, " ").trim());
  const usual = await read();
  await tab.scripts(false);
  try {
    await tab.goto(page.path(there));
    const text = await read();
    assert(text.includes(page.heading), `without scripts: ${text}`);
    assert(text.length >= usual.length / 2, `without scripts, most is missing: ${text}`);
  } finally {
    await tab.scripts(true);
  }
}

/** What axe finds of serious and critical things: which rule, and where. */
async function violations(tab) {
  // In a world of its own, so that nothing of it is among the page's scripts.
  const { frameTree } = await tab.send("Page.getFrameTree");
  const world = await tab.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id, worldName: "axe" });
  const contextId = world.executionContextId;
  await tab.send("Runtime.evaluate", { contextId, expression: `${AXE};undefined` });
  const expression = `axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => id + ": " + nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + " " +
      node.any.map((check) => check.message).join(" ")).join(" | ")))`;
  const answer = await tab.send("Runtime.evaluate", { contextId, expression, awaitPromise: true, returnByValue: true });
  if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception?.description ?? "axe failed");
  return answer.result.value;
}

/** Runs in the page: what is hidden and shows, and code whose letters are not all of one width. */
function overruled() {
  const shows = [...document.querySelectorAll("[hidden]")].filter((element) => element.checkVisibility());
  const isCode = (element) => getComputedStyle(element).fontFamily.includes("monospace");
  const code = [...document.querySelectorAll("pre, code, textarea, .log")].filter((element) => !isCode(element));
  return [...shows, ...code].map((element) => element.outerHTML.slice(0, 100));
}

/** Runs in the page: how wide it is, and what is too wide. */
function sticking() {
  const width = document.scrollingElement.scrollWidth;
  const isScrolled = (element) => element.parentElement?.closest(".wide, pre, .log, [data-scrolls]");
  const wide = [...document.body.querySelectorAll("*")]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && !isScrolled(element))
    .map((element) => element.outerHTML.slice(0, 100));
  return { width, wide: wide.slice(0, 5) };
}
