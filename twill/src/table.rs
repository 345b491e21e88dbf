//! Tables for people: columns without frames, as wide as their widest cell, cut off where a
//! terminal has no room.

use std::borrow::Cow;

use crate::terminal::Terminal;

/// The blanks between two columns.
const GAP: &str = "  ";

/// The least width to which a column is cut off, in characters.
const LEAST: usize = 12;

/// Replaces the end of a cell that is cut off.
const CUT: char = '…';

/// The style of a text on a terminal with colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// All is well.
    Good,
    /// Something deserves a look.
    Warning,
    /// Something is wrong.
    Bad,
}

/// A text and its style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell<'a> {
    text: Cow<'a, str>,
    style: Style,
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Table<'a> {
    header: Vec<&'static str>,
    rows: Vec<Box<[Cell<'a>]>>,
    /// The indexes of the columns that are shown.
    columns: Vec<usize>,
    /// Columns that are left out, in this order, where a terminal has no room for all.
    dispensable: &'static [&'static str],
}

impl Style {
    /// The text with the style, for a terminal with colours (ECMA-48, "SGR").
    pub(crate) fn apply(self, text: &str, terminal: Terminal) -> String {
        let number = match self {
            _ if !terminal.has_colours => return text.to_owned(),
            Self::Plain => return text.to_owned(),
            Self::Bold => 1,
            Self::Good => 32,
            Self::Warning => 33,
            Self::Bad => 31,
        };
        format!("\x1b[{number}m{text}\x1b[0m")
    }
}

impl<'a> Cell<'a> {
    pub(crate) fn new(text: impl Into<Cow<'a, str>>, style: Style) -> Self {
        // Control characters from files of other programs must not move the cursor.
        let text: Cow<'a, str> = text.into();
        let is_broken = text.contains(char::is_control);
        Self {
            text: if is_broken {
                text.escape_debug().to_string().into()
            } else {
                text
            },
            style,
        }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for Cell<'a> {
    fn from(text: T) -> Self {
        Self::new(text, Style::Plain)
    }
}

impl<'a> Table<'a> {
    /// A table with this header.
    pub(crate) fn new(header: impl IntoIterator<Item = &'static str>) -> Self {
        let header: Vec<_> = header.into_iter().collect();
        Self {
            columns: (0..header.len()).collect(),
            header,
            rows: Vec::new(),
            dispensable: &[],
        }
    }

    /// Names the columns that are left out, in this order, where a terminal has no room for all.
    pub(crate) fn with_dispensable(mut self, columns: &'static [&'static str]) -> Self {
        self.dispensable = columns;
        self
    }

    /// Appends a row, with as many cells as the header has.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether the table has no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Leaves out the columns in which no row has a text.
    pub(crate) fn without_empty_columns(mut self) -> Self {
        let rows = &self.rows;
        let has_text = |column: &usize| {
            let mut cells = rows.iter().filter_map(|row| row.get(*column));
            cells.any(|cell| !cell.text.is_empty())
        };
        self.columns.retain(has_text);
        self
    }

    /// The lines of the table, the header first; none without rows.
    pub(crate) fn lines(&self, terminal: Terminal) -> impl Iterator<Item = String> {
        let shown = self.shown(terminal.width);
        let header = self.header.iter().map(|text| Cell::new(*text, Style::Bold));
        let header: Box<[Cell<'_>]> = header.collect();
        let header = (!self.rows.is_empty()).then(|| line(&header, &shown, terminal));
        let rows = self.rows.iter();
        header
            .into_iter()
            .chain(rows.map(move |row| line(row, &shown, terminal)))
    }

    /// The lines of a table of keys and texts, without its header. A text for which a terminal has
    /// no room goes on in the next line, so that nothing is cut off.
    pub(crate) fn wrapped(&self, terminal: Terminal) -> Vec<String> {
        let keys = self.rows.iter().filter_map(|row| row.first());
        let margin = keys.map(Cell::width).max().unwrap_or(0) + GAP.len();
        let room = terminal.width.unwrap_or(usize::MAX).saturating_sub(margin);
        let mut lines = Vec::new();
        for row in &self.rows {
            let mut row = row.iter();
            let (key, text) = (row.next(), row.next());
            let key = key.filter(|key| !key.text.is_empty());
            let mut key = key.map(|key| (key.width(), key.style.apply(&key.text, terminal)));
            for part in parts(text.map_or("", |text| &text.text), room.max(LEAST)) {
                let (width, key) = key.take().unwrap_or_default();
                let blanks = " ".repeat(margin.saturating_sub(width));
                let line = format!("{key}{blanks}{part}");
                lines.push(line.trim_end().to_owned());
            }
        }
        lines
    }

    /// The columns for which a terminal has room, each with its width. Where leaving columns out is
    /// not enough, the widest ones are cut off.
    fn shown(&self, room: Option<usize>) -> Vec<(usize, usize)> {
        let widths = self.columns.iter().map(|column| self.width(*column));
        let mut shown: Vec<(usize, usize)> = self.columns.iter().copied().zip(widths).collect();
        let room = room.unwrap_or(usize::MAX);
        for dispensable in self.dispensable {
            cut_off(&mut shown, room);
            if total(&shown) <= room {
                break;
            }
            shown.retain(|(column, _)| self.header.get(*column) != Some(dispensable));
            for (column, width) in &mut shown {
                *width = self.width(*column);
            }
        }
        cut_off(&mut shown, room);
        shown
    }

    /// The width of a column's widest text.
    fn width(&self, column: usize) -> usize {
        let header = self.header.get(column).map(|text| text.chars().count());
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(Cell::width).chain(header).max().unwrap_or(0)
    }
}

/// The parts of a text, each of which has room for whole words, or for one that is longer.
fn parts(text: &str, room: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    for word in text.split(' ') {
        let length = part.chars().count() + 1 + word.chars().count();
        if !part.is_empty() && length > room {
            parts.push(std::mem::take(&mut part));
        }
        if !part.is_empty() {
            part.push(' ');
        }
        part.push_str(word);
    }
    parts.push(part);
    parts
}

/// Cuts off the widest columns first, each to no less than [`LEAST`].
fn cut_off(shown: &mut [(usize, usize)], room: usize) {
    while total(shown) > room {
        let widths = shown.iter_mut().map(|(_, width)| width);
        let Some(widest) = widths.max().filter(|width| **width > LEAST) else {
            break;
        };
        *widest -= 1;
    }
}

/// The width of columns with the blanks between them.
fn total(shown: &[(usize, usize)]) -> usize {
    shown.iter().map(|(_, width)| width).sum::<usize>() + gaps(shown.len())
}

/// The width of the blanks between columns.
fn gaps(columns: usize) -> usize {
    GAP.len() * columns.saturating_sub(1)
}

fn line(row: &[Cell<'_>], shown: &[(usize, usize)], terminal: Terminal) -> String {
    let mut line = String::new();
    // No line ends with blanks: they are written once the next text follows.
    let mut blanks = 0;
    for (column, width) in shown {
        let Some(cell) = row.get(*column) else {
            continue;
        };
        let mut text = Cow::Borrowed(&*cell.text);
        if cell.width() > *width {
            let start = text.chars().take(width.saturating_sub(1));
            text = start.chain([CUT]).collect();
        }
        if !text.is_empty() {
            line.extend(std::iter::repeat_n(' ', blanks));
            line.push_str(&cell.style.apply(&text, terminal));
            blanks = 0;
        }
        blanks += width.saturating_sub(text.chars().count()) + GAP.len();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(table: &Table<'_>, terminal: Terminal) -> Vec<String> {
        table.lines(terminal).collect()
    }

    fn table() -> Table<'static> {
        let mut table = Table::new(["ADDRESS", "POD", "STATE", "WHY"]);
        table.row([
            "10.1.1.2".into(),
            "".into(),
            Cell::new("alive", Style::Good),
            "on eth0 in /run/netns/one".into(),
        ]);
        table.row([
            "10.1.1.200".into(),
            "".into(),
            Cell::new("dead", Style::Bad),
            "".into(),
        ]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        assert_eq!(
            lines(&table().without_empty_columns(), Terminal::default()),
            [
                "ADDRESS     STATE  WHY",
                "10.1.1.2    alive  on eth0 in /run/netns/one",
                "10.1.1.200  dead",
            ]
        );
        let with_all = lines(&table(), Terminal::default());
        assert_eq!(with_all[2], "10.1.1.200       dead");
        assert!(lines(&Table::new(["A"]), Terminal::default()).is_empty());
    }

    #[test]
    fn the_widest_column_is_cut_off_where_a_terminal_has_no_room() {
        let narrow = |width| Terminal {
            width: Some(width),
            ..Terminal::default()
        };
        let table = table().without_empty_columns();
        assert_eq!(
            lines(&table, narrow(36))[1],
            "10.1.1.2    alive  on eth0 in /run/…"
        );
        assert_eq!(
            lines(&table, narrow(44))[1],
            lines(&table, Terminal::default())[1]
        );
        // Every column keeps its least width, however narrow the terminal is.
        assert_eq!(
            lines(&table, narrow(1))[1],
            "10.1.1.2    alive  on eth0 in …"
        );
    }

    #[test]
    fn columns_are_left_out_where_cutting_off_is_not_enough() {
        let narrow = |width| Terminal {
            width: Some(width),
            ..Terminal::default()
        };
        let table = table().without_empty_columns();
        let table = table.with_dispensable(&["STATE", "WHY"]);
        for (width, line) in [
            (36, "10.1.1.2    alive  on eth0 in /run/…"),
            (30, "10.1.1.2    on eth0 in /run/n…"),
            (20, "10.1.1.2"),
        ] {
            assert_eq!(lines(&table, narrow(width))[1], line);
        }
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let colours = Terminal {
            width: Some(80),
            has_colours: true,
            ..Terminal::default()
        };
        assert_eq!(
            lines(&table().without_empty_columns(), colours)[1..],
            [
                "10.1.1.2    \x1b[32malive\x1b[0m  on eth0 in /run/netns/one",
                "10.1.1.200  \x1b[31mdead\x1b[0m",
            ]
        );
    }

    #[test]
    fn texts_are_wrapped_and_never_cut_off() {
        let mut table = Table::new(["", ""]);
        table.row([
            Cell::new("link", Style::Bold),
            "veth1, up, port of cni0, MTU 1450".into(),
        ]);
        table.row(["".into(), "received 1".into()]);
        let narrow = Terminal {
            width: Some(24),
            ..Terminal::default()
        };
        let expected = [
            "link  veth1, up, port of",
            "      cni0, MTU 1450",
            "      received 1",
        ];
        assert_eq!(table.wrapped(narrow), expected);
        let all = [
            "link  veth1, up, port of cni0, MTU 1450",
            "      received 1",
        ];
        assert_eq!(table.wrapped(Terminal::default()), all);
    }

    #[test]
    fn control_characters_are_shown_as_such() {
        let cell = Cell::from("a\x1b[2Jb\n");
        assert_eq!(cell.text, "a\\u{1b}[2Jb\\n");
    }
}
