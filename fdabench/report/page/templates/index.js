"use strict";
// The page shows all results without this script, which sorts and filters the table of cells and hides strategies.

const collator = new Intl.Collator("en", { numeric: true });

function keyOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
}

function compare(a, b) {
  const kinds = [typeof a, typeof b];
  if (kinds[0] !== kinds[1]) return kinds[0] === "number" ? -1 : 1; // rows without a value come last
  return kinds[0] === "number" ? a - b : collator.compare(a, b);
}

function sortBy(table, heading, column, status) {
  const descending = heading.getAttribute("aria-sort") === "ascending";
  const keyed = Array.from(table.tBodies[0].rows, (row) => [keyOf(row, column), row]);
  const numeric = keyed.some(([key]) => typeof key === "number");
  const missing = ([key]) => numeric && typeof key !== "number";
  keyed.sort((a, b) => (descending && missing(a) === missing(b) ? -compare(a[0], b[0]) : compare(a[0], b[0])));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  table.tBodies[0].append(...keyed.map(([, row]) => row));
  status.textContent = `Sorted by ${heading.textContent}, ${heading.getAttribute("aria-sort")}.`;
}

function makeSortable(table, status) {
  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortBy(table, heading, column, status));
    heading.append(button);
  });
}

function plain(text) {
  return text.toLowerCase().replace(/\s+/g, " ").trim();
}

function makeFilter(box, table, status) {
  const input = box.querySelector("input");
  const rows = Array.from(table.tBodies[0].rows, (row) => [row, plain(row.textContent)]);
  const apply = () => {
    const words = plain(input.value).split(" ").filter(Boolean);
    let left = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      left += row.hidden ? 0 : 1;
    }
    status.textContent = `${left} of ${rows.length} cells shown.`;
  };
  input.addEventListener("input", apply);
  box.hidden = false;
}

function makeSwitches(box) {
  const figure = box.closest("figure");
  const all = Array.from(box.querySelectorAll("input[data-tag]"));
  const families = Array.from(box.querySelectorAll("input[data-family]"));
  const count = box.querySelector("output");
  const apply = () => {
    for (const input of all) {
      for (const part of figure.querySelectorAll(`svg .${input.dataset.tag}`)) part.classList.toggle("off", !input.checked);
    }
    for (const family of families) {
      const members = Array.from(family.closest("fieldset").querySelectorAll("input[data-tag]"));
      const on = members.filter((input) => input.checked).length;
      family.checked = on > 0;
      family.indeterminate = on > 0 && on < members.length;
    }
    count.textContent = `${all.filter((input) => input.checked).length} of ${all.length} shown`;
  };
  for (const family of families) {
    family.addEventListener("change", () => {
      for (const input of family.closest("fieldset").querySelectorAll("input[data-tag]")) input.checked = family.checked;
    });
  }
  box.addEventListener("change", apply);
  for (const input of all) input.checked = true; // some browsers keep what was chosen before a reload
  apply();
  box.hidden = false;
}

// Shows a hint above a box while it is wider than the page and scrolls sideways. A box whose content fits is no stop of the Tab key.
function makeScrollable(box) {
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = "scroll → for more";
  const check = () => {
    const more = box.scrollWidth > box.clientWidth + 1;
    hint.hidden = !more;
    box.classList.toggle("overflowing", more);
    box.tabIndex = more || box.scrollHeight > box.clientHeight + 1 ? 0 : -1;
  };
  box.before(hint);
  const observer = new ResizeObserver(check);
  observer.observe(box);
  observer.observe(box.firstElementChild); // the filter changes the size of the table, and maybe not that of the box
  check();
}

for (const box of document.querySelectorAll(".scroll, .picture")) makeScrollable(box);
for (const box of document.querySelectorAll(".switches")) makeSwitches(box);
const cells = document.getElementById("cells-table");
const statusLine = document.getElementById("cells-status");
makeSortable(cells, statusLine);
makeFilter(document.getElementById("cells-filter"), cells, statusLine);
