// What is known of a content, over its pictures: its label, and boxes around its objects.
stylebeam.known = (() => {
  const { make } = stylebeam;
  const COLOURS = 8;
  const NAMED = 3;     // classes in a picture by name: more would hide it
  const SIDE = 1000;   // boxes are in thousandths of the sides of the picture

  const isKnown = ({ content, column }) => content.label || content.objects || column.label;

  // Classes and how many of each, the commonest first: their places are their colours.
  function classesOf({ objects = [] }) {
    const counts = new Map();
    for (const [name] of objects) counts.set(name, (counts.get(name) ?? 0) + 1);
    return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  }

  const times = ([name, count]) => (count > 1 ? `${name} × ${count}` : name);
  // Classes with the colours of their boxes, the first few of them.
  function keyOf(content, most = Infinity) {
    const classes = classesOf(content);
    const key = classes.slice(0, most).map((one, place) => make("span", `k${place % COLOURS}`, {}, make("i"), times(one)));
    if (classes.length > most) key.push(make("span", "", {}, `+ ${classes.length - most}`));
    if (content.objects?.length === 0) key.push(make("span", "", {}, "no objects"));
    return key;
  }

  function wordsFor({ content, column }) {
    return {
      label: [content.label, column.label && `style: ${column.label}`].filter(Boolean).join(" · "),
      objects: content.objects ? classesOf(content).map(times).join(", ") || "no objects" : "",
    };
  }

  function svg(tag, attributes, ...children) {
    // The name of the language is that of the icons: a page has no address of a server.
    const element = document.createElementNS(document.querySelector("svg").namespaceURI, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // Cut as the picture is that lies below: it fills its frame.
  function boxes({ content, width, height }) {
    const places = new Map(classesOf(content).map(([name], place) => [name, place % COLOURS]));
    const rectangles = content.objects.map(([name, left, top, wide, high]) => svg("rect", {
      class: `k${places.get(name)}`,
      x: left * width / SIDE, y: top * height / SIDE, width: wide * width / SIDE, height: high * height / SIDE,
    }));
    return svg("svg", { class: "boxes", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" }, ...rectangles);
  }

  function legend(cell) {
    const { label } = wordsFor(cell);
    const box = make("span", "legend");
    if (label) box.append(make("b", "", {}, label));
    box.append(...keyOf(cell.content, NAMED));
    return box;
  }

  // One layer for all pictures: it lies over the one that is pointed at, or has the focus.
  function watch(main) {
    const layer = make("span", "known", { "aria-hidden": "true" });
    function cover(event) {
      const element = event.target.closest?.(".cell");
      const cell = element?.cell;
      if (!cell || !isKnown(cell)) return layer.remove();
      if (layer.parentElement === element) return;
      const { label, objects } = wordsFor(cell);
      element.setAttribute("aria-description", [label, objects].filter(Boolean).join(". "));
      layer.replaceChildren(...(cell.content.objects?.length ? [boxes(cell)] : []), legend(cell));
      element.append(layer);
    }
    const uncover = () => {
      const focused = main.querySelector(".cell:focus-visible");
      if (focused) cover({ target: focused });
      else layer.remove();
    };
    main.addEventListener("pointerover", cover);
    main.addEventListener("pointerleave", uncover);
    main.addEventListener("focusin", cover);
    main.addEventListener("focusout", () => layer.remove());
  }

  return { watch, wordsFor, keyOf, boxes };
})();
