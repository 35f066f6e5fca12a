// Plays a worker with several accounts, without WhatsApp: node demo.mjs
// GATEWAY and GATEWAY_TOKEN say which gateway, SPEED=10 plays at ten times real speed.
import { randomBytes } from "node:crypto";
import { Gateway } from "./gateway.mjs";

const gateway = new Gateway("demo");
const speed = Number(process.env.SPEED ?? 1);
const accounts = ["support", "shop-berlin", "shop-lisbon", "shop-mumbai", "sales", "newsletter"];
const names = ["Ana Souza ☕", "Kwik-Fit Leeds", "Padaria do Bairro", "Müller & Söhne GmbH", "Zoë", "Ferretería Ávila"];
const sockets = new Map(); // the socket of each session, by id
const paired = new Map(); // the account that was linked, which a worker keeps on disk

const between = (low, high) => low + Math.random() * (high - low);
const code = () => "https://wa.me/settings/linked_devices#2@" +
  [58, 32, 32, 32].map((length) => randomBytes(length).toString("base64")).join(",") + ",1";
const closed = (statusCode, message) =>
  ({ connection: "close", lastDisconnect: { error: { output: { statusCode, payload: { message } } }, date: new Date() } });

class Socket {
  #isOpen = true;
  #last = null;

  constructor(id) {
    this.id = id;
    this.live().catch(() => {}).finally(() => { if (sockets.get(id) === this) sockets.delete(id); });
  }

  close() {
    this.#isOpen = false;
    sockets.delete(this.id);
  }

  async pause(seconds) {
    await new Promise((resolve) => setTimeout(resolve, (seconds * 1000) / speed));
    if (!this.#isOpen) throw new Error("closed");
  }

  async report(event, data) {
    if (!this.#isOpen) throw new Error("closed");
    this.#last = { event, data, at: Date.now() };
    if ((await gateway.report(this.id, event, data)) === null) this.close();
  }

  // After the gateway was away: the state as it is.
  reportAgain() {
    if (this.#last) gateway.report(this.id, this.#last.event, this.#last.data, { at: this.#last.at });
  }

  async live() {
    for (;;) {
      await this.report("connection.update", { connection: "connecting" });
      await this.pause(1);
      if (!paired.has(this.id) && !(await this.pair())) return;
      const me = paired.get(this.id);
      await gateway.report(this.id, "creds.update", { me });
      await this.report("connection.update", { connection: "open" });
      await this.pause(between(30, 240));
      const end = Math.random();
      if (end < 0.1) {
        paired.delete(this.id);
        return this.report("connection.update", closed(401, "Stream Errored (conflict)"));
      }
      if (end < 0.2) return this.report("connection.update", closed(440, "Stream Errored (conflict)"));
      await this.report("connection.update", closed(408, "Connection was lost"));
      await this.pause(between(2, 15));
    }
  }

  // Shows codes until one is scanned; about one in six never is.
  async pair() {
    let untilScan = between(10, 190);
    for (let lifetime = 60, number = 0; number < 6; lifetime = 20, number++) {
      await this.report("connection.update", { qr: code() });
      await this.pause(Math.min(lifetime, untilScan));
      untilScan -= lifetime;
      if (untilScan >= 0) continue;
      const id = `447700${String(Math.floor(between(0, 1e6))).padStart(6, "0")}:1@s.whatsapp.net`;
      await gateway.report(this.id, "creds.update", { me: { id } });
      await this.report("connection.update", { isNewLogin: true });
      await this.report("connection.update", closed(515, "Stream Errored (restart required)"));
      await this.pause(2);
      paired.set(this.id, { id, name: names[Math.floor(between(0, names.length))] });
      return true;
    }
    await this.report("connection.update", closed(408, "QR refs attempts ended"));
    return false;
  }
}

function serve(session) {
  const socket = sockets.get(session.id);
  // The gateway was away, or thought that this worker was.
  if (socket && session.status === "disconnected") socket.reportAgain();
  if (!socket && session.needsSocket) sockets.set(session.id, new Socket(session.id));
}

async function create() {
  for (const id of accounts) {
    await gateway.request("POST", "/sessions", JSON.stringify({ id })).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 4000 / speed));
  }
}

create();
gateway.follow({
  all(sessions) {
    const ids = new Set(sessions.map((session) => session.id));
    for (const [id, socket] of sockets) ids.has(id) ? socket.reportAgain() : socket.close();
    sessions.forEach(serve);
  },
  changed: serve,
  deleted: (id) => sockets.get(id)?.close(),
});
