// Tiles: modules as an icicle in SVG. plotly's own has no keyboard and spends a column on the whole network.
const COLUMNS = 4;
const NEARLY_ALL = 0.9;
const isIcicle = (plot) => figures[id(plot)]?.data[0]?.type === "icicle";
const icicles = {};
const zoomed = {};
const active = {};

// The labels of figures are escaped, because plotly interprets HTML in them.
const unescaped = (label) => label.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

function treeOf(plot) {
  return (icicles[id(plot)] ??= (() => {
    const { ids, labels, parents } = figures[id(plot)].data[0];
    const nodes = new Map(ids.map((path, index) => [path, { path, label: unescaped(labels[index]), index, children: [], parent: null }]));
    ids.forEach((path, index) => {
      const parent = nodes.get(parents[index]);
      if (!parent) return;
      nodes.get(path).parent = parent;
      parent.children.push(nodes.get(path));
    });
    return { nodes, top: nodes.get(ids[0]) };
  })());
}

// The level at which the metric divides: below modules that are nearly all of their parent, but above repeated blocks.
function startOf(top, values) {
  let node = top;
  for (;;) {
    const child = node.children.find((one) => values[one.index] >= NEARLY_ALL * values[node.index]);
    if (!child || !child.children.some((one) => values[one.index]) || child.label.includes(" × ")) return node;
    node = child;
  }
}

const TIMES = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
function amount(value, unit) {
  if (unit !== "ns") return `${shortNumber(value)} ${unit}`;
  const [size, prefix] = TIMES.find(([least]) => value >= least) ?? [1, "ns"];
  return `${(value / size).toPrecision(4)} ${prefix}`;
}
const portion = (share) => (share === 1 ? "100 %" : `${(100 * share).toFixed(1)} %`);
const blend = (color, ground, weight) => {
  const part = (text, start) => parseInt(text.slice(start, start + 2), 16);
  const mixed = [1, 3, 5].map((start) => Math.round(part(color, start) * weight + part(ground, start) * (1 - weight)));
  return `#${mixed.map((level) => level.toString(16).padStart(2, "0")).join("")}`;
};

function drawIcicle(plot, print = false) {
  const { data, layout, unit } = current(plot);
  const [trace] = tinted(data, print);
  const { nodes, top } = treeOf(plot);
  const values = trace.values;
  const focus = nodes.get(zoomed[id(plot)]) ?? startOf(top, values);
  const width = print ? PAPER : plot.clientWidth || 600;
  const height = print ? Math.max(layout.height * 0.42, 220) : layout.height - 34;
  const ground = print ? "#ffffff" : getComputedStyle(root).getPropertyValue("--bg").trim();
  const levels = (node) => 1 + Math.max(0, ...node.children.filter((child) => values[child.index]).map(levels));
  const columns = Math.max(Math.min(levels(focus) - 1, width < 500 ? 3 : COLUMNS), 1);
  const columnWidth = width / columns;
  const whole = values[top.index] || 1;
  const largest = Math.max(...[...nodes.values()].filter((node) => !node.children.length).map((node) => values[node.index])) || 1;
  const tiles = [];
  const place = (node, column, y, scale) => {
    const tall = values[node.index] * scale;
    tiles.push({ node, column, y, tall });
    if (column + 1 < columns) {
      let from = y;
      for (const child of node.children) {
        if (!values[child.index]) continue;
        place(child, column + 1, from, scale);
        from += values[child.index] * scale;
      }
    }
  };
  const shown = focus.children.filter((child) => values[child.index]);
  const scale = height / (values[focus.index] || 1);
  let y = 0;
  for (const child of shown.length ? shown : [focus]) {
    place(child, 0, y, scale);
    y += values[child.index] * scale;
  }
  const ruler = make("canvas").getContext("2d");
  ruler.font = `${print ? 8 : 12}px system-ui, sans-serif`;
  const fits = (text, room) => ruler.measureText(text).width <= room;
  const cut = (text, room) => {
    let length = Math.min(text.length, Math.floor(room / 2)); // No letter but i, l and marks is narrower than 2 pixels.
    while (length > 2 && !fits(`${text.slice(0, length)}…`, room)) length -= Math.ceil(length / 16);
    return fits(text, room) ? text : length > 2 ? `${text.slice(0, length)}…` : "";
  };
  const drawing = svgElement("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": "system-ui, sans-serif", "font-size": print ? 8 : 12 });
  for (const { node, column, y: from, tall } of tiles) {
    if (tall < 0.15 && column) continue;
    const share = values[node.index] / whole;
    const wide = column === columns - 1 || !node.children.some((child) => values[child.index]) ? width - column * columnWidth : columnWidth;
    const weight = 0.35 + 0.65 * Math.sqrt(Math.min(values[node.index] / largest, 1));
    const fill = blend(trace.marker.colors[node.index], ground, weight);
    const text = `${amount(values[node.index], unit)}, ${portion(share)}`;
    const tile = svgElement("g", { class: "slice", role: "button", tabindex: -1, "data-path": node.path, "aria-label": `${node.label}: ${text}` },
      svgElement("title", {}, `${node.path}\n${node.label.includes(" × ") ? `${node.label}\n` : ""}${text}`),
      svgElement("rect", { x: column * columnWidth, y: from, width: Math.max(wide - 1, 1), height: Math.max(tall - 1, 0.5), fill }));
    const room = wide - 10;
    const both = `${node.label}  ${portion(share)}`;
    const label = fits(both, room) ? both : cut(node.label, room);
    if (tall >= (print ? 9 : 14) && label) tile.append(svgElement("text", { x: column * columnWidth + 5, y: from + Math.min(tall / 2 + 4, 15), fill: textOn(fill), class: "label" }, label));
    tile.addEventListener("click", () => open(plot, node));
    drawing.append(tile);
  }
  const had = document.activeElement?.closest?.(".plot") === plot;
  plot.setAttribute("role", "group");
  plot.replaceChildren(crumbs(plot, focus, top), drawing);
  plot.dataset.drawn = "1";
  const focusable = plot.querySelector(`.slice[data-path="${CSS.escape(active[id(plot)] ?? "")}"]`) ?? plot.querySelector(".slice");
  focusable?.setAttribute("tabindex", 0);
  if (had) focusable?.focus({ preventScroll: true });
  dim(plot);
  mark(plot);
}

function crumbs(plot, focus, top) {
  const path = [];
  for (let node = focus; node; node = node.parent) path.unshift(node);
  const list = make("div", { className: "crumbs" });
  path.forEach((node, index) => {
    if (index) list.append(" › ");
    if (node === focus) list.append(make("b", { textContent: node.label }));
    else {
      const button = make("button", { type: "button", textContent: node.label });
      button.addEventListener("click", () => zoom(plot, node));
      list.append(button);
    }
  });
  return list;
}

function zoom(plot, node) {
  const { top } = treeOf(plot);
  zoomed[id(plot)] = node.path;
  remember(`zoom-${id(plot)}`, node === startOf(top, current(plot).data[0].values) ? "" : node.path);
  drawIcicle(plot);
}

function open(plot, node) {
  active[id(plot)] = node.path;
  const inside = node.children.some((child) => current(plot).data[0].values[child.index]);
  pick(node.path);
  if (inside) {
    active[id(plot)] = node.children[0].path;
    zoom(plot, node);
  }
}

// Arrows move between tiles, Enter looks inside, Escape goes back.
addEventListener("keydown", (event) => {
  const tile = event.target.closest?.(".slice");
  const plot = tile?.closest(".plot");
  if (!plot || !isIcicle(plot)) return;
  const { nodes } = treeOf(plot);
  const node = nodes.get(tile.dataset.path);
  const drawn = new Map(all(".slice", plot).map((one) => [one.dataset.path, one]));
  const siblings = node.parent ? node.parent.children.filter((one) => drawn.has(one.path)) : [node];
  const at = siblings.indexOf(node);
  const next = { ArrowDown: siblings[at + 1], ArrowUp: siblings[at - 1], ArrowLeft: node.parent, ArrowRight: node.children.find((child) => drawn.has(child.path)) }[event.key];
  if (event.key === "Enter" || event.key === " ") open(plot, node);
  else if (event.key === "Escape") {
    const focus = nodes.get(zoomed[id(plot)]);
    if (focus?.parent) {
      active[id(plot)] = focus.path;
      zoom(plot, focus.parent);
    } else pick("");
  } else if (next && drawn.has(next.path)) {
    tile.setAttribute("tabindex", -1);
    active[id(plot)] = next.path;
    drawn.get(next.path).setAttribute("tabindex", 0);
    drawn.get(next.path).focus();
  } else return;
  event.preventDefault();
});

// A search dims the tiles that do not match; the modules around a match stay.
let sought = "";
function dim(plot) {
  const tiles = all(".slice", plot);
  const hit = (tile) => tile.dataset.path.toLowerCase().includes(sought);
  const hits = tiles.filter(hit).map((tile) => tile.dataset.path);
  tiles.forEach((tile) => {
    const around = hits.some((path) => path === tile.dataset.path || path.startsWith(`${tile.dataset.path}.`));
    tile.classList.toggle("dim", Boolean(sought) && !around);
  });
}
function search(text) {
  sought = text.trim().toLowerCase();
  remember("search", sought);
  plots.filter((plot) => isIcicle(plot) && isDrawn(plot)).forEach(dim);
}
