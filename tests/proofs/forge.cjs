// A dishonest prover's witness: `node forge.cjs CHANGES`, with a witness on standard input and the forged one on
// standard output. CHANGES is JSON: number of the witness to its new value, a hex field element.

// V8's second compiler takes longer over the module than it ever saves.
require('node:v8').setFlagsFromString('--liftoff-only');
const fs = require('fs');
const { compressWitnessStack, decompressWitnessStack } = require('@noir-lang/acvm_js');

const stack = decompressWitnessStack(fs.readFileSync(0));
for (const [index, value] of Object.entries(JSON.parse(process.argv[2]))) {
  if (!stack[0].witness.has(Number(index))) throw new Error(`there is no witness ${index}`);
  stack[0].witness.set(Number(index), value);
}
fs.writeFileSync(1, compressWitnessStack(stack));
