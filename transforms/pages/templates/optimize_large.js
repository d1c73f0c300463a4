// The pictures of the runs at full size, each beside the content it was made from.
(() => {
  const { $, make } = stylebeam;
  const content = $("content").src;
  // Each run once: a picture may stand in several strips.
  const links = [...new Map([...document.querySelectorAll("a.enlarge")].reverse().map(link => [link.dataset.run, link])).values()].reverse();
  const STEPS = { ArrowRight: 1, ArrowLeft: -1 };
  let place = -1;   // of the run that is shown

  const stage = stylebeam.makeStage({ swiped: walk });
  const dialog = stylebeam.makeDialog({
    home: () => location.pathname + location.search,
    closed() {
      links[place]?.focus();
      place = -1;
      stage.reset();
    },
  });

  function open(run) {
    place = links.findIndex(link => link.dataset.run === run);
    const link = links[place];
    const image = link.querySelector("img");
    const file = link.pathname.slice(link.pathname.lastIndexOf("/") + 1);
    const { width, height } = Object.fromEntries(["width", "height"].map(side => [side, +image.getAttribute(side)]));
    stage.show({ source: link.href, quick: "", original: content, ratio: width / height, width, height, alt: image.alt, name: `${run}--${file}` }, !$("light").open);
    $("where").textContent = `run ${place + 1} / ${links.length}`;
    $("name").textContent = image.alt;
    $("facts").replaceChildren(link.closest("figure").querySelector(".terms").cloneNode(true), make("p", "soft", {}, `${width} × ${height}`));
    $("file").textContent = file;
    $("file").href = link.href;
    $("back").disabled = !links[place - 1];
    $("next").disabled = !links[place + 1];
    for (const other of [links[place - 1], links[place + 1]]) if (other) new Image().src = other.href;
    $("light").setAttribute("aria-label", `${image.alt}, and the content`);
    dialog.open(`#${run}`);
  }

  function walk(step) {
    const link = links[place + step];
    if (link) open(link.dataset.run);
  }

  document.addEventListener("click", event => {
    const link = event.target.closest("a.enlarge");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    open(link.dataset.run);
  });
  $("back").addEventListener("click", () => walk(-1));
  $("next").addEventListener("click", () => walk(1));
  $("light").addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || stage.takesKey(event) || !STEPS[event.key]) return;
    walk(STEPS[event.key]);
    event.preventDefault();
  });

  function follow() {
    const run = location.hash.slice(1);
    if (!links.some(link => link.dataset.run === run)) return dialog.leave();
    if (links[place]?.dataset.run !== run) open(run);
  }
  window.addEventListener("popstate", follow);
  follow();
})();
