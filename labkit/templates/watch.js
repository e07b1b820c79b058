"use strict";
// Draws each state that the server sends. Every sentence comes from there, in the page's language.
const words = JSON.parse(document.getElementById("words").textContent);
const lang = document.documentElement.lang;
const get = (id) => document.getElementById(id);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const duration = (ms) => (ms === null ? "-" : ms >= 1000 ? (ms / 1000).toFixed(2) + " s" : Math.round(ms) + " ms");
const roughly = (ms) => (ms >= 1000 ? (ms / 1000).toFixed(1) + " s" : Math.round(ms / 10) * 10 + " ms");
const nodes = [...document.querySelectorAll(".node")].map((one) => one.dataset.node);

function show(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function make(tag, attributes, ...children) {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.append(...children);
  return one;
}

// One second's bar; that of the second node is split in two, so that colour is not all that tells them apart.
function bar(kind, x, y, height) {
  const parts = kind === "of2" ? [[0.08, 0.34], [0.58, 0.34]] : [[0.08, 0.84]];
  return parts.map(([from, width]) => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ class: kind, x: x + from, y, width, height })) one.setAttribute(name, value);
    return one;
  });
}

function showNode(node) {
  const card = document.querySelector(`.node[data-node="${node.name}"]`);
  const place = (name) => card.querySelector(`[data-is="${name}"]`);
  card.classList.toggle("owner", node.vip === true);
  const has = node.vip === null ? "-" : node.vip ? "\u25cf " + words.has_vip : "\u25cb " + words.no_vip;
  show(place("vip"), has + (node.serves ? ", " + words.serves : ""));
  show(place("state"), node.state_in_words ?? "-");
  show(place("heartbeats"), heartbeats(node));
  show(place("resources"), node.resources ?? "-");
  show(place("apache2"), node.apache2 === null ? "-" : node.apache2 ? words.runs : words.stopped);
}

function heartbeats(node) {
  if (node.heartbeat_ago_ms === null) return words.none_heard;
  const ago = roughly(node.heartbeat_ago_ms);
  if (node.silent) return fill(words.silent, { ago });
  return fill(words.beating, { ago, rate: node.heartbeats_per_s === null ? "-" : node.heartbeats_per_s.toFixed(1) });
}

// Good answers stand above the line, the others hang below it.
function showMinute(state) {
  const line = 10, tall = 10, deep = 4, most = 10;
  const bars = [];
  state.seconds.forEach((second, x) => {
    if (second === null) return;
    let top = line;
    nodes.forEach((node, index) => {
      const height = Math.min((second.good[node] ?? 0) / most, 1) * tall;
      top -= height;
      if (height) bars.push(...bar(`of${index + 1}`, x, top, height));
    });
    const failed = Math.min(second.failed / most, 1) * deep;
    if (failed) bars.push(...bar("bad", x, line, failed));
  });
  get("answers").replaceChildren(...bars);
  for (const svg of document.querySelectorAll(".lane")) {
    const { owner, beats } = svg.dataset;
    const kind = `of${nodes.indexOf(owner ?? beats) + 1}`;
    const on = (second) => second !== null && (owner ? (second.owners ?? []).includes(owner) : (second.heartbeats[beats] ?? 0) > 0);
    svg.replaceChildren(...state.seconds.flatMap((second, x) => (on(second) ? bar(kind, x, owner ? 0 : 0.2, owner ? 1 : 0.6) : [])));
  }
  show(get("summary"), state.summary);
}

let shownSteps = "";
function showTrial(state) {
  const trial = state.trial;
  if (trial === null) return;
  const about = trial.node === null ? trial.fault : fill(words.on, trial);
  show(get("stage"), trial.stage_in_words === null ? about : `${about}: ${trial.stage_in_words}`);
  const result = trial.result;
  const outcome = result === null ? "" : result.report;
  if (get("outcome").dataset.of !== outcome) {
    get("outcome").dataset.of = outcome;
    get("outcome").replaceChildren(...(result ? [make("b", {}, result.outage), " ", link(result)] : []));
  }
  if (shownSteps === JSON.stringify(trial.steps)) return;
  shownSteps = JSON.stringify(trial.steps);
  get("steps").hidden = trial.steps.length === 0;
  const box = get("steps");
  const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 4;
  box.querySelector("tbody").replaceChildren(
    ...trial.steps.map((step) =>
      make("tr", { class: step.kind === "bad" ? "bad-step" : step.kind },
        make("td", { class: "number" }, (step.after_ms < 0 ? "" : "+") + (step.after_ms / 1000).toFixed(3) + " s"),
        make("td", { class: "text" }, step.what, " ", make("span", { class: "faint" }, step.detail)))));
  if (atEnd) box.scrollTop = box.scrollHeight;
}

function link(result) {
  return make("a", { href: result.report, hreflang: "en", "aria-label": `${words.report}: ${result.fault}` }, words.report);
}

let shownResults = 0;
function showResults(results) {
  if (results.length === shownResults) return;
  shownResults = results.length;
  document.querySelector("#results tbody").replaceChildren(
    ...results.map((one) => {
      const figures = ["outage", "detection", "takeover", "failback"].map((name) =>
        make("td", { class: "number", "data-label": words[name] }, duration(one[name === "failback" ? "failback_outage_ms" : name + "_ms"])));
      return make("tr", {},
        make("td", { class: "lead" }, one.node === null ? one.fault : fill(words.on, one)), ...figures,
        make("td", { class: "text", "data-label": words.served_by }, one.server_after ?? "-"),
        make("td", { "data-label": words.checks, class: one.verdict }, words[one.verdict]),
        make("td", {}, link(one)));
    }));
}

let lastSaid = null;
function showSaid(said) {
  const newest = said.length ? said[said.length - 1].number : 0;
  // A page that has just opened reads nothing of the past aloud.
  if (lastSaid !== null) {
    const news = said.filter((one) => one.number > lastSaid).map((one) => one.text);
    if (news.length) get("announce").textContent = news.join(". ");
  }
  lastSaid = newest;
  const list = document.querySelector("#said .log");
  if (list.dataset.newest !== String(newest)) {
    list.dataset.newest = newest;
    list.replaceChildren(...[...said].reverse().map((one) => make("li", {}, make("span", { class: "faint" }), " " + one.text)));
  }
  [...said].reverse().forEach((one, index) => show(list.children[index].firstChild, fill(words.ago, { ago: Math.round(one.ago_ms / 1000) + " s" })));
}

let ready = false;
function showState(state) {
  show(get("owned"), state.owned);
  show(get("client"), state.client);
  show(get("without"), state.without_answer_ms === null ? "" : fill(words.without, { ago: roughly(state.without_answer_ms) }));
  state.nodes.forEach(showNode);
  showMinute(state);
  showTrial(state);
  showResults(state.results);
  showSaid(state.said);
  ready = !state.busy && state.holder === null && state.ended === null;
  for (const button of document.querySelectorAll("[data-fault]")) button.setAttribute("aria-disabled", String(!ready));
  if (state.ended !== null) show(get("notice"), fill(words.over, { why: state.ended }));
  else if (state.holder !== null) show(get("notice"), fill(words.held, state));
  else if (!refused) show(get("notice"), "");
}

let refused = false;
async function press(button) {
  refused = false;
  const answer = await fetch(`press/${button.dataset.fault}?lang=${lang}`, { method: "POST" });
  if (answer.status === 409) {
    refused = true;
    show(get("notice"), (await answer.json()).why);
  } else if (answer.ok) {
    get("trial").scrollIntoView({ block: "nearest" });
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-fault]");
  if (button) press(button).catch(() => show(get("notice"), words.lost));
});

const events = new EventSource(`events?lang=${lang}`);
events.onmessage = (message) => {
  const state = JSON.parse(message.data);
  showState(state);
  if (state.ended !== null) events.close();
};
events.onerror = () => {
  refused = false;
  show(get("notice"), words.lost);
};
