// A record as a graph: operators joined with those that only clip or normalize their output, modules that fold, and the
// edges between what is visible. No drawing.
const JOINED = new Set(["ReLU", "BN", "GELU", "SiLU", "dropout", "relu6", "hardswish", "hardtanh", "leaky_relu", "elu", "sigmoid", "tanh"]);
const VIEWS = new Set(["flatten", "dropout", "contiguous", "reshape", "view", "permute", "transpose", "clone", "identity"]);
const parentOf = (path) => path.slice(0, Math.max(path.lastIndexOf("."), 0));
const prefixesOf = (path) => (path ? path.split(".").map((_, index, parts) => parts.slice(0, index + 1).join(".")) : []);

function readRows(network) {
  return network.rows.map(([path, op, window, shape, sources, costs, role], index) => ({ path, op, window, shape, sources, costs, role: role ?? path, index }));
}

// The rows of both networks by role: those of the second, and those that only the first has. `before` has the costs in
// the first network.
function joinRows(first, second) {
  const keyed = (rows) => {
    const calls = new Map();
    return rows.map((row) => {
      const name = `${row.role} ${row.op}`;
      calls.set(name, (calls.get(name) ?? 0) + 1);
      return `${name} ${calls.get(name)}`;
    });
  };
  const [before, after] = [keyed(first), keyed(second)];
  const rows = second.map((row) => ({ ...row, path: row.role, sources: [...row.sources], before: null }));
  const place = new Map(after.map((key, index) => [key, index]));
  const target = before.map((key, index) => {
    if (!place.has(key)) {
      place.set(key, rows.length);
      rows.push({ ...first[index], path: first[index].role, sources: [], before: first[index].costs, costs: null });
    } else rows[place.get(key)].before = first[index].costs;
    return place.get(key);
  });
  first.forEach((row, index) => {
    const joined = rows[target[index]];
    const gone = (source) => source >= 0 && rows[target[source]].costs === null;
    for (const source of row.sources)
      if (joined.costs === null || gone(source)) joined.sources.push(source < 0 ? -1 : target[source]);
  });
  rows.forEach((row, index) => (row.index = index));
  return rows;
}

function buildGraph(rows) {
  const containers = new Set(rows.flatMap((row) => prefixesOf(parentOf(row.path))));
  const group = (path) => (containers.has(path) ? path : parentOf(path));
  const consumers = new Map();
  for (const row of rows) for (const source of row.sources) consumers.set(source, (consumers.get(source) ?? 0) + 1);
  const last = rows.findLastIndex((row) => row.costs !== null);
  const nodes = [];
  const owner = rows.map(() => null);
  // In the order of the edges: rows that only the first network has stand at the end of the list.
  const visit = (index) => {
    if (owner[index] !== null) return;
    owner[index] = -2; // A network has no cycle, but two joined networks may.
    const row = rows[index];
    row.sources.filter((source) => source >= 0).forEach(visit);
    const [source] = row.sources;
    const node = row.sources.length === 1 && source >= 0 && owner[source] >= 0 ? nodes[owner[source]] : null;
    const joins = node && JOINED.has(row.op) && consumers.get(source) === 1 && group(row.path) === group(node.path) && (row.costs === null) === (node.rows[0].costs === null);
    if (joins || (node && !consumers.has(index) && index !== last && VIEWS.has(row.op))) {
      node.rows.push(row);
      owner[index] = node.index;
      return;
    }
    owner[index] = nodes.length;
    nodes.push({ index: nodes.length, rows: [row], path: row.path, order: index });
  };
  rows.forEach((row, index) => row.op === "unused" || visit(index));
  for (const node of nodes) {
    const reads = node.rows.flatMap((row) => row.sources).map((source) => (source < 0 ? -1 : owner[source]));
    node.sources = [...new Set(reads)].filter((source) => source !== node.index && source !== -2 && source !== null);
  }
  // A leaf module that runs several operators, such as attention, folds too; one that is called again does not.
  const ops = new Map();
  for (const node of nodes) ops.set(node.path, (ops.get(node.path) ?? new Set()).add(node.rows[0].op));
  for (const [path, names] of ops) if (path && names.size > 1) containers.add(path);
  const inside = (path) => prefixesOf(containers.has(path) ? path : parentOf(path));
  const sizes = new Map();
  for (const node of nodes) for (const path of inside(node.path)) sizes.set(path, (sizes.get(path) ?? 0) + 1);
  for (const node of nodes) {
    const chain = inside(node.path);
    // Of modules around one another with the same operators the innermost stays.
    node.chain = chain.filter((path, index) => sizes.get(path) > 1 && sizes.get(path) !== sizes.get(chain[index + 1]));
    node.path = chain.find((path) => sizes.get(path) === 1) ?? node.path;
  }
  const grouped = new Map();
  groupSiblings(nodes, 0, grouped);
  const members = new Map();
  for (const node of nodes) for (const path of node.chain) members.set(path, [...(members.get(path) ?? []), node]);
  return { nodes, members, grouped };
}

// Adds groups to `chain`, and their descriptions to `grouped`: of equal neighbors all but the first, such as the blocks of a transformer, and of more than 60
// siblings 40 each.
function groupSiblings(nodes, depth, grouped) {
  const children = new Map();
  for (const node of nodes) {
    const key = node.chain[depth] ?? node.index;
    children.set(key, [...(children.get(key) ?? []), node]);
  }
  const equal = (child) => (typeof child === "number" ? child : JSON.stringify(children.get(child).map((node) => node.rows.map(({ op, window, shape, costs, before }) => [op, window, shape, costs, before]))));
  let groups = [];
  let previous = null;
  for (const child of children.keys()) {
    const text = equal(child);
    if (text === previous) groups.at(-1).push(child);
    else groups.push([child]);
    previous = text;
  }
  groups = groups.flatMap((group) => (group.length > 3 ? [[group[0]], group.slice(1)] : group.map((child) => [child])));
  if (groups.length > 60) groups = Array.from({ length: Math.ceil(groups.length / 40) }, (_, index) => groups.slice(40 * index, 40 * (index + 1)).flat());
  for (const group of groups) {
    const path = (child) => (typeof child === "number" ? nodes.find((node) => node.index === child).path : child);
    const last = path(group.at(-1)).split(".").at(-1);
    const same = last.replace(/\d+$/, "");
    const name = group.length > 1 ? `${path(group[0])}…${same && path(group[0]).split(".").at(-1).startsWith(same) ? last.slice(same.length) || last : last}` : null;
    if (name !== null) grouped.set(name, `${group.length} × ${equal(group[0]) === equal(group.at(-1)) ? "the module before" : "modules"}`);
    for (const child of group) {
      if (name !== null) children.get(child).forEach((node) => node.chain.splice(depth, 0, name));
      if (typeof child !== "number") groupSiblings(children.get(child), depth + (name === null ? 1 : 2), grouped);
    }
  }
}

// What is drawn: nodes and folded modules, the frames of unfolded modules, and the edges.
function visibleGraph({ nodes, members }, unfolded) {
  const items = new Map();
  const frames = new Map();
  const at = nodes.map((node) => {
    const folded = node.chain.find((path) => !unfolded.has(path));
    const above = node.chain.slice(0, folded === undefined ? undefined : node.chain.indexOf(folded));
    above.forEach((path, depth) => frames.set(path, { path, parent: above[depth - 1] ?? null }));
    const id = folded === undefined ? `o${node.index}` : `m${folded}`;
    if (!items.has(id)) items.set(id, { id, path: folded ?? node.path, folded: folded !== undefined, parent: above.at(-1) ?? null, nodes: folded === undefined ? [node] : members.get(folded) });
    return id;
  });
  const edges = new Map();
  nodes.forEach((node, index) => {
    for (const source of node.sources) {
      const [from, to] = [source < 0 ? "input" : at[source], at[index]];
      if (from !== to) edges.set(`${from} ${to}`, [from, to]);
    }
  });
  return { items: [...items.values()], frames: [...frames.values()], edges: [...edges.values()] };
}

// Unfolds modules with most of the cost, and then the largest module, until something branches; at most 40 boxes.
function firstUnfolded({ nodes, members, grouped }) {
  const unfolded = new Set();
  const cost = (item) => item.nodes.reduce((sum, node) => sum + node.rows.reduce((all, row) => all + (row.costs?.[0] ?? 0), 0), 0);
  const whole = cost({ nodes });
  for (;;) {
    const { items, edges } = visibleGraph({ nodes, members }, unfolded);
    const largest = items.filter((item) => item.folded && !grouped.has(item.path)).sort((a, b) => cost(b) - cost(a))[0];
    const branches = new Set(edges.map(([from]) => from)).size < edges.length;
    if (!largest || (branches && cost(largest) < whole / 2)) return unfolded;
    unfolded.add(largest.path);
    if (visibleGraph({ nodes, members }, unfolded).items.length > 40) {
      unfolded.delete(largest.path);
      return unfolded;
    }
  }
}

// The edges without those that a longer path replaces, for graphs too dense to lay out, such as those of DenseNet.
function withoutShortcuts(edges) {
  const next = new Map();
  for (const [from, to] of edges) next.set(from, [...(next.get(from) ?? []), to]);
  return edges.filter(([from, to]) => {
    const seen = new Set([from]);
    const waiting = next.get(from).filter((other) => other !== to);
    while (waiting.length) {
      const at = waiting.pop();
      if (at === to) return false;
      if (seen.has(at)) continue;
      seen.add(at);
      waiting.push(...(next.get(at) ?? []));
    }
    return true;
  });
}
