// Solves a program for its inputs: `node witness.cjs PROGRAM.json`, inputs as JSON on standard input, the witness (as
// `bb` reads it) on standard output. Inputs are secrets: they pass through pipes only and are never printed.

// V8's second compiler takes longer over the module than it ever saves.
require('node:v8').setFlagsFromString('--liftoff-only');
const fs = require('fs');
const { Noir } = require('@noir-lang/noir_js');

(async () => {
  const program = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
  const { witness } = await new Noir(program).execute(JSON.parse(fs.readFileSync(0, 'utf8')));
  fs.writeFileSync(1, witness);
})().catch((error) => {
  // What the circuit asserts, and no value: those are in later lines, or quoted as `Kind(value)`.
  const [said] = String(error.message ?? error).split('\n');
  console.error(said.replace(/`[A-Z]\w*\(.*`/, 'it'));
  process.exitCode = 1;
});
