// The section Diagrams: graph.js laid out by dagre and drawn as SVG. Boxes fold and unfold; arrow keys follow the edges.
const SVG = "http://www.w3.org/2000/svg";
const LINE = 15; // Pixels.
const STATUS_MARKS = { grew: "▲", shrank: "▼", new: "+", gone: "×", same: "" };
const MAX_BOXES = 200;

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

function drawDiagram(panel, { networks, metrics, pairs }) {
  const rows = networks.map(readRows);
  const shown = { network: 0, against: null, metric: 0, unfolded: new Set(), zoom: 1, selected: null, query: "" };
  let graph = null;
  let layout = null;
  const view = make("div", { className: "graph-view", tabIndex: 0 });
  view.setAttribute("role", "region");
  const details = make("div", { className: "graph-details" });
  details.setAttribute("aria-live", "polite");
  const status = make("span", { className: "status" });
  status.setAttribute("role", "status");
  const context = make("canvas").getContext("2d");
  context.font = "600 12px system-ui, sans-serif";
  const measure = (text) => context.measureText(text).width * 1.06;

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
      visible.items.unshift({ id: "input", path: "input", folded: false, parent: null, nodes: [], lines: ["input", networks[shown.network].input] });
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

  function rememberDiagram() {
    const first = [...firstUnfolded(graph)].join("|");
    const now = [...shown.unfolded].join("|");
    remember("diagram", shown.network ? networks[shown.network].name : "");
    remember("against", shown.against === null ? "" : networks[shown.against].name);
    remember("unfolded", now === first ? "" : now.length < 1500 ? now || "|" : "");
  }

  function redraw(focus = null) {
    layout = arrange();
    rememberDiagram();
    const { width, height } = layout;
    const largest = Math.max(...layout.items.filter((item) => item.nodes.length).map(share)) || 1;
    const edges = layout.edges.map(([from, to]) => {
      const path = svgElement("path", { class: "edge", d: edgePath(from, to), "marker-end": "url(#graph-arrow)" });
      path.dataset.from = from;
      path.dataset.to = to;
      return path;
    });
    const arrow = svgElement("marker", { id: "graph-arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, svgElement("path", { d: "M0 0.5L8 4L0 7.5Z" }));
    const name = networks[shown.network].name + (shown.against === null ? "" : ` against ${networks[shown.against].name}`);
    view.setAttribute("aria-label", `Diagram of ${name}`);
    const frames = layout.frames.map(frame);
    const drawing = svgElement("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `Diagram of ${name}` },
      svgElement("defs", {}, arrow), svgElement("g", {}, ...frames.map(([ground]) => ground)), svgElement("g", {}, ...edges),
      svgElement("g", {}, ...frames.map(([, handle]) => handle)), svgElement("g", {}, ...layout.items.map((item) => box(item, largest))));
    view.replaceChildren(drawing);
    scale();
    highlight();
    const target = focus && (element(focus) ?? all(".box", view)[0]);
    const entry = target ?? (shown.selected && element(shown.selected)) ?? all(".box", view)[0];
    entry?.setAttribute("tabindex", 0);
    if (target) {
      target.focus({ preventScroll: true });
      target.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }
  const element = (id) => all(".box", view).find((other) => other.dataset.id === id);
  const itemOf = (id) => layout.items.find((item) => item.id === id);

  function scale(zoom = shown.zoom) {
    shown.zoom = Math.min(Math.max(zoom, 0.1), 4);
    const { width, height } = layout;
    const drawing = view.firstElementChild;
    drawing.setAttribute("width", width * shown.zoom);
    drawing.setAttribute("height", height * shown.zoom);
  }
  const fit = () => scale(Math.min(1, (view.clientWidth - 4) / layout.width));
  function fitReadable() {
    scale(Math.min(1, Math.max((view.clientWidth - 4) / layout.width, 0.8)));
    view.scrollLeft = (view.scrollWidth - view.clientWidth) / 2;
  }

  // Folding, selection, search.
  function fold(path, open) {
    if (open) shown.unfolded.add(path);
    else for (const other of [...shown.unfolded]) if (other === path || other.startsWith(`${path}.`)) shown.unfolded.delete(other);
    const inside = graph.members.get(path);
    redraw(open ? visibleGraph(graph, shown.unfolded).items.find((item) => inside.includes(item.nodes[0])).id : `m${path}`);
  }

  function select(id) {
    shown.selected = id;
    highlight();
    const item = itemOf(id);
    if (item?.nodes.length && item.path && !graph.grouped.has(item.path) && item.path !== picked) pick(item.path);
    describe(item);
  }
  function describe(item) {
    if (!item?.nodes.length) return details.replaceChildren();
    const network = networks[shown.network];
    const facts = [["output", item.nodes.at(-1).rows.at(-1).shape]];
    if (!item.folded) facts.unshift(["operators", item.nodes[0].rows.map((row) => [row.op, row.window].filter(Boolean).join(" ")).join(", ")]);
    metrics.forEach((title, index) => {
      const total = (key) => item.nodes.flatMap((node) => node.rows).filter((row) => row[key]).reduce((all, row) => all + row[key][index], 0);
      const [before, after] = [total("before"), total("costs")];
      facts.push([title, exactText(after) + (shown.against === null ? "" : ` (${exactText(before)} before)`)]);
    });
    const parts = [make("h4", { textContent: (item.path || item.lines[0]).replaceAll(".", ".\u200b") })];
    parts.push(make("dl", {}, ...facts.map(([title, text]) => make("div", {}, make("dt", { textContent: title }), make("dd", { textContent: text || "-" })))));
    if (item.path && shown.against === null && !graph.grouped.has(item.path))
      parts.push(make("a", { href: `#${encodeURIComponent(network.anchors[item.path] ?? network.prefix + item.path)}`, textContent: "Row in the full table" }));
    return details.replaceChildren(...parts);
  }

  // The module picked elsewhere on the page: its box, the box that it is folded into, or the first box inside it.
  function showPicked() {
    if (!picked || itemOf(shown.selected)?.path === picked) return;
    const below = (path) => path === picked || path.startsWith(`${picked}.`);
    const item = layout.items.find((other) => other.path === picked) ?? layout.items.find((other) => other.nodes.some((node) => node.rows.some((row) => below(row.path))));
    if (!item) return;
    shown.selected = item.id;
    highlight();
    describe(item);
    const { x, y } = layout.plan.node(item.id);
    view.scrollTo(x * shown.zoom - view.clientWidth / 2, y * shown.zoom - view.clientHeight / 2);
  }
  addEventListener("pick", showPicked);

  const matches = (item) => shown.query && item.nodes.some((node) => node.rows.some((row) => `${row.path} ${row.op} ${row.window}`.toLowerCase().includes(shown.query)));
  function highlight() {
    let found = 0;
    for (const shape of all(".box", view)) {
      const hit = matches(itemOf(shape.dataset.id));
      found += Boolean(hit);
      shape.classList.toggle("dim", Boolean(shown.query) && !hit);
      shape.classList.toggle("selected", shape.dataset.id === shown.selected);
      shape.setAttribute("aria-pressed", shape.dataset.id === shown.selected);
    }
    for (const edge of all(".edge", view)) edge.classList.toggle("selected", [edge.dataset.from, edge.dataset.to].includes(shown.selected));
    status.textContent = shown.query ? `${found} of ${layout.items.length} boxes` : "";
  }
  function findNext() {
    let item = layout.items.find(matches);
    while (item?.folded) {
      shown.unfolded.add(item.path);
      item = visibleGraph(graph, shown.unfolded).items.find((other) => matches(other) && item.nodes.includes(other.nodes[0])) ?? null;
    }
    if (!item) return;
    redraw(item.id);
    select(item.id);
  }

  // The next box along an edge, or beside this one.
  function neighbour(id, key) {
    const place = (other) => layout.plan.node(other);
    const ends = key === "ArrowDown" ? layout.edges.filter(([from]) => from === id).map(([, to]) => to)
      : key === "ArrowUp" ? layout.edges.filter(([, to]) => to === id).map(([from]) => from)
        : layout.items.map((item) => item.id).filter((other) => Math.abs(place(other).y - place(id).y) < 24 && (place(other).x - place(id).x) * (key === "ArrowRight" ? 1 : -1) > 0);
    return ends.sort((a, b) => Math.abs(place(a).x - place(id).x) - Math.abs(place(b).x - place(id).x))[0];
  }

  view.addEventListener("click", (event) => {
    const shape = event.target.closest(".box, .frame");
    if (!shape) return;
    if (shape.dataset.frame !== undefined) return fold(shape.dataset.frame, false);
    const item = itemOf(shape.dataset.id);
    if (item.folded && (event.target.closest(".sign") || shown.selected === item.id)) return fold(item.path, true);
    all(".box[tabindex='0']", view).forEach((other) => other.setAttribute("tabindex", -1));
    shape.setAttribute("tabindex", 0);
    return select(item.id);
  });
  view.addEventListener("keydown", (event) => {
    const shape = event.target.closest(".box");
    if (!shape) return;
    const item = itemOf(shape.dataset.id);
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (item.folded) fold(item.path, true);
      else select(item.id);
    } else if (event.key === "Escape" && item.parent !== null) fold(item.parent, false);
    else if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      const next = neighbour(item.id, event.key);
      if (next === undefined) return;
      shape.setAttribute("tabindex", -1);
      const target = element(next);
      target.setAttribute("tabindex", 0);
      target.focus({ preventScroll: true });
      target.scrollIntoView({ block: "nearest", inline: "nearest" });
      select(next);
    }
  });
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    scale(shown.zoom * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
  }, { passive: false });
  view.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button || event.target.closest(".box, .frame")) return;
    const start = [event.clientX + view.scrollLeft, event.clientY + view.scrollTop];
    const move = (other) => view.scrollTo(start[0] - other.clientX, start[1] - other.clientY);
    addEventListener("pointermove", move);
    addEventListener("pointerup", () => removeEventListener("pointermove", move), { once: true });
  });

  // Controls.
  function choose(network, other = null, unfolded = null) {
    Object.assign(shown, { network, against: other, selected: null });
    against.replaceChildren(make("option", { textContent: "nothing", value: "" }),
      ...pairs.filter((pair) => pair.includes(network)).map((pair) => {
        const other = pair[0] === network ? pair[1] : pair[0];
        return make("option", { textContent: networks[other].name, value: other });
      }));
    against.parentElement.hidden = against.options.length < 2;
    against.value = other ?? "";
    if (against.selectedIndex < 0) Object.assign(shown, { against: null }, (against.value = ""));
    start(unfolded);
  }
  function start(unfolded = null) {
    const joined = shown.against === null ? rows[shown.network] : joinRows(rows[shown.against], rows[shown.network]);
    graph = buildGraph(joined);
    shown.unfolded = unfolded === null ? firstUnfolded(graph) : new Set(unfolded.split("|").filter((path) => graph.members.has(path)));
    legend();
    details.replaceChildren(make("p", { className: "note", textContent: "Select a box for its numbers; + or Enter unfolds it, − or Escape folds." }));
    redraw();
    fitReadable();
  }
  const legendBar = make("p", { className: "note graph-legend" });
  function legend() {
    legendBar.replaceChildren(...(shown.against === null ? [`The darker a box, the larger its share of the ${metrics[shown.metric]}.`]
      : Object.entries(STATUS_MARKS).map(([kind, mark]) => make("span", { className: kind, textContent: `${mark} ${kind}`.trim() }))));
  }
  const labelled = (title, control) => make("label", { className: "pick" }, `${title} `, control);
  const picker = (names, change) => {
    const control = make("select", {}, ...names.map((name, index) => make("option", { textContent: name, value: index })));
    control.addEventListener("change", () => change(control.value));
    return control;
  };
  const against = picker([], (value) => {
    shown.against = value === "" ? null : Number(value);
    shown.selected = null;
    start();
  });
  const network = picker(networks.map(({ name }) => name), (value) => choose(Number(value)));
  const metric = picker(metrics, (value) => {
    shown.metric = Number(value);
    legend();
    redraw();
    if (shown.selected) select(shown.selected);
  });
  const query = make("input", { type: "search", placeholder: "Find a module or operator" });
  query.setAttribute("aria-label", "Find in the diagram");
  query.addEventListener("input", () => {
    shown.query = query.value.trim().toLowerCase();
    highlight();
  });
  query.addEventListener("keydown", (event) => event.key === "Enter" && findNext());
  const button = (textContent, label, click) => {
    const control = make("button", { type: "button", className: "plain", textContent });
    if (label) control.setAttribute("aria-label", label);
    control.addEventListener("click", click);
    return control;
  };
  function unfoldAll() {
    for (;;) {
      const folded = visibleGraph(graph, shown.unfolded).items.filter((item) => item.folded);
      const next = new Set([...shown.unfolded, ...folded.map((item) => item.path)]);
      if (!folded.length || visibleGraph(graph, next).items.length > MAX_BOXES) break;
      shown.unfolded = next;
    }
    redraw();
  }
  const tools = make("div", { className: "tools graph-tools" },
    ...(networks.length > 1 ? [labelled("Network", network)] : []),
    labelled("Compare with", against), labelled("Metric", metric), query,
    make("span", { className: "presets" }, button("−", "Zoom out", () => scale(shown.zoom / 1.25)), button("+", "Zoom in", () => scale(shown.zoom * 1.25)), button("Fit", "Fit the width", fit)),
    make("span", { className: "presets" }, button("Unfold all", "", unfoldAll), button("Fold all", "", () => {
      shown.unfolded = new Set();
      redraw();
    })),
    make("span", { className: "presets" }, ...[["SVG", saveSvg], ["PNG", savePng]].map(([kind, write]) =>
      button(kind, `Diagram as ${kind}`, () => write(view.firstElementChild, networks[shown.network].name)))), status);
  panel.append(tools, legendBar, make("div", { className: "graph-body" }, view, details));
  const named = (key) => networks.findIndex(({ name }) => name === state.get(key));
  network.selectedIndex = Math.max(named("diagram"), 0);
  choose(network.selectedIndex, named("against") < 0 ? null : named("against"), state.get("unfolded") ?? null);
  showPicked();
}

// The diagram is laid out when it comes near; without it the drawings of the page stay.
const diagramPanel = document.getElementById("diagram-panel");
if (diagramPanel && window.DecompressionStream) {
  diagramPanel.classList.add("on");
  const near = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    near.disconnect();
    try {
      await runPacked("dagre");
      drawDiagram(diagramPanel, await packedJson("diagram-panel-data"));
      diagramPanel.dataset.drawn = "1";
    } catch (error) {
      diagramPanel.classList.remove("on");
      diagramPanel.replaceChildren();
      throw error;
    }
  }, { rootMargin: "50% 0px" });
  near.observe(diagramPanel);
}
