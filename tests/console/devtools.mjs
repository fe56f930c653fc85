// The DevTools protocol over a pipe: NUL-terminated JSON by the browser's file descriptors 3 and 4. There is no port that anybody
// else could use, no WebSocket to speak, and a browser whose pipe closes ends by itself, however whoever drives it ended.

export class DevTools {
  #next = 1;
  #pending = new Map();
  #listeners = new Map();
  #half = Buffer.alloc(0);
  #to;

  constructor(to, from) {
    this.#to = to;
    from.on("data", (bytes) => this.#take(bytes));
    from.on("close", () => this.#end(new Error("the browser has ended")));
    // Writing to a browser that is gone is told by its end.
    to.on("error", () => {});
  }

  /** Asks for something and waits for the answer. */
  send(method, params = {}, sessionId = undefined) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, method });
      this.#to.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    });
  }

  /** Whatever happens in that session goes to `listener`. */
  listen(sessionId, listener) {
    this.#listeners.set(sessionId, listener);
  }

  #take(bytes) {
    let rest = Buffer.concat([this.#half, bytes]);
    for (let end; (end = rest.indexOf(0)) >= 0; rest = rest.subarray(end + 1)) {
      this.#heard(JSON.parse(rest.subarray(0, end).toString()));
    }
    this.#half = rest;
  }

  #heard(message) {
    if (message.id === undefined) {
      this.#listeners.get(message.sessionId)?.(message.method, message.params);
      return;
    }
    const { resolve, reject, method } = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.error) reject(new Error(`${method}: ${message.error.message}`));
    else resolve(message.result);
  }

  #end(why) {
    for (const { reject } of this.#pending.values()) reject(why);
    this.#pending.clear();
  }
}
