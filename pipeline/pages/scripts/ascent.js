// Gradient ascent in float32. The updates are torch.optim's (SGD, SGD with momentum 0.9, Adam with betas 0.9
// and 0.999 and epsilon 1e-8), with the sign of ascent.

const MOMENTUM = 0.9;
const BETAS = [0.9, 0.999];
const EPSILON = 1e-8;

/** values + lr * gradient. */
export function sgd(values, gradient, lr) {
  return { values: values.map((value, i) => value + lr * gradient[i]), memory: null };
}

/** velocity = 0.9 * velocity + gradient; values + lr * velocity. */
export function momentum(values, gradient, lr, memory) {
  const velocity = memory ? memory.map((speed, i) => MOMENTUM * speed + gradient[i]) : gradient.slice();
  return { values: values.map((value, i) => value + lr * velocity[i]), memory: velocity };
}

/** Adam (Kingma and Ba 2015): first and second moments, each corrected for its start at zero. */
export function adam(values, gradient, lr, memory) {
  const before = memory ?? {
    steps: 0,
    first: new Float32Array(values.length),
    second: new Float32Array(values.length),
  };
  const steps = before.steps + 1;
  const first = before.first.map((m, i) => m + (1 - BETAS[0]) * (gradient[i] - m));
  const second = before.second.map((v, i) => BETAS[1] * v + (1 - BETAS[1]) * gradient[i] ** 2);
  const size = lr / (1 - BETAS[0] ** steps);
  const correction = Math.sqrt(1 - BETAS[1] ** steps);
  const moved = values.map((x, i) => x + (size * first[i]) / (Math.sqrt(second[i]) / correction + EPSILON));
  return { values: moved, memory: { steps, first, second } };
}

/** Optimizers by name: (values, gradient, lr, memory) -> {values, memory}, all Float32Array of one length;
 * memory is null before the first step. Nothing given is changed. */
export const OPTIMIZERS = { sgd, momentum, adam };

/** Return values after some steps up the gradient of a unit, each from gradient(values) -> {gradient}. */
export async function climb(values, gradient, { optimizer = "sgd", lr = 0.1, steps = 1 } = {}) {
  if (!Object.hasOwn(OPTIMIZERS, optimizer)) {
    throw new Error(`No optimizer is called ${optimizer}; there are ${Object.keys(OPTIMIZERS).join(", ")}.`);
  }
  let state = { values, memory: null };
  for (let step = 0; step < steps; step++) {
    const found = await gradient(state.values);
    state = OPTIMIZERS[optimizer](state.values, found.gradient, lr, state.memory);
  }
  return state.values;
}
