import uPlot from "uplot";
import type { RollupJson } from "../../http/admin/shapes.ts";

const HOUR = 3_600_000;
const SERIES = ["processed", "duplicate", "failed"] as const;

/** Draws the hours of a day. Returns what ends it. */
export function draw(box: HTMLElement, rollups: readonly RollupJson[]): () => void {
  let chart = create(box, rollups);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const redraw = (): void => {
    chart.destroy();
    chart = create(box, rollups);
  };
  const watch = new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: 180 }));
  watch.observe(box);
  dark.addEventListener("change", redraw);
  return () => {
    watch.disconnect();
    dark.removeEventListener("change", redraw);
    chart.destroy();
  };
}

function create(box: HTMLElement, rollups: readonly RollupJson[]): uPlot {
  const style = getComputedStyle(box);
  const color = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const axis = {
    stroke: color("muted"),
    grid: { stroke: color("line"), width: 1 },
    ticks: { show: false },
    font: `12px ${style.fontFamily}`,
  };
  return new uPlot(
    {
      width: box.clientWidth,
      height: 180,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 8, 0, 0],
      scales: {
        x: { range: (_chart, min, max) => [min - 1800, max + 1800] },
        y: { range: (_chart, _min, max) => [0, Math.max(4, max * 1.1)] },
      },
      axes: [
        { ...axis, size: 28, grid: { show: false }, values: (_chart, times) => times.map(hourText) },
        {
          ...axis,
          size: 44,
          values: (_chart, values) => values.map((one) => (one % 1 === 0 ? String(one) : "")),
        },
      ],
      series: [
        {},
        {
          label: "processed",
          fill: color("good"),
          paths: uPlot.paths.bars?.({ size: [0.6, 40], radius: 0.15 }) as uPlot.Series.PathBuilder,
          points: { show: false },
        },
        line("duplicates", color("muted"), [6, 4]),
        line("failed", color("bad"), [2, 2]),
      ],
    },
    dataOf(rollups),
    box,
  );
}

function line(label: string, stroke: string, dash: number[]): uPlot.Series {
  return { label, stroke, dash, width: 2, points: { show: false } };
}

const hourText = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

/** The sums of all sources, with a zero for each hour without a delivery. */
function dataOf(rollups: readonly RollupJson[]): uPlot.AlignedData {
  const last = Math.floor(Date.now() / HOUR) * HOUR;
  const hours = Array.from({ length: 24 }, (_, index) => last - (23 - index) * HOUR);
  const sums = SERIES.map((key) =>
    hours.map((at) => rollups.reduce((sum, one) => (one.at === at ? sum + one[key] : sum), 0)),
  );
  return [hours.map((at) => at / 1000), ...sums] as uPlot.AlignedData;
}
