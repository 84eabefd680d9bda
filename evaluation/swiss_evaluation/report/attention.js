(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const CELL = 18;
  // Viridis at equal steps, as in the heatmaps that need no script.
  const STOPS = [
    [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142],
    [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37],
  ];
  const data = JSON.parse(document.getElementById("attention-data").textContent);
  const figure = document.getElementById("attention-view");
  const drawing = figure.querySelector(".drawing");
  const readout = figure.querySelector(".readout");
  const caption = figure.querySelector("figcaption");
  const selects = {};
  for (const name of ["view", "layer", "head"]) {
    selects[name] = figure.querySelector(`select[name=${name}]`);
  }
  const bytes = data.views.map((view) =>
    Uint8Array.from(atob(view.values), (character) => character.charCodeAt(0)));

  function color(share) {
    const place = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
    const index = Math.min(Math.floor(place), STOPS.length - 2);
    const mixed = STOPS[index].map((low, channel) =>
      Math.round(low + (place - index) * (STOPS[index + 1][channel] - low)));
    return `rgb(${mixed.join(",")})`;
  }

  function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function draw(state) {
    const view = data.views[state.view];
    const size = view.tokens.length;
    const start = (state.layer * data.heads + state.head) * size * size;
    const values = bytes[state.view].subarray(start, start + size * size);
    const largest = Math.max(...values) || 1;
    const longest = Math.max(...view.tokens.map((token) => [...token].length));
    const margin = 16 + 7 * longest;
    const side = margin + CELL * size;
    const root = element("svg", {
      width: side + 4, height: side + 4, viewBox: `0 0 ${side + 4} ${side + 4}`, role: "img",
      "aria-label": `Attention of layer ${state.layer}, head ${state.head}`,
    });
    view.tokens.forEach((token, index) => {
      const middle = margin + CELL * (index + 0.5);
      root.append(
        element("text", {
          x: margin - 6, y: middle, "text-anchor": "end", "dominant-baseline": "central",
          fill: "currentColor",
        }, token),
        element("text", {
          transform: `translate(${middle},${margin - 6}) rotate(-90)`,
          "dominant-baseline": "central", fill: "currentColor",
        }, token),
      );
    });
    values.forEach((value, index) => {
      const row = Math.floor(index / size);
      const column = index % size;
      const words = `${view.tokens[row]} → ${view.tokens[column]}: ${(value / 255).toFixed(2)}`;
      const cell = element("rect", {
        x: margin + CELL * column, y: margin + CELL * row, width: CELL, height: CELL,
        fill: color(value / largest),
      });
      cell.append(element("title", {}, words));
      cell.addEventListener("mouseenter", () => { readout.textContent = words; });
      root.append(cell);
    });
    drawing.replaceChildren(root);
    readout.textContent = "";
    const cut = view.cut ? ` Only the first ${size} of ${view.cut} tokens are shown.` : "";
    caption.textContent = `Layer ${state.layer} of 0 to ${data.layers - 1}, head ${state.head} of 0 to `
      + `${data.heads - 1}: rows attend to columns. The lightest cell is ${(largest / 255).toFixed(2)}; `
      + `values are kept to 1/255.${cut}`;
    figure.dataset.drawn = `view=${state.view}&layer=${state.layer}&head=${state.head}`;
  }

  function fromHash(state) {
    const given = new URLSearchParams(location.hash.slice(1));
    const counts = { view: data.views.length, layer: data.layers, head: data.heads };
    const next = { ...state };
    for (const name of Object.keys(counts)) {
      const value = Number.parseInt(given.get(name), 10);
      if (value >= 0 && value < counts[name]) next[name] = value;
    }
    return next;
  }

  function show(state) {
    for (const name of Object.keys(selects)) selects[name].value = String(state[name]);
    draw(state);
  }

  function fill(select, labels) {
    labels.forEach((label, index) => select.add(new Option(label, String(index))));
  }

  fill(selects.view, data.views.map((view) => view.name));
  fill(selects.layer, Array.from({ length: data.layers }, (_, index) => String(index)));
  fill(selects.head, Array.from({ length: data.heads }, (_, index) => String(index)));
  let state = fromHash({ view: 0, layer: data.layer, head: data.head });
  figure.hidden = false;
  show(state);
  figure.querySelector("form").addEventListener("change", () => {
    for (const name of Object.keys(selects)) state[name] = Number(selects[name].value);
    draw(state);
    history.replaceState(null, "", `#${figure.dataset.drawn}`);
  });
  window.addEventListener("hashchange", () => {
    state = fromHash(state);
    show(state);
  });
})();
