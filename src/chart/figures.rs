//! A page's figures as pictures for pasting: light, with their titles, their letters as outlines.
//!
//! What a page shows is drawn once, by [`super::drawing`]; here its colours and letters become what needs no page.

use super::letters::{self, Anchor};
use super::output;

/// Colours of the page's drawings, which its style sheet has, too.
pub const STYLE: &str = include_str!("chart.css");
/// For screens that have two pixels where CSS counts one.
const SCALE: f32 = 2.0;
/// Above a figure, for its title.
const HEAD: f64 = 34.0;
const MARGIN: f64 = 14.0;

/// A figure of a page.
#[derive(Debug, PartialEq)]
pub struct Picture {
    /// `requests-of-light-over-time.png`
    pub file: String,
    pub png: Vec<u8>,
}

/// All figures of a page that [`super::drawing::figure`] has made.
pub fn pictures(page: &str) -> Vec<Picture> {
    let mut pictures: Vec<Picture> = Vec::new();
    for figure in page.split("<figure class=\"chart\">").skip(1) {
        let Some(svg) = between(figure, "<div class=\"wide\">", "</div>") else { continue };
        let (Some(label), Some(sides)) = (between(svg, "aria-label=\"", "\""), between(svg, "viewBox=\"0 0 ", "\""))
        else {
            continue;
        };
        let Some(inner) = svg.split_once('>').and_then(|(_, rest)| rest.strip_suffix("</svg>")) else { continue };
        let mut sides = sides.split(' ').filter_map(|side| side.parse::<f64>().ok());
        let (Some(width), Some(height)) = (sides.next(), sides.next()) else { continue };
        let standalone = standalone(&plain(label), (width, height), inner);
        let Some(png) = output::rendered(&standalone, SCALE) else { continue };
        let mut file = file_name(&plain(label));
        if pictures.iter().any(|picture| picture.file == format!("{file}.png")) {
            file += &format!("-{}", pictures.len() + 1);
        }
        pictures.push(Picture { file: format!("{file}.png"), png });
    }
    pictures
}

fn standalone(title: &str, (width, height): (f64, f64), inner: &str) -> String {
    let (wide, high) = (width + 2.0 * MARGIN, height + HEAD + MARGIN);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\"><style>{}</style>\
         <rect width=\"{wide}\" height=\"{high}\" fill=\"{}\"/>{}<g transform=\"translate({MARGIN} {HEAD})\">{}</g></svg>",
        light(STYLE),
        color(STYLE, "card"),
        letters::path(title, (MARGIN + 6.0, 23.0), Anchor::Left, 15.0, &color(STYLE, "ink")),
        outlined(inner),
    )
}

/// The style sheet with the colours of its first list in place of their names, and nothing for other media.
fn light(style: &str) -> String {
    let own = style.split("@media").next().unwrap_or_default();
    let rules = own.split_once('}').map_or("", |(_, rules)| rules);
    let mut text = String::new();
    let mut parts = rules.split("var(--");
    text += parts.next().unwrap_or_default();
    for part in parts {
        let (name, rest) = part.split_once(')').unwrap_or((part, ""));
        text += &color(style, name);
        text += rest;
    }
    text
}

fn color(style: &str, name: &str) -> String {
    between(style, &format!("--{name}: "), ";").unwrap_or("#000000").to_owned()
}

/// Every text of a drawing as outlines: a picture has no fonts.
fn outlined(svg: &str) -> String {
    let mut out = String::new();
    let mut rest = svg;
    while let Some((before, from)) = rest.split_once("<text ") {
        out += before;
        let Some((attributes, after)) = from.split_once('>') else { break };
        let Some((content, after)) = after.split_once("</text>") else { break };
        out += &letters_of(attributes, content);
        rest = after;
    }
    out + rest
}

/// What the classes of `chart.css` mean for a text.
fn letters_of(attributes: &str, content: &str) -> String {
    let value = |name: &str| between(attributes, &format!("{name}=\""), "\"");
    let number = |name: &str| value(name).and_then(|value| value.parse::<f64>().ok()).unwrap_or_default();
    let class = value("class").unwrap_or_default();
    let anchor = match (class, value("text-anchor")) {
        ("y", _) => Anchor::Right,
        ("x" | "inside", _) | (_, Some("middle")) => Anchor::Center,
        _ => Anchor::Left,
    };
    let (size, ink) = if matches!(class, "inside" | "note") { (11.5, "ink") } else { (12.0, "soft") };
    let words = content.split("<title>").next().unwrap_or_default();
    letters::path(&plain(words), (number("x"), number("y")), anchor, size, &color(STYLE, ink))
}

/// Without what HTML escapes.
fn plain(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inner, _)| inner)
}

fn file_name(label: &str) -> String {
    let lower = label.to_lowercase();
    let words: Vec<_> =
        lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("-").chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use maud::html;

    use super::super::drawing::{figure, line, svg, text};
    use super::*;

    fn page() -> String {
        let drawn = figure("Rate", "a note", |canvas| {
            svg(
                canvas,
                100.0,
                "Rate of <web> & others",
                html! {
                    (line("grid", 0.0, 50.0, canvas.width, 50.0))
                    rect class="s0" x="100" y="20" width="200" height="60" {}
                    (text("y", 50.0, 40.0, "5 & 6"))
                },
            )
        });
        html! { main { (drawn) (drawn) } }.into_string()
    }

    #[test]
    fn a_pages_figures_become_pictures_with_their_colours_and_letters() {
        let pictures = pictures(&page());
        let files: Vec<_> = pictures.iter().map(|picture| picture.file.as_str()).collect();
        assert_eq!(files, ["rate-of-web-others.png", "rate-of-web-others-2.png"]);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&pictures[0].png)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("a frame");
        assert_eq!((info.width, info.height), (2 * (760 + 28), 2 * (100 + 34 + 14)));
        let at = |x: usize, y: usize| &pixels[3 * (y * info.width as usize + x)..][..3];
        // The page's light colours: a card, and the first series.
        assert_eq!(at(2, 2), [0xff, 0xff, 0xff]);
        assert_eq!(at(2 * (14 + 200), 2 * (34 + 30)), [0x2f, 0x6b, 0xd8]);
        let dark = |x: usize| (2 * (34 + 28)..2 * (34 + 44)).any(|y| at(x, y)[0] < 150);
        assert!((2 * (14 + 25)..2 * (14 + 50)).any(dark), "letters stand left of their place");
    }

    #[test]
    fn no_name_of_a_colour_is_left() {
        let style = light(STYLE);
        assert!(!style.contains("var(") && !style.contains("--") && style.contains("#2f6bd8"), "{style}");
    }
}
