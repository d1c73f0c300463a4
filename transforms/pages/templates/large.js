// One picture at full size: compared with its original by holding or by a line, and zoomed.
stylebeam.makeStage = ({ swiped }) => {
  const { $, downloads } = stylebeam;
  const shot = $("shot");
  const MOST = 8;     // times the size that fits
  const FACTOR = 1.5; // a step of zooming
  const view = { zoom: 1, x: 0, y: 0 };   // where the picture's corner lies, in sides of the frame
  let wanted = null;  // the picture that was asked for last
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  // ---- what is shown -------------------------------------------------------------
  function lay({ source, quick, original, ratio, width, height, alt }, isDecoded) {
    shot.style.setProperty("--ratio", ratio.toFixed(5));
    shot.style.setProperty("--full", `${width || 1024}px`);
    Object.assign($("quick"), { hidden: !quick, src: quick || "data:," });
    $("full").classList.toggle("ready", isDecoded);
    Object.assign($("full"), { alt, width, height, src: source });
    $("before").src = original;
  }

  async function decoded(source) {
    const image = new Image();
    image.src = source;
    await image.decode();
  }

  // The picture before stays until the next one is decoded, so that walking from one to
  // the other blinks at nothing but what differs.
  async function show(picture, isFirst) {
    wanted = picture;
    hold(false);
    downloads($("download"), picture.source, picture.name);
    if (isFirst) lay(picture, false);
    const late = setTimeout(() => lay(picture, false), isFirst ? 1e6 : 250);
    const [found] = await Promise.allSettled([decoded(picture.source), decoded(picture.original)]);
    clearTimeout(late);
    if (wanted === picture) lay(picture, found.status === "fulfilled");
  }

  // ---- the original: over all of it while held, or up to a line --------------------
  const hold = on => shot.classList.toggle("compare", on);
  const isSliding = () => shot.classList.contains("slide");
  function slide(on) {
    shot.classList.toggle("slide", on);
    $("compare").setAttribute("aria-pressed", on);
    $("cut").hidden = !on;
    if (on) $("cut").focus({ preventScroll: true });
  }
  function cut(percent) {
    $("cut").value = percent;
    shot.style.setProperty("--cut", percent);
  }

  // ---- zoom ----------------------------------------------------------------------
  function moveTo(x, y) {
    view.x = clamp(x, 1 - view.zoom, 0);
    view.y = clamp(y, 1 - view.zoom, 0);
    shot.style.setProperty("--zoom", view.zoom);
    shot.style.setProperty("--x", `${view.x * 100}%`);
    shot.style.setProperty("--y", `${view.y * 100}%`);
    shot.classList.toggle("near", view.zoom > 1);
    $("whole").textContent = `${+view.zoom.toFixed(1)}×`;
    $("whole").setAttribute("aria-label", `Zoom ${+view.zoom.toFixed(1)}, show all of it`);
    $("in").disabled = view.zoom === MOST;
    $("out").disabled = view.zoom === 1;
  }
  // What lies at a point of the frame stays there.
  function zoom(factor, at = { x: .5, y: .5 }) {
    const before = view.zoom;
    view.zoom = clamp(before * factor, 1, MOST);
    const grown = view.zoom / before;
    moveTo(at.x - (at.x - view.x) * grown, at.y - (at.y - view.y) * grown);
  }
  const whole = () => zoom(0);
  function shareOf({ clientX, clientY }) {
    const box = shot.getBoundingClientRect();
    return { x: (clientX - box.left) / box.width, y: (clientY - box.top) / box.height };
  }

  // ---- the pointer ---------------------------------------------------------------
  let drag = null;
  function kindOf(at) {
    const isAtLine = Math.abs(at.x * 100 - $("cut").value) * shot.offsetWidth < 3000;
    if (isSliding() && (view.zoom === 1 || isAtLine)) return "line";
    return view.zoom > 1 ? "move" : "hold";
  }
  shot.addEventListener("pointerdown", event => {
    if (event.button) return;
    const at = shareOf(event);
    drag = { kind: kindOf(at), at, start: event.clientX, x: view.x, y: view.y };
    shot.setPointerCapture(event.pointerId);
    if (drag.kind === "line") cut(clamp(at.x * 100, 0, 100));
    if (drag.kind === "hold") hold(true);
  });
  shot.addEventListener("pointermove", event => {
    if (!drag) return;
    const at = shareOf(event);
    if (drag.kind === "line") cut(clamp(at.x * 100, 0, 100));
    else if (drag.kind === "move") moveTo(drag.x + at.x - drag.at.x, drag.y + at.y - drag.at.y);
    else if (Math.abs(event.clientX - drag.start) > 12) hold(false);
  });
  shot.addEventListener("pointerup", event => {
    const moved = drag?.kind === "hold" ? event.clientX - drag.start : 0;
    release();
    if (Math.abs(moved) > 48) swiped(moved < 0 ? 1 : -1);
  });
  function release() {
    drag = null;
    hold(false);
  }
  shot.addEventListener("pointercancel", release);
  shot.addEventListener("contextmenu", event => { if (event.pointerType === "touch") event.preventDefault(); });
  shot.addEventListener("dblclick", event => (view.zoom > 1 ? whole() : zoom(FACTOR ** 2, shareOf(event))));
  $("stage").addEventListener("wheel", event => {
    event.preventDefault();
    zoom(Math.exp(-clamp(event.deltaY, -200, 200) / 400), shareOf(event));
  }, { passive: false });
  window.addEventListener("blur", release);

  // ---- buttons and keys ------------------------------------------------------------
  $("full").addEventListener("load", () => $("full").classList.add("ready"));
  $("quick").addEventListener("error", () => { $("quick").hidden = true; });
  $("compare").addEventListener("click", () => slide(!isSliding()));
  $("cut").addEventListener("input", () => cut(+$("cut").value));
  $("in").addEventListener("click", () => zoom(FACTOR));
  $("out").addEventListener("click", () => zoom(1 / FACTOR));
  $("whole").addEventListener("click", whole);

  const KEYS = {
    c: () => slide(!isSliding()), "+": () => zoom(FACTOR), "=": () => zoom(FACTOR), "-": () => zoom(1 / FACTOR), 0: whole,
    ArrowRight: () => moveTo(view.x - .2, view.y), ArrowLeft: () => moveTo(view.x + .2, view.y),
    ArrowDown: () => moveTo(view.x, view.y - .2), ArrowUp: () => moveTo(view.x, view.y + .2),
  };
  // Whether a key is the stage's: its own, or one of the control that has the focus.
  function takesKey(event) {
    const isArrow = event.key.startsWith("Arrow");
    if (isArrow && !event.shiftKey) return event.target === $("cut");
    if (event.key === " ") {
      if (event.target.matches("button, a, input")) return true;
      hold(true);
    } else if (KEYS[event.key]) KEYS[event.key]();
    else return false;
    event.preventDefault();
    return true;
  }
  $("light").addEventListener("keyup", event => {
    if (event.key === " ") hold(false);
  });

  // As it was before anything was zoomed or compared.
  function reset() {
    slide(false);
    cut(50);
    whole();
  }
  reset();

  return { show, takesKey, reset };
};

// The dialog of a picture, which has an address: the browser's way back closes it.
stylebeam.makeDialog = ({ home, closed }) => {
  const light = stylebeam.$("light");
  let pushed = false;   // whether the address of the picture is an entry of its own
  let timer = 0;

  function address(hash) {
    clearTimeout(timer);
    if (location.hash === hash) return;
    if (!pushed && !light.open) {
      pushed = true;
      history.pushState(null, "", hash);
    } else {
      // Browsers refuse a flood of history entries.
      timer = setTimeout(() => history.replaceState(null, "", hash), 150);
    }
  }

  function open(hash) {
    address(hash);
    if (light.open) return;
    light.showModal();
    light.focus();
  }

  light.addEventListener("close", () => {
    clearTimeout(timer);
    if (pushed) history.back();
    else history.replaceState(null, "", home());
    pushed = false;
    closed();
  });
  stylebeam.$("close").addEventListener("click", () => light.close());

  // Closes because the address no longer names a picture.
  function leave() {
    if (!light.open) return;
    pushed = false;
    light.close();
  }

  return { open, leave };
};
