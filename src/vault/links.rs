//! The links of a node. Nearly all have one, which takes no memory of its own.
use crate::format::Link;
use std::ops::Deref;

/// Every entry that leads to a node, in the order in which they were made.
#[derive(Default)]
pub(super) enum Links {
    #[default]
    None,
    One(Link),
    Many(Vec<Link>),
}

impl Links {
    pub fn push(&mut self, link: Link) {
        *self = match std::mem::take(self) {
            Links::None => Links::One(link),
            Links::One(first) => Links::Many(vec![first, link]),
            Links::Many(mut links) => {
                links.push(link);
                Links::Many(links)
            }
        };
    }

    pub fn remove(&mut self, gone: &Link) {
        match self {
            Links::None => {}
            Links::One(link) => {
                if link == gone {
                    *self = Links::None;
                }
            }
            Links::Many(links) => {
                links.retain(|link| link != gone);
                if links.len() < 2 {
                    *self = links.pop().map_or(Links::None, Links::One);
                }
            }
        }
    }
}

impl From<Vec<Link>> for Links {
    fn from(mut links: Vec<Link>) -> Links {
        if links.len() < 2 {
            return links.pop().map_or(Links::None, Links::One);
        }
        links.shrink_to_fit();
        Links::Many(links)
    }
}

impl Deref for Links {
    type Target = [Link];

    fn deref(&self) -> &[Link] {
        match self {
            Links::None => &[],
            Links::One(link) => std::slice::from_ref(link),
            Links::Many(links) => links,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{DirId, Name};

    fn link(number: u8) -> Link {
        Link {
            dir: DirId([number; 16]),
            name: Name::new(b"name").unwrap(),
        }
    }

    #[test]
    fn links_come_and_go_as_in_a_list() {
        let mut links = Links::default();
        let mut list = Vec::new();
        let steps: [(bool, u8); 12] = [
            (false, 1),
            (true, 1),
            (false, 2),
            (true, 2),
            (true, 3),
            (false, 2),
            (true, 4),
            (false, 9),
            (false, 1),
            (false, 3),
            (false, 4),
            (true, 5),
        ];
        for (makes, number) in steps {
            let link = link(number);
            if makes {
                links.push(link.clone());
                list.push(link);
            } else {
                links.remove(&link);
                list.retain(|there| *there != link);
            }
            assert!(*links == *list && *Links::from(list.clone()) == *list);
            assert_eq!(matches!(links, Links::One(_)), list.len() == 1);
        }
    }
}
