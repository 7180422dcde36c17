import uPlot from "uplot";
import type { HourOfDay } from "./day.ts";

/** Draws the hours of a day. Returns what ends it. */
export function draw(box: HTMLElement, hours: readonly HourOfDay[]): () => void {
  let chart = create(box, hours);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const redraw = (): void => {
    chart.destroy();
    chart = create(box, hours);
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

function create(box: HTMLElement, hours: readonly HourOfDay[]): uPlot {
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
        { label: "processed", fill: color("good"), paths: bars(), points: { show: false } },
        {
          label: "processed so far",
          fill: color("good-tint"),
          stroke: color("good"),
          width: 1,
          paths: bars(),
          points: { show: false },
        },
        line("duplicates", color("muted"), [6, 4]),
        point("duplicates so far", color("muted")),
        line("held", color("owed"), [10, 3]),
        point("held so far", color("owed")),
        line("failed", color("bad"), [2, 2]),
        point("failed so far", color("bad")),
        line("refused", color("bad"), [6, 3, 1, 3]),
        point("refused so far", color("bad")),
      ],
    },
    dataOf(hours),
    box,
  );
}

function line(label: string, stroke: string, dash: number[]): uPlot.Series {
  return { label, stroke, dash, width: 2, points: { show: false } };
}

/** Of the present hour. A line to it would look like a fall. */
function point(label: string, stroke: string): uPlot.Series {
  return {
    label,
    stroke,
    width: 0,
    points: { show: true, size: 6, width: 1.5, stroke, fill: "transparent" },
  };
}

const bars = (): uPlot.Series.PathBuilder =>
  uPlot.paths.bars?.({ size: [0.6, 40], radius: 0.15 }) as uPlot.Series.PathBuilder;

const hourText = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

/**
 * Each number of whole hours and of the present one are two series, so that they look different. A number that is
 * always 0 has no line.
 */
function dataOf(hours: readonly HourOfDay[]): uPlot.AlignedData {
  const last = hours.length - 1;
  const series = (["processed", "duplicate", "held", "failed", "refused"] as const).flatMap((key) => {
    const values = hours.every((hour) => hour[key] === 0) ? [] : hours.map((hour) => hour[key]);
    return [
      hours.map((_, index) => (index === last ? null : values[index])),
      hours.map((_, index) => (index === last ? values[index] : null)),
    ];
  });
  return [hours.map(({ at }) => at / 1000), ...series] as uPlot.AlignedData;
}
