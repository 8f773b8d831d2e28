"use strict";

const every = 2000; // ms between two questions
const patience = 7000; // ms without an answer until the page calls itself stale
const $ = (id) => document.getElementById(id);
let last = null; // the newest snapshot
let answered = performance.now(); // when it came

// Writing only what changed keeps selections, focus and screen readers calm.
function text(node, s) {
  if (node.textContent !== s) node.textContent = s;
}
function look(node, name) {
  if (node.getAttribute("class") !== name) node.setAttribute("class", name);
}
function element(name, parent, className) {
  const e = document.createElement(name);
  if (className) e.className = className;
  parent.append(e);
  return e;
}
// children makes parent have one child for each item and fills it in.
function children(parent, items, make, fill) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  items.forEach((item, i) => fill(parent.children[i], item));
}

const known = (v) => v !== null && v !== undefined;
function span(seconds) {
  if (!known(seconds)) return "–";
  const s = Math.max(0, Math.round(seconds)), m = Math.round(s / 60), h = Math.round(s / 3600);
  if (s < 90) return s + " s";
  if (m < 90) return m + " min";
  if (h < 48) return Math.floor(m / 60) + " h " + (m % 60) + " min";
  return Math.floor(h / 24) + " d " + (h % 24) + " h";
}
function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
  return (i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + " " + units[i];
}
const count = (n) => n.toLocaleString("en-US").replaceAll(",", " ");
const clock = (t) => new Date(t).toISOString().slice(11, 16);
const day = (t) => new Date(t).toISOString().slice(0, 10);
// moment leaves out the day where it is today.
const moment = (t, now) => (day(t) === day(now) ? "" : day(t) + " ") + clock(t) + " UTC";

function showUplink(node, u, now) {
  text(node.querySelector("h2"), "Uplink " + u.name);
  text(node.querySelector(".session"), "session: " + u.session);
  let state = "Window closed";
  if (u.window_open) {
    state = "Window open";
    if (u.window_until) state += " for " + span((Date.parse(u.window_until) - now) / 1000) + ", until " + moment(u.window_until, now);
  } else if (u.next_window) {
    state += ", opens in " + span((Date.parse(u.next_window) - now) / 1000) + ", at " + moment(u.next_window, now);
  } else {
    state += ", no next one known";
  }
  text(node.querySelector(".big"), state);
  timeline(node.querySelector("svg"), u.windows || [], now);
  pairs(node.querySelector("dl"), [
    ["last ack", known(u.last_ack_age_seconds) ? span(u.last_ack_age_seconds) + " ago" : "never"],
    ["billed today", bill(u.bytes_today, u.cost_today, u.currency)],
    ["billed this period", bill(u.bytes_period, u.cost_period, u.currency)],
    ["last error", u.last_error],
  ]);
}

function bill(amount, cost, currency) {
  return bytes(amount) + (currency ? ", " + cost.toFixed(2) + " " + currency : "");
}

// timeline draws the windows of the next 24 hours, one hour 1/24 of the width.
function timeline(svg, windows, now) {
  const length = 24 * 3600e3, percent = (t) => Math.min(100, Math.max(0, (t - now) / length * 100));
  const shapes = [["rect", { class: "track", x: 0, y: 4, width: "100%", height: 24, rx: 4 }]];
  shapes.push(["text", { class: "now", x: 0, y: 48 }, "now"]);
  const said = [];
  for (const w of windows) {
    const from = percent(Date.parse(w.opens)), to = w.closes ? percent(Date.parse(w.closes)) : 100;
    if (to <= 0 || from >= 100) continue;
    shapes.push(["rect", { class: "open", x: from + "%", y: 5, width: (to - from) + "%", height: 22 }]);
    said.push(clock(w.opens) + (w.closes ? " to " + clock(w.closes) : " on"));
  }
  for (let t = Math.ceil(now / 3600e3) * 3600e3; t < now + length; t += 3600e3) {
    const x = percent(t) + "%", hour = new Date(t).getUTCHours();
    shapes.push(["line", { class: "mark", x1: x, x2: x, y1: 28, y2: hour % 6 ? 31 : 35 }]);
    if (hour % 6 === 0 && percent(t) > 12 && percent(t) < 95) shapes.push(["text", { x, y: 48 }, clock(t)]);
  }
  children(svg, shapes, () => document.createElementNS(svg.namespaceURI, "g"), (g, [name, attributes, words]) => {
    let shape = g.firstElementChild;
    if (!shape || shape.tagName !== name) {
      shape = document.createElementNS(svg.namespaceURI, name);
      g.replaceChildren(shape);
    }
    for (const [k, v] of Object.entries(attributes)) {
      if (shape.getAttribute(k) !== String(v)) shape.setAttribute(k, v);
    }
    if (words) text(shape, words);
  });
  svg.setAttribute("aria-label", "Windows of the next 24 hours, UTC: " + (said.join(", ") || "none"));
}

// pairs shows names and values; an empty value is left out.
function pairs(dl, list) {
  children(dl, list.filter((p) => p[1]), () => {
    const div = document.createElement("div");
    element("dt", div);
    element("dd", div);
    return div;
  }, (div, [name, value, className]) => {
    text(div.firstChild, name);
    text(div.lastChild, value);
    look(div.lastChild, className || "");
  });
}

// row makes a table row whose cells have these classes and names.
const row = (cells) => () => {
  const tr = document.createElement("tr");
  for (const [className, name] of cells) element("td", tr, className).dataset.name = name;
  return tr;
};
function cells(tr, values) {
  values.forEach((v, i) => text(tr.children[i], v));
}

const laneRow = row([["name", "lane"], ["num", "pending"], ["num", "oldest"], ["num", "acked"], ["num", "sent"], ["num", "appended"], ["num", "gaps"]]);
function showLane(tr, l) {
  cells(tr, [l.name, count(l.pending), span(l.oldest_pending_age_seconds), count(l.acked), count(l.sent), count(l.appended), count(l.gaps)]);
}

const lineRow = () => {
  const tr = row([["name", "name"], ["state", "state"], ["num", "units up"], ["num", "busy"], ["num", "errors"]])();
  for (const td of [tr.children[0], tr.children[1]]) {
    element("span", td);
    element("span", td, "text");
  }
  return tr;
};
function showLine(tr, l) {
  const [name, state, units, busy, errors] = tr.children;
  text(name.firstChild, l.name);
  text(name.lastChild, l.address);
  text(state.firstChild, l.state);
  look(state.firstChild, l.state === "up" ? "" : "wrong");
  const driver = Object.entries(l.driver_errors || {}).filter((e) => e[1]).map((e) => count(e[1]) + " " + e[0]);
  text(state.lastChild, [l.last_error, driver.length ? "driver: " + driver.join(", ") : ""].filter(Boolean).join("; "));
  text(units, l.units_up + " of " + (l.units_up + l.units_down));
  look(units, l.units_down ? "num wrong" : "num");
  text(busy, l.busy_percent.toFixed(0) + " %");
  text(errors, count(l.errors));
}

const unitRow = row([["name", "name"], ["place", "line"], ["state", "state"], ["num", "since"], ["num", "requests"], ["num", "timeouts"], ["num", "damaged"], ["num", "exceptions"], ["num", "turnaround"]]);
function showUnit(tr, u) {
  const fine = u.state === "up" || u.state === "not asked yet";
  cells(tr, [u.name, u.line + " / " + u.id, (fine ? "" : "✖ ") + u.state, span(u.state_age_seconds), count(u.requests), count(u.timeouts), count(u.damaged),
    count(u.exceptions), known(u.turnaround_seconds) ? (1000 * u.turnaround_seconds).toFixed(1) + " ms" : ""]);
  look(tr.children[2], fine ? "state" : "state wrong");
}

const groupRow = row([["name", "scan group"], ["place", "line"], ["num", "every"], ["num", "points"], ["num", "overruns"]]);
function showGroup(tr, g) {
  cells(tr, [g.name, g.line, span(g.interval_seconds), count(g.points), count(g.overruns)]);
}

const archiveRow = row([["name", "name"], ["place", "unit"], ["num", "records"], ["place", "newest"], ["state", "last error"]]);
function showArchive(tr, a) {
  cells(tr, [a.name, a.unit, count(a.records), a.newest ? a.newest.slice(0, 16).replace("T", " ") : "", a.error ? "✖ " + a.error : ""]);
  look(tr.children[4], a.error ? "state wrong" : "state");
}

const gatewayRow = row([["name", "address"], ["place", "line"], ["state", "state"], ["num", "clients"], ["num", "requests"], ["num", "from memory"], ["num", "exchanges"], ["num", "writes"], ["num", "declined"], ["num", "refused"]]);
function showGateway(tr, g) {
  cells(tr, [g.address, g.line, (g.state === "up" ? "" : "✖ ") + g.state, g.clients, count(g.requests), count(g.remembered), count(g.exchanges),
    count(g.writes), count(g.declined), count(g.refused)]);
  look(tr.children[2], g.state === "up" ? "state" : "state wrong");
}

// optional shows a section only where there is something for its table.
function optional(id, list, make, fill) {
  $(id).hidden = !list || list.length === 0;
  children($(id).querySelector("tbody"), list || [], make, fill);
}

const marks = { good: "●", uncertain: "▲", bad: "✖" };
const pointRow = () => {
  const tr = row([["name", "tag"], ["value num", "value"], ["unit", "unit"], ["quality", "quality"], ["age num", "age"], ["place", "group"], ["place", "lane"], ["place", "line"]])();
  element("span", tr.children[0]);
  element("span", tr.children[0], "text");
  return tr;
};
function showPoint(tr, p) {
  const [name, value, unit, quality, age, group, lane, line] = tr.children;
  look(tr, p.quality);
  text(name.firstChild, p.tag);
  text(name.lastChild, p.description || "");
  text(value, p.value || "–");
  look(value, p.value ? "value num" : "value num none");
  text(unit, p.unit);
  text(quality, (marks[p.quality] || "?") + " " + p.quality + (p.reason ? ": " + p.reason : ""));
  text(age, known(p.age_seconds) ? span(p.age_seconds) : "never read");
  look(age, known(p.age_seconds) ? "age num" : "age num never");
  text(group, p.group);
  text(lane, p.lane);
  text(line, p.line + " / " + p.unit_id);
}
function showPoints(points) {
  const wanted = $("filter").value.trim().toLowerCase(), faulty = $("faulty").checked;
  const shown = points.filter((p) => (!faulty || p.quality !== "good") &&
    (!wanted || [p.tag, p.description, p.group, p.line].join("\n").toLowerCase().includes(wanted)));
  const of = (quality) => points.filter((p) => p.quality === quality).length;
  text($("counts"), of("good") + " good, " + of("uncertain") + " uncertain, " + of("bad") + " bad" +
    (shown.length < points.length ? "; " + shown.length + " shown" : ""));
  children($("points").tBodies[0], shown, pointRow, showPoint);
}

function showBuffer(s) {
  const b = s.buffer, pending = s.lanes.reduce((n, l) => n + l.pending, 0);
  const ages = s.lanes.map((l) => l.oldest_pending_age_seconds).filter(known);
  text($("pending"), pending === 0 ? "Everything is at the hub" :
    count(pending) + " records wait" + (ages.length ? ", the oldest for " + span(Math.max(...ages)) : ""));
  $("fill").value = b.quota_bytes ? b.bytes / b.quota_bytes : 0;
  pairs($("buffer"), [
    ["used", bytes(b.bytes) + " of " + bytes(b.quota_bytes)],
    ["room for", known(b.days_left) ? span(b.days_left * 86400) : "not known yet"],
    ["last error", b.last_error],
    ["set aside", b.quarantine, "wrong"],
  ]);
}

function show(s) {
  const now = Date.parse(s.time), wrong = s.degraded.length, name = s.display_name || s.site;
  document.title = (wrong ? "(" + wrong + ") " : "") + name + " – skyhaul";
  text($("name"), name);
  text($("site"), s.site + " · " + day(s.time) + " " + new Date(s.time).toISOString().slice(11, 19) + " UTC, clock " + s.time_quality +
    (known(s.time_bound_seconds) ? " within " + s.time_bound_seconds.toFixed(3) + " s" : ""));
  text($("verdict"), wrong === 0 ? "✓ all well" : "✖ " + wrong + (wrong === 1 ? " condition" : " conditions"));
  look($("verdict"), wrong ? "verdict bad" : "verdict good");
  $("degraded").hidden = wrong === 0;
  children($("degraded").querySelector("ul"), s.degraded, () => document.createElement("li"), text);
  children($("uplinks"), s.uplinks, () => $("uplink").content.firstElementChild.cloneNode(true), (node, u) => showUplink(node, u, now));
  showBuffer(s);
  children($("lanes").tBodies[0], s.lanes, laneRow, showLane);
  children($("lines").tBodies[0], s.lines, lineRow, showLine);
  children($("units").tBodies[0], s.units || [], unitRow, showUnit);
  children($("groups").tBodies[0], s.groups || [], groupRow, showGroup);
  optional("archives", s.archives, archiveRow, showArchive);
  optional("gateways", s.gateways, gatewayRow, showGateway);
  showPoints(s.points);
  text($("foot"), "skyhaul " + s.version + " · configuration " + s.config_hash + " · up " + span((now - Date.parse(s.started)) / 1000));
  $("main").hidden = false;
}

// mark says, in words and not only in grey, that what is shown is old.
function mark() {
  const silent = performance.now() - answered, stale = silent > patience;
  document.body.classList.toggle("isstale", stale);
  $("stale").hidden = !stale;
  if (!stale) return;
  text($("stale"), "No answer from skyhaul for " + span(silent / 1000) + ". " +
    (last ? "What you see is from " + moment(last.time, 0) + "." : ""));
  text($("verdict"), "? not known");
  look($("verdict"), "verdict");
}

let asking = false, timer = 0;
async function refresh() {
  if (asking) return;
  asking = true;
  try {
    if (document.hidden && last) {
      answered = performance.now(); // nobody looks, and the bytes may cross a paid link
    } else {
      const answer = await fetch("status.json", { signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(answer.statusText);
      last = await answer.json();
      answered = performance.now();
      show(last);
    }
  } catch (err) {
    console.warn("status.json:", err);
  }
  mark();
  asking = false;
  timer = setTimeout(refresh, every);
}

for (const id of ["filter", "faulty"]) $(id).addEventListener("input", () => last && showPoints(last.points));
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  refresh();
});
refresh();
