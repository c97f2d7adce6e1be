// node unpack.mjs FROM.br TO: Python's standard library has no Brotli, Node's has.
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";

await pipeline(createReadStream(process.argv[2]), createBrotliDecompress(), createWriteStream(process.argv[3]));
