// The gateway as a worker sees it: which sessions there are, which of them this worker serves, and what to report. Node 20 or
// newer, no packages.

const pauses = [1, 2, 4, 8, 10].map((seconds) => seconds * 1000);
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const pauseBefore = (attempt) => sleep(pauses[Math.min(attempt, pauses.length - 1)]);

// What a report returns when another worker serves the session, an operator stopped it, or this worker's lease is over: close the
// socket.
export const lost = Symbol("lost");

export class Gateway {
  #queues = new Map();
  #lease = null; // its number, which the gateway gave
  #patience = 40000; // for how long the gateway may be silent, in milliseconds
  #leaseEnds = [Infinity, Infinity]; // by the clock, which goes on while the machine sleeps, and by one that nobody sets back
  #clockOffsets = null; // at most these clocks minus the gateway's

  // GATEWAY is its address, GATEWAY_TOKEN its token; `worker` names this worker.
  constructor(worker) {
    this.url = process.env.GATEWAY ?? "http://127.0.0.1:3000";
    this.worker = worker;
    this.headers = process.env.GATEWAY_TOKEN ? { Authorization: `Bearer ${process.env.GATEWAY_TOKEN}` } : {};
  }

  // Reports an event: one at a time for a session, each until the gateway has it. `at` is when it happened, and stays when it is
  // sent again. Returns the session; null when it was deleted; `lost`; undefined when the event says nothing or comes too late.
  report(id, event, data, at = Date.now()) {
    return this.#inTurn(id, () => this.#send("POST", `${path(id)}/events`, { event, data, at }))
      .catch((error) => { console.error(`${event} was not reported:`, error.message); });
  }

  // Claims a session, before its socket is opened. Returns the session, or undefined when it is another's or gone.
  async claim(id) {
    const session = await this.#inTurn(id, () => this.#send("POST", `${path(id)}/claim`, {}))
      .catch((error) => { console.error("a session was not claimed:", error.message); });
    return session === lost || session === null ? undefined : session;
  }

  // Whether this worker may serve a session, as far as it is known: nobody else does.
  isFree(session) {
    return session.holder === undefined || session.holder === this.worker;
  }

  // What is done for one session happens in turn.
  #inTurn(id, action) {
    const result = (this.#queues.get(id) ?? Promise.resolve()).then(action);
    const done = result.catch(() => {});
    this.#queues.set(id, done);
    done.then(() => { if (this.#queues.get(id) === done) this.#queues.delete(id); });
    return result;
  }

  async #send(method, path, content) {
    for (let attempt = 0; ; attempt++) {
      if (this.#isOver()) return lost;
      const body = { ...content, worker: this.worker, lease: this.#lease ?? undefined };
      const response = await this.request(method, path, JSON.stringify(body)).catch(() => null);
      const session = response?.status === 200 ? await response.json().catch(() => null) : null;
      if (session?.id !== undefined) return session;
      const problem = await response?.json().catch(() => null);
      // Not any 404: a proxy that lost the gateway says so too.
      if (problem?.code === "session_not_found") return null;
      if (["not_the_holder", "lease_lost", "taken", "stopped"].includes(problem?.code)) return lost;
      if (response?.status === 204 || response?.status === 422) return undefined; // nothing to say, or too late
      // A proxy's answer may pass, and so does a token that is being changed; what else the gateway refused doesn't get better.
      if (problem?.code && response.status < 500 && response.status !== 401) throw new Error(`${response.status}, ${problem.code}`);
      await pauseBefore(attempt);
    }
  }

  request(method, path, body) {
    const headers = body === undefined ? this.headers : { ...this.headers, "Content-Type": "application/json" };
    return fetch(this.url + path, { method, headers, body, signal: AbortSignal.timeout(90000) });
  }

  // Follows the sessions for ever: `all` gets every session at first, with a new lease, and whenever the place in the journal is
  // lost; then `changed` and `deleted` each one that changes. `over` is called when the lease is over: others may serve the sessions
  // from now on, so close every socket.
  async follow({ all, changed, deleted, over }) {
    let cursor = null;
    let arriving = null;
    setInterval(() => {
      if (!this.#isOver() || this.#isEnded) return;
      this.#isEnded = true;
      over();
    }, 250);
    for (let attempt = 0; ; attempt++) {
      try {
        for await (const { event, id, data } of this.#events(cursor)) {
          const value = JSON.parse(data);
          if (event === "lease") {
            // Under a new lease every session is looked at again.
            if (this.#hold(value) && cursor) break;
          } else if (event === "reset") arriving = [];
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
      if (this.#isNew) cursor = null;
      else await pauseBefore(attempt);
      this.#isNew = false;
    }
  }

  #isNew = false;
  #isEnded = false; // whether the worker was told that its lease is over
  #askedAt = [0, 0];

  // Notes a lease or its renewal; returns whether it is another one than before, or that one was thought to be over.
  #hold({ lease, seconds, clock }) {
    const wasOver = this.#isOver();
    // Counted from before the request, so that it is never thought to last longer than it does.
    this.#clockOffsets ??= this.#askedAt.map((time) => time - clock * 1000);
    this.#leaseEnds = this.#clockOffsets.map((offset) => offset + (clock + seconds) * 1000);
    // A renewal comes at each third. Once two are missing, there is time to find another gateway before the lease is over.
    this.#patience = Math.min(40, seconds * 2 / 3) * 1000;
    this.#isEnded = false;
    this.#isNew = wasOver || (this.#lease !== null && this.#lease !== lease);
    this.#lease = lease;
    return this.#isNew;
  }

  #isOver() {
    return Date.now() > this.#leaseEnds[0] || performance.now() > this.#leaseEnds[1];
  }

  async *#events(cursor) {
    const query = new URLSearchParams({ worker: this.worker });
    if (this.#lease) query.set("lease", this.#lease);
    if (cursor) query.set("after", cursor);
    const silent = new AbortController();
    const give = () => setTimeout(() => silent.abort(new Error("the gateway was silent")), this.#patience);
    let watchdog = give();
    this.#askedAt = [Date.now(), performance.now()];
    this.#clockOffsets = null;
    try {
      const response = await fetch(`${this.url}/changes?${query}`, { headers: this.headers, signal: silent.signal });
      if (!response.ok) throw new Error(`the gateway answered ${response.status}`);
      let rest = "";
      for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
        clearTimeout(watchdog);
        watchdog = give();
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

const path = (id) => `/sessions/${encodeURIComponent(id)}`;
