// One picture at full size, beside the pictures it was made from.
stylebeam.makeLight = ({ bundle, neighbour, placeOf, twinsOf, chooseAlpha, addressOf, closed }) => {
  const { $, make, short, url, fill, press } = stylebeam;
  const { contentOf, styleOf, thumbnailOf, percent, labelOf, picture } = stylebeam.pictures;
  const { STEPS, isOriginal } = stylebeam.cells;
  const { wordsFor, keyOf, boxes } = stylebeam.known;
  let shown = null;       // the cell
  let compared = null;    // the content that `before` holds
  let pushed = false;     // whether the address of the picture is an entry of its own
  let addressTimer = 0;

  // ---- what is shown -------------------------------------------------------------
  function showPicture(cell) {
    const { content, width, height } = cell;
    const [shot, full, quick] = [$("shot"), $("full"), $("quick")];
    shot.style.setProperty("--ratio", (width && height ? width / height : content.ratio).toFixed(5));
    shot.style.setProperty("--full", `${width || 1024}px`);
    shot.classList.remove("compare");
    full.classList.remove("ready");
    Object.assign(full, { alt: labelOf(cell), width, height, src: url(cell.path) });
    Object.assign(quick, { hidden: false, src: thumbnailOf(cell) });
    if (compared === content) return;
    compared = content;
    $("before").classList.remove("ready");
    $("before").src = contentOf(content);
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
    $("file").textContent = cell.path.slice(cell.path.lastIndexOf("/") + 1);
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
    const light = $("light");
    light.setAttribute("aria-label", labelOf(cell));
    if (!light.open) {
      light.showModal();
      light.focus();
    }
    address(cell);
  }

  function walk(step) {
    const other = shown && neighbour(shown, step);
    if (other) open(other);
  }

  // ---- its address ---------------------------------------------------------------
  const hashOf = cell => "#" + `${cell.page}/${cell.path}`.split("/").map(encodeURIComponent).join("/");

  function address(cell) {
    clearTimeout(addressTimer);
    if (location.hash === hashOf(cell)) return;
    if (!pushed && !location.hash.includes("/")) {
      pushed = true;
      history.pushState(null, "", hashOf(cell));
    } else {
      // Browsers refuse a flood of history entries.
      addressTimer = setTimeout(() => history.replaceState(null, "", hashOf(cell)), 150);
    }
  }

  $("light").addEventListener("close", () => {
    const cell = shown;
    shown = null;
    clearTimeout(addressTimer);
    if (pushed) history.back();
    else history.replaceState(null, "", addressOf());
    pushed = false;
    closed(cell);
  });

  // Closes because the address no longer names a picture.
  function leave() {
    if (!$("light").open) return;
    pushed = false;
    $("light").close();
  }

  // ---- keys, buttons, the pointer ------------------------------------------------
  const compare = on => $("shot").classList.toggle("compare", on);

  $("full").addEventListener("load", () => $("full").classList.add("ready"));
  $("before").addEventListener("load", () => $("before").classList.add("ready"));
  $("quick").addEventListener("error", () => { $("quick").hidden = true; });
  $("close").addEventListener("click", () => $("light").close());
  $("back").addEventListener("click", () => walk(STEPS.ArrowLeft));
  $("next").addEventListener("click", () => walk(STEPS.ArrowRight));
  $("light").addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (STEPS[event.key]) walk(STEPS[event.key]);
    else if (event.key === " ") compare(true);
    else return;
    event.preventDefault();
  });
  $("light").addEventListener("keyup", event => {
    if (event.key !== " ") return;
    event.preventDefault();
    compare(false);
  });

  let pressed = null;   // where the pointer went down
  $("shot").addEventListener("pointerdown", event => {
    if (event.button) return;
    pressed = event.clientX;
    $("shot").setPointerCapture(event.pointerId);
    compare(true);
  });
  $("shot").addEventListener("pointermove", event => {
    if (pressed !== null && Math.abs(event.clientX - pressed) > 12) compare(false);
  });
  $("shot").addEventListener("pointerup", event => {
    const moved = pressed === null ? 0 : event.clientX - pressed;
    pressed = null;
    compare(false);
    if (Math.abs(moved) > 48) walk({ right: moved < 0 ? 1 : -1 });
  });
  $("shot").addEventListener("pointercancel", () => {
    pressed = null;
    compare(false);
  });
  $("shot").addEventListener("contextmenu", event => { if (event.pointerType === "touch") event.preventDefault(); });
  window.addEventListener("blur", () => compare(false));

  return { open, leave, shows: cell => cell === shown };
};
