// What a person can do.

let token = sessionStorage.getItem("token");
let access = "full"; // or "read", for a token that changes nothing and sees no codes

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
  $("notice").replaceChildren(...[text].flat());
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
    if (!sessions.has(session.id)) put(session);
    $("new-id").value = "";
    if (!isShown(session)) showAll();
    drawFilters();
    select(session.id);
  }, (text) => notify(text, true));
});

// MARK: Orders

// What the worker will do, so that nobody is surprised.
const orders = {
  start: { verb: "Start", done: "started" },
  stop: { verb: "Stop", done: "stopped" },
  pair: {
    verb: "Pair again", button: "Pair again",
    question: "The worker forgets what links the account now, and shows a code. The phone may still list the old device under Linked devices.",
  },
  logout: {
    verb: "Log out", done: "being logged out", button: "Log out", isDanger: true,
    question: "The worker unlinks the account on the phone, and forgets what linked it. To bring it back, a code must be scanned. If its worker is away, it does so when it comes back.",
  },
  delete: {
    verb: "Delete", done: "deleted", button: "Delete", isDanger: true,
    question: "The gateway forgets the session. Its worker forgets what links the account, and unlinks it on the phone if it is online. Otherwise the phone still lists the device under Linked devices, and a worker that is away keeps what links it: log out first.",
  },
};

// Which of them make sense, the likeliest first.
function ordersFor(session) {
  const isOffline = session.status === "disconnected";
  const names = [];
  if (isOffline || session.wish === "stop") names.push(session.linked ? "start" : "pair");
  if (session.wish !== "stop" && (!isOffline || session.needsSocket)) names.push("stop");
  if (session.linked && isOffline && session.wish !== "pair") names.push("pair");
  if (session.linked && session.wish !== "logout") names.push("logout");
  return names;
}

for (const name of Object.keys(orders)) $(name).addEventListener("click", () => orderSelected(name));

function drawOrders(session) {
  const names = ordersFor(session);
  for (const name of ["start", "stop", "pair", "logout"]) {
    $(name).hidden = !names.includes(name);
    $(name).classList.toggle("primary", name === names[0] && name !== "stop");
  }
}

async function orderSelected(name) {
  const id = selected;
  const session = sessions.get(id);
  $("panel-error").hidden = true;
  const asks = name === "delete" || name === "logout" || (name === "pair" && session.linked);
  if (asks && !(await ask(sentence(`${orders[name].verb} `, id, "?"), orders[name], id))) return;
  await act($(name), () => give(name, id), (text) => {
    if (selected !== id) return notify(text, true);
    $("panel-error").textContent = text;
    $("panel-error").hidden = false;
  });
}

async function give(name, id) {
  if (name !== "delete") {
    const session = await (await call("POST", `${path(id)}/${name}`)).json();
    delete session.qrCode;
    // The stream says it too, and perhaps more by then.
    if (sessions.get(id)?.statusChangedAt <= session.statusChangedAt) put(session);
    return draw();
  }
  try {
    await call("DELETE", path(id));
  } catch (error) {
    if (error.status !== 404) throw error; // gone either way
  }
  const isOpen = selected === id;
  remove(id);
  if (isOpen) deselect(true);
  draw();
  notify(sentence("Session “", id, "” was deleted."));
}

// What a question is about, whatever happens to the panel while it is asked.
let question = null;

function ask(title, { question: text, button, isDanger }, id = null) {
  $("confirm-title").replaceChildren(...title);
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = button;
  $("confirm-yes").className = isDanger ? "danger" : "primary";
  $("confirm").returnValue = "";
  $("confirm").showModal();
  return new Promise((resolve) => { question = { id, resolve }; });
}

$("confirm").addEventListener("close", () => {
  const { resolve } = question;
  question = null;
  resolve($("confirm").returnValue === "yes");
});

// MARK: Several at once

function drawPicked() {
  $("list").setAttribute("aria-multiselectable", Boolean(picked));
  $("picking").hidden = !picked;
  $("several").setAttribute("aria-pressed", Boolean(picked));
  if (!picked) return;
  for (const id of picked) if (!sessions.has(id)) picked.delete(id);
  $("picked-count").textContent = `${number(picked.size)} chosen`;
  for (const button of $("picking").querySelectorAll("[data-order]")) button.disabled = picked.size === 0;
}

function endPicking() {
  picked = null;
  drawList();
  $("several").focus();
}

$("several").addEventListener("click", () => {
  if (picked) return endPicking();
  if (selected !== null) deselect(false);
  picked = new Set();
  drawList();
});
$("pick-all").addEventListener("click", () => { picked = new Set(shownSessions().map((session) => session.id)); drawList(); });
$("pick-end").addEventListener("click", endPicking);

for (const button of $("picking").querySelectorAll("[data-order]")) {
  button.addEventListener("click", async () => {
    const name = button.dataset.order;
    const ids = [...picked];
    const what = ids.length === 1 ? sentence(`${orders[name].verb} `, ids[0], "?") : [`${orders[name].verb} ${number(ids.length)} sessions?`];
    const text = orders[name].question ?? (name === "stop"
      ? "Their workers close the connections. The accounts stay linked, and offline until they are started."
      : "Their workers bring the accounts online again.");
    if (!(await ask(what, { button: orders[name].verb, ...orders[name], question: text }))) return;
    let failure = null;
    let failed = 0;
    await act(button, async () => {
      const rest = ids.values();
      // A few at a time: a browser opens six connections to a host, and one is the stream.
      await Promise.all(Array.from({ length: 4 }, async () => {
        for (const id of rest) {
          await give(name, id).catch((error) => { failed++; failure = error.message; });
        }
      }));
    }, () => {});
    const done = ids.length - failed;
    const result = `${number(done)} ${done === 1 ? "session" : "sessions"} ${orders[name].done}.`;
    notify(failure ? `${result} ${number(failed)} could not be: ${failure}` : result, Boolean(failure));
    if (!failure) endPicking();
  });
}

// MARK: The token

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
