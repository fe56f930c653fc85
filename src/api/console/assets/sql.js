// The SQL page: Ctrl+Enter runs, and statements of one's own are kept in this browser.
"use strict";

for (const form of document.querySelectorAll("form[data-sql]")) {
  const PLACE = "fnlite.statements";
  const area = form.querySelector("textarea");
  const list = document.querySelector("[data-statements]");
  area.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") form.requestSubmit();
  });
  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(PLACE)) ?? {};
    } catch {
      return {};
    }
  };
  const write = (change) => {
    const kept = read();
    change(kept);
    try {
      localStorage.setItem(PLACE, JSON.stringify(kept));
    } catch {
      alert("This browser keeps nothing for this page, or has no room left: keep the statement elsewhere.");
    }
    show();
  };
  const button = (text, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "plain";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  };
  const own = document.createElement("ul");
  own.className = "plain";
  const heading = document.createElement("h3");
  heading.textContent = "Kept in this browser";
  const show = () => {
    const kept = Object.entries(read());
    own.replaceChildren(
      ...kept.map(([name, statement]) => {
        const item = document.createElement("li");
        const forget = button("Forget it", () => write((all) => delete all[name]));
        forget.setAttribute("aria-label", `Forget ${name}`);
        item.append(button(name, () => {
          area.value = statement;
          area.focus();
        }), " ", forget);
        return item;
      }),
    );
    heading.hidden = !kept.length;
  };
  list.after(heading, own);
  form.querySelector(".row").append(
    button("Keep this statement…", () => {
      const name = prompt("Keep it in this browser by the name");
      if (name) write((kept) => (kept[name] = area.value));
    }),
  );
  show();
}
