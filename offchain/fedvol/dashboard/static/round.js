// The running round: phase, countdown, counters. The countdown ticks here, from the chain's time.

import { $, age, clock, make, say, whole } from "./dom.js";

const NAMES = {
  idle: "No round yet", draw: "Draw", commit: "Commit", reveal: "Reveal", availability: "Availability", unmask: "Unmask",
  propose: "Propose", challenge: "Challenge", final: "Final", void: "Void", settle: "Settling",
};
const MEANINGS = {
  idle: "until enough members have joined", draw: "until the seed's block", commit: "to commit", reveal: "to reveal",
  availability: "to demand and answer bytes", unmask: "to unmask", propose: "to propose the new model",
  challenge: "to prove the proposal wrong", settle: "until the chain is final enough", final: "to the next opening", void: "to the next opening",
};

let round = null, head = null;

export function setHead(value) {
  head = value;
  say($("block"), whole(value.block));
  tick();
}

export function setRound(value) {
  const before = round;
  round = value;
  say($("round-number"), value.number ? String(value.number) : "–");
  $("round").dataset.phase = value.phase;
  say($("phase"), value.phase === "final" && !value.is_published ? "Final, to be published" : NAMES[value.phase] ?? value.phase);
  if (!before || before.phase !== value.phase || before.number !== value.number) {
    say($("spoken"), `Round ${value.number}: ${NAMES[value.phase] ?? value.phase}`);
  }
  steps(value);
  counters(value);
  tick();
}

function steps(r) {
  const at = r.phases.indexOf(r.phase === "settle" ? r.before : r.phase);
  const list = $("steps");
  if (list.children.length !== r.phases.length || list.dataset.masked !== String(r.masked)) {
    list.dataset.masked = String(r.masked);
    list.replaceChildren(...r.phases.map((name) => make("li", {}, make("span", {}, NAMES[name] ?? name))));
  }
  [...list.children].forEach((step, i) => {
    const now = i === at && r.phase !== "settle";
    const state = r.phase === "void" ? "void" : now ? "now" : i < at || (i === at && r.phase === "settle") || (r.phase === "final" && i <= at) ? "done" : "todo";
    step.className = state;
    if (now) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  });
}

function counters(r) {
  const open = r.number > 0;
  const entries = [
    ["committed", open ? `${r.committed} / ${r.selected}` : "–", `quorum ${r.quorum}`, r.committed, r.selected],
    ["revealed", open ? `${r.revealed} / ${r.committed}` : "–", r.demands ? `${r.demands} demanded` : "none demanded", r.revealed, r.committed],
    ["unmasked", r.masked ? `${r.unmasked} / ${r.revealed}` : "–", r.masked ? "masked round" : "plain round", r.unmasked ?? 0, r.revealed],
    ["wrong proposals", String(r.failures), r.proposer ? `by ${r.proposer.slice(0, 6)}…${r.proposer.slice(-4)}` : "none stands"],
    ["members", String(r.members), `${r.joining} joining`],
    ["model", `v${r.version}`, null],
  ];
  const list = $("counters");
  if (!list.children.length) {
    list.replaceChildren(...entries.map(([name, , , part]) => {
      const entry = make("div", { "data-name": name }, make("dt", {}, name), make("dd", { class: "value" }), make("dd", { class: "note" }));
      if (part !== undefined) entry.append(make("dd", { class: "gauge", "aria-hidden": "true" }, make("i")));
      return entry;
    }));
  }
  entries.forEach(([, value, note, part, all], i) => {
    const entry = list.children[i];
    say(entry.querySelector(".value"), value);
    if (note !== null) say(entry.querySelector(".note"), note);
    const bar = entry.querySelector(".gauge i");
    if (bar) bar.style.width = `${all ? Math.min(100, (100 * part) / all) : 0}%`;
  });
}

/** Chain seconds now: those of the last block, and what has passed here since. */
function now() {
  return head.time + (Date.now() - head.seen_ms) / 1000;
}

export function tick() {
  if (!head) return;
  say($("block-age"), age((Date.now() - head.seen_ms) / 1000));
  if (!round) return;
  const ends = ["final", "void", "idle"].includes(round.phase) ? round.next_opening : round.ends_at;
  const left = ends - now();
  say($("countdown"), !ends ? "–:––" : left > 0 ? clock(left) : "0:00");
  say($("until"), ends && left <= 0 ? (ends === round.next_opening ? "the next may be opened" : "over: waiting for somebody to act") : MEANINGS[round.phase] ?? "");
  const model = $("counters").querySelector('[data-name="model"] .note');
  if (model && round.published_at) say(model, `${age(now() - round.published_at)} old`);
}
