//! Objects in pictures: each a class and a box.

pub mod grid;

/// One object. Its box is in points of the picture: a picture of width w reaches from 0 to w.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Object {
    pub class: u32,
    /// Left, top, right, bottom.
    pub corners: [f64; 4],
    /// A crowd, or too hard to judge: it is not learned from, and finding it is neither right nor wrong.
    pub ignored: bool,
}

impl Object {
    pub fn middle(&self) -> (f64, f64) {
        let [left, top, right, bottom] = self.corners;
        ((left + right) / 2.0, (top + bottom) / 2.0)
    }

    pub fn area(&self) -> f64 {
        area(&self.corners)
    }
}

/// A class as files call it.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    pub name: String,
    /// Where it was first met.
    pub file: String,
}

/// Of left, top, right, bottom; 0 for a box that is turned inside out.
pub fn area([left, top, right, bottom]: &[f64; 4]) -> f64 {
    (right - left).max(0.0) * (bottom - top).max(0.0)
}

/// The part of a box that lies within a picture of this height and width.
pub fn clipped([left, top, right, bottom]: [f64; 4], [h, w]: [f64; 2]) -> [f64; 4] {
    [left.clamp(0.0, w), top.clamp(0.0, h), right.clamp(0.0, w), bottom.clamp(0.0, h)]
}

/// The objects of many pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    ends: Vec<usize>,
    all: Vec<Object>,
    sizes: Vec<[f64; 2]>,
}

impl Objects {
    /// One more picture, of this height and width.
    pub fn push(&mut self, objects: impl IntoIterator<Item = Object>, size: [f64; 2]) {
        self.all.extend(objects);
        self.ends.push(self.all.len());
        self.sizes.push(size);
    }

    /// Pictures.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Of one picture.
    pub fn of(&self, picture: usize) -> &[Object] {
        let start = picture.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(picture).copied().unwrap_or(start);
        self.all.get(start..end).unwrap_or_default()
    }

    /// The height and width of a picture, in the points that its boxes are in.
    pub fn size(&self, picture: usize) -> [f64; 2] {
        self.sizes.get(picture).copied().unwrap_or([1.0, 1.0])
    }

    /// All objects, picture by picture.
    pub fn all(&self) -> &[Object] {
        &self.all
    }

    /// The same with other classes: `class` for each of [`Objects::all`].
    pub fn with_classes(mut self, class: impl Fn(u32) -> u32) -> Objects {
        self.all.iter_mut().for_each(|object| object.class = class(object.class));
        self
    }

    /// Only the pictures that are `kept`.
    pub fn retained(&self, kept: impl Fn(usize) -> bool) -> Objects {
        let mut out = Objects::default();
        (0..self.len()).filter(|at| kept(*at)).for_each(|at| out.push(self.of(at).to_vec(), self.size(at)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_without_objects() {
        let object = |class| Object { class, corners: [0.0, 0.0, 2.0, 1.0], ignored: false };
        let mut objects = Objects::default();
        objects.push([object(1), object(2)], [4.0, 5.0]);
        objects.push([], [6.0, 7.0]);
        objects.push([object(3)], [8.0, 9.0]);
        assert_eq!(objects.len(), 3);
        let classes = |at| objects.of(at).iter().map(|object| object.class).collect::<Vec<_>>();
        assert_eq!((classes(0), classes(1), classes(2), classes(3)), (vec![1, 2], vec![], vec![3], vec![]));
        let last = objects.retained(|at| at > 0);
        assert_eq!((last.len(), last.of(1)[0].class, last.size(0)), (2, 3, [6.0, 7.0]));
        assert_eq!(area(&clipped([-3.0, -1.0, 1.0, 9.0], [4.0, 5.0])), 4.0);
    }
}
