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

  // By the figure in a cell such as "< .0001" or "97 %", where there is one; cells without come last either way.
  function order(left, right, numeric, up) {
    if (!numeric) return (up ? 1 : -1) * left.localeCompare(right, "en", { numeric: true });
    const [x, y] = [left, right].map((text) => parseFloat(text.match(/[+-]?\d*\.?\d+/)));
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return up ? x - y : y - x;
  }

  // Turns headings into buttons; `sort(column, numeric, up)` is called: figures first from the largest down.
  function sortable(table, sort) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const numeric = head.classList.contains("n");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        const up = was === "none" ? !numeric : was === "descending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(column, numeric, up);
      });
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
    });
  }

  function records({ rows, classes, classAt }) {
    const SIZE = 50;
    const table = at("records-table");
    const body = table.tBodies[0];
    const numeric = [...table.tHead.rows[0].cells].map((head) => head.classList.contains("n"));
    const state = { sort: () => 0, page: 0, shown: [] };
    const words = (number, column) => (column === classAt ? classes[rows[number][column]] : rows[number][column]);

    function choose() {
      const text = at("records-text").value.trim().toLowerCase();
      const own = at("records-class").value;
      const called = (row) => (classAt === null ? "" : classes[row[classAt]].toLowerCase());
      const fits = (row) =>
        (own === "" || row[classAt] === Number(own)) && (row[0].includes(text) || called(row).includes(text));
      state.shown = rows.map((_, number) => number).filter((number) => fits(rows[number]));
      state.shown.sort((a, b) => state.sort(a, b) || a - b);
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
          const cell = add(line, column ? "td" : "th", words(number, column));
          if (!column) cell.scope = "row";
          if (numeric[column]) cell.className = "n";
        });
      }
      const whole = all === rows.length ? "" : ` (of ${rows.length} in all)`;
      at("records-count").textContent = all ? `${from + 1} to ${from + page.length} of ${all}${whole}` : `None${whole}`;
      at("records-back").disabled = !state.page;
      at("records-on").disabled = from + SIZE >= all;
    }

    sortable(table, (column, isNumeric, up) => {
      state.sort = (a, b) => order(words(a, column), words(b, column), isNumeric, up);
      choose();
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
    choose();
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

  function remedies() {
    const table = at("remedy-table");
    const [body] = table.tBodies;
    const lines = [...body.rows];
    sortable(table, (column, numeric, up) => {
      const text = (line) => line.cells[column].textContent;
      body.append(...[...lines].sort((a, b) => order(text(a), text(b), numeric, up)));
    });
    at("remedy-within").addEventListener("change", ({ target }) => {
      lines.forEach((line) => {
        line.hidden = target.checked && line.dataset.tone !== "good";
      });
    });
    at("remedy-control").hidden = false;
  }

  if (at("remedy-table")) remedies();
  records(data.records);
  roc(data.roc);
})();
