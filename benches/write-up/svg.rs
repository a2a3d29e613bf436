//! Charts as SVG whose colours are the page's: drawn in stand-ins, which become classes.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Colours of text and marks, of background lines, and of what is not in front.
pub(crate) const INK: RGBColor = RGBColor(1, 0, 0);
pub(crate) const GRID: RGBColor = RGBColor(2, 0, 0);
pub(crate) const MUTED: RGBColor = RGBColor(3, 0, 0);
const STAND_INS: [(RGBColor, &str); 3] = [(INK, "ink"), (GRID, "grid"), (MUTED, "muted")];
/// The number of colours of series.
pub(crate) const COLOURS: usize = 8;

pub(crate) const fn colour(i: usize) -> RGBColor {
    RGBColor(4, 0, (i % COLOURS) as u8)
}

/// Widths and heights in pixels.
pub(crate) type Size = (u32, u32);
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Draws, and replaces the placeholder colours by classes.
pub(crate) fn draw(size: Size, label: &str, f: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        f(&root).and_then(|()| root.present()).expect("a string takes what is drawn");
    }
    let series = (0..COLOURS).map(|i| (colour(i), format!("c{i}")));
    let named = STAND_INS.iter().map(|&(colour, name)| (colour, name.to_owned()));
    for (RGBColor(r, g, b), name) in named.chain(series) {
        for (attribute, prefix) in [("fill", 'f'), ("stroke", 's')] {
            let stand_in = format!("{attribute}=\"#{r:02X}{g:02X}{b:02X}\"");
            svg = svg.replace(&stand_in, &format!("class=\"{prefix}-{name}\""));
        }
    }
    let head = format!("<svg width=\"{0}\" height=\"{1}\" ", size.0, size.1);
    svg.replacen(&head, &format!("<svg role=\"img\" aria-label=\"{}\" ", escape(label)), 1)
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

pub(crate) fn style(size: f64, colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    // The backend takes off what it takes a font's height to be.
    ("system-ui, sans-serif", size * 1.24).into_font().color(&colour).pos(Pos::new(h, v))
}

pub(crate) fn text(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: f64,
    colour: RGBColor,
    h: HPos,
) -> Drawn {
    area.draw_text(text, &style(size, colour, h, VPos::Center), at)
}

/// A logarithmic axis, whole decades around all values.
pub(crate) struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    pub(crate) fn around(values: impl Iterator<Item = f64>) -> Option<Axis> {
        let values = values.filter(|v| v.is_finite() && *v > 0.0);
        let (low, high) =
            values.fold((f64::MAX, 0.0), |(l, h): (f64, f64), v| (l.min(v), h.max(v)));
        if high == 0.0 {
            return None;
        }
        let (low, high) = (low.log10().floor(), high.log10().ceil());
        Some(Axis { low, high: if high > low { high } else { low + 1.0 } })
    }

    pub(crate) fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }

    /// Returns the decades, at most as many as there is room for.
    pub(crate) fn ticks(&self) -> impl Iterator<Item = f64> {
        let (low, high) = (self.low as i32, self.high as i32);
        let step = 1 + (high - low) / 8;
        (low..=high).step_by(step as usize).map(f64::from)
    }
}
