// Points out one run in all charts: under the pointer, or held by a click on its name.
(() => {
  const curves = document.getElementById("curves");
  if (!curves) return;
  const tip = document.getElementById("tip");
  const names = [...curves.querySelectorAll(".legend button")];
  let held = null;

  function show(line) {
    curves.classList.toggle("hot", line !== null);
    for (const polyline of curves.querySelectorAll("polyline")) polyline.classList.toggle("on", polyline.dataset.line === line);
    for (const name of names) name.setAttribute("aria-pressed", name.dataset.line === line);
  }

  // The place of the pointer in the units of a chart.
  function placeIn(chart, event) {
    const box = chart.getBoundingClientRect();
    const view = chart.viewBox.baseVal;
    return {
      x: (event.clientX - box.left) / box.width * view.width,
      y: (event.clientY - box.top) / box.height * view.height,
    };
  }

  function distance(polyline, place) {
    return Math.min(...[...polyline.points].map(point => Math.hypot(point.x - place.x, point.y - place.y)));
  }

  function nearest(chart, event) {
    const place = placeIn(chart, event);
    let found = null;
    let least = 16;
    for (const polyline of chart.querySelectorAll("polyline")) {
      const away = distance(polyline, place);
      if (away < least) {
        least = away;
        found = polyline.dataset.line;
      }
    }
    return found;
  }

  function follow(chart, event) {
    const line = nearest(chart, event);
    show(line ?? held);
    tip.hidden = line === null;
    if (line === null) return;
    tip.textContent = names[line].textContent.trim();
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY - 34}px`;
  }

  for (const chart of curves.querySelectorAll("svg")) {
    chart.addEventListener("pointermove", event => follow(chart, event));
    chart.addEventListener("pointerleave", () => {
      tip.hidden = true;
      show(held);
    });
  }
  for (const name of names) {
    name.addEventListener("pointerenter", () => show(name.dataset.line));
    name.addEventListener("pointerleave", () => show(held));
    name.addEventListener("click", () => {
      held = held === name.dataset.line ? null : name.dataset.line;
      show(held);
    });
  }
})();
