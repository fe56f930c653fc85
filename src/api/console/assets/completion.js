// Names that a query may begin a word with, offered while it is typed.
"use strict";

for (const input of document.querySelectorAll("[data-completes]")) {
  const WORDS = [
    ...["FunctionName", "RequestId", "StatusCode", "Level", "Duration", "MemUsage", "Type", "LogTime", "StartTime"].map((name) => `SCF_${name}`),
    ...["Qualifier", "Alias", "RetryNum", "Namespace", "Message"].map((name) => `SCF_${name}`),
    ...["AND", "OR", "NOT"],
  ];
  const list = document.createElement("ul");
  list.className = "offers";
  list.id = "offers";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Names of fields");
  input.after(list);
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");
  let chosen = -1;

  /** The word that the caret stands behind. */
  const word = () => input.value.slice(0, input.selectionStart).match(/[A-Za-z_]*$/)[0];
  const close = () => {
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (index) => {
    chosen = index;
    [...list.children].forEach((offer, at) => offer.setAttribute("aria-selected", String(at === index)));
    const offer = list.children[index];
    offer.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", offer.id);
  };
  const take = (text) => {
    const end = input.selectionStart;
    const start = end - word().length;
    const tail = text.startsWith("SCF_") ? ":" : " ";
    input.setRangeText(text + tail, start, end, "end");
    input.focus();
    close();
  };
  const offer = () => {
    const typed = word().toLowerCase();
    const fits = typed ? WORDS.filter((name) => name.toLowerCase() !== typed && (name.toLowerCase().startsWith(typed) || name.toLowerCase().startsWith(`scf_${typed}`))) : [];
    if (!fits.length) return close();
    list.replaceChildren(
      ...fits.map((name, index) => {
        const made = document.createElement("li");
        made.id = `offer-${index}`;
        made.setAttribute("role", "option");
        made.setAttribute("aria-selected", "false");
        made.textContent = name;
        // Before the field loses the focus.
        made.addEventListener("mousedown", (event) => {
          event.preventDefault();
          take(name);
        });
        return made;
      }),
    );
    list.hidden = false;
    chosen = -1;
    input.setAttribute("aria-expanded", "true");
    input.removeAttribute("aria-activedescendant");
  };
  input.addEventListener("input", offer);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const count = list.childElementCount;
    if (event.key === "ArrowDown") choose((chosen + 1) % count);
    else if (event.key === "ArrowUp") choose((chosen + count - 1 + (chosen < 0 ? 1 : 0)) % count);
    else if (event.key === "Escape") close();
    else if (event.key === "Enter" && chosen >= 0) take(list.children[chosen].textContent);
    else if (event.key === "Tab" && chosen >= 0) return close();
    else return;
    event.preventDefault();
  });
}
