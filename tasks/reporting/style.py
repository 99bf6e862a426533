"""The look of the report: one style sheet, light and dark after the reader's preference."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --panel: #f5f7f9; --text: #1a1d21; --muted: #57616c; --line: #d5dbe1;
  --test: #1f5fbf; --outliers: #b4540a; --good: #14633a; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --panel: #1c2125; --text: #e7eaed; --muted: #a3aeb9; --line: #343c44;
    --test: #7db0ff; --outliers: #f0a35e; --good: #74d69e; --bad: #ff8f86;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 960px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 1.2rem; margin: 44px 0 4px; }
p { margin: 4px 0 12px; max-width: 46rem; }
.muted, .muted td { color: var(--muted); }
.outcome { border-left: 5px solid; padding: 10px 16px; background: var(--panel); margin: 20px 0 0; }
.outcome p { margin: 2px 0; max-width: none; }
.outcome strong { font-size: 1.1rem; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.outcome p + p { color: var(--text); }
.wide { overflow-x: auto; margin: 10px 0 18px; }
.wide:focus-visible { outline: 2px solid var(--test); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); padding-bottom: 4px; }
th, td {
  text-align: left; vertical-align: top; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line);
}
thead th { color: var(--muted); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; white-space: nowrap; }
td.verdict { font-weight: 700; white-space: nowrap; }
td.figure { white-space: nowrap; }
td small, .detail { color: var(--muted); font-size: .87em; }
td small { display: block; }
td.detail { min-width: 15rem; }
.confusion th:not(:first-child), .confusion td { text-align: center; padding-right: 0; }
table td.cell { text-align: center; padding: 5px 2px; border: 1px solid var(--line); min-width: 40px; }
td.right { background: color-mix(in srgb, var(--test) 24%, transparent); }
td.zero { color: var(--muted); }
td.wrong { background: color-mix(in srgb, var(--bad) var(--share), transparent); }
code { font: .87em ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.chart {
  display: block; width: 100%; height: auto; margin: 12px 0; font: 13px system-ui, "DejaVu Sans", sans-serif;
}
.chart .grid { stroke: var(--line); stroke-width: 1; }
.chart .axis { stroke: var(--muted); stroke-width: 1; }
.chart .threshold { stroke: var(--text); stroke-width: 1.5; stroke-dasharray: 5 4; }
.chart .bars.test { fill: var(--test); }
.chart .bars.outliers { fill: var(--outliers); }
.chart .tick { fill: var(--muted); font-size: 12px; }
.chart .name { fill: var(--text); font-weight: 600; }
.pictures {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(68px, 1fr)); gap: 12px 8px; margin: 12px 0;
}
figure { margin: 0; }
figure img { image-rendering: pixelated; display: block; border: 1px solid var(--line); }
figcaption {
  margin-top: 3px; font-size: .78rem; line-height: 1.3; color: var(--muted); white-space: pre-line;
}
details { border-bottom: 1px solid var(--line); padding: 6px 0; }
summary { cursor: pointer; font-weight: 600; }
@media print { .wide { overflow: visible; } }
"""
