// The section Diagrams: graph.js laid out by dagre and drawn as SVG. Boxes fold and unfold; arrow keys follow the edges.
const MAX_BOXES = 200;

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

  function rememberDiagram() {
    const first = [...firstUnfolded(graph)].join("|");
    const now = [...shown.unfolded].join("|");
    remember("diagram", shown.network ? networks[shown.network].name : "");
    remember("against", shown.against === null ? "" : networks[shown.against].name);
    remember("unfolded", now === first ? "" : now.length < 1500 ? now || "|" : "");
  }

  function redraw(focus = null) {
    const name = `Diagram of ${networks[shown.network].name}${shown.against === null ? "" : ` against ${networks[shown.against].name}`}`;
    layout = layOutDiagram(graph, shown, networks[shown.network], metrics, name);
    rememberDiagram();
    view.setAttribute("aria-label", name);
    view.replaceChildren(layout.drawing);
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
    const facts = boxFacts(item, metrics, shown.against !== null);
    const parts = [make("h4", { textContent: (item.path || item.lines[0]).replaceAll(".", ".\u200b") })];
    parts.push(make("dl", {}, ...facts.map(([title, text]) => make("div", {}, make("dt", { textContent: title }), make("dd", { textContent: keepUnits(text || "-") })))));
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
    let hits = 0;
    for (const shape of all(".box", view)) {
      const hit = matches(itemOf(shape.dataset.id));
      hits += Boolean(hit);
      shape.classList.toggle("dim", Boolean(shown.query) && !hit);
      shape.classList.toggle("selected", shape.dataset.id === shown.selected);
      shape.setAttribute("aria-pressed", shape.dataset.id === shown.selected);
    }
    for (const edge of all(".edge", view)) edge.classList.toggle("selected", [edge.dataset.from, edge.dataset.to].includes(shown.selected));
    status.textContent = shown.query ? `${hits} of ${layout.items.length} boxes` : "";
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
      const next = nextBox(layout, item.id, event.key);
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
  const against = selectOf([], (value) => {
    shown.against = value === "" ? null : Number(value);
    shown.selected = null;
    start();
  });
  const network = selectOf(networks.map(({ name }) => name), (value) => choose(Number(value)));
  const metric = selectOf(metrics, (value) => {
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
    ...(networks.length > 1 ? [labeledControl("Network", network)] : []),
    labeledControl("Compare with", against), labeledControl("Metric", metric), query,
    make("span", { className: "presets" }, plainButton("−", "Zoom out", () => scale(shown.zoom / 1.25)), plainButton("+", "Zoom in", () => scale(shown.zoom * 1.25)), plainButton("Fit", "Fit the width", fit)),
    make("span", { className: "presets" }, plainButton("Unfold all", "", unfoldAll), plainButton("Fold all", "", () => {
      shown.unfolded = new Set();
      redraw();
    })),
    make("span", { className: "presets" }, ...exportButtons("the diagram", () => networks[shown.network].name, () => view.firstElementChild)), status);
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
