// What the section What if can change, the products that it writes out, and its setting as text.
const WIDTHS = /^(out|reduce|pool_proj)/;
const exactText = (number) => number.toLocaleString("en-US");

// The numbers of each top-level module: module name to [{key, label, field, path, value}].
function changeableNumbers(tree) {
  const modules = new Map();
  const visit = (node, path) => {
    for (const child of node.children ?? []) visit(child, path ? `${path}.${child.name}` : child.name);
    const module = path.split(".")[0];
    for (const [field, key] of changeable(node, path)) {
      const [short, value] = [key.slice(module.length + 1), node[field] ?? LAYER_DEFAULTS[node.kind][field]];
      modules.set(module, [...(modules.get(module) ?? []), { key, label: short, field, path, value }]);
    }
  };
  visit(tree, "");
  return modules;
}

// The layer's products in full: MACs and parameters as [description, product, value].
function writtenOut({ path, layer, shape, result, macs, params }) {
  const per = layer.kind === "Linear" ? `${shape[1]}` : [layer.kernel, layer.kernel, shape[1]].join(" · ") + (layer.groups > 1 ? ` / ${layer.groups}` : "");
  const inside = per.includes(" ") ? `(${per})` : per;
  const sizes = [...(result[0] > 1 ? [result[0]] : []), ...result.slice(2), result[1]].join(" · ");
  const bias = layer.bias ? ` + ${layer.out}` : "";
  return [path, [["MACs", `${sizes} · ${inside}`, macs], ["params", `${layer.out} · ${inside}${bias}`, params]]];
}

// The setting of a command line as `commandLine` writes it, or nothing where the page lacks its network or numbers.
function readSetting(text, networks) {
  const match = /^([^\s@]+)(?:@(\S+))?(?: --input (\d+)x(\d+)x(\d+))?(?: --batch (\d+))?( --train)?$/.exec(text);
  if (!match || !Object.hasOwn(networks, match[1])) return {};
  const [, network, changes, channels, height, width, batch, training] = match;
  const keys = new Set([...changeableNumbers(networks[network].tree).values()].flat().map((number) => number.key));
  const settings = (changes ?? "").split(",").map((change) => change.split("=")).filter(([key, value]) => keys.has(key) && /^[1-9]\d{0,8}$/.test(value));
  return {
    network, settings: Object.fromEntries(settings.map(([key, value]) => [key, Number(value)])), batch: Number(batch ?? 1),
    input: channels ? [channels, height, width].map(Number) : networks[network].input, training: Boolean(training),
  };
}
