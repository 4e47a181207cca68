// Where the data of a layer and of a unit lie, as URLs relative to the page.

/**
 * Return the name of a layer's folder as part of a URL: any name is safe.
 * On disk it is what Python's urllib.parse.quote(layer, safe="") gives, and each % of that is %25 in a URL.
 */
export function layerFolder(layer) {
  return quote(layer).replaceAll("%", "%25");
}

function quote(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Return the path and key of a data script, as load(...) of store.js takes them. */
export function siteData() {
  return ["assets/data/site.js", "site"];
}

export function layerData(layer) {
  return [`assets/data/${layerFolder(layer)}/layer.js`, layer];
}

export function unitData(layer, unit) {
  return [`assets/data/${layerFolder(layer)}/${unit}.js`, `${layer}/${unit}`];
}

export function thumbnailData(layer, number) {
  return [`assets/data/${layerFolder(layer)}/thumbnails-${number}.js`, `${layer}/thumbnails-${number}`];
}

/** Return the path of a source image. */
export function imagePath(number) {
  return `assets/images/${number}.jpg`;
}

/** Return the link to a unit, or to a layer where none is given: #alexnet/conv2/17 */
export function link(model, layer, unit = null) {
  const parts = unit === null ? [model, layer] : [model, layer, String(unit)];
  return `#${parts.map(encodeURIComponent).join("/")}`;
}

/** Return what a link asks for: {model, layer, unit}, unit null for a whole layer; null if it is no such link. */
export function parseLink(hash) {
  const parts = hash.replace(/^#/, "").split("/").map(decode);
  if (parts.length < 2 || parts.some((part) => part === "")) return null;
  const unit = parts.length > 2 ? Number(parts[2]) : null;
  return { model: parts[0], layer: parts[1], unit };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a lone % that someone has typed
  }
}
