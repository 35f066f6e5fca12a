// The stream of changes.

let arriving = null; // the sessions after a reset, until they are complete
let cursor = null;
let connection = "connecting"; // then "live", or "lost"
let stream = null; // aborts the stream that is open
let attempt = 0;
let nextTry = null;
let lastNews = null;
const silence = 40000; // the gateway says something every 15 s

async function follow() {
  clearTimeout(nextTry?.timer);
  nextTry = null;
  const mine = (stream = new AbortController());
  try {
    const headers = { Accept: "text/event-stream" };
    if (token) headers.Authorization = `Bearer ${token}`;
    const after = cursor ? `?after=${encodeURIComponent(cursor)}` : "";
    const timer = setTimeout(() => mine.abort(), 10000);
    const response = await fetch(`changes${after}`, { headers, signal: mine.signal, cache: "no-store" });
    clearTimeout(timer);
    if (response.status === 401) return askForToken();
    if (response.status === 400) cursor = null;
    if (!response.ok) throw new Error((await response.json().catch(() => ({}))).detail ?? `The gateway answered ${response.status}.`);
    const date = Date.parse(response.headers.get("Date"));
    if (Math.abs(date - gatewayNow()) > 2000) clockOffset = date - Date.now();
    await readEvents(response.body, mine);
    throw new Error("The gateway closed the stream.");
  } catch (error) {
    if (mine !== stream || isAsleep) return; // another one was begun, or nobody looks
    lose(error instanceof TypeError || error.name === "AbortError" ? "" : error.message);
  }
}

async function readEvents(body, mine) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let watchdog;
  let rest = "";
  try {
    for (;;) {
      watchdog = setTimeout(() => mine.abort(), silence);
      const { value, done } = await reader.read();
      clearTimeout(watchdog);
      if (done || mine !== stream) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) handle(Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2))));
    }
  } finally {
    clearTimeout(watchdog);
  }
}

function handle({ event, data, id }) {
  const value = JSON.parse(data);
  lastNews = new Date();
  switch (event) {
    case "reset": arriving = new Map(); break;
    case "session": {
      if (arriving) { arriving.set(value.id, value); break; }
      const before = sessions.get(value.id);
      put(value);
      if (before?.holder !== value.holder) loadWorkersSoon();
      noticeChange(before, value);
      break;
    }
    case "deleted": remove(value.id); break;
    case "ping": clockOffset = Date.parse(value.time) - Date.now(); loadWorkersSoon(0); break;
    case "ready":
      if (arriving) replaceAll(arriving);
      arriving = null;
      attempt = 0;
      access = value.access ?? "full";
      document.body.classList.toggle("reads", access === "read");
      show("live");
      loadWorkersSoon(0);
  }
  if (id) cursor = id;
  if (event === "ready") openAddress();
  if (!arriving && event !== "ping") draw();
}

function show(state, detail = "") {
  connection = state;
  const isLost = state === "lost";
  $("live").textContent = { live: "Live", lost: "Offline", connecting: "Connecting…" }[state];
  $("live").className = { live: "on", lost: "off", connecting: "" }[state];
  $("lost").hidden = !isLost;
  document.body.classList.toggle("stale", isLost);
  if (isLost) $("lost-detail").textContent = detail;
  drawCode();
  drawTitle();
}

function lose(message) {
  arriving = null;
  const pause = [0, 1, 2, 4, 8, 10][Math.min(attempt++, 5)] * 1000;
  nextTry = { at: Date.now() + pause, message, timer: setTimeout(follow, pause) };
  drawLoss();
}

function drawLoss() {
  if (!nextTry) return;
  const left = Math.max(0, Math.ceil((nextTry.at - Date.now()) / 1000));
  const seen = lastNews ? `What you see is from ${seconds.format(lastNews)}. ` : "";
  show("lost", `${nextTry.message ? nextTry.message + " " : ""}${seen}Next try in ${left} s.`);
  document.documentElement.style.setProperty("--banner", `${$("lost").offsetHeight}px`);
}
setInterval(drawLoss, 1000);

function reconnect() {
  stream?.abort();
  clearTimeout(nextTry?.timer);
  follow();
}
$("retry").addEventListener("click", reconnect);

// Six connections are all that a browser opens to one host, so a tab that nobody looks at gives its own back, unless it notifies.
let isAsleep = false;
let sleepTimer;
document.addEventListener("visibilitychange", () => {
  clearTimeout(sleepTimer);
  if (document.hidden) {
    sleepTimer = setTimeout(() => {
      if (notifies) return;
      isAsleep = true;
      clearTimeout(nextTry?.timer);
      nextTry = null;
      stream?.abort();
      show("connecting"); // and the title
    }, 20000);
  } else if (isAsleep) {
    isAsleep = false;
    reconnect();
  }
});

drawFilters();
follow();
