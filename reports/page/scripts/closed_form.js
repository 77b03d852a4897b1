// The closed form of analyzer/networks/walk.py and analyzer/counting/closed_form/formulas.py: the rows of a network at
// an input, with some of its numbers changed. Costs are BigInt, because they may exceed 2^53. A test compares 1,000
// random settings with Python's results.
const COST_KEYS = ["params", "macs", "flops", "activations", "bytes_read", "bytes_written", "backward_macs"];

// The defaults of the classes in analyzer/networks/spec.py.
const LAYER_DEFAULTS = {
  Conv: { stride: 1, padding: null, groups: 1, bias: true },
  DepthwiseConv: { stride: 1, padding: null, multiplier: 1, bias: true },
  Linear: { bias: true },
  MaxPool: { padding: 0, ceil: true },
  AvgPool: { padding: 0, ceil: true },
  AdaptiveAvgPool: { size: 1 },
  LRN: { size: 5 },
};

// The numbers of a layer that can be changed: field and full key.
function changeable(node, path) {
  return [...(node.set ?? []).map((field) => [field, `${path}.${field}`]), ...Object.entries(node.keys ?? {})];
}

function countNetwork(tree, sample, batch, training, settings) {
  const rows = [];
  const product = (sizes) => sizes.reduce((all, size) => all * BigInt(size), 1n);
  const fail = (path, text) => {
    throw new RangeError(`${path}: ${text}`);
  };

  function windows(path, shape, { kernel, stride, padding, ceil }) {
    if (shape.length !== 4) fail(path, `needs (batch, channels, height, width), got ${shape.join("x")}`);
    return shape.slice(2).map((size) => {
      const span = size + 2 * padding - kernel;
      let count = (ceil ? -Math.floor(-span / stride) : Math.floor(span / stride)) + 1;
      if (ceil && (count - 1) * stride >= size + padding) count -= 1;
      if (count < 1) fail(path, `a ${kernel}x${kernel} window does not fit ${shape[2]}x${shape[3]}`);
      return count;
    });
  }

  function divisor(a, b) {
    return b ? divisor(b, a % b) : a;
  }

  const output = {
    Conv(path, shape, layer) {
      const [channels, { out, kernel, groups }] = [shape[1], layer];
      const [height, width] = windows(path, shape, { ...layer, padding: layer.padding ?? Math.floor(kernel / 2) });
      if (channels % groups || out % groups)
        fail(path, `groups=${groups} does not divide both the ${channels} inputs and the ${out} outputs; use a divisor of ${divisor(channels, out)}`);
      return [shape[0], out, height, width];
    },
    Linear(path, shape, { out }) {
      if (shape.length !== 2) fail(path, `needs (batch, features), got ${shape.join("x")}`);
      return [shape[0], out];
    },
    MaxPool(path, shape, layer) {
      if (2 * layer.padding > layer.kernel) fail(path, `padding ${layer.padding} is more than half the kernel ${layer.kernel}`);
      return [...shape.slice(0, 2), ...windows(path, shape, layer)];
    },
    AdaptiveAvgPool: (path, shape, { size }) => [...shape.slice(0, 2), size, size],
    Flatten: (path, shape) => [shape[0], shape.slice(1).reduce((all, size) => all * size, 1)],
  };
  output.AvgPool = output.MaxPool;

  // Elements read and written, not bytes.
  function weighted(layer, shape, result, macs, weights) {
    const [elements, biases] = [product(result), layer.bias ? BigInt(layer.out) : 0n];
    const params = weights + biases;
    return { params, macs, flops: 2n * macs + (biases ? elements : 0n), activations: elements, read: product(shape) + params, written: elements };
  }
  const elementwise = (shape, result, flops) => ({ flops, read: product(shape), written: product(result) });

  const cost = {
    Conv(layer, shape, result) {
      const [kernel, channels, groups] = [layer.kernel, shape[1], layer.groups].map(BigInt);
      const perOutput = kernel * kernel * channels;
      return weighted(layer, shape, result, (product(result) * perOutput) / groups, BigInt(layer.out) * (channels / groups) * kernel * kernel);
    },
    Linear: (layer, shape, result) => weighted(layer, shape, result, product(result) * BigInt(shape[1]), BigInt(layer.out) * BigInt(shape[1])),
    BatchNorm(layer, shape) {
      const [elements, channels] = [product(shape), BigInt(shape[1])];
      const [perElement, statistics] = training ? [6n, 2n * channels] : [2n, 0n];
      return { params: 2n * channels, flops: perElement * elements, read: elements + 4n * channels, written: elements + statistics };
    },
    ReLU: (layer, shape, result) => elementwise(shape, result, product(result)),
    MaxPool: (layer, shape, result) => elementwise(shape, result, product(result) * BigInt(layer.kernel) ** 2n),
    AdaptiveAvgPool: (layer, shape, result) => elementwise(shape, result, product(shape)),
    LRN: (layer, shape, result) => elementwise(shape, result, product(result) * BigInt(2 * layer.size + 3)),
    Dropout: (layer, shape, result) => (training ? elementwise(shape, result, 2n * product(result)) : {}),
    Flatten: () => ({}),
    cat: (layer, shape, result) => elementwise(result, result, 0n),
  };
  cost.AvgPool = cost.MaxPool;

  function add(path, layer, shape, result, needsGradient) {
    const { params = 0n, macs = 0n, flops = 0n, activations = 0n, read = 0n, written = 0n } = cost[layer.kind](layer, shape, result);
    const backward_macs = training ? macs * (needsGradient ? 2n : 1n) : 0n;
    rows.push({ path, layer, shape, result, params, macs, flops, activations, bytes_read: 4n * read, bytes_written: 4n * written, backward_macs });
  }

  // Returns the shape after a node, and whether it depends on a parameter.
  function run(node, path, [shape, needsGradient]) {
    const below = (child) => (path && child.name ? `${path}.${child.name}` : path || child.name);
    if (node.kind === "branches") {
      const branches = node.children.map((child) => run(child, below(child), [shape, needsGradient]));
      const [[[, , ...size]]] = branches;
      if (branches.some(([[, , ...other]]) => String(other) !== String(size)))
        fail(path, `cannot concatenate ${branches.map(([branch]) => branch.slice(1).join("x")).join(", ")}; all but the channels must match`);
      const joined = [shape[0], branches.reduce((all, [branch]) => all + branch[1], 0), ...size];
      add(path, { kind: "cat" }, joined, joined, false);
      return [joined, branches.some(([, needs]) => needs)];
    }
    if (node.children) {
      let state = [shape, needsGradient];
      for (const child of node.children)
        if (child.kind !== "auxiliary") state = run(child, below(child), state);
        else if (training) run({ ...child, kind: "chain" }, below(child), state);
      return state;
    }
    let layer = { ...LAYER_DEFAULTS[node.kind], ...node };
    for (const [field, key] of changeable(node, path)) layer[field] = settings[key] ?? layer[field];
    if (layer.kind === "DepthwiseConv") layer = { ...layer, kind: "Conv", out: shape[1] * layer.multiplier, groups: shape[1] };
    if (layer.kind === "BatchNorm" && training && shape[0] * shape[2] * shape[3] < 2)
      fail(path, "needs more than one value per channel in training; raise the batch");
    const result = output[layer.kind]?.(path, shape, layer) ?? shape;
    add(path, layer, shape, result, needsGradient);
    return [result, needsGradient || ["Conv", "Linear", "BatchNorm"].includes(layer.kind)];
  }

  run(tree, "", [[batch, ...sample], false]);
  return rows;
}

// The sums of the rows at and below a path; of all rows without a path.
function sumRows(rows, path = "") {
  const below = rows.filter((row) => !path || row.path === path || row.path.startsWith(`${path}.`));
  return Object.fromEntries(COST_KEYS.map((key) => [key, below.reduce((sum, row) => sum + row[key], 0n)]));
}

// The rules of `relative_change` in analyzer/core/units.py.
function relativeChange(before, after, fewer = "fewer") {
  if (before === after) return "same";
  if (!before || !after) return before ? "none" : "new";
  const ratio = Number(after) / Number(before);
  if (ratio >= 2) return `${timesText(ratio)} more`;
  if (ratio <= 0.5) return `${timesText(1 / ratio)} ${fewer}`;
  const share = 100 * Math.abs(ratio - 1);
  const text = share >= 0.95 ? share.toFixed(1).replace(/\.0$/, "") : share.toPrecision(2).replace(/0+$/, "");
  return `${ratio > 1 ? "+" : "-"}${text} %`;
}
function timesText(ratio) {
  if (ratio >= 99.95) return `${Math.round(ratio).toLocaleString("en-US")}×`;
  return `${ratio.toFixed(ratio >= 9.995 ? 1 : 2)}×`;
}
