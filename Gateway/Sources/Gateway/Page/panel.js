// The panel of one session, and its address.

let picture = { id: null, receivedAt: null, url: null };

const idInAddress = () => {
  try {
    return location.hash.length > 1 ? decodeURIComponent(location.hash.slice(1)) : null;
  } catch {
    return null;
  }
};

// Each session has an address, so that Back and a reload do what they do anywhere.
function setAddress(id, isNew) {
  const address = location.pathname + location.search + (id === null ? "" : "#" + encodeURIComponent(id));
  if (idInAddress() !== id) history[isNew ? "pushState" : "replaceState"](null, "", address);
}

addEventListener("popstate", () => {
  const id = idInAddress();
  if (id === null && selected !== null) deselect(true);
  else openAddress();
});

// Once the sessions are known.
function openAddress() {
  const id = idInAddress();
  if (id === null || id === selected) return;
  if (sessions.has(id)) return select(id);
  if (selected !== null) deselect(false);
  setAddress(null, false);
  notify(sentence("There is no session “", id, "”."));
}

function select(id, takesFocus = true) {
  if (selected !== id) $("panel-error").hidden = true;
  setAddress(id, selected === null || takesFocus);
  selected = stop = id;
  drawPanel();
  reveal(id);
  drawList();
  if (takesFocus) $("panel-id").focus({ preventScroll: !isNarrow.matches });
}

// Unless it is asked to, it takes the focus from nowhere but the panel.
function deselect(takesFocus) {
  const id = selected;
  const hadFocus = takesFocus || $("panel").contains(document.activeElement);
  setAddress(null, sessions.has(id));
  selected = null;
  drawPanel();
  drawList();
  if (hadFocus) (rows.get(id) ?? $("search")).focus({ preventScroll: true });
}

function drawPanel() {
  const session = sessions.get(selected);
  if (selected !== null && !session && cursor !== null) {
    notify(sentence("Session “", selected, "” was deleted."));
    if (question?.id === selected) $("confirm").close();
    return deselect(false);
  }
  $("panel").hidden = !session;
  document.querySelector("main").classList.toggle("open", Boolean(session));
  document.body.classList.toggle("covered", Boolean(session));
  // On a phone the panel covers the rest.
  for (const part of document.querySelectorAll("header, #filters, main section")) part.inert = Boolean(session) && isNarrow.matches;
  if (!session) return dropPicture();
  if ($("panel-id").title !== session.id) $("panel-id").replaceChildren(foreign(visible(session.id)));
  $("panel-id").title = session.id;
  if ($("panel-status").status !== session.status) $("panel-status").replaceChildren(badge(session.status));
  $("panel-status").status = session.status;
  const waits = session.status === "qr_waiting";
  $("pairing").hidden = !waits;
  const isTyped = session.pairing === "code";
  $("scan").hidden = isTyped;
  $("type").hidden = !isTyped;
  const hint = session.wish === "stop" || session.status !== "initializing" ? wishOf(session)
    : session.holder ? wishOf(session) ?? "Waiting for the worker to open a connection. A QR code appears here if the account must be linked."
    : workers?.length === 0 ? "No worker is connected to the gateway. Once one is, it opens the connection."
    : wishOf(session) ?? "No worker serves this session yet. It waits here until one does.";
  say($("hint"), hint);
  say($("restriction"), restrictionOf(session));
  const reason = reasonOf(session);
  const isOffline = session.status === "disconnected";
  const isStopped = isOffline && session.wish === "stop";
  $("reason").className = isOffline && !isStopped ? "bad" : "";
  say($("reason"), isStopped && session.disconnectReason?.text !== "stopped"
    ? `${reasons.stopped.title}. ${reasons.stopped.advice}${reason ? ` Before that: ${reason.long}` : ""}`
    : isOffline ? reason?.long ?? "The worker gave no reason."
    : reason && `Last problem: ${reason.long}`);
  drawOrders(session);
  if ($("facts").session !== session || $("facts").day !== today) drawFacts(session);
  loadHistory(session);
  if (waits && access === "full") loadPicture(session); else dropPicture();
  drawCode();
}

function say(node, text) {
  if (node.textContent !== (text || "")) node.textContent = text || "";
  node.hidden = !text;
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
    element("dt", { textContent: name }), element("dd", {}, foreign(text)),
  ]);
  $("facts").replaceChildren(...nodes);
  // Drawn again only when something changed, so that a number can be selected and copied.
  Object.assign($("facts"), { session, day: today });
}

// MARK: The history

let historyOf = { session: null, timer: null };

// Reads it again when the session has changed, but not at each of many changes.
function loadHistory(session) {
  if (historyOf.session === session) return;
  if (historyOf.session?.id !== session.id) $("changes").replaceChildren();
  clearTimeout(historyOf.timer);
  const isOther = historyOf.session?.id !== session.id;
  historyOf = { session, timer: setTimeout(async () => {
    try {
      const { changes } = await (await call("GET", `${path(session.id)}/changes?limit=50`)).json();
      if (selected === session.id) drawHistory(changes);
    } catch (error) {
      if (selected === session.id) $("changes").replaceChildren(element("li", { textContent: error.message }));
    }
  }, isOther ? 0 : 500) };
}

const nouns = { qrCode: "new code", name: "name", phoneNumber: "number", holder: "worker", restriction: "restriction", wish: "operator’s request" };

// What happened, in a few words; nothing for what is part of something else.
function changeInWords({ kind, fields, previousStatus, status, disconnectReason }) {
  if (kind === "created") return "Created";
  if (kind === "deleted") return "Deleted";
  const why = inWords(disconnectReason)?.short;
  if (fields.includes("status")) return `${labels[previousStatus]} → ${labels[status]}${why && status !== "connected" ? `: ${why}` : ""}`;
  if (fields.includes("disconnectReason") && why) return why;
  const words = fields.map((field) => nouns[field]).filter(Boolean).join(", ");
  return words === "new code" ? "New code" : words ? `Changed: ${words}` : null;
}

function drawHistory(changes) {
  const lines = changes.map((change) => [change, changeInWords(change)]).filter(([, words]) => words);
  $("changes").replaceChildren(...lines.map(([{ date }, words]) => element("li", {},
    element("time", { dateTime: date, textContent: `${when(date, true) === clock.format(new Date(date)) ? "" : day.format(new Date(date)) + ", "}${seconds.format(new Date(date))}` }),
    element("span", { textContent: words }))));
}

// MARK: The code

// Its age runs by the gateway's clock.
function drawCode() {
  const session = sessions.get(selected);
  if (session?.status !== "qr_waiting") return;
  const hasCode = Boolean(session.qrCodeReceivedAt);
  const isTyped = session.pairing === "code";
  const left = !hasCode ? 0 : isTyped ? Infinity : (Date.parse(session.qrCodeExpiresAt) - gatewayNow()) / 1000;
  const age = hasCode ? Math.max(0, (gatewayNow() - Date.parse(session.qrCodeReceivedAt)) / 1000) : 0;
  const isLost = connection !== "live";
  const isExpired = hasCode && left <= 0;
  const note = access === "read" ? "This token only reads, so the code is not shown."
    : isLost ? "No connection to the gateway: this code may be out of date."
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
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (selected !== null) deselect(true);
  else if (picked) endPicking();
});
