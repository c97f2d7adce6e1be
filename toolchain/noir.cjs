// Compiles one Noir program: `node noir.cjs FOLDER-OF-ALL-PACKAGES PROGRAM OUTPUT`.
// Whatever names this machine or is of no use to a prover is left out, so that the same sources make the same bytes.

// V8's second compiler takes longer over the module than it ever saves.
require('node:v8').setFlagsFromString('--liftoff-only');
const fs = require('fs');
const path = require('path');
const { compile, createFileManager } = require('@noir-lang/noir_wasm');

const [root, name, output] = process.argv.slice(2);

(async () => {
  const files = createFileManager(path.resolve(root));
  const { program } = await compile(files, path.resolve(root, name));
  const { noir_version, abi, bytecode } = program;
  fs.writeFileSync(output, `${JSON.stringify({ noir_version, abi, bytecode })}\n`);
})().catch((error) => {
  console.error(error.message ?? error);
  process.exitCode = 1;
});
