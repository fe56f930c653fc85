// One tab: where it is, what it shows, and a person's hands. Things are found as people find them, by what they are and are
// called (role and accessible name), never by where they stand in the markup.

import { writeFileSync } from "node:fs";

import { URL_OF_SERVER, until } from "./common.mjs";

/** Keys that have no letter. */
const KEYS = { Tab: 9, Enter: 13, Escape: 27, Space: 32, ArrowDown: 40 };

/** Runs in every page before its own scripts. */
const WATCH = `
  window.seenViolations = [];
  document.addEventListener("securitypolicyviolation", (event) =>
    window.seenViolations.push(event.violatedDirective + " " + event.blockedURI + " " + event.sample));
`;

export class Tab {
  /** What was asked for over the network, as URLs. */
  requests = [];
  /** Answers that were documents: { url, status, headers }. */
  documents = [];
  /** Texts of dialogs that were opened. */
  dialogs = [];
  /** What went wrong in scripts, and what the browser complained of. */
  complaints = [];
  /** What a dialog is answered with, and what is typed into it. */
  consents = true;
  answer = "";
  #loaded = new Set();

  constructor(devtools, sessionId, targetId, context) {
    Object.assign(this, { devtools, sessionId, targetId, context });
    devtools.listen(sessionId, (method, params) => this.#happened(method, params));
  }

  async begin() {
    for (const domain of ["Page", "Network", "Runtime", "Log", "DOM", "Accessibility"]) await this.send(`${domain}.enable`);
    await this.send("Page.setLifecycleEventsEnabled", { enabled: true });
    await this.send("Page.addScriptToEvaluateOnNewDocument", { source: WATCH });
    await this.size(1280, 900);
  }

  send(method, params) {
    return this.devtools.send(method, params, this.sessionId);
  }

  #happened(method, params) {
    if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
    if (method === "Network.responseReceived" && params.type === "Document") this.documents.push(params.response);
    if (method === "Page.lifecycleEvent" && params.name === "load") this.#loaded.add(params.loaderId);
    if (method === "Runtime.exceptionThrown") {
      const { exception, text } = params.exceptionDetails;
      this.complaints.push(exception?.description ?? text);
    }
    if (method === "Log.entryAdded" && params.entry.level === "error") {
      this.complaints.push(`${params.entry.text} ${params.entry.url ?? ""}`);
    }
    if (method === "Page.javascriptDialogOpening") {
      // Leaving a form half filled is asked about by the browser itself; this is no page's doing.
      if (params.type !== "beforeunload") this.dialogs.push(params.message);
      this.send("Page.handleJavaScriptDialog", { accept: this.consents, promptText: this.answer }).catch(() => {});
    }
  }

  // Where it is.

  /** Goes to a page of the console, or to any URL; the answer. */
  async goto(where) {
    const url = new URL(where, URL_OF_SERVER).href;
    const { loaderId, errorText } = await this.send("Page.navigate", { url });
    if (errorText && errorText !== "net::ERR_HTTP_RESPONSE_CODE_FAILURE") throw new Error(`${url}: ${errorText}`);
    await until(`${url} is loaded`, () => this.#loaded.has(loaderId));
    return this.documents.at(-1);
  }

  /** Does something that leads to another page, and waits until that is there. */
  async follow(act) {
    const before = await this.#loader();
    await act();
    await until("another page is loaded", async () => {
      const now = await this.#loader();
      return now !== before && this.#loaded.has(now);
    });
    return this.documents.at(-1);
  }

  async #loader() {
    return (await this.send("Page.getFrameTree")).frameTree.frame.loaderId;
  }

  path() {
    return this.evaluate(() => location.pathname + location.search);
  }

  // What it shows.

  /** What `make(...given)` gives in the page. */
  async evaluate(make, ...given) {
    const expression = `(${make})(...${JSON.stringify(given)})`;
    const answer = await this.send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    const { exceptionDetails: fault } = answer;
    if (fault) throw new Error(fault.exception?.description ?? fault.text);
    return answer.result.value;
  }

  /** The text that is to be read, as it is laid out. */
  text() {
    return this.evaluate(() => document.body.innerText);
  }

  /** Waits until a text is to be read. */
  async see(text) {
    // A page that is being left has no text; the next look meets the next page.
    await until(`the page shows ${JSON.stringify(text)}`, async () => (await this.text().catch(() => "")).includes(text));
  }

  /** All that are of that role and, where one is given, of that name: ids for the protocol. */
  async all(role, name = undefined) {
    const { root } = await this.send("DOM.getDocument", { depth: 0 });
    const asked = { backendNodeId: root.backendNodeId, role, accessibleName: name };
    const { nodes } = await this.send("Accessibility.queryAXTree", asked);
    return nodes.filter((node) => !node.ignored).map((node) => node.backendDOMNodeId);
  }

  /** The first of that role and name, once there is one. */
  find(role, name) {
    return until(`there is a ${role} ${JSON.stringify(name)}`, async () => (await this.all(role, name).catch(() => []))[0]);
  }

  // A person's hands.

  async click(role, name) {
    const backendNodeId = await this.find(role, name);
    await this.send("DOM.scrollIntoViewIfNeeded", { backendNodeId });
    const { quads } = await this.send("DOM.getContentQuads", { backendNodeId });
    const [left, top, , , right, bottom] = quads[0];
    const at = { x: (left + right) / 2, y: (top + bottom) / 2, button: "left", clickCount: 1 };
    await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x: at.x, y: at.y });
    await this.send("Input.dispatchMouseEvent", { type: "mousePressed", ...at });
    await this.send("Input.dispatchMouseEvent", { type: "mouseReleased", ...at });
  }

  /** Puts a text in place of what a field holds, as by pasting. */
  async fill(name, text, role = "textbox") {
    const backendNodeId = await this.find(role, name);
    await this.fillNode(backendNodeId, text);
  }

  async fillNode(backendNodeId, text) {
    await this.send("DOM.focus", { backendNodeId });
    const select = { type: "keyDown", modifiers: 2, key: "a", windowsVirtualKeyCode: 65, commands: ["selectAll"] };
    await this.send("Input.dispatchKeyEvent", select);
    await this.send("Input.dispatchKeyEvent", { ...select, type: "keyUp", commands: [] });
    await this.send("Input.insertText", { text });
  }

  /** Chooses by what is to be read of a choice. */
  async choose(name, shown) {
    const backendNodeId = await this.find("combobox", name);
    const { object } = await this.send("DOM.resolveNode", { backendNodeId });
    const functionDeclaration = `function (shown) {
      const choice = [...this.options].find((option) => option.textContent.trim() === shown);
      if (!choice) throw new Error("there is no choice " + shown);
      this.value = choice.value;
      this.dispatchEvent(new Event("input", { bubbles: true }));
      this.dispatchEvent(new Event("change", { bubbles: true }));
    }`;
    const asked = { objectId: object.objectId, functionDeclaration, arguments: [{ value: shown }] };
    const { exceptionDetails: fault } = await this.send("Runtime.callFunctionOn", asked);
    if (fault) throw new Error(fault.exception.description);
  }

  async press(key, modifiers = 0) {
    const text = { Enter: "\r", Space: " " }[key];
    const event = { key: key === "Space" ? " " : key, code: key, windowsVirtualKeyCode: KEYS[key], modifiers };
    await this.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", text, ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  // How it is looked at.

  size(width, height) {
    return this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
  }

  /** "light" or "dark". */
  colours(value) {
    const features = [{ name: "prefers-color-scheme", value }, { name: "prefers-reduced-motion", value: "reduce" }];
    return this.send("Emulation.setEmulatedMedia", { features });
  }

  scripts(areRun) {
    return this.send("Emulation.setScriptExecutionDisabled", { value: !areRun });
  }

  /** Keeps how the page looks, down to `height` pixels at most. */
  async picture(file, height = 4000) {
    const { cssContentSize: size } = await this.send("Page.getLayoutMetrics");
    const width = await this.evaluate(() => innerWidth);
    const clip = { x: 0, y: 0, width, height: Math.min(size.height, height), scale: 1 };
    const { data } = await this.send("Page.captureScreenshot", { format: "png", captureBeyondViewport: true, clip });
    writeFileSync(file, Buffer.from(data, "base64"));
  }

  async cookies() {
    const { cookies } = await this.devtools.send("Storage.getCookies", { browserContextId: this.context });
    return cookies;
  }

  close() {
    return this.devtools.send("Target.closeTarget", { targetId: this.targetId });
  }
}
