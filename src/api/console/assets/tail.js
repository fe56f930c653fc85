// The live log: lines come as server-sent events, and are put into the page a hundred at a time.
"use strict";

for (const place of document.querySelectorAll("[data-tail]")) {
  /** Lines kept in the page; older ones go. */
  const KEPT = 5000;
  /** Lines put into the page for one picture that the browser paints. */
  const AT_ONCE = 100;
  const [log, state, number, pause, follow, clear] = [".log", "[data-state]", "[data-count]", "[data-pause]", "[data-follow]", "[data-clear]"].map(
    (what) => place.querySelector(what),
  );
  let waiting = [];
  let isAsked = false;
  let isPaused = false;
  let count = 0;
  let shown = 0;
  let missed = 0;
  /** Lines that a pause holds back. */
  let held = 0;
  let wasOpen = false;
  place.hidden = false;

  const source = new EventSource(place.dataset.tail);

  const say = (where, text) => {
    if (where.textContent !== text) where.textContent = text;
  };
  const going = () => {
    if (source.readyState === EventSource.CLOSED) return "The server refused: is the query right, and are you still signed in?";
    if (source.readyState === EventSource.CONNECTING) return wasOpen ? "Connecting again…" : "Connecting…";
    const lost = missed ? `, though ${missed} lines could not be sent in time` : "";
    return `${isPaused ? "Paused" : "Following"}${lost}`;
  };
  const told = () => {
    const kept = held > KEPT ? `, of which the newest ${KEPT} are kept` : "";
    const behind = isPaused && held ? `, ${held} held back${kept}` : "";
    return `: ${count} ${count === 1 ? "line" : "lines"}${behind}`;
  };
  /** How it goes is written only where it has changed, so that it is read out once. */
  const tell = () => {
    const isOpen = source.readyState === EventSource.OPEN;
    wasOpen ||= isOpen;
    say(state, going());
    say(number, isOpen ? told() : "");
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
    // A crash may have left lines of a run that has no ID yet.
    const run = part(line.request_id ? "a" : "span", "where", line.function);
    if (line.request_id) {
      run.href = place.dataset.runs.replace("ID", encodeURIComponent(line.request_id));
      run.title = line.request_id;
    }
    row.append(part("span", "time", time), run, part("span", "text", line.message));
    return row;
  };
  const draw = () => {
    isAsked = false;
    if (isPaused) return tell();
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
    tell();
    if (waiting.length) ask();
  };
  const ask = () => {
    if (!isAsked) {
      isAsked = true;
      // A page that nobody sees is not painted; it goes on when somebody looks.
      requestAnimationFrame(draw);
    }
  };

  source.addEventListener("open", tell);
  source.addEventListener("message", (event) => {
    waiting.push(JSON.parse(event.data));
    count += 1;
    held += 1;
    // What is held back is bounded as well.
    if (waiting.length > 2 * KEPT) waiting.splice(0, waiting.length - KEPT);
    ask();
  });
  source.addEventListener("missed", (event) => {
    missed += JSON.parse(event.data).lines;
    ask();
  });
  source.addEventListener("error", tell);
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    held = waiting.length;
    pause.textContent = isPaused ? "Go on" : "Pause";
    ask();
  });
  clear.addEventListener("click", () => {
    log.replaceChildren();
    count = missed = shown = 0;
    ask();
  });
}
