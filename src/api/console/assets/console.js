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
