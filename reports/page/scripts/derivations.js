// The full table: how each number comes about, as a tip on its cell. The cells are reached by pointer or by Tab and the
// arrow keys; Escape hides the tip.
function derivations(panel, { first, tables }) {
  const tip = make("div", { id: "derivation-tip", hidden: true });
  tip.setAttribute("role", "tooltip");
  const hint = "Point at a number, or move to it with Tab and the arrow keys, to see its derivation.";
  panel.append(make("p", { className: "note", textContent: hint }), tip);
  const texts = new Map();
  let described = null;
  let pointer = "";

  const textAt = (cell) => texts.get(cell?.parentElement)?.[cell.cellIndex - first] ?? "";
  const hide = () => {
    described?.removeAttribute("aria-describedby");
    described = null;
    tip.hidden = true;
  };
  const show = (cell) => {
    if (cell && cell === described) return;
    hide();
    const text = textAt(cell);
    if (!text) return;
    described = cell;
    cell.setAttribute("aria-describedby", tip.id);
    tip.textContent = keepUnits(text);
    tip.hidden = false;
    place();
  };
  const place = () => {
    const at = described.getBoundingClientRect();
    const own = tip.getBoundingClientRect();
    const above = at.bottom + own.height + 8 > innerHeight;
    tip.style.left = `${Math.max(8, Math.min(at.right - own.width, innerWidth - own.width - 8))}px`;
    tip.style.top = `${above ? at.top - own.height - 4 : at.bottom + 4}px`;
  };

  // The next cell with a derivation in a direction, among the rows that are shown.
  const next = (cell, key) => {
    const rows = [...cell.closest("tbody").rows].filter((row) => !row.hidden);
    let row = rows.indexOf(cell.parentElement);
    let column = cell.cellIndex;
    for (;;) {
      row += { ArrowUp: -1, ArrowDown: 1 }[key] ?? 0;
      column += { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0;
      const candidate = rows[row]?.cells[column];
      if (!candidate || column < first) return cell;
      if (textAt(candidate)) return candidate;
    }
  };

  for (const [id, lines] of Object.entries(tables)) {
    const table = document.getElementById(id);
    [...bodyOf(table).rows].forEach((row, index) => texts.set(row, lines[index]));
    table.classList.add("derived");
    let stop = [...bodyOf(table).rows].flatMap((row) => [...row.cells]).find((cell) => textAt(cell) && !cell.parentElement.hidden);
    if (!stop) continue;
    stop.tabIndex = 0;
    table.addEventListener("focusin", ({ target: cell }) => cell.tagName === "TD" && show(cell));
    table.addEventListener("focusout", hide);
    table.addEventListener("mousemove", ({ target, clientX, clientY }) => {
      const place = `${clientX} ${clientY}`;
      if (place !== pointer) show(target.closest("td")); // Else the page scrolled below the pointer.
      pointer = place;
    });
    table.addEventListener("mouseleave", hide);
    table.addEventListener("keydown", (event) => {
      const cell = event.target;
      if (cell.tagName !== "TD" || !event.key.startsWith("Arrow")) return;
      event.preventDefault();
      stop.removeAttribute("tabindex");
      stop = next(cell, event.key);
      stop.tabIndex = 0;
      bringRow(stop.parentElement);
      stop.focus();
    });
  }
  addEventListener("keydown", ({ key }) => key === "Escape" && hide());
  const scrolled = () => described && (described === document.activeElement ? place() : hide());
  addEventListener("scroll", scrolled, { passive: true, capture: true });
}
const derivationsPanel = document.getElementById("derivations");
if (derivationsPanel)
  whenNear(derivationsPanel, () => packedJson("derivations-data").then((data) => derivations(derivationsPanel, data)));
