// A comparison: a column for each picture, or for each network, and the same rows below.
(() => {
  const { $, make, message, short, wordsOf, records, load, fill, press } = stylebeam;
  const { cut } = stylebeam.maps;
  const index = stylebeam.index();
  const readSheet = sheet => ({ ...sheet, tiles: records(sheet.tiles) });
  index.common = index.common.map(readSheet);
  const { layers } = index;
  const images = records(index.images);
  const triples = index.compared === "triples";
  const loaded = new Map();   // sheets by the id of their image
  const state = { image: 0, view: "", layer: layers[0] };

  // ---- pieces --------------------------------------------------------------------
  const heading = (text, remark = "") => make("h2", "", {}, text, make("small", "", {}, remark));
  const percent = share => (share == null ? "–" : `${(share * 100).toPrecision(share < .1 ? 2 : 3)} %`);

  function about(part) {
    const { text, paper, url } = index.about[part];
    return make("p", "about", {}, `${text} `, make("a", "", { href: url, target: "_blank", rel: "noreferrer" }, paper));
  }

  function figure(sheet, tile, ...caption) {
    const label = caption.join(" ");
    const button = cut(make("button", "map", { type: "button", "aria-label": label }), sheet, tile);
    button.addEventListener("click", () => enlarge(sheet, tile, label));
    const shown = caption.map((text, place) => make(place ? "span" : "b", "", {}, text));
    return make("figure", "tile", {}, button, make("figcaption", "", {}, ...shown));
  }

  function enlarge(sheet, tile, label) {
    $("light").replaceChildren(cut(make("div", "map"), sheet, tile), make("p", "", {}, make("b", "", {}, label)));
    $("light").showModal();
  }

  function columns(count, figures) {
    const row = make("div", "columns", {}, ...figures);
    row.style.setProperty("--n", count);
    return row;
  }

  function table(heads, rows) {
    const line = (tag, cells) => make("tr", "", {}, ...cells.map(cell => make(tag, "", {}, cell)));
    const lines = [line("th", heads), ...rows.map(row => line("td", row))];
    // What is wider than a phone scrolls by itself, by the keyboard too.
    return make("div", "wide", { role: "region", "aria-label": "Numbers", tabindex: 0 }, make("table", "", {}, ...lines));
  }

  const numbersOf = shares => shares.map(percent);
  const resultNames = index.results.length > 1 ? index.results : ["the result"];

  // How far it was from what was asked for, and how far each result is.
  function measures(fact) {
    const before = ["the photograph", ...resultNames];
    return table(["apart from what was asked for", ...before], [
      ["mean of each channel", ...numbersOf(fact.mean)],
      ["standard deviation", ...numbersOf(fact.std)],
      ["Gram matrix, from the style's", ...numbersOf(fact.gram)],
      ["features at every place, from the photograph's", "0 %", ...numbersOf(fact.content)],
    ]);
  }

  // ---- side by side --------------------------------------------------------------
  const sheets = () => loaded.get(images[state.image].id) ?? [];

  function sideBySide() {
    const pictures = sheets().find(sheet => !sheet.layer);
    const sheet = sheets().find(other => other.layer === state.layer);
    if (!pictures || !sheet) return message("This was not made for this image.");
    const count = triples ? pictures.tiles.length : index.networks.length;
    const roles = triples ? rolesOf(pictures) : index.networks;
    const of = part => sheet.tiles.filter(tile => tile.part === part);
    return make("div", "", {},
      heading("The pictures"), about("picture"),
      columns(Math.max(count, pictures.tiles.length), pictures.tiles.map((tile, place) => figure(pictures, tile, triples ? roles[place] : "the photograph", tile.source))),
      heading("Gram matrices", state.layer), about("gram"),
      columns(count, inColumns(count, of("gram"), tile => figure(sheet, tile, roles[tile.column - 1]))),
      ...(triples ? aligned(sheet, of) : []),
      heading("Feature maps", triples ? `${state.layer}, one scale for a channel` : state.layer), about("map"),
      maps(sheet, of("map"), count, roles));
  }

  function rolesOf(pictures) {
    const results = pictures.tiles.length - index.results.length;
    return pictures.tiles.map((tile, place) => (place >= results
      ? (index.results.length > 1 ? index.results[place - results] : "the result")
      : place ? (results > 2 ? `style ${place}` : "the style") : "the photograph"));
  }

  // Nothing where a network has no such layer.
  function inColumns(count, tiles, draw) {
    return Array.from({ length: count }, (_, place) => {
      const tile = tiles.find(other => other.column === place + 1);
      return tile ? draw(tile) : make("p", "facts", {}, `${index.networks[place] ?? ""} has no ${state.layer}`);
    });
  }

  function aligned(sheet, of) {
    const panels = [["mean", "mean of each channel"], ["std", "standard deviation"]];
    return [
      heading("What AdaIN aligned", state.layer), about("aligned"),
      columns(2, panels.flatMap(([part, name]) => of(part).map(tile => figure(sheet, tile, name)))),
      ...sheet.facts.slice(0, 1).map(measures),
    ];
  }

  function maps(sheet, tiles, count, roles) {
    const rows = [];
    for (const tile of tiles.filter(other => other.column === Math.min(...tiles.map(one => one.column)))) {
      const fact = sheet.facts.find(other => other.channel === tile.channel && other.partner != null);
      const beside = triples
        ? tiles.filter(other => other.channel === tile.channel)
        : [tile, ...(fact ? [tiles.filter(other => other.column === 2)[partnerPlace(sheet, fact)]] : [])];
      const caption = other => (triples
        ? [`${roles[other.column - 1].replace("the ", "")}`, short(other.maximum)]
        : [`channel ${other.channel}`, other === tile ? "" : `r ${fact.r.toFixed(2)}`]);
      const name = triples ? [make("b", "", {}, `channel ${tile.channel}`)] : [];
      rows.push(make("div", "", {}, ...name, columns(count, beside.map(other => figure(sheet, other, ...caption(other))))));
    }
    return make("div", "channels", {}, ...rows);
  }

  const partnerPlace = (sheet, fact) => sheet.facts.indexOf(fact);

  // ---- of all --------------------------------------------------------------------
  function together() {
    if (!triples) return similarity();
    if (!index.averages.length) return message("Nothing was compared.");
    const pairs = shares => `${percent(shares[0])} → ${shares.slice(1).map(percent).join(" / ")}`;
    return make("div", "", {},
      heading("What is left, on average", `before → ${resultNames.join(" / ")}`), about("left"),
      table(["layer", "mean of each channel", "standard deviation", "Gram matrix, from the style's", "every place, from the photograph's", "triples"],
        index.averages.map(row => [row.layer, pairs(row.mean), pairs(row.std), pairs(row.gram), row.content.map(percent).join(" / "), String(row.count)])));
  }

  function similarity() {
    const sheet = index.common.find(other => other.kind === "similarity");
    if (!sheet) return message("Layers are compared over at least two photographs.");
    const [fact] = sheet.facts;
    const drawn = sheet.tiles.map(tile => {
      const shown = figure(sheet, tile, tile.part === "cka" ? "linear CKA" : "debiased");
      shown.classList.add("matrix");
      shown.style.setProperty("--wide", tile.width);
      return shown;
    });
    const said = fact ? `${fact.networks[0]} downwards, ${fact.networks[1]} across; ${fact.examples} examples, the cells of ${fact.images} photographs` : "";
    return make("div", "", {}, heading("How alike the layers are", said), about("cka"), make("div", "tiles", {}, ...drawn));
  }

  const views = [
    { value: "side", text: "Side by side", draw: sideBySide },
    { value: "all", text: triples ? "All together" : "Similarity of layers", draw: together },
  ];

  // ---- what is on screen: #image/view/layer --------------------------------------
  const addressOf = () => "#" + [images[state.image]?.id ?? "", state.view, state.layer].map(encodeURIComponent).join("/");

  async function set(changes) {
    Object.assign(state, changes);
    const image = images[state.image];
    if (image && !loaded.has(image.id)) {
      loaded.set(image.id, await load("images", image.id).then(found => found.map(readSheet), () => []));
    }
    if (image === images[state.image]) render();
  }

  function render() {
    const view = views.find(other => other.value === state.view);
    press($("views"), state.view);
    press($("layers"), state.layer);
    const side = state.view === "side";
    $("layers").hidden = !side || layers.length < 2;
    [...$("images").children].forEach((pick, image) => pick.setAttribute("aria-current", side && image === state.image));
    $("main").replaceChildren(images.length || !side ? view.draw() : message("No images."));
    history.replaceState(null, "", addressOf());
  }

  function pickOf({ key, id, width, height }, image) {
    const picture = make("img", "", { src: `content/${encodeURIComponent(id)}.jpg`, alt: "", loading: "lazy", decoding: "async" });
    const pick = make("button", "pick", { type: "button", title: key }, picture, make("span", "name", {}, key));
    pick.style.setProperty("--ratio", width && height ? Math.max(.6, width / height) : 1.333);
    pick.addEventListener("click", () => set({ image, view: "side" }));
    return pick;
  }

  function walkImages(step) {
    const picks = [...$("images").children];
    const shown = picks.filter(pick => !pick.hidden);
    const pick = shown[shown.indexOf(picks[state.image]) + step];
    if (!pick) return;
    set({ image: picks.indexOf(pick) });
    pick.scrollIntoView({ block: "nearest" });
  }

  function walkLayers(step) {
    const layer = layers[layers.indexOf(state.layer) + step];
    if (layer) set({ layer });
  }

  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("light").open || event.target.matches("input")) return;
    if (state.view !== "side") return;
    const right = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (right) walkLayers(right);
    else if (down) walkImages(down);
    else return;
    event.preventDefault();
  });

  $("light").addEventListener("click", () => $("light").close());
  $("filter").addEventListener("input", () => {
    const words = wordsOf($("filter").value);
    for (const pick of $("images").children) pick.hidden = !words.every(word => pick.title.toLowerCase().normalize().includes(word));
  });

  // ---- start ---------------------------------------------------------------------
  function open() {
    let place = [];
    try { place = location.hash.slice(1).split("/").map(decodeURIComponent); } catch { /* an address of nothing */ }
    const [id, view, layer] = place;
    $("light").close();
    set({
      image: Math.max(0, images.findIndex(image => image.id === id)),
      view: views.some(other => other.value === view) ? view : "side",
      layer: layers.includes(layer) ? layer : layers[0],
    });
  }

  const shortName = layer => layer.replace(/^block(\d+)_conv(\d+)$/, "$1.$2");
  fill($("views"), views, view => set({ view }));
  fill($("layers"), layers.map(layer => ({ value: layer, text: shortName(layer) })), layer => set({ layer }));
  $("images").append(...images.map(pickOf));
  addEventListener("hashchange", open);
  open();
})();
