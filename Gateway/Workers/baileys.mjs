// A worker for Baileys 7: npm install baileys && node baileys.mjs
// GATEWAY and GATEWAY_TOKEN say which gateway, WORKER names this worker. With several workers on one gateway each has a name of its
// own, and PREFIX may choose its sessions by the beginning of their ids. What links the accounts is kept in the folder `auth`: guard
// it. Workers that share that folder take over each other's accounts.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import makeWASocket, { useMultiFileAuthState } from "baileys";
import { Gateway, lost } from "./gateway.mjs";

const prefix = process.env.PREFIX ?? "";
const gateway = new Gateway(process.env.WORKER ?? `baileys-${prefix || "1"}`);
const accounts = new Map(); // { socket, isOpen, wish, isNew, last, at, attempts } of each session that this worker serves, by id
const leaving = new Map(); // what removes an account that was linked, by the id of its session

// A file name has at most 255 bytes.
function folder(id) {
  const name = encodeURIComponent(id);
  return `auth/${name.length <= 200 ? name : createHash("sha256").update(id).digest("hex")}`;
}
const longestPause = Number(process.env.LONGEST_PAUSE ?? 60000);

// Serves a session from now on, if it is nobody else's. Accounts open one after the other, not all at once.
async function serve(id, pause = 0) {
  const account = { socket: null, isOpen: false, last: null, attempts: 0 };
  accounts.set(id, account);
  await sleep(pause);
  await leaving.get(id);
  if (accounts.get(id) !== account) return; // deleted meanwhile
  const session = await gateway.claim(id);
  if (accounts.get(id) !== account) return;
  if (!session?.needsSocket) return accounts.delete(id);
  account.wish = session.wish;
  if (session.wish === "pair") {
    account.isNew = true;
    await forget(id);
  }
  return open(id, account);
}

// Opens the socket, and tries again where the disk fails, for instance.
async function open(id, account) {
  while (accounts.get(id) === account) {
    try {
      return await openSocket(id, account);
    } catch (error) {
      console.error(`${id} has no socket:`, error.message);
      gateway.report(id, "session", { status: "initializing", reason: "the worker cannot open a socket" });
      await sleep(pauseOf(account.attempts++));
    }
  }
}

async function openSocket(id, account) {
  const { state, saveCreds } = await useMultiFileAuthState(folder(id));
  if (accounts.get(id) !== account) return;
  const socket = (account.socket = makeWASocket({ auth: state }));
  const report = async (event, data, at) => {
    const session = await gateway.report(id, event, data, at);
    // Deleted, or another worker's: this one lets go of it, and keeps what links the account.
    if ((session === null || session === lost) && accounts.get(id) === account) close(id);
    return session;
  };
  socket.ev.on("creds.update", (update) => {
    Promise.resolve(saveCreds()).catch((error) => console.error(`what links ${id} was not saved:`, error.message));
    // Never the whole update: it can hold the account's private keys.
    if (update.me) report("creds.update", { me: update.me });
  });
  socket.ev.on("message-capping.update", (update) => report("message-capping.update", update));
  socket.ev.on("connection.update", (update) => {
    if (accounts.get(id) !== account || account.socket !== socket) return; // a late event of a socket that was replaced
    const { connection, qr, isNewLogin, lastDisconnect, reachoutTimeLock } = update;
    if (connection === "close") {
      return closed(id, account, lastDisconnect?.error, report)
        .catch((error) => console.error(`${id} was not closed:`, error.message));
    }
    if (connection === "open") {
      account.attempts = 0;
      account.isOpen = true;
    }
    const at = Date.now();
    // What is reported again later is the state: Baileys sends updates without one after it.
    if (connection || qr || isNewLogin) Object.assign(account, { last: { connection, qr, isNewLogin }, at });
    report("connection.update", { connection, qr, isNewLogin, reachoutTimeLock }, at);
    if (connection === "open" && account.wish === "logout") logOut(id, account);
  });
}

async function closed(id, account, error, report) {
  Object.assign(account, { socket: null, isOpen: false, last: null });
  const output = error?.output && { statusCode: error.output.statusCode, payload: { message: error.message } };
  const session = await report("connection.update", {
    connection: "close",
    lastDisconnect: { error: error && { message: error.message, output, data: { expire: error.data?.expire } } },
  });
  // Only WhatsApp logs an account out, not a proxy that answers 401: then what linked it is worth nothing. The stream may have told of
  // it first, and the account is closed already.
  const isLoggedOut = session?.status === "disconnected" && session.disconnectReason?.text === "logged out";
  if (isLoggedOut && (accounts.get(id) ?? account) === account) {
    accounts.delete(id);
    return forget(id);
  }
  if (accounts.get(id) !== account) return;
  // The gateway knows which closes come back. If it didn't take this one, the account comes back too.
  if (session === undefined || session.status === "initializing") {
    // 515 is part of every pairing, but not again and again.
    if (output?.statusCode !== 515 || account.attempts > 0) await sleep(pauseOf(account.attempts));
    account.attempts++;
    if (accounts.get(id) === account) await open(id, account);
  } else {
    accounts.delete(id);
  }
}

// 2 seconds, 4, 8 and so on, spread so that accounts don't come back together.
const pauseOf = (attempts) => Math.min(longestPause, 2000 * 2 ** Math.min(attempts, 10)) * (0.5 + Math.random() / 2);

function close(id) {
  const account = accounts.get(id);
  accounts.delete(id);
  account?.socket?.end(undefined);
}

// Unlinks the account on the phone: Baileys then closes the socket with 401, which is reported as any other end.
async function logOut(id, account) {
  for (let attempt = 0; accounts.get(id) === account && account.isOpen && account.wish === "logout"; attempt++) {
    try {
      return await account.socket.logout();
    } catch (error) {
      console.error(`${id} was not logged out:`, error.message);
      await sleep(pauseOf(attempt));
    }
  }
}

// Removes what links an account, and unlinks it on the phone through a socket. A session that is served later waits for that.
function forget(id, socket) {
  const done = (async () => {
    await Promise.race([socket?.logout(), sleep(30000)]).catch(() => socket.end(undefined));
    await rm(folder(id), { recursive: true, force: true, maxRetries: 5 });
  })().catch((error) => console.error(`what linked ${id} was not removed:`, error.message));
  leaving.set(id, done);
  done.then(() => { if (leaving.get(id) === done) leaving.delete(id); });
  return done;
}

function reportAgain(id, { last, at }) {
  // A code that is nearly dead is worth nothing, and the next one comes soon.
  if (last && !(last.qr && Date.now() - at > 15000)) gateway.report(id, "connection.update", last, at);
}

function look(session, place = 0) {
  if (!session.id.startsWith(prefix)) return;
  const account = accounts.get(session.id);
  if (account) {
    const { wish } = session;
    const isNews = wish !== account.wish;
    account.wish = wish;
    if (!gateway.isFree(session)) return close(session.id);
    // Somebody stopped it: the socket closes, and what links the account stays.
    if (wish === "stop") return stop(session);
    if (session.status === "disconnected" && !session.needsSocket) return close(session.id);
    if (wish === "logout" && isNews && account.isOpen) logOut(session.id, account);
    if (wish !== "pair") account.isNew = false;
    else if (!account.isNew) {
      close(session.id);
      start(session);
    }
    return;
  }
  // This worker has no socket for it, so it is stopped already.
  if (session.wish === "stop" && session.holder === gateway.worker) return stop(session);
  // An account that another worker linked waits for that one.
  const isOurs = !session.linked || existsSync(folder(session.id));
  if (session.needsSocket && gateway.isFree(session) && isOurs) start(session, place * 200);
}

function start({ id }, pause) {
  serve(id, pause).catch((error) => {
    console.error(`${id} has no socket:`, error.message);
    accounts.delete(id);
  });
}

function stop({ id, status }) {
  close(id);
  if (status !== "disconnected") gateway.report(id, "session", { status: "disconnected", reason: "stopped" });
}

gateway.follow({
  all(sessions) {
    const ids = new Set(sessions.map((session) => session.id));
    for (const id of accounts.keys()) if (!ids.has(id)) close(id);
    sessions.forEach((session, place) => look(session, place));
    for (const [id, account] of accounts) reportAgain(id, account);
  },
  changed: (session) => look(session),
  deleted(id) {
    const socket = accounts.get(id)?.socket;
    accounts.delete(id);
    forget(id, socket);
  },
  over() {
    for (const id of [...accounts.keys()]) close(id);
  },
});
