// The section What if: controls for the numbers of one module, counted by closed_form.js at each step.
const WHAT_IF_METRICS = [
  ["macs", "MACs"], ["params", "params"], ["flops", "FLOPs"], ["activations", "activations"], ["traffic", "traffic, bytes"],
  ["backward_macs", "backward MACs"],
];

function whatIf(panel, { networks, start, presets, family }) {
  const shown = { ...start, settings: { ...start.settings }, ...readSetting(state.get("what-if") ?? "", networks) };
  if (state.has("what-if-module")) shown.module = state.get("what-if-module");
  const numbers = Object.fromEntries(Object.entries(networks).map(([name, { tree }]) => [name, changeableNumbers(tree)]));
  const known = new Map();
  const head = make("div", { className: "what-if-head" });
  const controls = make("div", { className: "what-if-controls" });
  const message = make("p", { className: "what-if-message" });
  message.setAttribute("role", "status");
  const results = make("div", { className: "wide", tabIndex: 0 });
  results.setAttribute("role", "region");
  results.setAttribute("aria-label", "Counts of this setting");
  const command = make("code", { className: "what-if-command", tabIndex: 0 });
  const formula = make("div", { className: "sum" });
  let groups = [];
  let waiting = 0;

  // Sums of the module and of the network, or an error message, for a reference network or the current setting.
  function counted(name, settings) {
    const { input, batch, training, module } = shown;
    const key = JSON.stringify([name, settings, input, batch, training, module]);
    if (!known.has(key)) {
      if (known.size > 50) known.clear();
      try {
        const rows = countNetwork(networks[name].tree, input, batch, training, settings);
        const sums = [module, ""].map((path) => sumRows(rows, path));
        for (const sum of sums) sum.traffic = sum.bytes_read + sum.bytes_written;
        known.set(key, { rows, sums });
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        known.set(key, { error: `${name}.${error.message}` });
      }
    }
    return known.get(key);
  }

  function references() {
    if (!family.includes(shown.network)) return [[shown.network, "unchanged"]];
    const original = shown.network in presets ? "googlenet" : shown.network;
    return [[original, presets[original] ?? "unchanged"], ["googlenet-naive", presets["googlenet-naive"]]];
  }

  // One number: a slider over `values` or over a range, and a field for any number.
  function control(label, value, { values, max, step = 1, limit = 999999 }, change) {
    const slider = make("input", { type: "range", min: values ? 0 : 1 });
    const field = make("input", { type: "number", min: 1, max: limit, step: 1, value });
    slider.setAttribute("aria-label", label);
    field.setAttribute("aria-label", `${label}, exact`);
    const place = (number) => {
      if (values) {
        slider.max = values.length - 1;
        slider.value = values.findLastIndex((item) => item <= number);
        slider.setAttribute("aria-valuetext", number);
      } else {
        Object.assign(slider, { max: Math.max(max, number), step });
        slider.value = number;
      }
    };
    place(value);
    slider.addEventListener("input", () => {
      field.value = values ? values[slider.value] : slider.value;
      if (values) slider.setAttribute("aria-valuetext", field.value);
      change(Number(field.value));
    });
    field.addEventListener("input", () => {
      const number = Math.round(Number(field.value));
      if (!(number >= 1 && number <= limit)) return;
      place(number);
      change(number);
    });
    const element = make("div", { className: "number" }, make("span", { textContent: label.replace(/(^|\.)conv\./, "$1").replace(/\.(\w+)$/, " · $1").replaceAll(".", ".\u200b") }), slider, field);
    element.offer = (others) => {
      values = others;
      place(Number(field.value));
    };
    return element;
  }

  function option(select, names, chosen) {
    select.replaceChildren(...names.map((name) => make("option", { textContent: name, selected: name === chosen })));
  }

  const network = make("select");
  network.addEventListener("change", () => choose(network.value));
  const module = make("select");
  module.addEventListener("change", () => {
    shown.module = module.value;
    build();
  });
  const buttons = Object.entries(presets).map(([name, title]) => {
    const button = make("button", { type: "button", className: "plain", textContent: `${title[0].toUpperCase()}${title.slice(1)}` });
    button.addEventListener("click", () => choose(name));
    return [name, button];
  });
  const reset = make("button", { type: "button", className: "plain", textContent: "Reset" });
  reset.addEventListener("click", () => {
    Object.assign(shown, { input: [...start.input], batch: start.batch });
    choose(shown.network);
  });
  const training = make("input", { type: "checkbox", checked: shown.training });
  training.addEventListener("change", () => {
    shown.training = training.checked;
    show();
  });
  const copy = make("button", { type: "button", className: "plain", textContent: "Copy as command" });
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(command); // Without permission the reader copies the selection.
      copy.textContent = "Selected";
    }
    setTimeout(() => (copy.textContent = "Copy as command"), 1500);
  });

  function choose(name) {
    Object.assign(shown, { network: name, settings: {} });
    build();
  }

  const firstModule = (name) => (numbers[name].has("inception_4a") ? "inception_4a" : [...numbers[name].keys()][0]);

  function build() {
    const modules = numbers[shown.network];
    if (!modules.has(shown.module)) shown.module = firstModule(shown.network);
    option(network, Object.keys(networks), shown.network);
    option(module, [...modules.keys()], shown.module);
    const [, ...sides] = shown.input;
    const image = control("resolution", Math.max(...sides), { max: 512, step: 16, limit: 4096 }, (side) => {
      shown.input = [shown.input[0], side, side];
      show();
    });
    const batch = control("batch", shown.batch, { values: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] }, (size) => {
      shown.batch = size;
      show();
    });
    const pick = (title, select) => make("label", { className: "pick" }, `${title} `, select);
    head.replaceChildren(
      pick("Network", network), pick("Module", module),
      make("div", { className: "presets" }, ...buttons.map(([, button]) => button), reset, make("label", {}, training, " training")),
    );
    groups = [];
    const widths = make("div", { className: "numbers" }, image, batch);
    const others = make("div", { className: "numbers long" });
    for (const item of modules.get(shown.module)) {
      const wide = WIDTHS.test(item.key.split(".").at(-1));
      const range = wide ? { max: Math.max(4 * item.value, 16) }
        : item.field === "kernel" ? { max: 11, step: item.value % 2 ? 2 : 1, limit: 99 }
          : item.field === "groups" ? { values: [1] } : { max: 4, limit: 99 };
      const element = control(item.label, shown.settings[item.key] ?? item.value, range, (number) => {
        if (number === item.value) delete shown.settings[item.key];
        else shown.settings[item.key] = number;
        show();
      });
      if (item.field === "groups") groups.push([item.path, element]);
      (wide ? widths : others).append(element);
    }
    controls.replaceChildren(widths);
    if (others.children.length > 4)
      controls.append(make("details", { open: Object.keys(shown.settings).some((key) => !WIDTHS.test(key.split(".").at(-1))) }, make("summary", { textContent: "Kernels, strides and groups" }), others));
    else widths.append(...others.children);
    show();
  }

  function show() {
    const now = counted(shown.network, shown.settings);
    buttons.forEach(([name, button]) => button.setAttribute("aria-pressed", name === shown.network));
    command.textContent = commandLine();
    clearTimeout(waiting); // Browsers limit how often an address changes.
    waiting = setTimeout(() => {
      const text = command.textContent;
      remember("what-if", text === commandLine(start) ? "" : text.slice("analyze ".length));
      remember("what-if-module", shown.module === firstModule(shown.network) ? "" : shown.module);
    }, 300);
    message.classList.toggle("bad", Boolean(now.error));
    results.classList.toggle("stale", Boolean(now.error));
    formula.classList.toggle("stale", Boolean(now.error));
    if (now.error) {
      message.textContent = `Not possible: ${now.error}.`;
      return;
    }
    const compared = references().map(([name, title]) => [title, counted(name, {})]);
    message.textContent = keepUnits(sentence(now, compared));
    results.replaceChildren(table(now, compared));
    const rows = now.rows.filter((row) => row.macs && (row.path === shown.module || row.path.startsWith(`${shown.module}.`)));
    const lines = rows.map(writtenOut).map(([path, products]) =>
      make("div", {}, make("dt", { textContent: path.slice(shown.module.length + 1) || path }),
        ...products.map(([title, product, value]) => make("dd", {}, make("span", { textContent: `${title}: ${product}` }), make("b", { textContent: exactText(value) })))));
    const text = `${shown.module}: ${exactText(now.sums[0].macs)} MACs and ${exactText(now.sums[0].params)} params.`;
    formula.replaceChildren(make("h3", { textContent: `${shown.module}, written out` }), make("dl", {}, ...lines), make("p", { textContent: text }));
    for (const [path, element] of groups) {
      const row = now.rows.find((other) => other.path === path);
      const channels = row ? [row.shape[1], row.layer.out] : [1, 1];
      const divisors = Array.from({ length: Math.min(...channels) }, (_, index) => index + 1);
      element.offer(divisors.filter((count) => channels.every((width) => width % count === 0)));
    }
  }

  function sentence(now, compared) {
    const texts = compared.filter(([, other]) => other.sums).map(([title, { sums }]) => {
      const [inModule, inNetwork] = sums.map((sum, index) => relativeChange(sum.macs, now.sums[index].macs));
      return inModule === "same" && inNetwork === "same" ? `the same as ${title}`
        : `against ${title} ${inModule} in the module, ${inNetwork} in the network`;
    });
    return `${exactText(now.sums[0].macs)} MACs in ${shown.module}, ${exactText(now.sums[1].macs)} in the network: ${texts.join("; ")}.`;
  }

  function table(now, compared) {
    const names = ["", "this setting", ...compared.map(([title]) => title)];
    const header = make("tr", {}, ...names.map((name) => make("th", { scope: "col", textContent: name })));
    const body = make("tbody");
    [shown.module, "network"].forEach((place, index) => {
      for (const [metric, title] of WHAT_IF_METRICS) {
        if (metric === "backward_macs" && !shown.training) continue;
        const value = now.sums[index][metric];
        const cells = compared.map(([, { sums }]) => {
          if (!sums) return make("td", { textContent: "-" });
          const change = relativeChange(sums[index][metric], value, metric === "traffic" ? "less" : "fewer");
          const tone = value < sums[index][metric] ? "good" : value > sums[index][metric] ? "bad" : "muted";
          return make("td", {}, make("small", { className: tone, textContent: change }), exactText(sums[index][metric]));
        });
        body.append(make("tr", { className: metric === "macs" ? "total" : "" }, make("th", { scope: "row", textContent: `${place}, ${title}` }), make("td", { textContent: exactText(value) }), ...cells));
      }
    });
    return make("table", {}, make("thead", {}, header), body);
  }

  function commandLine(setting = shown) {
    const changes = Object.entries(setting.settings).map(([key, value]) => `${key}=${value}`).join(",");
    return [
      `analyze ${setting.network}${changes ? `@${changes}` : ""}`,
      ...(String(networks[setting.network].input) === String(setting.input) ? [] : [`--input ${setting.input.join("x")}`]),
      ...(setting.batch === 1 ? [] : [`--batch ${setting.batch}`]),
      ...(setting.training ? ["--train"] : []),
    ].join(" ");
  }

  panel.append(head, controls, message, make("div", { className: "what-if-copy" }, command, copy), results, formula);
  build();
}

const whatIfPanel = document.getElementById("what-if-panel");
if (whatIfPanel && window.DecompressionStream)
  whenNear(whatIfPanel, () => packedJson("what-if-panel-data").then((data) => whatIf(whatIfPanel, data)));
