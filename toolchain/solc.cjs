#!/usr/bin/env node
// The Solidity compiler from npm (WebAssembly) behind the two calls that py-solc-x makes of a native one:
// `--version`, and `--standard-json [--base-path P] [--include-path P]…` on stdin. Prints nothing but the answer.
// It uses one core, so every core generates the code of a share of the files; what comes out is the same.
const fs = require('fs');
const os = require('os');
const path = require('path');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

const MOST_WORKERS = 4; // each takes a gigabyte

function compile(input, roots) {
  const findImport = (name) => {
    for (const root of roots) {
      const file = path.resolve(root, name);
      if (fs.existsSync(file)) return { contents: fs.readFileSync(file, 'utf8') };
    }
    return { error: `File not found: ${name} (looked in ${roots.join(', ')})` };
  };
  return require('solc').compile(input, { import: findImport });
}

/** As many inputs as there are cores: the same sources, and of each file the output is asked for once. */
function shares(text) {
  const input = JSON.parse(text);
  const selected = input.settings?.outputSelection ?? {};
  const size = (name) => input.sources[name].content?.length ?? 0;
  const names = Object.keys(selected);
  if (!names.every((name) => name in input.sources)) return [text]; // "*" cannot be shared out
  names.sort((a, b) => size(b) - size(a));
  const count = Math.max(1, Math.min(os.availableParallelism(), MOST_WORKERS, names.length));
  return Array.from({ length: count }, (_, k) => {
    const own = names.filter((_, i) => i % count === k).map((name) => [name, selected[name]]);
    return JSON.stringify({ ...input, settings: { ...input.settings, outputSelection: Object.fromEntries(own) } });
  });
}

function merged(answers) {
  const parts = answers.map((answer) => JSON.parse(answer));
  const whole = {};
  const errors = new Map(parts.flatMap((part) => part.errors ?? []).map((error) => [JSON.stringify(error), error]));
  if (errors.size) whole.errors = [...errors.values()];
  for (const part of parts)
    for (const kind of ['sources', 'contracts'])
      for (const [name, value] of Object.entries(part[kind] ?? {}))
        whole[kind] = { ...whole[kind], [name]: { ...whole[kind]?.[name], ...value } };
  return JSON.stringify(whole);
}

function inWorker(input, roots) {
  return new Promise((resolve, reject) => {
    new Worker(__filename, { workerData: { input, roots } }).once('message', resolve).once('error', reject);
  });
}

async function main() {
  const args = process.argv.slice(2);
  if (args.includes('--version')) {
    console.log('solc, the solidity compiler commandline interface');
    console.log(`Version: ${require('solc').version().replace('.Emscripten.clang', '')}`);
    return;
  }
  const valuesOf = (flag) => args.flatMap((a, i) => (a === flag ? [args[i + 1]] : []));
  const roots = [...valuesOf('--base-path'), ...valuesOf('--include-path'), process.cwd()];
  const inputs = shares(fs.readFileSync(0, 'utf8'));
  const answers = await Promise.all(inputs.map((input) => inWorker(input, roots)));
  process.stdout.write(answers.length === 1 ? answers[0] : merged(answers));
}

if (isMainThread) main();
else parentPort.postMessage(compile(workerData.input, workerData.roots));
