// Stands in for the package `baileys`: each socket emits what the recording has for it, or what LIFE says, as Baileys would.
import { EventEmitter } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";

const error = (code, message) =>
  // A Boom, which is an Error with more in it; JSON leaves out its message.
  Object.assign(new Error(message), { output: { statusCode: code, payload: { statusCode: code, message } } });

// [seconds after the one before, event, data], or [seconds, "close", code, message]
function recorded() {
  const sockets = [];
  for (const { socket, event, data } of readFileSync(process.env.RECORDING, "utf8").trim().split("\n").map(JSON.parse)) {
    if (event.startsWith("app.")) continue;
    const output = data.lastDisconnect?.error.output;
    (sockets[socket - 1] ??= []).push(output ? [0.1, "close", output.statusCode, output.payload.message] : [0.1, event, data]);
  }
  return sockets;
}

const sockets = process.env.LIFE ? JSON.parse(process.env.LIFE) : recorded();
let opened = 0;

export async function useMultiFileAuthState(folder) {
  mkdirSync(folder, { recursive: true });
  return { state: { folder }, saveCreds: async () => { if (!existsSync(folder)) throw new Error("no folder"); } };
}

export default function makeWASocket({ auth }) {
  const number = ++opened;
  const ev = new EventEmitter();
  console.log(`socket ${number} ${auth.folder}`);
  let time = 0;
  const life = sockets[number - 1] ?? (process.env.LIFE ? sockets.at(-1) : []);
  const timers = life.map(([pause, event, data, message]) => setTimeout(() => {
    if (event !== "close") return ev.emit(event, data);
    ev.emit("connection.update", { connection: "close", lastDisconnect: { error: error(data, message), date: new Date() } });
  }, (time += pause) * 1000 + 10));
  const end = () => { timers.forEach(clearTimeout); console.log(`end ${number}`); };
  const logout = async () => {
    console.log(`logout ${number}`);
    end();
    ev.emit("connection.update", { connection: "close", lastDisconnect: { error: error(401, "Intentional Logout"), date: new Date() } });
  };
  return { ev, end, logout };
}
