// The page is drawn anew from what the controller said, and only what differs is changed: what is
// focused, selected or scrolled stays so.

// h makes an element. A key names it among its siblings; functions are listeners; false and null are left out.
function h(tag, attributes, ...children) {
  return { tag, attributes: attributes ?? {}, children: children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false) };
}

const svgTags = new Set(["svg", "g", "rect", "path", "text", "line", "title", "circle"]);

function create(node, inSVG) {
  if (typeof node !== "object") return document.createTextNode(String(node));
  const svg = node.tag === "svg" || (inSVG && svgTags.has(node.tag));
  const el = svg ? document.createElementNS("http://www.w3.org/2000/svg", node.tag) : document.createElement(node.tag);
  el.node = { attributes: {}, children: [] };
  update(el, node, svg);
  return el;
}

function setAttribute(el, name, value) {
  if (typeof value === "function") {
    el[`on${name}`] = value;
  } else if (name === "value" || name === "checked" || name === "open") {
    if (el[name] !== value) el[name] = value;
  } else if (name === "style") {
    el.style.cssText = value; // As an attribute the page's policy forbids it.
  } else if (value === false || value === null || value === undefined) {
    el.removeAttribute(name);
  } else {
    el.setAttribute(name, value === true ? "" : value);
  }
}

// update makes an element what node says.
function update(el, node, inSVG) {
  const before = el.node.attributes;
  for (const name of Object.keys(before)) {
    if (!(name in node.attributes)) typeof before[name] === "function" ? (el[`on${name}`] = null) : el.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(node.attributes)) {
    if (name !== "key" && (before[name] !== value || name === "checked")) setAttribute(el, name, value);
  }
  el.node = node;
  patch(el, node.children, inSVG || el.namespaceURI.endsWith("svg"));
}

const keyOf = (node) => (typeof node === "object" ? node.attributes.key : undefined);

// patch makes the children of an element those that nodes say.
function patch(el, nodes, inSVG) {
  const keyed = new Map();
  for (const child of el.childNodes) {
    const key = child.node && keyOf(child.node);
    if (key !== undefined) keyed.set(key, child);
  }
  let at = el.firstChild;
  for (const node of nodes) {
    const key = keyOf(node);
    let child = key === undefined ? at : keyed.get(key);
    if (key === undefined) {
      while (child && child.node && keyOf(child.node) !== undefined) child = child.nextSibling;
    }
    const fits = child && (typeof node !== "object" ? child.nodeType === Node.TEXT_NODE : child.node?.tag === node.tag);
    if (!fits) {
      child = create(node, inSVG);
      el.insertBefore(child, at);
      continue;
    }
    if (typeof node !== "object") {
      if (child.data !== String(node)) child.data = String(node);
    } else {
      update(child, node, inSVG);
    }
    if (child === at) at = at.nextSibling;
    else el.insertBefore(child, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}
