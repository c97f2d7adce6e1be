// Compiles a Noir package and runs it: node noir.mjs PACKAGE < lines of JSON inputs > lines of JSON results.
import { compile, createFileManager } from "@noir-lang/noir_wasm";
import { Noir } from "@noir-lang/noir_js";
import { createInterface } from "node:readline";

const { program } = await compile(createFileManager(process.argv[2]));
const noir = new Noir(program);
const say = (result) => process.stdout.write(JSON.stringify(result) + "\n");
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    say({ value: (await noir.execute(JSON.parse(line))).returnValue });
  } catch (error) {
    say({ refused: String(error.message) });
  }
}
