//! What a place costs.

/// How often a value must have been seen once places are no longer given at first sight.
const SECOND_PRICE: u64 = 3;

/// The highest price: what is asked for so often gets a place while there is one.
const MAX_PRICE: u64 = 1000;

/// How often something must have been seen to get the next place of a list, where `left` of
/// `total` places are left and the first `free` are given at first sight; `None` where none is.
///
/// Beyond the free ones it is three times the square of half of the list over what is left of it,
/// at most 1,000. So whoever wants all places but a share `s` pays three quarters of `total / s`
/// requests, and has not displaced anybody who asks more often than that.
pub fn price(total: usize, left: usize, free: usize) -> Option<u32> {
    if left == 0 {
        return None;
    }
    let taken = total.saturating_sub(left);
    if taken < free {
        return Some(1);
    }
    let (total, left) = (total as u64, left as u64);
    let squares = total.saturating_mul(total).div_ceil(left.saturating_mul(left).saturating_mul(4));
    u32::try_from(SECOND_PRICE.saturating_mul(squares.max(1)).min(MAX_PRICE)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;
    use proptest::prelude::*;

    #[test]
    fn the_first_places_are_free_and_the_last_ones_dear() {
        let prices = |total: usize, free: usize| -> Vec<u32> {
            (0..total).filter_map(|taken| price(total, total - taken, free)).collect()
        };
        assert_eq!(prices(8, 4), [1, 1, 1, 1, 3, 6, 12, 48]);
        assert_eq!(prices(1, 1), [1]);
        assert_eq!(prices(2, 1), [1, 3]);
        assert_eq!(price(0, 0, 0), None);
        for (left, expected) in
            [(500, 1), (451, 1), (450, 3), (250, 3), (125, 12), (62, 51), (1, 1000)]
        {
            assert_eq!(price(500, left, 50), Some(expected), "{left} left");
        }
    }

    proptest! {
        #[test]
        fn prices_only_rise(total in 0usize..1_000_000, taken in 0usize..1_000_000, free in 0usize..2000) {
            let at = |taken: usize| price(total, total.saturating_sub(taken), free);
            match (at(taken), at(taken + 1)) {
                (None, next) => prop_assert_eq!(next, None),
                (Some(now), Some(next)) => prop_assert!((1..=next).contains(&now)),
                (Some(now), None) => prop_assert!(now >= 1),
            }
        }
    }
}
