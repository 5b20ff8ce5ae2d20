//! A hash of a set that costs the same to update whatever the set's size: the sum, modulo 2^256, of keyed
//! hashes.
//!
//! Whether an element is in the set is not asked here; adding one twice or removing one that is not there
//! gives the hash of something that is no set. The items must be outputs of a keyed hash whose key an
//! attacker lacks ("MSet-Add-Hash", Clarke et al., ASIACRYPT 2003): sums of unkeyed hashes are forged by
//! the generalised birthday attack.

/// The hash of a set of [`SetItem`]s; of the empty set by default. Stored only inside what is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SetHash(pub [u8; 32]);

/// An element: its keyed hash. From [`NameKey`](super::NameKey).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SetItem(pub [u8; 32]);

impl SetHash {
    /// Puts an element in.
    pub fn add(&mut self, item: &SetItem) {
        self.combine(item, u64::carrying_add);
    }

    /// Puts all elements of another set in.
    pub fn add_all(&mut self, other: &SetHash) {
        self.add(&SetItem(other.0));
    }

    /// Takes an element out: the inverse of [`add`](SetHash::add).
    pub fn remove(&mut self, item: &SetItem) {
        self.combine(item, u64::borrowing_sub);
    }

    /// Treats both as little-endian numbers, 64 bits at a time from the lowest; the last carry is lost.
    fn combine(&mut self, item: &SetItem, step: fn(u64, u64, bool) -> (u64, bool)) {
        let (limbs, _) = self.0.as_chunks_mut();
        let (others, _) = item.0.as_chunks();
        let mut carry = false;
        for (limb, other) in limbs.iter_mut().zip(others) {
            let (result, carried) =
                step(u64::from_le_bytes(*limb), u64::from_le_bytes(*other), carry);
            (*limb, carry) = (result.to_le_bytes(), carried);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum<'a>(items: impl IntoIterator<Item = &'a [u8; 32]>) -> SetHash {
        let mut hash = SetHash::default();
        items.into_iter().for_each(|item| hash.add(&SetItem(*item)));
        hash
    }

    fn number(value: u8) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = value;
        bytes
    }

    #[test]
    fn carries_run_through_all_limbs_and_out() {
        assert_eq!(sum([&[0xff; 32], &number(1)]), SetHash([0; 32]));
        assert_eq!(sum([&[0xff; 32], &number(2)]), SetHash(number(1)));
        let mut hash = SetHash::default();
        hash.remove(&SetItem(number(1)));
        assert_eq!(hash, SetHash([0xff; 32]));
    }

    #[test]
    fn a_carry_goes_to_the_next_limb_only() {
        let mut low = [0; 32];
        low[..8].fill(0xff);
        let mut expected = [0; 32];
        expected[8] = 1;
        assert_eq!(sum([&low, &number(1)]), SetHash(expected));
    }

    proptest! {
        #[test]
        fn order_does_not_matter(items: Vec<[u8; 32]>) {
            prop_assert_eq!(sum(&items), sum(items.iter().rev()));
        }

        #[test]
        fn removing_is_the_inverse_of_adding(start: [u8; 32], item: [u8; 32]) {
            let mut hash = SetHash(start);
            hash.add(&SetItem(item));
            prop_assert_eq!(hash.0 == start, item == [0; 32]);
            hash.remove(&SetItem(item));
            prop_assert_eq!(hash, SetHash(start));
        }

        #[test]
        fn sets_that_differ_by_one_differ(mut items: Vec<[u8; 32]>, item: [u8; 32]) {
            let before = sum(&items);
            items.push(item);
            prop_assert_eq!(sum(&items) == before, item == [0; 32]);
        }
    }
}
