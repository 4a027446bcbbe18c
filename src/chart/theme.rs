//! Colours: the palette of the series, and the two themes.

/// An opaque colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

impl Color {
    /// `#rrggbb` or `#rgb`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let byte = |range: std::ops::Range<usize>| u8::from_str_radix(&digits[range], 16).ok();
        match digits.len() {
            6 => Some(Self(byte(0..2)?, byte(2..4)?, byte(4..6)?)),
            3 => Some(Self(byte(0..1)? * 17, byte(1..2)? * 17, byte(2..3)? * 17)),
            _ => None,
        }
    }

    /// As CSS writes it.
    pub fn css(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// The colour of the series at `index`, for those that name none: CloudWatch's own order.
    pub fn of_series(index: usize) -> Self {
        PALETTE[index % PALETTE.len()]
    }
}

/// Ten strong colours, then their light sisters.
const PALETTE: [Color; 20] = [
    Color(0x1f, 0x77, 0xb4),
    Color(0xff, 0x7f, 0x0e),
    Color(0x2c, 0xa0, 0x2c),
    Color(0xd6, 0x27, 0x28),
    Color(0x94, 0x67, 0xbd),
    Color(0x8c, 0x56, 0x4b),
    Color(0xe3, 0x77, 0xc2),
    Color(0x7f, 0x7f, 0x7f),
    Color(0xbc, 0xbd, 0x22),
    Color(0x17, 0xbe, 0xcf),
    Color(0xae, 0xc7, 0xe8),
    Color(0xff, 0xbb, 0x78),
    Color(0x98, 0xdf, 0x8a),
    Color(0xff, 0x98, 0x96),
    Color(0xc5, 0xb0, 0xd5),
    Color(0xc4, 0x9c, 0x94),
    Color(0xf7, 0xb6, 0xd2),
    Color(0xc7, 0xc7, 0xc7),
    Color(0xdb, 0xdb, 0x8d),
    Color(0x9e, 0xda, 0xe5),
];

/// CloudWatch's orange, of its warning triangle.
pub(super) const WARNING: Color = Color(0xff, 0x99, 0x00);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    Light,
    Dark,
}

impl Theme {
    pub(super) fn background(self) -> Color {
        match self {
            Theme::Light => Color(0xff, 0xff, 0xff),
            Theme::Dark => Color(0x16, 0x1d, 0x26),
        }
    }

    pub(super) fn title(self) -> Color {
        match self {
            Theme::Light => Color(0x16, 0x19, 0x1f),
            Theme::Dark => Color(0xf2, 0xf3, 0xf3),
        }
    }

    /// Labels of axes, legend and annotations.
    pub(super) fn text(self) -> Color {
        match self {
            Theme::Light => Color(0x42, 0x46, 0x50),
            Theme::Dark => Color(0xc6, 0xc9, 0xce),
        }
    }

    pub(super) fn grid(self) -> Color {
        match self {
            Theme::Light => Color(0xe6, 0xe8, 0xeb),
            Theme::Dark => Color(0x2c, 0x35, 0x41),
        }
    }

    /// The zero line and the ticks below it.
    pub(super) fn axis(self) -> Color {
        match self {
            Theme::Light => Color(0x98, 0x9f, 0xa9),
            Theme::Dark => Color(0x6b, 0x75, 0x82),
        }
    }

    /// An annotation that names no colour.
    pub(super) fn annotation(self) -> Color {
        match self {
            Theme::Light => Color(0x68, 0x71, 0x7d),
            Theme::Dark => Color(0x9b, 0xa7, 0xb6),
        }
    }
}
