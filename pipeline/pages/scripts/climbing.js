// The ascent that one watches: steps from what is on the canvas, and the curve of responses.

import { OPTIMIZERS } from "./ascent.js";
import { responseText } from "./bars.js";
import { fill } from "./dom.js";
import { nextFrame } from "./frames.js";
import { curvePlot } from "./plots.js";

const NOT_FINITE = "The response or its gradient is not finite any more; go back to the start and take a smaller step size.";

/** Return what is wrong with a step, or null. */
export function fault(found, lr) {
  if (!(lr > 0) || !Number.isFinite(lr)) return "The step size must be a number above zero.";
  if (!Number.isFinite(found.response) || !found.gradient.every(Number.isFinite)) return NOT_FINITE;
  if (found.gradient.every((value) => value === 0)) return "The gradient is zero everywhere: nothing leads up from this image.";
  return null;
}

/** Return a plot of responses over steps, with a dashed line at the response to the top patch, if there is one. */
export function plotted(responses, top, width) {
  const steps = responses.length - 1;
  const from = `from ${responseText(responses[0])} to ${responseText(responses[steps])}`;
  const curves = [{ series: 0, copy: 0, responses }];
  if (top !== null) curves.push({ series: 2, copy: 1, responses: responses.map(() => top) });
  return curvePlot(curves, width, `Response over ${steps} steps, ${from}`);
}

/** Ascent of one unit. */
export class Climbing {
  /**
   * @param elements {optimizer, lr, run, step, reset, steps, curve}.
   * @param drawing where the image is.
   * @param unit {respond(values) -> response of the unit, also shown; gradient(values); top() response or null}.
   * @param tell shows a sentence about what is wrong, or takes it away (null).
   */
  constructor(elements, drawing, unit, tell) {
    Object.assign(this, { elements, drawing, unit, tell, running: false, busy: false });
    elements.run.addEventListener("click", () => (this.running ? this.pause() : this.run()));
    elements.step.addEventListener("click", () => this.step());
    elements.reset.addEventListener("click", () => this.reset());
    elements.optimizer.addEventListener("change", () => (this.memory = null));
    this.forget();
  }

  /** Begin anew: the next step is the first. */
  forget() {
    this.pause();
    Object.assign(this, { start: null, memory: null, responses: [] });
    this.show();
  }

  pause() {
    this.running = false;
    this.elements.run.textContent = "Run";
  }

  async run() {
    this.running = true;
    this.elements.run.textContent = "Pause";
    while (this.running) {
      await nextFrame();
      if (this.running) await this.step();
    }
  }

  /** Take one step, unless one is being taken; a fault stops the run and is told. */
  async step() {
    if (this.busy) return;
    this.busy = true;
    try {
      await this.moved();
    } catch (error) {
      if (this.start) this.stop(error.message); // else another unit was chosen meanwhile
    }
    this.busy = false;
  }

  async moved() {
    const { drawing } = this;
    if (!this.start) {
      drawing.remember();
      this.start = drawing.values.slice();
    }
    const { start } = this;
    const lr = this.elements.lr.valueAsNumber;
    const found = await this.unit.gradient(drawing.values);
    if (this.start !== start) return; // another image or unit was chosen meanwhile
    const wrong = fault(found, lr);
    if (wrong) {
      this.stop(wrong);
      return;
    }
    this.tell(null);
    if (!this.responses.length) this.responses.push(found.response);
    // Taken from the values of now, which may have been drawn on since the gradient was asked for.
    const next = OPTIMIZERS[this.elements.optimizer.value](drawing.values, found.gradient, lr, this.memory);
    this.memory = next.memory;
    drawing.put(next.values);
    const response = await this.unit.respond(next.values);
    if (this.start !== start) return;
    if (!Number.isFinite(response)) this.stop(NOT_FINITE);
    else this.responses.push(response);
    this.show();
  }

  stop(reason) {
    this.pause();
    this.tell(reason);
    this.show();
  }

  /** Put the image of before the first step back. */
  reset() {
    const { start } = this;
    if (start) this.drawing.replace(start);
  }

  show() {
    const { steps, reset, curve } = this.elements;
    const taken = Math.max(0, this.responses.length - 1);
    steps.textContent = taken === 1 ? "1 step" : `${taken} steps`;
    reset.disabled = this.start === null;
    curve.hidden = taken === 0;
    if (taken) fill(curve, plotted(this.responses, this.unit.top(), curve.clientWidth || 300));
  }
}
