  const $ = id => document.getElementById(id);
  // Names are data: they enter the document as text and attributes only.
  function make(tag, className = "", attributes = {}, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }
  const url = path => "../" + path.split("/").map(encodeURIComponent).join("/");
