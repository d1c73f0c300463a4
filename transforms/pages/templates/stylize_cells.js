// Cells out of the scripts of pages, their order, and the ways from one to the next.
stylebeam.cells = (() => {
  const { records } = stylebeam;
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  // An original is a picture without any style.
  const isOriginal = ({ styles }) => styles.length === 0;
  const keysOf = column => (isOriginal(column) ? "original" : column.styles.map(({ style }) => style.key).join("\n"));

  // Pages are shown together, as many as a browser lays out without a pause.
  function groupPages({ pages, most }) {
    const groups = [];
    let group = null;
    for (const page of records(pages)) {
      const full = group && (group.cells + page.cells > most.cells || group.contents + page.contents > most.contents);
      if (!group || full) groups.push(group = { names: [], contents: 0, cells: 0, first: page.first });
      group.names.push(page.name);
      group.contents += page.contents;
      group.cells += page.cells;
      if (page.first < group.first) group.first = page.first;
    }
    return groups;
  }

  // What several pages have is one object.
  function once(known, id, make) {
    if (!known.has(id)) known.set(id, make());
    return known.get(id);
  }
  const ratioOf = ({ width, height }) => (width && height ? width / height : 0);

  function readContent(content, known) {
    return once(known.contents, content.id, () => ({ ...content, ratio: ratioOf(content) || 4 / 3 }));
  }

  function readColumn(parts, styles, known) {
    const blend = parts.map(part => ({ ...part, style: styles[part.style] }));
    const id = JSON.stringify(blend.map(({ style, weight, mask }) => [style.id, weight, mask]));
    const label = blend.map(({ style }) => style.label).filter(Boolean).join(" + ");
    return once(known.columns, id, () => ({ id, styles: blend, label }));
  }

  function readPage({ name, data }, known) {
    const contents = data.contents.map(content => readContent(content, known));
    const styles = data.styles.map(style => once(known.styles, style.id, () => style));
    const columns = data.columns.map(parts => readColumn(parts, styles, known));
    return records(data.cells).map(cell => {
      const content = contents[cell.content];
      const column = columns[cell.column];
      if (cell.path) content.ratio = ratioOf(cell) || content.ratio;
      const text = `${content.key}\n${keysOf(column)}\n${content.label ?? ""}\n${column.label}`.toLowerCase().normalize();
      return { ...cell, page: name, content, column, bundle: data.bundles[cell.bundle], text, element: null };
    });
  }

  // The cells of some pages, in order, and what there is of each kind.
  function mergePages(pages) {
    const known = { contents: new Map(), styles: new Map(), columns: new Map() };
    const cells = pages.flatMap(page => readPage(page, known));
    const columns = [...known.columns.values()].sort((a, b) =>
      a.styles.length - b.styles.length || compare(keysOf(a), keysOf(b)) || compare(a.id, b.id));
    columns.forEach((column, place) => { column.place = place; });
    cells.sort((a, b) => compare(a.content.key, b.content.key) || inColumns(a, b));
    return {
      cells, columns: columns.length, contents: known.contents.size, styles: known.styles.size,
      alphas: [...new Set(cells.filter(cell => !isOriginal(cell.column)).map(cell => cell.alpha))].sort((a, b) => a - b),
    };
  }
  const inColumns = (a, b) => a.column.place - b.column.place || a.alpha - b.alpha;

  // A column of the grid is a column of the data at one strength.
  const headOf = cell => `${cell.column.place} ${cell.alpha}`;
  function headsOf(cells) {
    const heads = new Map();
    for (const cell of cells) once(heads, headOf(cell), () => ({ column: cell.column, alpha: cell.alpha }));
    return [...heads.values()].sort(inColumns);
  }

  function rowsOf(cells) {
    const rows = new Map();
    for (const cell of cells) once(rows, cell.content, () => ({ content: cell.content, cells: [] })).cells.push(cell);
    return [...rows.values()];
  }

  // The best first: low losses, high SSIM; what was not measured comes last.
  function sortRows(rows, metric) {
    const sign = metric === "ssim" ? -1 : 1;
    const isMeasured = cell => cell[metric] != null;
    const costOf = cell => (isMeasured(cell) ? sign * cell[metric] : Infinity);
    const meanOf = costs => (costs.length ? costs.reduce((sum, cost) => sum + cost, 0) / costs.length : Infinity);
    const costs = new Map(rows.map(row => [row, meanOf(row.cells.filter(isMeasured).map(costOf))]));
    for (const row of rows) row.cells.sort((a, b) => compare(costOf(a), costOf(b)));
    rows.sort((a, b) => compare(costs.get(a), costs.get(b)));
  }

  // Failed cells are seen but not walked to.
  const walkable = rows => rows.map(row => row.cells.filter(cell => cell.path)).filter(cells => cells.length);

  function nearest(cells, to) {
    const distance = cell => Math.abs(cell.column.place - to.column.place) * 10 + Math.abs(cell.alpha - to.alpha);
    return cells.reduce((best, cell) => (distance(cell) < distance(best) ? cell : best));
  }

  const STEPS = { ArrowRight: { right: 1 }, ArrowLeft: { right: -1 }, ArrowDown: { down: 1 }, ArrowUp: { down: -1 } };

  // The cell to the right or left, or below or above: null where there is none.
  function neighbour(rows, cell, { right = 0, down = 0 }) {
    const lines = walkable(rows);
    const y = lines.findIndex(line => line[0].content === cell.content);
    if (y < 0) return null;
    if (down) return lines[y + down] ? nearest(lines[y + down], cell) : null;
    const beside = lines[y][lines[y].indexOf(cell) + right];
    if (beside) return beside;
    const line = lines[y + right];   // past the end of a content comes the next one
    return line ? line.at(right > 0 ? 0 : -1) : null;
  }

  // Where a cell is among those that can be walked to, in words.
  function placeOf(rows, cell) {
    const lines = walkable(rows);
    const y = lines.findIndex(line => line[0].content === cell.content);
    const line = lines[y] || [cell];
    return `style ${line.indexOf(cell) + 1} / ${line.length}` + (lines.length > 1 ? ` · content ${y + 1} / ${lines.length}` : "");
  }

  return { STEPS, isOriginal, groupPages, mergePages, headOf, headsOf, rowsOf, sortRows, neighbour, placeOf };
})();
