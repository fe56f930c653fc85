// What somebody meets who has a keyboard only.

import assert from "node:assert/strict";

/** From the top of the page, Tab leads to everything that can be used, and one sees where one is. */
export async function walk(tab, name) {
  const wanted = await tab.evaluate(mark);
  const met = new Set();
  await tab.evaluate(() => {
    // From the beginning, whatever the page has focused of itself.
    document.activeElement?.blur();
    getSelection().removeAllRanges();
    window.scrollTo(0, 0);
  });
  for (let last = null, stuck = 0; met.size < wanted.length && stuck < 3; ) {
    await tab.press("Tab");
    const here = await tab.evaluate(look);
    if (here.mark === last) {
      // Code is indented by Tab; Escape gives the key back.
      stuck++;
      await tab.press("Escape");
      continue;
    }
    [last, stuck] = [here.mark, 0];
    if (here.mark === null) continue;
    if (met.has(here.mark)) break;
    assert(here.isSeen, `${name}: nothing shows that ${here.what} has the focus`);
    met.add(here.mark);
  }
  const missed = wanted.filter((_, index) => !met.has(String(index)));
  assert.deepEqual(missed, [], `${name}: Tab does not lead to these`);
}

/** Runs in the page: numbers everything that can be used, and says what it is. */
function mark() {
  const usable = "a[href], button, input, select, textarea, summary, [tabindex='0'], [contenteditable='true']";
  const isThere = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled && element.type !== "hidden";
  // Of buttons that exclude each other, Tab meets one; arrows lead to the others.
  const isOther = (element) => {
    if (element.type !== "radio") return false;
    const group = [...document.querySelectorAll(`input[type=radio][name="${CSS.escape(element.name)}"]`)];
    return element !== (group.find((one) => one.checked) ?? group[0]);
  };
  const all = [...document.querySelectorAll(usable)].filter((element) => isThere(element) && element.tabIndex >= 0 && !isOther(element));
  all.forEach((element, index) => (element.dataset.mark = index));
  return all.map((element) => element.outerHTML.slice(0, 160));
}

/** Runs in the page: what has the focus. */
function look() {
  const element = document.activeElement;
  if (!element || element === document.body) return { mark: null };
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
  const isSeen = (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || boxShadow !== "none";
  const box = element.getBoundingClientRect();
  const isOnScreen = box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  return { mark: element.dataset.mark ?? null, isSeen: isSeen && isOnScreen, what: element.outerHTML.slice(0, 160) };
}
