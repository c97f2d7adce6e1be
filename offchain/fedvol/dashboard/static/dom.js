// Everything that came from chain, storage, deployment file or tape enters the page as text, never as markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes (`class`, `href`, data-…) and children: elements, or text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined).map((c) => (c instanceof Node ? c : String(c))));
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Rows of a table body by key: one that has not changed is left alone, with focus and selection. */
export function rows(body, items, key, cells, empty) {
  const old = new Map([...body.children].map((row) => [row.dataset.key, row]));
  const wanted = items.map((item) => {
    const id = String(key(item)), state = JSON.stringify(item), known = old.get(id);
    if (known?.dataset.state === state) return known;
    return make("tr", { "data-key": id, "data-state": state }, ...cells(item));
  });
  if (!items.length && empty) {
    wanted.push(make("tr", { class: "empty" }, make("td", { colspan: body.parentElement.tHead.rows[0].cells.length }, empty)));
  }
  if (wanted.length !== body.children.length || wanted.some((row, i) => row !== body.children[i])) body.replaceChildren(...wanted);
}

export const cell = (content, classes = null) => make("td", { class: classes }, content);
export const number = (content, classes = "") => make("td", { class: `num ${classes}`.trim() }, content);

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const amount = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
export const whole = (value) => grouped.format(value);
export const tokens = (value) => amount.format(value);
export const points = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));

/** An address as people compare it; the whole one on hover and to screen readers. */
export function address(value) {
  if (!value) return make("span", {}, "–");
  const short = value.length > 14 ? `${value.slice(0, 6)}…${value.slice(-4)}` : value;
  return make("span", { class: "address", title: value }, short);
}

/** Seconds as 4:05 or 1:02:09. */
export function clock(seconds) {
  const left = Math.max(0, Math.floor(seconds)), two = (n) => String(n).padStart(2, "0");
  const h = Math.floor(left / 3600), m = Math.floor(left / 60) % 60;
  return h ? `${h}:${two(m)}:${two(left % 60)}` : `${m}:${two(left % 60)}`;
}

/** Seconds in words: 12 s, 5 min, 3 h, 2 d. */
export function age(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  return s < 172_800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86_400)} d`;
}

export const timeOfDay = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
export const auditLink = (round, text = round) => make("a", { href: `/audit/${Number(round)}`, "aria-label": `Audit of round ${Number(round)}` }, text);
