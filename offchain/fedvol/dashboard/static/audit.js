// One round, recomputed from chain and storage: what `fedvol audit --round` shows.

import { $, cell, make, rows, say } from "./dom.js";

const number = Number(location.pathname.split("/").at(-1));
const LEVELS = { holds: "good", wrong: "bad", "bytes missing": "bad", "not checkable": "warn", "not over yet": "going" };
const SUMMARIES = {
  0: "Everything holds.", 8: "Something is wrong: see the verdicts.", 9: "Bytes are missing from storage.",
  10: "Not all can be checked, or the round is not over.",
};

say($("audit-title"), Number.isInteger(number) ? `Audit of round ${number}` : "Audit");
document.title = `Round ${number} · FedVol audit`;
if (number > 1) $("earlier").href = `/audit/${number - 1}`;
$("later").href = `/audit/${number + 1}`;
say($("command"), `The same in a terminal: fedvol audit --round ${number} --storage …`);

async function show() {
  const body = $("audit-table").tBodies[0];
  try {
    const answer = await fetch(`/api/audit/${number}`);
    const found = await answer.json();
    if (!found.steps) throw new Error(found.error ? `${found.error} ${found.hint}` : "There is no such round.");
    say($("federation"), found.federation);
    rows(body, found.steps.map((step, i) => ({ ...step, i })), (s) => s.i, (s) => [
      make("th", { scope: "row" }, s.step), cell(s.what, "what"), cell(make("span", { class: `state ${LEVELS[s.verdict] ?? "warn"}` }, s.verdict)),
    ]);
    $("link").dataset.up = String(found.exit_code === 0);
    say($("link"), `${SUMMARIES[found.exit_code] ?? ""} ${found.steps.length} steps in ${found.seconds} s.`);
  } catch (error) {
    $("link").dataset.up = "false";
    say($("link"), error.message);
  }
}

show();
