// The page and the overlay: one stream, shown in two ways. It comes back by itself.
import { Taggram, Trail } from "/taggram.js";

const query = new URLSearchParams(location.search);
const overlay = query.get("overlay") === "1";
const named = query.get("input");
const PAST_SECONDS = 180, STEP = 0.25;
const at = (id) => document.getElementById(id);
let labels = [], taggram = null, silent = null, wait = 250;
const trail = overlay ? null : new Trail(at("trail"));

if (overlay) {
  const list = at("overlay");
  document.documentElement.classList.add("overlay");
  document.body.classList.add("overlay");
  list.hidden = false;
  const size = Number(query.get("size"));
  if (size >= 8 && size <= 400) list.style.setProperty("--size", `${size}px`);
  for (const side of (query.get("at") ?? "").split(" ")) if (["top", "right"].includes(side)) list.classList.add(side);
}
const count = Math.max(1, Math.min(20, Number(query.get("top")) || (overlay ? 3 : 50)));
const least = Number(query.get("least")) || 0.1;
const show = (query.get("show") ?? "tags").split(",");

function tell(text, wrong = false) {
  if (at("state").textContent !== text) at("state").textContent = text;
  at("state").classList.toggle("wrong", wrong);
}

function bar(item, tag, score, on) {
  if (!item.firstChild) {
    for (const name of ["tag", "track", "number"]) item.append(Object.assign(document.createElement("span"), { className: name }));
    item.children[1].append(Object.assign(document.createElement("span"), { className: "fill" }));
  }
  item.children[0].textContent = tag;
  item.children[1].firstChild.style.setProperty("--score", score);
  item.children[2].textContent = score.toFixed(2);
  item.classList.toggle("on", on);
}

function rows(list, items, show, kind = "li") {
  while (list.children.length < items.length) list.append(document.createElement(kind));
  while (list.children.length > items.length) list.lastChild.remove();
  items.forEach((item, i) => show(list.children[i], item));
}

function showHello(hello) {
  labels = hello.labels;
  document.title = `streamtag: ${hello.input ?? hello.source}`;
  if (overlay) return;
  if (hello.inputs) showInputs(hello.input);
  at("heard").textContent = `${hello.source} · ${hello.model} · ${(1 / hello.hop).toFixed(1)} results a second`;
  taggram = new Taggram(at("taggram"), labels.length, PAST_SECONDS, STEP);
  rows(at("names"), labels, (item, label) => { item.textContent = label; });
  at("span").textContent = "grey: no sound came";
  const minutes = Array.from({ length: PAST_SECONDS / 60 }, (_, i) => `−${PAST_SECONDS / 60 - i} min`);
  rows(at("axis"), [...minutes, "now"], (item, text) => { item.textContent = text; }, "span");
  fetch(`/v1/past${named ? `?input=${named}` : ""}`).then((reply) => reply.json()).then((past) => {
    past.t.forEach((time, i) => taggram.add(time, past.percent[i]));
  }).catch(() => {}); // only the past is missing then
}

// All inputs, each with what it hears: a link to its page.
let asked = 0;
function showInputs(current, turn = ++asked) {
  fetch("/v1/inputs").then((reply) => reply.json()).then((inputs) => {
    at("inputs").hidden = false;
    rows(at("inputs"), inputs, (link, each) => {
      link.href = `?input=${each.input}`;
      if (each.input === current) link.setAttribute("aria-current", "page");
      const [tag, score] = each.top?.[0] ?? [];
      const words = each.state !== "running" ? each.state : tag ? `${tag} ${score.toFixed(2)}` : "silence";
      rows(link, [each.input, each.title ? `${words} · ${each.title}` : words], (part, text) => { part.textContent = text; }, "span");
      link.classList.toggle("wrong", each.trouble.length > 0);
      link.title = each.trouble.join("; ");
    }, "a");
  }).catch(() => {}).finally(() => { setTimeout(() => { if (turn === asked) showInputs(current, turn); }, 1000); });
}

// What the overlay writes: lines, and how strongly.
function written(frame) {
  const shown = ([tag, score]) => (query.get("scores") === "1" ? `${tag} ${Math.round(100 * score)}` : tag);
  const kinds = {
    tags: () => frame.top.filter(([, score]) => score >= least).slice(0, count).map((each) => [shown(each), each[1]]),
    heads: () => Object.values(frame.heads ?? {}).filter((classes) => classes[0]?.[1] >= least)
      .map((classes) => [shown(classes[0]), classes[0][1]]),
    level: () => [[`${frame.level_dbfs.toFixed(0)} dB`, 1]],
  };
  return show.flatMap((kind) => kinds[kind]?.() ?? []);
}

function showFrame(frame) {
  const on = new Set(frame.on);
  if (overlay) {
    rows(at("overlay"), written(frame), (item, [text, strength]) => {
      item.textContent = text;
      item.style.setProperty("--shown", Math.min(1, 0.35 + strength));
    });
    return;
  }
  rows(at("bars"), frame.top.slice(0, count), (item, [tag, score]) => bar(item, tag, score, on.has(tag)));
  if (!frame.top.length) rows(at("bars"), [["silence", 0]], (item, [tag, score]) => bar(item, tag, score, false));
  at("level").textContent = `${frame.level_dbfs.toFixed(1)} dBFS`;
  at("gained").hidden = frame.gain_db === undefined;
  if (frame.gain_db !== undefined) at("gain").textContent = `${frame.gain_db > 0 ? "+" : ""}${frame.gain_db.toFixed(1)} dB`;
  at("meter").value = frame.level_dbfs;
  at("music").hidden = frame.music === undefined;
  if (frame.music !== undefined) at("music").textContent = `music: ${Math.round(100 * frame.music)} %`;
  at("map").hidden = !frame.xyz; // a model without coordinates of its own
  if (frame.xyz) trail.add(frame.xyz);
  if (taggram) taggram.add(frame.t, frame.scores.map((score) => Math.round(100 * score)));
  [...at("names").children].forEach((item, i) => item.classList.toggle("on", on.has(labels[i])));
  const heads = at("heads");
  for (const [name, classes] of Object.entries(frame.heads ?? {})) {
    let part = [...heads.children].find((each) => each.dataset.name === name);
    if (!part) {
      part = document.createElement("div");
      part.dataset.name = name;
      part.append(Object.assign(document.createElement("h3"), { textContent: name }), document.createElement("ul"));
      heads.append(part);
    }
    const lit = new Set(frame.heads_on[name]);
    rows(part.lastChild, classes, (item, [tag, score]) => {
      item.textContent = `${tag} ${score.toFixed(2)}`;
      item.classList.toggle("on", lit.has(tag));
    });
  }
}

function showStatus(status) {
  const wrong = status.trouble.length > 0;
  tell(wrong ? `${status.state}: ${status.trouble.join("; ")}` : status.state, wrong);
  if (overlay) return;
  at("title").textContent = status.title ?? "";
  at("latency").textContent = `${status.latency_p50_ms.toFixed(0)} ms, p99 ${status.latency_p99_ms.toFixed(0)} ms`;
  at("load").textContent = `${Math.round(100 * status.load)} %`;
  at("lost").textContent = `${status.samples_lost} samples, ${status.hops_skipped} results`;
  at("gaps").textContent = status.gaps ? `${status.gaps} of ${status.gap_seconds.toFixed(1)} s in all` : "none";
}

function connect() {
  const fields = overlay ? "top,heads,level_dbfs" : "top,on,level_dbfs,gain_db,music,xyz,heads,heads_on,scores";
  const wish = `rate=${overlay ? 10 : 20}&fields=${fields}${named ? `&input=${named}` : ""}`;
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/stream?${wish}`);
  const heard = () => {
    clearTimeout(silent);
    silent = setTimeout(() => socket.close(), 5000); // a status comes each second: the network is gone
  };
  socket.onopen = heard;
  socket.onmessage = ({ data }) => {
    heard();
    wait = 250;
    const message = JSON.parse(data);
    ({ hello: showHello, frame: showFrame, status: showStatus })[message.type]?.(message);
  };
  socket.onclose = () => {
    clearTimeout(silent);
    tell("not connected: trying again", true);
    if (overlay) rows(at("overlay"), [], () => {});
    setTimeout(connect, wait);
    wait = Math.min(2 * wait, 5000);
  };
}
connect();
