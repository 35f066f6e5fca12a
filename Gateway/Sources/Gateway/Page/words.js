"use strict";

// How things are said and found on the page.

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

// A text of somebody else's, whose direction changes nothing around it.
const foreign = (text) => element("bdi", { textContent: text });

// An id as a person sees it: one of nothing but spaces would be an empty row.
const visible = (id) => (id.trim() ? id : "␣".repeat([...id].length));

// “Delete support?”, with the id apart from the sentence around it.
const sentence = (before, id, after) => [before, foreign(visible(id)), after];

// Why an account is offline: the reasons that the gateway gives, by the text that it keeps.
const reasons = {/* reasons */};

function inWords(reason) {
  if (!reason) return null;
  const { text, end } = split(reason.text);
  const known = Object.hasOwn(reasons, text) ? reasons[text] : null;
  const code = reason.code === undefined ? "" : ` (${reason.code})`;
  const until = end ? ` until ${when(end)}` : "";
  return known
    ? { short: known.title + until, long: `${known.title}${until}${code}. ${known.advice}` }
    : { short: text + until, long: `The worker said: ${text}${until}${code}.` };
}

const reasonOf = (session) => inWords(session.disconnectReason);

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

// What an operator wants of it, as long as the worker hasn't done it.
function wishOf({ wish, status, holder }) {
  switch (wish) {
    case "stop": return status === "disconnected" ? null : "Stopping: its worker is closing the connection.";
    case "logout": return holder ? "Logging out: its worker is unlinking the account." : "Will be logged out when its worker is back.";
    case "pair": return holder ? "Pairing again: its worker will show a code." : "Will be paired again when a worker takes it.";
    default: return null;
  }
}

// Why it is as it is, in a few words.
function whyOf(session) {
  const reason = session.status === "disconnected" ? reasonOf(session)?.short : null;
  const stopped = session.wish === "stop" && session.status === "disconnected" && session.disconnectReason?.text !== "stopped";
  return [stopped && "Stopped", reason, session.status !== "disconnected" && wishOf(session)?.split(":")[0], restrictionOf(session)]
    .filter(Boolean).join(" · ");
}

const clock = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit" });
const seconds = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat([], { day: "numeric", month: "short", year: "numeric" });
const dayOf = (date) => `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;

// Times of today are written without their day.
let today = dayOf(new Date());

function when(text, isShort = false) {
  const date = new Date(text);
  const isToday = dayOf(date) === today;
  if (isShort) return isToday ? clock.format(date) : day.format(date);
  return `${isToday ? "Today" : day.format(date)}, ${clock.format(date)}`;
}

let clockOffset = 0; // the gateway's clock minus this one, in milliseconds
const gatewayNow = () => Date.now() + clockOffset;
const number = (count) => count.toLocaleString();
const phone = (session) => (session.phoneNumber ? "+" + session.phoneNumber : "");
