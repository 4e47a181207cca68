// Work in step with the screen.

/** Return a promise of the next animation frame. */
export function nextFrame() {
  return new Promise((resolve) => requestAnimationFrame(resolve));
}

/** Return a function that asks for work() to be done: at most once a frame, never twice at a time, and once more
 * after whatever was asked last. work is async and deals with its own errors. */
export function latest(work) {
  let asked = false;
  let busy = false;
  return async () => {
    asked = true;
    if (busy) return;
    busy = true;
    while (asked) {
      await nextFrame();
      asked = false;
      await work();
    }
    busy = false;
  };
}

/** Return show(text) that writes a text where screen readers hear it, at most once in some milliseconds. */
export function spoken(element, every = 1000) {
  let waiting = null;
  let text = "";
  return (next) => {
    text = next;
    waiting ??= setTimeout(() => {
      waiting = null;
      if (element.textContent !== text) element.textContent = text;
    }, every);
  };
}
