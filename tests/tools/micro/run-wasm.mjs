// Runs the benchmark as Wasm: node run-wasm.mjs FILE.wasm [CASES]
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [file, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: ["micro", ...args] });
const module = new WebAssembly.Module(readFileSync(file));
// Envoy's functions are imported, and never called here.
const env = {};
for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
  if (from === "env" && kind === "function") {
    env[name] = () => {
      throw new Error(`${name} was called`);
    };
  }
}
const instance = new WebAssembly.Instance(module, { ...wasi.getImportObject(), env });
// The library's `_initialize` is exported, too, which a command must not have.
const { memory, _start } = instance.exports;
wasi.start({ exports: { memory, _start } });
