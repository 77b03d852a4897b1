// Sorts a table by the column that was clicked: down, up, then as it was. Rows stay below their parent.
const head = event.target.closest('thead th');
if (head) {
  const table = head.closest('table'), body = table.tBodies[0], column = head.cellIndex;
  const next = {down: 'up', up: ''}[head.dataset.sorted] ?? 'down';
  for (const other of head.parentNode.cells) delete other.dataset.sorted;
  if (next) head.dataset.sorted = next;
  const value = ({row}) => {
    const cell = row.cells[column], text = cell.dataset.v ?? cell.textContent.replaceAll(',', '');
    return text.trim() && !isNaN(text) ? +text : text;
  };
  const compare = (a, b) => {
    const number = typeof a === 'number', other = typeof b === 'number';
    return number && other ? a - b : number !== other ? number - other : a.localeCompare(b);
  };
  const order = (a, b) => {
    const difference = next ? compare(value(a), value(b)) * (next === 'up' ? 1 : -1) : 0;
    return difference || a.row.dataset.index - b.row.dataset.index;
  };
  const roots = [], open = [], totals = [];
  [...body.rows].forEach((row, index) => {
    row.dataset.index ??= index;
    const depth = +(row.dataset.depth ?? 0), node = {row, children: []};
    if (row.className === 'total') totals.push(row);
    else (depth && open[depth - 1] ? open[depth - 1].children : roots).push(node);
    open.length = depth;
    open[depth] = node;
  });
  const flat = nodes => nodes.sort(order).flatMap(node => [node.row, ...flat(node.children)]);
  body.append(...flat(roots), ...totals);
}
