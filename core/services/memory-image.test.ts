import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { loadMemory, saveMemory, type WasmMemory } from "./memory-image.ts";

declare const WebAssembly: { readonly Memory: new (limits: { initial: number }) => WasmMemory };

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), "headgate-image-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "new", "image");
}

function written(pages: number): WasmMemory {
  const memory = new WebAssembly.Memory({ initial: pages });
  new Uint8Array(memory.buffer).forEach((_, at, bytes) => {
    bytes[at] = at % 251;
  });
  return memory;
}

it("a memory is restored as it was saved, with its number", () => {
  const path = file();
  saveMemory(path, written(3), 4_000_000_000);
  const memory = new WebAssembly.Memory({ initial: 1 });
  expect(loadMemory(path, memory)).toBe(4_000_000_000);
  expect(Buffer.from(memory.buffer).equals(Buffer.from(written(3).buffer))).toBe(true);
});

it("what is missing, cut or damaged is not used", () => {
  const path = file();
  const load = () => loadMemory(path, new WebAssembly.Memory({ initial: 1 }));
  expect(load()).toBeUndefined();
  saveMemory(path, written(2), 1);
  const whole = readFileSync(path);
  for (const size of [0, 4, 8, 65_544, whole.length - 1]) {
    writeFileSync(path, whole.subarray(0, size));
    expect(load(), `${size} bytes`).toBeUndefined();
  }
  for (const at of [0, 8, whole.length - 1]) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] as number) ^ 1;
    writeFileSync(path, damaged);
    expect(load(), `byte ${at}`).toBeUndefined();
  }
});

it("where nothing can be written, nothing is, and nobody is bothered", () => {
  expect(() => saveMemory("/dev/null/image", written(1), 1)).not.toThrow();
  expect(loadMemory("/dev/null/image", written(1))).toBeUndefined();
});
