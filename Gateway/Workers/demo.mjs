// Plays a worker with several accounts, without WhatsApp: node demo.mjs
// GATEWAY and GATEWAY_TOKEN say which gateway, WORKER names this one of several, SPEED=10 plays at ten times real speed.
import { randomBytes } from "node:crypto";
import { Gateway, lost } from "./gateway.mjs";

const gateway = new Gateway(process.env.WORKER ?? "demo");
const speed = Number(process.env.SPEED ?? 1);
const accounts = ["support", "shop-berlin", "shop-lisbon", "shop-mumbai", "sales", "newsletter"];
const names = ["Ana Souza ☕", "Kwik-Fit Leeds", "Padaria do Bairro", "Müller & Söhne GmbH", "Zoë", "Ferretería Ávila"];
const sockets = new Map(); // the socket of each session, by id
const wishes = new Map(); // what an operator wants of each session, by id
// The account that was linked. A worker keeps that on disk; here it is whatever the gateway knows, as if all shared a disk.
const paired = new Map();

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
    if (sockets.get(this.id) === this) sockets.delete(this.id);
  }

  async pause(seconds) {
    await new Promise((resolve) => setTimeout(resolve, (seconds * 1000) / speed));
    if (!this.#isOpen) throw new Error("closed");
  }

  async report(event, data) {
    if (!this.#isOpen) throw new Error("closed");
    const at = Date.now();
    if (event === "connection.update") this.#last = { data, at };
    const session = await gateway.report(this.id, event, data, at);
    // Deleted, or another worker's.
    if (session === null || session === lost) this.close();
  }

  // After the gateway was away: the state as it is.
  reportAgain() {
    if (this.#last) gateway.report(this.id, "connection.update", this.#last.data, this.#last.at);
  }

  async live() {
    if (!(await gateway.claim(this.id))) return this.close();
    for (;;) {
      await this.report("connection.update", { connection: "connecting" });
      await this.pause(1);
      if (!paired.has(this.id) && !(await this.pair())) return pairLater(this.id);
      await this.report("creds.update", { me: paired.get(this.id) });
      await this.report("connection.update", { connection: "open" });
      await this.pause(between(30, 240));
      const end = Math.random();
      if (end < 0.1) {
        paired.delete(this.id);
        await this.report("connection.update", closed(401, "Stream Errored (conflict)"));
        return pairLater(this.id);
      }
      if (end < 0.2) {
        await this.report("connection.update", closed(440, "Stream Errored (conflict)"));
        return pairLater(this.id);
      }
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
      await this.report("creds.update", { me: { id } });
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
  const { id, wish } = session;
  const isNews = wish !== wishes.get(id);
  wishes.set(id, wish);
  const socket = sockets.get(id);
  if (socket) {
    if (!gateway.isFree(session)) return socket.close();
    if (wish === "stop") {
      socket.close();
      if (session.status !== "disconnected") gateway.report(id, "session", { status: "disconnected", reason: "stopped" });
      return;
    }
    // Somebody stopped it.
    if (session.status === "disconnected" && !session.needsSocket) return socket.close();
    if (!isNews || (wish !== "logout" && wish !== "pair")) return;
    socket.close();
  }
  // It has no socket, so it is stopped already.
  if (wish === "stop" && session.holder === gateway.worker && session.status !== "disconnected") {
    gateway.report(id, "session", { status: "disconnected", reason: "stopped" });
  }
  if (wish === "logout" || wish === "pair") paired.delete(id);
  if (wish === "logout" && isNews && gateway.isFree(session)) {
    gateway.claim(id).then((claimed) => claimed && gateway.report(id, "connection.update", closed(401, "Intentional Logout")));
  }
  if (wish === "logout") return;
  if (session.linked && !paired.has(session.id)) {
    paired.set(session.id, { id: `${session.phoneNumber}:1@s.whatsapp.net`, name: session.name });
  }
  if (session.needsSocket && gateway.isFree(session)) sockets.set(session.id, new Socket(session.id));
}

// Somebody looks at the page after a while, and pairs the account again.
function pairLater(id) {
  setTimeout(() => { if (!sockets.has(id) && wishes.get(id) !== "stop") sockets.set(id, new Socket(id)); }, (between(40, 120) * 1000) / speed);
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
    for (const [id, socket] of [...sockets]) ids.has(id) ? socket.reportAgain() : socket.close();
    sessions.forEach(serve);
  },
  changed: serve,
  deleted: (id) => sockets.get(id)?.close(),
  over() {
    for (const socket of [...sockets.values()]) socket.close();
  },
});
