//! Room for texts.

/// About how wide a text is, in pixels: fonts differ.
pub(super) fn width(text: &str, font_size: f64) -> f64 {
    text.chars().count() as f64 * font_size * 0.56
}

/// Moves places apart until each has a distance to the next, as little as that takes, in their own order; where there is room
/// within the limits.
pub(super) fn apart(places: &[f64], distance: f64, (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = places.iter().copied().enumerate().collect();
    order.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    // Those that would touch become a block, with its middle where the middle of their places is.
    let mut blocks: Vec<Block> = Vec::new();
    for (_, place) in &order {
        let mut block = Block {
            middle: place.clamp(top, bottom),
            count: 1,
        };
        while let Some(above) = blocks.pop_if(|above| above.touches(&block, distance)) {
            block = above.joined(&block).within(distance, top, bottom);
        }
        blocks.push(block);
    }
    let moved = blocks.iter().flat_map(|block| block.places(distance));
    let mut moved: Vec<(usize, f64)> = order.iter().map(|(index, _)| *index).zip(moved).collect();
    moved.sort_by_key(|(index, _)| *index);
    moved.into_iter().map(|(_, place)| place).collect()
}

struct Block {
    middle: f64,
    count: usize,
}

impl Block {
    fn half(&self, distance: f64) -> f64 {
        (self.count - 1) as f64 * distance / 2.0
    }

    fn touches(&self, below: &Self, distance: f64) -> bool {
        let gap = below.middle - below.half(distance) - self.middle - self.half(distance);
        gap < distance
    }

    fn joined(self, below: &Self) -> Self {
        let count = self.count + below.count;
        let sum = self.middle * self.count as f64 + below.middle * below.count as f64;
        Self {
            middle: sum / count as f64,
            count,
        }
    }

    fn within(self, distance: f64, top: f64, bottom: f64) -> Self {
        let half = self.half(distance);
        let middle = self.middle.min(bottom - half).max(top + half);
        Self { middle, ..self }
    }

    fn places(&self, distance: f64) -> impl Iterator<Item = f64> {
        let first = self.middle - self.half(distance);
        (0..self.count).map(move |number| first + number as f64 * distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_touch() {
        let limits = (0.0, 100.0);
        assert_eq!(apart(&[80.0, 20.0], 10.0, limits), [80.0, 20.0]);
        assert_eq!(apart(&[50.0, 52.0], 10.0, limits), [46.0, 56.0]);
        assert_eq!(apart(&[52.0, 50.0, 20.0], 10.0, limits), [56.0, 46.0, 20.0]);
        assert_eq!(apart(&[1.0, 3.0], 10.0, limits), [0.0, 10.0]);
        assert_eq!(
            apart(&[99.0, 99.0, 120.0], 10.0, limits),
            [80.0, 90.0, 100.0]
        );
        // The third reaches into the first two only once they are apart.
        assert_eq!(apart(&[50.0, 52.0, 63.0], 10.0, limits), [45.0, 55.0, 65.0]);
        assert_eq!(apart(&[], 10.0, limits), [] as [f64; 0]);
    }
}
