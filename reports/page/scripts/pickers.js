// One picker per section, for all of its charts that have several metrics.
for (const section of all("section")) {
  const own = all(".plot", section).filter((plot) => (figures[id(plot)]?.views ?? []).length > 1);
  if (!own.length) continue;
  const names = [...new Set(own.flatMap((plot) => figures[id(plot)].views.map(([name]) => name)))];
  const select = make("select", {}, ...names.map((name) => make("option", { textContent: name })));
  select.addEventListener("change", () => {
    own.forEach((plot) => {
      picked[id(plot)] = select.value;
      if (isDrawn(plot)) draw(plot);
    });
  });
  own[0].closest("figure").before(make("label", { className: "pick" }, "Metric ", select));
}
