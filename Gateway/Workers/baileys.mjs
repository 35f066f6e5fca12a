// A worker for Baileys 7: npm install baileys && node baileys.mjs
// GATEWAY and GATEWAY_TOKEN say which gateway. With several workers on one gateway, PREFIX chooses the sessions of this
// one by the beginning of their ids, and WORKER names it. What links the accounts is kept in the folder `auth`: guard it.
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import makeWASocket, { useMultiFileAuthState } from "baileys";
import { Gateway } from "./gateway.mjs";

const prefix = process.env.PREFIX ?? "";
const gateway = new Gateway(process.env.WORKER ?? `baileys-${prefix || "1"}`);
const accounts = new Map(); // { socket, last } of each session that this worker serves, by id
const folder = (id) => `auth/${encodeURIComponent(id)}`;

async function open(id) {
  const account = { socket: null, last: null };
  accounts.set(id, account);
  const { state, saveCreds } = await useMultiFileAuthState(folder(id));
  if (accounts.get(id) !== account) return; // closed meanwhile
  const socket = (account.socket = makeWASocket({ auth: state }));
  socket.ev.on("creds.update", (update) => {
    saveCreds();
    // Never the whole update: it can hold the account's private keys.
    if (update.me) gateway.report(id, "creds.update", { me: update.me });
  });
  socket.ev.on("connection.update", async ({ connection, qr, isNewLogin, lastDisconnect }) => {
    if (accounts.get(id) !== account) return; // a late event of a socket that was replaced
    if (connection === "close") return closed(id, account, lastDisconnect?.error);
    account.last = { connection, qr, isNewLogin };
    account.at = Date.now();
    if ((await gateway.report(id, "connection.update", account.last)) === null) close(id);
  });
}

async function closed(id, account, error) {
  account.socket = null;
  account.last = null;
  const output = error?.output && { statusCode: error.output.statusCode, payload: { message: error.message } };
  const session = await gateway.report(id, "connection.update", {
    connection: "close",
    lastDisconnect: { error: error && { message: error.message, output } },
  });
  if (accounts.get(id) !== account) return;
  // The gateway knows which closes come back.
  if (session?.status === "initializing") {
    if (output?.statusCode !== 515) await sleep(2000 + Math.random() * 3000);
    if (accounts.get(id) === account) await open(id);
  } else {
    accounts.delete(id);
    // Logged out: what linked the account is worth nothing, and the next pairing begins anew.
    if (output?.statusCode === 401) await rm(folder(id), { recursive: true, force: true });
  }
}

function close(id) {
  const account = accounts.get(id);
  accounts.delete(id);
  account?.socket?.end(undefined);
}

function reportAgain(id, { last, at }) {
  // A code that is nearly dead is worth nothing, and the next one comes soon.
  if (last && !(last.qr && Date.now() - at > 15000)) gateway.report(id, "connection.update", last, { at });
}

function serve(session) {
  if (!session.id.startsWith(prefix)) return;
  const account = accounts.get(session.id);
  // The gateway was away, or thought that this worker was: the state as it is.
  if (account && session.status === "disconnected") reportAgain(session.id, account);
  if (!account && session.needsSocket) {
    open(session.id).catch((error) => {
      console.error(`${session.id} has no socket:`, error.message);
      accounts.delete(session.id);
    });
  }
}

gateway.follow({
  all(sessions) {
    const ids = new Set(sessions.map((session) => session.id));
    for (const id of accounts.keys()) if (!ids.has(id)) close(id);
    sessions.forEach(serve);
    for (const [id, account] of accounts) reportAgain(id, account);
  },
  changed: serve,
  async deleted(id) {
    const socket = accounts.get(id)?.socket;
    accounts.delete(id);
    // Unlinks the device on the phone too.
    await socket?.logout().catch(() => socket.end(undefined));
    await rm(folder(id), { recursive: true, force: true });
  },
});
