#!/usr/bin/env node
// The Solidity compiler from npm (WebAssembly) behind the two calls that py-solc-x makes of a native one:
// `--version`, and `--standard-json [--base-path P] [--include-path P]…` on stdin. Prints nothing but the answer.
const fs = require('fs');
const path = require('path');
const solc = require('solc');

const args = process.argv.slice(2);
if (args.includes('--version')) {
  console.log('solc, the solidity compiler commandline interface');
  console.log(`Version: ${solc.version().replace('.Emscripten.clang', '')}`);
  process.exit(0);
}
const valuesOf = (flag) => args.flatMap((a, i) => (a === flag ? [args[i + 1]] : []));
const roots = [...valuesOf('--base-path'), ...valuesOf('--include-path'), process.cwd()];
function findImport(name) {
  for (const root of roots) {
    const file = path.resolve(root, name);
    if (fs.existsSync(file)) return { contents: fs.readFileSync(file, 'utf8') };
  }
  return { error: `File not found: ${name} (looked in ${roots.join(', ')})` };
}
const answer = solc.compile(fs.readFileSync(0, 'utf8'), { import: findImport });
fs.writeSync(1, answer) === Buffer.byteLength(answer) || process.exit(1);
