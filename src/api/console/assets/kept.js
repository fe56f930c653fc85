// What other scripts share: texts that somebody keeps in this browser, each by a name, and buttons that only scripts have.
"use strict";

/** Texts by name, in the browser's own storage. */
class Kept {
  constructor(place) {
    this.place = `fnlite.${place}`;
  }

  /** All of them, oldest first: [name, text]. */
  all() {
    try {
      return Object.entries(JSON.parse(localStorage.getItem(this.place)) ?? {});
    } catch {
      return [];
    }
  }

  /** Keeps a text by a name that is asked for. */
  keep(text) {
    const name = prompt("Keep it in this browser by the name");
    if (name) this.#write([...this.all().filter(([other]) => other !== name), [name, text]]);
  }

  forget(name) {
    this.#write(this.all().filter(([other]) => other !== name));
  }

  #write(pairs) {
    try {
      localStorage.setItem(this.place, JSON.stringify(Object.fromEntries(pairs)));
    } catch {
      alert("This browser keeps nothing for this page, or has no room left: keep it elsewhere.");
    }
  }
}

/** A button that does `act`. */
function plainButton(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "plain";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}
