// Stands in for the package `baileys`: each socket emits what the recording has for it, as Baileys would.
import { EventEmitter } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";

const lines = readFileSync(process.env.RECORDING, "utf8").trim().split("\n").map(JSON.parse);
let opened = 0;

export async function useMultiFileAuthState(folder) {
  mkdirSync(folder, { recursive: true });
  return { state: { folder }, saveCreds: async () => { if (!existsSync(folder)) throw new Error("no folder"); } };
}

export default function makeWASocket({ auth }) {
  const number = ++opened;
  const ev = new EventEmitter();
  const timers = lines
    .filter((line) => line.socket === number && !line.event.startsWith("app."))
    .map(({ event, data }, place) => setTimeout(() => {
      const error = data.lastDisconnect?.error;
      // A Boom, which is an Error with more in it; JSON leaves out its message.
      if (error) data.lastDisconnect.error = Object.assign(new Error(error.output.payload.message), error);
      ev.emit(event, data);
    }, 100 * (place + 1)));
  console.log(`socket ${number} ${auth.folder}`);
  const end = () => timers.forEach(clearTimeout);
  return { ev, end, logout: async () => { end(); console.log(`logout ${number}`); } };
}
