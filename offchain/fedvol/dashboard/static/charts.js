// Surface, smiles and errors, drawn by plotly, which this machine serves and which comes after the rest of the page.

import { $, make, number, points, rows, say } from "./dom.js";

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false, showTips: false };
const phone = matchMedia("(max-width: 640px)");

/** What plotly shows as text it reads as markup: <b>, <a href>. */
export const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

let loading = null;
export function plotly() {
  loading ??= new Promise((resolve, reject) => {
    // Labels of a 3-D plot are measured by reading a canvas back; browsers warn where that is not said beforehand.
    const context = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, options) {
      return context.call(this, kind, kind === "2d" ? { willReadFrequently: true, ...options } : options);
    };
    const script = make("script", { src: "/static/plotly.js" });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => reject(new Error("plotly was not served")));
    document.head.append(script);
  });
  return loading;
}

function ink() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  return { text: get("text"), muted: get("muted"), line: get("line"), accent: get("accent"), good: get("good"), info: get("info"), panel: get("panel"), font: getComputedStyle(document.body).fontFamily };
}

const SCALES = {
  dark: [[0, "#16324f"], [0.25, "#1f6f8b"], [0.5, "#2fa58e"], [0.75, "#e3b95c"], [1, "#f0933a"]],
  light: [[0, "#173f63"], [0.25, "#23809c"], [0.5, "#36a58c"], [0.75, "#e0ab45"], [1, "#c65a14"]],
};

function axis(colors, more) {
  return {
    gridcolor: colors.line, zeroline: false, linecolor: colors.line, tickcolor: colors.line, fixedrange: true,
    tickfont: { size: 10, color: colors.muted }, title: { font: { size: 10, color: colors.muted } }, ...more,
  };
}

function layout(colors, more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false, autosize: false,
    font: { family: colors.font, size: 11, color: colors.text },
    hoverlabel: { bgcolor: colors.panel, bordercolor: colors.line, font: { family: colors.font, size: 11, color: colors.text } }, ...more,
  };
}

async function draw(target, traces, more) {
  const Plotly = await plotly();
  const box = target.getBoundingClientRect();
  const size = { width: Math.floor(target.clientWidth || box.width), height: Math.floor(target.clientHeight || box.height) };
  if (size.width < 20 || size.height < 20) return;
  await Plotly.react(target, traces, { ...more, ...size }, CONFIG);
}

function tenors(days) {
  return [1, 2, 7, 14, 30, 90, 180, 365].filter((d) => d >= days[0] * 0.99 && d <= days[days.length - 1] * 1.01);
}

export async function drawSurface(surface) {
  const colors = ink(), ticks = tenors(surface.days), plot = $("surface-plot"), far = phone.matches ? 1.36 : 1;
  const at = (title, more) => ({
    title: { text: title, font: { size: 11, color: colors.muted } }, gridcolor: colors.line, zeroline: false, showspikes: false,
    tickfont: { size: 10, color: colors.muted }, backgroundcolor: "rgba(0,0,0,0)", showbackground: false, linecolor: colors.line, ...more,
  });
  const trace = {
    type: "surface", x: surface.moneyness, y: surface.days.map(Math.log10), z: surface.vol, showscale: false,
    colorscale: SCALES[document.documentElement.dataset.theme] ?? SCALES.dark, customdata: surface.days.map((d) => surface.moneyness.map(() => d)),
    contours: {
      x: { show: true, color: "rgba(255,255,255,.16)", width: 1, start: 60, end: 160, size: 10, highlight: false },
      y: { show: true, color: "rgba(255,255,255,.16)", width: 1, start: 0, end: 3, size: 0.2, highlight: false },
      z: { highlight: false },
    },
    lighting: { ambient: 0.72, diffuse: 0.5, specular: 0.12, roughness: 0.7 },
    hovertemplate: "%{customdata:.1f} d, strike %{x:.0f}% of forward<br>%{z:.2f}%<extra></extra>",
  };
  await draw(plot, [trace], layout(colors, {
    margin: { l: 0, r: 0, t: 0, b: 0 }, dragmode: phone.matches ? false : "orbit", uirevision: "one",
    scene: {
      xaxis: at("strike, % of forward", { nticks: 6 }),
      yaxis: at("days", { tickvals: ticks.map(Math.log10), ticktext: ticks.map(String) }),
      zaxis: at("vol, %", { nticks: 6 }),
      aspectmode: "manual", aspectratio: { x: 1.6, y: 1.3, z: 0.75 },
      camera: { eye: { x: 1.05 * far, y: -1.75 * far, z: 0.66 * far }, center: { x: 0.02, y: 0.02, z: -0.27 } },
    },
  }));
  const said = surface.smiles.map((s) => `${s.days.toFixed(0)} days ${points(s.atm)}%`).join(", ");
  plot.setAttribute("aria-label", `Implied vol surface of ${surface.market}, version ${surface.version}. At the money: ${said}.`);
}

export function drawTerm(surface) {
  const table = $("term");
  const head = make("tr", {}, make("th", { scope: "col" }, "expiry"), ...surface.smiles.map((s) => make("th", { scope: "col", class: "num" }, `${Math.round(s.days)} d`)));
  table.tHead.replaceChildren(head);
  rows(table.tBodies[0], [["at 90%", "put"], ["at the money", "atm"], ["at 110%", "call"]].map(([name, key]) => ({ name, vols: surface.smiles.map((s) => s[key]) })),
    (line) => line.name, (line) => [make("th", { scope: "row" }, line.name), ...line.vols.map((vol) => number(points(vol)))]);
}

export async function drawSmiles(surface) {
  const colors = ink(), list = $("minis");
  while (list.children.length > surface.smiles.length) list.lastChild.remove();
  while (list.children.length < surface.smiles.length) {
    list.append(make("figure", { class: "mini" }, make("figcaption"), make("div", { class: "plot", role: "img" })));
  }
  const quoted = surface.smiles.reduce((n, s) => n + (s.quotes?.vol.length ?? 0), 0);
  say($("smiles-of"), `· ${surface.market} v${surface.version}`);
  say($("key-tape"), quoted ? "your tape" : $("smiles").dataset.tape === "true" ? "no quotes of your tape near this version" : "quotes need --tape");
  $("key-dot").hidden = !quoted;
  for (const [i, smile] of surface.smiles.entries()) {
    const [caption, plot] = list.children[i].children;
    const date = new Date(1000 * smile.expiry).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "2-digit", timeZone: "UTC" });
    caption.replaceChildren(`${date} · ${smile.days.toFixed(smile.days < 10 ? 1 : 0)} d`, make("span", { class: "less" }, ` · ATM ${points(smile.atm)}%`));
    plot.setAttribute("aria-label", `Smile of ${date}: at 90% ${points(smile.put)}%, at the money ${points(smile.atm)}%, at 110% ${points(smile.call)}%${smile.quotes ? `, ${smile.quotes.vol.length} quotes of your tape` : ""}`);
    const traces = [{ x: smile.moneyness, y: smile.vol, mode: "lines", line: { color: colors.accent, width: 2 }, hovertemplate: "%{x:.0f}%: %{y:.2f}%<extra>surface</extra>" }];
    if (smile.quotes?.vol.length) {
      traces.unshift({ x: smile.quotes.moneyness, y: smile.quotes.vol, mode: "markers", marker: { color: colors.info, size: 4.5, opacity: 0.6 }, hovertemplate: "%{x:.1f}%: %{y:.2f}%<extra>your tape</extra>" });
    }
    await draw(plot, traces, layout(colors, {
      margin: { l: 30, r: 6, t: 4, b: 20 }, hovermode: "closest",
      xaxis: axis(colors, { nticks: phone.matches ? 3 : 5, ticksuffix: "%" }), yaxis: axis(colors, { nticks: 4 }),
    }));
  }
}

export async function drawErrors(checks, markets) {
  const colors = ink(), plot = $("error-plot"), known = checks.filter((c) => !c.trouble);
  const judged = known.filter((c) => c.rmse !== null);
  const line = (name, value, color, more = {}) => ({
    x: known.map((c) => c.version), y: known.map(value), name: plain(name), mode: known.length > 40 ? "lines" : "lines+markers",
    line: { color, width: 1.6, ...more }, marker: { size: 5 }, hovertemplate: `v%{x}: %{y:.2f}<extra>${plain(name)}</extra>`,
  });
  const palette = [colors.info, colors.good, colors.muted];
  const traces = [];
  if (judged.length) {
    markets.forEach((market, i) => {
      if (judged.some((c) => c.by_market[i] !== null)) traces.push(line(market, (c) => c.by_market?.[i] ?? null, palette[i % 3], { width: 1.2, dash: "dot" }));
    });
    traces.push(line("all rows", (c) => c.rmse, colors.accent, { width: 2.2 }));
  }
  const arbitrage = { ...line("places with arbitrage", (c) => c.calendar + c.butterfly + c.undefined, colors.muted), yaxis: "y2", mode: "lines", fill: "tozeroy", fillcolor: "rgba(128,128,128,.12)" };
  await draw(plot, [arbitrage, ...traces], layout(colors, {
    margin: { l: 40, r: 40, t: 8, b: 32 }, hovermode: "x", showlegend: !phone.matches && judged.length > 0,
    legend: { orientation: "h", x: 0, y: 1.16, font: { size: 10, color: colors.muted } },
    xaxis: axis(colors, { title: { text: "version", font: { size: 10, color: colors.muted }, standoff: 4 }, tickformat: "d", dtick: known.length < 12 ? 1 : undefined, range: known.length === 1 ? [known[0].version - 1, known[0].version + 1] : undefined }),
    yaxis: axis(colors, { title: { text: judged.length ? "error, vol points" : "", font: { size: 10, color: colors.muted } }, rangemode: "tozero", visible: judged.length > 0 }),
    yaxis2: axis(colors, { title: { text: "places with arbitrage", font: { size: 10, color: colors.muted } }, overlaying: "y", side: "right", rangemode: "tozero", range: [0, Math.max(4, ...known.map((c) => c.calendar + c.butterfly + c.undefined)) * 1.1], nticks: 3, showgrid: false, tickformat: "d" }),
  }));
  const last = judged.at(-1);
  plot.setAttribute("aria-label", last ? `Error by version: ${points(last.rmse)} vol points at version ${last.version}, ${points(judged[0].rmse)} at version ${judged[0].version}` : "Places with arbitrage by version; errors need a tape");
}
