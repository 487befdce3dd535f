// A page's own script: themes, tables that sort, tables to take away. Without it everything is still there to read.
"use strict";

const THEMES = ["auto", "light", "dark"];
const KEY = "jetassay-theme";
const MISSING = new Set(["", "-", "–", "nan"]);
const NUMBER = /^(?:[<>≤≥~×✓✗]|x(?=\s*\d))?\s*([+−-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)(.*)$/i;

// ---- themes: an attribute of the root, kept in this browser where it allows that

function storedTheme() {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.includes(kept) ? kept : "auto";
  } catch { // a browser that keeps nothing for files: the choice lasts as long as the page
    return "auto";
  }
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
}

function keepTheme(name) {
  try {
    localStorage.setItem(KEY, name);
  } catch { /* as above */ }
}

function themeSwitch() {
  const label = document.createElement("label");
  const select = document.createElement("select");
  label.className = "theme";
  select.append(...THEMES.map((name) => new Option(name, name)));
  select.value = document.documentElement.dataset.theme;
  select.addEventListener("change", () => {
    setTheme(select.value);
    keepTheme(select.value); // only what was chosen: a page that could not read the choice must not overwrite it
  });
  label.append("Theme ", select);
  document.body.prepend(label);
}

// ---- sorting: by value, not by text; rows stay under the heading of their group

// [value, tie-break] of a printed number, null where there is none: `0.995(1)` `12 +3-2` `123 (>58)` `1-3` `1,200`.
// A limit such as `>546` stands just above the number 546.
function numberIn(text) {
  const found = NUMBER.exec(text.trim());
  if (!found) return null;
  const value = Number(found[1].replaceAll(",", "").replace("−", "-"));
  const limit = /^[>≥]/.test(text.trim()) ? 1 : /^[<≤]/.test(text.trim()) ? -1 : 0;
  const range = /^-(\d+)$/.exec(found[2]);
  return Number.isNaN(value) ? null : [value, range ? Number(range[1]) : limit];
}

const cellText = (row, column) => (row.cells[column] ? row.cells[column].textContent.trim() : "");
const isMissing = (text) => MISSING.has(text.toLowerCase());
const dataRows = (part) => [...part.rows].filter((row) => !row.classList.contains("group"));
const bodies = (table) => [...table.tBodies];

function isNumeric(table, column) {
  const texts = bodies(table).flatMap(dataRows).map((row) => cellText(row, column)).filter((text) => !isMissing(text));
  return texts.length > 0 && texts.every((text) => numberIn(text) !== null);
}

function compare(a, b, numeric) {
  if (!numeric) return a.localeCompare(b, "en", { numeric: true });
  const [x, y] = [numberIn(a), numberIn(b)];
  return x[0] - y[0] || x[1] - y[1];
}

// Missing cells come last in both directions; equal ones keep the order in which they were written.
function sorted(rows, column, direction, numeric) {
  const here = rows.filter((row) => !isMissing(cellText(row, column)));
  const gone = rows.filter((row) => isMissing(cellText(row, column)));
  here.sort((a, b) => direction * compare(cellText(a, column), cellText(b, column), numeric));
  return [...here, ...gone];
}

function sortBy(table, heading, written) {
  const column = heading.cellIndex;
  const numeric = isNumeric(table, column);
  const turns = numeric ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
  const turn = turns[(turns.indexOf(heading.getAttribute("aria-sort")) + 1) % turns.length];
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  if (turn !== "none") heading.setAttribute("aria-sort", turn);
  for (const [body, rows] of written) {
    body.append(...(turn === "none" ? rows : sorted(rows, column, turn === "ascending" ? 1 : -1, numeric)));
  }
}

function makeSortable(table) {
  const written = bodies(table).map((body) => [body, dataRows(body)]);
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortBy(table, heading, written));
    heading.append(button);
  }
}

// ---- taking a table away: as CSV, or as rows of a LaTeX table (booktabs), in the order on the screen

function content(table) {
  const headings = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  const groups = bodies(table).map((body) => ({
    title: body.querySelector(".group")?.textContent.trim() ?? "",
    rows: dataRows(body).map((row) => [...row.cells].map((cell) => cell.textContent.trim())),
  }));
  return { headings, groups, grouped: groups.some((each) => each.title) };
}

function csv(table) {
  const { headings, groups, grouped } = content(table);
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = groups.flatMap((each) => each.rows.map((row) => (grouped ? [...row, each.title] : row)));
  return [grouped ? [...headings, "group"] : headings, ...rows].map((row) => `${row.map(quoted).join(",")}\n`).join("");
}

const TEX = {
  "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "$<$", ">": "$>$",
  "✓": "$\\checkmark$", "✗": "$\\times$", "−": "$-$", "²": "$^2$", "ε": "$\\varepsilon$",
};

function latexCell(text) {
  if (text === "-") return "--";
  const errors = /^([\d.]+) \+([\d.]+)-([\d.]+)$/.exec(text);
  if (errors) return `$${errors[1]}^{+${errors[2]}}_{-${errors[3]}}$`;
  return text.replace(/[\\~^<>✓✗−²ε]|[&%$#_{}]/gu, (letter) => TEX[letter] ?? `\\${letter}`);
}

function latex(table) {
  const { headings, groups } = content(table);
  const line = (cells) => `${cells.map(latexCell).join(" & ")} \\\\\n`;
  const title = (text) => (text ? `\\multicolumn{${headings.length}}{l}{\\emph{${latexCell(text)}}} \\\\\n` : "");
  return `${line(headings)}\\midrule\n${groups.map((each) => title(each.title) + each.rows.map(line).join("")).join("")}`;
}

function download(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // no clipboard for this page: the older way, through a selection
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function button(text, title, act) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: text, title });
  made.addEventListener("click", () => act(made));
  return made;
}

async function copyLatex(table, pressed, status) {
  const done = await copied(latex(table));
  status.textContent = done ? "copied" : "the browser does not let this page copy";
  setTimeout(() => { status.textContent = ""; }, 3000);
  pressed.focus();
}

function addTools(table) {
  const title = table.caption?.textContent || table.closest("details")?.querySelector("summary").textContent || "";
  const section = table.closest("section")?.querySelector("h2")?.textContent ?? document.title;
  const name = `${section} ${title}`.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 80);
  const [tools, status] = [document.createElement("div"), document.createElement("span")];
  tools.className = "tools";
  status.setAttribute("role", "status");
  tools.append(
    status,
    button("CSV", `Download this table as ${name}.csv`, () => download(csv(table), `${name}.csv`)),
    button("LaTeX", "Copy this table as LaTeX rows", (pressed) => copyLatex(table, pressed, status)),
  );
  table.parentNode.before(tools);
}

setTheme(storedTheme()); // before the page is drawn, so that it does not flash
document.addEventListener("DOMContentLoaded", () => {
  themeSwitch();
  for (const table of document.querySelectorAll(".scroll > table")) {
    makeSortable(table);
    addTools(table);
  }
});
