// Asks /status.json again and again, and shows it. What is told is text: none of it becomes markup.
"use strict";

const EVERY_MILLISECONDS = 2000;

const at = (id) => document.getElementById(id);

/** An element with text and children. */
function make(name, { text, kind, of = [] } = {}) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  element.append(...of);
  return element;
}

const whole = (number) => Math.round(number).toLocaleString("en");
const rate = (number) => (number < 10 ? number.toFixed(2) : whole(number));
const part = (failed, count) => (count > 0 ? `${((100 * failed) / count).toFixed(1)} %` : "–");

function time(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms`;
}

function span(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** Fills a table: a column is its heading, what stands below it, and what makes that bad, if anything. */
function fill(id, rows, columns) {
  const headings = columns.map(([heading]) => {
    const cell = make("th", { text: heading });
    cell.scope = "col";
    return cell;
  });
  const cells = (row) =>
    columns.map(([, value, isBad]) => make("td", { text: value(row), kind: isBad?.(row) ? "bad" : "" }));
  const body = rows.map((row) => make("tr", { of: cells(row) }));
  const none = make("tr", { of: [make("td", { text: "nothing yet", kind: "empty" })] });
  at(id).replaceChildren(
    make("thead", { of: [make("tr", { of: headings })] }),
    make("tbody", { of: body.length > 0 ? body : [none] }),
  );
}

const TIMED = [
  ["count", (row) => whole(row.count)],
  ["failed", (row) => part(row.failed, row.count), (row) => row.failed > 0],
  ["mean", (row) => time(row.mean_milliseconds)],
  ["99 % within", (row) => time(row.p99_milliseconds)],
];

function showParts(parts) {
  const shown = parts.map(({ name, breaker, checks }) => {
    const missing = checks.filter((check) => check.missing !== null);
    const words = missing.map((check) => `${check.name}: ${check.missing}`);
    if (breaker !== null) words.push(`breaker ${breaker.replace("_", "-")}`);
    const open = breaker !== null && breaker !== "closed";
    const kind = missing.length > 0 ? "bad" : open ? "warn" : "good";
    const item = make("li", { kind, of: [make("strong", { text: name })] });
    item.append(missing.length > 0 ? " not ready" : " ready");
    if (words.length > 0) item.append(make("small", { text: words.join("; ") }));
    return item;
  });
  at("parts").replaceChildren(...shown);
}

function showRequests(requests, window) {
  const facts = [
    ["a second", rate(requests.per_second)],
    ["failed (5xx)", part(requests.failed, requests.count)],
    ["mean", time(requests.mean_milliseconds)],
    ["99 % within", time(requests.p99_milliseconds)],
    ["under way", whole(requests.active)],
    ["streams", whole(requests.streams)],
  ];
  const told = ([term, value]) =>
    make("div", { of: [make("dt", { text: term }), make("dd", { text: value })] });
  at("requests").replaceChildren(...facts.map(told));
  const most = Math.max(1, ...requests.steps, ...requests.refused_steps);
  draw("graph-requests", requests.steps, most);
  draw("graph-refused", requests.refused_steps, most);
  at("window").textContent = `the last ${span(window)}, at most ${rate(most)}`;
}

function draw(id, values, most) {
  const step = 600 / Math.max(1, values.length - 1);
  const points = values.map((value, n) => `${(n * step).toFixed(1)},${(78 - (76 * value) / most).toFixed(1)}`);
  at(id).setAttribute("points", points.join(" "));
}

function showConnections(connections) {
  const shown = connections.map(({ name, connected, blocked }) => {
    const state = blocked ? "blocked" : connected ? "connected" : "away";
    const kind = blocked || !connected ? "bad" : "good";
    return make("li", { kind, of: [make("strong", { text: name }), ` ${state}`] });
  });
  const none = make("li", { text: "none: events stay within this process" });
  at("connections").replaceChildren(...(shown.length > 0 ? shown : [none]));
}

function show(report) {
  const memory = report.memory_bytes > 0 ? `, ${whole(report.memory_bytes / 1e6)} MB` : "";
  at("process").textContent = `${report.version} (${report.commit}), up for ${span(report.up_seconds)}${memory}`;
  showParts(report.parts);
  showRequests(report.requests, report.window_seconds);
  const named = (heading) => [heading, (row) => row.name];
  fill("operations", report.operations, [named("operation"), ...TIMED]);
  fill("edges", report.edges, [named("edge"), ...TIMED]);
  // Without its package: `order.v1.OrderService/GetOrder` says everything twice.
  fill("rpcs", report.rpcs, [["RPC", (row) => row.name.replace(/^[a-z0-9.]+\./, "")], ...TIMED]);
  fill("refusals", report.refusals, [
    ["reason", (row) => row.reason],
    ["code", (row) => row.code],
    ["count", (row) => whole(row.count)],
  ]);
  fill("outboxes", report.outboxes, [
    ["of", (row) => row.source],
    ["waiting", (row) => whole(row.waiting)],
    ["oldest", (row) => span(row.oldest_seconds), (row) => row.oldest_seconds > 60],
    ["told", (row) => whole(row.sent)],
    ["relay", (row) => (row.leads ? "leads" : "stands by")],
  ]);
  fill("consumers", report.consumers, [
    ["consumer", (row) => row.name],
    ["tried again", (row) => whole(row.retries)],
    ["dead letters", (row) => whole(row.dead_letters), (row) => row.dead_letters > 0],
  ]);
  showConnections(report.connections);
}

/** Says how things are, and only when that changes: it is read aloud. */
function say(text, kind) {
  if (at("state").textContent === text) return;
  at("state").textContent = text;
  at("state").className = kind;
}

const names = (parts) => parts.map(({ name }) => name).join(", ");

function judge(parts) {
  const missing = parts.filter(({ checks }) => checks.some((check) => check.missing !== null));
  if (missing.length > 0) return say(`Not ready: ${names(missing)}`, "bad");
  const left = parts.filter(({ breaker }) => breaker !== null && breaker !== "closed");
  if (left.length > 0) return say(`Failing: ${names(left)}`, "bad");
  return say("All is ready", "good");
}

async function ask() {
  try {
    const answer = await fetch("/status.json", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    const report = await answer.json();
    show(report);
    judge(report.parts);
  } catch {
    say("The process does not answer", "bad");
  }
  setTimeout(ask, EVERY_MILLISECONDS);
}

ask();
