// Which bars stand beside a response: results of the run for the same unit, and the most driven units of the layer.

import { unitName } from "./words.js";

const MOST_DRIVEN = 10;

/** Return what a layer's data hold of a unit: {top, bottom, finals: [[init, response]]}, null where there is nothing. */
export function known(data, unit) {
  const index = data?.units.indexOf(unit) ?? -1;
  const at = (column) => (index < 0 ? null : (column?.[index] ?? null));
  const finals = Object.entries(data?.final ?? {}).map(([init, column]) => [init, at(column)]);
  return { top: at(data?.top_response), bottom: at(data?.bottom_response), finals };
}

/** Return the natural range of a unit, from its bottom to its top patch; null where the run has none. */
function naturalRange({ top, bottom }) {
  return top === null || bottom === null ? null : [bottom, top];
}

/** Return the rows of bars that compare a response with results of the run. */
export function comparedRows(data, unit, response) {
  const results = known(data, unit);
  const range = naturalRange(results);
  const others = [
    ["top patch", results.top],
    ...results.finals.map(([init, value]) => [`climbed from ${init}`, value]),
    ["bottom patch", results.bottom],
  ];
  return [
    { label: "this image", value: response, range, current: true },
    ...others.filter(([, value]) => value !== null).map(([label, value]) => ({ label, value, range })),
  ];
}

/** Return the rows of bars of the units that respond most, from the responses of all. */
export function drivenRows(data, chosen, responses) {
  const order = Array.from(responses.keys()).sort((a, b) => responses[b] - responses[a]);
  return order.slice(0, MOST_DRIVEN).map((unit) => ({
    unit,
    label: unitName(unit),
    value: responses[unit],
    range: naturalRange(known(data, unit)),
    current: unit === chosen,
  }));
}
