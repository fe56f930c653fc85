// The pages of functions: line numbers, uploads with progress, test events of one's own.
"use strict";

// Line numbers beside the editor, a warning before leaving what is not saved, Ctrl+S.
for (const form of document.querySelectorAll("form[data-editor]")) {
  const area = form.querySelector("textarea");
  const numbers = document.createElement("pre");
  const frame = document.createElement("div");
  numbers.setAttribute("aria-hidden", "true");
  frame.className = "numbered";
  area.replaceWith(frame);
  frame.append(numbers, area);
  let count = 0;
  let isSaved = true;
  const draw = () => {
    const lines = area.value.split("\n").length;
    if (lines !== count) {
      count = lines;
      numbers.textContent = Array.from({ length: lines }, (_, index) => index + 1).join("\n");
    }
    numbers.scrollTop = area.scrollTop;
  };
  area.addEventListener("input", () => {
    isSaved = false;
    draw();
  });
  area.addEventListener("scroll", draw);
  form.addEventListener("submit", () => (isSaved = true));
  addEventListener("beforeunload", (event) => {
    if (!isSaved) event.preventDefault();
  });
  form.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  draw();
}

// An archive is sent as it is. The answer sends on to the page where what came of it is read.
for (const form of document.querySelectorAll("form[data-upload]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = new FormData(form);
    const [button, bar, problem] = ["button", "progress", ".problem"].map((what) => form.querySelector(what));
    const place = new URL(form.dataset.upload, location.href);
    // Only where it is a new function's: another's own name may have any letters.
    if (fields.has("name")) place.pathname = place.pathname.replace("NAME", encodeURIComponent(fields.get("name")));
    for (const name of ["runtime", "handler"]) {
      if (fields.has(name)) place.searchParams.set(name, fields.get(name));
    }
    const request = new XMLHttpRequest();
    const end = (sentence) => {
      button.disabled = false;
      bar.hidden = true;
      problem.hidden = false;
      problem.textContent = sentence;
    };
    request.upload.addEventListener("progress", ({ loaded, total }) => (bar.value = total ? loaded / total : 0));
    request.addEventListener("error", () => end("The server could not be reached."));
    request.addEventListener("load", () => {
      if (request.status < 400) {
        location.assign(request.responseURL);
        return;
      }
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      end(page.querySelector(".problem, main p")?.textContent ?? `It was refused (${request.status}).`);
    });
    button.disabled = true;
    bar.hidden = false;
    problem.hidden = true;
    request.open("POST", place);
    request.setRequestHeader("Content-Type", "application/zip");
    request.send(fields.get("file"));
  });
}

// Test events: choosing a template fills the field in at once, and own ones are kept in this browser, for each function.
for (const form of document.querySelectorAll("form[data-templates]")) {
  const choice = form.querySelector("select");
  const test = document.querySelector("form[data-test]");
  const area = test.querySelector("textarea");
  const kept = new Kept(`events.${new URLSearchParams(location.search).get("namespace") ?? ""}.${form.dataset.templates}`);
  const own = document.createElement("optgroup");
  own.label = "Kept in this browser";
  const list = () => {
    const all = kept.all();
    own.replaceChildren(
      ...all.map(([name, event]) => {
        const option = new Option(name, `own:${name}`);
        option.dataset.event = event;
        return option;
      }),
    );
    if (all.length) choice.append(own);
    else own.remove();
    forget.hidden = !choice.value.startsWith("own:");
  };
  form.querySelector("button").hidden = true;
  const keep = plainButton("Keep this event…", () => {
    kept.keep(area.value);
    list();
  });
  const forget = plainButton("Forget it", () => {
    kept.forget(choice.value.slice(4));
    list();
  });
  form.append(keep, forget);
  choice.addEventListener("change", () => {
    area.value = choice.selectedOptions[0]?.dataset.event ?? area.value;
    forget.hidden = !choice.value.startsWith("own:");
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  test.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") test.requestSubmit();
  });
  // Whoever uses a keyboard or hears the page goes on at what came of the test.
  document.getElementById("result")?.focus();
  list();
}
