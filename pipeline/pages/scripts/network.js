// Networks in the browser: ONNX Runtime Web on the main thread, one thread, from scripts beside the page.

import { layerFolder } from "./paths.js";
import { load } from "./store.js";

/** Return the bytes of a base64 text. */
export function bytesOfBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const decoded = atob(text);
  const bytes = new Uint8Array(decoded.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = decoded.charCodeAt(i);
  return bytes;
}

async function decompressed(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** Return a size such as "4.2 MB". */
export function inMegabytes(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

async function startRuntime() {
  if (typeof WebAssembly === "undefined") throw new Error("it has no WebAssembly");
  const stored = await load("assets/ort.js", "ort");
  // A module given as text can be imported from a page that was opened as a file, too.
  const url = URL.createObjectURL(new Blob([stored.module], { type: "text/javascript" }));
  const runtime = await import(url);
  URL.revokeObjectURL(url);
  runtime.env.wasm.numThreads = 1;
  runtime.env.logLevel = "error";
  runtime.env.wasm.wasmBinary = await decompressed(bytesOfBase64(stored.wasm));
  return runtime;
}

let started = null;
let queue = Promise.resolve();

/** Return the runtime, which starts once. */
export function startedRuntime() {
  started ??= startRuntime().catch((error) => {
    started = null;
    throw new Error(`ONNX Runtime cannot start in this browser: ${inOneLine(error)}.`);
  });
  return started;
}

function inOneLine(error) {
  return String(error?.message ?? error).trim().split("\n")[0];
}

/** Run one thing after the other: the runtime does not run two networks at once. */
function inTurn(run) {
  const result = queue.then(run);
  queue = result.catch(() => {});
  return result;
}

async function openedSession(layer, kind) {
  const [runtime, text] = await Promise.all([
    startedRuntime(),
    load(`assets/data/${layerFolder(layer.name)}/${kind}.js`, `${layer.name}/${kind}`),
  ]);
  if (text === null) {
    const size = inMegabytes(layer.network[`${kind}_bytes`]);
    throw new Error(`The network of layer ${layer.name} is too large for a page (${size}).`);
  }
  const options = { executionProviders: ["wasm"], logSeverityLevel: 4 };
  return inTurn(() => runtime.InferenceSession.create(bytesOfBase64(text), options)).catch((error) => {
    throw new Error(`The network of layer ${layer.name} cannot be opened: ${inOneLine(error)}`);
  });
}

/** A layer's network: responses of all its units to one image of the size of their receptive field, and the
 * gradient of one of them. Values are Float32Array [3 * height * width], planar, in network-input space. */
export class Network {
  /** @param layer the layer's entry in the site's list, with its network. */
  constructor(layer) {
    this.layer = layer;
    this.shape = [1, 3, ...layer.network.size];
    this.sessions = {};
  }

  session(kind) {
    this.sessions[kind] ??= openedSession(this.layer, kind);
    return this.sessions[kind];
  }

  async run(kind, values, more = () => ({})) {
    const length = this.shape.reduce((a, b) => a * b);
    if (values.length !== length) {
      throw new Error(`An image of layer ${this.layer.name} has ${length} values, not ${values.length}.`);
    }
    const session = await this.session(kind);
    const runtime = await startedRuntime();
    const images = new runtime.Tensor("float32", Float32Array.from(values), this.shape);
    return inTurn(() => session.run({ images, ...more(runtime) })).catch((error) => {
      throw new Error(`The network of layer ${this.layer.name} cannot be run: ${inOneLine(error)}`);
    });
  }

  /** Return the responses of all units, Float32Array [units]. */
  async respond(values) {
    const { responses } = await this.run("forward", values);
    return responses.data;
  }

  /** Return {response, gradient} of a unit, a number and a Float32Array of the image's length. */
  async gradient(values, unit) {
    const found = await this.run("gradient", values, (runtime) => ({
      unit: new runtime.Tensor("int64", BigInt64Array.from([BigInt(unit)]), [1]),
    }));
    return { response: found.response.data[0], gradient: found.gradient.data };
  }

  /** Give back the memory of the sessions. */
  async close() {
    const sessions = Object.values(this.sessions);
    this.sessions = {};
    for (const opening of sessions) {
      const session = await opening.catch(() => null);
      if (session) await inTurn(() => session.release());
    }
  }
}
