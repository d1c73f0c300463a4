// What can be seen of one image, and of the whole collection: a function for each view.
stylebeam.makeViews = ({ index, state, sheets, set, to }) => {
  const { make, message, short } = stylebeam;
  const { isZero, isPhotograph, range, map } = stylebeam.maps;

  const bold = text => make("b", "", {}, text);
  const heading = (text, remark) => make("h2", "", {}, text, make("small", "", {}, remark));
  const tilesOf = (...figures) => make("div", "tiles", {}, ...figures);
  const none = () => message("This was not made for this image.");
  const find = (list, kind, layer, scale = "") =>
    list.find(sheet => sheet.kind === kind && sheet.layer === layer && sheet.scale === scale);
  // Integrated gradients have a sheet for each baseline.
  const sheetsOf = (kind, layer) => sheets().filter(sheet => sheet.kind === kind && sheet.layer === layer);
  const titleOf = rule => index.titles[rule].replace(/^./, letter => letter.toUpperCase());
  const channelLink = channel => to({ view: "channel", channel }, make("b", "", {}, String(channel)));
  const numbered = (sheet, tile, width) =>
    map(sheet, tile, width, [channelLink(tile.channel), isZero(tile) ? "all zero" : short(tile.maximum)]);
  const correlation = tile => (tile.rank_correlation == null ? "" : `ρ ${tile.rank_correlation.toFixed(2)}`);

  // ---- overview: the columns stay the same from row to row, one layer below the other
  const fits = index.layers.length < 8;

  function strip(...elements) {
    const row = make("div", "tiles strip", {}, ...elements);
    row.style.setProperty("--n", Math.min(index.layers.length + 1, 8));
    return row;
  }

  function busiest(sheet, tile) {
    if (isPhotograph(tile)) return map(sheet, tile, 210, [bold("the photograph")]);
    const { layer } = tile;
    return map(sheet, tile, 210, [bold(layer), `channel ${tile.channel}`], () => set({ view: "features", layer }));
  }

  function strongest(rule, layer) {
    const sheet = sheetsOf(rule, layer)[0];
    const tile = sheet?.tiles.find(other => other.part === "overlay" && (other.channel == null || other.name));
    return tile ? [map(sheet, tile, 210, [bold(layer), correlation(tile)], () => set({ view: "gradients", layer }))] : [];
  }

  function ruleRow(rule) {
    const maps = index.layers.flatMap(layer => strongest(rule, layer));
    if (!fits) return [make("h2", "", {}, titleOf(rule)), strip(...maps)];
    const remark = make("p", "", {}, bold(titleOf(rule)), "pixels that move the maximum neurons of each layer");
    return [strip(remark, ...maps)];
  }

  function overview() {
    const sheet = find(sheets(), "features", "", "strip");
    if (!sheet) return none();
    return make("div", "", {},
      heading("What each block makes of it", "the busiest feature map of each layer; click to walk in"),
      strip(...sheet.tiles.map(tile => busiest(sheet, tile))),
      ...index.rules.flatMap(ruleRow));
  }

  // ---- feature maps --------------------------------------------------------------
  function featureTiles(sheet, tiles, title, width) {
    if (!tiles.length) return [];
    return [heading(title, state.layer), tilesOf(...tiles.map(tile => numbered(sheet, tile, width)))];
  }

  function features() {
    const sheet = find(sheets(), "features", state.layer, state.scale);
    if (!sheet) return none();
    const large = Math.max(...sheet.tiles.map(tile => tile.width));
    return make("div", "", {},
      ...featureTiles(sheet, sheet.tiles.filter(tile => tile.width === large), "The most active channels", 150),
      ...featureTiles(sheet, sheet.tiles.filter(tile => tile.width !== large), "The first 64", 84));
  }

  // ---- gradients: the rules side by side -----------------------------------------
  function meter(tile) {
    const bar = make("i");
    bar.style.width = `${Math.max(0, tile.rank_correlation) * 100}%`;
    return make("div", "meter", { title: `rank correlation with a randomised network: ${tile.rank_correlation.toFixed(2)}` }, bar);
  }

  const nameOf = sheet => titleOf(sheet.kind) + (sheet.scale ? `, from ${sheet.scale}` : "");

  function gradient(sheet, channel) {
    const tile = sheet.tiles.find(other => other.channel === channel && other.part === state.part);
    if (!tile) return make("div");
    const figure = map(sheet, tile, 0, [bold(range(tile)), correlation(tile)]);
    figure.prepend(make("div", "rule", {}, nameOf(sheet)));
    if (tile.rank_correlation != null) figure.append(meter(tile));
    return figure;
  }

  function gradients() {
    const found = index.rules.flatMap(rule => sheetsOf(rule, state.layer));
    if (!found.length) return none();
    const table = make("div", "rules", {}, ...found.map(sheet => make("div", "head", {}, nameOf(sheet))));
    table.style.setProperty("--n", found.length);
    for (const channel of new Set(found.flatMap(sheet => sheet.tiles.map(tile => tile.channel)))) {
      const { name } = found[0].tiles.find(tile => tile.channel === channel) ?? {};
      const target = channel == null ? "the maximum neurons" : name ? `${name} (${channel})` : `feature map ${channel}`;
      const linked = channel == null ? target : to({ view: "channel", channel }, bold(target));
      table.append(make("h2", "", {}, linked, ` of ${state.layer}`), ...found.map(sheet => gradient(sheet, channel)));
    }
    const caveat = `${index.caveat} Deconvnet and guided maps: read them beside plain saliency.`;
    const told = new Map(found.map(sheet => [sheet.kind, sheet]));
    const about = [...told.values()].flatMap(sheet => stylebeam.about(index, sheet, `${titleOf(sheet.kind)}: `));
    return make("div", "", {}, table, ...about,
      ...(index.rules.some(rule => rule === "deconvnet" || rule === "guided") ? [make("p", "note", {}, caveat)] : []),
      make("p", "facts", {}, "ρ and the bar: rank correlation with the map of the same network, its deepest layers drawn at random. Near 1: the map shows the picture, not what was learned."));
  }

  // ---- classes -------------------------------------------------------------------
  function classes() {
    const sheet = sheets().find(other => other.kind === "classes");
    if (!sheet) return none();
    const tileOf = tile => map(sheet, tile, 210, isPhotograph(tile)
      ? [bold("the photograph")]
      : [to({ view: "channel", layer: sheet.layer, channel: tile.channel }, bold(tile.name ?? `class ${tile.channel}`)), ...(tile.notes ?? [])]);
    return make("div", "", {},
      heading("What the head holds it for", "each class's probability at each place of 224 × 224 pixels; one scale, 0 to 1"),
      tilesOf(...sheet.tiles.map(tileOf)));
  }

  // ---- the collection ------------------------------------------------------------
  function filters() {
    const sheet = find(index.common, "filters", state.layer);
    if (!sheet) return none();
    return make("div", "", {},
      heading(`Filters of ${state.layer}`, "dark is negative, light positive; each by its largest weight"),
      tilesOf(...sheet.tiles.map(tile => numbered(sheet, tile, 72))));
  }

  function topImages() {
    const sheet = find(index.common, "top-images", state.layer);
    if (!sheet) return none();
    if (!sheet.tiles.length) return message("No image excites a channel that was asked for.");
    const rowOf = channel => {
      const tiles = sheet.tiles.filter(tile => tile.channel === channel);
      return make("div", "row", {}, channelLink(channel), tilesOf(...tiles.map(tile => map(sheet, tile, 108, [short(tile.maximum)]))));
    };
    return make("div", "", {},
      heading(`What excites ${state.layer} most`, "a channel a row; what its strongest neuron sees, in all images"),
      ...[...new Set(sheet.tiles.map(tile => tile.channel))].map(rowOf));
  }

  const has = kind => index.kinds.includes(kind);
  return [
    { value: "overview", text: "Overview", draw: overview, ofImage: true, made: has("features") },
    { value: "features", text: "Feature maps", draw: features, ofImage: true, made: has("features") },
    { value: "gradients", text: "Gradients", draw: gradients, ofImage: true, made: index.rules.length > 0 },
    { value: "classes", text: "Classes", draw: classes, ofImage: true, made: has("classes") },
    { value: "filters", text: "Filters", draw: filters, ofImage: false, made: has("filters") },
    { value: "top-images", text: "Top images", draw: topImages, ofImage: false, made: has("top-images") },
    { value: "channel", text: "Channels", draw: stylebeam.makeChannels({ index, state, sheets, to }), ofImage: index.images.rows.length > 0, made: true },
  ].filter(view => view.made);
};
