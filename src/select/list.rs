//! A list whose first items need no allocation.

use std::ops::{Deref, DerefMut};

/// So many items need no allocation.
const FEW: usize = 8;

/// A list of items that are copied.
///
/// It has no `Drop` of its own, unlike `SmallVec`. So a program may move or drop what the items
/// borrow while the list still exists, as with a `Vec`.
#[derive(Clone)]
pub(super) enum List<T> {
    /// The number of items. Those behind it are copies of the first.
    Few(usize, [T; FEW]),
    Many(Vec<T>),
}

impl<T: Copy> List<T> {
    pub(super) fn new() -> List<T> {
        List::Many(Vec::new())
    }

    pub(super) fn push(&mut self, item: T) {
        match self {
            List::Few(len, few) if *len < FEW => {
                few[*len] = item;
                *len += 1;
            }
            List::Few(_, few) => {
                let mut all = few.to_vec();
                all.push(item);
                *self = List::Many(all);
            }
            List::Many(all) if all.capacity() == 0 => *self = List::Few(1, [item; FEW]),
            List::Many(all) => all.push(item),
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        match self {
            List::Few(len, few) => {
                few.copy_within(at + 1..*len, at);
                *len -= 1;
            }
            List::Many(all) => drop(all.remove(at)),
        }
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            List::Few(len, few) => &few[..*len],
            List::Many(all) => all,
        }
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            List::Few(len, few) => &mut few[..*len],
            List::Many(all) => all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_what_a_vec_does() {
        let (mut list, mut vec) = (List::new(), Vec::new());
        for number in 0..20 {
            list.push(number);
            vec.push(number);
            assert_eq!(*list, *vec);
            if number % 3 == 2 {
                let at = number * 7 % list.len();
                list.remove(at);
                vec.remove(at);
            }
            list.reverse();
            vec.reverse();
            assert_eq!((&*list, &*list.clone()), (&*vec, &*vec));
        }
        assert!(vec.len() > FEW);
        while !vec.is_empty() {
            list.remove(0);
            vec.remove(0);
            assert_eq!(*list, *vec);
        }
    }
}
