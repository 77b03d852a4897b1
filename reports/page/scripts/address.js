// The state of the page is in its address, behind the link target: #compute&metric=Parameters&module=inception_3b.
const [, ...stored] = location.hash.slice(1).split("&");
const state = new Map(new URLSearchParams(stored.join("&")));
const target = () => location.hash.slice(1).split("&")[0];
function remember(key, value) {
  if (value) state.set(key, value);
  else state.delete(key);
  writeAddress();
}
function writeAddress() {
  const text = [target(), ...[...state].map((pair) => pair.map(encodeURIComponent).join("="))].join("&");
  if (`#${text}` !== location.hash && (text || location.hash)) history.replaceState(null, "", `#${text}`);
}

// A module that is picked anywhere is marked everywhere: tiles, rows, diagrams and bars.
let picked = "";
function pick(path) {
  picked = path === "(whole)" ? "" : path;
  remember("module", picked);
  const tables = new Set(); // One row of each: operators of a module have its path, too.
  all("tbody th").forEach((cell) => {
    const table = cell.closest("table");
    const hit = Boolean(picked) && textOf(cell) === picked && !tables.has(table);
    if (hit) tables.add(table);
    cell.parentElement.classList.toggle("picked", hit);
  });
  const ends = [`#${encodeURIComponent(picked)}`, `%2F${encodeURIComponent(picked)}`];
  all(".picture a").forEach((link) => {
    const to = link.getAttribute("href") ?? "";
    link.classList.toggle("picked", Boolean(picked) && (to === ends[0] || to.endsWith(ends[1]) || to.endsWith(`/${picked}`)));
  });
  plots.filter(isDrawn).forEach(mark);
  dispatchEvent(new CustomEvent("pick"));
}
function mark(plot) {
  if (isIcicle(plot)) {
    all(".slice", plot).forEach((tile) => tile.classList.toggle("picked", tile.dataset.path === picked));
    return;
  }
  const { data } = figures[id(plot)];
  const points = data.map((trace) => {
    const names = trace.type === "bar" ? trace.y : trace.text;
    return Array.isArray(names) ? names.flatMap((name, index) => (name === picked ? [index] : [])) : [];
  });
  const any = Boolean(picked) && points.some((list) => list.length);
  if (!any && !plot.dataset.marked) return;
  plot.dataset.marked = any ? "1" : "";
  Plotly.restyle(plot, { selectedpoints: points.map((list) => (any ? list : null)) });
}
