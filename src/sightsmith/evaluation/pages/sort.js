// Sorting a table by a click on a heading; without JavaScript the table stands as it is.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th"), body = heading.closest("table").tBodies[0];
    const column = heading.cellIndex, down = heading.getAttribute("aria-sort") !== "descending";
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      const gap = x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? x - y : (x === "") - (y === "") || x.localeCompare(y);
      return down ? -gap : gap;
    };
    body.append(...[...body.rows].sort(order));
  });
}
