// Workers, and what a person should notice without looking at the page.

let workers = null; // as the gateway lists them; null until it has
let workersTimer;

function loadWorkersSoon(pause = 500) {
  clearTimeout(workersTimer);
  workersTimer = setTimeout(async () => {
    try {
      workers = (await (await call("GET", "workers")).json()).workers;
      drawWorkers();
      draw();
    } catch {
      // What the page knows stays until the gateway can be asked again.
    }
  }, pause);
}

function drawWorkers() {
  // A worker is a process; several may have one name.
  const totals = new Map();
  for (const { worker, sessions: count } of workers) totals.set(worker, (totals.get(worker) ?? 0) + count);
  // Also the one that is chosen, when it is gone.
  if (holder) totals.set(holder, totals.get(holder) ?? 0);
  const names = [...totals.keys()].sort(compareTexts);
  const options = [["*", "All workers"], ["", "No worker"], ...names.map((name) => ["=" + name, `${name} (${number(totals.get(name))})`])];
  const text = JSON.stringify(options);
  if ($("holder").options_ !== text) {
    $("holder").options_ = text;
    $("holder").replaceChildren(...options.map(([value, label]) => element("option", { value, textContent: label })));
  }
  $("holder").value = holder === null ? "*" : holder === "" ? "" : "=" + holder;
  // A worker without a name has no lease, and isn't listed.
  const isServed = counts.connected > 0 || counts.qr_waiting > 0;
  $("no-worker").hidden = workers.length > 0 || isServed || counts.initializing === 0;
  $("workers").textContent = workers.length === 0 ? "" : workers.length === 1 ? "1 worker" : `${number(workers.length)} workers`;
}

$("holder").addEventListener("change", () => {
  const value = $("holder").value;
  holder = value === "*" ? null : value.replace(/^=/, "");
  shown = null;
  draw();
});

function drawTitle() {
  // Of a tab that is asleep the count would be an old one.
  const title = `${counts.problems && !isAsleep ? `(${number(counts.problems)}) ` : ""}${connection === "lost" ? "Offline – " : ""}WhatsApp sessions`;
  if (document.title !== title) document.title = title;
}

// MARK: Notifications

const canNotify = "Notification" in window && window.isSecureContext;
let notifies = canNotify && localStorage.getItem("notifies") === "yes" && Notification.permission === "granted";

function drawNotifies() {
  $("notify").hidden = !canNotify;
  $("notify").setAttribute("aria-pressed", notifies);
}

$("notify").addEventListener("click", async () => {
  if (!notifies && (await Notification.requestPermission()) !== "granted") {
    return notify("The browser doesn’t let this page notify you: allow it in the settings of the site.", true);
  }
  notifies = !notifies;
  localStorage.setItem("notifies", notifies ? "yes" : "no");
  drawNotifies();
});
drawNotifies();

// An account that has gone offline and waits for somebody.
function noticeChange(before, session) {
  if (!notifies || !before || !isProblem(session) || isProblem(before) || session.needsSocket) return;
  try {
    const notification = new Notification(`${visible(session.id)} is offline`, { body: reasonOf(session)?.short ?? "", tag: session.id });
    notification.onclick = () => { focus(); select(session.id); };
  } catch {
    // Chrome on Android has the class, and no constructor for pages.
    notifies = false;
    $("notify").hidden = true;
  }
}
