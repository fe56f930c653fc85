// The README's pictures: of a server that has functions people know from their own work, and some traffic. `scripts/screenshots`
// starts two servers and runs this for each: `run` shows how long a run takes, so the clock of its server is right; `hour` shows an
// hour of traffic, so the clock of its server hurries.

import { mkdirSync } from "node:fs";

import { deploy, invoke, run, signIn, v1 } from "./common.mjs";

const FOLDER = new URL("screenshots/", import.meta.url).pathname;
/** What is tested, and often enough before that it is a usual run. */
const TESTED = { order: 1729, customer: "Ada", items: { tea: 3, pot: 1 } };
const TESTED_BEFORE = 20;
/** So many, so far apart that they fill most of an hour of a clock that is thirty times as fast. */
const ROUNDS = 160;
const PAUSE_MS = 600;

const THUMBNAIL = `import time

def main_handler(event, context):
    size = event["size"]
    print("reading", event["photo"], size)
    time.sleep(size / 40000)
    print("thumbnail written: 320 x 240")
    return {"photo": event["photo"], "thumbnail": "small/" + event["photo"]}
`;

const ORDER = `import json

PRICES = {"tea": 4.2, "cup": 9.5, "pot": 24.0}

def main_handler(event, context):
    print("order", event["order"], "of", event["customer"])
    total = 0
    for item, count in event["items"].items():
        if item not in PRICES:
            raise KeyError("no price for " + item)
        total += PRICES[item] * count
        print("  ", count, "x", item)
    if total > 100:
        print("a large order:", total, "is looked at by a person")
    return {"order": event["order"], "total": round(total, 2), "currency": "EUR"}
`;

const REPORT = `def main_handler(event, context):
    print("counting what was sold on", event.get("day", "every day"))
    return {"rows": 1284}
`;

mkdirSync(FOLDER, { recursive: true });

const parts = { run: pictureOfARun, hour: picturesOfAnHour };
await run(async (browser) => {
  const tab = await browser.tab();
  await tab.colours("light");
  await deploy("orders", ORDER, { description: "Adds up what was ordered." });
  await parts[process.argv[2]](tab);
});

async function pictureOfARun(tab) {
  for (let round = 0; round < TESTED_BEFORE; round++) await invoke("orders", TESTED);
  await tab.size(1100, 900);
  await signIn(tab);
  await tab.goto("/console/functions/orders/test");
  await tab.fill("Event, JSON", JSON.stringify(TESTED, null, 2));
  await tab.follow(() => tab.click("button", "Test"));
  await tab.picture(`${FOLDER}test.png`, 1100);
}

async function picturesOfAnHour(tab) {
  await deploy("thumbnails", THUMBNAIL, { description: "Makes photos small.", memory_mb: 256 });
  await deploy("report", REPORT, { description: "Counts what was sold, every night." });
  await v1("POST", "/functions/report/triggers", { name: "nightly", type: "timer", spec: { cron: "0 30 2 * * * *" } });
  await traffic();

  await tab.size(1100, 760);
  await signIn(tab);
  await tab.goto("/console/");
  await tab.picture(`${FOLDER}overview.png`, 760);

  await tab.goto("/console/logs");
  await tab.picture(`${FOLDER}logs.png`, 760);
}

async function traffic() {
  const began = Date.now();
  for (let round = 0; round < ROUNDS; round++) {
    // Busy and quiet times, some seconds apart, which are minutes by the server's clock.
    await new Promise((resolve) => setTimeout(resolve, began + round * PAUSE_MS * (1 + 0.6 * Math.sin(round / 9)) - Date.now()));
    const items = round % 9 === 4 ? { tea: 2, kettle: 1 } : { tea: 1 + (round % 5), cup: round % 3 };
    const order = invoke("orders", { order: 1000 + round, customer: ["Ada", "Grace", "Alan", "Edsger"][round % 4], items });
    const photo = invoke("thumbnails", { photo: `IMG_${4210 + round}.jpg`, size: 1200 + ((round * 37) % 11) * 400 });
    await Promise.all([order, photo]);
  }
  await invoke("report", { day: "2024-05-01" });
}
