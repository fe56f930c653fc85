// The live log: lines come as server-sent events, and are put into the page a hundred at a time.
"use strict";

for (const place of document.querySelectorAll("[data-tail]")) {
  /** Lines kept in the page; older ones go. */
  const KEPT = 5000;
  /** Lines put into the page for one picture that the browser paints. */
  const AT_ONCE = 100;
  const [log, state, pause, follow, clear] = [".log", "[data-state]", "[data-pause]", "[data-follow]", "[data-clear]"].map(
    (what) => place.querySelector(what),
  );
  let waiting = [];
  let isAsked = false;
  let isPaused = false;
  let count = 0;
  let shown = 0;
  let missed = 0;
  place.hidden = false;

  const say = (text) => {
    if (state.textContent !== text) state.textContent = text;
  };
  const told = () => {
    const lines = `${count} ${count === 1 ? "line" : "lines"}`;
    const behind = isPaused && waiting.length ? `, ${waiting.length} held back` : "";
    const lost = missed ? `, ${missed} could not be sent in time` : "";
    return `${isPaused ? "Paused" : "Following"}: ${lines}${behind}${lost}`;
  };
  const part = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  };
  const drawn = (line) => {
    const row = part("div", `line ${line.stream}${line.level === "ERROR" ? " error" : ""}`, "");
    const time = new Date(line.ts_us / 1000).toISOString().slice(11, 23);
    const run = part("a", "where", line.function);
    run.href = place.dataset.runs.replace("ID", encodeURIComponent(line.request_id));
    run.title = line.request_id;
    row.append(part("span", "time", time), run, part("span", "text", line.message));
    return row;
  };
  const draw = () => {
    isAsked = false;
    if (isPaused) {
      say(told());
      return;
    }
    // Lines come in bursts; a burst at once would leave whoever uses the page waiting.
    if (waiting.length > KEPT) waiting.splice(0, waiting.length - KEPT);
    const fresh = waiting.splice(0, AT_ONCE);
    // What comes together goes together: the browser lays out only those parts that are in sight.
    if (fresh.length) {
      const together = part("div", "together", "");
      together.append(...fresh.map(drawn));
      log.append(together);
    }
    shown += fresh.length;
    while (shown > KEPT) {
      shown -= log.firstElementChild.childElementCount;
      log.firstElementChild.remove();
    }
    if (follow.checked) log.scrollTop = log.scrollHeight;
    say(told());
    if (waiting.length) ask();
  };
  const ask = () => {
    if (!isAsked) {
      isAsked = true;
      // A page that nobody sees is not painted; it goes on when somebody looks.
      requestAnimationFrame(draw);
    }
  };

  const source = new EventSource(place.dataset.tail);
  source.addEventListener("open", () => say(told()));
  source.addEventListener("message", (event) => {
    waiting.push(JSON.parse(event.data));
    count += 1;
    // What is held back is bounded as well.
    if (waiting.length > 2 * KEPT) waiting.splice(0, waiting.length - KEPT);
    ask();
  });
  source.addEventListener("missed", (event) => {
    missed += JSON.parse(event.data).lines;
    ask();
  });
  source.addEventListener("error", () => {
    say(source.readyState === EventSource.CLOSED ? "The server refused: is the query right, and are you still signed in?" : "Connecting again…");
  });
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Go on" : "Pause";
    ask();
  });
  clear.addEventListener("click", () => {
    log.replaceChildren();
    count = missed = shown = 0;
    ask();
  });
}
