// Compiles a Noir package and runs it: node noir.mjs PACKAGE < lines of JSON inputs > lines of JSON results.
import { createInterface } from "node:readline";
import { setFlagsFromString } from "node:v8";

// V8's second compiler takes longer over the modules than it ever saves; they are loaded after it is off.
setFlagsFromString("--liftoff-only");
const { compile, createFileManager } = await import("@noir-lang/noir_wasm");
const { Noir } = await import("@noir-lang/noir_js");
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
