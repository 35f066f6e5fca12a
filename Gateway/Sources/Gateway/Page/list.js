// The list: only the rows that can be seen are drawn, so that it has any length.

const isNarrow = matchMedia("(max-width: 860px)");
const rows = new Map(); // the row of each session that is drawn, by id
const margin = 10; // rows above and below the window
let selected = null; // the session that the panel shows
let picked = null; // the ids that were chosen, while several are; else null
let stop = null; // the session whose row takes the Tab key
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
    drawTitle();
  }, 60);
}

const filterButtons = Object.fromEntries(Object.keys(labels).map((name) => {
  const button = element("button", { type: "button" }, ...(name === "all" ? [] : [icon(name)]), labels[name] + " ", element("b", { textContent: "0" }));
  button.addEventListener("click", () => { filter = name; shown = null; scrollTo(0, 0); draw(); });
  $("filters").append(button);
  return [name, button];
}));

function drawFilters() {
  for (const [name, button] of Object.entries(filterButtons)) {
    button.querySelector("b").textContent = number(counts[name]);
    button.setAttribute("aria-pressed", name === filter);
  }
}

const rowHeight = () => (isNarrow.matches ? 74 : 58);

function drawList() {
  const all = shownSessions();
  const height = rowHeight();
  const list = $("list");
  list.style.height = `${all.length * height}px`;
  const top = list.getBoundingClientRect().top;
  const first = Math.min(Math.max(0, Math.floor(-top / height) - margin), all.length);
  const last = Math.max(first, Math.min(all.length, Math.ceil((innerHeight - top) / height) + margin));
  const focused = document.activeElement?.closest("#list li")?.session.id;
  const wanted = new Map(); // the place of each row, by id
  // The row that has the focus stays, wherever it is, and so does the one that takes the Tab key.
  if (focused !== undefined) stop = focused;
  if (!sessions.has(stop) || !isShown(sessions.get(stop))) stop = all[0]?.id ?? null;
  for (let place = first; place < last; place++) wanted.set(all[place].id, place);
  for (const id of [focused, stop]) {
    const session = sessions.get(id);
    if (session && isShown(session) && !wanted.has(id)) wanted.set(id, all === order ? placeOf(session) : all.indexOf(session));
  }
  for (const [id, row] of rows) {
    if (wanted.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  let previous = null;
  for (const [id, place] of [...wanted].sort((a, b) => a[1] - b[1])) {
    let row = rows.get(id);
    if (!row) {
      row = element("li");
      row.setAttribute("role", "option");
      rows.set(id, row);
    }
    fillRow(row, sessions.get(id));
    row.style.transform = `translateY(${place * height}px)`;
    row.setAttribute("aria-setsize", all.length);
    row.setAttribute("aria-posinset", place + 1);
    row.tabIndex = id === stop ? 0 : -1;
    // Moving a row that is in its place already would lose the focus.
    const next = previous ? previous.nextSibling : list.firstChild;
    if (row !== next) list.insertBefore(row, next);
    previous = row;
  }
  if (focused !== undefined && !rows.has(focused)) rows.get(stop)?.focus({ preventScroll: true });
  const isEmpty = all.length === 0 && cursor !== null;
  $("empty").hidden = !isEmpty;
  $("columns").hidden = all.length === 0;
  if (isEmpty) {
    const [title, text] = sessions.size === 0
      ? ["No sessions yet", "Create one above. It waits here until a worker reports its QR code."]
      : ["No sessions match", "Choose another status or worker, or change the text of the filter."];
    $("empty").firstElementChild.textContent = title;
    $("empty").lastElementChild.textContent = text;
  }
  drawPicked();
}

function fillRow(row, session) {
  row.setAttribute("aria-selected", picked ? picked.has(session.id) : session.id === selected);
  if (row.session === session && row.day === today) return;
  row.day = today;
  row.session = session;
  const why = whyOf(session);
  const second = element("small", {}, foreign(session.name ?? ""), element("span", { className: "why", textContent: why }));
  row.replaceChildren(
    element("div", { className: "what" }, element("strong", { title: session.id }, foreign(visible(session.id))), second),
    element("span", { className: "number", textContent: phone(session) }),
    element("span", { className: "state" }, badge(session.status)),
    element("span", { className: "reason", textContent: why, title: why }),
    element("span", { className: "holder" }, foreign(session.holder ?? "")),
    element("span", { className: "since", textContent: when(session.statusChangedAt, true), title: when(session.statusChangedAt) }),
  );
}

addEventListener("scroll", () => requestAnimationFrame(drawList), { passive: true });
addEventListener("resize", () => { drawList(); sizePicture(); });
isNarrow.addEventListener("change", draw);

// Scrolls until a session's row is seen.
function reveal(id) {
  const session = sessions.get(id);
  if (!session || !isShown(session)) return;
  const all = shownSessions();
  const place = all === order ? placeOf(session) : all.indexOf(session);
  const top = $("list").getBoundingClientRect().top + place * rowHeight();
  const above = connection === "lost" ? $("lost").offsetHeight : 0;
  if (top < above) scrollBy(0, top - above - 8);
  else if (top + rowHeight() > innerHeight) scrollBy(0, top + rowHeight() - innerHeight + 8);
  drawList();
}

function focusRow(id) {
  stop = id;
  reveal(id);
  drawList();
  rows.get(id)?.focus({ preventScroll: true });
}

function pick(id) {
  if (!picked.delete(id)) picked.add(id);
  drawList();
}

$("list").addEventListener("click", (event) => {
  const row = event.target.closest("li");
  if (row) picked ? (stop = row.session.id, pick(stop)) : select(row.session.id);
});

$("list").addEventListener("keydown", (event) => {
  const id = event.target.closest("li")?.session.id;
  if (id === undefined) return;
  const all = shownSessions();
  const place = all.findIndex((session) => session.id === id);
  const page = Math.max(1, Math.floor(innerHeight / rowHeight()) - 2);
  const steps = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: all.length - 1, PageDown: place + page, PageUp: place - page };
  if (event.key === "Enter" || event.key === " ") {
    picked ? pick(id) : select(id);
  } else if (event.key in steps && all.length) {
    const next = all[Math.min(Math.max(steps[event.key], 0), all.length - 1)].id;
    focusRow(next);
    if (selected !== null && !picked && !isNarrow.matches) select(next, false);
  } else {
    return;
  }
  event.preventDefault();
});

$("search").addEventListener("input", () => { query = $("search").value.trim().toLowerCase(); shown = null; draw(); });

$("order").value = isByName ? "name" : "problems";
$("order").addEventListener("change", () => {
  isByName = $("order").value === "name";
  localStorage.setItem("order", $("order").value);
  replaceAll(sessions);
  draw();
});

setInterval(() => {
  if (today === dayOf(new Date())) return;
  today = dayOf(new Date());
  draw();
}, 10000);
