"use strict";
// Sorts, filters and points. Everything said here stands in the page without it; text enters as text only.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";

  function add(parent, name, text) {
    const made = parent.appendChild(document.createElement(name));
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function choices(select, names) {
    names.forEach((name, number) => {
      add(select, "option", name).value = number;
    });
  }

  function records({ rows, classes, classAt, numericFrom }) {
    const SIZE = 50;
    const table = at("records-table");
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const state = { column: -1, up: false, page: 0, shown: rows.map((_, number) => number) };
    const words = (row, column) => (column === classAt ? classes[row[column]] : row[column]);
    // The figure in a cell such as "< .0001" or "97 %"; cells without one come last either way.
    const figure = (text) => parseFloat(text.replace(/[^\d.+-]/g, ""));

    function compare(a, b) {
      const [left, right] = [a, b].map((number) => words(rows[number], state.column));
      if (state.column < numericFrom) {
        return (state.up ? 1 : -1) * left.localeCompare(right, "en", { numeric: true }) || a - b;
      }
      const [x, y] = [figure(left), figure(right)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
      return (state.up ? x - y : y - x) || a - b;
    }

    function choose() {
      const text = at("records-text").value.trim().toLowerCase();
      const own = at("records-class").value;
      const fits = (row) =>
        (own === "" || row[classAt] === Number(own)) &&
        (text === "" || row[0].includes(text) || classes[row[classAt]].toLowerCase().includes(text));
      state.shown = rows.map((_, number) => number).filter((number) => fits(rows[number]));
      if (state.column >= 0) state.shown.sort(compare);
      state.page = 0;
      draw();
    }

    function draw() {
      const [from, all] = [state.page * SIZE, state.shown.length];
      const page = state.shown.slice(from, from + SIZE);
      body.replaceChildren();
      for (const number of page) {
        const line = add(body, "tr");
        rows[number].forEach((_, column) => {
          const cell = add(line, column ? "td" : "th", words(rows[number], column));
          if (!column) cell.scope = "row";
          if (column >= numericFrom) cell.className = "n";
        });
      }
      const whole = all === rows.length ? "" : ` (of ${rows.length} in all)`;
      at("records-count").textContent = all ? `${from + 1} to ${from + page.length} of ${all}${whole}` : `None${whole}`;
      at("records-back").disabled = !state.page;
      at("records-on").disabled = from + SIZE >= all;
    }

    function sortBy(column) {
      state.up = state.column === column ? !state.up : column < numericFrom;
      state.column = column;
      heads.forEach((head, place) => {
        head.setAttribute("aria-sort", place !== column ? "none" : state.up ? "ascending" : "descending");
      });
      choose();
    }

    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => sortBy(column));
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
    });
    choices(at("records-class"), classes);
    at("records-text").addEventListener("input", choose);
    at("records-class").addEventListener("change", choose);
    at("records-control").addEventListener("submit", (event) => event.preventDefault());
    for (const [id, step] of [["records-back", -1], ["records-on", 1]]) {
      at(id).addEventListener("click", () => {
        state.page += step;
        draw();
      });
    }
    at("records-rest")?.remove();
    at("records-control").hidden = at("records-pages").hidden = false;
    draw();
  }

  function roc({ least, attacked, unseen, curves }) {
    const STEPS = 100;
    const [select, slider] = [at("roc-attack"), at("roc-rate")];
    const percent = (part, all) => `${((100 * part) / all).toFixed(1)} %`;
    const markers = [...document.querySelectorAll("#roc svg")].map((svg) => {
      const frame = svg.querySelector("path.background"); // the plot's own: the first of the drawing
      const group = frame.parentNode;
      const line = group.appendChild(document.createElementNS(SVG, "line"));
      const dot = group.appendChild(document.createElementNS(SVG, "circle"));
      line.setAttribute("class", "marker");
      dot.setAttribute("class", "marker");
      dot.setAttribute("r", 6);
      return { line, dot, side: Number(frame.getAttribute("d").match(/h([\d.]+)/)[1]) };
    });
    const place = (rate) => 1 - Math.log(Math.max(rate, least)) / Math.log(least);

    function show() {
      const rate = least ** (1 - slider.value / STEPS);
      const curve = curves[select.value];
      let point = 0;
      while (point + 1 < curve.accused.length && curve.accused[point + 1] <= rate * unseen + 1e-9) point += 1;
      const [accused, found] = [curve.accused[point], curve.found[point]];
      const words = [[accused, unseen], [found, attacked]].map(([n, all]) => `${n} of ${all} (${percent(n, all)})`);
      at("roc-accused").textContent = words[0];
      at("roc-found").textContent = words[1];
      slider.setAttribute("aria-valuetext", `${words[0]} accused wrongly, ${words[1]} found`);
      for (const { line, dot, side } of markers) {
        const [x, y] = [side * place(rate), side * (1 - place(found / attacked))];
        Object.entries({ x1: x, x2: x, y1: 0, y2: side }).forEach((pair) => line.setAttribute(...pair));
        Object.entries({ cx: x, cy: y }).forEach((pair) => dot.setAttribute(...pair));
      }
    }

    choices(select, curves.map((curve) => curve.name));
    slider.max = STEPS;
    slider.value = Math.round(STEPS * place(0.01));
    select.addEventListener("change", show);
    slider.addEventListener("input", show);
    at("roc-control").addEventListener("submit", (event) => event.preventDefault());
    at("roc-control").hidden = false;
    show();
  }

  records(data.records);
  roc(data.roc);
})();
