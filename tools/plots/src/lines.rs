// SPDX-License-Identifier: GPL-2.0-only
//! Line plots as SVG text: cumulative distributions, sorted values, and values over time.

use crate::{escape, Style};
use anyhow::{anyhow, Result};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// One line of a plot.
pub struct Series {
    pub name: String,
    pub style: Style,
    pub values: Vec<f64>,
}

/// Words of a plot.
pub struct Labels<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// How values are written at the axis.
    pub show: Show,
}

const SIZE: (u32, u32) = (566, 340);
const FONT: &str = "sans-serif";

/// A duration in ms with the least digits: 5 ms, 1.5 s.
pub fn show_ms(ms: f64) -> String {
    match ms {
        v if v >= 1000.0 => format!("{} s", v / 1000.0),
        v => format!("{v} ms"),
    }
}

/// A plain number with the least digits, as a multiple.
pub fn show_times(v: f64) -> String {
    format!("{v}x")
}

/// Cumulative distribution of each series over a logarithmic x axis: the share of the values at
/// or below x. What is not above 0 counts as the least.
///
/// # Errors
/// It cannot be drawn; this holds for every plot.
pub fn ecdf(series: &[Series], labels: &Labels) -> Result<String> {
    let values = || series.iter().flat_map(|s| &s.values).copied().filter(|v| *v > 0.0);
    let (low, high) = bounds(values());
    let lines: Vec<_> = series.iter().map(|s| steps(&s.values, low, high)).collect();
    let ticks = ticks(low, high);
    let x = (low..high).log_scale().with_key_points(ticks);
    draw(series, &lines, &[], labels, x, 0.0..1.0, (labels.show, show_share))
}

/// As [`ecdf`], over a linear x axis from 0 to `high`.
pub fn ecdf_linear(series: &[Series], high: f64, labels: &Labels) -> Result<String> {
    let lines: Vec<_> = series.iter().map(|s| steps(&s.values, 0.0, high)).collect();
    draw(series, &lines, &[], labels, 0.0..high, 0.0..1.0, (labels.show, show_share))
}

fn show_share(y: f64) -> String {
    format!("{:.0} %", y * 100.0)
}

/// The distribution function of `values` from `low` to `high`.
fn steps(values: &[f64], low: f64, high: f64) -> Vec<(f64, f64)> {
    let mut v: Vec<f64> = values.iter().map(|x| x.clamp(low, high)).collect();
    v.sort_by(f64::total_cmp);
    let n = v.len() as f64;
    let mut line = vec![(low, 0.0)];
    line.extend(v.iter().enumerate().flat_map(|(i, x)| [(*x, i as f64 / n), (*x, (i + 1) as f64 / n)]));
    line.push((high, 1.0));
    line
}

/// One line of [`over_time`].
pub struct Track {
    pub name: String,
    pub style: Style,
    /// Time in s, and value; in the order of time.
    pub points: Vec<(f64, f64)>,
}

/// Values from 0 on over time, with a shade behind the spans `shaded` (from and to, in s).
pub fn over_time(tracks: Vec<Track>, shaded: &[(f64, f64)], labels: &Labels) -> Result<String> {
    let points = || tracks.iter().flat_map(|t| &t.points);
    let end = points().map(|p| p.0).chain(shaded.iter().map(|s| s.1)).fold(1.0, f64::max);
    let high = points().map(|p| p.1).fold(0.0, f64::max).max(1e-3) * 1.05;
    let bars: Vec<Bar> = shaded.iter().map(|(from, to)| [(*from, 0.0), (*to, high)]).collect();
    let (mut series, mut lines) = (Vec::new(), Vec::new());
    for t in tracks {
        series.push(Series { name: t.name, style: t.style, values: t.points.iter().map(|p| p.1).collect() });
        lines.push(t.points);
    }
    draw(&series, &lines, &bars, labels, 0.0..end, 0.0..high, (|s| format!("{s:.0} s"), labels.show))
}

/// Each series' values in ascending order, over a logarithmic y axis.
pub fn sorted(series: &[Series], labels: &Labels) -> Result<String> {
    let values = || series.iter().flat_map(|s| &s.values).copied();
    let (low, high) = bounds(values().chain([1.0]));
    let most = series.iter().map(|s| s.values.len()).max().unwrap_or(0).max(2);
    let lines: Vec<Vec<(f64, f64)>> = series
        .iter()
        .map(|s| {
            let mut v = s.values.clone();
            v.sort_by(f64::total_cmp);
            v.iter().enumerate().map(|(i, y)| (i as f64 + 1.0, *y)).collect()
        })
        .collect();
    let ticks = ticks(low, high);
    let y = (low..high).log_scale().with_key_points(ticks);
    draw(series, &lines, &[], labels, 1.0..most as f64, y, (|x| format!("{x:.0}"), labels.show))
}

/// Lower and upper end of a logarithmic axis around `values`.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    match low <= high {
        true => (low / 1.15, high * 1.15),
        false => (1.0, 10.0),
    }
}

/// 1, 2, 5, 10, 20 ... within an axis; only powers of ten where those are enough.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = (high / low).log10();
    let steps: &[f64] = match decades {
        d if d > 4.0 => &[1.0],
        d if d > 0.8 => &[1.0, 2.0, 5.0],
        _ => &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
    };
    let first = low.log10().floor() as i32;
    let last = high.log10().ceil() as i32;
    let decade = |e: i32| match e {
        e if e < 0 => 1.0 / 10f64.powi(-e),
        e => 10f64.powi(e),
    };
    let all = (first..=last).flat_map(|e| steps.iter().map(move |s| (e, *s)));
    let exact = |(e, s): (i32, f64)| match e {
        e if e < 0 => s / 10f64.powi(-e),
        e => s * decade(e),
    };
    all.map(exact).filter(|t| *t >= low && *t <= high).collect()
}

/// How a value is written at an axis.
pub type Show = fn(f64) -> String;

/// A rectangle behind the lines, by two corners.
type Bar = [(f64, f64); 2];

/// `show`: how values are written at the x and at the y axis.
fn draw<X, Y>(
    series: &[Series],
    lines: &[Vec<(f64, f64)>],
    bars: &[Bar],
    labels: &Labels,
    x: X,
    y: Y,
    show: (Show, Show),
) -> Result<String>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let failed = |e: &dyn std::fmt::Display| anyhow!("drawing {:?}: {e}", labels.title);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .caption(labels.title, (FONT, 15, FontStyle::Bold))
            .margin(6)
            .margin_right(18)
            .x_label_area_size(40)
            .y_label_area_size(58)
            .build_cartesian_2d(x, y)
            .map_err(|e| failed(&e))?;
        let shade = RGBColor(240, 228, 205).filled();
        chart
            .draw_series(bars.iter().map(|corners| Rectangle::new(*corners, shade)))
            .map_err(|e| failed(&e))?;
        chart
            .configure_mesh()
            .bold_line_style(RGBColor(226, 226, 226))
            .light_line_style(TRANSPARENT)
            .axis_style(RGBColor(60, 60, 60))
            .x_labels(9)
            .y_labels(6)
            .x_desc(labels.x)
            .y_desc(labels.y)
            .label_style((FONT, 13))
            .axis_desc_style((FONT, 13))
            .x_label_formatter(&|v| show.0(*v))
            .y_label_formatter(&|v| show.1(*v))
            .draw()
            .map_err(|e| failed(&e))?;
        for (s, line) in series.iter().zip(lines).filter(|(s, _)| !s.values.is_empty()) {
            let (r, g, b) = s.style.rgb;
            let stroke = RGBColor(r, g, b).stroke_width(s.style.width);
            chart.draw_series(LineSeries::new(line.iter().copied(), stroke)).map_err(|e| failed(&e))?;
        }
        root.present().map_err(|e| failed(&e))?;
    }
    Ok(annotate(&svg, series, labels.title))
}

/// Gives the plot a title and each line its dash pattern and a tooltip. The lines are known by
/// their colours, which are distinct.
fn annotate(svg: &str, series: &[Series], title: &str) -> String {
    let mut out = String::with_capacity(svg.len() + 200);
    for line in svg.lines() {
        let known = |s: &&Series| {
            line.starts_with("<polyline") && line.contains(&format!("stroke=\"{}\"", s.style.hex()))
        };
        match series.iter().find(known) {
            Some(s) => {
                let open = line.strip_suffix("/>").unwrap_or(line);
                out += open;
                if !s.style.dash.is_empty() {
                    out += &format!(" stroke-dasharray=\"{}\"", s.style.dash);
                }
                let n = s.values.len();
                out += &format!("><title>{}: {n} values</title></polyline>\n", escape(&s.name));
            }
            None if line.starts_with("<svg") => {
                out +=
                    &line.replacen("<svg", &format!("<svg role=\"img\" aria-label=\"{}\"", escape(title)), 1);
                out.push('\n');
            }
            None => {
                out += line;
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(4.0, 120.0), [5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(ticks(0.3, 4.0), [0.5, 1.0, 2.0]);
        assert_eq!(ticks(1.0, 3.1), [1.0, 1.2, 1.5, 2.0, 2.5, 3.0]);
    }

    #[test]
    fn plots_have_tooltips_and_dashes() {
        let style = Style { rgb: (1, 2, 3), width: 2, dash: "4 2" };
        let series = [Series { name: "a<b".into(), style, values: vec![3.0, 1.0, 2.0] }];
        let labels = Labels { title: "t", x: "x", y: "y", show: show_ms };
        for svg in [ecdf(&series, &labels).unwrap(), sorted(&series, &labels).unwrap()] {
            assert!(svg.contains("<title>a&lt;b: 3 values</title>"), "{svg}");
            assert!(svg.contains("stroke-dasharray=\"4 2\""));
        }
        assert!(ecdf(&[], &labels).is_ok());
    }

    #[test]
    fn distributions_are_within_their_axis() {
        assert_eq!(
            steps(&[3.0, 1.0], 0.0, 2.0),
            [(0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (2.0, 0.5), (2.0, 1.0), (2.0, 1.0)]
        );
    }

    #[test]
    fn spans_are_behind_the_lines() {
        let track = Track { name: "m".into(), style: Style::FIRST, points: vec![(0.0, 1.0), (9.0, 4.0)] };
        let labels = Labels { title: "t", x: "time", y: "MB", show: |v| format!("{v:.0} MB") };
        let svg = over_time(vec![track], &[(2.0, 3.0)], &labels).unwrap();
        let at = |colour: &str| svg.find(colour);
        let (bar, line) = (at("fill=\"#F0E4CD\""), at("stroke=\"#D55E00\""));
        assert!(bar.is_some() && line.is_some() && bar < line, "{svg}");
        assert!(over_time(Vec::new(), &[], &labels).is_ok());
    }
}
