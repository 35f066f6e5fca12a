// What the gateway said last, and in which order and of which part of it a person wants to see.

let sessions = new Map();
let order = []; // all of them, as they are listed
let shown = null; // those that are to be seen; null once that may have changed
let counts = {};

let filter = "all";
let query = "";
let holder = null; // the worker whose sessions are to be seen; "" for those of nobody
let isByName = localStorage.getItem("order") === "name";

// Offline ones first, those that wait for a person's phone, those under way, and last those that an operator stopped.
function rank({ status, wish }) {
  if (status === "disconnected") return wish === "stop" ? 4 : 0;
  return { qr_waiting: 1, initializing: 2, connected: 3 }[status];
}
const isProblem = (session) => rank(session) === 0;

const compareTexts = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const compareNames = (a, b) => compareTexts(a.id.toLowerCase(), b.id.toLowerCase()) || compareTexts(a.id, b.id);

// No two are equal.
function compare(a, b) {
  if (isByName) return compareNames(a, b);
  const ranks = rank(a) - rank(b);
  if (ranks) return ranks;
  // The longest first, as ISO 8601 sorts.
  return (rank(a) < 3 && compareTexts(a.statusChangedAt, b.statusChangedAt)) || compareNames(a, b);
}

// Where a session is in the order, or belongs.
function placeOf(session) {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(order[middle], session) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function count(session, difference) {
  counts.all += difference;
  counts[session.status] += difference;
  if (isProblem(session)) counts.problems += difference;
}

function remove(id) {
  const session = sessions.get(id);
  if (!session) return;
  sessions.delete(id);
  order.splice(placeOf(session), 1);
  count(session, -1);
  shown = null;
}

function put(session) {
  remove(session.id);
  sessions.set(session.id, session);
  order.splice(placeOf(session), 0, session);
  count(session, 1);
  shown = null;
}

function replaceAll(all) {
  sessions = all;
  order = [...all.values()].sort(compare);
  counts = { all: 0, qr_waiting: 0, initializing: 0, connected: 0, disconnected: 0, problems: 0 };
  for (const session of order) count(session, 1);
  shown = null;
}
replaceAll(new Map());

// What the text of the filter may be in.
function textOf(session) {
  session.text ??= [session.id, session.name, phone(session), whyOf(session), session.holder].filter(Boolean).join("\n").toLowerCase();
  return session.text;
}

function isShown(session) {
  if (filter !== "all" && session.status !== filter) return false;
  if (holder !== null && (session.holder ?? "") !== holder) return false;
  return !query || textOf(session).includes(query);
}

function shownSessions() {
  const isAll = filter === "all" && holder === null && !query;
  return (shown ??= isAll ? order : order.filter(isShown));
}

function showAll() {
  filter = "all";
  holder = null;
  query = $("search").value = "";
  $("holder").value = "*";
  shown = null;
}
