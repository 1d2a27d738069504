"""How the page of a run looks, in light and in dark, on a screen and on paper."""

from __future__ import annotations

STYLE = """
:root {
  --ink: #1c2330; --quiet: #667085; --paper: #ffffff; --card: #f6f7f9; --line: #e1e5eb;
  --train: #2f6fb5; --validation: #d9730d; --final: #2a7f3f; --bad: #b3261e; --heat: 47, 111, 181;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ef; --quiet: #98a2b3; --paper: #14181f; --card: #1d232c; --line: #2d3541;
    --train: #6ea8e0; --validation: #f0a052; --final: #63c07d; --bad: #f28b82; --heat: 110, 168, 224;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1120px; padding: 28px 24px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
header { border-bottom: 1px solid var(--line); padding-bottom: 14px; margin-bottom: 20px; }
h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 36px 0 12px; }
h3 { font-size: 14px; margin: 0 0 6px; overflow-wrap: anywhere; }
p { margin: 6px 0; }
.quiet, figcaption, dt { color: var(--quiet); }
.badge {
  display: inline-block; margin-left: 10px; padding: 2px 10px; border-radius: 10px; font-size: 13px; font-weight: 600;
  vertical-align: middle; color: #ffffff; background: var(--quiet);
}
.badge.finished { background: #2a7f3f; }
.badge.failed, .badge.unfinished { background: #b3261e; }
.badge.stopped, .badge.pruned { background: #b25e09; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; }
.card { background: var(--card); border-radius: 8px; padding: 10px 16px; min-width: 128px; }
.card b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.card span { color: var(--quiet); font-size: 13px; overflow-wrap: anywhere; }
.grid { display: flex; flex-wrap: wrap; gap: 16px; }
.grid > .panel { flex: 1 1 320px; max-width: 526px; }
.panel { background: var(--card); border-radius: 8px; padding: 12px 14px; min-width: 0; }
.panels { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
.panels > .panel { max-width: 100%; }
figure { margin: 0; }
figure img { max-width: 100%; height: auto; border-radius: 4px; background: #ffffff; }
figcaption { font-size: 13px; margin-top: 4px; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px 4px 0; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--quiet); font-weight: 600; }
th.number, td.number { text-align: right; }
.confusion td, .confusion th { padding: 4px 8px; text-align: center; border: 1px solid var(--line); }
.confusion tr > :first-child { text-align: right; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 0; font-size: 14px; }
dd { margin: 0; overflow-wrap: anywhere; }
pre {
  background: var(--card); border-radius: 8px; padding: 12px 14px; overflow-x: auto; margin: 8px 0;
  font: 13px/1.45 ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--quiet); }
.chart { width: 100%; height: auto; display: block; }
.chart text { font-size: 10.5px; fill: var(--quiet); }
.chart .rule { stroke: var(--line); }
.chart .axis { stroke: var(--quiet); }
.chart polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.chart polyline.train, .chart polyline.rate { stroke: var(--train); }
.chart polyline.validation { stroke: var(--validation); }
.chart circle.train, .chart circle.rate { fill: var(--train); }
.chart circle.validation { fill: var(--validation); }
.chart .bar { fill: var(--train); opacity: .75; }
.chart .final { stroke: var(--final); stroke-width: 1.5; stroke-dasharray: 6 4; }
.chart .kept { stroke: var(--quiet); stroke-dasharray: 2 3; }
.legend { font-size: 13px; color: var(--quiet); }
.legend i { display: inline-block; width: 18px; border-top: 3px solid; margin: 0 5px 3px 12px; vertical-align: middle; }
.legend i.train { color: var(--train); }
.legend i.validation { color: var(--validation); }
.legend i.final { color: var(--final); border-top-style: dashed; }
.legend i.kept { color: var(--quiet); border-top-style: dotted; }
.bad { color: var(--bad); }
footer { margin-top: 40px; padding-top: 12px; border-top: 1px solid var(--line); color: var(--quiet); font-size: 13px; }
@media print {
  body { max-width: none; padding: 0; }
  .grid > .panel { max-width: 320px; }
  .panels { display: block; }
  .panels > .panel { margin-bottom: 12px; }
  .panel, .card { break-inside: avoid; }
}
"""
