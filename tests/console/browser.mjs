// A Chromium of the test's own: without a window, with a profile that is thrown away, and with nobody to talk to but this host.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { DevTools } from "./devtools.mjs";
import { Tab } from "./tab.mjs";

/** A name of somebody else's that was made to point here. */
export const EVIL = "evil.example";

const OPTIONS = [
  "--headless",
  "--remote-debugging-pipe",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-extensions",
  "--disable-sync",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--hide-scrollbars",
  "--force-color-profile=srgb",
  `--host-resolver-rules=MAP ${EVIL} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
];

export class Browser {
  static async start() {
    const profile = mkdtempSync(join(tmpdir(), "fnlite-console-"));
    const options = [...OPTIONS, `--user-data-dir=${profile}`];
    // Its own walls need users that root's processes cannot become; the only pages it sees are the test's.
    if (process.getuid() === 0) options.push("--no-sandbox");
    const child = spawn(program(), [...options, "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
      // What it keeps beside its profile goes there as well.
      env: { ...process.env, HOME: profile },
    });
    child.on("error", (cause) => {
      throw new Error(`the browser cannot be started: ${cause.message}`);
    });
    const browser = new Browser();
    browser.child = child;
    browser.profile = profile;
    browser.devtools = new DevTools(child.stdio[3], child.stdio[4]);
    await browser.devtools.send("Browser.getVersion");
    return browser;
  }

  /** A tab of somebody with cookies of his own, or of whoever has `context`. */
  async tab(context = undefined) {
    const { devtools } = this;
    const browserContextId = context ?? (await devtools.send("Target.createBrowserContext")).browserContextId;
    const { targetId } = await devtools.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await devtools.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(devtools, sessionId, targetId, browserContextId);
    await tab.begin();
    return tab;
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.on("exit", resolve));
    this.devtools.send("Browser.close").catch(() => {});
    const impatience = setTimeout(() => this.child.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(impatience);
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

function program() {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const folders = process.env.PATH.split(":");
  const found = names.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
  if (!found) throw new Error("there is no Chromium: run scripts/test, which installs it");
  return found;
}
