// The gallery itself: what is on screen, and the controls that change it.
(() => {
  const { $, make, message, wordsOf, load, fill, press } = stylebeam;
  const { STEPS, isOriginal, groupPages, mergePages, headsOf, rowsOf, sortRows, neighbour, placeOf } = stylebeam.cells;
  const { clamp, sharpen, grid, tiles, widenOriginals } = stylebeam.pictures;
  const INDEX = stylebeam.index();
  const groups = groupPages(INDEX);
  const state = { group: -1, view: "grid", alpha: null, sort: "", words: [] };
  let model = null;   // the cells of the group, and what there is of each kind
  let rows = [];      // those on screen: [{ content, cells }]

  const light = stylebeam.makeLight({
    bundle: INDEX.bundle,
    neighbour: (cell, step) => neighbour(rows, cell, step),
    placeOf: cell => placeOf(rows, cell),
    twinsOf: cell => model.cells.filter(other => other.content === cell.content && other.column === cell.column && other.path),
    chooseAlpha: alpha => { if (state.alpha !== null) show({ alpha }); },
    addressOf: groupAddress,
    closed: cell => { if (cell?.element?.isConnected) focusCell(cell); },
  });

  const number = value => value.toLocaleString("en");
  const plural = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;

  // ---- a group of pages ----------------------------------------------------------
  async function showGroup(group) {
    state.group = group;
    $("page").value = group;
    $("page-back").disabled = group === 0;
    $("page-next").disabled = group === groups.length - 1;
    let pages;
    try {
      pages = await Promise.all(groups[group].names.map(async name => ({ name, data: await load("pages", name) })));
    } catch (error) {
      $("main").replaceChildren(message(`The page ${error.message} is missing or cannot be read.`));
      return false;
    }
    if (state.group !== group) return false;   // somebody was faster
    model = mergePages(pages);
    prepare();
    show();
    $("main").scrollTo(0, 0);
    return true;
  }

  // The view that suits a group, and the controls that it needs.
  function prepare() {
    const { alphas, cells, columns, contents, styles } = model;
    const several = alphas.length > 1;
    const dense = cells.length / (contents * columns * alphas.length || 1);
    // A grid that is wider than a phone would have to be scrolled sideways.
    const isWide = isPhone() && columns > 2;
    state.view = contents === 1 || dense < .6 || isWide ? "tiles" : "grid";
    state.alpha = !several || columns === 1 ? null : alphas.includes(1) ? 1 : alphas.at(-1);
    $("alphas").hidden = !several;
    const options = alphas.map(alpha => ({ value: alpha, text: String(alpha) }));
    if (alphas.length < 8) options.unshift({ value: null, text: "all" });
    fill($("alpha-choices"), options, alpha => show({ alpha }));
    const measured = cells.some(cell => cell.content_loss != null);
    $("sorts").hidden = !measured;
    if (!measured) state.sort = "";
    if (groups.length === 1) {
      $("totals").textContent = `${plural(done(cells), "picture")} · ${plural(contents, "content")} · ${plural(styles, "style")}`;
    }
    resize(roomy());
  }

  // ---- what is on screen ---------------------------------------------------------
  const hasAlpha = cell => state.alpha === null || isOriginal(cell.column) || cell.alpha === state.alpha;
  const isVisible = cell => hasAlpha(cell) && state.words.every(word => cell.text.includes(word));
  const done = cells => cells.filter(cell => cell.path).length;

  function show(changes = {}) {
    Object.assign(state, changes);
    const visible = model.cells.filter(isVisible);
    rows = rowsOf(visible);
    if (state.sort) sortRows(rows, state.sort);
    const total = done(model.cells.filter(hasAlpha));
    $("count").textContent = done(visible) === total ? "" : `${number(done(visible))} of ${number(total)}`;
    $("sort").value = state.sort;
    press($("views"), state.view);
    press($("alpha-choices"), state.alpha);
    $("main").replaceChildren(rows.length ? draw(visible) : message("No file name matches."));
    arrange();
    sharpenSome();
    const first = rows.flatMap(row => row.cells).find(cell => cell.path);
    if (first) first.element.tabIndex = 0;
  }

  function draw(visible) {
    const several = model.alphas.length > 1;
    if (state.view === "grid") return grid(rows, headsOf(visible), several && state.alpha === null);
    return tiles(rows, model.contents === 1, cell => !isOriginal(cell.column) && (several ? state.alpha === null : cell.alpha !== 1));
  }

  function arrange() {
    if (state.view !== "tiles" || !model) return;
    const columns = Math.floor(($("main").clientWidth - 28) / (+$("size").value + 12));
    widenOriginals(rows, [...$("main").querySelectorAll(".content")], columns);
  }

  // Thumbnails are 192 pixels high: a few large tiles deserve the picture itself.
  function isSharp(cell) {
    if (model.cells.length > 64 || cell.width * cell.height > 2e6) return false;
    const large = $("size").value * devicePixelRatio / cell.content.ratio > 210;
    return large || (state.view === "tiles" && model.cells.length <= 3);
  }
  function sharpenSome() {
    for (const { cells } of rows) cells.filter(isSharp).forEach(sharpen);
  }

  const isPhone = () => innerWidth <= 760;
  // The size of tiles that fits the window.
  function roomy() {
    if (state.view === "tiles") return isPhone() ? 150 : model.contents === 1 ? 212 : 184;
    const columns = headsOf(model.cells.filter(isVisible)).length + 1;
    return isPhone() ? 104 : clamp(Math.floor((innerWidth - 60) / columns) - 7, 108, 240);
  }
  function resize(width) {
    $("size").value = width;
    document.documentElement.style.setProperty("--w", `${$("size").value}px`);
  }

  // ---- pictures by mouse and keyboard --------------------------------------------
  function focusCell(cell) {
    const old = $("main").querySelector(".cell[tabindex='0']");
    if (old) old.tabIndex = -1;
    cell.element.tabIndex = 0;
    cell.element.focus({ preventScroll: true });
    reveal(cell.element);
  }

  // Sticky headers cover what scrollIntoView takes for visible.
  function reveal(element) {
    const box = element.getBoundingClientRect();
    const main = $("main").getBoundingClientRect();
    const top = main.top + ($("main").querySelector(".head")?.offsetHeight ?? 0) + 8;
    const left = main.left + ($("main").querySelector(".side")?.offsetWidth ?? 0);
    $("main").scrollBy({
      top: box.top < top ? box.top - top : Math.max(0, box.bottom + 32 - main.bottom),
      left: box.left < left ? box.left - left : Math.max(0, box.right + 20 - main.right),
    });
  }

  // Among tiles, up and down go to the nearest one of the line above or below.
  function nearestTile(element, down) {
    const here = element.getBoundingClientRect();
    const middle = here.left + here.width / 2;
    let best = null;
    let least = Infinity;
    for (const other of $("main").querySelectorAll("a.cell")) {
      const box = other.getBoundingClientRect();
      const away = down > 0 ? box.top - here.bottom : here.top - box.bottom;
      const distance = away * 4 + Math.abs(box.left + box.width / 2 - middle);
      if (away < 0 || distance >= least) continue;
      least = distance;
      best = other.cell;
    }
    return best;
  }

  $("main").addEventListener("click", event => {
    const element = event.target.closest(".cell");
    if (!element || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    light.open(element.cell);
  });
  $("main").addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    const element = event.target.closest(".cell");
    if (!step && !(element && event.key === " ")) return;
    if (!element) return enter(event);
    event.preventDefault();
    if (!step) return light.open(element.cell);
    const other = step.down && state.view === "tiles" ? nearestTile(element, step.down) : neighbour(rows, element.cell, step);
    if (other) focusCell(other);
  });
  // The first arrow leads from the page to a picture.
  function enter(event) {
    const first = event.target === $("main") && $("main").querySelector(".cell[tabindex='0']");
    if (!first) return;
    event.preventDefault();
    focusCell(first.cell);
  }

  stylebeam.known.watch($("main"));

  // ---- controls ------------------------------------------------------------------
  let filterTimer = 0;
  $("filter").addEventListener("input", () => {
    clearTimeout(filterTimer);
    filterTimer = setTimeout(() => {
      state.words = wordsOf($("filter").value);
      if (model) show();
    }, 120);
  });
  $("size").addEventListener("input", () => {
    resize($("size").value);
    arrange();
  });
  $("size").addEventListener("change", sharpenSome);
  window.addEventListener("resize", arrange);

  function turnTo(view, changes = {}) {
    if (view !== state.view) {
      state.view = view;
      resize(roomy());
    }
    show(changes);
  }
  // A grid has its styles in columns: only among tiles can each content have an order.
  fill($("views"), [{ value: "grid", text: "Grid" }, { value: "tiles", text: "Tiles" }], view => {
    if (model && view !== state.view) turnTo(view, view === "grid" ? { sort: "" } : {});
  });
  $("sort").addEventListener("change", () => {
    const sort = $("sort").value;
    turnTo(sort ? "tiles" : state.view, { sort });
  });

  function turnPage(group) {
    showGroup(group);
    history.replaceState(null, "", groupAddress());
  }
  $("page").addEventListener("change", () => turnPage(+$("page").value));
  $("page-back").addEventListener("click", () => turnPage(state.group - 1));
  $("page-next").addEventListener("click", () => turnPage(state.group + 1));
  document.addEventListener("keydown", event => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || $("light").open || event.target.matches("input, select")) return;
    event.preventDefault();
    $("filter").focus();
  });

  // ---- addresses: #page, or #page/path of a picture ------------------------------
  function groupAddress() {
    return state.group > 0 ? `#${groups[state.group].names[0]}` : location.pathname + location.search;
  }

  function wanted() {
    let hash = "";
    try { hash = decodeURIComponent(location.hash.slice(1)); } catch { /* a broken link opens the gallery */ }
    const [page, ...path] = hash.split("/");
    return { page, path: path.join("/") };
  }

  async function follow() {
    const { page, path } = wanted();
    const named = groups.findIndex(group => group.names.includes(page));
    const group = named < 0 ? Math.max(0, state.group) : named;
    if (group !== state.group && !await showGroup(group)) return;
    const cell = path && model.cells.find(other => other.path === path);
    if (!cell) return light.leave();
    if (!isVisible(cell)) {
      $("filter").value = "";
      show({ alpha: model.alphas.length > 1 ? cell.alpha : null, words: [] });
    }
    if (!light.shows(cell)) light.open(cell);
  }

  function listGroups() {
    $("pager").hidden = groups.length === 1;
    let start = 1;
    groups.forEach(({ contents, first }, group) => {
      const range = `${number(start)}–${number(start + contents - 1)}`;
      $("page").append(make("option", "", { value: group }, `${range} · ${first.slice(0, 40)}`));
      start += contents;
    });
  }

  if (INDEX.done) {
    $("tools").hidden = false;
    listGroups();
    window.addEventListener("popstate", follow);
    $("main").focus({ preventScroll: true });
    follow();
  }
})();
