// A row with an anchor links to itself, so that its address can be copied.
for (const row of all("tr[id]")) {
  const [name] = row.cells;
  name.replaceChildren(make("a", { href: `#${encodeURIComponent(row.id)}`, tabIndex: -1, textContent: name.textContent }));
}

// Without a script folded tables are open and all options of a choice are shown.
all("details.fold").forEach((fold) => (fold.open = false));
const choices = all(".choice").map((choice) => {
  const options = [...choice.children];
  if (options.length < 2) return () => {};
  const select = make("select", {}, ...options.map((option) => make("option", { textContent: option.dataset.name })));
  const key = choice.dataset.label.toLowerCase();
  const pickOption = (index) => {
    select.selectedIndex = index;
    remember(key, index ? options[index].dataset.name : "");
    options.forEach((option, place) => option.classList.toggle("away", place !== index));
    redrawn();
  };
  select.addEventListener("change", () => pickOption(select.selectedIndex));
  choice.prepend(make("label", { className: "pick" }, `${choice.dataset.label} `, select));
  const start = Math.max(options.findIndex((option) => option.dataset.name === state.get(key)), 0);
  select.selectedIndex = start;
  options.forEach((option, place) => option.classList.toggle("away", place !== start));
  return (element) => {
    const index = options.findIndex((option) => option.contains(element));
    if (index >= 0) pickOption(index);
  };
});

// A link opens folds and picks options on the way to its target.
function reveal() {
  let id = target();
  try {
    id = decodeURIComponent(id);
  } catch {
    return;
  }
  writeAddress();
  const element = id && document.getElementById(id);
  if (!element) return;
  if (element.tagName === "TR") trees.get(element.closest("table"))?.(element);
  element.hidden = false;
  choices.forEach((open) => open(element));
  for (let at = element; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  if (element.tagName === "TR") bringRow(element);
  all(".target").forEach((other) => other.classList.remove("target"));
  element.classList.add("target");
  if (element.tagName === "TR") pick(textOf(element.cells[0]));
  keepInView(element);
}

// Sections above the target are laid out late, which moves the target: it is kept in view until everything is laid
// out or the reader scrolls.
let interactions = 0;
for (const kind of ["wheel", "touchstart", "pointerdown", "keydown", "hashchange"])
  addEventListener(kind, () => (interactions += 1), { passive: true });
function keepInView(target) {
  const since = interactions;
  const block = target.tagName === "TR" ? "center" : "start";
  let rests = 0;
  let last = null;
  const step = () => {
    if (interactions !== since) return;
    target.scrollIntoView({ block });
    const place = target.getBoundingClientRect().top + scrollY;
    rests = place === last && root.classList.contains("settled") ? rests + 1 : 0;
    last = place;
    if (rests < 3) setTimeout(step, 60);
  };
  step();
}
addEventListener("hashchange", reveal);
