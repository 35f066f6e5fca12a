"use strict";

// What the gateway said last, and what the person looking at it wants to see.
let sessions = new Map();
let arriving = null; // the sessions after a reset, until they are complete
let cursor = null;
let clockOffset = 0; // the gateway's clock minus this one, in milliseconds
let filter = "all";
let query = "";
let selected = null;
let token = sessionStorage.getItem("token");

const $ = (id) => document.getElementById(id);
const labels = {
  all: "All", qr_waiting: "Waiting for scan", initializing: "Connecting", connected: "Connected", disconnected: "Disconnected",
};

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#icon-" + name);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

const badge = (status) => element("span", { className: "badge " + status }, icon(status), labels[status]);

// MARK: Words

// Why an account is offline: the reasons that the gateway gives, by the text that it keeps.
const reasons = {/* reasons */};

function reasonOf(session) {
  const reason = session.disconnectReason;
  if (!reason) return null;
  const { text, end } = split(reason.text);
  const known = Object.hasOwn(reasons, text) ? reasons[text] : null;
  const code = reason.code === undefined ? "" : ` (${reason.code})`;
  const until = end ? ` until ${when(end)}` : "";
  return known
    ? { short: known.title + until, long: `${known.title}${until}${code}. ${known.advice}` }
    : { short: text + until, long: `The worker said: ${text}${until}${code}.` };
}

// A text that may say until when it holds.
function split(text) {
  const [, words, end] = /^(.*) until (\d{4}-\d\d-\d\dT\S+)$/s.exec(text) ?? [null, text, null];
  return { text: words, end };
}

// What WhatsApp doesn't let the account do; nothing once it is over.
function restrictionOf(session) {
  if (!session.restriction) return null;
  const { text, end } = split(session.restriction);
  if (end && Date.parse(end) < gatewayNow()) return null;
  return `Restricted: ${text}${end ? ` until ${when(end)}` : ""}`;
}

const clock = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit" });
const seconds = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat([], { day: "numeric", month: "short", year: "numeric" });
const dayOf = (date) => `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;

function when(text, isShort = false) {
  const date = new Date(text);
  const isToday = dayOf(date) === dayOf(new Date());
  if (isShort) return isToday ? clock.format(date) : day.format(date);
  return `${isToday ? "Today" : day.format(date)}, ${clock.format(date)}`;
}

// Times of today are written without their day.
let today = dayOf(new Date());
setInterval(() => {
  if (today === dayOf(new Date())) return;
  today = dayOf(new Date());
  draw();
}, 10000);

const gatewayNow = () => Date.now() + clockOffset;
const number = (count) => count.toLocaleString();
const phone = (session) => (session.phoneNumber ? "+" + session.phoneNumber : "");

// MARK: The list

const rows = new Map(); // the row of each session that is shown, by id
let counts = {};
let isDrawing = false;

// Draws at most every 60 ms, whatever comes in between.
function draw() {
  if (isDrawing) return;
  isDrawing = true;
  setTimeout(() => {
    isDrawing = false;
    drawFilters();
    drawList();
    drawPanel();
  }, 60);
}

function drawFilters() {
  counts = { all: sessions.size, qr_waiting: 0, initializing: 0, connected: 0, disconnected: 0 };
  for (const session of sessions.values()) counts[session.status]++;
  for (const [name, button] of Object.entries(filterButtons)) {
    button.querySelector("b").textContent = number(counts[name]);
    button.setAttribute("aria-pressed", name === filter);
  }
}

const filterButtons = Object.fromEntries(Object.keys(labels).map((name) => {
  const button = element("button", { type: "button" }, ...(name === "all" ? [] : [icon(name)]), labels[name] + " ", element("b", { textContent: "0" }));
  button.addEventListener("click", () => { filter = name; draw(); });
  $("filters").append(button);
  return [name, button];
}));

function isShown(session) {
  if (filter !== "all" && session.status !== filter) return false;
  if (!query) return true;
  return [session.id, session.name, phone(session)].some((text) => text?.toLowerCase().includes(query));
}

function drawList() {
  // The newest is at the top.
  const shown = [...sessions.values()].reverse().filter(isShown);
  const wanted = new Set(shown.map((session) => session.id));
  const hadFocus = document.activeElement?.closest("#list li");
  for (const [id, row] of rows) {
    if (wanted.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  let previous = null;
  for (const session of shown) {
    let row = rows.get(session.id);
    if (!row) {
      row = element("li");
      row.setAttribute("role", "option");
      rows.set(session.id, row);
    }
    fillRow(row, session);
    // Moving a row that is in its place already would lose the focus.
    const place = previous ? previous.nextSibling : $("list").firstChild;
    if (row !== place) $("list").insertBefore(row, place);
    previous = row;
  }
  // One Tab stop: the chosen row, or the first.
  const stop = rows.get(selected) ?? (hadFocus?.isConnected ? hadFocus : $("list").firstElementChild);
  for (const row of rows.values()) row.tabIndex = row === stop ? 0 : -1;
  if (hadFocus && !hadFocus.isConnected) stop?.focus();
  const isEmpty = shown.length === 0 && cursor !== null;
  $("empty").hidden = !isEmpty;
  $("columns").hidden = shown.length === 0;
  if (isEmpty) {
    const [title, text] = sessions.size === 0
      ? ["No sessions yet", "Create one above. It waits here until a worker reports its QR code."]
      : ["No sessions match", "Choose another status, or change the text of the filter."];
    $("empty").firstElementChild.textContent = title;
    $("empty").lastElementChild.textContent = text;
  }
}

function fillRow(row, session) {
  row.setAttribute("aria-selected", session.id === selected);
  if (row.session === session && row.day === today) return;
  row.day = today;
  row.session = session;
  const reason = session.status === "disconnected" ? reasonOf(session)?.short : null;
  const second = [session.name, reason, restrictionOf(session)].filter(Boolean).join(" · ");
  row.replaceChildren(
    element("div", {}, element("strong", { textContent: session.id }), ...(second ? [element("small", { textContent: second })] : [])),
    element("span", { className: "number", textContent: phone(session) }),
    element("span", {}, badge(session.status)),
    element("span", { className: "since", textContent: when(session.statusChangedAt, true), title: when(session.statusChangedAt) }),
  );
}

$("list").addEventListener("click", (event) => {
  const row = event.target.closest("li");
  if (row) select(row.session.id);
});

$("list").addEventListener("keydown", (event) => {
  const all = [...$("list").children];
  const place = all.indexOf(document.activeElement);
  const steps = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: all.length - 1, PageDown: place + 10, PageUp: place - 10 };
  if (event.key === "Enter" || event.key === " ") {
    select(document.activeElement.session.id);
  } else if (event.key in steps) {
    const row = all[Math.min(Math.max(steps[event.key], 0), all.length - 1)];
    for (const other of all) other.tabIndex = other === row ? 0 : -1;
    row.focus();
    if (selected !== null && !isNarrow.matches) select(row.session.id, false);
  } else {
    return;
  }
  event.preventDefault();
});

$("search").addEventListener("input", () => { query = $("search").value.trim().toLowerCase(); draw(); });

// MARK: The panel

const isNarrow = matchMedia("(max-width: 860px)");
let picture = { id: null, receivedAt: null, url: null };

function select(id, takesFocus = true) {
  if (selected !== id) $("panel-error").hidden = true;
  selected = id;
  drawList();
  drawPanel();
  rows.get(id)?.scrollIntoView({ block: "nearest" });
  if (takesFocus) $("panel-id").focus();
}

// Unless it is asked to, it takes the focus from nowhere but the panel.
function deselect(takesFocus) {
  const row = rows.get(selected);
  const hadFocus = takesFocus || $("panel").contains(document.activeElement);
  selected = null;
  drawList();
  drawPanel();
  if (hadFocus) (row?.isConnected ? row : $("search")).focus();
}

function drawPanel() {
  const session = sessions.get(selected);
  if (selected !== null && !session && cursor !== null) {
    notify(`Session “${selected}” was deleted.`);
    if (deleting === selected) $("confirm").close();
    return deselect(false);
  }
  $("panel").hidden = !session;
  document.querySelector("main").classList.toggle("open", Boolean(session));
  document.body.classList.toggle("covered", Boolean(session));
  // On a phone the panel covers the rest.
  for (const part of document.querySelectorAll("header, #filters, main section")) part.inert = Boolean(session) && isNarrow.matches;
  if (!session) return dropPicture();
  $("panel-id").textContent = session.id;
  $("panel-status").replaceChildren(badge(session.status));
  const waits = session.status === "qr_waiting";
  $("pairing").hidden = !waits;
  $("pair").hidden = session.status !== "disconnected";
  const isTyped = session.pairing === "code";
  $("scan").hidden = isTyped;
  $("type").hidden = !isTyped;
  const hint = session.status !== "initializing" ? ""
    : session.holder ? "Waiting for the worker to open a connection. A QR code appears here if the account must be linked."
    : "No worker serves this session yet. It waits here until one does.";
  $("hint").hidden = !hint;
  $("hint").textContent = hint;
  $("restriction").textContent = restrictionOf(session) ?? "";
  $("restriction").hidden = !$("restriction").textContent;
  const reason = reasonOf(session);
  const isOffline = session.status === "disconnected";
  $("reason").hidden = !reason && !isOffline;
  $("reason").className = isOffline ? "bad" : "";
  $("reason").textContent = isOffline
    ? reason?.long ?? "The worker gave no reason."
    : reason ? `Last problem: ${reason.long}` : "";
  if ($("facts").session !== session || $("facts").day !== today) drawFacts(session);
  if (waits) loadPicture(session); else dropPicture();
  drawCode();
}

function drawFacts(session) {
  const since = { connected: "Online since", disconnected: "Offline since", qr_waiting: "Waiting since", initializing: "Connecting since" };
  const facts = [
    ["Number", phone(session)],
    ["Name", session.name],
    [since[session.status], when(session.statusChangedAt)],
    ["Worker", session.holder],
    ["Last online", session.status !== "connected" && session.connectedAt && when(session.connectedAt)],
    ["Created", when(session.createdAt)],
  ];
  const nodes = facts.filter(([, text]) => text).flatMap(([name, text]) => [
    element("dt", { textContent: name }), element("dd", { textContent: text }),
  ]);
  $("facts").replaceChildren(...nodes);
  // Drawn again only when something changed, so that a number can be selected and copied.
  Object.assign($("facts"), { session, day: today });
}

// The code's age runs by the gateway's clock.
function drawCode() {
  const session = sessions.get(selected);
  if (session?.status !== "qr_waiting") return;
  const hasCode = Boolean(session.qrCodeReceivedAt);
  const isTyped = session.pairing === "code";
  const left = !hasCode ? 0 : isTyped ? Infinity : (Date.parse(session.qrCodeExpiresAt) - gatewayNow()) / 1000;
  const age = hasCode ? Math.max(0, (gatewayNow() - Date.parse(session.qrCodeReceivedAt)) / 1000) : 0;
  const isLost = connection !== "live";
  const isExpired = hasCode && left <= 0;
  const note = isLost
    ? "No connection to the gateway: this code may be out of date."
    : isExpired ? "This code has expired. The worker sends the next one."
    : !hasCode ? "The worker has not sent a code yet."
    : picture.url || picture.isTyped ? "" : picture.failure ?? "Loading the code…";
  $("code").classList.toggle("dead", isLost || isExpired);
  if ($("code-note").textContent !== note) $("code-note").textContent = note;
  $("age").textContent = hasCode ? `${Math.floor(age)} s old` : "";
  $("expiry").textContent = !hasCode || isTyped ? "" : isExpired ? "expired" : `expires in ${Math.ceil(left)} s`;
  $("meter").hidden = !hasCode || isTyped;
  $("meter").firstElementChild.style.width = `${Math.min(100, Math.max(0, (left / (left + age)) * 100))}%`;
}
setInterval(drawCode, 250);

// An image cannot send a token, so the picture comes by fetch.
async function loadPicture(session) {
  if (picture.id === session.id && picture.receivedAt === session.qrCodeReceivedAt) return;
  dropPicture();
  if (!session.qrCodeReceivedAt) return;
  const wanted = (picture = { id: session.id, receivedAt: session.qrCodeReceivedAt, url: null });
  try {
    const isTyped = session.pairing === "code";
    const response = await call("GET", `${path(session.id)}/${isTyped ? "qr" : "qr.svg"}`);
    const text = await response.text();
    if (picture !== wanted) return;
    if (isTyped) {
      picture.isTyped = true;
      $("letters").textContent = text.replace(/^(....)(....)$/, "$1-$2");
      $("letters").hidden = false;
      return drawCode();
    }
    picture.url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    picture.modules = Number(/viewBox="0 0 (\d+)/.exec(text)[1]);
    $("picture").src = picture.url;
    $("picture").hidden = false;
    sizePicture();
    drawCode();
  } catch (error) {
    if (picture !== wanted) return;
    wanted.failure = error.message;
    drawCode();
    // What the gateway refused stays so until the next code.
    if (error.status < 400 || error.status >= 500) setTimeout(() => { if (picture === wanted) { dropPicture(); draw(); } }, 2000);
  }
}

// A module takes whole pixels of the device, or a reader sees blurred edges.
function sizePicture() {
  if (!picture.url) return;
  const room = Math.min($("code").clientWidth, $("code").clientHeight) * devicePixelRatio;
  const pixels = Math.max(1, Math.floor(room / picture.modules));
  $("picture").style.width = $("picture").style.height = `${(pixels * picture.modules) / devicePixelRatio}px`;
}
addEventListener("resize", sizePicture);
isNarrow.addEventListener("change", draw);

function dropPicture() {
  if (picture.url) URL.revokeObjectURL(picture.url);
  picture = { id: null, receivedAt: null, url: null };
  $("picture").hidden = true;
  $("picture").removeAttribute("src");
  $("letters").hidden = true;
  $("letters").textContent = "";
}

$("close").addEventListener("click", () => deselect(true));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && selected !== null && !document.querySelector("dialog[open]")) deselect(true);
});

// MARK: What a person can do

const path = (id) => `sessions/${encodeURIComponent(id)}`;

class Refusal extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

async function call(method, url, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(15000) });
  } catch {
    throw new Refusal(0, "The gateway cannot be reached.");
  }
  if (response.ok) return response;
  if (response.status === 401) {
    askForToken();
    throw new Refusal(401, "The gateway needs its token.");
  }
  const problem = await response.json().catch(() => ({}));
  throw new Refusal(response.status, problem.detail ?? `The gateway answered ${response.status}.`);
}

let noticeTimer;
function notify(text, isBad = false) {
  clearTimeout(noticeTimer);
  if (text && !isBad) noticeTimer = setTimeout(() => notify(""), 10000);
  $("notice").textContent = text;
  $("notice").className = isBad ? "bad" : "";
  $("notice").hidden = !text;
}

async function act(button, action, fail) {
  button.disabled = true;
  try {
    await action();
  } catch (error) {
    fail(error.message);
  } finally {
    button.disabled = false;
  }
}

$("create").addEventListener("submit", (event) => {
  event.preventDefault();
  notify("");
  const button = event.target.querySelector("button");
  act(button, async () => {
    const id = $("new-id").value;
    const session = await (await call("POST", "sessions", id ? { id } : {})).json();
    delete session.qrCode;
    if (!sessions.has(session.id)) sessions.set(session.id, session);
    $("new-id").value = "";
    if (!isShown(session)) { filter = "all"; query = $("search").value = ""; }
    drawFilters();
    select(session.id);
  }, (text) => notify(text, true));
});

function failInPanel(text) {
  $("panel-error").textContent = text;
  $("panel-error").hidden = false;
}

$("pair").addEventListener("click", () => {
  const id = selected;
  $("panel-error").hidden = true;
  act($("pair"), () => call("PATCH", path(id), { status: "initializing" }), failInPanel);
});

// What the question is about, whatever happens to the panel while it is asked.
let deleting = null;

$("delete").addEventListener("click", () => {
  deleting = selected;
  $("confirm-title").textContent = `Delete ${deleting}?`;
  $("confirm").returnValue = "";
  $("confirm").showModal();
});

$("confirm").addEventListener("close", () => {
  if ($("confirm").returnValue !== "delete") return;
  const id = deleting;
  act($("delete"), async () => {
    try {
      await call("DELETE", path(id));
    } catch (error) {
      if (error.status !== 404) throw error; // gone either way
    }
    const isOpen = selected === id;
    sessions.delete(id);
    if (isOpen) deselect(true);
    draw();
    notify(`Session “${id}” was deleted.`);
  }, failInPanel);
});

function askForToken() {
  $("token-error").hidden = token === null;
  $("token-text").value = "";
  if (!$("token").open) $("token").showModal();
}

$("token").addEventListener("cancel", (event) => event.preventDefault());
$("token").addEventListener("close", () => {
  token = $("token-text").value.trim();
  // No header can hold another text.
  if (!/^[!-~]+$/.test(token)) return askForToken();
  sessionStorage.setItem("token", token);
  reconnect();
});

// MARK: The stream of changes

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
    case "session": (arriving ?? sessions).set(value.id, value); break;
    case "deleted": sessions.delete(value.id); break;
    case "ping": clockOffset = Date.parse(value.time) - Date.now(); break;
    case "ready":
      if (arriving) sessions = arriving;
      arriving = null;
      attempt = 0;
      show("live");
  }
  if (id) cursor = id;
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

// Six connections are all that a browser opens to one host, so a tab that nobody looks at gives its own back.
let isAsleep = false;
let sleepTimer;
document.addEventListener("visibilitychange", () => {
  clearTimeout(sleepTimer);
  if (document.hidden) {
    sleepTimer = setTimeout(() => {
      isAsleep = true;
      clearTimeout(nextTry?.timer);
      nextTry = null;
      stream?.abort();
      show("connecting");
    }, 20000);
  } else if (isAsleep) {
    isAsleep = false;
    reconnect();
  }
});

drawFilters();
follow();
