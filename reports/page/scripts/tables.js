// Tables. A cell's value is the exact number in data-v, else the printed number, else the text.
const FOLD_FROM = 60; // Rows of a tree that starts folded.
const value = (cell) => {
  if (!cell) return "";
  if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
  const text = textOf(cell);
  if (cell.scope === "row") return text; // A name, even if it looks like a number.
  return /^[-−+]?[\d,]+(\.\d+)?$/.test(text) ? Number(text.replaceAll(",", "").replace("−", "-")) : text;
};
const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b
    : typeof a === "number" ? -1
      : typeof b === "number" ? 1
        : a < b ? -1 : a > b ? 1 : 0;
const depthOf = (row) => Number(row.dataset.depth ?? 0);
const trees = new Map(); // Of tables that fold: the function that hides the rows below a folded one.

// Siblings are sorted; rows stay below their parent, and totals last.
function sort(table, index, head) {
  const body = bodyOf(table);
  const first = head.getAttribute("aria-sort");
  const numeric = typeof value(body.rows[0]?.cells[index]) === "number";
  const order = first === "none" ? (numeric ? "descending" : "ascending") : first === "ascending" ? "descending" : "ascending";
  const sign = order === "ascending" ? 1 : -1;
  const missing = (key) => key === "" || key === "-";
  const roots = [];
  const open = [];
  for (const row of body.rows) {
    const node = { key: value(row.cells[index]), row, total: row.classList.contains("total"), below: [] };
    const depth = depthOf(row);
    (open[depth - 1]?.below ?? roots).push(node);
    open.length = depth;
    open[depth] = node;
  }
  const flat = (nodes) =>
    nodes
      .sort((a, b) => a.total - b.total || missing(a.key) - missing(b.key) || sign * compare(a.key, b.key))
      .flatMap((node) => [node.row, ...flat(node.below)]);
  body.replaceChildren(...flat(roots));
  updateWindow(table);
  for (const other of table.tHead.rows[0].cells) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", order);
}

// A quote keeps a spreadsheet from running text that begins with one of these as a formula.
const escapeFormula = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const shownRows = (table) => [table.tHead.rows[0], ...bodyOf(table).rows].filter((row) => !row.hidden || row.dataset.folded);
function csvText(table) {
  const cells = (row) =>
    [...row.cells].map((cell) => {
      const content = row.parentElement === table.tHead ? cell.textContent : value(cell);
      return typeof content === "number" ? String(content) : quoted(escapeFormula(content === "-" ? "" : content));
    });
  return `${shownRows(table).map((row) => cells(row).join(",")).join("\n")}\n`;
}
function markdownText(table) {
  const escaped = (text) => text.replaceAll("\\", "\\\\").replaceAll("|", "\\|").replaceAll("<", "&lt;");
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const [head, ...rows] = shownRows(table).map((row) => [...row.cells].map((cell) => escaped(row.parentElement === table.tHead ? cell.textContent : textOf(cell))));
  const aligned = [...table.tHead.rows[0].cells].map((cell, index) => (index === 0 || cell.classList.contains("left") ? ":--" : "--:"));
  return `${[line(head), line(aligned), ...rows.map(line)].join("\n")}\n`;
}
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

// Rows with deeper rows below them fold; a long tree starts folded.
function equipTree(table, bar, isFiltered) {
  const body = bodyOf(table);
  const rows = [...body.rows];
  const parents = rows.filter((row, index) => depthOf(rows[index + 1] ?? row) > depthOf(row));
  if (!parents.length) return () => {};
  const apply = () => {
    let closed = Infinity;
    for (const row of body.rows) {
      const depth = depthOf(row);
      if (depth <= closed) closed = Infinity;
      const folded = depth > closed && !isFiltered();
      row.dataset.folded = folded ? "1" : "";
      if (folded) row.hidden = true;
      if (closed === Infinity && row.dataset.open === "0") closed = depth;
    }
  };
  const set = (row, isOpen) => {
    row.dataset.open = isOpen ? "1" : "0";
    row.querySelector(".twist").setAttribute("aria-expanded", String(isOpen));
  };
  const start = rows.length <= FOLD_FROM;
  for (const row of parents) {
    const twist = make("button", { type: "button", className: "twist" });
    twist.setAttribute("aria-label", `Rows of ${row.cells[0].textContent}`);
    twist.addEventListener("click", () => {
      set(row, row.dataset.open !== "1");
      refresh(table);
    });
    row.cells[0].prepend(twist);
    set(row, start);
  }
  const all = make("button", { type: "button", className: "plain", textContent: start ? "Fold all" : "Unfold all" });
  all.addEventListener("click", () => {
    const isOpen = all.textContent === "Unfold all";
    parents.forEach((row) => set(row, isOpen));
    all.textContent = isOpen ? "Fold all" : "Unfold all";
    refresh(table);
  });
  bar.append(all);
  table.classList.add("tree");
  trees.set(table, (row) => {
    for (let at = row, depth = depthOf(row); at && depth > 0; at = at.previousElementSibling)
      if (depthOf(at) < depth) {
        depth = depthOf(at);
        if (at.dataset.open) set(at, true);
      }
    refresh(table);
  });
  return apply;
}
const refreshers = new Map();
const refresh = (table) => refreshers.get(table)?.();

function equip(table) {
  const tools = table.dataset.tools?.split(" ") ?? [];
  const title = table.parentElement.getAttribute("aria-label");
  const bar = make("div", { className: "tools" });
  if (tools.includes("sort"))
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      head.setAttribute("aria-sort", "none");
      const button = make("button", { type: "button" }, ...head.childNodes);
      button.addEventListener("click", () => sort(table, index, head));
      head.replaceChildren(button);
    });
  const status = make("span", { className: "status" });
  status.setAttribute("role", "status");
  const filter = { text: state.get(`filter-${table.id}`) ?? "", changed: false };
  const isFiltered = () => Boolean(filter.text || filter.changed);
  const fold = equipTree(table, bar, isFiltered);
  refreshers.set(table, () => {
    let shown = 0;
    const { rows } = bodyOf(table);
    for (const row of rows) {
      const matches = !filter.text || row.textContent.toLowerCase().includes(filter.text);
      row.hidden = !matches || (filter.changed && row.classList.contains("same"));
      shown += matches && !row.hidden;
    }
    fold();
    updateWindow(table);
    status.textContent = isFiltered() ? `${shown.toLocaleString("en-US")} of ${rows.length.toLocaleString("en-US")} rows` : "";
  });
  if (tools.includes("filter")) {
    const field = make("input", { type: "search", placeholder: "Filter rows", value: filter.text });
    field.setAttribute("aria-label", `Filter ${title}`);
    field.addEventListener("input", () => {
      filter.text = field.value.trim().toLowerCase();
      remember(`filter-${table.id}`, filter.text);
      refresh(table);
    });
    bar.prepend(field);
  }
  if (tools.includes("changed")) {
    const box = make("input", { type: "checkbox" });
    box.addEventListener("change", () => {
      filter.changed = box.checked;
      refresh(table);
    });
    bar.append(make("label", {}, box, " only what changed"));
  }
  if (tools.includes("csv")) {
    const button = (text, label, action) => {
      const made = make("button", { type: "button", className: "plain", textContent: text });
      made.setAttribute("aria-label", label);
      made.addEventListener("click", action);
      bar.append(made);
    };
    const copied = (text) => copy(text).then(() => (status.textContent = "copied"));
    button("CSV", `Download ${title} as CSV`, () => save(new Blob([csvText(table)], { type: "text/csv" }), `${table.id}.csv`));
    button("Copy CSV", `Copy CSV of ${title}`, () => copied(csvText(table)));
    button("Copy Markdown", `Copy Markdown of ${title}`, () => copied(markdownText(table)));
  }
  bar.append(status);
  if (bar.children.length > 1) table.parentElement.before(bar);
  makeWindow(table);
  refresh(table);
}
for (const table of all("table[data-tools]")) {
  if (hasMore(table) && window.DecompressionStream) appendRows(table).then(() => equip(table));
  else equip(table);
}
