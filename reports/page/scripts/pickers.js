// One picker per section, for all charts of the page that have several metrics; and the search in the tiles.
const pickers = [];
function showMetric(name) {
  metric = name;
  remember("metric", name === pickers[0]?.options[0].value ? "" : name);
  for (const select of pickers) if ([...select.options].some((option) => option.value === name)) select.value = name;
  for (const plot of plots) {
    const view = figures[id(plot)]?.views?.length > 1 && viewOf(plot);
    if (!view) continue;
    const sentence = view[1].summary;
    const figure = plot.closest("figure");
    if (sentence) {
      figure.querySelector(".summary").textContent = sentence;
      plot.setAttribute("aria-label", `${figure.querySelector("h3").textContent}. ${sentence}`);
    }
    delete zoomed[id(plot)];
    if (isDrawn(plot)) draw(plot);
  }
}
for (const section of all("section")) {
  const several = all(".plot", section).filter((plot) => (figures[id(plot)]?.views ?? []).length > 1);
  if (!several.length) continue;
  const names = [...new Set(several.flatMap((plot) => figures[id(plot)].views.map(([name]) => name)))];
  const select = make("select", {}, ...names.map((name) => make("option", { textContent: name })));
  select.addEventListener("change", () => showMetric(select.value));
  pickers.push(select);
  const bar = make("div", { className: "pick" }, make("label", {}, "Metric ", select));
  if (several.some(isIcicle)) {
    const field = make("input", { type: "search", placeholder: "Search modules", value: state.get("search") ?? "" });
    field.setAttribute("aria-label", "Search modules; others are dimmed");
    field.addEventListener("input", () => search(field.value));
    bar.append(field);
  }
  (several[0].closest(".side, .choice") ?? several[0].closest("figure")).before(bar);
}

// The state in the address is restored before the first chart is drawn.
function restore() {
  if (state.get("search")) search(state.get("search"));
  for (const plot of plots) if (state.has(`zoom-${id(plot)}`)) zoomed[id(plot)] = state.get(`zoom-${id(plot)}`);
  const zooms = { ...zoomed };
  if (state.get("metric")) showMetric(state.get("metric"));
  Object.assign(zoomed, zooms);
  if (state.get("module")) pick(state.get("module"));
}
