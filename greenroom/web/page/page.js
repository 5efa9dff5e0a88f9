"use strict";
const byId = (id) => document.getElementById(id);
const text = (tag, content, className) => {
  const node = document.createElement(tag);
  node.textContent = content;
  if (className) node.className = className;
  return node;
};

const resolve = (document, node) => {
  while (node && node.$ref) node = node.$ref.slice(2).split("/").reduce((at, name) => at[name], document);
  return node || {};
};

const nameOf = (schema) => (schema && schema.$ref ? schema.$ref.split("/").pop() : "");

/** A schema as a few readable lines; each named schema is opened once, so that recursive ones end. */
const describe = (document, schema, indent = "", seen = []) => {
  const name = nameOf(schema);
  if (name && seen.includes(name)) return name;
  const now = name ? [...seen, name] : seen;
  const plain = resolve(document, schema);
  const several = plain.allOf || plain.anyOf || plain.oneOf;
  if (several) return several.map((one) => describe(document, one, indent, now)).join(plain.allOf ? " and " : " or ");
  if (plain.enum) return plain.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (plain.type === "array") return `[ ${describe(document, plain.items, indent, now)} ]`;
  if (plain.properties) {
    const required = new Set(plain.required || []);
    const lines = Object.entries(plain.properties).map(
      ([key, inner]) => `${indent}  ${key}${required.has(key) ? "" : "?"}: ${describe(document, inner, indent + "  ", now)}`,
    );
    return `{\n${lines.join("\n")}\n${indent}}`;
  }
  return Array.isArray(plain.type) ? plain.type.join(" | ") : plain.type || "any";
};

const parameterRow = (document, parameter) => {
  const row = text("tr", "");
  const label = text("td", "");
  label.append(text("code", parameter.name, parameter.required ? "required" : ""), " ", text("span", parameter.in, "note"));
  const about = [describe(document, parameter.schema), parameter.description].filter(Boolean).join(" · ");
  const cell = text("td", "");
  const input = text("input", "");
  input.name = parameter.name;
  input.dataset.place = parameter.in;
  input.dataset.array = resolve(document, parameter.schema).type === "array" && parameter.explode !== false ? "yes" : "";
  input.placeholder = input.dataset.array ? "several: separate with spaces" : "";
  cell.append(input, text("div", about, "note"));
  row.append(label, cell);
  return row;
};

const address = (path, form) => {
  const query = new URLSearchParams();
  let filled = path;
  for (const input of form.querySelectorAll("input[data-place]")) {
    if (input.dataset.place === "path") filled = filled.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.dataset.place === "query" && input.value) {
      for (const value of input.dataset.array ? input.value.split(/\s+/) : [input.value]) query.append(input.name, value);
    }
  }
  return query.size ? `${filled}?${query}` : filled;
};

const send = async (method, path, form) => {
  const headers = {};
  const token = byId("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  const body = form.querySelector(".body").hidden ? undefined : form.querySelector("textarea").value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const status = form.querySelector(".status");
  const answer = form.querySelector(".answer");
  status.textContent = "…";
  try {
    const began = performance.now();
    const response = await fetch(address(path, form), { method, headers, body, credentials: "omit" });
    const content = await response.text();
    status.textContent = `${response.status} ${response.statusText} · ${Math.round(performance.now() - began)} ms`;
    answer.hidden = !content;
    try {
      answer.textContent = JSON.stringify(JSON.parse(content), null, 2);
    } catch {
      answer.textContent = content;
    }
  } catch (error) {
    status.textContent = String(error);
  }
};

const showOperation = (document, method, path, operation, shared) => {
  const node = byId("operation").content.cloneNode(true).firstElementChild;
  const find = (selector) => node.querySelector(selector);
  find(".method").textContent = method.toUpperCase();
  find(".method").classList.add(method);
  find(".path").textContent = path;
  find(".summary").textContent = operation.summary || "";
  find(".description").textContent = operation.description || "";
  for (const one of [...(operation.parameters || []), ...shared]) {
    find("tbody").append(parameterRow(document, resolve(document, one)));
  }
  const content = resolve(document, operation.requestBody).content;
  if (content) {
    find(".body").hidden = false;
    find("textarea").value = "{}";
    find(".schema").textContent = describe(document, Object.values(content)[0].schema);
  }
  for (const [status, one] of Object.entries(operation.responses || {})) {
    const response = resolve(document, one);
    const schema = Object.values(response.content || {})[0];
    const item = text("li", `${status} ${response.description || ""} `);
    if (schema) item.append(text("pre", describe(document, schema.schema)));
    find(".responses").append(item);
  }
  find("form").addEventListener("submit", (event) => {
    event.preventDefault();
    send(method.toUpperCase(), path, event.target);
  });
  node.dataset.text = `${method} ${path} ${operation.operationId || ""} ${operation.summary || ""}`.toLowerCase();
  return node;
};

const METHODS = ["get", "put", "post", "delete", "patch"];

const show = (documents) => {
  const main = byId("operations");
  main.replaceChildren();
  for (const { document, plugin } of documents) {
    main.append(text("h2", plugin));
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of METHODS.filter((one) => item[one])) {
        main.append(showOperation(document, method, path, item[method], item.parameters || []));
      }
    }
  }
  if (!documents.length) main.append(text("p", "No API brings a document."));
};

byId("search").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const node of document.querySelectorAll(".operation")) node.hidden = !node.dataset.text.includes(wanted);
});

fetch("/.greenroom/docs/documents.json").then((response) => response.json()).then(show);
