// Numbers and states as words.

/** Return a number with three digits or so; "none" where there is none. */
export function numberText(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "none";
  const size = Math.abs(value);
  if (size >= 1e6) return value.toExponential(2).replace("+", "").replaceAll("-", "\u2212");
  const text = size >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "\u2212");
}

/** Return a correlation with two decimals, three near zero. */
export function correlationText(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "undefined";
  return value.toFixed(Math.abs(value) < 0.1 ? 3 : 2).replace("-", "\u2212");
}

/** Return what a unit is called. */
export function unitName(unit) {
  return unit < 0 ? "the layer as a whole" : `unit ${unit}`;
}

/** Return what is added to the name of a number that is a mean over the images of a unit. */
export function ofCopies(site) {
  return site.copies > 1 ? " (mean of copies)" : "";
}

const STATUSES = {
  zero_gradient: "has a zero gradient at the start: nothing to climb",
  not_finite: "left the finite numbers",
  undefined: "has no defined correlation, because one of the two images did not change",
};

/** Return what a status means; null where all is well. */
export function statusText(status) {
  if (status === null || status === undefined || status === "ok") return null;
  return STATUSES[status] ?? `has the status ${status.replaceAll("_", " ")}`;
}

/** Return where a value lies among those of all units: "4 of 191 others are higher". */
export function placeText(value, values) {
  const known = values.filter((other) => other !== null);
  const above = known.filter((other) => other > value).length;
  if (known.length < 2) return "the only one";
  return above === 0 ? `the highest of ${known.length}` : `${above} of ${known.length - 1} others are higher`;
}

/** Return the middle of the values that are there; null if there are none. */
export function median(values) {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (known.length === 0) return null;
  const half = known.length >> 1;
  return known.length % 2 ? known[half] : (known[half - 1] + known[half]) / 2;
}
