// The gateway as a worker sees it: what to report, and which sessions there are. Node 20 or newer, no packages.

const pauses = [1, 2, 4, 8, 10].map((seconds) => seconds * 1000);
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Gateway {
  #queues = new Map();

  // GATEWAY is its address, GATEWAY_TOKEN its token; `worker` names this worker, and holds a lease by its stream.
  constructor(worker) {
    this.url = process.env.GATEWAY ?? "http://127.0.0.1:3000";
    this.worker = worker;
    this.headers = process.env.GATEWAY_TOKEN ? { Authorization: `Bearer ${process.env.GATEWAY_TOKEN}` } : {};
  }

  // Reports an event: one at a time for a session, each until the gateway has it. `more` may hold the time of an event that is
  // reported again. Returns the session; null when it was deleted; undefined when the event says nothing or comes too late.
  report(id, event, data, more = {}) {
    const body = JSON.stringify({ event, data, at: Date.now(), worker: this.worker, ...more });
    const result = (this.#queues.get(id) ?? Promise.resolve()).then(() => this.#send(id, body));
    const done = result.catch((error) => { console.error(`${event} was not reported:`, error.message); });
    this.#queues.set(id, done);
    done.then(() => { if (this.#queues.get(id) === done) this.#queues.delete(id); });
    return done;
  }

  async #send(id, body) {
    for (let attempt = 0; ; attempt++) {
      const response = await this.request("POST", `/sessions/${encodeURIComponent(id)}/events`, body).catch(() => null);
      if (response?.status === 200) return response.json();
      const problem = await response?.json().catch(() => null);
      // Not any 404: a proxy that lost the gateway says so too.
      if (problem?.code === "session_not_found") return null;
      if (response && response.status < 500 && response.status !== 404) {
        // 204: nothing to say; 422: too late. Neither gets better.
        if (![204, 422].includes(response.status)) throw new Error(`the gateway answered ${response.status}`);
        return undefined;
      }
      await sleep(pauses[Math.min(attempt, pauses.length - 1)]);
    }
  }

  request(method, path, body) {
    const headers = body === undefined ? this.headers : { ...this.headers, "Content-Type": "application/json" };
    return fetch(this.url + path, { method, headers, body, signal: AbortSignal.timeout(90000) });
  }

  // Follows the sessions for ever: `all` gets every session at first and whenever the place in the journal is lost, then
  // `changed` and `deleted` each one that changes.
  async follow({ all, changed, deleted }) {
    let cursor = null;
    let arriving = null;
    for (let attempt = 0; ; attempt++) {
      try {
        for await (const { event, id, data } of this.#events(cursor)) {
          const value = JSON.parse(data);
          if (event === "reset") arriving = [];
          else if (event === "session") arriving ? arriving.push(value) : changed(value);
          else if (event === "deleted") deleted(value.id);
          else if (event === "ready") {
            if (arriving) all(arriving);
            arriving = null;
            attempt = 0;
          }
          if (id) cursor = id;
        }
      } catch (error) {
        console.error("no stream of changes:", error.message);
      }
      arriving = null;
      await sleep(pauses[Math.min(attempt, pauses.length - 1)]);
    }
  }

  async *#events(cursor) {
    const query = `worker=${encodeURIComponent(this.worker)}` + (cursor ? `&after=${cursor}` : "");
    const silent = new AbortController();
    const watchdog = setTimeout(() => silent.abort(new Error("the gateway was silent for 40 s")), 40000);
    try {
      const response = await fetch(`${this.url}/changes?${query}`, { headers: this.headers, signal: silent.signal });
      if (!response.ok) throw new Error(`the gateway answered ${response.status}`);
      let rest = "";
      for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
        watchdog.refresh();
        const blocks = (rest + text).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          yield Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
        }
      }
    } finally {
      clearTimeout(watchdog);
      silent.abort();
    }
  }
}
