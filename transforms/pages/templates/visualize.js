// The gallery itself: which image, view and layer are on screen, and the controls.
(() => {
  const { $, make, message, wordsOf, records, url, downloads, load, fill, press } = stylebeam;
  const { titleOf, layerOf, factsOf, cut } = stylebeam.maps;
  const SCALES = [{ value: "layer", text: "One scale a layer" }, { value: "map", text: "A scale each" }];
  const PARTS = [
    { value: "overlay", text: "On the photo" },
    { value: "gradient", text: "Gradient" },
    { value: "positive", text: "Positive" },
    { value: "negative", text: "Negative" },
    ...(stylebeam.index().curves ? [{ value: "curves", text: "Curves" }] : []),
  ];
  const readSheet = sheet => ({ ...sheet, tiles: records(sheet.tiles) });
  const index = stylebeam.index();
  index.common = index.common.map(readSheet);
  const { layers } = index;
  const images = records(index.images);
  const loaded = new Map();   // sheets by the id of their image
  const state = { image: 0, view: "", layer: layers[0], channel: null, scale: "layer", part: "overlay" };
  const views = stylebeam.makeViews({
    index, state, set, to,
    sheets: () => loaded.get(images[state.image]?.id),
  });
  const viewOf = value => views.find(view => view.value === value);
  const ofImage = () => viewOf(state.view)?.ofImage ?? true;

  // ---- what is on screen ---------------------------------------------------------
  async function sheetsOf({ id }) {
    try {
      return (await load("images", id)).map(readSheet);
    } catch {
      return [];   // the view says that there is nothing
    }
  }

  async function set(changes) {
    Object.assign(state, changes);
    const image = images[state.image];
    if (image && !loaded.has(image.id)) loaded.set(image.id, await sheetsOf(image));
    if (image === images[state.image]) render();
  }

  function render() {
    hideBubble();
    pressAll();
    const view = viewOf(state.view);
    const drawn = view && (images.length || !view.ofImage) ? view.draw() : message("No images.");
    $("main").replaceChildren(...stylebeam.aboutView(index, state), drawn);
    $("across").textContent = onChannel() ? "channels" : "walk the blocks";
    history.replaceState(null, "", addressOf({}));
  }

  // ---- addresses: #image/view/layer, of a channel #image/channel/layer/number ------
  function addressOf(changes) {
    const { image, view, layer, channel } = { ...state, ...changes };
    const place = [images[image]?.id ?? "", view, layer];
    if (view === "channel" && channel != null) place.push(channel);
    return "#" + place.map(encodeURIComponent).join("/");
  }

  // A link to another place of the gallery, so that the browser's way back works.
  function to(changes, ...children) {
    return make("a", "to", { href: addressOf(changes) }, ...children);
  }

  const onChannel = () => state.view === "channel" && state.channel != null;

  function pressAll() {
    press($("views"), state.view);
    press($("layers"), state.layer);
    press($("scales"), state.scale);
    press($("parts"), state.part);
    $("layers").hidden = layers.length < 2 || ["overview", "classes"].includes(state.view);
    $("scales").hidden = state.view !== "features";
    $("parts").hidden = state.view !== "gradients";
    [...$("images").children].forEach((pick, image) => pick.setAttribute("aria-current", ofImage() && image === state.image));
  }

  // ---- hover and click -----------------------------------------------------------
  const hideBubble = () => { $("bubble").hidden = true; };

  function showBubble({ target }) {
    const element = target.closest?.(".map");
    if (!element?.tile) return hideBubble();
    const { sheet, tile } = element;
    const bubble = $("bubble");
    const facts = [...factsOf(sheet, tile)].flatMap(fact => [fact, make("br")]);
    bubble.replaceChildren(make("b", "", {}, titleOf(sheet, tile)), ...facts);
    bubble.hidden = false;
    const box = element.getBoundingClientRect();
    const below = box.bottom + bubble.offsetHeight + 10 < innerHeight;
    bubble.style.left = `${Math.max(8, Math.min(box.left, innerWidth - bubble.offsetWidth - 8))}px`;
    bubble.style.top = `${below ? box.bottom + 6 : box.top - bubble.offsetHeight - 6}px`;
  }

  const nameOf = ({ path }) => path.split("/").slice(-2).join("--");

  function enlarge({ target }) {
    const element = target.closest(".map");
    if (!element || target.closest("a")) return;   // a link leads elsewhere
    const { sheet, tile } = element;
    const facts = ` ${[...factsOf(sheet, tile)].join(" · ")}`;
    const layer = layerOf(sheet, tile);
    const channels = tile.channel == null || !layers.includes(layer) ? []
      : [make("p", "", {}, to({ view: "channel", layer, channel: tile.channel }, `All of ${tile.name ?? `channel ${tile.channel}`} →`))];
    const shown = element.photograph ? element.cloneNode(true) : cut(make("div", "map"), sheet, tile);
    $("light").replaceChildren(shown,
      make("p", "", {}, make("b", "", {}, titleOf(sheet, tile)), facts),
      ...stylebeam.about(index, sheet), ...channels,
      make("p", "looks", {}, make("button", "step", { type: "button" }, "Close"), downloads(make("a", "step"), url(sheet.path), nameOf(sheet))));
    hideBubble();
    $("light").showModal();
  }

  $("main").addEventListener("pointerover", showBubble);
  $("main").addEventListener("focusin", showBubble);
  $("main").addEventListener("pointerleave", hideBubble);
  document.addEventListener("scroll", hideBubble, true);
  $("main").addEventListener("click", enlarge);
  $("light").addEventListener("click", () => $("light").close());

  // ---- images and keys -----------------------------------------------------------
  function pickOf({ key, id, width, height }, image) {
    const picture = make("img", "", { src: `content/${encodeURIComponent(id)}.jpg`, alt: "", loading: "lazy", decoding: "async" });
    const pick = make("button", "pick", { type: "button", title: key }, picture, make("span", "name", {}, key));
    pick.style.setProperty("--ratio", width && height ? Math.max(.6, width / height) : 1.333);
    pick.addEventListener("click", () => set({ image, view: ofImage() ? state.view : views[0].value }));
    return pick;
  }

  $("filter").addEventListener("input", () => {
    const words = wordsOf($("filter").value);
    for (const pick of $("images").children) pick.hidden = !words.every(word => pick.title.toLowerCase().normalize().includes(word));
  });

  // From the overview into the blocks, then from block to block.
  function walkLayers(step) {
    const layer = layers[layers.indexOf(state.layer) + step];
    if (onChannel()) return stylebeam.besideChannel(step)?.click();
    if (state.view === "overview") set({ view: (viewOf("features") ?? viewOf("gradients") ?? views[0]).value });
    else if (layer) set({ layer });
  }

  function walkImages(step) {
    const picks = [...$("images").children];
    const shown = picks.filter(pick => !pick.hidden);
    const pick = shown[shown.indexOf(picks[state.image]) + step];
    if (!pick) return;
    set({ image: picks.indexOf(pick) });
    pick.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("light").open || event.target.matches("input")) return;
    const right = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (right) walkLayers(right);
    else if (down && ofImage()) walkImages(down);
    else return;
    event.preventDefault();
  });

  // ---- start ---------------------------------------------------------------------
  function wanted() {
    try { return location.hash.slice(1).split("/").map(decodeURIComponent); } catch { return []; }
  }

  function open() {
    const [id, view, layer, channel] = wanted();
    $("light").close();
    set({
      image: Math.max(0, images.findIndex(image => image.id === id)),
      view: (viewOf(view) ?? views[0])?.value ?? "",
      layer: layers.includes(layer) ? layer : layers[0],
      channel: /^\d{1,6}$/.test(channel ?? "") ? Number(channel) : null,
    });
  }

  function start() {
    const shortName = layer => layer.replace(/^block(\d+)_conv(\d+)$/, "$1.$2");
    fill($("views"), views, view => set({ view, channel: null }));
    fill($("layers"), layers.map(layer => ({ value: layer, text: shortName(layer), title: layer })), layer => set({ layer, channel: null }));
    fill($("scales"), SCALES, scale => set({ scale }));
    fill($("parts"), PARTS, part => set({ part }));
    $("views").hidden = views.length < 2;
    $("images").append(...images.map(pickOf));
    addEventListener("hashchange", open);
    open();
  }
  start();
})();
