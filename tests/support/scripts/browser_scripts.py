"""JavaScript functions with which tests examine a page in a browser."""

CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  let worst = { ratio: 99 };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("svg, script") || !element.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst.ratio) worst = { ratio, text: walker.currentNode.data.slice(0, 40), tag: element.tagName };
  }
  return worst;
}"""

SCROLLING = """all => Array.from(all).filter((box) => box.scrollWidth > box.clientWidth + 1)
  .map((box) => `${box.getAttribute("aria-labelledby")} ${box.scrollWidth} > ${box.clientWidth}`)"""

SIZES = """all => all.map((figure) => {
  const svg = figure.querySelector("svg");
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  const sizes = Array.from(svg.querySelectorAll("text"), (text) => parseFloat(getComputedStyle(text).fontSize) * scale);
  return [figure.id, Math.min(...sizes)];
})"""

OUTSIDE = """all => all.flatMap((svg) => {
  const box = svg.getBoundingClientRect();
  return Array.from(svg.querySelectorAll("text")).filter((text) => {
    const own = text.getBoundingClientRect();
    return own.left < box.left - 2 || own.right > box.right + 2 || own.top < box.top - 2 || own.bottom > box.bottom + 2;
  }).map((text) => text.textContent);
})"""

DARK_FIGURES = """all => all.map((svg) => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [x, y, z] = parse(color).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const plate = light(getComputedStyle(svg.querySelector("path")).fill);
  const ratio = (color) => {
    const [a, b] = [light(color), plate].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const heat = svg.closest("figure").id === "figure-partitions";
  const words = heat ? [] : Array.from(svg.querySelectorAll("text"), (text) => ratio(getComputedStyle(text).fill));
  const strokes = Array.from(svg.querySelectorAll("[class^=strategy-] path"), (line) => getComputedStyle(line).stroke);
  const lines = strokes.filter((stroke) => stroke !== "none").map(ratio);
  return { plate, words: Math.min(99, ...words), lines: Math.min(99, ...lines) };
})"""

FOCUSED = """() => {
  const e = document.activeElement, box = e.getClientRects()[0]; // of a text that wraps: its first line
  const middle = (from, to, size) => (Math.max(from, 0) + Math.min(to, size)) / 2;
  const x = middle(box.left, box.right, innerWidth), y = middle(box.top, box.bottom, innerHeight);
  const top = document.elementFromPoint(x, y);
  const stops = Array.from(document.querySelectorAll("a[href], button, input, summary, [tabindex='0']"));
  const style = getComputedStyle(e);
  return {
    stop: stops.filter((other) => other.checkVisibility()).indexOf(e), text: e.textContent.trim().slice(0, 40),
    outline: style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2, uncovered: e.contains(top),
  };
}"""
"""The element with the focus: its place among the visible stops of the Tab key (-1: none), and whether it is seen."""

UNSCROLLED = """(box) => {
  const sizes = [box.scrollWidth - box.clientWidth, box.scrollHeight - box.clientHeight].map((size) => size > 1);
  const scrolled = [box.scrollLeft, box.scrollTop].map((offset) => offset > 0);
  return sizes.some((size, i) => size && !scrolled[i]);
}"""
"""Whether a box has content beyond an edge and has not been scrolled toward it."""
