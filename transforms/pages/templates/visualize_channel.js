// What one is looking at, in plain words with the paper.
Object.assign(stylebeam, (() => {
  const { make } = stylebeam;

  function line({ text, paper, url }, name) {
    return make("p", "about", {}, ...(name ? [make("b", "", {}, name)] : []), `${text} `, make("a", "", { href: url, target: "_blank", rel: "noreferrer" }, paper));
  }

  // The line of a sheet, behind a name; a list, empty where nothing is said of its kind.
  function about(index, { kind, scale }, name = "") {
    const said = index.about[kind] ?? index.about[`${kind}-${scale}`];
    return said ? [line(said, name)] : [];
  }

  // The lines above a view of one kind of picture; other views say them where they are.
  function aboutView(index, { view }) {
    return view === "channel" ? [] : about(index, { kind: view === "overview" ? "features" : view });
  }

  return { about, aboutView };
})());

// The channels of a layer, and the page of one of them.
stylebeam.makeChannels = ({ index, state, sheets, to }) => {
  const { make, message, records, short, about } = stylebeam;
  const { map, cut, isZero } = stylebeam.maps;
  const images = records(index.images);

  const bold = text => make("b", "", {}, text);
  const heading = (text, remark = "") => make("h2", "", {}, text, make("small", "", {}, remark));
  const tilesOf = (...figures) => make("div", "tiles", {}, ...figures);
  const unique = numbers => [...new Set(numbers)].sort((a, b) => a - b);
  const ofLayer = (list, kind) => list.filter(sheet => sheet.kind === kind && sheet.layer === state.layer);
  const tilesFrom = (list, wanted) => list.flatMap(sheet => sheet.tiles.filter(wanted).map(tile => [sheet, tile]));
  const isOf = channel => tile => tile.channel === channel;
  // The channels of the head are classes.
  const isHead = () => state.layer === index.head;

  function nameOf(channel) {
    const { name } = seen().flatMap(sheet => sheet.tiles).find(tile => isOf(channel)(tile) && tile.name) ?? {};
    return name ? `${name} (${channel})` : `${isHead() ? "class" : "channel"} ${channel}`;
  }

  // Where all of the layer is shown.
  function viewOfLayer() {
    const kind = isHead() ? "classes" : "features";
    return index.kinds.includes(kind) ? kind : "channel";
  }

  const made = () => ofLayer(index.common, "activation");
  const madeOf = excited => made().filter(sheet => sheet.scale === excited);
  const tops = () => ofLayer(index.common, "top-images");
  const seen = () => (sheets() ?? []).filter(sheet => sheet.layer === state.layer && sheet.kind !== "activation");

  function channels() {
    const found = [...madeOf("channel"), ...madeOf("neuron"), ...tops()];
    const numbers = unique(found.flatMap(sheet => sheet.tiles.map(tile => tile.channel)));
    return numbers.length ? numbers : unique(seen().flatMap(sheet => sheet.tiles.map(tile => tile.channel ?? -1))).filter(channel => channel >= 0);
  }

  // ---- a section: a heading, what one is looking at, pictures -----------------------
  function section(title, remark, list, figures, ...rest) {
    if (!figures.length) return [];
    const kinds = new Map(list.map(sheet => [`${sheet.kind} ${sheet.scale}`, sheet]));
    const said = new Map([...kinds.values()].flatMap(sheet => about(index, sheet)).map(element => [element.textContent, element]));
    return [make("section", "", {}, heading(title, remark), ...said.values(), tilesOf(...figures), ...rest)];
  }

  const fires = tile => (isZero(tile) ? "silent" : short(tile.maximum));
  const picture = (width, caption) => ([sheet, tile]) => map(sheet, tile, width, caption(sheet, tile));

  // ---- all channels of a layer -----------------------------------------------------
  // Of each channel the picture it wants, else what excites it most, else its map.
  function faceOf(channel) {
    const lists = [madeOf("channel"), madeOf("neuron"), tops(), seen()];
    const [[sheet, tile]] = lists.flatMap(list => tilesFrom(list, isOf(channel)).slice(0, 1));
    const face = Object.assign(cut(make("span", "map"), sheet, tile), { sheet, tile });
    const link = to({ view: "channel", channel }, face,
      make("span", "under", {}, bold(isHead() ? nameOf(channel) : String(channel)), make("span", "", {}, fires(tile))));
    link.classList.add("face");
    link.setAttribute("aria-label", `${nameOf(channel)} of ${state.layer}`);
    const figure = make("figure", "tile", {}, link);
    figure.style.setProperty("--w", 160);
    return figure;
  }

  function wall() {
    const numbers = channels();
    const list = madeOf("channel").length ? madeOf("channel") : madeOf("neuron").length ? madeOf("neuron") : tops().length ? tops() : seen().slice(0, 1);
    const [one, many] = isHead() ? ["class", "Classes"] : ["channel", "Channels"];
    const title = made().length ? `What the channels of ${state.layer} want to see` : `${many} of ${state.layer}`;
    const parts = [
      ...section(title, `a ${one} each; click to see all of it`, list, numbers.map(faceOf)),
      ...section(`What excites all of ${state.layer}`, "", madeOf("layer"), tilesFrom(madeOf("layer"), () => true).map(picture(320, (_, tile) => [bold("the whole layer"), fires(tile)]))),
      ...madeOf("between").flatMap(way),
    ];
    return parts.length ? make("div", "", {}, ...parts) : message("This layer has no channel to show.");
  }

  function way(sheet) {
    const ends = [sheet.tiles[0].channel, sheet.tiles.at(-1).channel];
    const caption = (_, tile) => (tile.channel == null ? [tile.part] : [to({ view: "channel", channel: tile.channel }, bold(String(tile.channel)))]);
    return section(`From channel ${ends[0]} to channel ${ends[1]}`, "", [sheet], tilesFrom([sheet], () => true).map(picture(160, caption)));
  }

  // ---- one channel ------------------------------------------------------------------
  function crumbs(channel) {
    const numbers = channels();
    const place = numbers.indexOf(channel);
    const beside = (step, text, label) => {
      const other = numbers[place + step];
      if (place < 0 || other == null) return make("span", "soft", {}, text);
      const link = to({ channel: other }, text);
      link.setAttribute("aria-label", `${label} ${isHead() ? "class" : "channel"}, ${other}`);
      link.dataset.step = step;
      return link;
    };
    const image = images[state.image];
    const steps = [
      ...(image ? [to({ view: "overview" }, image.key), make("span", "soft", {}, "›")] : []),
      to({ view: viewOfLayer(), channel: null }, state.layer), make("span", "soft", {}, "›"),
      to({ view: "channel", channel: null }, isHead() ? "all classes" : "all channels"), make("span", "soft", {}, "›"),
      bold(nameOf(channel)), beside(-1, "←", "previous"), beside(1, "→", "next"),
    ];
    return make("nav", "crumbs", { "aria-label": "Where this is" }, ...steps);
  }

  // The whole photograph, with a box around what the strongest neuron sees.
  function photograph([sheet, tile]) {
    const place = images.findIndex(image => image.key === tile.source);
    if (place < 0) return [];
    const { id, key, width, height } = images[place];
    const whole = make("button", "map whole", { type: "button", "aria-label": `${key}, the whole photograph` },
      make("img", "", { src: `content/${encodeURIComponent(id)}.jpg`, alt: "", loading: "lazy", decoding: "async" }));
    whole.style.setProperty("--ratio", width / height);
    if (tile.box) {
      const [top, left, bottom, right] = tile.box;
      const box = make("i", "box");
      const sides = { left: left / width, top: top / height, width: (right - left) / width, height: (bottom - top) / height };
      for (const [side, share] of Object.entries(sides)) box.style[side] = `${share * 100}%`;
      whole.append(box);
    }
    Object.assign(whole, { sheet, tile, photograph: true });
    const caption = make("figcaption", "", {}, to({ image: place, view: index.kinds.includes("features") ? "features" : "channel" }, make("span", "name", {}, key)));
    const figure = make("figure", "tile", {}, whole, caption);
    figure.style.setProperty("--w", Math.round(118 * Math.min(2, Math.max(.6, width / height))));
    return [figure];
  }

  function top([sheet, tile]) {
    const crop = map(sheet, tile, 118, [bold(`${tile.rank}.`), short(tile.maximum)]);
    return make("div", "top-image", {}, crop, ...photograph([sheet, tile]));
  }

  function inImage(channel) {
    const image = images[state.image];
    const found = seen().filter(sheet => sheet.kind !== "features" || sheet.scale === state.scale);
    const tiles = tilesFrom(found, tile => tile.channel === channel && ["", "overlay"].includes(tile.part ?? ""));
    const firsts = [...new Map(tiles.map(pair => [`${pair[0].kind} ${pair[0].scale}`, pair])).values()];
    const viewOf = kind => (["features", "classes"].includes(kind) ? kind : "gradients");
    const from = sheet => (index.rules.includes(sheet.kind) && sheet.scale ? `, from ${sheet.scale}` : "");
    const caption = (sheet, tile) => [to({ view: viewOf(sheet.kind) }, bold(index.titles[sheet.kind] + from(sheet))), fires(tile)];
    const title = `In ${image?.key ?? "the photograph"}`;
    const remark = `${isHead() ? "where it is seen" : "its feature map"} and what moves it; other photographs are picked on the left`;
    const shown = section(title, remark, firsts.map(([sheet]) => sheet), firsts.map(picture(230, caption)));
    if (shown.length || !image) return shown;
    const asked = `Of this photograph no map of ${nameOf(channel)} was drawn: ${isHead() ? "it is not among its likeliest" : "it is neither among its most active nor among the first 64"}.`;
    return isHead() || index.kinds.includes("features") ? [make("section", "", {}, heading(title), make("p", "about", {}, asked))] : [];
  }

  function page(channel) {
    const wish = [...madeOf("channel"), ...madeOf("neuron")];
    const wanted = tilesFrom(wish, isOf(channel));
    const caption = (sheet, tile) => [bold(sheet.scale === "neuron" ? "one neuron" : "the channel"), fires(tile)];
    const size = wanted.length > 2 ? 230 : 320;
    const best = tilesFrom(tops(), isOf(channel));
    const ways = madeOf("between").filter(sheet => sheet.tiles.some(isOf(channel)));
    const parts = [
      ...section("What it wants to see", "made by gradient ascent", wish, wanted.map(picture(size, caption))),
      ...section("What excites it most in these photographs", "what its strongest neuron sees, and where", tops(), best.map(top)),
      ...inImage(channel),
      ...ways.flatMap(way),
    ];
    const title = `${nameOf(channel)} of ${state.layer}`;
    if (!parts.length) parts.push(message(`Nothing was made of ${title}.`));
    return make("div", "channel", {}, crumbs(channel), make("h1", "", {}, title.replace(/^./, letter => letter.toUpperCase())), ...parts);
  }

  stylebeam.besideChannel = step => document.querySelector(`.crumbs [data-step="${step}"]`);

  return () => (state.channel == null ? wall() : page(state.channel));
};
