// What galleries share. `stylebeam` is the one name that a page gives to the window.
const stylebeam = (() => {
  const $ = id => document.getElementById(id);

  // Names are data: they enter the document as text and attributes only.
  function make(tag, className = "", attributes = {}, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const message = text => make("p", "message", {}, text);
  const short = value => String(Number(value.toPrecision(3)));
  const wordsOf = text => text.toLowerCase().normalize().split(/\s+/).filter(Boolean);

  // The address of a file of the output folder.
  const url = path => "../" + path.split("/").map(encodeURIComponent).join("/");

  // A link that saves a file. A browser saves nothing for a page that was opened from
  // disk: there the file, which is on that disk, is shown in a tab.
  function downloads(link, file, name) {
    link.href = file;
    link.target = "_blank";
    link.rel = "noopener";
    link.download = name;
    link.textContent = location.protocol === "file:" ? "Open file" : "Download";
    link.title = name;
    return link;
  }

  // Data that stands in the page itself.
  const index = () => JSON.parse($("data").textContent);

  // Long tables name their fields once, in front of the rows.
  function records({ fields, rows }) {
    return rows.map(row => Object.fromEntries(fields.map((field, place) => [field, row[place]])));
  }

  // Other data comes as scripts, each one call of `page`: a document from disk may not fetch.
  const arrived = new Map();
  const page = (name, data) => arrived.set(name, data);
  function load(folder, name) {
    const script = make("script", "", { src: `${folder}/${encodeURIComponent(name)}.js`, charset: "utf-8" });
    return new Promise((resolve, reject) => {
      script.onload = script.onerror = () => {
        script.remove();
        if (arrived.has(name)) resolve(arrived.get(name));
        else reject(new Error(`gallery/${folder}/${name}.js`));
        arrived.delete(name);
      };
      document.head.append(script);
    });
  }

  // A switch has a button for each option; `press` marks the one that holds.
  function fill(box, options, act) {
    box.replaceChildren(...options.map(({ value, text, title = "" }) => {
      const button = make("button", "", { type: "button", "data-value": value, ...(title && { title }) }, text);
      button.addEventListener("click", () => act(value));
      return button;
    }));
  }
  function press(box, value) {
    for (const button of box.children) button.setAttribute("aria-pressed", button.dataset.value === String(value));
  }

  return { $, make, message, short, wordsOf, url, downloads, index, records, page, load, fill, press };
})();
