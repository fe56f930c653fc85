// The SQL page: Ctrl+Enter runs, and statements of one's own are kept in this browser.
"use strict";

for (const form of document.querySelectorAll("form[data-sql]")) {
  const kept = new Kept("statements");
  const area = form.querySelector("textarea");
  const list = document.querySelector("[data-statements]");
  area.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") form.requestSubmit();
  });
  const own = document.createElement("ul");
  own.className = "plain";
  const heading = document.createElement("h3");
  heading.textContent = "Kept in this browser";
  const show = () => {
    const all = kept.all();
    own.replaceChildren(
      ...all.map(([name, statement]) => {
        const item = document.createElement("li");
        const take = plainButton(name, () => {
          area.value = statement;
          area.focus();
        });
        const forget = plainButton("Forget it", () => {
          kept.forget(name);
          show();
        });
        forget.setAttribute("aria-label", `Forget ${name}`);
        item.append(take, " ", forget);
        return item;
      }),
    );
    heading.hidden = !all.length;
  };
  list.after(heading, own);
  const keep = plainButton("Keep this statement…", () => {
    kept.keep(area.value);
    show();
  });
  form.querySelector(".row").append(keep);
  show();
}
