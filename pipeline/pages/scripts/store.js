// Data of the site. A data script calls artiphys.put(key, value): reading files in any other way is
// not allowed to pages that are opened from a folder.

const KEPT = 100; // values; those asked for longest ago are read again

const values = new Map();
const loads = new Map();

globalThis.artiphys = { ...globalThis.artiphys, put: (key, value) => values.set(key, value) };

/**
 * Return the value that a data script puts under a key.
 * @param {string} path of the script, relative to the page
 * @param {string} key
 * @returns {Promise<any>} rejected with a readable Error where the file is missing or puts no such key
 */
export function load(path, key) {
  const known = loads.get(path);
  if (known) {
    loads.delete(path);
    loads.set(path, known); // asked for last
    return known;
  }
  const promise = read(path, key);
  loads.set(path, promise);
  promise.catch(() => loads.delete(path));
  if (loads.size > KEPT) loads.delete(loads.keys().next().value);
  return promise;
}

function read(path, key) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.onload = () => {
      script.remove();
      if (values.has(key)) resolve(values.get(key));
      else reject(new Error(`${path} holds no data called ${key}; build the site again`));
      values.delete(key);
    };
    script.onerror = () => {
      script.remove();
      reject(new Error(`${path} cannot be read; is the whole folder of the site there?`));
    };
    script.src = path;
    document.head.append(script);
  });
}
