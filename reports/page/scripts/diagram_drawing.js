// One state of the diagram, laid out by dagre, as SVG: labels of boxes, frames of unfolded modules, edges.
const SVG = "http://www.w3.org/2000/svg";
const LINE = 15; // Pixels.
const STATUS_MARKS = { grew: "▲", shrank: "▼", new: "+", gone: "×", same: "" };

function svgElement(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function shortNumber(number) {
  const units = ["", " k", " M", " G", " T", " P"];
  let index = 0;
  for (let size = Math.abs(number); size >= 999.95 && index < 5; size /= 1000) index += 1;
  const value = number / 1000 ** index;
  return index ? `${value.toPrecision(4)}${units[index]}` : String(number);
}

const textMeasure = make("canvas").getContext("2d");
textMeasure.font = "600 12px system-ui, sans-serif";
const measure = (text) => textMeasure.measureText(text).width * 1.06;

// `shown` has the unfolded modules, the metric, and in `against` the network compared with.
function layOutDiagram(graph, shown, network, metrics, name) {
  // Costs.
  const sum = (item, key) => {
    const parts = item.nodes.flatMap((node) => node.rows).filter((row) => row[key]);
    return parts.length ? parts.reduce((total, row) => total + row[key][shown.metric], 0) : null;
  };
  const whole = () => sum({ nodes: graph.nodes }, "costs") || 1;
  const share = (item) => (sum(item, "costs") ?? 0) / whole();
  function statusOf(item) {
    const [before, after] = [sum(item, "before"), sum(item, "costs")];
    if (before === null) return "new";
    if (after === null) return "gone";
    return after > before ? "grew" : after < before ? "shrank" : "same";
  }
  const percentText = (part) => (part ? `${(100 * part).toFixed(1)} %` : "");

  // Labels: name, operators, output and share.
  function labels(item) {
    const rest = item.parent !== null && item.path.startsWith(`${item.parent}.`) ? item.path.slice(item.parent.length + 1) : item.path;
    const [row, ...joined] = item.nodes[0].rows;
    const own = rest === item.parent || rest === ""; // An operator of a module's own forward.
    const added = [...new Set(joined.map((other) => other.op))];
    const name = own ? row.op : rest;
    const first = [row.op === name ? "" : row.op, row.window].filter(Boolean).join(" ");
    const ops = first ? [first, ...added].join(" + ") : added.map((op) => `+ ${op}`).join(" ");
    const shape = (item.folded ? item.nodes.at(-1).rows : item.nodes[0].rows).at(-1).shape;
    const lines = [item.folded ? graph.grouped.get(item.path) ?? `${item.nodes.length} operators` : ops];
    if (shown.against === null) lines.push([shape, percentText(share(item))].filter(Boolean).join(" · "));
    else {
      const [before, after, kind] = [sum(item, "before"), sum(item, "costs"), statusOf(item)];
      lines.push(shape, kind === "new" || kind === "gone" ? `${kind}, ${shortNumber(after ?? before)}`
        : kind === "same" ? "" : `${relativeChange(before, after)} ${metrics[shown.metric]}`);
    }
    const mark = shown.against === null ? "" : STATUS_MARKS[statusOf(item)];
    return [`${mark ? `${mark} ` : ""}${name}`, ...lines.filter(Boolean)];
  }

  function arrange() {
    const visible = visibleGraph(graph, shown.unfolded);
    const plan = new dagre.graphlib.Graph({ compound: true });
    plan.setGraph({ rankdir: "TB", nodesep: 16, ranksep: visible.frames.length ? 28 : 22, edgesep: 10, marginx: 8, marginy: 14 });
    plan.setDefaultEdgeLabel(() => ({}));
    if (visible.edges.some(([from]) => from === "input"))
      visible.items.unshift({ id: "input", path: "input", folded: false, parent: null, nodes: [], lines: ["input", network.input] });
    for (const item of visible.items) {
      item.lines ??= labels(item);
      plan.setNode(item.id, { width: Math.max(...item.lines.map(measure), 56) + 20 + (item.folded ? 18 : 0), height: 12 + LINE * item.lines.length });
    }
    for (const { path } of visible.frames) plan.setNode(`f${path}`, {});
    for (const { path, parent } of visible.frames) if (parent !== null) plan.setParent(`f${path}`, `f${parent}`);
    for (const { id, parent } of visible.items) if (parent !== null) plan.setParent(id, `f${parent}`);
    const dense = visible.edges.length > 1.6 * visible.items.length + 20;
    for (const [from, to] of dense ? withoutShortcuts(visible.edges) : visible.edges) plan.setEdge(from, to);
    dagre.layout(plan);
    const room = Math.max(0, ...visible.edges.filter(([from, to]) => !plan.hasEdge(from, to)).map(([from, to]) => bow(plan, from, to)));
    return { ...visible, plan, width: plan.graph().width + 0.8 * room, height: plan.graph().height };
  }

  // Drawing. An edge that was not laid out is a bow beside the boxes.
  const bow = (plan, from, to) => 24 + 0.12 * Math.abs(plan.node(to).y - plan.node(from).y);
  function edgePath(from, to) {
    const { plan } = layout;
    if (plan.hasEdge(from, to)) return curve(plan.edge(from, to).points);
    const [start, end] = [from, to].map((id) => ({ x: plan.node(id).x + plan.node(id).width / 2, y: plan.node(id).y }));
    const side = Math.max(start.x, end.x) + bow(plan, from, to);
    return `M${start.x} ${start.y}C${side} ${start.y} ${side} ${end.y} ${end.x} ${end.y}`;
  }
  function curve(points) {
    const text = ({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`;
    const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
    let path = `M${text(points[0])}`;
    for (let index = 1; index < points.length - 1; index += 1)
      path += `Q${text(points[index])} ${text(index === points.length - 2 ? points.at(-1) : middle(points[index], points[index + 1]))}`;
    return points.length < 3 ? `${path}L${text(points.at(-1))}` : path;
  }

  function frame({ path, parent }) {
    const { x, y, width, height } = layout.plan.node(`f${path}`);
    const name = parent !== null ? path.slice(parent.length + 1) : path;
    const [left, top] = [x - width / 2, y - height / 2 - 4];
    const handle = measure(`− ${name}`) + 12;
    // Beside the handle of the frame around it, which is hardly higher.
    const beside = parent === null ? 6 : Math.min(measure(`− ${parent.split(".").at(-1)}`) + 24, width - handle);
    const element = svgElement("g", { class: "frame", role: "button", tabindex: -1, "aria-expanded": "true", "aria-label": `Fold ${path}` },
      svgElement("rect", { x: left + beside, y: top - 9, width: handle, height: 18, rx: 5 }),
      svgElement("text", { x: left + beside + 6, y: top + 4 }, `− ${name}`));
    element.dataset.frame = path;
    return [svgElement("rect", { class: "ground", x: left, y: top, width, height: height + 8, rx: 6 }), element];
  }

  function box(item, largest) {
    const { x, y, width, height } = layout.plan.node(item.id);
    const kind = item.id === "input" ? "outside" : shown.against === null ? "" : statusOf(item);
    const texts = item.lines.map((line, index) => svgElement("text", { x: (width - (item.folded ? 14 : 0)) / 2, y: 18 + LINE * index, class: index ? null : "b" }, line));
    const element = svgElement("g", {
      class: `box ${kind}${item.folded ? " module" : ""}`, role: "button", tabindex: -1, transform: `translate(${(x - width / 2).toFixed(1)} ${(y - height / 2).toFixed(1)})`,
      "aria-label": `${item.path || "network"}: ${item.lines.slice(1).join(", ") || item.lines[0]}`, "aria-expanded": item.folded ? "false" : null,
    }, svgElement("rect", { width, height, rx: 5, style: `--share:${kind === "" ? 55 * Math.sqrt(share(item) / largest) : 0}%` }), ...texts);
    if (item.folded) element.append(svgElement("text", { class: "sign", x: width - 12, y: 18 }, "+"));
    element.dataset.id = item.id;
    return element;
  }

  const layout = arrange();
  const { width, height } = layout;
  const largest = Math.max(...layout.items.filter((item) => item.nodes.length).map(share)) || 1;
  const edges = layout.edges.map(([from, to]) => {
    const path = svgElement("path", { class: "edge", d: edgePath(from, to), "marker-end": "url(#graph-arrow)" });
    path.dataset.from = from;
    path.dataset.to = to;
    return path;
  });
  const arrow = svgElement("marker", { id: "graph-arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, svgElement("path", { d: "M0 0.5L8 4L0 7.5Z" }));
  const frames = layout.frames.map(frame);
  const drawing = svgElement("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": name },
    svgElement("defs", {}, arrow), svgElement("g", {}, ...frames.map(([ground]) => ground)), svgElement("g", {}, ...edges),
    svgElement("g", {}, ...frames.map(([, handle]) => handle)), svgElement("g", {}, ...layout.items.map((item) => box(item, largest))));
  return { ...layout, drawing };
}

// The next box along an edge, or beside this one.
function nextBox(layout, id, key) {
  const place = (other) => layout.plan.node(other);
  const ends = key === "ArrowDown" ? layout.edges.filter(([from]) => from === id).map(([, to]) => to)
    : key === "ArrowUp" ? layout.edges.filter(([, to]) => to === id).map(([from]) => from)
      : layout.items.map((item) => item.id).filter((other) => Math.abs(place(other).y - place(id).y) < 24 && (place(other).x - place(id).x) * (key === "ArrowRight" ? 1 : -1) > 0);
  return ends.sort((a, b) => Math.abs(place(a).x - place(id).x) - Math.abs(place(b).x - place(id).x))[0];
}

// The numbers of a box as [title, text].
function boxFacts(item, metrics, compared) {
  const facts = [["output", item.nodes.at(-1).rows.at(-1).shape]];
  if (!item.folded) facts.unshift(["operators", item.nodes[0].rows.map((row) => [row.op, row.window].filter(Boolean).join(" ")).join(", ")]);
  metrics.forEach((title, index) => {
    const total = (key) => item.nodes.flatMap((node) => node.rows).filter((row) => row[key]).reduce((all, row) => all + row[key][index], 0);
    const [before, after] = [total("before"), total("costs")];
    facts.push([title, exactText(after) + (compared ? ` (${exactText(before)} before)` : "")]);
  });
  return facts;
}
