// Nodes, clusters, checks, incidents, gas.

import { $, address, auditLink, cell, make, number, points, rows, say, tokens, whole } from "./dom.js";

const body = (id) => $(id).tBodies[0];

export function setNodes(nodes) {
  say($("nodes-title"), nodes.length ? `Nodes · ${nodes.length}` : "Nodes");
  rows(body("node-table"), nodes, (n) => n.node, (n) => [
    number(n.seat ?? "–", "less"),
    make("th", { scope: "row" }, address(n.node), n.status === "active" ? null : make("span", { class: "tag" }, n.status)),
    cell(make("span", { class: `state ${state(n.now)}` }, n.now)),
    cell(strip(n), "less"),
    number(n.asked ? `${n.revealed}/${n.asked}` : "–"),
    number(tokens(n.bond)),
    number(n.taken ? tokens(n.taken) : "–", n.taken ? "bad" : ""),
    number(faults(n), "less"),
  ], "Nobody has joined yet.");
}

function faults(n) {
  const parts = [["silent", n.silent], ["absent", n.absent], ["withheld", n.withheld], ["veiled", n.veiled], ["void", n.voids]];
  return parts.filter(([, count]) => count).map(([name, count]) => `${count} ${name}`).join(", ") || "none";
}

function state(now) {
  if (now === "revealed" || now === "answered on chain") return "good";
  if (now === "committed") return "going";
  return now === "–" ? "idle" : "bad";
}

function strip(node) {
  const counts = {};
  for (const { did } of node.strip) counts[did] = (counts[did] ?? 0) + 1;
  const said = Object.entries(counts).map(([did, count]) => `${did} ${count}`).join(", ");
  return make("span", { class: "strip", role: "img", "aria-label": `Last ${node.strip.length} rounds: ${said || "none"}` },
    ...node.strip.map(({ round, did }) => make("i", { class: `mark ${did}`, title: `round ${round}: ${did}` })));
}

export function setClusters({ masked, clusters }) {
  const list = $("cluster-list");
  if (!masked) {
    const text = "Plain rounds: every update stands alone, and who reads the storage reads it.";
    if (list.textContent !== text) list.replaceChildren(make("p", { class: "hint" }, text));
    return;
  }
  const shown = JSON.stringify(clusters);
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  list.replaceChildren(...clusters.map((c) => make("article", { class: "cluster" },
    make("h3", {}, `Cluster ${c.cluster}`, make("span", { class: c.open ? "state good" : "state idle" }, clusterState(c))),
    make("ol", { class: "seats" }, ...c.seats.map((s) => make("li", { class: `mark ${s.did}`, title: `${s.node ?? "empty"}: ${s.did}` },
      make("span", {}, s.seat), make("span", { class: "spoken" }, ` ${s.did}`)))))));
}

function clusterState(c) {
  if (c.open) return `sum of ${c.survivors} known`;
  if (c.survivors === 0) return "waiting for reveals";
  if (!c.viable) return `${c.survivors} of the ${c.needs} it needs`;
  return `${c.unmasked} of ${c.survivors} unmasked`;
}

export function setChecks(versions, meta) {
  const known = versions.checks.toReversed();
  rows(body("check-table"), known, (c) => c.version, (c) => c.trouble ? [
    make("th", { scope: "row" }, `v${c.version}`), make("td", { colspan: 6, class: "bad" }, c.trouble),
  ] : [
    make("th", { scope: "row" }, `v${c.version}`), number(c.round || "–"), number(points(c.rmse)), number(c.rows ? whole(c.rows) : "–", "less"),
    number(c.calendar, c.calendar ? "bad" : "good"), number(c.butterfly + c.undefined, c.butterfly + c.undefined ? "bad" : "good"),
    cell(c.round ? auditLink(c.round, "audit") : "genesis"),
  ], versions.trouble ?? "No version is checked yet.");
  const found = known.reduce((sum, c) => sum + (c.trouble ? 0 : c.calendar + c.butterfly + c.undefined), 0);
  const arbitrage = known.length ? `${found} places with arbitrage in ${known.length} versions` : "";
  say($("checks-key"), versions.tape_trouble ?? (meta.has_tape ? arbitrage : `${arbitrage}${arbitrage ? " · " : ""}errors need --tape`));
}

export function setIncidents(incidents) {
  say($("incidents-title"), incidents.length ? `Disputes, reports and slashes · ${incidents.length}` : "Disputes, reports and slashes");
  rows(body("incident-table"), incidents, (i) => `${i.transaction} ${i.what} ${i.node}`, (i) => [
    cell(whole(i.block), "less"),
    cell(i.round ? auditLink(i.round, `round ${i.round}`) : "–"),
    cell(i.what),
    cell(address(i.node)),
    cell(address(i.by), "less"),
    number(i.taken === null ? "–" : tokens(i.taken), i.taken ? "bad" : ""),
  ], "None in the rounds that are kept.");
}

export function setGas(kinds) {
  const most = Math.max(1, ...kinds.map((k) => k.median));
  rows(body("gas-table"), kinds.map((k) => ({ ...k, share: k.median / most })), (k) => k.kind, (k) => {
    const bar = make("i", { class: "bar-fill" });
    bar.style.width = `${Math.max(1, 100 * k.share)}%`;
    return [make("th", { scope: "row" }, k.kind), make("td", { class: "bar-cell", "aria-hidden": "true" }, bar), number(whole(k.median)),
      number(whole(k.most), "less"), number(whole(k.count))];
  }, "Receipts are being read.");
}
