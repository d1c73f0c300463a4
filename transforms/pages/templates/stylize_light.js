// One picture at full size, beside the pictures it was made from.
stylebeam.makeLight = ({ bundle, neighbour, placeOf, twinsOf, chooseAlpha, addressOf, closed }) => {
  const { $, make, short, url, fill, press } = stylebeam;
  const { contentOf, styleOf, thumbnailOf, percent, labelOf, picture } = stylebeam.pictures;
  const { STEPS, isOriginal } = stylebeam.cells;
  const { wordsFor, keyOf, boxes } = stylebeam.known;
  let shown = null;   // the cell
  const stage = stylebeam.makeStage({ swiped: right => walk({ right }) });
  const dialog = stylebeam.makeDialog({
    home: addressOf,
    closed() {
      const cell = shown;
      shown = null;
      stage.reset();
      closed(cell);
    },
  });

  // ---- what is shown -------------------------------------------------------------
  const fileOf = ({ path }) => path.slice(path.lastIndexOf("/") + 1);

  function showPicture(cell) {
    const { content, width, height } = cell;
    stage.show({
      source: url(cell.path), quick: thumbnailOf(cell), original: contentOf(content),
      ratio: width && height ? width / height : content.ratio, width, height,
      alt: labelOf(cell), name: `${content.id}--${fileOf(cell)}`,
    }, !$("light").open);
  }

  function reference(what, { key, ratio }, source) {
    return make("figure", "ref", {}, make("div", "what", {}, what),
      picture("div", "", { ratio, sources: [source], alt: key }),
      make("figcaption", "cap name", { title: key }, key));
  }
  function showReferences({ content, column }) {
    const styles = column.styles.map(({ style, weight, mask }) => {
      const share = column.styles.length > 1 ? ` · ${percent(weight)}` : "";
      return reference(`Style${share}${mask ? " · masked" : ""}`, style, styleOf(style));
    });
    $("refs").replaceChildren(reference("Content", content, contentOf(content)), ...styles);
    $("refs").classList.toggle("many", styles.length > 1);
  }

  // The same picture at other strengths.
  function showAlpha(cell) {
    const twins = twinsOf(cell);
    if (twins.length < 2) {
      $("alpha").textContent = isOriginal(cell.column) ? "none" : cell.alpha;
      return;
    }
    const box = make("div", "switch", { role: "group", "aria-label": "Alpha" });
    fill(box, twins.map(({ alpha }) => ({ value: alpha, text: String(alpha) })), alpha => {
      chooseAlpha(alpha);
      open(twins.find(twin => twin.alpha === alpha));
    });
    press(box, cell.alpha);
    $("alpha").replaceChildren(box);
  }

  function showDetails(cell) {
    const isMeasured = cell.content_loss != null;
    for (const element of document.querySelectorAll(".quality")) element.hidden = !isMeasured;
    if (isMeasured) $("quality").textContent = `content ${short(cell.content_loss)} · style ${short(cell.style_loss)} · SSIM ${short(cell.ssim)}`;
    $("pixels").textContent = `${cell.width} × ${cell.height}`;
    $("bundle").textContent = cell.bundle || bundle;
    $("file").textContent = fileOf(cell);
    $("file").href = url(cell.path);
    $("file").title = cell.path;
  }

  // What is known of the content; its boxes where they are wanted.
  function showKnown(cell) {
    const { label, objects } = wordsFor(cell);
    for (const [id, text] of [["label", label], ["objects", objects]]) {
      $(id).hidden = $(`${id}-name`).hidden = !text;
    }
    $("label").textContent = label;
    $("key").replaceChildren(...keyOf(cell.content));
    const has = cell.content.objects?.length > 0;
    $("draw").hidden = !has;
    $("drawn").replaceChildren(...(has ? [boxes(cell)] : []));
  }
  $("draw").addEventListener("click", () => {
    const on = $("draw").getAttribute("aria-pressed") !== "true";
    $("draw").setAttribute("aria-pressed", on);
    $("drawn").hidden = !on;
  });

  function showWay(cell) {
    $("where").textContent = placeOf(cell);
    $("back").disabled = !neighbour(cell, STEPS.ArrowLeft);
    $("next").disabled = !neighbour(cell, STEPS.ArrowRight);
    for (const step of Object.values(STEPS)) {
      const other = neighbour(cell, step);
      if (other) new Image().src = url(other.path);
    }
  }

  function open(cell) {
    shown = cell;
    showPicture(cell);
    showReferences(cell);
    showAlpha(cell);
    showDetails(cell);
    showKnown(cell);
    showWay(cell);
    $("light").setAttribute("aria-label", labelOf(cell));
    dialog.open("#" + `${cell.page}/${cell.path}`.split("/").map(encodeURIComponent).join("/"));
  }

  function walk(step) {
    const other = shown && neighbour(shown, step);
    if (other) open(other);
  }

  $("back").addEventListener("click", () => walk(STEPS.ArrowLeft));
  $("next").addEventListener("click", () => walk(STEPS.ArrowRight));
  $("light").addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || stage.takesKey(event) || !STEPS[event.key]) return;
    walk(STEPS[event.key]);
    event.preventDefault();
  });

  return { open, leave: dialog.leave, shows: cell => cell === shown };
};
