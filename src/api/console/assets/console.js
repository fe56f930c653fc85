// What pages can do beyond links and forms. Every page works without this; what is missing then is convenience.
"use strict";

// A page about something that is under way looks again by itself, while somebody looks at it.
for (const mark of document.querySelectorAll("[data-reload]")) {
  setInterval(() => {
    if (!document.hidden) location.reload();
  }, Number(mark.dataset.reload));
}

// What cannot be undone is asked about.
document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.ask ?? event.target.dataset.ask;
  if (question && !confirm(question)) event.preventDefault();
});

// What takes long is seen to go on, until the next page is there. What is downloaded leaves the page as it is.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.matches("[data-download]") || event.submitter?.matches("[data-download]")) return;
  setTimeout(() => {
    const bar = document.createElement("progress");
    bar.className = "working";
    bar.setAttribute("aria-label", "The server is at work");
    document.body.prepend(bar);
  }, 300);
});
// A page that the browser had kept is not at work.
addEventListener("pageshow", () => document.querySelector(".working")?.remove());
