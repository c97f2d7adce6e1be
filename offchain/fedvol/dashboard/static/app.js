// The page: what the server pushes goes into its section; a chosen surface is asked for.

import { drawErrors, drawSmiles, drawSurface, drawTerm, plotly } from "./charts.js";
import { $, make, say, timeOfDay } from "./dom.js";
import { setHead, setRound, tick } from "./round.js";
import { setChecks, setClusters, setGas, setIncidents, setNodes } from "./tables.js";

const state = { meta: null, versions: null, market: 0, version: 0, follows: true, shown: "", surface: null, link: { up: true } };

// ---------------------------------------------------------------- what the server pushes

const SECTIONS = {
  meta(value) {
    state.meta = value;
    say($("federation"), value.federation);
    document.title = `${value.federation} · FedVol`;
    say($("chain"), String(value.chain_id));
    $("markets").replaceChildren($("markets").firstElementChild, ...value.markets.map((name, i) => make("label", {},
      make("input", { type: "radio", name: "market", value: i, checked: i === state.market ? "" : null }), make("span", {}, name))));
    $("contracts").replaceChildren(...Object.entries(value.contracts).map(([name, at]) => make("div", {}, make("dt", {}, name), make("dd", {}, at))));
    $("smiles").dataset.tape = value.has_tape;
  },
  head: setHead,
  round: setRound,
  nodes(value) {
    setNodes(value);
    if (!performance.getEntriesByName("shown").length) performance.mark("shown");
  },
  clusters: setClusters,
  incidents: setIncidents,
  gas: setGas,
  versions(value) {
    state.versions = value;
    setChecks(value, state.meta);
    later("errors", () => drawErrors(value.checks, state.meta.markets));
    const slider = $("version");
    slider.disabled = value.newest < 2;
    slider.max = Math.max(1, value.newest);
    if (state.follows) state.version = value.newest;
    slider.value = state.version;
    showVersion();
  },
  link(value) {
    const back = value.up && !state.link.up;
    state.link = value;
    note();
    if (back && state.versions) showVersion();
  },
};

let lostSince = null;

function note() {
  const up = state.link.up && lostSince === null;
  const text = lostSince !== null
    ? `The dashboard process has not answered since ${timeOfDay(lostSince)}. What is below is from before; it tries again by itself.`
    : up ? "Live, read from the chain block by block."
      : `No answer from the chain since ${timeOfDay(state.link.since_ms)}: ${state.link.why} What is below is from before; it tries again by itself.`;
  $("link").dataset.up = String(up);
  say($("link"), text);
}

function listen() {
  const source = new EventSource("/events");
  for (const [name, show] of Object.entries(SECTIONS)) source.addEventListener(name, (event) => show(JSON.parse(event.data)));
  source.addEventListener("open", () => { lostSince = null; note(); });
  source.addEventListener("error", () => { lostSince ??= Date.now(); note(); });
  return source;
}

// A hidden tab lets its connection go: a browser keeps six to one address, and the seventh tab would wait for ever.
let source = listen();
document.addEventListener("visibilitychange", () => {
  source.close();
  if (!document.hidden) source = listen();
});
addEventListener("pagehide", () => source.close());

// ---------------------------------------------------------------- the surface that the viewer chose

function showVersion() {
  const { newest, trouble } = state.versions;
  const check = state.versions.checks.find((c) => c.version === state.version);
  const which = state.version === newest ? "newest" : `of ${newest}`;
  $("version-text").replaceChildren(...(newest ? [`v${state.version} ${which}`, make("span", { class: "less" }, check?.round ? ` · round ${check.round}` : "")] : ["–"]));
  $("version").setAttribute("aria-valuetext", $("version-text").textContent);
  if (trouble) complain(trouble);
  else if (newest) ask();
}

function complain(text) {
  say($("surface-note"), text);
  $("surface").dataset.trouble = text ? "yes" : "no";
}

let asking = null;

async function ask() {
  const wanted = `${state.version}/${state.market}/${state.versions.edition}`;
  if (wanted === state.shown || asking) return;
  asking = wanted;
  try {
    const answer = await fetch(`/api/surface/${state.version}/${state.market}`);
    const found = await answer.json();
    if (found.error) throw new Error(found.error);
    state.shown = wanted;
    state.surface = found;
    complain("");
    drawTerm(found);
    later("surface", () => drawSurface(found));
    later("smiles", () => drawSmiles(found));
  } catch (error) {
    complain(`This version cannot be shown: ${error.message}`);
    setTimeout(() => { if (state.link.up) showVersion(); }, 2_000);
  } finally {
    asking = null;
    if (`${state.version}/${state.market}/${state.versions.edition}` !== wanted) ask();
  }
}

$("version").addEventListener("input", (event) => {
  state.version = Number(event.target.value);
  state.follows = state.version === state.versions.newest;
  showVersion();
});
$("markets").addEventListener("change", (event) => {
  state.market = Number(event.target.value);
  showVersion();
});

// ---------------------------------------------------------------- drawing waits for what matters more

const jobs = new Map();
let working = false;

function later(name, job) {
  jobs.set(name, job);
  if (!working) work();
}

async function work() {
  working = true;
  await new Promise((resolve) => (window.requestIdleCallback ?? setTimeout)(resolve, { timeout: 500 }));
  while (jobs.size) {
    const [name, job] = jobs.entries().next().value;
    jobs.delete(name);
    try {
      await job();
      performance.mark(`drawn-${name}`);
    } catch (error) {
      complain(`Nothing can be drawn here: ${error.message}`);
    }
  }
  working = false;
}

function redraw() {
  if (state.surface) {
    later("surface", () => drawSurface(state.surface));
    later("smiles", () => drawSmiles(state.surface));
  }
  if (state.versions) later("errors", () => drawErrors(state.versions.checks, state.meta.markets));
}

addEventListener("themechange", redraw);
let width = innerWidth, resizing = 0;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  clearTimeout(resizing);
  resizing = setTimeout(redraw, 200);
});
setInterval(tick, 250);
addEventListener("load", () => plotly());
