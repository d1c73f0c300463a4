// The pictures of a gallery as elements: alone, as a grid, and as tiles by content.
stylebeam.pictures = (() => {
  const { make, url } = stylebeam;
  const { headOf, isOriginal } = stylebeam.cells;

  // Pictures up to this size have no thumbnail: they are shown themselves.
  const SHOWN = stylebeam.index().shown;
  const isSmall = cell => cell.width <= SHOWN.width && cell.height <= SHOWN.height;
  const thumbnailOf = cell => url(isSmall(cell) ? cell.path : cell.path.replace(/^images\//, "gallery/thumbs/").replace(/\.[^./]*$/, ".jpg"));
  // An output of shards has no previews of what its pictures were made of.
  const { previews = true } = stylebeam.index();
  const previewOf = path => (previews ? url(path) : "data:,");
  const contentOf = content => previewOf(`gallery/content/${content.id}.jpg`);
  const styleOf = style => previewOf(`gallery/style/${style.id}.jpg`);
  const percent = weight => `${+(100 * weight).toFixed(1)} %`;
  const baseOf = key => key.slice(key.lastIndexOf("/") + 1);
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const frameRatio = content => clamp(content.ratio, .6, 2.6).toFixed(4);

  // ---- names ---------------------------------------------------------------------
  function nameOf(key) {
    const base = baseOf(key);
    const dot = base.lastIndexOf(".");
    // What tells two long names apart is as often the end as the start: the middle goes.
    const letters = [...(dot > 0 ? base.slice(0, dot) : base)];
    const cut = letters.length > 9 ? letters.length - 4 : letters.length;
    return make("span", "name short", { title: key },
      make("span", "lead", {}, letters.slice(0, cut).join("")),
      make("span", "", {}, letters.slice(cut).join("")),
      make("span", "rest", {}, dot > 0 ? base.slice(dot) : ""));
  }

  function fullName(column) {
    const { styles } = column;
    if (isOriginal(column)) return "original";
    const share = weight => (styles.length > 1 ? `${percent(weight)} ` : "");
    return styles.map(({ style, weight, mask }) => share(weight) + style.key + (mask ? " (masked)" : "")).join("\n");
  }

  function columnName(column) {
    if (isOriginal(column)) return make("span", "name short", { title: "the photograph as it is" }, make("span", "lead", {}, "original"));
    if (column.styles.length === 1) return nameOf(column.styles[0].style.key);
    const parts = column.styles.flatMap(({ style, weight }, place) => [
      ...(place ? [" + "] : []),
      make("span", "lead", {}, `${percent(weight)} ${baseOf(style.key)}`),
    ]);
    return make("span", "name short blend", { title: fullName(column) }, ...parts);
  }

  const labelOf = ({ alpha, column, content }) => (isOriginal(column)
    ? `${content.key}, the original`
    : `${content.key} in the style of ${fullName(column).replace(/\n/g, " + ")}, alpha ${alpha}`);
  const alphaOf = alpha => make("span", "alpha", {}, `α ${alpha}`);

  // ---- one picture ---------------------------------------------------------------
  // It reserves its place; where a file is missing another source takes over, or a quiet placeholder.
  function picture(tag, className, { ratio, sources, alt = "", width, height }) {
    const image = make("img", "", { alt, loading: "lazy", decoding: "async", draggable: "false" });
    if (width) Object.assign(image, { width, height });
    const frame = make(tag, `pic ${className}`, {}, image);
    if (ratio) frame.style.setProperty("--ratio", ratio);
    const broken = new Set();
    image.addEventListener("error", () => {
      broken.add(image.getAttribute("src"));
      const other = sources.find(source => !broken.has(source));
      if (other) image.src = other;
      else frame.classList.add("missing");
    });
    image.addEventListener("load", () => frame.classList.remove("missing"));
    image.src = sources[0];
    return frame;
  }

  const pictureOf = (content, alt) => picture("div", "", { ratio: frameRatio(content), sources: [contentOf(content)], alt });

  function swatch({ style, weight }) {
    const frame = picture("div", "", { sources: [styleOf(style)] });
    const image = frame.firstChild;
    image.addEventListener("load", () => { style.ratio = image.naturalWidth / image.naturalHeight; });
    frame.style.setProperty("--weight", Math.max(weight, .15));
    return frame;
  }
  const swatches = column => make("div", "swatches", { title: fullName(column) }, ...column.styles.map(swatch));

  function failed(cell) {
    const element = make("div", "pic failed", { title: `${labelOf(cell)}: failed; the folder failures/ says why` }, "failed");
    element.style.setProperty("--ratio", frameRatio(cell.content));
    return element;
  }
  function link(cell) {
    const { width, height } = cell;
    const sources = [thumbnailOf(cell), url(cell.path)];
    const element = picture("a", "cell", { ratio: frameRatio(cell.content), sources, alt: labelOf(cell), width, height });
    element.href = url(cell.path);
    element.tabIndex = -1;
    element.cell = cell;
    return element;
  }
  // A cell keeps its element, so that what was loaded stays.
  const elementOf = cell => (cell.element ??= cell.path ? link(cell) : failed(cell));

  // Thumbnails are small: where they would be enlarged the picture itself takes over.
  function sharpen(cell) {
    const image = cell.path && cell.element?.firstChild;
    if (image) image.src = url(cell.path);
  }

  // ---- the grid: contents down, styles across ------------------------------------
  function gridHead({ column, alpha }, withAlpha) {
    const caption = make("div", "cap", {}, columnName(column));
    if (withAlpha && !isOriginal(column)) caption.append(alphaOf(alpha));
    return make("div", "column", { role: "columnheader" }, swatches(column), caption);
  }

  function gridCell(cell, content) {
    if (cell) return make("div", "", { role: "cell" }, elementOf(cell));
    const none = make("div", "pic none", { role: "cell", "aria-label": "not asked for" });
    none.style.setProperty("--ratio", frameRatio(content));
    return none;
  }

  function gridRow({ content, cells }, heads) {
    const byHead = new Map(cells.map(cell => [headOf(cell), cell]));
    const side = make("div", "side", { role: "rowheader" }, pictureOf(content, ""), make("div", "cap", {}, nameOf(content.key)));
    const row = make("div", "row", { role: "row" }, side, ...heads.map(head => gridCell(byHead.get(headOf(head)), content)));
    row.style.containIntrinsicHeight = `auto calc(var(--w) / ${frameRatio(content)} + var(--gap))`;
    return row;
  }

  function grid(rows, heads, withAlpha) {
    const corner = make("div", "corner", { role: "columnheader" }, make("i", "", {}, "styles →"), make("i", "", {}, "contents ↓"));
    const columns = heads.map(head => gridHead(head, withAlpha));
    const box = make("div", "grid", { role: "table", "aria-label": "Pictures: contents down, styles across" },
      make("div", "row head", { role: "row" }, corner, ...columns),
      ...rows.map(row => gridRow(row, heads)));
    box.style.setProperty("--columns", heads.length);
    const places = new Map(heads.map((head, place) => [headOf(head), place]));
    box.addEventListener("pointerover", event => {
      for (const element of box.querySelectorAll(".on")) element.classList.remove("on");
      const element = event.target.closest(".cell");
      if (!element) return;
      columns[places.get(headOf(element.cell))].classList.add("on");
      element.closest(".row").firstChild.classList.add("on");
    });
    return box;
  }

  // ---- tiles: each content with its pictures -------------------------------------
  function tile(cell, withAlpha) {
    const caption = make("figcaption", "cap", {}, columnName(cell.column));
    if (withAlpha(cell)) caption.append(alphaOf(cell.alpha));
    return make("figure", "tile", {}, make("div", "frame", {}, elementOf(cell), swatches(cell.column)), caption);
  }

  function tilesOf({ content, cells }, few, withAlpha) {
    const origin = make("figure", "tile origin", {}, pictureOf(content, content.key),
      make("figcaption", "cap", {}, nameOf(content.key), make("span", "tag", {}, "original")));
    const box = make("div", "tiles", {}, origin, ...cells.map(cell => tile(cell, withAlpha)));
    return make("section", `content${few ? " few" : ""}`, { "aria-label": content.key }, box);
  }
  const isFew = row => row.cells.length <= 3;

  function tiles(rows, single, withAlpha) {
    return make("div", "contents", {}, ...rows.map(row => tilesOf(row, single && isFew(row), withAlpha)));
  }

  // The original takes the place of four tiles where that leaves no hole beside it.
  function widenOriginals(rows, sections, columns) {
    sections.forEach((section, place) => {
      const { content, cells } = rows[place];
      const enough = cells.length > (columns === 2 ? 1 : columns - 2);
      section.classList.toggle("wide", !section.matches(".few") && columns > 1 && content.ratio > .7 && enough);
    });
  }

  return { contentOf, styleOf, thumbnailOf, percent, clamp, labelOf, picture, sharpen, grid, tiles, widenOriginals };
})();
