// One map: a tile of a sheet, which the browser loads once and shows through windows.
stylebeam.maps = (() => {
  const { make, short, url } = stylebeam;

  const isZero = tile => tile.minimum === 0 && tile.maximum === 0;
  const isPhotograph = tile => tile.channel == null && !tile.part;
  const layerOf = (sheet, tile) => tile.layer ?? sheet.layer;
  const range = tile => (isZero(tile) ? "all zero" : `${short(tile.minimum)} to ${short(tile.maximum)}`);

  const EXCITED = { neuron: "a neuron of channel", channel: "channel", between: "channel" };

  function nameOf(tile, sheet) {
    if (sheet?.kind === "activation") {
      if (sheet.scale === "layer") return "the whole layer";
      return tile.channel == null ? `${tile.part} of the way` : `${EXCITED[sheet.scale]} ${tile.channel}`;
    }
    if (isPhotograph(tile)) return "the photograph";
    if (tile.name) return `${tile.name} (${tile.channel})`;
    return tile.channel == null ? "maximum neurons" : `channel ${tile.channel}`;
  }
  const titleOf = (sheet, tile) => [layerOf(sheet, tile), nameOf(tile, sheet)].filter(Boolean).join(" · ");

  function* factsOf(sheet, tile) {
    if (sheet.kind === "activation") {
      yield isZero(tile) ? "nothing excites it" : `fires ${short(tile.mean)} on average, up to ${short(tile.maximum)}`;
    } else if (sheet.kind === "top-images") {
      yield tile.source;
      yield `place ${tile.rank} · activation ${short(tile.maximum)}`;
    } else if (!isPhotograph(tile)) {
      yield isZero(tile) ? "all zero" : `${range(tile)} · L2 ${short(tile.l2)}`;
    }
    if (tile.probability != null) yield `probability ${(tile.probability * 100).toFixed(1)} %`;
    if (tile.rank_correlation != null) yield `rank correlation with a randomised network ${tile.rank_correlation.toFixed(2)}`;
    yield* tile.notes ?? [];
  }

  // Where a background lies that shows the window [offset, offset + size] of a whole.
  const place = (offset, size, whole) => (whole === size ? 0 : offset / (whole - size) * 100);

  function cut(element, sheet, tile) {
    const { style } = element;
    style.setProperty("--ratio", tile.width / tile.height);
    style.backgroundImage = `url("${url(sheet.path)}")`;
    style.backgroundSize = `${sheet.width / tile.width * 100}% ${sheet.height / tile.height * 100}%`;
    style.backgroundPosition = `${place(tile.left, tile.width, sheet.width)}% ${place(tile.top, tile.height, sheet.height)}%`;
    return element;
  }

  // A map to click, above what stands below it; `act` takes the place of enlarging.
  function map(sheet, tile, width, caption, act) {
    const label = [layerOf(sheet, tile), nameOf(tile, sheet), tile.part].filter(Boolean).join(", ");
    const button = cut(make("button", "map", { type: "button", "aria-label": label }), sheet, tile);
    Object.assign(button, { sheet, tile });
    if (act) button.addEventListener("click", event => {
      event.stopPropagation();
      act();
    });
    const figure = make("figure", "tile", {}, button, make("figcaption", "", {}, ...caption));
    figure.style.setProperty("--w", width);
    return figure;
  }

  return { isZero, isPhotograph, range, titleOf, layerOf, factsOf, cut, map };
})();
